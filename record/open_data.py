"""The register and the record as data sets: declared columns, and rows as they are published. No natural persons."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.datasets import Column, DataSet, Names, Type, offer
from portal.kit.shapes import moment
from record import codes, kinds, ledger
from record.kinds import DAYS, FIELDS, KINDS
from record.listed import public_address
from record.models import Entity, FeedImport, RegistryImport
from record.publication import PUBLISHED

AT_ONCE = 5_000


def _column(name: str, type_: Type, titles: Names, codes_: codes.Labels | None = None) -> Column:
    return Column(name, type_, titles, codes=codes_)


REJECTS_OF = timedelta(days=30)


def _rejected(imports: type[FeedImport | RegistryImport], *chosen: ColumnElement[bool]) -> Callable[[Session], int]:
    """How many rows the deliveries of the last days lost."""

    def counted(session: Session) -> int:
        lately = imports.started_at >= db.now() - REJECTS_OF
        return int(session.scalar(select(func.sum(imports.rejected)).where(lately, *chosen)) or 0)

    return counted


# ---- entities -------------------------------------------------------------------------------------------------------

_ENTITY = Entity.__table__.c
_ENTITY_COLUMNS = (
    Column(
        "code", "text", ("统一社会信用代码", "Credit code"),
        ("老企业为15位注册号", "15 digits for the few that have an old registration number alone"),
    ),
    _column("name", "text", ("名称", "Name")),
    _column("type", "text", ("类型", "Type"), codes.ENTITY_TYPES),
    _column("status", "text", ("登记状态", "Status"), codes.ENTITY_STATUSES),
    _column("established_on", "date", ("成立日期", "Established")),
    Column(
        "capital", "numeric", ("注册资本", "Registered capital"),
        ("币种单位，非万元", "In whole units of the currency"),
    ),
    Column("capital_currency", "text", ("注册资本币种", "Currency"), ("ISO 4217", "ISO 4217")),
    _column("district", "text", ("所在区", "District"), codes.DISTRICTS),
    _column("industry", "text", ("行业门类", "Industry section"), codes.INDUSTRY_SECTIONS),
    _column("industry_division", "text", ("行业大类", "Industry division"), codes.INDUSTRY_DIVISIONS),
    Column(
        "address", "text", ("住所", "Address"),
        ("个体工商户不含门牌号", "Without the street number for individual businesses"),
    ),
    _column("scope", "text", ("经营范围", "Business scope")),
)  # fmt: skip


def _entities(session: Session) -> Iterator[tuple[Any, ...]]:
    asked = select(
        _ENTITY.code, _ENTITY.name, _ENTITY.type, _ENTITY.status, _ENTITY.established_on, _ENTITY.capital_amount,
        _ENTITY.capital_currency, _ENTITY.district, _ENTITY.industry, _ENTITY.industry_division, _ENTITY.address,
        _ENTITY.scope,
    ).order_by(_ENTITY.code)  # fmt: skip
    for rows in session.execute(asked, execution_options={"yield_per": AT_ONCE}).partitions():
        for row in rows:
            code, address = row[0], row[10]
            yield tuple(row) if not codes.is_individual(code) else (*row[:10], public_address(code, address), row[11])


offer(
    DataSet(
        "entities",
        ("市场主体登记", "Market entities"),
        ("本市登记的全部市场主体，每个主体一行。", "Every market entity registered in the city, a row each."),
        _ENTITY_COLUMNS,
        _entities,
        key="code",
        part_of=lambda row: row[7] or "none",
        chart="district",
        order=("district", "asc"),
        rejected=_rejected(RegistryImport),
    )
)


# ---- entries of the record ------------------------------------------------------------------------------------------

_FRONT = (
    Column("id", "text", ("条目标识", "Id"), ("台账条目UUID", "UUID of the ledger's entry")),
    Column("seq", "int", ("台账序号", "Place in the ledger"), ("可据此验证存证", "What its proof is asked by")),
    _column("entity_code", "text", ("统一社会信用代码", "Credit code")),
)
_BACK = (
    Column("source", "text", ("数据来源", "Source")),
    _column("recorded_at", "timestamp", ("入账时间", "Recorded at")),
    _column("published_until", "date", ("公示截止", "Published until")),
    _column("disputed", "bool", ("异议处理中", "Disputed")),
)
_TYPES: dict[str, Type] = {
    "valid_from": "date", "valid_until": "date", "removed_on": "date", "fine": "numeric", "confiscated": "numeric",
    "version": "int",
}  # fmt: skip
_CODES: dict[str, codes.Labels] = {"gravity": kinds.GRAVITIES, "state": kinds.STATES, "finding": kinds.FINDINGS}
_NAME = ("当事人名称", "Name of the party")
_FURTHER: dict[str, Names] = {
    "party_name": _NAME, "rater": ("评价机构标识", "Id of the rater"), "scheme": ("评价项目标识", "Id of the scheme"),
    "details": ("其他公开栏目", "Further public columns"),
}  # fmt: skip


def _fields(kind: str) -> list[str]:
    known = KINDS[kind].payload.model_fields
    ordered = ["party_name"] if "party_name" in known else []
    ordered += [name for name in FIELDS if name in known]
    return ordered + [name for name in known if name not in ordered]


def _entry_columns(kind: str) -> tuple[Column, ...]:
    day = _column("occurred_on", "date", DAYS[kind])
    said = tuple(
        Column(name, _TYPES.get(name, "text"), _FURTHER.get(name) or FIELDS[name], codes=_CODES.get(name))
        for name in _fields(kind)
    )
    return (*_FRONT, day, *said, *_BACK)


def _entries(kind: str) -> Callable[[Session], Iterator[tuple[Any, ...]]]:
    fields = _fields(kind)

    def rows(session: Session) -> Iterator[tuple[Any, ...]]:
        view = PUBLISHED.c
        asked = select(
            view.seq, view.id, view.entity_code, view.occurred_on, view.payload, view.source, view.recorded_at,
            view.shown_until, view.disputed,
        ).where(view.kind == kind)  # fmt: skip
        after = -1
        while part := session.execute(asked.where(view.seq > after).order_by(view.seq).limit(AT_ONCE)).all():
            for seq, id_, code, day, payload, source, recorded, until, disputed in part:
                said = [_text(payload.get(name)) for name in fields]
                yield id_, seq, code, day, *said, source, moment(recorded), until, bool(disputed)
            after = part[-1].seq

    return rows


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return "、".join(value)
    if isinstance(value, dict):
        return "；".join(f"{name}：{said}" for name, said in value.items())
    return value


def _year(row: tuple[Any, ...]) -> str:
    day = row[3]
    return str(day.year) if isinstance(day, date) else "undated"


ABOUT: dict[str, tuple[Names, Names]] = {
    "permit": (("行政许可", "Permits"), ("行政许可决定。", "Permits that were granted.")),
    "penalty": (("行政处罚", "Penalties"), ("公示期内的行政处罚决定。", "Penalties within their term of publication.")),
    "inspection": (("监督检查", "Inspections"), ("监督检查结果。", "Results of inspections.")),
    "abnormal_listing": (
        ("经营异常名录", "List of abnormal operations"),
        ("目前在列的主体。", "Who stands on the list today."),
    ),
    "serious_violation": (
        ("严重违法失信名单", "List of serious violations"),
        ("目前列入名单的主体。", "Who stands on the list today."),
    ),
    "judgment_debtor": (
        ("失信被执行人", "Judgment debtors"),
        ("目前公布的单位。", "Organisations that are published today."),
    ),
    "commendation": (("守信激励", "Commendations"), ("守信激励名单。", "Commendations.")),
    "evaluation": (
        ("社会信用评价", "Evaluations"),
        ("协会和机构作出的评价。", "What associations and agencies say."),
    ),
    "tip_outcome": (
        ("举报处理结果", "Outcomes of reports"),
        ("与已公示处罚相关的结果。", "What reports led to, beside a penalty."),
    ),
}
NAMES: dict[str, str] = {
    "permit": "permits", "penalty": "penalties", "inspection": "inspections", "abnormal_listing": "abnormal-listings",
    "serious_violation": "serious-violations", "judgment_debtor": "judgment-debtors", "commendation": "commendations",
    "evaluation": "evaluations", "tip_outcome": "tip-outcomes",
}  # fmt: skip
"""Name of the data set of each kind."""

for _kind, (_titles, _about) in ABOUT.items():
    offer(
        DataSet(
            NAMES[_kind],
            _titles,
            _about,
            _entry_columns(_kind),
            _entries(_kind),
            key="id",
            part_of=_year,
            kind=_kind,
            chart={"penalty": "gravity", "evaluation": "grade"}.get(_kind),
            order=("occurred_on", "desc"),
            rejected=_rejected(FeedImport, FeedImport.kind == _kind),
        )
    )


# ---- the ledger's heads ---------------------------------------------------------------------------------------------

HEADS = 1_000


def _heads(session: Session) -> Iterator[tuple[Any, ...]]:
    """The head after each thousand entries and the present one: what anybody may hold a later head against."""
    size = ledger.size(session)
    step = max(HEADS, size // HEADS // HEADS * HEADS)
    for at in [*range(step, size, step), *([size] if size else [])]:
        head = ledger.head(session, at)
        yield str(head.size), head.size, head.root.hex()


offer(
    DataSet(
        "ledger-heads",
        ("台账树头", "Heads of the ledger"),
        (
            "记录台账在若干位置的默克尔树根，用于核验未被改动。",
            "Merkle roots of the ledger at steps, to hold later ones against.",
        ),
        (
            Column("id", "text", ("标识", "Id")),
            Column("size", "int", ("条目数", "Entries")),
            Column("root", "text", ("树根", "Root"), ("RFC 6962，十六进制", "RFC 6962, hexadecimal")),
        ),
        _heads,
        key="id",
        order=("size", "desc"),
    )
)
