"""With the whole database, the storage, the logs and the public side's settings in hand, nobody reads what was told."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import inspect, select, text

from portal.kit import db, jobs, storage
from portal.kit.settings import get_settings
from reporting import identities, talk, vault
from reporting.models import Tip
from tests.conftest import served
from tests.reporting.telling import DEVICE, OWNER, SAID, SERIAL, hidden, status, tell, tell_by_api

pytestmark = pytest.mark.usefixtures("unlimited")

SECRETS = {
    "the narrative": SAID,
    "a name": "欧阳证人",
    "a telephone number": "13899990001",
    "a mail address": "witness-8848@example.cn",
    "a place": "桂林路八千八百四十八号",
    "a message": "我还有账本的照片",
    "a file's name": "账本第八页.jpg",
    "the camera": DEVICE,
    "its serial number": SERIAL,
    "its owner": OWNER,
    "the word for a reward": "青蛙王子之言",
}


def everything_kept() -> Iterator[tuple[str, bytes]]:
    """Every value of every table, every file of the data folder, every object, and the settings."""
    with db.reading() as session:
        names = inspect(session.get_bind()).get_table_names()
        for name in names:
            for row in session.execute(text(f'SELECT * FROM "{name}"')).all():
                for value in row:
                    yield name, value if isinstance(value, bytes) else str(value).encode()
    for path in get_settings().data_dir.rglob("*"):
        if path.is_file():
            yield str(path.name), path.read_bytes()
    for key in storage.keys("tips"):
        yield key, storage.get(key)
    yield "settings", str(get_settings()).encode()


@pytest.fixture
def told(open_vault: str, client: TestClient, photo: bytes) -> str:
    """A tip with everything that may be secret, told and talked about. Returns its receipt."""
    receipt = tell(
        client, files=[("账本第八页.jpg", photo)], named="yes", name="欧阳证人", phone="13899990001",
        email="witness-8848@example.cn", place="桂林路八千八百四十八号", word="青蛙王子之言",
    )  # fmt: skip
    page = client.post("/report/status", data={"receipt": receipt})
    client.post("/report/status/message", data={**hidden(page.text), "text": "我还有账本的照片"})
    jobs.drain()
    return receipt


def test_nothing_that_was_told_stands_anywhere_in_clear(told: str) -> None:
    secrets = {**SECRETS, "the receipt": told, "the receipt in groups": vault.grouped(told)}
    for where, content in everything_kept():
        for what, secret in secrets.items():
            for encoded in (secret.encode(), secret.encode("utf-16-le"), secret.encode("unicode_escape")):
                assert encoded not in content, f"{what} in {where}"


def test_the_desks_keys_read_it_and_the_public_sides_do_not(told: str) -> None:
    with db.reading() as session:
        (opened,) = talk.told(session, [session.scalars(select(Tip)).one()])
    assert opened.description == SAID
    assert opened.place == SECRETS["a place"]
    assert list(opened.files.values()) == [SECRETS["a file's name"]]
    assert [said for _, said in opened.said] == [SECRETS["a message"]]
    for path in get_settings().resolved_keys_dir.glob("vault-*"):
        path.unlink()
    from portal.kit import keyring

    keyring._age_identity.cache_clear()
    with db.reading() as session, pytest.raises(vault.NotForUs):
        talk.told(session, [session.scalars(select(Tip)).one()])


def test_the_public_side_takes_tips_without_any_private_key(open_vault: str, client: TestClient) -> None:
    from portal.kit import keyring

    for path in get_settings().resolved_keys_dir.glob("vault-*"):
        path.unlink()
    keyring._age_identity.cache_clear()
    told = tell_by_api(client, reporter={"name": "欧阳证人", "phone": "13899990001"})
    assert status(client, told["receipt"])["status"] == "received"


def test_a_stock_age_tool_would_open_what_is_stored(told: str) -> None:
    with db.reading() as session:
        tip = session.scalars(select(Tip)).one()
    assert tip.sealed is not None
    assert tip.sealed.startswith(b"age-encryption.org/v1\n")
    recipients = [line for line in tip.sealed.split(b"\n") if line.startswith(b"-> X25519 ")]
    assert len(recipients) == 2, "the department and intake"
    assert tip.identity_sealed is not None
    custodian = [line for line in tip.identity_sealed.split(b"\n") if line.startswith(b"-> X25519 ")]
    assert len(custodian) == 1, "who told is for the custodian alone"


def test_an_officer_who_opens_an_identity_leaves_none_of_it_in_the_ledger(told: str) -> None:
    from portal.kit.accounts import Account, officer_of
    from tests.officers import add_officer

    people = []
    for login in ("li.wei", "chen.yu"):
        someone = add_officer(login, roles=["clerk", "reviewer"])
        with db.reading() as session:
            people.append(officer_of(session.get_one(Account, someone.id)))
    with db.writing() as session:
        tip = session.scalars(select(Tip.id)).one()
        asked = identities.ask(session, people[0], tip, "核实现场，联系13899990001").id
    with db.writing() as session:
        identities.grant(session, people[1], asked)
    with db.writing() as session:
        assert identities.look(session, people[0], asked).name == "欧阳证人"
    for where, content in everything_kept():
        assert "欧阳证人".encode() not in content, where
        assert b"13899990001" not in content, where


def test_a_backup_holds_no_key_and_nothing_in_clear(told: str, tmp_path: Path) -> None:
    from portal import backup

    backup.make(tmp_path / "copy")
    import zstandard

    for path in (tmp_path / "copy").rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if content[:4] == b"\x28\xb5\x2f\xfd":
            content = zstandard.ZstdDecompressor().stream_reader(content).read()
        assert b"AGE-SECRET-KEY" not in content
        for secret in (SAID, "欧阳证人", told):
            assert secret.encode() not in content


def test_no_page_behind_a_receipt_is_kept_by_a_cache_or_named_to_another_site(told: str, client: TestClient) -> None:
    page = client.post("/report/status", data={"receipt": told})
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    assert told not in str(page.url)
    assert told not in page.text


def test_the_logs_hold_nothing_of_what_was_told_not_even_of_a_crash(
    embedded: Path, photo: bytes, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with (
        served(embedded, log=log, PORTAL_RATE_LIMITS_ENABLED="false") as url,
        httpx2.Client(base_url=url, headers={"User-Agent": "Probe-8848"}, timeout=30) as client,
    ):
        receipt = tell(client, files=[("账本第八页.jpg", photo)], named="yes", name="欧阳证人", phone="13899990001")
        page = client.post("/report/status", data={"receipt": receipt})
        client.post("/report/status/message", data={**hidden(page.text), "text": "我还有账本的照片"})
        client.post("/report/status", data={"receipt": "0000000000000000"})
        client.post("/report/preview", data={"description": SAID})
        with sqlite3.connect(embedded / "portal.sqlite3") as connection:
            connection.execute("ALTER TABLE tip RENAME TO tip_gone")
        assert client.post("/api/v1/tips", json={"kind": "report", "description": SAID}).status_code == 500
    logged = log.read_text("utf-8")
    assert "route=/report/send" in logged, "the logs were really looked at"
    assert "request.crashed" in logged
    for what, secret in {**SECRETS, "the receipt": receipt, "a program's name": "Probe-8848"}.items():
        assert secret not in logged, what
        assert secret.encode("unicode_escape").decode() not in logged, what
    assert "127.0.0.1" not in logged.replace(url, ""), "no address of anybody"


def test_a_child_that_examines_files_gets_no_settings_and_writes_no_file(photo: bytes, tmp_path: Path) -> None:
    """The child's environment is empty of ours, and it may not write a single byte to a file."""
    probe = "import os; from reporting.examining import _limit; _limit()\n"
    probe += f"open({str(tmp_path / 'x')!r}, 'wb').write(b'x' * 10)"
    command = [sys.executable, "-I", "-c", probe]
    subprocess.run(command, capture_output=True, check=False, env={"PATH": os.defpath})
    assert (tmp_path / "x").stat().st_size == 0
