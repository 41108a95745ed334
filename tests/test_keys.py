"""An API key opens what it was given for, until it ends, and only a hash of it is kept."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from portal.app import create_app
from portal.kit import db, keys, limits, web
from portal.kit.keys import ApiKey, key_with
from portal.kit.limits import door, door_of
from tests.conftest import PORTAL
from tests.test_house_rules import routes

pytestmark = pytest.mark.usefixtures("database")


@cache  # slowapi remembers a limit for each time that a route is declared
def feeds() -> FastAPI:
    """One route for key holders and one for anybody, each with a door of three a minute."""
    router = limits.router(prefix="/api/probe")

    @router.get("/feeds/{kind}")
    @door(who="key", limit="3/minute")
    def of_kind(request: Request, kind: str, holder: Annotated[ApiKey, key_with("feeds:{kind}")]) -> dict[str, Any]:
        return {"owner": holder.owner}

    @router.get("/open")
    @door(who="anyone", limit="3/minute")
    def open_to_all(request: Request) -> dict[str, Any]:
        return {}

    app = FastAPI()
    app.state.limiter = limits.limiter()
    web.add_error_handlers(app)
    app.add_middleware(web.Frame)
    app.include_router(router)
    return app


@pytest.fixture
def probe() -> Iterator[TestClient]:
    with TestClient(feeds(), headers={"Accept-Language": "en"}) as client:
        yield client


def issue(*scopes: str, **options: Any) -> tuple[ApiKey, str]:
    with db.writing() as session:
        return keys.create(session, owner_kind="department", owner_id="emergency", scopes=scopes, **options)


def ask(probe: TestClient, presented: str | None, path: str = "feeds/penalties") -> Any:
    headers = {"Authorization": f"Bearer {presented}"} if presented is not None else {}
    return probe.get(f"/api/probe/{path}", headers=headers)


def stored() -> ApiKey:
    with db.reading() as session:
        return session.scalars(select(ApiKey)).one()


def test_a_key_opens_what_its_scope_names_and_its_day_of_use_is_kept(probe: TestClient) -> None:
    _, presented = issue("feeds:penalties")
    answer = ask(probe, presented)
    assert (answer.status_code, answer.json()) == (200, {"owner": "department:emergency"})
    assert stored().last_used_on == db.now().date()


def test_a_scope_for_every_kind_opens_every_kind(probe: TestClient) -> None:
    _, presented = issue("feeds:*")
    assert ask(probe, presented, "feeds/permits").status_code == 200


def test_nobody_is_told_that_a_key_is_needed(probe: TestClient) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}):
        answer = probe.get("/api/probe/feeds/penalties", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["type"].endswith("#problem-key-missing")


def test_a_mistyped_an_unknown_and_a_wrong_key_are_refused_in_the_same_words(probe: TestClient) -> None:
    key, presented = issue("feeds:penalties")
    _, prefix, secret, _ = presented.split("_")
    other = "a" * 52 if secret != "a" * 52 else "b" * 52
    wrong = [
        presented[:-1] + ("0" if presented[-1] != "0" else "1"),
        presented.upper(),
        keys._with_checksum(f"gz_{prefix}_{other}"),
        keys._with_checksum(f"gz_{'a' * 8}_{secret}"),
        "anything",
    ]
    answers = [ask(probe, one) for one in wrong]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert stored().last_used_on is None
    assert key.prefix == prefix


def test_a_key_without_the_scope_is_told_which_one_it_lacks(probe: TestClient) -> None:
    _, presented = issue("feeds:permits", "evaluations:write")
    answer = ask(probe, presented)
    assert answer.status_code == 403
    assert "feeds:penalties" in answer.json()["remedy"]
    assert "insufficient_scope" in answer.headers["www-authenticate"]


def test_an_expired_and_a_revoked_key_open_nothing(probe: TestClient) -> None:
    _, expired = issue("feeds:penalties", lifetime=timedelta(seconds=-1))
    key, revoked = issue("feeds:penalties")
    with db.writing() as session:
        keys.revoke(session, key.prefix)
        keys.revoke(session, key.prefix)
    for presented in (expired, revoked):
        answer = ask(probe, presented)
        assert (answer.status_code, answer.json()["type"]) == (401, "/developers#problem-key-ended")


def test_a_rotated_key_works_beside_its_successor_for_a_week(probe: TestClient) -> None:
    old, old_text = issue("feeds:penalties", label="night run")
    with db.writing() as session:
        new, new_text = keys.rotate(session, old.prefix)
        assert (new.owner, new.scopes, new.label) == (old.owner, old.scopes, "night run")
    assert [ask(probe, one).status_code for one in (old_text, new_text)] == [200, 200]
    with db.reading() as session:
        ends = session.scalars(select(ApiKey.expires_at).where(ApiKey.prefix == old.prefix)).one()
    assert timedelta(days=6) < ends - db.now() <= keys.OVERLAP


def test_the_key_itself_is_never_stored() -> None:
    _, presented = issue("feeds:penalties")
    with db.reading() as session:
        row = str(session.execute(text("select * from api_key")).one())
    assert presented.split("_")[2] not in row


def test_a_malformed_owner_or_scope_is_refused() -> None:
    with db.writing() as session:
        for kind, scopes in (("department", ["everything"]), ("department", []), ("", ["feeds:*"])):
            with pytest.raises(ValueError):
                keys.create(session, owner_kind=kind, owner_id="x", scopes=scopes)


def test_each_key_has_its_own_count_and_an_invented_one_gets_none(probe: TestClient) -> None:
    (_, one), (_, other) = issue("feeds:*"), issue("feeds:*")
    assert [ask(probe, one).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask(probe, other).status_code == 200
    invented = [keys._with_checksum(f"gz_{letter * 8}_{'a' * 52}") for letter in "abcd"]
    assert [ask(probe, each, "open").status_code for each in invented] == [200, 200, 200, 429]


def test_a_key_is_made_rotated_and_revoked_from_the_command_line(probe: TestClient) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        done = subprocess.run([PORTAL, "keys", *arguments, "--json"], check=True, capture_output=True, text=True)
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert told.get("key", "nothing") not in done.stderr
        return told

    made = run("create", "--partner", "demo-association", "--scope", "feeds:penalties", "--expires-days", "30")
    assert re.fullmatch(r"gz_[a-z2-7]{8}_[a-z2-7]{52}_[0-9a-f]{8}", made["key"])
    assert made["owner"] == "partner:demo-association"
    assert ask(probe, made["key"]).status_code == 200
    successor = run("rotate", made["prefix"])
    assert "key" not in run("revoke", made["prefix"])
    assert [ask(probe, one["key"]).status_code for one in (made, successor)] == [401, 200]


@pytest.mark.usefixtures("unlimited")
def test_no_route_for_key_holders_opens_without_a_key(client: TestClient) -> None:
    closed = {
        (method, path)
        for path, operations in create_app().openapi()["paths"].items()
        for method, operation in operations.items()
        if (security := operation.get("security")) and {} not in security
    }
    declared = [route for route in routes() if (door := door_of(route.endpoint)) and door.who == "key"]
    assert len(closed) == len(declared), "a route for key holders does not ask for a key"
    for method, path in closed:
        answer = client.request(method, re.sub(r"\{[^}]+\}", "1", path))
        assert answer.status_code == 401, path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "--scope", "feeds:*"], 2),
        (["create", "--owner", "department:x", "--scope", "everything"], 2),
        (["revoke", "aaaaaaaa"], 1),
    ],
)
def test_the_command_line_refuses_what_it_cannot_do(arguments: list[str], code: int) -> None:
    done = subprocess.run([PORTAL, "keys", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr
