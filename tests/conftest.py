"""What tests share: a portal of their own on either database, a client, a served demonstration portal, a browser."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, event
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.postgres import free_port, server
from portal import migrations
from portal.kit import db, limits
from portal.kit.settings import get_settings
from portal.zones import PUBLIC_ROLE
from record import demo
from reporting import statistics, vault
from search import engine, index

os.environ |= {"PORTAL_ARGON2_MEMORY_KIB": "8", "PORTAL_ARGON2_PASSES": "1"}  # passwords that cost nothing

MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 2**30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # hundreds of databases are made and thrown away

PORTAL = Path(sys.executable).with_name("portal")

__all__ = ["free_port"]


# ---- nothing leaves this machine ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="session")
def _no_outside_sockets() -> Iterator[None]:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if str(host) not in ("localhost", "::1") and not str(host).startswith("127."):
            raise AssertionError(f"a test reached for {host}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of this test process's own. Yields the URL of its `postgres` database."""
    with server(safe=False) as url:
        yield url


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


@contextlib.contextmanager
def new_database(server: str) -> Iterator[str]:
    """A database without tables. Yields its URL."""
    name = f"new_{os.getpid()}_{time.monotonic_ns()}"
    _execute(server, f"CREATE DATABASE {name}")
    yield server.rsplit("/", 1)[0] + f"/{name}"
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


# ---- object storage -------------------------------------------------------------------------------------------------


def use_s3(patch: pytest.MonkeyPatch, address: str) -> None:
    """Let this process reach an S3 service, without TLS."""
    for name, value in (("ACCESS_KEY_ID", "probe"), ("SECRET_ACCESS_KEY", "probe"), ("REGION", "us-east-1")):
        patch.setenv(f"AWS_{name}", value)
    patch.setenv("AWS_ENDPOINT", address)
    use_settings(patch, storage_allow_http="true")


@pytest.fixture(scope="session")
def _s3_address() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    port = free_port()
    service = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    service.start()
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/files", method="PUT")).close()
    yield f"http://127.0.0.1:{port}"
    service.stop()


@pytest.fixture
def s3(_s3_address: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty folder of object storage, which this process can reach."""
    use_s3(monkeypatch, _s3_address)
    return f"s3://files/{abs(hash(request.node.nodeid)):x}"


# ---- one portal a test ----------------------------------------------------------------------------------------------


def use_settings(patch: pytest.MonkeyPatch, **values: object) -> None:
    """Make `PORTAL_*` settings those of this process, as if it had just started with them."""
    for name, value in values.items():
        patch.setenv(f"PORTAL_{name.upper()}", str(value))
    forget_settings()


def forget_settings() -> None:
    db.dispose()
    for cached in (get_settings, engine.current):
        cached.cache_clear()
    limits.limiter().reset()
    statistics.forget()


class Original:
    """A portal made once a test run, of which every test gets a copy of its own."""

    def __init__(self, folder: Path, server: str | None, fill: Callable[[], None]) -> None:
        self._folder = folder / "var"
        self._keys = folder / "keys"
        self._server = server
        self._database = f"original_{os.getpid()}_{time.monotonic_ns()}"
        if server:
            _execute(server, f"CREATE DATABASE {self._database}")
        with pytest.MonkeyPatch.context() as patch:
            use_settings(patch, data_dir=self._folder, keys_dir=self._keys, database_url=self._url(self._database))
            migrations.upgrade()
            fill()
        forget_settings()
        self._folder.mkdir(exist_ok=True)

    def _url(self, name: str) -> str:
        return self._server.rsplit("/", 1)[0] + f"/{name}" if self._server else ""

    @contextlib.contextmanager
    def copy(self, patch: pytest.MonkeyPatch, folder: Path) -> Iterator[Path]:
        """Point this process's settings to a copy in `folder`. Yields its data folder."""
        shutil.copytree(self._folder, folder / "var")
        if self._keys.exists():
            shutil.copytree(self._keys, folder / "keys")
        name = f"test_{os.getpid()}_{time.monotonic_ns()}"
        if self._server:
            _execute(self._server, f"CREATE DATABASE {name} TEMPLATE {self._database} STRATEGY FILE_COPY")
        use_settings(patch, data_dir=folder / "var", keys_dir=folder / "keys", database_url=self._url(name))
        try:
            yield folder / "var"
        finally:
            forget_settings()
            if self._server:
                _execute(self._server, f"DROP DATABASE {name} WITH (FORCE)")


def fill() -> None:
    """300 made-up entities with their records, indexed, and keys for what people report."""
    demo.fill(300)
    index.rebuild()
    vault.ready()


def nothing() -> None:
    """Leave the portal empty."""


@pytest.fixture(scope="session")
def originals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Original]:
    """Original portals by database and filling, each made when it is first needed."""

    @cache
    def original(kind: str, filling: Callable[[], None]) -> Original:
        server = request.getfixturevalue("postgres") if kind == "postgresql" else None
        return Original(tmp_path_factory.mktemp("original"), server, filling)

    return original


@pytest.fixture
def embedded(originals: Callable[..., Original], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty, migrated portal on SQLite in a folder of its own, which is yielded."""
    with originals("sqlite", nothing).copy(monkeypatch, tmp_path) as data_dir:
        yield data_dir


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest,
    originals: Callable[..., Original],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """An empty, migrated portal on each database in turn. Yields the database's kind."""
    with originals(request.param, nothing).copy(monkeypatch, tmp_path):
        yield request.param


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest,
    originals: Callable[..., Original],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """A portal with 300 made-up entities, indexed, on each database in turn. Yields the database's kind."""
    with originals(request.param, fill).copy(monkeypatch, tmp_path):
        yield request.param


# ---- the public side has its own rights -----------------------------------------------------------------------------

OFFICERS_PATHS = ("/desk", "/api/v1/feeds", "/metrics")
_as_the_public: ContextVar[bool] = ContextVar("as_the_public", default=False)


class PublicRights:
    """Middleware: what the public side answers is done in PostgreSQL with its role's rights, in every test."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        public = scope["type"] == "http" and not scope["path"].startswith(OFFICERS_PATHS)
        before = _as_the_public.set(public)
        try:
            await self._app(scope, receive, send)
        finally:
            _as_the_public.reset(before)


@event.listens_for(Engine, "begin")
def _with_public_rights(connection: Connection) -> None:
    if _as_the_public.get() and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL ROLE {PUBLIC_ROLE}")


@cache
def application() -> FastAPI:
    """The web application, made once: it asks the settings anew for every test."""
    from portal.app import create_app

    made = create_app()
    made.add_middleware(PublicRights)
    return made


@pytest.fixture
def client() -> Iterator[TestClient]:
    """The web application in this process, over whichever portal the test asked for."""
    with TestClient(application(), base_url="http://127.0.0.1:8000") as made:
        yield made


# ---- the portal as people meet it -----------------------------------------------------------------------------------


def wait_until_served(url: str, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the portal ended instead of serving"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer within {seconds} s")


@contextlib.contextmanager
def served(data_dir: Path, *, log: Path | None = None, port: int = 0, **settings: str) -> Iterator[str]:
    """Run `portal serve` over a data folder. Yields its address. `log`: where what it logs goes."""
    port = port or free_port()
    environment = {**os.environ, "PORTAL_DATA_DIR": str(data_dir), "PORTAL_DATABASE_URL": "", **settings}
    with contextlib.ExitStack() as stack:
        to = stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen([PORTAL, "serve", "--port", str(port)], env=environment, stderr=to)
    try:
        wait_until_served(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a portal that `portal demo` filled with a thousand entities. Copy it before you change it.

    Filled once for all processes of a test run, of which each has a copy.
    """
    own = tmp_path_factory.mktemp("demo")
    base = tmp_path_factory.getbasetemp()
    filled = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo-filled"
    with (filled.parent / "demo-filled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not filled.exists():
            filling = filled.with_name("demo-filling")
            environment = {**os.environ, "PORTAL_DATA_DIR": str(filling / "var"), "PORTAL_DATABASE_URL": ""}
            subprocess.run([PORTAL, "demo", "--entities", "1000"], env=environment, check=True, capture_output=True)
            filling.rename(filled)
    shutil.copytree(filled, own, dirs_exist_ok=True)
    return own / "var"


@pytest.fixture(scope="session")
def portal_url(demo_data: Path) -> Iterator[str]:
    """Address of a served portal with demonstration data; rate limits are off, for browsers ask fast."""
    with served(demo_data, PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium under Playwright, without windows where that is packaged: pages cost half as much."""
    from playwright.sync_api import sync_playwright

    quiet = "no-sandbox disable-gpu disable-quic disable-background-networking disable-component-update disable-sync"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=[f"--{flag}" for flag in [*quiet.split(), "no-first-run"]],
        )
        yield made
        made.close()


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rate limits in this process."""
    monkeypatch.setattr(limits.limiter(), "enabled", False)
