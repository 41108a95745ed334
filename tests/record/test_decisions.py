"""An officer decides that an entry is shown no longer: with a reason, on the record, and only when the law lets it."""

from datetime import date

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db
from record import feeds, ledger, publication, verification
from record.ledger import Fact
from record.models import Entity, LedgerEntry
from tests.officers import add_officer, form_token, sign_in


@pytest.fixture
def entity(filled: str) -> Entity:
    with db.reading() as session:
        return session.scalars(select(Entity).where(Entity.district == "310115").order_by(Entity.code)).first()  # type: ignore[return-value]


def penalty(entity: Entity, day: date) -> int:
    said = {"party_name": entity.name, "act": "发布奇观异想广告", "content": "罚款", "gravity": "general"}
    fact = publication.with_term(Fact("penalty", "test", f"一号|{entity.code}", said, entity.code, day.isoformat()))
    with db.writing() as session:
        return feeds.store(session, [feeds.Party(fact, entity.name, ledger.seal(fact)[1:])])[0].seqs[0]


def decide(client: TestClient, seq: int, because: str, reason: str = "已缴清罚款并公开承诺") -> int:
    form = {"form_token": form_token(client), "because": because, "reason": reason}
    return client.post(f"/desk/record/{seq}/withdraw", data=form, follow_redirects=False).status_code


def acts() -> list[LedgerEntry]:
    with db.reading() as session:
        return list(session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action")))


def test_a_repair_after_the_minimum_term_ends_publication_and_is_on_the_internal_record(
    client: TestClient, entity: Entity
) -> None:
    seq = penalty(entity, publication.months_after(publication.today(), -3))
    officer = add_officer(roles=["reviewer"])
    sign_in(client, officer)
    assert "奇观异想" in client.get(f"/desk/record?code={entity.code}").text
    assert decide(client, seq, "repaired") == 303
    assert "奇观异想" not in client.get(f"/entities/{entity.code}").text
    (act,) = acts()
    assert act.payload is not None
    assert (act.visibility, act.payload["reason"], act.payload["officer"]) == (
        "internal",
        "已缴清罚款并公开承诺",
        str(officer.id),
    )
    assert "公开承诺" not in client.get("/api/v1/changes?limit=1000").text
    assert verification.verify().holds
    assert decide(client, seq, "repaired") == 422, "decided already"


def test_repair_before_the_minimum_term_is_refused_but_an_annulled_decision_goes_at_once(
    client: TestClient, entity: Entity
) -> None:
    seq = penalty(entity, publication.today())
    sign_in(client, add_officer(roles=["reviewer"]))
    assert decide(client, seq, "repaired") == 422
    assert "奇观异想" in client.get(f"/entities/{entity.code}").text
    assert decide(client, seq, "annulled", "复议决定撤销原处罚") == 303
    assert "奇观异想" not in client.get(f"/entities/{entity.code}").text


def test_who_may_not_decide_changes_nothing(client: TestClient, entity: Entity) -> None:
    seq = penalty(entity, publication.months_after(publication.today(), -3))
    assert client.post(f"/desk/record/{seq}/withdraw", data={}, follow_redirects=False).status_code in {303, 401, 403}
    sign_in(client, add_officer("clerk.zhang", roles=["clerk"]))
    assert decide(client, seq, "repaired") == 403
    client.cookies.clear()
    sign_in(client, add_officer("far.away", roles=["reviewer"], district="310101"))
    assert decide(client, seq, "repaired") == 403
    assert acts() == []
    assert "奇观异想" in client.get(f"/entities/{entity.code}").text
