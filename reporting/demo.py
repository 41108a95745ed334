"""Made-up reports and complaints about made-up entities, in every state that a case can be in."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.settings import get_settings
from record import outcomes, publication
from record.ledger import new_id
from record.models import Entity
from record.publication import PUBLISHED
from reporting import cases, talk, vault
from reporting.cases import Arrived, Decision
from reporting.models import Kind, Tip, TipCase

_MADE_UP = "（此件为演示所编）"
_DECISION = Decision("violation", "责令改正，没收违法所得，处以罚款（演示）", "中华人民共和国行政处罚法（演示）")


@dataclass(frozen=True, slots=True)
class _Story:
    kind: Kind
    service: str
    words: str
    steps: tuple[str, ...] = ()
    days_ago: int = 3
    named: bool = False


_STORIES = (
    _Story("report", "food", "冷柜里的半成品没有生产日期，店员说是昨天做的", days_ago=2),
    _Story("report", "price", "标价二十八元，结账收了三十八元，收银小票上没有明细", days_ago=5),
    _Story("report", "licence", "店里没有挂营业执照，问起来说还在办", days_ago=30),
    _Story("report", "advertising", "宣传单写着三天见效、无效退款，产品只是普通食品", ("verify",), 12),
    _Story("report", "quality", "插座没有强制认证标志，插上以后发烫", ("verify",), 26),
    _Story("report", "equipment", "电梯轿厢里的检验标志过期四个月", ("verify", "file"), 40, named=True),
    _Story("report", "measurement", "称了三次同一袋水果，分量都不一样", ("verify", "file", "decide"), 75),
    _Story("report", "food", "厨房后门堆着没有标签的油桶", ("verify", "file", "decide", "close"), 110),
    _Story("report", "online", "商品评价前几十条用词几乎一样", ("verify", "not_file", "close"), 90),
    _Story("report", "property", "包装和某品牌几乎一样，只差一个字", ("verify", "not_file"), 34, named=True),
    _Story("complaint", "consumer", "预付卡还剩六百元，店铺换了老板就不认", days_ago=4, named=True),
    _Story("complaint", "consumer", "洗衣机修了三次还是漏水，要求退货被拒", ("accept",), 16, named=True),
    _Story("complaint", "consumer", "装修合同写的材料和实际用的不一样", ("accept", "mediate"), 33, named=True),
    _Story(
        "complaint", "consumer", "网购的家具少了两件配件，客服一直不补", ("accept", "mediate", "settle"), 58, named=True
    ),
    _Story(
        "complaint",
        "consumer",
        "健身课程停开，要求退费",
        ("accept", "mediate", "fail", "tell", "close"),
        120,
        named=True,
    ),
    _Story("complaint", "consumer", "两年前的收据，想退货", ("refuse", "close"), 60, named=True),
)
_REASON = "经核查，依法作出上述处理（演示）"


def fill(clerk: Officer) -> str | None:
    """Add made-up cases where there are none. Returns one receipt to try, or None when nothing was added."""
    with db.reading() as session:
        if session.scalar(select(func.count()).select_from(TipCase)):
            return None
        entities = list(session.scalars(_with_penalties())) or list(
            session.scalars(select(Entity).where(Entity.source == "demo").order_by(Entity.code).limit(20))
        )
    receipt = vault.new_digits()
    for number, story in enumerate(_STORIES):
        entity = entities[number * 7 % len(entities)] if entities and number % 4 else None
        digits = receipt if story.steps[-1:] == ("mediate",) else vault.new_digits()
        case_id = _tell(story, entity, digits)
        for step in story.steps:
            _take(clerk, case_id, step)
    _talk(clerk, receipt)
    return receipt


def _with_penalties() -> Select[Entity]:
    penalised = select(PUBLISHED.c.entity_code).where(PUBLISHED.c.kind == "penalty", PUBLISHED.c.source == "demo")
    return select(Entity).where(Entity.code.in_(penalised), Entity.source == "demo").order_by(Entity.code).limit(20)


def _tell(story: _Story, entity: Entity | None, digits: str) -> int:
    told: dict[str, Any] = {
        "description": story.words + _MADE_UP,
        "entity": entity.name if entity else "",
        "place": "",
        "files": {},
    }
    told |= {"publish": False, "mediation": True} if story.kind == "complaint" else {}
    receipt = vault.receipt(digits)
    with db.writing() as session:
        arrived = Arrived(
            kind=story.kind, via="portal", service=story.service, entity_code=entity.code if entity else None,
            district=entity.district if entity else None, department=get_settings().department, named=story.named,
        )  # fmt: skip
        case = cases.receive(session, arrived, on=publication.today() - timedelta(days=story.days_ago))
        who = json.dumps({"name": "演示甲", "phone": "00000000000", "email": ""}).encode()
        session.add(
            Tip(
                id=new_id(),
                case_id=case.id,
                rank=1,
                lookup=receipt.lookup,
                reply_key=receipt.public_key,
                received_at=db.now() - timedelta(days=story.days_ago),
                sealed=vault.seal(session, json.dumps(told, ensure_ascii=False).encode(), case.department),
                identity_sealed=vault.seal_identity(session, who) if story.named else None,
            )
        )
        return case.id


def _take(clerk: Officer, case_id: int, step: str) -> None:
    with db.writing() as session:
        if step != "decide":
            if step == "close" and session.get_one(TipCase, case_id).named:
                _told(session, clerk, case_id)
            cases.take(session, clerk, case_id, step, _REASON)
            return
        case = session.get_one(TipCase, case_id)
        found = outcomes.penalties_of(session, case.entity_code, limit=1) if case.entity_code else []
        decision = Decision(
            _DECISION.finding, _DECISION.measures, _DECISION.basis, penalty_seq=found[0].seq if found else None
        )
        cases.decide(session, clerk, case_id, decision)


def _told(session: Session, clerk: Officer, case_id: int) -> None:
    case = session.get_one(TipCase, case_id)
    if case.told_on is None and case.decided_on is not None:
        cases.change(session, clerk, case_id, "tell")


def _talk(clerk: Officer, digits: str) -> None:
    receipt = vault.receipt(digits)
    with db.writing() as session:
        talk.add(session, receipt, "补充：合同第三页有材料清单" + _MADE_UP)
        tip = talk.find(session, receipt)
        talk.reply(session, clerk, tip.id, "您好，已约定下周三调解，请带好合同原件" + _MADE_UP)
