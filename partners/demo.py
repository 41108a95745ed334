"""Made-up partners for demonstrations: an association, an agency, a consumer council, a business; and what they said.

Everything is about made-up entities alone, and says so. The same ones every time.
"""

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select

from partners import acceptance, commissions, disputes, organisations, schemes, scorecard, uploads
from partners.commissions import Order
from partners.models import Organisation
from partners.organisations import Wanted
from partners.schemes import TITLES
from partners.uploads import Arriving, Sender, Sent
from portal.kit import db
from portal.kit.accounts import Officer
from record import evaluations, publication
from record.models import Entity
from record.publication import PUBLISHED

ASSOCIATION, AGENCY, COUNCIL, BUSINESS = "demo-association", "demo-agency", "demo-council", "demo-business"
CREDIT, SERVICE, COMPLAINTS = "demo-credit", "demo-service", "demo-complaints"
_MADE_UP = "（演示所编，并不存在）"
_GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C")
_DIGITS = ("111", "011", "001", "222", "022", "002", "333", "033", "003")
_MEANINGS = (
    ("信用很好", "Very good"), ("信用好", "Good"), ("信用较好", "Fairly good"), ("信用一般", "Fair"),
    ("信用欠佳", "Below fair"), ("信用较差", "Rather poor"), ("信用差", "Poor"), ("信用很差", "Very poor"),
    ("信用极差", "Extremely poor"),
)  # fmt: skip
_CREDIT: dict[str, Any] = {
    "grades": [
        {"code": code, "meaning": zh, "english_meaning": en} for code, (zh, en) in zip(_GRADES, _MEANINGS, strict=True)
    ],
    "validity_months": 36,
    "summary": "从经营能力、履约情况、社会责任三方面评价，满分一千分" + _MADE_UP,
    "english_summary": "Looks at capability, performance of contracts and social responsibility (made up).",
    "certificate": {"pattern": "[0-9]{15}", "grade_at": 7, "grade_digits": dict(zip(_GRADES, _DIGITS, strict=True))},
}
_SERVICE: dict[str, Any] = {
    "grades": [
        {"code": code, "meaning": f"{code}级服务", "english_meaning": f"Service of grade {code}"}
        for code in ("A", "B", "C", "D")
    ],
    "validity_months": 12,
    "summary": "依据消费者问卷和暗访评价服务质量" + _MADE_UP,
    "english_summary": "Rates service by questionnaires and mystery shopping (made up).",
    "columns": [
        {"field": "score", "title": "得分", "english_title": "Score", "type": "number"},
        {"field": "assessor", "title": "评价组", "english_title": "Team", "public": False},
    ],
}
_COMPLAINTS: dict[str, Any] = {
    "kind": "process",
    "validity_months": None,
    "summary": "各经营者被投诉的件数，按季统计" + _MADE_UP,
    "english_summary": "Complaints by business and quarter (made up).",
    "columns": [
        {"field": "received", "title": "投诉件数", "english_title": "Complaints received", "type": "integer",
         "required": True},
        {"field": "settled", "title": "调解成功件数", "english_title": "Settled by mediation", "type": "integer",
         "required": True},
    ],
}  # fmt: skip


class _Rated(NamedTuple):
    code: str
    name: str


def fill(clerk: Officer, reviewer: Officer) -> bool:
    """Add the made-up partners where there are none. Returns whether they were added."""
    with db.reading() as session:
        if session.get(Organisation, ASSOCIATION) is not None:
            return False
        penalised = select(PUBLISHED.c.entity_code).where(PUBLISHED.c.kind == "penalty", PUBLISHED.c.source == "demo")
        asked = select(Entity.code, Entity.name).where(Entity.source == "demo", Entity.status == "active")
        some = [_Rated(*row) for row in session.execute(asked.order_by(Entity.code).limit(90))]
        found = [_Rated(*row) for row in session.execute(asked.where(Entity.code.in_(penalised)).limit(30))]
    rated = list(dict.fromkeys([*some, *found]))
    if not rated:
        return False
    _add_organisations(rated[0])
    _publish(
        ASSOCIATION, CREDIT, "2023年度会员信用评价.csv", _credit_rows(rated[: len(rated) // 2], date(2023, 11, 20))
    )
    _publish(ASSOCIATION, CREDIT, "2025年度会员信用评价.csv", _credit_rows(rated, date(2025, 9, 10), wrong=3))
    _publish(AGENCY, SERVICE, "2026年服务质量评价.csv", _service_rows(rated[::3]))
    _publish(COUNCIL, COMPLAINTS, "2026年三季度投诉.csv", _complaint_rows(rated[::5]))
    _argue(rated[0].code, rated[3].code, reviewer)
    _commission(clerk)
    scorecard.compute_all()
    return True


def _add_organisations(business: _Rated) -> None:
    association = Wanted(
        "association", "演示行业协会" + _MADE_UP, number="演示社团0001", numbered_by="演示民政部门",
        about="评价会员企业的信用。",
    )  # fmt: skip
    agency = Wanted(
        "rating_agency", "演示信用评级公司" + _MADE_UP, number="演示备案0001", numbered_by="演示备案机构",
        about="评价服务质量。",
    )  # fmt: skip
    council = Wanted("consumer_council", "演示消费者权益保护委员会" + _MADE_UP, about="统计消费投诉。")
    own = Wanted("entity", business.name, business.code)
    wanted = ((ASSOCIATION, association), (AGENCY, agency), (COUNCIL, council), (BUSINESS, own))
    for id_, one in wanted:
        with db.writing() as session:
            organisations.add(session, id_, one, by=None)
    for owner, id_, name, english, definition in (
        (ASSOCIATION, CREDIT, "演示行业信用评价", "Demonstration credit rating", _CREDIT),
        (AGENCY, SERVICE, "演示服务质量评价", "Demonstration service rating", _SERVICE),
        (COUNCIL, COMPLAINTS, "演示投诉统计", "Demonstration complaint counts", _COMPLAINTS),
    ):
        with db.writing() as session:
            version = schemes.propose(
                session, owner, id_, name=name, english_name=english, definition=schemes.parse(definition)
            )
            schemes.approve(session, None, id_, version.number)


# ---- rows -----------------------------------------------------------------------------------------------------------

Rows = list[dict[str, str]]


def _row(entity: _Rated, day: date, **further: str) -> dict[str, str]:
    said = {TITLES["party_name"]: entity.name, TITLES["entity_code"]: entity.code}
    return {**said, TITLES["evaluated_on"]: day.isoformat(), **further}


def _credit_rows(rated: Sequence[_Rated], day: date, *, wrong: int = 0) -> Rows:
    rows = []
    for number, entity in enumerate(rated):
        place = (sum(map(ord, entity.code)) + day.year) % 13
        grade = _GRADES[min(place // 2, 5) if place < 12 else 7]
        digits = _DIGITS[_GRADES.index(grade)]
        rows.append(
            _row(entity, day + timedelta(days=number % 20), 等级=grade, 证书编号=f"{day.year}001{digits}{number:05d}")
        )
    unlike = [{**row, "等级": "五星"} for row in rows[:wrong]]
    return rows + [{**row, "评价日期": "2025-10-30"} for row in unlike]


def _service_rows(rated: Sequence[_Rated]) -> Rows:
    rows = []
    for number, entity in enumerate(rated):
        score = 60 + (sum(map(ord, entity.code)) % 40)
        grade = "ABCD"[min(3, (99 - score) // 10)]
        rows.append(
            _row(entity, date(2026, 4, 1) + timedelta(days=number % 30), 等级=grade, 得分=str(score), 评价组="一组")
        )
    return rows


def _complaint_rows(rated: Sequence[_Rated]) -> Rows:
    return [
        _row(entity, date(2026, 9, 30), 投诉件数=str(number % 7), 调解成功件数=str(number % 7 // 2))
        for number, entity in enumerate(rated)
    ]


def _publish(organisation_id: str, scheme_id: str, name: str, rows: Rows) -> None:
    """Hand a file in, check it, and accept its good rows: the same way as a partner's own."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(title for row in rows for title in row)))
    writer.writeheader()
    writer.writerows(rows)
    file = Arriving()
    try:
        file.write(text.getvalue().encode())
        file.finish()
        batch_id = uploads.keep(file)
        with db.writing() as session:
            sent = Sent(batch_id, name, "csv", file.size, file.sha256)
            uploads.take(session, Sender(organisation_id, "page", "demo"), scheme_id, sent)
    finally:
        file.remove()
    uploads.check(batch_id)
    with db.writing() as session:
        uploads.accept(session, uploads.get(session, organisation_id, batch_id), good_rows_only=True)
    acceptance.publish(batch_id)


# ---- disputes and commissions ---------------------------------------------------------------------------------------


def _argue(business: str, other: str, reviewer: Officer) -> None:
    """The business answers its rating and objects; another's objection was decided before."""
    with db.reading() as session:
        mine, theirs = (
            [one for one in evaluations.of_entity(session, code) if one.payload.get("grade")]
            for code in (business, other)
        )
    if not mine or not theirs:
        return
    with db.writing() as session:
        disputes.reply(session, BUSINESS, mine[0].seq, "本企业已补交材料，正在申请复评。" + _MADE_UP)
        disputes.open_(session, BUSINESS, mine[0].seq, "评价所依据的合同并非本企业签订。" + _MADE_UP)
    with db.writing() as session:
        organisations.add(
            session, "demo-business-2", Wanted("entity", str(theirs[0].payload["party_name"]), other), by=None
        )
    with db.writing() as session:
        number = disputes.open_(session, "demo-business-2", theirs[0].seq, "等级与通知书不一致。" + _MADE_UP).id
        disputes.answer(session, str(theirs[0].payload["rater"]), number, "经复核，等级无误。" + _MADE_UP)
    with db.writing() as session:
        disputes.decide(session, reviewer, number, "rejected", "评价依据充分，维持原等级。" + _MADE_UP)


def _commission(clerk: Officer) -> None:
    due, to = publication.today() + timedelta(days=30), (ASSOCIATION, AGENCY)
    for order in (
        Order(
            "supervision_assessment", "评估双随机检查的效果" + _MADE_UP, "请就今年的抽查方式提出意见，附数据。", due, to
        ),
        Order("notice", "换发证书编号规则" + _MADE_UP, "自明年起证书编号沿用十五位规则。", None, to),
    ):
        with db.writing() as session:
            commissions.issue(session, clerk, order)
