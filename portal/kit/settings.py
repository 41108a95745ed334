"""What an operator may choose, read from `PORTAL_*` environment variables. Nothing else reads the environment."""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One portal's settings. The defaults run everything on one machine with nothing else installed."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", extra="ignore", hide_input_in_errors=True)

    role: Literal["all", "public", "desk"] = Field(
        default="all",
        description="public: for the internet, without desk and private keys; desk: for officers; all: both.",
    )
    data_dir: Path = Field(default=Path("var"), description="Folder for the database, the search index and files.")
    keys_dir: Path | None = Field(
        default=None, description="Folder for this portal's private keys; unset: beside the data folder, named *-keys."
    )
    database_url: str = Field(default="", description="SQLAlchemy URL; empty means SQLite in the data folder.")
    broker_url: str = Field(
        default="memory://localhost/", description="Celery broker; memory:// runs jobs in one worker process."
    )
    base_url: str = Field(default="http://127.0.0.1:8000", description="The address people see, without a final slash.")
    rate_limits_enabled: bool = Field(default=True, description="Off only for load tests on loopback.")
    rate_limits_url: str = Field(
        default="memory://", description="Where counts live: memory:// in each process, or redis://… for all hosts."
    )
    trusted_proxies: str = Field(default="127.0.0.1", description="Proxies whose X-Forwarded-For is believed.")
    mail_url: str = Field(
        default="spool:", description="spool: writes to mail/ in the data folder; smtp://user:password@host, smtps://…."
    )
    mail_from: str = Field(default="Gongzhi 共治 <portal@localhost>", description="Sender of every message.")
    idempotency_hours: int = Field(default=24, ge=1, le=720, description="How long an Idempotency-Key is remembered.")
    usage_days: int = Field(default=400, ge=31, description="How long it is kept how much open data is used.")
    consumers_stale_days: int = Field(
        default=3, ge=1, description="Consumers that have not dealt with a withdrawal for so long are reminded by mail."
    )
    watches_of_one: int = Field(default=20, ge=0, description="Watches that the holder of one key may have.")
    deltas_days: int = Field(default=400, ge=2, description="How long the files of daily changes are kept.")
    webhooks_to_loopback: bool = Field(
        default=False, description="Lets deliveries go to this machine, without TLS too. Only for trying things out."
    )
    clocks_file: Path | None = Field(
        default=None,
        description="The operator's own legal periods, in the form of record/clocks.toml; they come first.",
    )
    search_url: str = Field(default="", description="A Meilisearch server; empty: an index in the data folder.")
    search_key: SecretStr | None = Field(
        default=None, description="This process's key there: for searching only where the public is served."
    )
    search_index: str = Field(
        default="entities", pattern=r"^[A-Za-z0-9_-]{1,100}$", description="How this portal's indexes there begin."
    )
    search_timeout_seconds: float = Field(default=2, gt=0, le=60, description="How long a search may take there.")
    storage_url: str = Field(
        default="",
        description="Where files are kept; empty: files/ in the data folder; s3://bucket/folder takes keys from AWS_*.",
    )
    storage_allow_http: bool = Field(
        default=False, description="Lets object storage be reached without TLS: within a private network only."
    )
    storage_signed_urls: bool = Field(
        default=False, description="Sends whoever asks for a file of open data to object storage, signed for 5 minutes."
    )
    files_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]*[^\s?#/])?$",
        description="Where a CDN serves opendata/ and deltas/ of the storage; empty: the portal does.",
    )
    clamd_url: str = Field(
        default="",
        description="ClamAV's daemon: unix:/run/clamav/clamd.ctl or tcp://127.0.0.1:3310; empty: no scanner.",
    )
    wechat_token: SecretStr | None = Field(default=None, description="Token of a WeChat official account.")
    wechat_aes_key: SecretStr | None = Field(default=None, description="Its EncodingAESKey, 43 characters.")
    wechat_app_id: str = Field(default="", description="Its AppID.")
    publish_ckan_url: str = Field(
        default="", description="An outside CKAN that data sets are published to every night; empty: none."
    )
    publish_ckan_organization: str = Field(default="", description="The organisation there that they belong to.")
    publish_ckan_token: SecretStr | None = Field(default=None, description="API token of one of its editors there.")
    publish_ckan_upload: bool = Field(default=False, description="Uploads files there; otherwise they are linked.")
    publish_ckan_upload_mib: int = Field(
        default=10, ge=1, description="Larger files are linked, as CKAN's own ckan.max_resource_size would have it."
    )
    publish_ckan_allow_http: bool = Field(default=False, description="Lets it be reached without TLS.")
    publish_ckan_ca_file: Path | None = Field(default=None, description="Certificates it is trusted by; unset: public.")
    publish_ckan_timeout_seconds: float = Field(default=60, gt=0, description="How long an answer of its may take.")
    publish_ckan_tries: int = Field(default=5, ge=1, le=10, description="How often a request is tried in all.")
    department: str = Field(
        default="市场监督管理局", max_length=100, description="The department that tip-offs arrive at."
    )
    contact_address: str = Field(
        default="",
        max_length=200,
        pattern=r"^([\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+)?$",
        description="E-mail address for questions about the open data, in every catalogue; empty: none is named.",
    )
    security_contact: str = Field(
        default="",
        max_length=200,
        pattern=r"^((mailto:[^\s@]+@[^\s@]+|https://\S+|tel:\+[0-9-]+))?$",
        description="Whom to tell of a weakness, as a URI, in /.well-known/security.txt; empty: the contact address.",
    )
    workbook_rows: int = Field(
        default=50_000, ge=0, le=1_000_000, description="Data sets of more rows than that are not written as XLSX."
    )
    answer_seconds: int = Field(
        default=10, ge=1, description="How long a page waits for one statement or lock of PostgreSQL before it says so."
    )
    web_threads: int = Field(default=6, ge=1, le=64, description="Requests that one web process works on at once.")
    session_idle_minutes: int = Field(default=30, ge=1, description="Officers are signed out after so long of nothing.")
    session_hours: int = Field(default=12, ge=1, description="Officers are signed out so long after they signed in.")
    argon2_memory_kib: int = Field(default=65_536, ge=8, description="Memory that checking one password takes.")
    argon2_passes: int = Field(default=3, ge=1, description="How often that memory is gone over.")
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token that /metrics can be read with from elsewhere.",
    )
    log_json: bool = Field(default=False, description="One JSON object a line instead of coloured text.")

    @model_validator(mode="after")
    def _whole_wechat_account(self) -> Self:
        of_account = (self.wechat_token, self.wechat_aes_key, self.wechat_app_id)
        if any(of_account) and not all(of_account):
            raise ValueError("PORTAL_WECHAT_TOKEN, PORTAL_WECHAT_AES_KEY, PORTAL_WECHAT_APP_ID: set all three, or none")
        if self.wechat_aes_key and not re.fullmatch("[A-Za-z0-9+/]{43}", self.wechat_aes_key.get_secret_value()):
            raise ValueError("PORTAL_WECHAT_AES_KEY: the EncodingAESKey has 43 letters and digits")
        return self

    @model_validator(mode="after")
    def _whole_outside_ckan(self) -> Self:
        if self.publish_ckan_url and not (self.publish_ckan_organization and self.publish_ckan_token):
            raise ValueError("PORTAL_PUBLISH_CKAN_URL: set PORTAL_PUBLISH_CKAN_ORGANIZATION and _TOKEN beside it")
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir / 'portal.sqlite3'}"

    @property
    def resolved_keys_dir(self) -> Path:
        """The folder of private keys: never inside the data folder, so that no copy of the data holds them."""
        data_dir = self.data_dir.absolute()
        return self.keys_dir or data_dir.with_name(f"{data_dir.name}-keys")


METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes of one host write down what they answered: prometheus-client reads it from the environment."""


def metrics_folder() -> str | None:
    """The folder, if this process shares its figures with others."""
    return os.environ.get(METRICS_FOLDER)


def share_metrics(folder: str) -> None:
    """Let this process's children share their figures."""
    os.environ[METRICS_FOLDER] = folder


def serve_as(role: str) -> None:
    """Give this process and its children a role."""
    os.environ["PORTAL_ROLE"] = role
    get_settings.cache_clear()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
