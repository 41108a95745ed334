"""Numbers about tip-offs that everybody may see: by month, district and matter, and never by entity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, extract, func, select
from sqlalchemy.orm import Session

from record import publication
from reporting import queue
from reporting.models import Kind, TipCase

KEPT_SECONDS = 300.0


@dataclass(slots=True)
class Numbers:
    """What became of the tips of one month, district or matter."""

    received: int = 0
    verified: int = 0
    """Accepted or not, a case opened or not: the law's first decision is made."""
    pursued: int = 0
    """Accepted (受理), or a case was opened (立案)."""
    violations: int = 0
    closed: int = 0
    late: int = 0
    """A duty was done, or is still open, after its last day."""
    days_to_verify: int = 0
    """Of all that were verified, together."""

    def add(self, other: "Numbers") -> None:
        """Count another's as well."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def average_days(self) -> float | None:
        """Calendar days from receipt to the law's first decision."""
        return round(self.days_to_verify / self.verified, 1) if self.verified else None


@dataclass(frozen=True, slots=True)
class Statistics:
    """The year's numbers."""

    year: int
    whole: Numbers
    overdue_now: int
    """Cases that are past a day that the law sets, whenever they came."""
    by_month: Sequence[tuple[int, Numbers]]
    by_kind: Sequence[tuple[Kind, Numbers]]
    by_district: Sequence[tuple[str | None, Numbers]]
    by_service: Sequence[tuple[str, Numbers]]


_kept: dict[int, tuple[float, Statistics]] = {}
_lock = Lock()


def of_year(session: Session, year: int) -> Statistics:
    """The numbers of tips that were received in a year; at most KEPT_SECONDS old."""
    with _lock:
        known = _kept.get(year)
        if known and monotonic() - known[0] < KEPT_SECONDS:
            return known[1]
    found = read(session, year)
    with _lock:
        _kept[year] = (monotonic(), found)
        while len(_kept) > 20:
            del _kept[next(iter(_kept))]
    return found


def forget() -> None:
    """Forget what is kept: for a process whose settings have changed."""
    with _lock:
        _kept.clear()


def read(session: Session, year: int) -> Statistics:
    """The same, counted now, in one pass over the year's cases."""
    month = extract("month", TipCase.received_on)
    columns = (month, TipCase.kind, TipCase.district, TipCase.service)
    days = _days(session)
    counted = select(
        *columns, func.count(), func.count(TipCase.settled_on), _number(TipCase.pursued.is_(True)),
        _number(TipCase.finding == "violation"), func.count(TipCase.closed_on), _number(TipCase.was_late),
        func.coalesce(func.sum(days), 0),
    ).where(TipCase.received_on.between(date(year, 1, 1), date(year, 12, 31)))  # fmt: skip
    rows = [
        (int(m), kind, district, service, Numbers(*(int(value) for value in values)))
        for m, kind, district, service, *values in session.execute(counted.group_by(*columns))
    ]
    whole = Numbers()
    for *_, numbers in rows:
        whole.add(numbers)
    return Statistics(
        year=year, whole=whole, overdue_now=queue.overdue_in_public(session),
        by_month=_grouped(rows, lambda row: row[0]), by_kind=_grouped(rows, lambda row: row[1]),
        by_district=_by_number(_grouped(rows, lambda row: row[2])),
        by_service=_by_number(_grouped(rows, lambda row: row[3])),
    )  # fmt: skip


Key = TypeVar("Key")
_Row = tuple[int, Kind, str | None, str, Numbers]


def _grouped(rows: Sequence[_Row], key: Callable[[_Row], Key]) -> list[tuple[Key, Numbers]]:
    found: dict[Key, Numbers] = {}
    for row in rows:
        found.setdefault(key(row), Numbers()).add(row[-1])
    return sorted(found.items(), key=lambda pair: str(pair[0]).zfill(2))


def _by_number(groups: list[tuple[Key, Numbers]]) -> list[tuple[Key, Numbers]]:
    return sorted(groups, key=lambda pair: -pair[1].received)


def _number(condition: SQLColumnExpression[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _days(session: Session) -> ColumnElement[Any]:
    if session.get_bind().dialect.name == "sqlite":
        return func.julianday(TipCase.settled_on) - func.julianday(TipCase.received_on)
    return TipCase.settled_on - TipCase.received_on


def received_this_month(session: Session) -> int:
    """How many tips came since the first of the month."""
    today = publication.today()
    since = today - timedelta(days=today.day - 1)
    counted = select(func.count()).where(and_(TipCase.received_on >= since, TipCase.received_on <= today))
    return session.scalar(counted) or 0
