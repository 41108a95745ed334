"""Two zones: the public side has no desk and holds no private key, the officers' side signs and opens for it."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from sqlalchemy import select

from portal import worker
from portal.app import AREAS
from portal.kit import db, jobs, keyring
from portal.kit.errors import PortalError
from portal.kit.keyring import NotInThisZone
from portal.kit.limits import door_of
from record import ledger, models, signed
from reporting import vault
from reporting.models import Tip
from tests.conftest import PORTAL, forget_settings, free_port, served, use_settings


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
