"""What comes after a decision: the record, rewards, satisfaction, statistics, and erasing what was sent."""

from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from portal.kit import db, jobs, storage
from portal.kit.accounts import Account, Officer, officer_of
from record import kinds, publication
from record.ledger import Fact, append, seal
from record.models import Entity, LedgerEntry
from reporting import cases, retention, rewards, statistics
from reporting.cases import Decision
from reporting.models import Reward, Tip, TipCase, TipFile, TipMessage
from reporting.rewards import CONDITIONS, Proposal
from tests.officers import add_officer
from tests.reporting.telling import SAID, hidden, status, tell, words

pytestmark = pytest.mark.usefixtures("unlimited")


def officer(login: str) -> Officer:
    someone = add_officer(login, roles=["clerk", "reviewer"])
    with db.reading() as session:
        return officer_of(session.get_one(Account, someone.id))


def entity_of() -> Entity:
    with db.reading() as session:
        return session.scalars(select(Entity).order_by(Entity.code).limit(1)).one()


def penalty(entity: Entity, reference: str = "1", act: str = "使用过期食品原料") -> int:
    said = {
        "party_name": entity.name, "document": f"沪市监罚〔2026〕{reference}号", "act": act, "content": "罚款200000元",
        "fine": "200000", "gravity": "general", "authority": "上海市虚构区市场监管局",
    }  # fmt: skip
    fact = Fact("penalty", "test", reference, said, entity.code, publication.today().isoformat())
    with db.writing() as session:
        appended = append(session, [seal(publication.with_term(fact))])
        publication.carry_over(session, appended.replaced)
        return appended.seqs[0]


def decided(client: TestClient, *, penalty_seq: int | None = None, entity: Entity | None = None, **fields: Any) -> str:
    """A report that went all the way to a decision. Returns the receipt."""
    extra = {"entity_code": entity.code} if entity else {}
    receipt = tell(client, **{**extra, **fields})
    with db.reading() as session:
        number = session.scalars(select(TipCase.id).order_by(TipCase.id.desc()).limit(1)).one()
        known = session.scalar(select(Account).where(Account.login == "li.wei"))
    who = officer_of(known) if known else officer("li.wei")
    with db.writing() as session:
        cases.take(session, who, number, "file")
    with db.writing() as session:
        decision = Decision("violation", "责令改正，罚款二十万元", "食品安全法第一百二十四条", penalty_seq)
        cases.decide(session, who, number, decision)
    return receipt


# ---- into the record ------------------------------------------------------------------------------------------------


def outcomes() -> list[LedgerEntry]:
    with db.reading() as session:
        asked = select(LedgerEntry).where(LedgerEntry.kind == "tip_outcome").order_by(LedgerEntry.seq)
        return list(session.scalars(asked))


def test_an_outcome_is_published_beside_its_penalty_and_says_nothing_of_who_told(
    filled: str, client: TestClient
) -> None:
    entity = entity_of()
    decided(client, entity=entity, penalty_seq=penalty(entity), named="yes", name="欧阳证人", phone="13899990001")
    page = client.get(f"/entities/{entity.code}").text
    assert "举报处理结果" in page
    assert "责令改正，罚款二十万元" in page
    found = client.get(f"/api/v1/entities/{entity.code}/entries?kind=tip_outcome").json()["items"]
    assert found[0]["payload"]["finding"] == "violation"
    assert found[0]["payload"]["penalty"] in client.get(f"/api/v1/entities/{entity.code}/entries?kind=penalty").text
    everything = page + str(found) + client.get("/api/v1/changes").text
    for secret in ("欧阳证人", "13899990001", SAID):
        assert secret not in everything


def test_an_outcome_without_a_published_penalty_is_for_the_desk_alone(filled: str, client: TestClient) -> None:
    entity = entity_of()
    decided(client, entity=entity)
    assert [one.visibility for one in outcomes()] == ["internal"]
    for address in (
        f"/entities/{entity.code}",
        "/records/tip_outcome",
        "/api/v1/changes",
        "/api/v1/changes?kind=tip_outcome",
    ):
        assert "责令改正，罚款二十万元" not in client.get(address).text


def test_an_outcome_goes_with_its_penalty(filled: str, client: TestClient) -> None:
    entity = entity_of()
    seq = penalty(entity)
    decided(client, entity=entity, penalty_seq=seq)
    assert penalty(entity, act="使用过期食品原料（更正）") != seq, "the source corrects the penalty"
    assert "责令改正，罚款二十万元" in client.get(f"/entities/{entity.code}").text
    with db.writing() as session:
        newest = session.scalars(
            select(LedgerEntry.seq).where(
                LedgerEntry.kind == "penalty", LedgerEntry.superseded_by.is_(None), LedgerEntry.source == "test"
            )
        ).one()
        publication.withdraw(session, [newest], "repaired")
    assert "责令改正，罚款二十万元" not in client.get(f"/entities/{entity.code}").text
    tombstones = [
        one for one in client.get("/api/v1/changes?kind=tip_outcome").json()["items"] if one["kind"] == "withdrawal"
    ]
    assert tombstones, "whoever took it is told"
    assert "责令改正，罚款二十万元" not in client.get("/api/v1/changes").text


def test_only_the_entitys_own_published_penalty_can_be_linked(filled: str, client: TestClient) -> None:
    from record.outcomes import PenaltyNotShown

    with db.reading() as session:
        first, second = session.scalars(select(Entity).order_by(Entity.code).limit(2)).all()
    with pytest.raises(PenaltyNotShown):
        decided(client, entity=first, penalty_seq=penalty(second))
    with db.reading() as session:
        assert session.scalars(select(TipCase.state)).all() == ["filed"], "nothing of a refused decision stays"


def test_a_second_decision_supersedes_the_first(filled: str, client: TestClient) -> None:
    entity = entity_of()
    decided(client, entity=entity, penalty_seq=penalty(entity))
    with db.reading() as session:
        who = officer_of(session.scalars(select(Account).where(Account.login == "li.wei")).one())
    for step in ("reopen", "file"):
        with db.writing() as session:
            cases.take(session, who, 1, step, "复查发现事实有误")
    with db.writing() as session:
        cases.decide(session, who, 1, Decision("no_violation", "撤销原结论，不予处罚", "行政处罚法第三十三条"))
    first, second = outcomes()
    assert first.superseded_by == second.seq
    assert "责令改正" not in client.get(f"/entities/{entity.code}").text


# ---- rewards --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grade", "share_of", "sum_"),
    [
        (1, "200000", "10000.00"),
        (1, None, "5000.00"),
        (2, "50000", "3000.00"),
        (3, "500000", "5000.00"),
        (1, "90000000", "1000000.00"),
    ],
)
def test_the_sum_is_the_rules_share_with_least_and_most(
    open_vault: str, grade: int, share_of: str | None, sum_: str
) -> None:
    from decimal import Decimal

    assert rewards.sum_of(grade, Decimal(share_of) if share_of else None) == Decimal(sum_)


def offered(client: TestClient, **fields: str) -> str:
    from decimal import Decimal

    receipt = decided(client, **fields)
    with db.reading() as session:
        tip = session.scalars(select(Tip.id)).one()
        first = officer_of(session.scalars(select(Account)).one())
    second = officer("chen.yu")
    with pytest.raises(rewards.ConditionsOpen), db.writing() as session:
        rewards.propose(session, first, tip, Proposal(1, Decimal(200_000), ["major"]))
    with db.writing() as session:
        number = rewards.propose(session, first, tip, Proposal(1, Decimal(200_000), list(CONDITIONS))).id
    with pytest.raises(rewards.AnotherMustApprove), db.writing() as session:
        rewards.approve(session, first, number)
    with db.writing() as session:
        rewards.approve(session, second, number)
    return receipt


def test_a_reward_is_claimed_anonymously_with_receipt_and_word(open_vault: str, client: TestClient) -> None:
    receipt = offered(client, word="青蛙 王子")
    page = client.post("/report/status", data={"receipt": receipt})
    assert "1 万元" in page.text
    form = hidden(page.text)
    assert "不是举报时选定" in client.post("/report/status/claim", data={"pass": form["pass"], "word": "错误的词"}).text
    claimed = client.post("/report/status/claim", data={"pass": form["pass"], "word": "青蛙王子"})
    assert "已申领" in claimed.text
    with db.reading() as session:
        reward = session.scalars(select(Reward)).one()
        assert (reward.state, reward.wrong_words) == ("claimed", 1)
        payer = officer_of(session.scalars(select(Account).where(Account.login == "chen.yu")).one())
    with db.writing() as session:
        rewards.pay(session, payer, reward.id)
    assert "已发放" in client.post("/report/status", data={"receipt": receipt}).text


def test_words_cannot_be_guessed_and_the_window_closes(open_vault: str, client: TestClient) -> None:
    receipt = offered(client, word="青蛙王子")
    carried = hidden(client.post("/report/status", data={"receipt": receipt}).text)["pass"]
    for _ in range(rewards.MOST_WRONG_WORDS):
        client.post("/report/status/claim", data={"pass": carried, "word": "乱猜一个"})
    assert "已申领" not in client.post("/report/status/claim", data={"pass": carried, "word": "青蛙王子"}).text
    with db.writing() as session:
        session.scalars(select(Reward)).one().wrong_words = 0
    with time_machine.travel("2027-12-01T10:00:00+08:00"):
        late = hidden(client.post("/report/status", data={"receipt": receipt}).text)["pass"]
        assert "申领截止于" in client.post("/report/status/claim", data={"pass": late, "word": "青蛙王子"}).text


def test_a_large_reward_waits_for_the_finance_bureau(open_vault: str, client: TestClient) -> None:
    from decimal import Decimal

    decided(client)
    with db.reading() as session:
        tip = session.scalars(select(Tip.id)).one()
        first = officer_of(session.scalars(select(Account)).one())
    second = officer("chen.yu")
    with db.writing() as session:
        number = rewards.propose(session, first, tip, Proposal(1, Decimal(20_000_000), list(CONDITIONS))).id
    with db.writing() as session:
        assert rewards.approve(session, second, number).state == "agreeing"
    with pytest.raises(rewards.AgreementMissing), db.writing() as session:
        rewards.agree(session, second, number, "")
    with db.writing() as session:
        assert rewards.agree(session, second, number, "沪财复〔2026〕12号").state == "offered"


def test_nothing_is_rewarded_without_a_violation(open_vault: str, client: TestClient) -> None:
    tell(client)
    who = officer("li.wei")
    with db.reading() as session:
        tip = session.scalars(select(Tip.id)).one()
    with pytest.raises(rewards.NothingToReward), db.writing() as session:
        rewards.propose(session, who, tip, Proposal(1, None, list(CONDITIONS)))


# ---- satisfaction ---------------------------------------------------------------------------------------------------


def closed(client: TestClient, **fields: str) -> str:
    receipt = decided(client, **fields)
    with db.reading() as session:
        who = officer_of(session.scalars(select(Account).where(Account.login == "li.wei")).one())
        number = session.scalars(select(TipCase.id).order_by(TipCase.id.desc()).limit(1)).one()
    for step in (["tell"] if fields.get("named") else []) + ["close"]:
        with db.writing() as session:
            cases.take(session, who, number, step)
    return receipt


def test_satisfaction_is_asked_once_four_weeks_after_the_end(open_vault: str, client: TestClient) -> None:
    with time_machine.travel("2026-10-12T10:00:00+08:00"):
        receipt = closed(client)
        assert "您满意吗" not in client.post("/report/status", data={"receipt": receipt}).text
    with time_machine.travel("2026-11-09T10:00:00+08:00"):
        page = client.post("/report/status", data={"receipt": receipt})
        assert "您满意吗" in page.text
        carried = hidden(page.text)["pass"]
        assert "已计入" in client.post("/report/status/rate", data={"pass": carried, "mark": "4"}).text
        assert "只在办结四周后询问一次" in client.post("/report/status/rate", data={"pass": carried, "mark": "1"}).text
    with db.reading() as session:
        assert session.scalars(select(Tip.satisfaction)).one() == 4


# ---- statistics -----------------------------------------------------------------------------------------------------


def test_statistics_count_and_name_nobody(filled: str, client: TestClient) -> None:
    entity = entity_of()
    closed(client, entity_code=entity.code, district="310104")
    tell(client, service="price", kind="report")
    with db.reading() as session:
        found = statistics.read(session, publication.today().year)
    assert (found.whole.received, found.whole.verified, found.whole.violations, found.whole.closed) == (2, 1, 1, 1)
    assert {name for name, _ in found.by_service} == {"food", "price"}
    page = client.get("/statistics")
    assert page.status_code == 200
    assert entity.name not in page.text
    statistics.forget()
    said = client.get("/api/v1/statistics/tips").json()
    assert said["whole"]["received"] == 2
    assert {one["district"] for one in said["by_district"]} == {"310104", None}
    assert client.get("/statistics?year=1700").status_code == 200
    assert client.get("/api/v1/statistics/tips?year=1700").status_code == 422


def test_overdue_is_public_in_number(open_vault: str, client: TestClient) -> None:
    tell(client)
    with time_machine.travel("2027-06-01T10:00:00+08:00"):
        statistics.forget()
        assert client.get("/api/v1/statistics/tips?year=2026").json()["overdue_now"] == 1


# ---- erasing --------------------------------------------------------------------------------------------------------


def test_content_is_erased_on_its_day_and_the_numbers_stay(open_vault: str, client: TestClient, photo: bytes) -> None:
    receipt = closed(client, files=[("a.jpg", photo)], named="yes", name="欧阳证人", phone="13899990001")
    still = tell(client)
    client.post("/api/v1/tips/messages", json={"receipt": receipt, "text": "补充一句"})
    assert retention.erase_due() == 0
    with time_machine.travel("2031-01-01T10:00:00+08:00"):
        assert retention.erase_due() == 1
        assert retention.erase_due() == 0
        jobs.drain()
    assert list(storage.keys("tips")) == []
    with db.reading() as session:
        tips = session.scalars(select(Tip).order_by(Tip.received_at)).all()
        assert [tip.sealed is None for tip in tips] == [True, False], "what is open stays"
        assert tips[0].identity_sealed is None
        assert session.scalar(select(func.count()).select_from(TipFile)) == 1
        assert session.scalars(select(TipMessage.to_desk)).all() == [None]
        acts = [
            row for row in session.scalars(select(LedgerEntry.payload).where(LedgerEntry.kind == "desk_action")) if row
        ]
        assert [act["action"] for act in acts][-1] == "tips_erase"
        year = publication.today().year
        assert statistics.read(session, year).whole.received == 2
    found = status(client, receipt)
    assert found["status"] == "closed"
    assert found["messages"] == []
    assert "已到期清除" in words(client.post("/report/status", data={"receipt": receipt}).text)
    assert status(client, still)["status"] == "received"
    assert client.post("/api/v1/tips/messages", json={"receipt": receipt, "text": "还有"}).status_code == 410


def test_no_feed_brings_outcomes(filled: str, client: TestClient) -> None:
    assert "tip_outcome" not in {kind.name for kind in kinds.FED}
    assert client.post("/api/v1/feeds/tip_outcome", json=[]).status_code in (401, 404, 405, 422)
