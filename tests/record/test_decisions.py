"""What officers decide about entries: annulled, disputed, repaired, redacted; who may, when, and what is left of it."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from portal.kit import db
from portal.kit.settings import get_settings
from record import feeds, ledger, publication, tasks, verification
from record.ledger import Fact
from record.models import Entity, LedgerEntry
from tests.officers import Someone, add_officer, form_token, sign_in


@pytest.fixture
def entity(filled: str) -> Entity:
    with db.reading() as session:
        return session.scalars(select(Entity).where(Entity.district == "310115").order_by(Entity.code)).first()  # type: ignore[return-value]


@pytest.fixture
def reviewer(filled: str) -> Someone:
    return add_officer("wang.fang", roles=["reviewer"])


@pytest.fixture
def clerk(filled: str) -> Someone:
    return add_officer("li.wei", roles=["clerk"])


def penalty(entity: Entity, day: date, act: str = "发布奇观异想广告") -> int:
    said = {"party_name": entity.name, "act": act, "content": "罚款", "gravity": "general"}
    fact = publication.with_term(Fact("penalty", "test", f"一号|{entity.code}", said, entity.code, day.isoformat()))
    with db.writing() as session:
        return next(iter(feeds.store(session, [feeds.Party(fact, entity.name, ledger.seal(fact)[1:])])[0].seqs), -1)


def old_penalty(entity: Entity) -> int:
    return penalty(entity, publication.months_after(publication.today(), -3))


def send(client: TestClient, path: str, **fields: Any) -> Any:
    return client.post(path, data={"form_token": form_token(client)} | fields, follow_redirects=False)


def enter(client: TestClient, seq: int, case: str = "objection", **other: Any) -> Any:
    said = {"received_on": publication.today().isoformat(), "via": "letter", "grounds": "当事人认为事实有误。"}
    return send(client, "/desk/applications", **{"entry": seq, "case": case} | said | other)


def step(client: TestClient, number: int, name: str, reason: str = "经核实，情况属实。") -> Any:
    return send(client, f"/desk/applications/{number}/{name}", reason=reason)


def number_of(answer: Any) -> int:
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rsplit("/", 1)[1])


def switch_to(client: TestClient, officer: Someone) -> None:
    client.cookies.clear()
    sign_in(client, officer)


def acts() -> list[dict[str, Any]]:
    with db.reading() as session:
        kept = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action").order_by(LedgerEntry.seq))
        return [{**(entry.payload or {}), "visibility": entry.visibility} for entry in kept]


def shown(client: TestClient, entity: Entity) -> bool:
    return "奇观异想" in client.get(f"/entities/{entity.code}").text


# ---- annulled -------------------------------------------------------------------------------------------------------


def test_an_annulled_decision_is_shown_no_longer_and_who_said_so_is_on_the_internal_record(
    client: TestClient, entity: Entity, reviewer: Someone
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, reviewer)
    assert "奇观异想" in client.get(f"/desk/record?code={entity.code}").text
    assert send(client, f"/desk/record/{seq}/annul", reason="复议决定撤销原处罚").status_code == 303
    assert not shown(client, entity)
    (act,) = acts()
    assert (act["action"], act["officer"], act["visibility"]) == ("annul", str(reviewer.id), "internal")
    assert "复议决定" not in client.get("/api/v1/changes?limit=1000").text
    assert verification.verify().holds
    assert send(client, f"/desk/record/{seq}/annul", reason="复议决定撤销原处罚").status_code == 422


def test_who_may_not_decide_changes_nothing(client: TestClient, entity: Entity, clerk: Someone) -> None:
    seq = old_penalty(entity)
    assert client.post(f"/desk/record/{seq}/annul", data={}, follow_redirects=False).status_code in {303, 401, 403}
    sign_in(client, clerk)
    assert send(client, f"/desk/record/{seq}/annul", reason="复议决定撤销原处罚").status_code == 403
    switch_to(client, add_officer("far.away", roles=["reviewer"], district="310101"))
    assert send(client, f"/desk/record/{seq}/annul", reason="复议决定撤销原处罚").status_code == 403
    assert enter(client, seq).status_code == 403
    assert acts() == []
    assert shown(client, entity)


# ---- objections and repairs -----------------------------------------------------------------------------------------


def test_a_disputed_entry_says_so_until_the_objection_is_decided(
    client: TestClient, entity: Entity, clerk: Someone, reviewer: Someone
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, clerk)
    number = number_of(enter(client, seq))
    assert "异议处理中" in client.get(f"/entities/{entity.code}?lang=zh").text
    (entry,) = client.get(f"/api/v1/entities/{entity.code}/entries?kind=penalty").json()["items"]
    assert entry["disputed"] is True
    assert step(client, number, "accept").status_code == 303
    assert step(client, number, "uphold").status_code == 403, "a clerk does not decide"
    switch_to(client, reviewer)
    assert step(client, number, "reject", "证据充分，原处罚成立。").status_code == 303
    page = client.get(f"/entities/{entity.code}?lang=zh").text
    assert "异议处理中" not in page
    assert "奇观异想" in page


def test_an_upheld_objection_ends_publication_and_every_step_is_on_the_record(
    client: TestClient, entity: Entity, clerk: Someone, reviewer: Someone
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, clerk)
    number = number_of(enter(client, seq))
    step(client, number, "accept")
    switch_to(client, reviewer)
    assert step(client, number, "uphold").status_code == 303
    assert not shown(client, entity)
    assert [act["action"] for act in acts()] == ["application_receive", "application_accept", "application_uphold"]
    assert step(client, number, "uphold").status_code == 409
    assert "事实有误" not in json.dumps(acts(), ensure_ascii=False), "what the applicant says stays out of the ledger"


def test_a_repair_waits_for_the_minimum_term_and_whoever_entered_it_does_not_decide_it(
    client: TestClient, entity: Entity, reviewer: Someone
) -> None:
    early = penalty(entity, publication.today())
    sign_in(client, reviewer)
    refused = enter(client, early, "repair", grounds="已缴清罚款并公开承诺。")
    assert refused.status_code == 422
    assert "已缴清罚款并公开承诺" in refused.text, "nothing typed is lost"
    with time_machine.travel(publication.months_after(publication.today(), 3) + timedelta(days=1), tick=False):
        switch_to(client, reviewer)
        number = number_of(enter(client, early, "repair"))
        step(client, number, "accept")
        assert step(client, number, "uphold").status_code == 403
        switch_to(client, add_officer("zhao.min", roles=["reviewer"]))
        assert step(client, number, "uphold").status_code == 303
        assert not shown(client, entity)


def test_one_entry_has_one_open_objection_and_steps_go_in_order(
    client: TestClient, entity: Entity, clerk: Someone
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, clerk)
    number = number_of(enter(client, seq))
    assert enter(client, seq).status_code == 409
    assert step(client, number, "extend").status_code == 409, "nothing runs yet that could be extended"
    assert step(client, number, "refuse", " ").status_code == 422, "a refusal needs its reason"
    assert step(client, number, "refuse").status_code == 303
    assert step(client, number, "accept").status_code == 409
    assert shown(client, entity)
    number_of(enter(client, seq))


def test_the_queue_shows_what_is_overdue_first_and_a_district_sees_its_own(
    client: TestClient, entity: Entity, clerk: Someone
) -> None:
    seq = old_penalty(entity)
    sign_in(client, clerk)
    long_ago = (publication.today() - timedelta(days=40)).isoformat()
    number = number_of(enter(client, seq, received_on=long_ago))
    number_of(enter(client, seq, "repair"))
    page = client.get("/desk/applications?lang=zh").text
    assert page.index(f'/desk/applications/{number}"') < page.index(f'/desk/applications/{number + 1}"')
    assert "已超期" in page
    assert "1 件超期" in client.get("/desk?lang=zh").text
    switch_to(client, add_officer("far.away", roles=["clerk"], district="310101"))
    assert f'/desk/applications/{number}"' not in client.get("/desk/applications").text
    assert client.get(f"/desk/applications/{number}").status_code == 403


def test_what_the_applicant_says_is_kept_without_personal_numbers_and_shown_as_text(
    client: TestClient, entity: Entity, clerk: Someone
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, clerk)
    said = "联系人手机13812341234 <script>alert(1)</script>"
    number = number_of(enter(client, seq, grounds=said))
    page = client.get(f"/desk/applications/{number}").text
    assert "138****1234" in page
    assert "<script>alert" not in page
    assert enter(client, seq, "repair", received_on="2999-01-01").status_code == 422
    assert enter(client, seq, "bribe").status_code == 422
    assert enter(client, 10**9).status_code == 422


def test_a_last_day_beyond_the_known_calendar_is_provisional_and_moves_when_the_calendar_is_entered(
    client: TestClient, entity: Entity, clerk: Someone
) -> None:
    seq = penalty(entity, date(2026, 12, 20))
    with time_machine.travel("2026-12-30T02:00:00Z", tick=False):
        sign_in(client, clerk)
        number = number_of(enter(client, seq, received_on="2026-12-30"))
        page = client.get(f"/desk/applications/{number}?lang=en").text
        assert "5 January 2027" in page
        assert "provisional" in page
        switch_to(client, add_officer("admin", roles=["administrator"]))
        for day in ("2026-12-31", "2027-01-04", "2027-01-05", "2027-01-06"):
            declared = send(
                client, "/desk/calendar", day=day, working="no" if day == "2027-01-04" else "yes", because="国办发明电"
            )
            assert declared.status_code == 303
        switch_to(client, clerk)
        page = client.get(f"/desk/applications/{number}?lang=en").text
        assert "6 January 2027" in page
        tasks.mend_calendar([])
        assert "6 January 2027" in client.get(f"/desk/applications/{number}?lang=en").text


# ---- redaction ------------------------------------------------------------------------------------------------------


def test_a_redaction_takes_two_people_and_leaves_the_ledger_whole(
    client: TestClient, entity: Entity, reviewer: Someone, clerk: Someone
) -> None:
    first = penalty(entity, publication.today(), "发布奇观异想广告甲")
    second = penalty(entity, publication.today(), "发布奇观异想广告乙")
    sign_in(client, reviewer)
    asked = send(client, f"/desk/record/{second}/redaction", reason="（2026）沪0101行初1号判决")
    assert asked.status_code == 303
    assert send(client, "/desk/redactions/1/grant").status_code == 403, "whoever asks does not grant"
    assert shown(client, entity)
    switch_to(client, add_officer("zhao.min", roles=["reviewer"]))
    assert "第" in client.get("/desk/redactions?lang=zh").text
    assert send(client, "/desk/redactions/1/grant").status_code == 303
    assert not shown(client, entity)
    report = verification.verify()
    assert (report.holds, report.redacted) == (True, 2), "the version before says the same thing"
    with db.reading() as session:
        stored = session.execute(
            text("SELECT * FROM ledger_entry WHERE seq IN (:first, :second)"), {"first": first, "second": second}
        ).all()
    assert "奇观异想" not in str(stored)
    assert entity.code not in str(stored)
    assert "奇观异想" not in client.get("/api/v1/changes?limit=1000").text
    tombstones = [
        one["withdrawn"] for one in client.get("/api/v1/changes?limit=1000").json()["items"] if one["withdrawn"]
    ]
    assert len(tombstones) == 2, "followers hear of it"
    penalty_again = Fact(
        "penalty",
        "test",
        f"一号|{entity.code}",
        {"party_name": entity.name, "act": "发布奇观异想广告", "content": "罚款", "gravity": "general"},
        entity.code,
        "2026-01-01",
    )
    with db.writing() as session:
        assert ledger.append(session, [ledger.seal(penalty_again)]).redacted == 1, (
            "the next delivery does not bring it back"
        )
    assert send(client, "/desk/redactions/1/decline").status_code == 409
    assert send(client, f"/desk/record/{second}/redaction", reason="（2026）沪0101行初1号判决").status_code == 422


# ---- the access log -------------------------------------------------------------------------------------------------


def test_who_merely_looked_is_in_the_access_log_and_not_in_the_ledger(
    client: TestClient, entity: Entity, clerk: Someone
) -> None:
    sign_in(client, clerk)
    client.get(f"/desk/record?code={entity.code}")
    (file,) = Path(get_settings().data_dir, "access").glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert {"officer": clerk.id, "page": "/desk/record", "code": entity.code}.items() <= lines[-1].items()
    assert file.stat().st_mode & 0o077 == 0
    assert acts() == []


# ---- when the source says it again ----------------------------------------------------------------------------------


def test_what_was_repaired_stays_out_of_sight_when_its_source_sends_it_again_in_other_words(
    client: TestClient, entity: Entity
) -> None:
    seq = old_penalty(entity)
    with db.writing() as session:
        publication.withdraw(session, [seq], "repaired")
    for act in ("发布奇观异想广告，经催告", "发布奇观异想广告，再次报送"):
        penalty(entity, publication.months_after(publication.today(), -3), act)
        assert not shown(client, entity)
        assert "奇观异想" not in client.get("/api/v1/changes?limit=1000").text
    assert verification.verify().holds


def test_after_an_upheld_objection_the_corrected_entry_is_shown_and_the_same_one_is_not(
    client: TestClient, entity: Entity
) -> None:
    seq = penalty(entity, publication.today())
    with db.writing() as session:
        publication.withdraw(session, [seq], "objection")
    penalty(entity, publication.today())
    assert not shown(client, entity)
    penalty(entity, publication.today(), "发布奇观异想广告，已更正")
    assert shown(client, entity)


def test_an_open_objection_goes_on_about_the_entry_as_its_source_words_it_now(
    client: TestClient, entity: Entity, clerk: Someone, reviewer: Someone
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, clerk)
    number = number_of(enter(client, seq))
    step(client, number, "accept")
    penalty(entity, publication.today(), "发布奇观异想广告，经催告")
    assert "异议处理中" in client.get(f"/entities/{entity.code}?lang=zh").text
    switch_to(client, reviewer)
    assert step(client, number, "uphold").status_code == 303
    assert not shown(client, entity)
