"""What the public may see of the ledger, from when and until when: one rule for every way out.

Public code reads the database view `published_entry` and nothing else of the ledger. An entry is in it while it is
public, of a kind that this portal shows, within its term, and neither withdrawn nor superseded nor redacted. The terms
are dated data with their sources (`clocks.toml`).
"""

import calendar
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast
from zoneinfo import ZoneInfo

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    FromClause,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from portal.kit import db, jobs
from portal.kit.db import UtcDateTime
from record import clocks, ledger, linked
from record.clocks import Publicity
from record.kinds import KINDS, SHOWN
from record.ledger import Fact
from record.models import Entity, KindSwitch, LedgerEntry

CHANGED = "entity.changed"
GONE = "entry.withdrawn"
"""Wakes whoever serves copies: entries are shown no longer."""
OWN = "portal"
"""Source of entries that the portal itself appends."""
CITY_TIME = ZoneInfo("Asia/Shanghai")

Because = Literal["closed", "repaired", "objection", "annulled", "redacted"]

PUBLISHED = Table(
    "published_entry",
    MetaData(),
    Column("seq", BigInteger, primary_key=True),
    Column("id", String(36)),
    Column("kind", String(24)),
    Column("entity_code", String(18)),
    Column("source", String(64)),
    Column("occurred_on", Date),
    Column("recorded_at", UtcDateTime),
    Column("payload", JSON),
    Column("shown_until", Date),
    Column("disputed", Boolean),
    Column("authority", String(200)),
    Column("act", String(200)),
)
"""The view (migration 0012): all that public code may read of the ledger."""

_ENTRY = cast(Table, LedgerEntry.__table__)
_ENTITY = cast(Table, Entity.__table__)


def today() -> date:
    """The day in the city."""
    return datetime.now(CITY_TIME).date()


# ---- terms ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """When one entry is shown."""

    rule: Publicity | None
    shown_from: date | None
    shown_until: date | None
    """The last day; None: no end is known. A day before `shown_from`: never."""
    repair_from: date | None
    """The first day on which repair may be applied for; None where there is nothing to repair."""


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day (民法典 art. 202)."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def term(kind: str, occurred_on: date | None, payload: Mapping[str, Any], on: date | None = None) -> Term:
    """When an entry is shown by the rule in force `on` that day, by default today."""
    day = on or today()
    rule = clocks.publicity(kind, payload.get("gravity"), day)
    ends = [_day_before(payload.get("removed_on"))]
    if kind == "commendation":
        ends.append(_date(payload.get("valid_until")))
    repair_from = None
    if rule and occurred_on:
        if not rule.shown:
            return Term(rule, occurred_on, occurred_on - timedelta(days=1), None)
        if rule.maximum_months is not None:
            ends.append(months_after(occurred_on, rule.maximum_months) - timedelta(days=1))
        if rule.minimum_months is not None:
            repair_from = months_after(occurred_on, rule.minimum_months)
    return Term(rule, None, min((end for end in ends if end), default=None), repair_from)


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _day_before(text: str | None) -> date | None:
    return date.fromisoformat(text) - timedelta(days=1) if text else None


def with_term(fact: Fact) -> Fact:
    """The fact with the term in which it is shown."""
    day = date.fromisoformat(fact.occurred_on) if fact.occurred_on else None
    shown = term(fact.kind, day, fact.payload)
    return fact._replace(shown_from=shown.shown_from, shown_until=shown.shown_until)


def would_show(session: Session, fact: Fact) -> bool:
    """Whether the public would see this fact, were it appended now: the rule of `published_entry` for one of a kind."""
    day = today()
    begun = fact.shown_from is None or fact.shown_from <= day
    over = fact.shown_until is not None and fact.shown_until < day
    may_be = fact.visibility == "public" and fact.entity_code is not None and begun and not over
    return may_be and is_shown_here(session, fact.kind, day)


def is_shown_here(session: Session, kind: str, day: date) -> bool:
    """Whether this portal shows a kind on a day."""
    switch = select(KindSwitch.public_here).where(KindSwitch.kind == kind, KindSwitch.since <= day)
    here = session.scalar(switch.order_by(KindSwitch.since.desc()).limit(1))
    beside = KINDS[kind].beside
    return here is not False and (beside is None or is_shown_here(session, beside, day))


def switched_off(session: Session, day: date) -> dict[str, date]:
    """Kinds that this portal does not show on a day, and since when not.

    By a decision, or because that beside which they stand is not shown.
    """
    decided = select(KindSwitch.kind, KindSwitch.since, KindSwitch.public_here).where(KindSwitch.since <= day)
    since: dict[str, date] = {}
    for name, from_day, here in session.execute(decided.order_by(KindSwitch.since)):
        if here:
            since.pop(name, None)
        else:
            since.setdefault(name, from_day)
    off = {name: [since[one] for one in (name, kind.beside or "") if one in since] for name, kind in KINDS.items()}
    return {name: min(days) for name, days in off.items() if days}


# ---- withdrawing ----------------------------------------------------------------------------------------------------

_WITHDRAWN = update(_ENTRY).where(_ENTRY.c.seq == bindparam("entry")).values(withdrawn_by=bindparam("by"))


def withdraw(session: Session, seqs: Sequence[int], because: Because) -> int:
    """Show these entries no longer: append a withdrawal for each that is not withdrawn yet. Returns how many.

    Outcomes of reports go with the penalty that they stand beside, and are counted too. Comes last in its transaction,
    as appending does; at most ledger.MOST_AT_ONCE at a time.
    """
    ledger.lock(session)  # else an outcome could come to stand beside a penalty that is just going
    standing = select(_ENTRY.c.seq, _ENTRY.c.id, _ENTRY.c.kind, _ENTRY.c.entity_code).where(
        _ENTRY.c.seq.in_([*seqs, *linked.shown_beside(session, seqs)]),
        _ENTRY.c.withdrawn_by.is_(None),
        _ENTRY.c.kind != "withdrawal",
    )
    entries = session.execute(standing.order_by(_ENTRY.c.seq)).all()
    facts = [
        ledger.seal(
            Fact(
                "withdrawal", OWN, entry.id, {"because": because, "data_set": entry.kind, "withdrawn": entry.id},
                entry.entity_code, today().isoformat(),
            )
        )
        for entry in entries
    ]  # fmt: skip
    appended = [seq for piece in ledger.chunks(facts) for seq in ledger.append(session, piece).seqs]
    if appended:
        by = [{"entry": entry.seq, "by": seq} for entry, seq in zip(entries, appended, strict=True)]
        session.connection().execute(_WITHDRAWN, by)
        jobs.nudge(session, GONE)
    told(session, {entry.entity_code for entry in entries if entry.entity_code})
    return len(entries)


def carry_over(session: Session, replaced: Mapping[int, int]) -> None:
    """Keep out of sight what its source says again, in other words, of a fact that was repaired or annulled.

    After an upheld objection a source may correct its fact: it is shown again if it says something else of substance.
    Outcomes of reports go on beside what says their penalty now, or go with it. `replaced`: number of the superseded
    entry -> of the one that says the fact now.
    """
    withdrawal = aliased(LedgerEntry)
    asked = (
        select(LedgerEntry.seq, LedgerEntry.payload, withdrawal.payload)
        .join(withdrawal, withdrawal.seq == LedgerEntry.withdrawn_by)
        .where(LedgerEntry.seq.in_(replaced))
    )
    for old, said, why in session.execute(asked).all():
        new = replaced[old]
        because = (why or {}).get("because")
        corrected = because == "objection" and _substance(said) != _substance(session.get_one(LedgerEntry, new).payload)
        if because in {"repaired", "annulled", "objection"} and not corrected:
            withdraw(session, [new], because)
    moved, left = linked.after(session, replaced, today())
    for piece in ledger.chunks(moved):
        ledger.append(session, piece)
    if left:
        withdraw(session, left, "closed")


def _substance(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (payload or {}).items() if name not in {"remark", "reported_by"}}


def close_windows(session: Session) -> int:
    """Withdraw what has come to the end of its term; at most ledger.MOST_AT_ONCE entries. Returns how many."""
    over = (
        select(_ENTRY.c.seq)
        .where(
            _ENTRY.c.shown_until < today(),
            _ENTRY.c.withdrawn_by.is_(None),
            _ENTRY.c.superseded_by.is_(None),
            _ENTRY.c.visibility == "public",
            _ENTRY.c.shown_from.is_(None),
        )
        .order_by(_ENTRY.c.shown_until)
        .limit(ledger.MOST_AT_ONCE)
    )
    return withdraw(session, session.scalars(over).all(), "closed")


# ---- flags ----------------------------------------------------------------------------------------------------------

_LISTINGS = tuple(kind.name for kind in KINDS.values() if kind.listing)


def told(session: Session, codes: Iterable[str]) -> None:
    """Bring the flags of these entities to what is published now, and tell whoever follows them."""
    wanted = sorted(set(codes))
    if not wanted:
        return
    flags: dict[str, set[str]] = {}
    listed = (
        select(PUBLISHED.c.entity_code, PUBLISHED.c.kind)
        .where(PUBLISHED.c.entity_code.in_(wanted), PUBLISHED.c.kind.in_(_LISTINGS))
        .distinct()
    )
    for code, kind in session.execute(listed):
        flags.setdefault(code, set()).add(kind)
    known = session.execute(select(_ENTITY.c.code, _ENTITY.c.flags).where(_ENTITY.c.code.in_(wanted))).all()
    changed = []
    for code, before in known:
        now = [name for name in _LISTINGS if name in flags.get(code, ())]
        if now != before:
            session.execute(update(_ENTITY).where(_ENTITY.c.code == code).values(flags=now, changed_at=db.now()))
            changed.append(code)
    jobs.after_commit(session, CHANGED, changed)


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """An entry as the public sees it."""

    seq: int
    id: str
    kind: str
    entity_code: str
    source: str
    occurred_on: date | None
    recorded_at: datetime
    payload: Mapping[str, Any]
    shown_until: date | None
    disputed: bool
    """An objection to it is being examined (异议处理中)."""

    @property
    def term(self) -> Term:
        """When it is shown, by the rule in force today."""
        return term(self.kind, self.occurred_on, self.payload)


@dataclass(frozen=True, slots=True)
class Part:
    """An entity's entries of one kind: how many there are, and the newest."""

    kind: str
    count: int
    newest: Sequence[Published]


def parts(session: Session, code: str, *, each: int = 5) -> list[Part]:
    """An entity's published record by kind, in the order of `kinds.SHOWN`; kinds without entries are left out."""
    number = counts(session, code)
    return [Part(kind, number[kind], of_entity(session, code, kind, limit=each)) for kind in SHOWN if number.get(kind)]


SHOWN_COLUMNS = [PUBLISHED.c[name] for name in (
    "seq", "id", "kind", "entity_code", "source", "occurred_on", "recorded_at", "payload", "shown_until", "disputed",
)]  # fmt: skip
"""The columns of a Published, in its order."""


def published(rows: Iterable[Any]) -> list[Published]:
    """Rows of SHOWN_COLUMNS."""
    return [Published(*row) for row in rows]


def counts(session: Session, code: str) -> dict[str, int]:
    """How many published entries of each kind an entity has; kinds without any are left out."""
    asked = select(PUBLISHED.c.kind, func.count()).where(PUBLISHED.c.entity_code == code).group_by(PUBLISHED.c.kind)
    return {str(kind): int(number) for kind, number in session.execute(asked)}


def get(session: Session, seq: int) -> Published | None:
    """One entry, if it is published."""
    return next(iter(published(session.execute(select(*SHOWN_COLUMNS).where(PUBLISHED.c.seq == seq)))), None)


_DAY = func.coalesce(PUBLISHED.c.occurred_on, date.min)


def of_entity(session: Session, code: str, kind: str, *, before: int | None = None, limit: int = 20) -> list[Published]:
    """An entity's published entries of one kind, the latest day first; `before`: only those behind entry `before`."""
    asked = select(PUBLISHED.c.seq).where(PUBLISHED.c.entity_code == code, PUBLISHED.c.kind == kind)
    if before is not None:
        day = session.scalar(select(_ENTRY.c.occurred_on).where(_ENTRY.c.seq == before)) or date.min
        asked = asked.where(or_(day > _DAY, and_(literal(day) == _DAY, PUBLISHED.c.seq < before)))
    return _in_order(session, asked, limit)


class Standing(NamedTuple):
    """That an entry is published, without what it says."""

    seq: int
    id: str
    disputed: bool


def standing(session: Session, code: str) -> list[Standing]:
    """All of an entity's published entries, in the ledger's order."""
    asked = select(PUBLISHED.c.seq, PUBLISHED.c.id, PUBLISHED.c.disputed)
    asked = asked.where(PUBLISHED.c.entity_code == code, PUBLISHED.c.kind.in_(SHOWN)).order_by(PUBLISHED.c.seq)
    return [Standing(seq, id_, bool(disputed)) for seq, id_, disputed in session.execute(asked)]


def latest(session: Session, code: str, *, limit: int = 8) -> list[Published]:
    """An entity's published entries of every kind, those of the latest days first."""
    asked = select(PUBLISHED.c.seq).where(PUBLISHED.c.entity_code == code, PUBLISHED.c.kind.in_(SHOWN))
    return _in_order(session, asked, limit)


def _in_order(session: Session, asked: Select[Any], limit: int) -> list[Published]:
    """The first of these entries by day. Numbers are sorted alone, for an entity may have thousands of entries."""
    seqs = list(session.scalars(asked.order_by(_DAY.desc(), PUBLISHED.c.seq.desc()).limit(limit)))
    rows = session.execute(select(*SHOWN_COLUMNS).where(PUBLISHED.c.seq.in_(seqs)))
    found = {one.seq: one for one in published(rows)}
    return [found[seq] for seq in seqs if seq in found]


def newest(session: Session, code: str, *, limit: int = 50) -> list[Published]:
    """An entity's published entries of every kind, the newest first."""
    asked = select(*SHOWN_COLUMNS).where(PUBLISHED.c.entity_code == code, PUBLISHED.c.kind.in_(SHOWN))
    return published(session.execute(asked.order_by(PUBLISHED.c.seq.desc()).limit(limit)))


# ---- changes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the ledger as the public may see it: an entry, or the mere fact that one is no longer shown."""

    seq: int
    id: str
    kind: str
    recorded_at: datetime
    entry: Published | None
    """None: a tombstone."""
    supersedes: str | None = None
    """Of an entry that says a fact anew, or takes it back: `id` of what said it before, if that was ever public."""
    withdrawn: str | None = None
    """Of a withdrawal: `id` of what is withdrawn."""
    data_set: str | None = None


_STEP, _STEP_BEFORE = ledger.STEP, ledger.STEP.alias("before")


def for_the_public(entry: FromClause) -> ColumnElement[bool]:
    """Whether this is a step that the public may learn of, be it as a tombstone."""
    return and_(entry.c.visibility == "public", entry.c.shown_from.is_(None))


def withdrawals(session: Session, seqs: Collection[int]) -> dict[int, Mapping[str, str]]:
    """What these withdrawals say: `data_set` and `withdrawn`, the kind and the id of what is shown no longer."""
    said = select(_ENTRY.c.seq, _ENTRY.c.payload).where(_ENTRY.c.seq.in_(seqs), _ENTRY.c.payload.is_not(None))
    return {row.seq: row.payload for row in session.execute(said)} if seqs else {}


def changes(
    session: Session, *, after: int = -1, limit: int = 100, kinds: Collection[str] = ()
) -> tuple[list[Change], int | None]:
    """Public steps of the ledger behind `after`, oldest first. What is shown no longer is a tombstone, whatever it was.

    Steps that were never the public's to see are left out, so numbers may be missing; but one that takes the place of
    what was public is there, or whoever followed would keep that. `kinds`: only these, and withdrawals of them. Also
    returns what to ask `after` next; None at the ledger's end.
    """
    asked = (
        select(
            _STEP.c.seq, _STEP.c.id, _STEP.c.kind, _STEP.c.recorded_at,
            case((_STEP_BEFORE.c.for_the_public, _STEP_BEFORE.c.id)).label("supersedes"),
        )
        .outerjoin_from(_STEP, _STEP_BEFORE, _STEP_BEFORE.c.seq == _STEP.c.supersedes)
        .where(_STEP.c.seq > after, or_(_STEP.c.for_the_public, _STEP_BEFORE.c.for_the_public))
    )  # fmt: skip
    if kinds:
        asked = asked.where(_STEP.c.kind.in_((*kinds, "withdrawal")))
    rows = session.execute(asked.order_by(_STEP.c.seq).limit(limit)).all()
    taken_back = withdrawals(session, [row.seq for row in rows if row.kind == "withdrawal"])
    shown = {
        one.seq: one
        for one in published(
            session.execute(select(*SHOWN_COLUMNS).where(PUBLISHED.c.seq.in_([row.seq for row in rows]))).all()
        )
    }
    found = []
    for row in rows:
        withdrawal = taken_back.get(row.seq)
        if withdrawal and kinds and withdrawal["data_set"] not in kinds:
            continue
        found.append(
            Change(
                row.seq, row.id, row.kind, row.recorded_at, shown.get(row.seq), row.supersedes,
                withdrawal["withdrawn"] if withdrawal else None,
                withdrawal["data_set"] if withdrawal else None,
            )
        )  # fmt: skip
    return found, rows[-1].seq if len(rows) == limit else None
