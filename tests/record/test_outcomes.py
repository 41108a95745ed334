"""What reports led to: shown beside its penalty in every way out, never without it, and nothing of who told."""

import email.policy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from email import message_from_bytes
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db, jobs
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings
from record import feeds, follow, kinds, ledger, outcomes, publication, tasks, verification
from record.ledger import Fact
from record.models import Entity, Follow, LedgerEntry
from record.outcomes import Outcome, OutcomeRedacted, PenaltyNotShown
from tests import paper
from tests.officers import add_officer, form_token, sign_in

pytestmark = pytest.mark.usefixtures("unlimited")

DONE = "责令改正并没收奇观违法所得"
MINOR, OVER = {"gravity": "minor"}, {"occurred_on": date(2020, 1, 1)}


@pytest.fixture
def entity(filled: str) -> Entity:
    """An entity of a small portal, about which nothing is published yet."""
    return registered()[0]


def registered() -> list[Entity]:
    with db.reading() as session:
        recorded = select(publication.PUBLISHED.c.entity_code)
        found = select(Entity).where(Entity.code.startswith("91"), Entity.code.not_in(recorded)).order_by(Entity.code)
        return list(session.scalars(found.limit(300)))


def fact(entity: Entity, number: int = 1, occurred_on: date | None = None, **said: Any) -> Fact:
    payload = {
        "party_name": entity.name, "document": f"沪市监罚〔2026〕{number}号", "act": "发布虚假广告", "content": "罚款",
        "gravity": "general",
    } | said  # fmt: skip
    day = occurred_on or publication.today() - timedelta(days=5)
    return publication.with_term(Fact("penalty", "test", f"{number}号", payload, entity.code, day.isoformat()))


def penalty(entity: Entity, number: int = 1, **said: Any) -> int:
    """A penalty as a feed brings it: the same number again is the same fact, corrected."""
    one = fact(entity, number, **said)
    with db.writing() as session:
        (seq,) = feeds.store(session, [feeds.Party(one, entity.name, ledger.seal(one)[1:])])[0].seqs
    return seq


def outcome(entity: Entity, penalty_seq: int | None, case: str = "2026-000001", **other: Any) -> Outcome:
    said: dict[str, Any] = {
        "reference": case, "entity_code": entity.code, "decided_on": publication.today(), "matter": "广告宣传",
        "finding": "violation", "measures": DONE, "basis": "《中华人民共和国广告法》第五十五条",
        "authority": "上海市虚构区市场监督管理局", "penalty_seq": penalty_seq,
    }  # fmt: skip
    return Outcome(**{**said, **other})


def decide(entity: Entity, penalty_seq: int | None, case: str = "2026-000001", **other: Any) -> int:
    with db.writing() as session:
        return outcomes.append(session, outcome(entity, penalty_seq, case, **other))


def withdraw(*seqs: int, because: publication.Because = "repaired") -> int:
    with db.writing() as session:
        return publication.withdraw(session, seqs, because)


def entry(seq: int) -> LedgerEntry:
    with db.reading() as session:
        return session.get_one(LedgerEntry, seq)


def ways(entity: Entity) -> list[str]:
    return [
        f"/entities/{entity.code}",
        f"/entities/{entity.code}/records/tip_outcome",
        "/records/tip_outcome",
        f"/entities/{entity.code}/feed.atom",
        f"/entities/{entity.code}/report.pdf",
        f"/api/v1/entities/{entity.code}",
        f"/api/v1/entities/{entity.code}/entries?kind=tip_outcome",
        "/api/v1/changes?limit=1000&kind=tip_outcome",
    ]


def telling(client: TestClient, entity: Entity, word: str = DONE) -> list[str]:
    """The ways out on which the word is told."""
    answers = {way: client.get(way) for way in ways(entity)}
    texts = {way: paper.text(one.content) if way.endswith("pdf") else one.text for way, one in answers.items()}
    return [way for way, text in texts.items() if word in text]


def steps(client: TestClient, after: int = -1) -> list[dict[str, Any]]:
    return list(client.get(f"/api/v1/changes?limit=1000&kind=tip_outcome&after={after}").json()["items"])


def withdrawn(client: TestClient) -> list[str]:
    """Identifiers of the outcomes that followers were told to drop."""
    return [one["withdrawn"] for one in steps(client) if one["data_set"] == "tip_outcome"]


def send(client: TestClient, path: str, **fields: str) -> Any:
    answer = client.post(path, data={"form_token": form_token(client)} | fields, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer


def reviewer(client: TestClient, login: str = "wang.fang") -> None:
    client.cookies.clear()
    sign_in(client, add_officer(login, roles=["reviewer"]))


# ---- shown beside its penalty ---------------------------------------------------------------------------------------


def test_an_outcome_is_told_in_every_way_out_beside_its_penalty(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    decide(entity, seq)
    assert telling(client, entity) == ways(entity)
    (item,) = client.get(f"/api/v1/entities/{entity.code}/entries?kind=tip_outcome").json()["items"]
    (beside,) = client.get(f"/api/v1/entities/{entity.code}/entries?kind=penalty").json()["items"]
    assert item["published_until"] == beside["published_until"]
    assert item["payload"] == {
        "matter": "广告宣传", "finding": "violation", "measures": DONE, "basis": "《中华人民共和国广告法》第五十五条",
        "authority": "上海市虚构区市场监督管理局", "penalty": beside["id"], "penalty_document": "沪市监罚〔2026〕1号",
    }  # fmt: skip
    assert "2026-000001" not in client.get("/api/v1/changes?limit=1000").text, "the case's number is nobody's business"
    assert client.get(f"/api/v1/entities/{entity.code}").json()["flags"] == []
    english = client.get(f"/entities/{entity.code}?lang=en").text
    link = f"/entities/{entity.code}/records/penalty#{beside['id']}"
    assert link in english
    assert "A violation was found" in english
    assert f'id="{beside["id"]}"' in client.get(link).text
    assert DONE in client.get("/records/tip_outcome?act=广告宣传").text
    assert DONE not in client.get("/records/tip_outcome?act=食品").text
    assert client.get("/lists/tip_outcome").status_code == 404, "nobody stands on it"
    assert verification.verify().holds


@pytest.mark.parametrize("finding", ["no_violation", "not_proven", "out_of_scope", "violation"])
def test_what_found_no_violation_or_led_to_no_penalty_is_for_officers_alone(
    client: TestClient, entity: Entity, finding: str
) -> None:
    beside = None if finding == "violation" else penalty(entity)
    before = len(steps(client))
    seq = decide(entity, beside, finding=finding)
    assert telling(client, entity) == []
    assert len(steps(client)) == before, "not even that there is something"
    reviewer(client)
    page = client.get(f"/desk/record?code={entity.code}&lang=zh").text
    assert DONE in page
    assert f"number={seq}" in page
    page = client.get(f"/desk/record?number={seq}&lang=en").text
    assert "Kept for officers only." in page
    assert kinds.FINDINGS[finding][1] in page, "in words, not as the ledger writes it"


@pytest.mark.parametrize("said", [MINOR, OVER], ids=["minor", "its term is over"])
def test_a_penalty_that_is_not_shown_cannot_be_linked(filled: str, entity: Entity, said: dict[str, Any]) -> None:
    with pytest.raises(PenaltyNotShown):
        decide(entity, penalty(entity, **said))


def test_neither_can_anothers_nor_what_is_no_penalty_nor_what_was_withdrawn(filled: str, entity: Entity) -> None:
    gone = penalty(entity)
    withdraw(gone)
    for wrong in (penalty(registered()[1], 2), decide(entity, None, "2026-000009"), gone, 10**9):
        with pytest.raises(PenaltyNotShown):
            decide(entity, wrong)


def test_of_several_cases_that_led_to_one_penalty_one_alone_is_told(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    first, second = (decide(entity, seq, f"2026-00000{number}") for number in (1, 2))
    assert [entry(one).visibility for one in (first, second)] == ["public", "internal"]
    penalty(entity, content="罚款，已更正")
    (shown,) = client.get(f"/api/v1/entities/{entity.code}/entries?kind=tip_outcome").json()["items"]
    assert entry(first).superseded_by == shown["seq"]
    with db.reading() as session:
        (kept,) = outcomes.internal_of(session, entity.code)
        assert kept.payload is not None
        assert kept.payload["penalty"] == shown["payload"]["penalty"], "the officers' goes on as well"


# ---- going with its penalty -----------------------------------------------------------------------------------------


def annulled(client: TestClient, seq: int) -> None:
    reviewer(client)
    send(client, f"/desk/record/{seq}/annul", reason="复议决定撤销原处罚")


def objected(client: TestClient, seq: int) -> None:
    clerk = add_officer("li.wei", roles=["clerk"])
    sign_in(client, clerk)
    said = {"received_on": publication.today().isoformat(), "via": "letter", "grounds": "当事人认为事实有误。"}
    number = send(client, "/desk/applications", entry=str(seq), case="objection", **said).headers["location"]
    send(client, f"{number}/accept")
    reviewer(client)
    send(client, f"{number}/uphold", reason="经核实，情况属实。")


def redacted(client: TestClient, seq: int) -> None:
    reviewer(client)
    send(client, f"/desk/record/{seq}/redaction", reason="（2026）沪0101行初1号判决")
    reviewer(client, "zhao.min")
    send(client, "/desk/redactions/1/grant")


@pytest.mark.parametrize("end", [annulled, objected, redacted])
def test_whatever_ends_the_penalty_ends_the_outcome_at_once_and_for_the_same_reason(
    client: TestClient, entity: Entity, end: Callable[[TestClient, int], None]
) -> None:
    seq = penalty(entity)
    told = entry(decide(entity, seq))
    assert telling(client, entity) == ways(entity)
    end(client, seq)
    assert telling(client, entity) == []
    assert withdrawn(client) == [told.id]
    withdrawal = entry(entry(told.seq).withdrawn_by or -1)
    assert withdrawal.payload == {"because": end.__name__.replace("objected", "objection"), "data_set": "tip_outcome",
                                  "withdrawn": told.id}  # fmt: skip
    assert verification.verify().holds


def test_it_ends_with_the_term_of_its_penalty(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    told = entry(decide(entity, seq))
    last = entry(seq).shown_until
    assert last is not None
    assert told.shown_until == last
    with time_machine.travel(last + timedelta(days=2), tick=False):
        tasks.close_windows([])
        assert withdrawn(client) == [told.id]
        assert telling(client, entity) == []
        assert entry(entry(told.seq).withdrawn_by or -1).payload["because"] == "closed"  # type: ignore[index]


def test_when_its_source_corrects_the_penalty_the_outcome_goes_on_beside_the_corrected_one(
    client: TestClient, entity: Entity
) -> None:
    first = decide(entity, penalty(entity))
    corrected = entry(penalty(entity, gravity="serious", document="沪市监罚〔2026〕1号（更正）"))
    (item,) = client.get(f"/api/v1/entities/{entity.code}/entries?kind=tip_outcome").json()["items"]
    assert item["payload"]["penalty"] == corrected.id
    assert item["payload"]["penalty_document"] == "沪市监罚〔2026〕1号（更正）"
    assert item["published_until"] == str(corrected.shown_until)
    assert telling(client, entity) == ways(entity)
    original, again = steps(client)
    assert (original["entry"], again["supersedes"]) == (None, entry(first).id)
    withdraw(corrected.seq)
    assert telling(client, entity) == []
    assert withdrawn(client) == [item["id"]]
    assert verification.verify().holds


@pytest.mark.parametrize("said", [MINOR, OVER], ids=["minor", "its term is over"])
def test_when_the_corrected_penalty_is_not_shown_the_outcome_is_gone(
    client: TestClient, entity: Entity, said: dict[str, Any]
) -> None:
    told = entry(decide(entity, penalty(entity)))
    penalty(entity, **said)
    assert telling(client, entity) == []
    assert withdrawn(client) == [told.id]


def test_when_the_penalty_turns_out_to_be_anothers_the_outcome_is_gone(client: TestClient, entity: Entity) -> None:
    other = registered()[1]
    told = entry(decide(entity, penalty(entity)))
    penalty(other)
    assert telling(client, entity) == telling(client, other) == []
    assert withdrawn(client) == [told.id]


def test_a_repaired_penalty_that_is_sent_again_does_not_bring_the_outcome_back(
    client: TestClient, entity: Entity
) -> None:
    seq = penalty(entity)
    decide(entity, seq)
    withdraw(seq)
    penalty(entity, content="罚款，再次报送")
    assert telling(client, entity) == []
    withdraw(seq)
    assert len(withdrawn(client)) == 1


def test_an_outcome_can_be_objected_to_and_annulled_by_itself(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    told = decide(entity, seq)
    annulled(client, told)
    assert telling(client, entity) == []
    assert "发布虚假广告" in client.get(f"/entities/{entity.code}").text, "the penalty stays"
    penalty(entity, content="罚款，已更正")
    assert telling(client, entity) == [], "and no correction of it brings the outcome back"


def test_a_thousand_penalties_go_with_all_their_outcomes_in_one_transaction(filled: str, client: TestClient) -> None:
    people = registered()
    with db.writing() as session:
        facts = [ledger.seal(fact(people[number % len(people)], number)) for number in range(700)]
        seqs = ledger.append(session, facts).seqs
    with db.reading() as session:
        rows = session.execute(select(LedgerEntry.id, LedgerEntry.entity_code).where(LedgerEntry.seq.in_(seqs))).all()
    said = {"matter": "广告宣传", "finding": "violation", "measures": DONE, "basis": "广告法", "authority": "局"}
    linked = [
        ledger.seal(Fact("tip_outcome", outcomes.SOURCE, f"case {id_}", {**said, "penalty": id_}, code, "2026-11-01"))
        for id_, code in rows
    ]
    with db.writing() as session:
        ledger.append(session, linked)
    assert withdraw(*seqs, because="annulled") == 1_400
    assert DONE not in client.get("/records/tip_outcome").text
    assert verification.verify().holds


# ---- kinds that are switched off ------------------------------------------------------------------------------------


def switch(client: TestClient, kind: str, *, public_here: bool) -> None:
    send(
        client, "/desk/kinds", kind=kind, since=publication.today().isoformat(),
        public_here="yes" if public_here else "no", because="市政府决定",
    )  # fmt: skip


@pytest.fixture
def administered(client: TestClient, entity: Entity) -> Entity:
    """The entity, and an administrator signed in."""
    sign_in(client, add_officer("admin", roles=["administrator"]))
    return entity


def test_where_penalties_are_switched_off_so_are_outcomes_and_they_come_back_together(
    client: TestClient, administered: Entity
) -> None:
    entity = administered
    decide(entity, penalty(entity))
    switch(client, "penalty", public_here=False)
    assert telling(client, entity) == []
    corrected = entry(penalty(entity, content="罚款，已更正"))
    assert telling(client, entity) == []
    switch(client, "penalty", public_here=True)
    assert telling(client, entity) == ways(entity)
    (item,) = client.get(f"/api/v1/entities/{entity.code}/entries?kind=tip_outcome").json()["items"]
    assert item["payload"]["penalty"] == corrected.id


def test_outcomes_alone_can_be_switched_off(client: TestClient, administered: Entity) -> None:
    entity = administered
    decide(entity, penalty(entity))
    switch(client, "tip_outcome", public_here=False)
    assert telling(client, entity) == []
    assert "发布虚假广告" in client.get(f"/entities/{entity.code}").text


# ---- said again, decided again --------------------------------------------------------------------------------------


def test_the_same_decision_again_changes_nothing_whatever_became_of_its_penalty(
    client: TestClient, entity: Entity
) -> None:
    seq = penalty(entity)
    first = decide(entity, seq)
    assert decide(entity, seq) == first
    corrected = penalty(entity, content="罚款，已更正")
    current = decide(entity, seq)
    assert decide(entity, corrected) == current != first
    withdraw(corrected)
    with db.reading() as session:
        size = ledger.size(session)
    assert decide(entity, seq) == current
    with db.reading() as session:
        assert ledger.size(session) == size
    assert telling(client, entity) == []


def test_a_second_decision_takes_the_place_of_the_first(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    first = entry(decide(entity, seq))
    second = decide(entity, seq, measures="复查后改为警告")
    assert telling(client, entity) == []
    assert telling(client, entity, "复查后改为警告") == ways(entity)
    third = decide(entity, None, finding="no_violation", measures="撤销原结论")
    assert telling(client, entity, "复查后改为警告") == telling(client, entity, "撤销原结论") == []
    assert withdrawn(client) == [entry(second).id], "whoever took it is told"
    decide(entity, seq, measures="再次复查，维持原处罚")
    assert telling(client, entity, "再次复查，维持原处罚") == ways(entity)
    assert entry(third).id not in {one["supersedes"] for one in steps(client)}, "what was internal is not named"
    assert entry(first.seq).superseded_by == second
    assert verification.verify().holds


def test_what_was_redacted_is_not_entered_again(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    redacted(client, decide(entity, seq))
    assert telling(client, entity) == []
    with pytest.raises(OutcomeRedacted):
        decide(entity, seq)
    assert "发布虚假广告" in client.get(f"/entities/{entity.code}").text, "the penalty stays"


# ---- two at once ----------------------------------------------------------------------------------------------------


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[tuple[Session, list[object]]]:
    """A transaction that holds the ledger, and what work comes to that is begun during it and ends after it."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(work())
        except PortalError as refusal:
            came.append(refusal.slug)

    thread = threading.Thread(target=run)
    with db.writing() as session:
        ledger.lock(session)
        thread.start()
        thread.join(0.3)
        assert not came, "it waits for its turn"
        yield session, came
    thread.join(20)
    assert not thread.is_alive()


def test_a_penalty_that_goes_while_a_case_is_decided_takes_the_outcome_along(
    client: TestClient, entity: Entity
) -> None:
    seq = penalty(entity)
    with meanwhile(lambda: withdraw(seq)) as (session, came):
        told = outcomes.append(session, outcome(entity, seq))
    assert came == [2]
    assert telling(client, entity) == []
    assert withdrawn(client) == [entry(told).id]


def test_a_case_that_is_decided_while_the_penalty_goes_is_refused(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity)
    with meanwhile(lambda: decide(entity, seq)) as (session, came):
        publication.withdraw(session, [seq], "repaired")
    assert came == ["penalty-not-shown"]
    assert telling(client, entity) == []


# ---- who follows ----------------------------------------------------------------------------------------------------


def test_followers_hear_of_public_outcomes_and_of_no_others(client: TestClient, entity: Entity) -> None:
    def mails() -> list[str]:
        for _ in range(4):
            jobs.drain()
        files = sorted((get_settings().data_dir / "mail").glob("*.eml"))
        found = [message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        return [str(one.get_body(("plain",)).get_content()) for one in found]  # type: ignore[attr-defined]

    with db.writing() as session:
        follow.ask(session, entity.code, "reader@example.com", "en")
    with db.writing() as session:
        follow.confirm(session, session.scalars(select(Follow.id)).one())
    before = len(mails())
    decide(entity, None, "2026-000007")
    assert len(mails()) == before
    decide(entity, penalty(entity))
    (letter,) = mails()[before:]
    assert "Outcomes of reports: 1" in letter
