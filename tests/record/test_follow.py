"""Following an entity by mail: from the form to the last mail, and what is kept of it meanwhile."""

import email.policy
import importlib
import multiprocessing
import os
import re
import signal
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any, cast

import pytest
import structlog
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import delete, func, select, update
from typer.testing import CliRunner

from portal import cli
from portal.kit import db, jobs, mail, web
from portal.kit.settings import get_settings
from record import feeds, follow, ledger, mailings, publication
from record.ledger import Fact
from record.models import Entity, Follow, FollowAddress, FollowProgress, LedgerEntry

READER = "reader@example.com"
ACT = "发布奇观异想广告"


@pytest.fixture
def entity(filled: str, unlimited: None) -> Entity:
    return registered()[0]


def registered() -> list[Entity]:
    """Entities of a small portal that have no record yet."""
    with db.reading() as session:
        known = select(LedgerEntry.entity_code).where(LedgerEntry.entity_code.is_not(None))
        return list(session.scalars(select(Entity).where(Entity.code.not_in(known)).order_by(Entity.code).limit(5)))


# ---- what the record does -------------------------------------------------------------------------------------------


def fact(entity: Entity, number: int = 1, kind: str = "penalty", **said: Any) -> Fact:
    payload = {"party_name": entity.name, "document": f"沪监〔2026〕{number}号", "act": ACT, "content": "罚款"}
    day = (publication.today() - timedelta(days=5)).isoformat()
    payload |= {"gravity": "general"} | said
    return publication.with_term(Fact(kind, "test", f"{number}|{entity.code}", payload, entity.code, day))


def inspection(entity: Entity, number: int) -> Fact:
    payload = {"party_name": entity.name, "subject": f"第{number}项检查", "result": "未发现问题"}
    return Fact("inspection", "test", f"{number}|{entity.code}", payload, entity.code, publication.today().isoformat())


def store(*facts: Fact) -> list[int]:
    """Append facts as an import does, and let the jobs run that follow from it."""
    with db.writing() as session:
        parties = [feeds.Party(one, one.payload["party_name"], ledger.seal(one)[1:]) for one in facts]
        seqs = feeds.store(session, parties)[0].seqs
    work()
    return seqs


def withdraw(*seqs: int) -> None:
    with db.writing() as session:
        publication.withdraw(session, seqs, "repaired")
    work()


def work() -> None:
    """Run jobs until no more come of them, as the worker does."""
    for _ in range(4):
        jobs.drain()


def later(clock: time_machine.Traveller, by: timedelta) -> None:
    """Go on in time; what the timetable does every five minutes is done then."""
    clock.shift(by)
    with db.writing() as session:
        jobs.add(session, follow.SEND, [])
    work()


# ---- what readers do ------------------------------------------------------------------------------------------------


def letters() -> list[EmailMessage]:
    """Every mail that was sent, oldest first."""
    files = sorted((get_settings().data_dir / "mail").glob("*.eml"))
    return [cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=email.policy.default)) for file in files]


def body(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def link(letter: EmailMessage, page: str) -> str:
    """The address of one of the pages that a mail leads to, below this site."""
    [found] = re.findall(rf"http://127\.0\.0\.1:8000(/follow/{page}/\S+)", body(letter))
    return str(found)


def ask(client: TestClient, entity: Entity, address: str = READER, *, language: str = "zh") -> str:
    """Give the address to the form. Returns what the person sees."""
    answer = client.post(
        f"/entities/{entity.code}/follow", data={"address": address}, headers={"Accept-Language": language}
    )
    work()
    assert answer.status_code == 200, answer.text
    return without_nonces(answer.text)


def without_nonces(page: str) -> str:
    """A page without what is another in every answer."""
    return re.sub(r'nonce="[^"]+"', "nonce", page)


def follow_it(client: TestClient, entity: Entity, address: str = READER, *, language: str = "zh") -> None:
    """Ask and confirm. The mail with the link is taken out of the folder."""
    ask(client, entity, address, language=language)
    page = link(letters()[-1], "confirm")
    assert client.post(page).status_code == 200
    work()
    clear()


def clear() -> None:
    for file in (get_settings().data_dir / "mail").iterdir():
        file.unlink()


def kept() -> tuple[int, int]:
    """Number of followed entities, and of addresses, in the database."""
    with db.reading() as session:
        return tuple(session.scalar(select(func.count()).select_from(table)) or 0 for table in (Follow, FollowAddress))  # type: ignore[return-value]


# ---- the journey ----------------------------------------------------------------------------------------------------


def test_a_reader_asks_confirms_is_told_and_stops(client: TestClient, entity: Entity) -> None:
    assert f"/entities/{entity.code}/follow" in client.get(f"/entities/{entity.code}").text
    assert "邮件已在发送途中" in ask(client, entity)
    [asking] = letters()
    assert (asking["to"], asking["list-unsubscribe"]) == (READER, None)
    assert entity.name in str(asking["subject"])
    confirm = link(asking, "confirm")
    store(fact(entity, 1))
    assert len(letters()) == 1, "nothing but the link before it is confirmed"

    assert "<button" in client.get(confirm).text
    assert kept() == (1, 1)
    store(fact(entity, 2))
    assert len(letters()) == 1, "looking at the page is no consent: mail scanners do that"
    assert entity.name in client.post(confirm).text
    store(fact(entity, 3))

    [_, news] = letters()
    assert news["subject"] == f"{entity.name}：公示信息有更新"
    for part in (body(news), body(news, "html")):
        assert "行政处罚：1 条" in part
        assert ACT in part
        assert f"http://127.0.0.1:8000/entities/{entity.code}" in part
    assert news["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"

    end = link(news, "end")
    assert str(news["list-unsubscribe"]) == f"<http://127.0.0.1:8000{end}>"
    assert entity.name in client.get(end).text
    assert kept() == (1, 1)
    assert "您已不再关注" in client.post(end).text
    assert kept() == (0, 0)
    store(fact(entity, 4))
    assert len(letters()) == 2
    assert "您已不再关注" in client.get(end).text


def test_a_reader_who_asked_in_english_is_written_to_in_english(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity, language="en")
    store(fact(entity, 1))
    [news] = letters()
    assert news["subject"] == f"{entity.name}: news in its public file"
    assert "Penalties: 1" in body(news)
    assert 'lang="en"' in body(news, "html")
    assert 'lang="en"' in client.get(link(news, "end")).text


def test_a_mail_program_ends_it_with_one_click_and_no_cookie(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity)
    store(fact(entity, 1))
    address = str(letters()[0]["list-unsubscribe"]).strip("<>")
    headers = {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}
    client.cookies.clear()
    answer = client.post(
        address.removeprefix("http://127.0.0.1:8000"), data={"List-Unsubscribe": "One-Click"}, headers=headers
    )
    assert (answer.status_code, kept()) == (200, (0, 0))


def test_one_page_shows_all_that_an_address_follows_and_stops_one_or_all(client: TestClient, entity: Entity) -> None:
    first, second, third = registered()[:3]
    for one in (first, second, third):
        follow_it(client, one)
    follow_it(client, first, "other@example.com")
    store(fact(first))
    [mine] = [letter for letter in letters() if letter["to"] == READER]
    everything = link(mine, "all")
    page = client.get(everything)
    assert all(one.name in page.text for one in (first, second, third))
    assert page.headers["cache-control"] == "no-store"
    assert READER not in page.text
    ids = re.findall(r'name="stop" value="(\w{32})"', page.text)
    assert len(ids) == 3
    assert kept() == (4, 2)
    with db.reading() as session:
        others = session.scalar(select(Follow.id).where(Follow.id.not_in(ids)))
    client.post(everything, data={"stop": others})
    assert kept() == (4, 2), "a link ends what its own address follows, and nobody else's"
    client.post(everything, data={"stop": ids[0]})
    assert kept() == (3, 2)
    client.post(everything, data={"stop": "all"})
    assert kept() == (1, 1)
    assert "没有任何关注" in client.get(everything).text


# ---- what mails say -------------------------------------------------------------------------------------------------


def test_what_was_withdrawn_is_a_number_in_the_mail_and_its_text_in_none(client: TestClient, entity: Entity) -> None:
    [before] = store(fact(entity, 1))
    follow_it(client, entity)
    with db.writing() as session:  # all in one import, before anybody is told
        one = fact(entity, 2, act="转瞬即逝的违法行为")
        [short] = feeds.store(session, [feeds.Party(one, entity.name, ledger.seal(one)[1:])])[0].seqs
    withdraw(before, short)
    [news] = letters()
    for part in (body(news), body(news, "html")):
        assert "1 条记录已不再公示" in part, "of the second the reader never knew"
        assert ACT not in part
        assert "转瞬即逝" not in part
        assert "行政处罚" not in part
    assert "修复" not in body(news)


def test_what_is_not_the_publics_makes_no_mail(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity)
    minor = publication.with_term(fact(entity, 1, gravity="minor"))
    seqs = store(minor, fact(entity, 2)._replace(visibility="internal"))
    withdraw(*seqs)
    assert letters() == []


def test_what_says_something_else_now_counts_as_changed(client: TestClient, entity: Entity) -> None:
    store(fact(entity, 1))
    follow_it(client, entity)
    store(fact(entity, 1, act="另一种说法"), inspection(entity, 2))
    [news] = letters()
    new, _, changed = body(news).partition("有变更")
    assert "监督检查：1 条" in new
    assert "行政处罚：1 条" in changed
    assert "另一种说法" in changed


def test_a_listing_that_is_ended_by_its_source_is_told_as_no_longer_shown(client: TestClient, entity: Entity) -> None:
    day = (publication.today() - timedelta(days=9)).isoformat()
    said = {"party_name": entity.name, "ground": "登记住所无法联系"}
    listing = publication.with_term(Fact("abnormal_listing", "test", f"1|{entity.code}", said, entity.code, day))
    store(listing)
    follow_it(client, entity)
    removed = listing._replace(payload=said | {"removed_on": publication.today().isoformat()})
    store(publication.with_term(removed))
    [news] = letters()
    assert "1 条记录已不再公示" in body(news)
    assert "无法联系" not in body(news)


def test_a_mail_stays_short_however_much_there_is(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity)
    store(*(inspection(entity, number) for number in range(600)))
    [news] = letters()
    assert "监督检查：600 条" in body(news)
    assert body(news).count("项检查") == 5
    assert "第599项检查" in body(news)


# ---- when -----------------------------------------------------------------------------------------------------------


def test_the_first_news_goes_at_once_and_the_rest_of_an_hour_in_one_mail(client: TestClient, entity: Entity) -> None:
    other = registered()[1]
    follow_it(client, entity)
    follow_it(client, other)
    with time_machine.travel(db.now() + timedelta(seconds=1), tick=True) as clock:
        for number in range(10):
            store(fact(entity, number))
        assert len(letters()) == 1
        store(fact(other))
        assert [letter["subject"][:4] for letter in letters()] == [entity.name[:4], other.name[:4]]
        later(clock, timedelta(minutes=50))
        assert len(letters()) == 2
        later(clock, timedelta(minutes=11))
        assert "行政处罚：9 条" in body(letters()[2])
        later(clock, timedelta(hours=3))
        assert len(letters()) == 3, "no news, no mail"


def test_news_that_no_event_told_of_are_found_by_the_cursor(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity)
    with db.writing() as session:
        one = fact(entity, 1)
        feeds.store(session, [feeds.Party(one, entity.name, ledger.seal(one)[1:])])
    with db.writing() as session:
        session.execute(delete(jobs.Job).where(jobs.Job.state == "waiting"))
    work()
    assert letters() == []
    with db.writing() as session:
        jobs.add(session, follow.SEND, [])
    work()
    assert len(letters()) == 1


# ---- one mail, whatever happens -------------------------------------------------------------------------------------


def test_workers_that_run_at_once_and_jobs_that_run_again_send_one_mail(client: TestClient, entity: Entity) -> None:
    for number in range(4):
        follow_it(client, entity, f"reader{number}@example.com")
    with db.writing() as session:
        one = fact(entity, 1)
        feeds.store(session, [feeds.Party(one, entity.name, ledger.seal(one)[1:])])
    run = jobs.TASKS[follow.SEND].run
    workers = [threading.Thread(target=run, args=([],)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    run([])
    work()
    assert sorted(letter["to"] for letter in letters()) == [f"reader{number}@example.com" for number in range(4)]


class Hanging(socketserver.StreamRequestHandler):
    """A mail server that takes a connection and then says nothing."""

    def handle(self) -> None:
        self.server.called.set()  # type: ignore[attr-defined]
        self.rfile.read()


def _send() -> None:
    importlib.import_module("record.tasks")
    jobs.TASKS[follow.SEND].run([])


def test_a_sender_that_was_killed_is_replaced_and_the_mail_is_sent_once(
    client: TestClient, entity: Entity, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_it(client, entity)
    with db.writing() as session:
        one = fact(entity, 1)
        feeds.store(session, [feeds.Party(one, entity.name, ledger.seal(one)[1:])])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hanging) as listening:
        listening.daemon_threads, listening.called = True, threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        mail_url(monkeypatch, f"smtp://127.0.0.1:{listening.server_address[1]}")
        child = multiprocessing.get_context("spawn").Process(target=_send)
        child.start()
        assert listening.called.wait(30)  # type: ignore[attr-defined]
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        listening.shutdown()
    mail_url(monkeypatch, "spool:")
    _send()
    assert letters() == [], "for all that others know it is still at work"
    with time_machine.travel(db.now() + mailings.LEASE + timedelta(seconds=1), tick=True):
        _send()
        _send()
        work()
    assert len(letters()) == 1


def test_a_sender_that_only_slept_finds_another_in_its_place(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity)
    with db.writing() as session:
        sleeper = mailings.begin(session)
    assert sleeper
    with time_machine.travel(db.now() + mailings.LEASE + timedelta(seconds=1), tick=True):
        with db.writing() as session:
            other = mailings.begin(session)
            assert other
        with db.writing() as session:
            assert mailings.take(session, sleeper) is None
            mailings.finish(session, sleeper)
        with db.reading() as session:
            assert session.get_one(FollowProgress, 1).sender == other


# ---- mail that does not go ------------------------------------------------------------------------------------------


class Speaker(socketserver.StreamRequestHandler):
    """As much of a mail server as a test needs: it knows everybody but `gone@`."""

    received: list[bytes] = []

    def handle(self) -> None:
        self.say("220 ready")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.say("354 go on")
                self.received.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.say("250 taken")
            elif verb == b"RCPT" and b"gone@" in line:
                self.say("550 5.1.1 unknown")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a mail server on this machine, and what it received."""
    monkeypatch.setattr(Speaker, "received", [])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaker) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"smtp://127.0.0.1:{listening.server_address[1]}", Speaker.received
        listening.shutdown()


def mail_url(patch: pytest.MonkeyPatch, url: str) -> None:
    patch.setenv("PORTAL_MAIL_URL", url)
    get_settings.cache_clear()


def test_while_the_mail_server_is_away_nothing_is_lost_and_afterwards_each_mail_goes_once(
    client: TestClient, entity: Entity, server: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_it(client, entity)
    follow_it(client, entity, "second@example.com")
    with time_machine.travel(db.now() + timedelta(seconds=1), tick=True) as clock:
        mail_url(monkeypatch, "smtp://127.0.0.1:1")
        store(fact(entity, 1))
        for _ in range(3):
            later(clock, timedelta(hours=2))
        mail_url(monkeypatch, server[0])
        for _ in range(3):
            later(clock, timedelta(hours=7))
    assert len(server[1]) == 2
    assert kept() == (2, 2)


def test_an_address_that_takes_no_mail_holds_up_nobody_and_is_forgotten(
    client: TestClient, entity: Entity, server: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_it(client, entity, "gone@example.com")
    follow_it(client, entity)
    mail_url(monkeypatch, server[0])
    with time_machine.travel(db.now() + timedelta(seconds=1), tick=True) as clock:
        store(fact(entity, 1))
        assert len(server[1]) == 1
        for _ in range(mailings.MOST_TRIES - 1):
            assert kept() == (2, 2)
            later(clock, mailings.LONGEST_PAUSE + timedelta(minutes=1))
    assert len(server[1]) == 1
    assert kept() == (1, 1)


# ---- who may do what ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    ["", "reader", "a@b", "a b@example.com", "a@example.com,b@example.com", "<a@example.com>", "a@b@example.com",
     "a@example.com\r\nBcc: b@example.com", "a@[127.0.0.1]", "a@127.0.0.1", "a@-example.com", "é@example.com",
     f"{'a' * 65}@example.com", f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 63}.com", "a@exa\x00mple.com"],
)  # fmt: skip
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(follow.AddressRefused):
        follow.address_of(wrong)


def test_the_page_says_what_is_wrong_with_an_address(client: TestClient, entity: Entity) -> None:
    answer = client.post(f"/entities/{entity.code}/follow", data={"address": "reader<b>"})
    assert answer.status_code == 422
    assert "这不是可以收信的邮箱地址" in answer.text
    assert 'value="reader&lt;b&gt;"' in answer.text
    assert kept() == (0, 0)
    assert client.post("/entities/91310000000000000X/follow", data={"address": READER}).status_code == 404


def test_addresses_are_taken_as_people_type_them() -> None:
    assert follow.address_of(" Reader＠Example.COM ") == "Reader@example.com"
    assert follow.address_of("reader@例子.公司") == "reader@xn--fsqu00a.xn--55qx5d"
    assert follow.address_of("first.last+tag@mail.example.com") == "first.last+tag@mail.example.com"


def test_the_answer_never_tells_whether_an_address_is_known(client: TestClient, entity: Entity) -> None:
    first = ask(client, entity)
    again = ask(client, entity, READER.upper())
    follow_it(client, registered()[1])
    known = ask(client, registered()[1])
    assert again == first
    assert known.replace(registered()[1].code, entity.code).replace(registered()[1].name, entity.name) == first


def test_asking_again_sends_no_second_mail_at_once_and_an_address_gets_few_a_day(
    client: TestClient, entity: Entity
) -> None:
    for _ in range(3):
        ask(client, entity)
    assert len(letters()) == 1
    with time_machine.travel(db.now() + follow.ASK_AGAIN + timedelta(seconds=1), tick=True) as clock:
        ask(client, entity)
        assert len(letters()) == 2
        for one in registered():
            clock.shift(follow.ASK_AGAIN)
            ask(client, one)
        assert len(letters()) == follow.MAILS_A_DAY
        clock.shift(timedelta(days=1))
        ask(client, entity)
        assert len(letters()) == follow.MAILS_A_DAY + 1


def test_one_address_given_many_times_at_once_is_one_address_and_gets_its_few_mails(entity: Entity) -> None:
    others = registered()

    def give(code: str) -> None:
        with db.writing() as session:
            follow.ask(session, code, READER, "zh")

    at_once = [threading.Thread(target=give, args=(one.code,)) for one in others for _ in range(3)]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    work()
    assert kept() == (len(others), 1)
    assert len(letters()) == len(others) == follow.MAILS_A_DAY


def test_who_follows_already_is_told_so_by_mail_alone(client: TestClient, entity: Entity) -> None:
    follow_it(client, entity)
    with time_machine.travel(db.now() + follow.ASK_AGAIN + timedelta(seconds=1), tick=True):
        ask(client, entity, language="en")
        [letter] = letters()
        assert "您已在关注" in str(letter["subject"]), "somebody else cannot change the reader's language"
        assert entity.name in client.get(link(letter, "all")).text


def test_links_that_are_too_old_or_tampered_with_are_refused_and_say_what_to_do(
    client: TestClient, entity: Entity
) -> None:
    ask(client, entity)
    confirm = link(letters()[0], "confirm")
    path, _, query = confirm.partition("?")
    for wrong in (path[:-2], path.replace("/confirm/", "/end/"), path.replace("/confirm/", "/all/")):
        for method in ("GET", "POST"):
            answer = client.request(method, f"{wrong}?{query}", data={"stop": "all"} if method == "POST" else None)
            assert answer.status_code == 400, wrong
            assert "请" in answer.text
    with time_machine.travel(db.now() + timedelta(days=2, minutes=1)):
        assert client.get(confirm).status_code == 410
        assert client.post(confirm).status_code == 410
    assert kept() == (1, 1)


def test_what_nobody_confirmed_is_gone_after_two_days_and_the_link_with_it(client: TestClient, entity: Entity) -> None:
    follow_it(client, registered()[1], "faithful@example.com")
    ask(client, entity)
    confirm = link(letters()[0], "confirm")
    assert CliRunner().invoke(cli.app, ["purge", "--json"]).exit_code == 0
    assert kept() == (2, 2)
    with db.writing() as session:
        past = db.now() - timedelta(days=2, minutes=1)
        session.execute(update(Follow).values(asked_at=past))
        session.execute(update(FollowAddress).values(asked_at=past))
    answer = CliRunner().invoke(cli.app, ["purge", "--json"])
    assert '"unconfirmed_followers": 1' in answer.output
    assert kept() == (1, 1)
    assert client.post(confirm).status_code == 410


def test_another_sites_page_cannot_give_an_address_in_a_visitors_name(client: TestClient, entity: Entity) -> None:
    answer = client.post(
        f"/entities/{entity.code}/follow", data={"address": READER}, headers={"Origin": "https://elsewhere.example"}
    )
    assert (answer.status_code, kept()) == (403, (0, 0))


def test_one_caller_may_ask_five_times_a_minute(client: TestClient, filled: str) -> None:
    entity = registered()[0]
    statuses = [
        client.post(f"/entities/{entity.code}/follow", data={"address": f"a{n}@example.com"}).status_code
        for n in range(6)
    ]
    assert statuses == [200] * 5 + [429]


# ---- what is kept ---------------------------------------------------------------------------------------------------


def everything_stored() -> str:
    """Every value of every table, as text."""
    with db.reading() as session:
        tables = db.Base.metadata.sorted_tables
        return " ".join(repr(row) for table in tables for row in session.execute(select(table)))


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged meanwhile. A logger that has spoken before keeps its old listener, so they are new ones."""
    for module in (web, jobs, mail, follow, mailings):
        monkeypatch.setattr(module, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as entries:
        yield entries


def test_no_address_stands_anywhere_in_the_database_or_the_log(
    client: TestClient, entity: Entity, logged: list[Any]
) -> None:
    follow_it(client, entity, "very.private@example.com")
    store(fact(entity, 1))
    ask(client, registered()[1], "also.private@example.com")
    assert {"follow.asked", "follow.confirmed", "mail.sent", "job.done", "request"} <= {one["event"] for one in logged}
    for word in ("private", "very.", "example.com"):
        assert word not in everything_stored()
        assert word not in str(logged)
    assert letters()[0]["to"] == "very.private@example.com"


def test_nobody_can_see_who_follows(client: TestClient, entity: Entity) -> None:
    before = without_nonces(client.get(f"/entities/{entity.code}").text)
    file = client.get(f"/api/v1/entities/{entity.code}").json()
    follow_it(client, entity)
    assert without_nonces(client.get(f"/entities/{entity.code}").text) == before
    assert client.get(f"/api/v1/entities/{entity.code}").json() == file
    with db.reading() as session:
        [row] = session.scalars(select(Follow))
        [reader] = session.scalars(select(FollowAddress))
    for guess in (row.id, reader.id, "1"):
        for page in ("confirm", "end", "all"):
            assert client.get(f"/follow/{page}/{guess}").status_code == 400
