"""Watches: programs are told, signed and in order, of the entities on a list of theirs, and of no others."""

import json
import multiprocessing
import os
import random
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select
from standardwebhooks import Webhook

from portal.kit import db, keys
from record import feedback, publication, watches
from record.codes import made_up
from record.models import KindSwitch, Subscription
from tests.conftest import use_settings
from tests.record.test_feedback import CODE, Platform, Receiver, append, beat, penalty, platform, withdraw, work

assert platform
OTHER = made_up("91", random.Random(8))
pytestmark = pytest.mark.usefixtures("unlimited")


def key(owner: str = "one") -> dict[str, str]:
    with db.writing() as session:
        _, text = keys.create(session, owner_kind="consumer", owner_id=owner, scopes=["watches:write"])
    return {"Authorization": f"Bearer {text}"}


def watch(client: TestClient, platform: Platform, headers: dict[str, str], **said: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/watches", headers=headers, json={"url": platform.url, "codes": [CODE]} | said)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_watch_is_told_of_its_entities_alone_in_order_and_signed(platform: Platform, client: TestClient) -> None:
    append(penalty(1))
    headers = key()
    made = watch(client, platform, headers)
    (first,) = append(penalty(2))
    append(penalty(3, code=OTHER))
    work()
    withdraw(first)
    work()
    shown = client.get(f"/api/v1/changes?after={first - 1}&limit=100").json()["items"]
    expected = [one["id"] for one in shown if one["entry"] is None or one["entry"]["entity_code"] == CODE]
    assert [event["id"] for event in platform.events] == [first_id(shown, first), *expected[-1:]]
    assert platform.events[-1]["data"]["entry"] is None
    assert platform.events[-1]["data"]["withdrawn"] == first_id(shown, first)
    for sent, body in platform.requests:
        Webhook(made["secret"]).verify(body, dict(sent))
    again = client.get(f"/api/v1/watches/{made['id']}", headers=headers).json()
    assert (again["state"], again["codes"], again["last_error"]) == ("active", 1, None)
    assert "secret" not in again


def first_id(shown: list[dict[str, Any]], seq: int) -> str:
    return str(next(one["id"] for one in shown if one["seq"] == seq))


def test_kinds_codes_and_the_end_of_a_watch_are_its_owners_to_choose(platform: Platform, client: TestClient) -> None:
    headers = key()
    made = watch(client, platform, headers, kinds=["permit"])
    append(penalty(1))
    work()
    assert platform.events == []
    plain = watch(client, platform, headers)
    put = client.put(f"/api/v1/watches/{plain['id']}/codes", headers=headers, json={"codes": [OTHER, OTHER]})
    assert put.json()["codes"] == 1
    append(penalty(2), penalty(3, code=OTHER))
    work()
    assert [event["subject"] for event in platform.events] == [OTHER]
    assert {one["id"] for one in client.get("/api/v1/watches", headers=headers).json()["items"]} == {
        made["id"], plain["id"],
    }  # fmt: skip
    assert client.delete(f"/api/v1/watches/{plain['id']}", headers=headers).status_code == 204
    append(penalty(4, code=OTHER))
    work()
    assert len(platform.events) == 1


def test_nobody_sees_or_ends_anothers_watch_and_wrong_input_is_refused(platform: Platform, client: TestClient) -> None:
    made = watch(client, platform, key("one"))
    theirs = key("two")
    address = f"/api/v1/watches/{made['id']}"
    assert client.get(address, headers=theirs).status_code == 404
    assert client.delete(address, headers=theirs).status_code == 404
    assert client.post(f"{address}/resume", headers=theirs).status_code == 404
    assert client.get("/api/v1/watches", headers=theirs).json()["items"] == []
    assert client.get("/api/v1/watches").status_code == 401
    for wrong in ({"codes": []}, {"codes": ["x"]}, {"url": "https://10.0.0.1:99999/"}, {"kinds": ["gossip"]}):
        asked = {"url": platform.url, "codes": [CODE]} | wrong
        assert client.post("/api/v1/watches", headers=theirs, json=asked).status_code == 422, wrong


def test_a_receiver_that_is_away_is_asked_again_and_one_that_says_gone_is_left_alone(
    platform: Platform, client: TestClient
) -> None:
    headers = key()
    made = watch(client, platform, headers)
    platform.answer = lambda receiver, event: receiver.reply(500)
    append(penalty(1))
    work()
    with db.writing() as session:
        kept = session.scalars(select(Subscription)).one()
        assert kept.tries == 1
        kept.next_attempt_at = None
    platform.answer = lambda receiver, event: receiver.reply(204)
    beat()
    assert len({event["id"] for event in platform.events}) == 1
    platform.answer = lambda receiver, event: receiver.reply(410)
    append(penalty(2))
    work()
    address = f"/api/v1/watches/{made['id']}"
    assert client.get(address, headers=headers).json()["state"] == "dead"
    platform.answer = lambda receiver, event: receiver.reply(204)
    assert client.post(f"{address}/resume", headers=headers).json()["state"] == "active"
    work()
    assert client.get(address, headers=headers).json()["last_error"] is None


def test_an_idle_watch_is_not_woken_by_what_concerns_others_and_has_its_turn_when_far_behind(
    platform: Platform, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(client, platform, key())
    for number in range(5):
        append(penalty(number, code=OTHER))
    with db.reading() as session:
        assert feedback.due(session) == []
    monkeypatch.setattr(watches, "LOOKED_AT", 2)
    with db.reading() as session:
        assert len(feedback.due(session)) == 1
    beat()
    with db.reading() as session:
        assert feedback.due(session) == []
    (seq,) = append(penalty(9))
    work()
    assert [event["data"]["seq"] for event in platform.events] == [seq]


# ---- what a watch must not learn ------------------------------------------------------------------------------------


def switch(*, on: bool, since: timedelta = timedelta(0)) -> None:
    day = publication.today() - since
    with db.writing() as session:
        session.merge(KindSwitch(kind="penalty", since=day, public_here=on, because="决定"))


def test_nobody_learns_from_a_watch_what_was_never_shown_of_an_entity(platform: Platform, client: TestClient) -> None:
    watch(client, platform, key())
    withdraw(*append(penalty(1, gravity="minor"), penalty(2, gravity="minor")))
    switch(on=False)
    withdraw(*append(penalty(3)))
    append(penalty(4))
    beat()
    assert platform.events == []
    switch(on=True)
    (seq,) = append(penalty(5))
    work()
    assert platform.seqs == [seq]


def test_whoever_holds_an_entry_is_told_of_its_withdrawal_though_its_kind_is_no_longer_shown(
    platform: Platform, client: TestClient
) -> None:
    watch(client, platform, key())
    (seq,) = append(penalty(1))
    work()
    with time_machine.travel(db.now() + timedelta(days=2)):
        switch(on=False, since=timedelta(days=1))
        withdraw(seq)
        work()
    assert [event["data"]["withdrawn"] for event in platform.events] == [None, platform.events[0]["id"]]


def test_what_was_withdrawn_before_its_turn_is_told_as_a_withdrawal_alone(
    platform: Platform, client: TestClient
) -> None:
    watch(client, platform, key())
    (seq,) = append(penalty(1, act="发布奇观异想广告"))
    withdraw(seq)
    work()
    [event] = platform.events
    assert (event["data"]["entry"], event["data"]["data_set"]) == (None, "penalty")
    assert "subject" not in event
    assert CODE not in str(event)
    assert "奇观异想" not in str(event)


def test_a_correction_that_is_about_somebody_else_is_told_to_those_who_have_what_it_takes_back(
    platform: Platform, client: TestClient
) -> None:
    watch(client, platform, key())
    wrong = penalty(1)
    (first,) = append(wrong)
    (second,) = append(wrong._replace(entity_code=OTHER))
    work()
    assert platform.seqs == [second]
    beat()
    assert platform.events[0]["data"]["supersedes"]
    assert first < second


# ---- crashes, and two at once ---------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_after_sending_repeats_that_event_under_its_id(
    platform: Platform, client: TestClient
) -> None:
    watch(client, platform, key())
    seqs = append(*(penalty(number) for number in range(4)))
    with db.reading() as session:
        number = session.scalars(select(Subscription.id)).one()
    reached, let_go = threading.Event(), threading.Event()

    def hold(receiver: Receiver, event: dict[str, Any]) -> None:
        if event["data"]["seq"] == seqs[2] and not reached.is_set():
            reached.set()
            let_go.wait(30)
        receiver.reply(204)

    platform.answer = hold
    child = multiprocessing.get_context("spawn").Process(target=feedback.deliver, args=(number,))
    child.start()
    assert reached.wait(30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    let_go.set()
    with time_machine.travel(db.now() + feedback.LEASE + timedelta(seconds=1)):
        beat()
    assert platform.seqs == [*seqs[:3], *seqs[2:]]
    assert platform.events[2]["id"] == platform.events[3]["id"]


def test_codes_that_are_taken_off_a_watch_are_told_no_more_even_by_a_run_that_goes_on(
    platform: Platform, client: TestClient
) -> None:
    headers = key()
    made = watch(client, platform, headers)
    seqs = append(penalty(1), penalty(2), penalty(3, code=OTHER))

    def change(receiver: Receiver, event: dict[str, Any]) -> None:
        if len(platform.seqs) == 1:
            client.put(f"/api/v1/watches/{made['id']}/codes", headers=headers, json={"codes": [OTHER]})
        receiver.reply(204)

    platform.answer = change
    work()
    beat()
    assert platform.seqs == [seqs[0], seqs[2]]


def test_no_more_watches_than_allowed_are_made_however_many_are_asked_for_at_once(
    platform: Platform, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, watches_of_one=2)
    headers = key()
    asked = {"url": platform.url, "codes": [CODE]}
    with ThreadPoolExecutor(6) as at_once:
        sent = [at_once.submit(client.post, "/api/v1/watches", headers=headers, json=asked) for _ in range(6)]
    assert sorted(one.result().status_code for one in sent) == [201, 201, 409, 409, 409, 409]
    assert client.get("/api/v1/watches", headers=headers).json()["total"] == 2


@pytest.mark.usefixtures("database")
def test_the_receivers_guide_shows_a_request_that_makes_a_watch(client: TestClient) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text(encoding="utf-8")
    [asked] = re.findall(r"api/v1/watches -H .*?-d '(\{.*?\})'", guide, re.DOTALL)
    headers = key()
    made = client.post("/api/v1/watches", headers=headers, json=json.loads(asked)).json()
    assert (made["host"], made["codes"], made["kinds"]) == ("receiver.example", 1, ["penalty"])
    fields = re.findall(r"`(\w+)`", re.findall(r"your watches: (.*?) \|", guide)[0])
    assert set(fields) <= set(client.get(f"/api/v1/watches/{made['id']}", headers=headers).json())
