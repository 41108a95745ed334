"""Platforms that follow the record get every public change, in order, signed, until they take it, and no text more."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import delete, select, update
from typer.testing import CliRunner

from portal import subscribers, worker
from portal.kit import db, jobs, webhooks
from portal.kit.jobs import Job
from record import feedback, feeds, ledger, publication, subscriptions
from record.ledger import Fact
from record.models import Entity, LedgerEntry, Subscription
from tests.conftest import PORTAL, use_settings
from tests.officers import add_officer, form_token, sign_in
from tests.test_webhooks import Receiver, listen

ROOT = Path(__file__).parents[2]
CODE = "91310199MA1DEMO018"
HOME = "/desk/deliveries"


class Platform:
    """A receiver on this machine. Keeps what it was sent, in order; answers as the test says."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[Receiver, dict[str, Any]], None] = lambda receiver, event: receiver.reply(204)
        platform = self

        def take(receiver: Receiver) -> None:
            platform.answer(receiver, json.loads(platform.requests[-1][1]))

        self._server = listen(type("PlatformReceiver", (Receiver,), {"received": self.requests, "answer": take}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks?token=hush"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    @property
    def seqs(self) -> list[int]:
        return [event["data"]["seq"] for event in self.events]


@pytest.fixture
def platform(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform, beside an empty portal on each database in turn."""
    use_settings(monkeypatch, webhooks_to_loopback="true")
    made = Platform()
    yield made
    made.close()


def subscribe(platform: Platform, name: str = "监管平台", **options: Any) -> tuple[int, str]:
    """The number of a new subscription, and its secret."""
    with db.writing() as session:
        made, secret = subscriptions.add(session, name=name, url=platform.url, by=None, **options)
        return made.id, secret


def standing(subscription_id: int) -> Subscription:
    with db.reading() as session:
        return session.get_one(Subscription, subscription_id)


def inspection(number: int, **said: Any) -> Fact:
    payload = {"party_name": "上海青禾照明电器有限公司", "subject": f"检查事项{number}", "result": "合格"} | said
    return Fact("inspection", "test", f"{number}号|{CODE}", payload, CODE, "2026-03-05")


def penalty(number: int, *, act: str = "发布奇观异想广告", gravity: str = "general", code: str = CODE) -> Fact:
    said = {"party_name": "上海青禾照明电器有限公司", "act": act, "content": "罚款", "gravity": gravity}
    day = publication.today() - timedelta(days=5)
    return publication.with_term(Fact("penalty", "test", f"{number}号|{code}", said, code, day.isoformat()))


def append(*facts: Fact) -> list[int]:
    with db.writing() as session:
        parties = [feeds.Party(one, one.payload["party_name"], ledger.seal(one)[1:]) for one in facts]
        return feeds.store(session, parties)[0].seqs


def withdraw(*seqs: int) -> None:
    with db.writing() as session:
        publication.withdraw(session, seqs, "repaired")


def work() -> None:
    """What a worker does until nothing is due."""
    while due := jobs.due():
        for one in due:
            jobs.run(one.id)


def beat() -> None:
    """What the timetable does every few minutes."""
    with db.writing() as session:
        jobs.add(session, "record.deliver", [])
    work()


# ---- what comes -----------------------------------------------------------------------------------------------------


def test_every_public_change_arrives_once_in_order_and_as_the_api_shows_it(
    platform: Platform, client: TestClient
) -> None:
    _, secret = subscribe(platform)
    withdraw(append(*(penalty(number) for number in range(3)))[1])
    append(inspection(1), penalty(9, gravity="minor"))
    work()
    shown = client.get("/api/v1/changes?limit=1000").json()["items"]
    assert [event["data"] for event in platform.events] == shown
    assert len(shown) == 5
    for event, item in zip(platform.events, shown, strict=True):
        assert (event["id"], event["type"]) == (item["id"], f"gongzhi.record.{item['kind']}.v1")
        assert (event["source"], event["time"]) == ("http://127.0.0.1:8000/ledger", item["recorded_at"])
        assert event.get("subject") == (CODE if item["entry"] else None)
        assert int(event["sequence"]) == item["seq"]
    assert sorted(event["sequence"] for event in platform.events) == [event["sequence"] for event in platform.events]
    for headers, body in platform.requests:
        assert webhooks.verify(body, headers, secret)["id"] == headers["webhook-id"]


def test_the_receivers_guide_tells_a_genuine_delivery_from_a_tampered_one(platform: Platform) -> None:
    guide = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")
    told: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0], told)
    is_genuine = told["is_genuine"]
    _, secret = subscribe(platform)
    append(penalty(1))
    work()
    [(headers, body)] = platform.requests
    assert is_genuine(headers, body, secret)
    assert not is_genuine(headers, body.replace(b"penalty", b"permit "), secret)
    assert not is_genuine(headers | {"webhook-id": "another"}, body, secret)
    assert not is_genuine(headers, body, webhooks.new_secret())
    with time_machine.travel(time.time() + 301):
        assert not is_genuine(headers, body, secret)


def test_what_is_withdrawn_goes_out_as_a_tombstone_without_its_text(platform: Platform) -> None:
    subscribe(platform)
    (seq,) = append(penalty(1))
    withdraw(seq)
    work()
    original, withdrawal = (event["data"] for event in platform.events)
    assert (original["seq"], original["entry"]) == (seq, None)
    assert (withdrawal["withdrawn"], withdrawal["data_set"]) == (original["id"], "penalty")
    assert "奇观异想" not in str(platform.events)
    assert "repaired" not in str(platform.events)


def test_what_is_withdrawn_while_deliveries_go_on_is_never_sent_from_memory(platform: Platform) -> None:
    subscribe(platform)
    first, second = append(penalty(1, act="甲"), penalty(2, act="发布奇观异想广告"))

    def answer(receiver: Receiver, event: dict[str, Any]) -> None:
        if event["data"]["seq"] == first:
            withdraw(second)
        receiver.reply(204)

    platform.answer = answer
    work()
    assert platform.seqs == [first, second, second + 1]
    assert "奇观异想" not in str(platform.events)


def test_what_takes_the_place_of_a_public_entry_says_so_even_when_it_is_not_public_itself(
    platform: Platform, client: TestClient
) -> None:
    subscribe(platform)
    _, second = append(penalty(1), penalty(2))
    work()
    append(penalty(1, act="更正后的行为"))
    append(penalty(2, gravity="minor", act="不予公示"))
    work()
    old, other, corrected, hidden = (event["data"] for event in platform.events)
    assert (corrected["entry"]["payload"]["act"], corrected["supersedes"]) == ("更正后的行为", old["id"])
    assert (hidden["entry"], hidden["supersedes"]) == (None, other["id"])
    assert "不予公示" not in str(platform.events)
    items = client.get(f"/api/v1/changes?after={second}").json()["items"]
    assert [item["supersedes"] for item in items] == [old["id"], other["id"]]


def test_a_filter_by_kind_lets_withdrawals_of_that_kind_through_and_moves_past_the_rest(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform, kinds=["penalty"])
    visit, fine = append(inspection(1), penalty(1))
    withdraw(visit, fine)
    append(inspection(2))
    work()
    kinds = [(event["data"]["kind"], event["data"]["data_set"]) for event in platform.events]
    assert kinds == [("penalty", None), ("withdrawal", "penalty")]
    with db.reading() as session:
        assert standing(subscription_id).cursor == ledger.size(session) - 1


def add_entities(**district_of: str) -> None:
    with db.writing() as session:
        session.add_all(
            Entity(code=code, name=code, name_key=code, district=district, type="other", changed_at=db.now())
            for code, district in district_of.items()
        )


def test_a_filter_by_district_leaves_out_other_districts_but_never_what_takes_something_back(
    platform: Platform,
) -> None:
    here, there, unknown = "91310199MA1DEMO018", "91310199MA1DEMO026", "91310199MA1DEMO034"
    add_entities(**{here: "310104", there: "310115"})
    subscribe(platform, districts=["310104"])
    a, _, c = append(*(penalty(1, code=code) for code in (here, there, unknown)))
    work()
    assert platform.seqs == [a, c]
    with db.writing() as session:
        session.execute(update(Entity).where(Entity.code == here).values(district="310115"))
    (corrected,) = append(penalty(1, code=here, act="更正后的行为"))
    work()
    withdraw(corrected)
    work()
    assert platform.seqs[2:] == [corrected, corrected + 1]


def test_from_now_begins_with_the_next_entry(platform: Platform) -> None:
    append(inspection(1))
    subscribe(platform, from_now=True)
    (second,) = append(inspection(2))
    work()
    assert platform.seqs == [second]


def test_what_is_appended_while_a_run_ends_needs_no_sweep(platform: Platform) -> None:
    subscribe(platform)
    (first,) = append(inspection(1))
    later: list[int] = []

    def answer(receiver: Receiver, event: dict[str, Any]) -> None:
        if not later:
            later.extend(append(inspection(2)))
            for one in jobs.due():
                jobs.run(one.id)
        receiver.reply(204)

    platform.answer = answer
    work()
    assert platform.seqs == [first, *later]


# ---- a receiver that fails ------------------------------------------------------------------------------------------


def failing(kind: str) -> Callable[[Receiver, dict[str, Any]], None]:
    if kind == "closes":
        return lambda receiver, event: receiver.connection.close()
    return lambda receiver, event: receiver.reply(int(kind))


@pytest.mark.parametrize("kind", ["500", "302", "closes"])
def test_a_receiver_that_fails_for_a_while_gets_everything_later_and_in_order(platform: Platform, kind: str) -> None:
    subscription_id, _ = subscribe(platform)
    first, *rest = append(*(inspection(number) for number in range(4)))
    healthy, sick = platform.answer, failing(kind)
    platform.answer = lambda receiver, event: (healthy if event["data"]["seq"] == first else sick)(receiver, event)
    work()
    assert platform.seqs == [first, rest[0]]
    row = standing(subscription_id)
    assert (row.cursor, row.tries, row.state) == (first, 1, "active")
    more = append(inspection(9))
    work()
    assert platform.seqs == [first, rest[0]], "nothing overtakes, and nothing is tried before its time"
    with time_machine.travel(db.now() + timedelta(seconds=13)):
        work()
        assert platform.seqs == [first, rest[0], rest[0]]
    with time_machine.travel(db.now() + timedelta(seconds=60)):
        platform.answer = healthy
        work()
    assert platform.seqs == [first, rest[0], rest[0], *rest, *more]
    ids = {event["data"]["seq"]: event["id"] for event in platform.events}
    assert all(ids[event["data"]["seq"]] == event["id"] for event in platform.events)
    row = standing(subscription_id)
    assert (row.tries, row.last_error, row.next_attempt_at) == (0, None, None)


def test_a_receiver_that_asks_for_time_is_given_it(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform)
    append(inspection(1))
    platform.answer = lambda receiver, event: receiver.reply(503, Retry_After="7200")
    work()
    waiting = standing(subscription_id).next_attempt_at
    assert waiting is not None
    assert waiting - db.now() > timedelta(minutes=119)


def test_after_a_day_of_failures_it_stands_still_and_an_officer_replays_it(
    platform: Platform, client: TestClient
) -> None:
    subscription_id, _ = subscribe(platform)
    seqs = append(inspection(1), inspection(2))
    healthy = platform.answer
    platform.answer = failing("500")
    started = db.now()
    with time_machine.travel(started, tick=False) as clock:
        work()
        for _ in range(11):
            row = standing(subscription_id)
            assert row.state == "active"
            assert row.next_attempt_at is not None
            clock.move_to(row.next_attempt_at + timedelta(seconds=1))
            work()
        assert db.now() - started > timedelta(days=1)
    assert platform.seqs == [seqs[0]] * 12
    assert standing(subscription_id).state == "dead"
    with time_machine.travel(db.now() + timedelta(days=9)):
        beat()
    assert len(platform.seqs) == 12

    client.headers["Accept-Language"] = "en"
    sign_in(client, add_officer(roles=["administrator"]))
    assert "Platforms that no longer take deliveries" in client.get("/desk").text
    page = client.get(HOME).text
    assert "Given up" in page
    assert "does not take the delivery" in page
    platform.answer = healthy
    sent = {"form_token": form_token(client)}
    assert client.post(f"{HOME}/{subscription_id}/resume", data=sent, follow_redirects=False).status_code == 303
    work()
    assert platform.seqs[12:] == seqs
    assert "Platforms that no longer take deliveries" not in client.get("/desk").text


def test_a_receiver_that_wants_no_more_is_left_alone_at_once(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform)
    append(inspection(1), inspection(2))
    platform.answer = failing("410")
    work()
    row = standing(subscription_id)
    assert (row.state, row.last_error, len(platform.seqs)) == ("dead", "gone", 1)


def test_one_platform_that_fails_holds_up_no_other(platform: Platform) -> None:
    other = Platform()
    other.answer = failing("500")
    subscribe(other, "甲")
    subscribe(platform, "乙")
    seqs = append(inspection(1), inspection(2))
    work()
    other.close()
    assert (platform.seqs, other.seqs) == (seqs, seqs[:1])


# ---- crashes, and two at once ---------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_loses_nothing_and_repeats_one_at_most(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform)
    seqs = append(*(inspection(number) for number in range(6)))
    reached, let_go = threading.Event(), threading.Event()

    def hold(receiver: Receiver, event: dict[str, Any]) -> None:
        if event["data"]["seq"] == seqs[3] and not reached.is_set():
            reached.set()
            let_go.wait(30)
        receiver.reply(204)

    platform.answer = hold
    child = multiprocessing.get_context("spawn").Process(target=feedback.deliver, args=(subscription_id,))
    child.start()
    assert reached.wait(30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    let_go.set()
    assert platform.seqs == seqs[:4]
    work()
    assert platform.seqs == seqs[:4], "the lease still holds"
    with time_machine.travel(db.now() + feedback.LEASE + timedelta(seconds=1)):
        beat()
    assert platform.seqs == [*seqs[:4], *seqs[3:]]
    assert platform.events[3]["id"] == platform.events[4]["id"]


def test_many_workers_at_once_send_nothing_twice_and_keep_the_order(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform)
    seqs = append(*(inspection(number) for number in range(feedback.EVENTS_A_RUN + 20)))
    with db.writing() as session:
        session.execute(delete(Job))  # so that only the run itself can ask for the next one
    workers = [threading.Thread(target=feedback.deliver, args=(subscription_id,)) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    work()
    assert platform.seqs == seqs


def test_a_run_that_lost_its_lease_sends_nothing_more(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform)
    seqs = append(*(inspection(number) for number in range(3)))
    overtaken, let_go = threading.Event(), threading.Event()
    other = threading.Thread(target=feedback.deliver, args=(subscription_id,))

    def overtake(receiver: Receiver, event: dict[str, Any]) -> None:
        if not other.is_alive():
            with db.writing() as session:
                session.execute(update(Subscription).values(leased_until=db.now() - timedelta(seconds=1)))
            other.start()
            overtaken.wait(30)
        elif not overtaken.is_set():
            overtaken.set()
            let_go.wait(30)
        receiver.reply(204)

    platform.answer = overtake
    feedback.deliver(subscription_id)
    assert platform.seqs == [seqs[0], seqs[0]]
    let_go.set()
    other.join()
    assert platform.seqs == [seqs[0], *seqs]


# ---- what officers do -----------------------------------------------------------------------------------------------


def test_a_rewound_subscription_is_sent_the_same_events_again(platform: Platform, client: TestClient) -> None:
    subscription_id, _ = subscribe(platform)
    seqs = append(*(inspection(number) for number in range(3)))
    work()
    sign_in(client, add_officer(roles=["administrator"]))
    form = {"form_token": form_token(client), "first": str(seqs[1])}
    assert client.post(f"{HOME}/{subscription_id}/rewind", data=form, follow_redirects=False).status_code == 303
    work()
    assert platform.seqs == [*seqs, *seqs[1:]]
    assert platform.events[3] == platform.events[1]
    for ahead in ("1000", "-1", "x", ""):
        refused = client.post(f"{HOME}/{subscription_id}/rewind", data=form | {"first": ahead})
        assert refused.status_code == 422, "nothing is skipped"


def test_a_rewind_wins_over_a_delivery_that_is_under_way(platform: Platform) -> None:
    subscription_id, _ = subscribe(platform)
    seqs = append(*(inspection(number) for number in range(3)))

    def rewind_at_the_last(receiver: Receiver, event: dict[str, Any]) -> None:
        if event["data"]["seq"] == seqs[2] and len(platform.seqs) == 3:
            with db.writing() as session:
                subscriptions.rewind(session, subscription_id, seqs[0], by=None)
        receiver.reply(204)

    platform.answer = rewind_at_the_last
    work()
    assert platform.seqs == [*seqs, *seqs]


def test_a_paused_subscription_gets_nothing_until_it_is_resumed(platform: Platform, client: TestClient) -> None:
    subscription_id, _ = subscribe(platform)
    (first,) = append(inspection(1))
    work()
    sign_in(client, add_officer(roles=["administrator"]))
    sent = {"form_token": form_token(client)}
    client.post(f"{HOME}/{subscription_id}/pause", data=sent)
    (second,) = append(inspection(2))
    beat()
    assert platform.seqs == [first]
    client.post(f"{HOME}/{subscription_id}/resume", data=sent)
    work()
    assert platform.seqs == [first, second]


def test_while_a_secret_is_changed_the_old_one_signs_too_for_a_week(platform: Platform, client: TestClient) -> None:
    subscription_id, old = subscribe(platform)
    sign_in(client, add_officer(roles=["administrator"]))
    sent = {"form_token": form_token(client)}
    lost, new = (
        re.findall(r"whsec_[\w+/=]+", client.post(f"{HOME}/{subscription_id}/secret", data=sent).text)[0]
        for _ in range(2)
    )
    assert len({old, lost, new}) == 3
    append(inspection(1))
    work()
    headers, body = platform.requests[0]
    assert webhooks.verify(body, headers, new) == webhooks.verify(body, headers, old)
    with pytest.raises(webhooks.SignatureRefused):
        webhooks.verify(body, headers, lost)
    with time_machine.travel(db.now() + subscriptions.OVERLAP + timedelta(minutes=1)):
        append(inspection(2))
        work()
        headers, body = platform.requests[1]
        webhooks.verify(body, headers, new)
        with pytest.raises(webhooks.SignatureRefused):
            webhooks.verify(body, headers, old)
    assert standing(subscription_id).old_secret is None


def test_an_administrator_adds_a_platform_sees_its_secret_once_and_it_is_on_the_internal_record(
    platform: Platform, client: TestClient
) -> None:
    client.headers["Accept-Language"] = "en"
    officer = add_officer(roles=["administrator"])
    sign_in(client, officer)
    form = {"form_token": form_token(client), "name": "信用平台", "url": platform.url, "start": "first"}
    made = client.post(HOME, data=form | {"kind": ["penalty"], "district": ["310101"]})
    (secret,) = set(re.findall(r"whsec_[\w+/=]+", made.text))
    page = client.get(HOME).text
    for shown in ("信用平台", "127.0.0.1", "Penalties", "Huangpu", "Active"):
        assert shown in page
    assert "hush" not in page
    assert secret not in page
    row = standing(1)
    assert secret[6:] not in f"{row.secret}{row.old_secret}"
    for verb in ("pause", "resume", "secret", "remove"):
        client.post(f"{HOME}/1/{verb}", data=form)
    assert "信用平台" not in client.get(HOME).text
    with db.reading() as session:
        acts = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action").order_by(LedgerEntry.seq))
        kept = [entry.payload for entry in acts if entry.payload]
    assert [one["action"] for one in kept] == [
        f"subscription_{verb}" for verb in ("add", "pause", "resume", "secret", "remove")
    ]
    assert {one["officer"] for one in kept} == {str(officer.id)}
    assert "hush" not in str(kept)
    assert "whsec_" not in str(kept)


def test_a_platform_that_cannot_be_added_is_refused_in_the_form(platform: Platform, client: TestClient) -> None:
    subscribe(platform)
    sign_in(client, add_officer(roles=["administrator"]))
    form = {"form_token": form_token(client), "name": "另一平台", "url": "https://platform.example/"}
    for wrong in (
        {"name": " "},
        {"name": "监管平台"},
        {"name": "x" * 101},
        {"url": "ftp://platform.example/"},
        {"url": "https://user:word@platform.example/"},
        {"url": "https://platform.example/" + "x" * 500},
        {"kind": ["penalty", "desk_action"]},
        {"district": "999999"},
    ):
        answer = client.post(HOME, data=form | wrong)
        assert answer.status_code == 422, wrong
        assert 'role="alert"' in answer.text
        assert ('value="penalty" checked' in answer.text) == ("kind" in wrong), "what was chosen is given back"
    with db.reading() as session:
        assert len(subscriptions.standings(session)) == 1


def test_only_administrators_see_and_change_subscriptions(platform: Platform, client: TestClient) -> None:
    subscription_id, _ = subscribe(platform)
    sign_in(client, add_officer(roles=["clerk", "reviewer"]))
    sent = {"form_token": form_token(client), "first": "0", "name": "甲", "url": "https://platform.example/"}
    assert HOME not in client.get("/desk").text
    assert client.get(HOME).status_code == 403
    for path in (HOME, *(f"{HOME}/{subscription_id}/{verb}" for verb in ("pause", "rewind", "secret", "remove"))):
        assert client.post(path, data=sent).status_code == 403
    assert standing(subscription_id).state == "active"


def test_an_operator_adds_lists_rewinds_and_replays_on_the_command_line(platform: Platform) -> None:
    def portal(*words: str) -> Any:
        return CliRunner().invoke(subscribers.app, words)

    made = portal("add", "--name", "监管平台", "--url", platform.url, "--kind", "inspection", "--json")
    secret = json.loads(made.stdout)["secret"]
    seqs = append(inspection(1), inspection(2))
    work()
    assert platform.seqs == seqs
    webhooks.verify(platform.requests[0][1], platform.requests[0][0], secret)
    assert portal("rewind", "监管平台", "--to", str(seqs[1])).exit_code == 0
    platform.answer = failing("410")
    work()
    told = subprocess.run([PORTAL, "subscribers", "list", "--json"], check=True, capture_output=True, text=True)
    [row] = json.loads(told.stdout)["subscribers"]
    assert (row["state"], row["last_error"], row["cursor"]) == ("dead", "gone", seqs[0])
    assert secret not in portal("list").stdout
    platform.answer = lambda receiver, event: receiver.reply(204)
    assert portal("replay", "监管平台").exit_code == 0
    work()
    assert platform.seqs == [*seqs, seqs[1], seqs[1]]
    ahead = portal("rewind", "监管平台", "--to", "999")
    assert ahead.exit_code == 1
    assert re.search(r"below \d+,", ahead.output)
    assert portal("replay", "没有的平台").exit_code == 1
    assert portal("add", "--name", "甲", "--url", "ftp://platform.example/").exit_code == 1


def test_the_timetable_looks_for_deliveries_that_a_crash_left_lying() -> None:
    assert "record.deliver" in worker.TIMETABLE
