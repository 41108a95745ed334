"""Made-up entities that read like a city's, for demonstrations and for the tests: the same ones every time.

Their codes carry a division that does not exist (310199), so none can be mistaken for a real one. What they are called
and where they live is made of word lists in `record.demo_words`.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import func, insert, select

from portal.kit import db
from record import codes, demo_records, districts, names, wordings
from record.demo_words import (
    BRANCH_PLACES,
    BRAND_FIRST,
    BRAND_SECOND,
    FOREIGN,
    LATIN,
    REAL_BRANDS,
    ROADS,
    TRADES,
    Trade,
)
from record.models import Entity, FormerName

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
"""`changed_at` of every made-up entity."""
LAST_DAY = date(2025, 12, 31)
CHUNK = 1_000

Progress = Callable[[int, int | None], None]

_KINDS = (
    ("company", 62),
    ("individual", 14),
    ("branch", 8),
    ("joint_stock", 3),
    ("foreign", 4),
    ("partnership", 3),
    ("sole", 2),
    ("cooperative", 2),
    ("office", 1),
    ("factory", 1),
)
_STATUSES = (
    ("active", 860),
    ("deregistered", 90),
    ("revoked", 28),
    ("suspended", 10),
    ("moved_out", 6),
    ("liquidating", 5),
    ("annulled", 1),
)
_FLAGS = (((), 962), (("abnormal_listing",), 26), (("judgment_debtor",), 6), (("serious_violation",), 3))
_BOTH_FLAGS = ("abnormal_listing", "judgment_debtor")
_DISTRICTS = tuple(districts.DISTRICTS)
_DISTRICT_WEIGHTS = (5, 4, 4, 5, 5, 4, 5, 9, 8, 10, 19, 6, 8, 9, 8, 6)
_CAPITALS = (10, 30, 50, 50, 100, 100, 100, 200, 200, 300, 500, 500, 1_000, 1_000, 2_000, 3_000, 5_000, 10_000)
_PERMIT_NOTE = "【依法须经批准的项目，经相关部门批准后方可开展经营活动】"


@dataclass(slots=True)
class MadeUp:
    """One made-up entity: its columns, and the names that it bore before."""

    entity: dict[str, Any]
    former: list[tuple[str, date]] = field(default_factory=list)


def fill(entities: int = 20_000, *, progress: Progress = lambda done, total: None) -> int:
    """Add the first `entities` made-up entities that the register lacks. Returns how many were added.

    Number n is the same entity in every portal and for every total, so that repeating it adds nothing.
    """
    added = 0
    cast = _Cast()
    for start in range(0, entities, CHUNK):
        made = [cast.next() for _ in range(start, min(start + CHUNK, entities))]
        added += _store(made)
        progress(start + len(made), entities)
    return added


def make(count: int) -> list[MadeUp]:
    """The first `count` made-up entities."""
    cast = _Cast()
    return [cast.next() for _ in range(count)]


def _store(made: list[MadeUp]) -> int:
    wanted = [one.entity["code"] for one in made]
    with db.writing() as session:
        there = set(session.scalars(select(Entity.code).where(Entity.code.in_(wanted))))
        fresh = [one for one in made if one.entity["code"] not in there]
        if fresh:
            session.execute(insert(Entity), [one.entity for one in fresh])
            former = [
                {"entity_code": one.entity["code"], "name": name, "name_key": names.fold(name), "until": until}
                for one in fresh
                for name, until in one.former
            ]
            if former:
                session.execute(insert(FormerName), former)
    demo_records.fill([one.entity for one in fresh])
    return len(fresh)


def registered() -> int:
    """Number of made-up entities in the register."""
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Entity).where(Entity.source == "demo")) or 0


def _weighted(rng: random.Random, choices: tuple[tuple[Any, int], ...]) -> Any:
    return rng.choices([value for value, _ in choices], [weight for _, weight in choices])[0]


@dataclass(frozen=True, slots=True)
class _Draft:
    """What decides everything else about an entity."""

    kind: str
    trade: Trade
    name: str
    district: str


class _Cast:
    """Makes entities one after another, no two of one name or code."""

    def __init__(self) -> None:
        self._number = 0
        self._names: set[str] = set()
        self._codes: set[str] = set()
        self._parents: list[tuple[str, Trade]] = []

    def next(self) -> MadeUp:
        # A generator of its own for each number: what one entity draws never moves the next one.
        seed = hashlib.sha256(f"gongzhi demo {self._number}".encode()).digest()
        rng = random.Random(int.from_bytes(seed[:8], "big"))  # noqa: S311 nothing secret is made here
        self._number += 1
        kind = _weighted(rng, _KINDS)
        if kind == "branch" and not self._parents:
            kind = "company"
        draft = self._draft(rng, kind)
        while names.fold(draft.name) in self._names:
            draft = self._draft(rng, kind)
        self._names.add(names.fold(draft.name))
        if kind in ("company", "joint_stock") and len(self._parents) < 400:
            self._parents.append((draft.name, draft.trade))
        return _entity(rng, draft, self._code(rng, kind), self._former(rng, draft))

    def _code(self, rng: random.Random, kind: str) -> str:
        head = {"individual": "92", "cooperative": "93"}.get(kind, "91")
        while True:
            code = codes.made_up(head, rng)
            if code not in self._codes:
                self._codes.add(code)
                return code

    def _draft(self, rng: random.Random, kind: str) -> _Draft:
        district = rng.choices(_DISTRICTS, _DISTRICT_WEIGHTS)[0]
        if kind == "branch":
            parent, trade = rng.choice(self._parents)
            end = rng.choice(("分公司", "分公司", "店", "营业部", "门市部"))
            return _Draft(kind, trade, f"{parent}{rng.choice(BRANCH_PLACES)}{end}", district)
        trade = rng.choice(_suiting(kind))
        return _Draft(kind, trade, _name(rng, kind, trade, district), district)

    def _former(self, rng: random.Random, draft: _Draft) -> list[str]:
        """Names it bore before: another brand, another trade, or the form it had before it was changed."""
        if draft.kind in ("branch", "office") or rng.random() > 0.09:
            return []
        count = 2 if rng.random() < 0.15 else 1
        former = [_name(rng, draft.kind, draft.trade, draft.district) for _ in range(count)]
        if draft.kind == "joint_stock":
            former[-1] = draft.name.replace("股份有限公司", "有限公司")
        return [one for one in former if names.fold(one) not in self._names]


def _name(rng: random.Random, kind: str, trade: Trade, district: str) -> str:
    brand = _brand(rng)
    stated = rng.choice(trade.names)
    if kind == "individual":
        return f"上海市{districts.DISTRICTS[district][0]}{brand}{rng.choice(trade.shops)}"
    if kind == "cooperative":
        return f"上海{brand}{stated}专业合作社"
    if kind == "office":
        country, word = rng.choice(FOREIGN)
        form = "株式会社" if country == "日本" else "有限公司"
        return f"{country}{brand}{word}{form}上海代表处"
    if kind == "factory":
        return f"上海{brand}{stated}厂"
    return _company_name(rng, kind, brand, stated)


def _company_name(rng: random.Random, kind: str, brand: str, stated: str) -> str:
    if kind == "partnership":
        return f"上海{brand}{stated}{rng.choice(('合伙企业', '中心'))}（{rng.choice(('有限合伙', '普通合伙'))}）"
    if kind == "sole":
        return f"上海{brand}{stated}{rng.choice(('工作室', '事务所', '中心'))}"
    form = "股份有限公司" if kind == "joint_stock" else "有限公司"
    draw = rng.random()
    if kind == "foreign" and draw < 0.3:
        return f"{rng.choice(LATIN)}{brand}{stated}（上海）{form}"
    if kind == "foreign" or draw < 0.22:
        return f"{brand}{stated}（上海）{form}"
    if draw < 0.24:
        return f"上海{rng.choice(LATIN)}{stated}{form}"
    if draw < 0.27:
        return f"上海{brand}（集团）{form}"
    if draw < 0.34:
        return f"上海{rng.choice(('浦东', '嘉定', '松江', '青浦', '金山', '崇明', '宝山'))}{brand}{stated}{form}"
    return f"上海{brand}{stated}{form}"


def _brand(rng: random.Random) -> str:
    while True:
        brand: str = rng.choice(BRAND_FIRST) + rng.choice(BRAND_SECOND)
        if brand not in REAL_BRANDS and brand[0] != brand[1]:
            return brand + rng.choice(BRAND_SECOND) if rng.random() < 0.25 else brand


@lru_cache(maxsize=16)
def _suiting(kind: str) -> tuple[Trade, ...]:
    """The trades that entities of this kind follow."""
    sections = {"cooperative": "A", "factory": "C", "partnership": "LMIJ", "sole": "LMIR", "office": "FCM"}
    if kind == "individual":
        return tuple(trade for trade in TRADES if trade.shops)
    return tuple(trade for trade in TRADES if trade.section in sections.get(kind, "BCDEFGHIJKLMNOPQR"))


def _entity(rng: random.Random, draft: _Draft, code: str, former: list[str]) -> MadeUp:
    kind, trade, name = draft.kind, draft.trade, draft.name
    established = _established(rng)
    status = _weighted(rng, _STATUSES)
    capital, currency, type_text = _capital(rng, kind), "CNY", _TYPE_TEXTS[kind]
    if kind == "foreign":
        currency = rng.choice(("USD", "USD", "USD", "EUR", "JPY", "HKD"))
        capital = capital * 100 if currency == "JPY" and capital else capital
    flags = list(_flags(rng)) if status in ("active", "revoked") else []
    entity = {
        "code": code,
        "name": name,
        "name_key": names.fold(name),
        "district": draft.district,
        "industry": trade.section,
        "industry_division": trade.division,
        "industry_source": "registered",
        "type": wordings.entity_type(type_text) or wordings.type_of_name(name, code),
        "type_text": type_text,
        "status": status,
        "established_on": established,
        "capital_amount": Decimal(capital) if capital else None,
        "capital_currency": currency if capital else None,
        "scope": _scope(rng, trade),
        "address": _address(rng, draft.district),
        "flags": flags,
        "as_received": None,
        "source": "demo",
        "changed_at": MOMENT,
    }
    return MadeUp(entity, _dated(rng, former, established))


_TYPE_TEXTS = {
    "company": "有限责任公司（自然人投资或控股）",
    "individual": "个体工商户",
    "branch": "有限责任公司分公司",
    "joint_stock": "股份有限公司（非上市）",
    "foreign": "有限责任公司（外国法人独资）",
    "partnership": "合伙企业",
    "sole": "个人独资企业",
    "cooperative": "农民专业合作社",
    "office": "外国（地区）企业常驻代表机构",
    "factory": "集体所有制",
}


def _established(rng: random.Random) -> date:
    """More of them the nearer to today, as in a register."""
    first = date(1984, 1, 1).toordinal()
    span = LAST_DAY.toordinal() - first
    return date.fromordinal(first + int(span * rng.random() ** 0.45))


def _capital(rng: random.Random, kind: str) -> int:
    """Whole units; none for those that register no capital."""
    if kind in ("branch", "office"):
        return 0
    if kind == "individual":
        return rng.choice((1, 2, 3, 5, 5, 10, 20)) * 10_000
    scale = 10 if kind == "joint_stock" else 1
    return rng.choice(_CAPITALS) * 10_000 * scale


def _flags(rng: random.Random) -> tuple[str, ...]:
    flags: tuple[str, ...] = _weighted(rng, (*_FLAGS, (_BOTH_FLAGS, 3)))
    return flags


def _scope(rng: random.Random, trade: Trade) -> str:
    items = rng.sample(trade.scope, k=min(len(trade.scope), rng.randint(3, 7)))
    general = f"一般项目：{'；'.join(items)}。（除依法须经批准的项目外，凭营业执照依法自主开展经营活动）"
    if trade.permits and rng.random() < 0.6:
        return f"许可项目：{'；'.join(trade.permits)}。{_PERMIT_NOTE}{general}"
    return general


def _address(rng: random.Random, district: str) -> str:
    name = districts.DISTRICTS[district][0]
    address = f"上海市{name}{rng.choice(ROADS)}{rng.randint(1, 3_000)}"
    draw = rng.random()
    if draw < 0.35:
        return f"{address}号{rng.randint(1, 28)}层{rng.randint(1, 28)}{rng.randint(1, 20):02}室"
    if draw < 0.6:
        return f"{address}弄{rng.randint(1, 120)}号{rng.randint(1, 6)}0{rng.randint(1, 6)}室"
    if draw < 0.8:
        return f"{address}号{rng.randint(1, 30)}幢{rng.choice('ABCD')}{rng.randint(100, 999)}室"
    return f"{address}号"


def _dated(rng: random.Random, former: list[str], established: date) -> list[tuple[str, date]]:
    """Each former name with the day on which it ended, oldest first."""
    days = (LAST_DAY - established).days
    if days < 400:
        return []
    ends = sorted(rng.randint(200, days) for _ in former)
    return [(name, established + timedelta(days=end)) for name, end in zip(former, ends, strict=True)]
