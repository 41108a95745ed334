"""Keys for programs by a link, limits by tier, what is counted, and consumers that fall behind withdrawals."""

import re
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select

from opendata import consumers, usage
from opendata.models import Consumer, UsageCount
from portal.kit import db, jobs, keys
from record import publication
from record.publication import PUBLISHED
from tests.officers import add_officer, sign_in
from tests.record.test_follow import letters

ADDRESS = "dev@example.com"


def ask(client: TestClient, address: str = ADDRESS, name: str = "供应商核查", **headers: str) -> Any:
    return client.post("/data/key", data={"address": address, "name": name}, headers=headers, follow_redirects=False)


def link_of(letter: EmailMessage) -> str:
    text = letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    found = re.search(r"http://127\.0\.0\.1:8000(/data/key/\S+?)\?lang=", text)
    assert found is not None
    return found[1]


def page_of(client: TestClient, address: str = ADDRESS) -> str:
    """The page behind the newest link."""
    assert ask(client, address).status_code == 303
    jobs.drain()
    return link_of(letters()[-1])


def key_of(client: TestClient, page: str) -> str:
    answer = client.post(f"{page}/new-key")
    assert answer.status_code == 200
    found = re.search(r"gz_[a-z2-7]{8}_[a-z2-7]{52}_[0-9a-f]{8}", answer.text)
    assert found is not None
    return found[0]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def withdraw_one() -> int:
    with db.writing() as session:
        seq = session.scalar(select(PUBLISHED.c.seq).where(PUBLISHED.c.kind == "permit").limit(1))
        assert seq is not None
        publication.withdraw(session, [seq], "repaired")
        return int(seq)


@pytest.mark.usefixtures("filled", "unlimited")
def test_a_key_is_asked_for_by_mail_shown_once_used_and_ended(client: TestClient) -> None:
    page = page_of(client)
    assert "供应商核查" in client.get(page).text
    with db.reading() as session:
        assert session.scalars(select(keys.ApiKey)).all() == [], "opening the link makes nothing"
    key = key_of(client, page)
    assert key not in client.get(page).text
    assert client.get(page).headers["cache-control"] == "no-store"
    assert client.get("/api/v1/entities?q=上海", headers=bearer(key)).status_code == 200
    assert client.get("/data/withdrawn.csv", headers=bearer(key)).status_code == 200
    usage.flush()
    assert "/api/v1/entities" in client.get(page).text
    prefix = key.split("_")[1]
    assert client.post(f"{page}/end-key", data={"prefix": prefix}, follow_redirects=False).status_code == 303
    refused = client.get("/api/v1/entities?q=上海", headers=bearer(key))
    assert (refused.status_code, refused.json()["type"]) == (401, "/developers#problem-key-ended")


@pytest.mark.usefixtures("filled", "unlimited")
def test_whoever_ends_it_all_is_forgotten_and_the_address_lies_nowhere_in_clear(client: TestClient) -> None:
    page = page_of(client)
    key = key_of(client, page)
    with db.reading() as session:
        kept = session.scalars(select(Consumer)).one()
        assert ADDRESS not in str(vars(kept))
        assert consumers.address_of(kept) == ADDRESS
    assert client.post(f"{page}/end", follow_redirects=False).headers["location"] == "/data/key"
    assert client.get(page).status_code == 410
    assert client.get("/data/withdrawn.csv", headers=bearer(key) | {"Accept": "application/json"}).status_code == 401


@pytest.mark.usefixtures("filled", "unlimited")
def test_every_address_is_answered_alike_and_gets_few_mails_a_day(client: TestClient) -> None:
    answers = [ask(client) for _ in range(7)]
    assert {(one.status_code, one.headers["location"]) for one in answers} == {(303, "/data/key?asked=1")}
    jobs.drain()
    assert len(letters()) == consumers.MAILS_A_DAY
    for wrong in ({"address": "nobody"}, {"name": ""}, {"name": "x" * 101}):
        refused = ask(client, **{"address": "other@example.com", "name": "x"} | wrong)
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
    assert ask(client, Origin="https://evil.example").status_code == 403
    assert client.get("/data/key/forged").status_code == 400


@pytest.mark.usefixtures("filled", "unlimited")
def test_who_never_makes_a_key_is_forgotten_and_a_link_ends_after_a_day(client: TestClient) -> None:
    page = page_of(client)
    with time_machine.travel(db.now() + timedelta(hours=25)):
        assert client.get(page).status_code == 410
    with time_machine.travel(db.now() + timedelta(days=3)):
        assert consumers.purge() == 1


@pytest.mark.usefixtures("filled", "unlimited")
def test_a_consumer_has_few_keys_and_ends_its_own_alone(client: TestClient) -> None:
    page, other = page_of(client), page_of(client, "other@example.com")
    made = [key_of(client, page) for _ in range(consumers.MOST_KEYS)]
    refused = client.post(f"{page}/new-key")
    assert (refused.status_code, 'role="alert"' in refused.text) == (409, True)
    theirs = made[0].split("_")[1]
    assert client.post(f"{other}/end-key", data={"prefix": theirs}).status_code == 404
    assert client.get("/data/withdrawn.csv", headers=bearer(made[0])).status_code == 200


@pytest.mark.usefixtures("filled")
def test_with_a_key_ten_times_as_much_may_be_asked_and_headers_say_so(client: TestClient) -> None:
    page = page_of(client)
    key = key_of(client, page)
    without = client.get("/data/withdrawn.csv").headers["ratelimit-policy"]
    within = client.get("/data/withdrawn.csv", headers=bearer(key)).headers["ratelimit-policy"]
    quota = [int(re.search(r"q=(\d+)", one)[1]) for one in (without, within)]  # type: ignore[index]
    assert quota[1] == 10 * quota[0]
    statuses = [client.get("/data/withdrawn.csv").status_code for _ in range(quota[0])]
    assert statuses[-1] == 429
    assert client.get("/data/withdrawn.csv", headers=bearer(key)).status_code == 200


@pytest.mark.usefixtures("filled", "unlimited")
def test_ckans_clients_send_their_key_as_they_do_and_a_wrong_one_is_refused_in_ckans_words(client: TestClient) -> None:
    key = key_of(client, page_of(client))
    for headers in ({"Authorization": key}, {"X-CKAN-API-Key": key}, {"Authorization": "another portal's token"}):
        assert client.get("/api/3/action/status_show", headers=headers).json()["success"] is True
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    refused = client.get("/api/3/action/status_show", headers={"Authorization": wrong})
    assert (refused.status_code, refused.json()["error"]["__type"]) == (403, "Authorization Error")
    dumped = client.get("/datastore/dump/permits", headers={"X-CKAN-API-Key": wrong})
    assert dumped.status_code == 403
    assert client.get("/api/v1/changes", headers=bearer("gz_wrong")).status_code == 401


@pytest.mark.usefixtures("filled", "unlimited")
def test_requests_are_counted_by_day_and_key_and_nothing_else_is_kept(client: TestClient) -> None:
    key = key_of(client, page_of(client))
    for _ in range(3):
        client.get("/api/3/action/package_list")
    client.get("/api/3/action/package_list", headers={"Authorization": key})
    client.get("/api/3/action/invented-by-somebody")
    client.get("/about")
    usage.flush()
    usage.flush()
    client.get("/api/3/action/package_list")
    usage.flush()
    with db.reading() as session:
        counted = {(one.prefix, one.what): one.requests for one in session.scalars(select(UsageCount))}
    assert counted[("", "/api/3/action/package_list")] == 4
    assert counted[(key.split("_")[1], "/api/3/action/package_list")] == 1
    assert not any("invented" in what or "about" in what or "key/" in what for _, what in counted)


@pytest.mark.usefixtures("filled", "unlimited")
def test_a_consumer_says_how_far_it_is_and_is_reminded_when_withdrawals_wait(client: TestClient) -> None:
    page = page_of(client)
    headers = bearer(key_of(client, page))
    address = "/api/v1/changes/acknowledge"
    assert client.get(address, headers=headers).json() == {
        "seq": None, "acknowledged_at": None, "behind": None, "withdrawals": 0,
    }  # fmt: skip
    newest = client.get("/api/v1/changes?limit=1").json()["total"] - 1
    assert client.post(address, headers=headers, json={"seq": newest + 1}).status_code == 422
    assert client.post(address, headers=headers, json={"seq": newest}).json()["behind"] == 0
    assert client.post(address, json={"seq": newest}).status_code == 401
    withdraw_one()
    assert client.get(address, headers=headers).json()["withdrawals"] == 1
    before = len(letters())
    for days, sent in ((1, 0), (4, 1), (5, 1), (12, 2)):
        with time_machine.travel(db.now() + timedelta(days=days)), db.writing() as session:
            jobs.add(session, consumers.REMIND, [])
        with time_machine.travel(db.now() + timedelta(days=days)):
            jobs.drain()
            jobs.drain()
        assert len(letters()) - before == sent, days
    total = client.get("/api/v1/changes?limit=1").json()["total"]
    client.post(address, headers=headers, json={"seq": total - 1})
    with time_machine.travel(db.now() + timedelta(days=30)), db.reading() as session:
        assert consumers.stale(session) == []


@pytest.mark.usefixtures("filled", "unlimited")
def test_administrators_see_use_and_lag_and_end_a_consumer_with_a_reason(client: TestClient) -> None:
    headers = bearer(key_of(client, page_of(client)))
    client.post("/api/v1/changes/acknowledge", headers=headers, json={"seq": 0})
    client.get("/api/3/action/package_list", headers=headers)
    usage.flush()
    assert client.get("/desk/consumers", follow_redirects=False).status_code in {303, 401, 403}
    sign_in(client, add_officer("admin.one", roles=["administrator"]))
    shown = client.get("/desk/consumers").text
    assert "供应商核查" in shown
    assert "/api/3/action/package_list" in shown
    assert ADDRESS not in shown
    action = re.search(r'action="(/desk/consumers/[0-9a-f]{32}/end)"', shown)
    token = re.search(r'name="form_token" value="([^"]+)"', shown)
    assert action is not None
    assert token is not None
    sent = {"reason": "滥用接口，已电话告知", "form_token": token[1]}
    assert client.post(action[1], data=sent, follow_redirects=False).status_code == 303
    assert client.get("/api/v1/changes/acknowledge", headers=headers).status_code == 401


def test_counts_are_forgotten_in_time(filled: str) -> None:
    usage.note("/data")
    usage.flush()
    with time_machine.travel(db.now() + timedelta(days=401)):
        assert usage.purge() >= 1
