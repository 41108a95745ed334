"""Two zones: the public side has no desk and holds no private key, the officers' side signs and opens for it."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import func, select

from bench.postgres import server
from portal import worker, zones
from portal.app import AREAS
from portal.kit import db, jobs, keyring, keys
from portal.kit.accounts import Account
from portal.kit.errors import PortalError
from portal.kit.keyring import NotInThisZone
from portal.kit.limits import door_of
from portal.kit.settings import get_settings
from record import acts, ledger, models, signed
from reporting import vault
from reporting.models import Tip
from tests import officers
from tests.conftest import PORTAL, Original, fill, forget_settings, free_port, served, use_settings


@pytest.fixture(scope="module")
def zone(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    """A public side over a demonstration, with the secrets that it shares and no private key; its data and its keys."""
    folder = tmp_path_factory.mktemp("zone")
    data, keys = folder / "var", folder / "shared-keys"
    shutil.copytree(demo_data, data)
    officers_keys = demo_data.with_name(f"{demo_data.name}-keys")
    keys.mkdir(mode=0o700)
    for file in officers_keys.glob("*.key"):
        if file.stem not in keyring.OFFICERS_ALONE:
            shutil.copy2(file, keys)
    with pytest.MonkeyPatch.context() as patch:
        use_settings(patch, data_dir=data, keys_dir=officers_keys)
        with db.writing() as session:
            signed.keep(session)
    forget_settings()
    with served(data, PORTAL_ROLE="public", PORTAL_KEYS_DIR=str(keys), PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url, data, keys


def ask(url: str, body: Any = None) -> tuple[int, bytes]:
    content = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json", "Accept-Language": "en"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=20) as answer:
            return int(answer.status), answer.read()
    except HTTPError as refusal:
        return refusal.code, refusal.read()


def of_the_desk() -> list[str]:
    """Every address of the officers' side that takes no number."""
    paths = {route.path for area in AREAS for router in area.desk for route in router.routes if door_of(route.endpoint)}
    return sorted({path for path in paths if "{" not in path} | {"/desk", "/desk/login", "/desk/accounts", "/desk/own"})


def test_nothing_of_the_desk_answers_on_the_public_side(zone: tuple[str, Path, Path]) -> None:
    url, _, _ = zone
    unknown = ask(f"{url}/no-such-page")[0]
    assert {ask(url + path)[0] for path in of_the_desk()} == {unknown} == {404}
    assert ask(f"{url}/desk/login", {"login": "x"})[0] in (404, 405)


def test_what_the_public_comes_for_is_there_and_no_private_key_is_needed(zone: tuple[str, Path, Path]) -> None:
    url, _, keys = zone
    pages = ("/", "/search?q=a", "/data", "/data/penalties", "/statistics", "/report/new?kind=report", "/ledger",
             "/partners", "/account/login", "/developers", "/api/v1/ledger/head")  # fmt: skip
    assert {path: ask(url + path)[0] for path in pages} == dict.fromkeys(pages, 200)
    told = {"kind": "report", "description": "店内公示价格与结账价格不一致，此件为编造。"}
    status, answer = ask(f"{url}/api/v1/tips", told)
    assert status == 201, answer
    status, answer = ask(f"{url}/api/v1/tips/status", {"receipt": json.loads(answer)["receipt"]})
    assert status == 200, answer
    assert not [file for file in keys.iterdir() if file.suffix != ".key" and file.name != ".lock"]


def test_a_tip_that_the_public_side_took_is_opened_on_the_officers_side(
    zone: tuple[str, Path, Path], demo_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, data, keys = zone
    words = "后厨有老鼠，此件为测试所编，请到现场查看。"
    assert ask(f"{url}/api/v1/tips", {"kind": "report", "description": words})[0] == 201
    use_settings(monkeypatch, data_dir=data, keys_dir=demo_data.with_name(f"{demo_data.name}-keys"))
    with db.reading() as session:
        tip = session.scalars(select(Tip).order_by(Tip.received_at.desc())).first()
        assert tip is not None
        assert words in vault.open_sealed(session, tip.sealed).decode()
    use_settings(monkeypatch, role="public", keys_dir=keys)
    with db.reading() as session, pytest.raises(PortalError):
        vault.open_sealed(session, tip.sealed)
    with pytest.raises(NotInThisZone):
        keyring.age_identity("intake")
    with pytest.raises(NotInThisZone):
        keyring.signing_key("ledger-head")
    with pytest.raises(NotInThisZone):
        keyring.secret("staff-mail")


def test_the_public_side_shows_the_newest_head_that_the_officers_side_signed(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "record.sign_head" in worker.TIMETABLE
    with db.writing() as session:
        jobs.add(session, "record.sign_head", [])
    assert jobs.drain()
    with db.reading() as session:
        here = signed.head(session)
    use_settings(monkeypatch, role="public")
    with db.reading() as session:
        assert signed.head(session) == here
        assert here.size == ledger.size(session)
        with pytest.raises(signed.SignedElsewhere):
            signed.head(session, 1)
    with db.writing() as session:
        session.delete(session.get_one(models.SignedHead, 1))
    with db.reading() as session, pytest.raises(signed.Unavailable):
        signed.head(session)


def test_the_public_side_changes_no_table_and_says_who_should(tmp_path: Path) -> None:
    environment = {**os.environ, "PORTAL_DATA_DIR": str(tmp_path / "var"), "PORTAL_DATABASE_URL": ""}
    refused = subprocess.run(
        [PORTAL, "serve", "--role", "public", "--port", str(free_port())],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "portal serve --role desk" in refused.stderr


# ---- the database keeps to it ---------------------------------------------------------------------------------------


@pytest.fixture
def web_account(
    originals: Callable[..., Original], postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A filled portal on PostgreSQL. Yields the URL by which the public side's account opens its database."""
    with originals("postgresql", fill).copy(monkeypatch, tmp_path):
        with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as server:
            server.execute("CREATE ROLE web LOGIN IN ROLE gongzhi_public")
        yield get_settings().database_url.replace("//postgres@", "//web@")
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as server:
        server.execute("DROP ROLE web")


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def refusals(connection: psycopg.Connection[Any], *statements: str) -> list[str]:
    """Those of the statements that PostgreSQL refused for want of rights."""
    refused = []
    for statement in statements:
        try:
            connection.execute(statement.encode())
        except InsufficientPrivilege:
            refused.append(statement)
    return refused


def number(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_every_table_is_the_officers_alone_or_something_of_it_was_granted(web_account: str) -> None:
    tables = sorted(db.Base.metadata.tables)
    with connected(web_account) as connection:
        seen = {one for one in tables if number(connection, f"SELECT has_any_column_privilege('{one}', 'SELECT')::int")}
        for table in (*zones.OFFICERS_ALONE, "ledger_entry", "ledger_head", "ledger_node", "entity", "vault_recipient"):
            may = f"SELECT has_table_privilege('{table}', 'INSERT, UPDATE, DELETE, TRUNCATE')::int"
            assert not number(connection, may), table
    assert seen == set(tables) - zones.OFFICERS_ALONE
    assert {"redaction", "identity_request", "unmatched", "redacted_fact", "feed_import"} <= zones.OFFICERS_ALONE


def test_its_account_sees_no_internal_entry_whatever_it_asks(web_account: str) -> None:
    with db.writing() as session:
        acts.keep(session, "withdraw", about="the-act", by=None, reason="the-words-of-an-officer")
        size = ledger.size(session)
        internal = session.scalar(
            select(func.count()).select_from(models.LedgerEntry).where(models.LedgerEntry.visibility == "internal")
        )
    heard: list[str] = []
    listens = """
        CREATE FUNCTION pg_temp.listens(said text) RETURNS boolean LANGUAGE plpgsql COST 0.0001
        AS $$ BEGIN RAISE NOTICE '%', said; RETURN true; END $$
    """
    with connected(web_account) as connection:
        connection.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))
        assert number(connection, "SELECT count(*) FROM ledger_entry") == size - (internal or 0) < size
        assert number(connection, "SELECT count(*) FROM ledger_step") == size
        connection.execute(listens)
        for of in ("ledger_entry", "published_entry"):
            number(connection, f"SELECT count(*) FROM {of} WHERE pg_temp.listens(payload::text)")
        assert len(heard) > 100
        assert not [said for said in heard if "the-words-of-an-officer" in said]
        wanted = [
            "INSERT INTO ledger_entry (seq) VALUES (0)",
            "UPDATE ledger_entry SET visibility = 'public'",
            "UPDATE ledger_head SET size = 0",
            "DELETE FROM ledger_entry",
            "ALTER TABLE ledger_entry DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE ledger_entry ADD COLUMN mine text",
            "CREATE TABLE mine (id int)",
            "SET ROLE postgres",
        ]
        assert refusals(connection, *wanted) == wanted


def test_its_account_knows_no_officer_and_makes_nobody_one(web_account: str) -> None:
    officer = officers.add_officer()
    with db.writing() as session:
        keys.create(session, owner_kind="department", owner_id="emergency", scopes=["feeds:*"])
    with connected(web_account) as connection:
        assert number(connection, "SELECT count(*) FROM account WHERE kind <> 'member'") == 0
        assert number(connection, f"SELECT count(*) FROM account WHERE login = '{officer.login}'") == 0
        connection.execute("UPDATE account SET password_hash = 'mine'")
        connection.execute("DELETE FROM account_session")
        connection.execute("UPDATE tip_file SET original = NULL")
        connection.execute("DELETE FROM tip_file")
        columns = "kind, login, name, department, roles, password_hash, totp_secret, created_at"
        key = "prefix, secret_sha256, owner_kind, owner_id, label, scopes, created_at, expires_at"
        wanted = [
            f"INSERT INTO account ({columns}) VALUES ('officer', 'x', 'x', '', '[]', '', '', now())",
            "UPDATE account SET kind = 'officer'",
            f"INSERT INTO api_key ({key}) VALUES ('x', '', 'department', 'x', '', '[]', now(), now())",
            f"INSERT INTO api_key ({key}) VALUES ('x', '', 'consumer', 'x', '', '[\"feeds:*\"]', now(), now())",
            "UPDATE api_key SET scopes = '[]'",
            "INSERT INTO job (task, items, state, tries, due_at, created_at)"
            " VALUES ('record.sign_head', '[]', 'waiting', 0, now(), now())",
            "SELECT items FROM job",
            "UPDATE organisation SET state = 'active'",
            "UPDATE tip_case SET state = 'closed'",
            "INSERT INTO tip_message (tip_id, author, at) VALUES ('x', 'officer', now())",
            "SELECT reason FROM case_step",
            "SELECT grounds FROM application",
        ]
        assert refusals(connection, *wanted) == wanted
    with db.reading() as session:
        assert session.scalars(select(Account.password_hash).where(Account.id == officer.id)).one() != "mine"


def test_the_public_side_serves_with_its_own_account_and_refuses_one_that_reaches_more(
    web_account: str, tmp_path: Path
) -> None:
    settings = get_settings()
    with db.writing() as session:
        signed.keep(session)
        code = session.scalars(select(models.Entity.code).order_by(models.Entity.code)).first()
    shared = {"PORTAL_ROLE": "public", "PORTAL_KEYS_DIR": str(settings.keys_dir)}
    pages = (
        "/", f"/entities/{code}", "/records/penalty", "/search?q=a", "/statistics", "/report", "/partners",
        "/data", "/ledger", "/ledger/0", "/api/v1/changes", "/api/v1/ledger/head", "/readyz", "/metrics",
    )  # fmt: skip
    with served(tmp_path / "var", PORTAL_DATABASE_URL=web_account, **shared) as url:
        assert {path: ask(url + path)[0] for path in pages} == dict.fromkeys(pages, 200)
        told = {"kind": "report", "description": "店内公示价格与结账价格不一致，此件为编造。"}
        assert ask(f"{url}/api/v1/tips", told)[0] == 201
        assert ask(f"{url}/api/v1/feeds/penalties", {"items": [{"CF_WSH": "1"}]})[0] == 404
        assert ask(f"{url}/desk")[0] == 404
    environment = {**os.environ, **shared, "PORTAL_DATA_DIR": str(tmp_path / "var")}
    command = [PORTAL, "serve", "--port", str(free_port())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "gongzhi_web" in done.stderr


def test_who_may_make_no_role_is_told_what_to_ask_for(postgres: str, tmp_path: Path) -> None:
    """On a server of which this is the first portal."""
    with server(safe=False) as url, psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("CREATE DATABASE plain OWNER plain")
        own = url.replace("//postgres@", "//plain@").rsplit("/", 1)[0] + "/plain"
        environment = {**os.environ, "PORTAL_DATABASE_URL": own, "PORTAL_DATA_DIR": str(tmp_path / "var")}
        command = [PORTAL, "serve", "--port", str(free_port())]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 1
        assert "CREATE ROLE gongzhi_public NOLOGIN" in done.stderr
