"""Lists of published entries of one kind in the whole city, narrowed by authority, district, type of act and day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, TextClause, and_, func, or_, select, text
from sqlalchemy.orm import Session

from record.models import Entity
from record.publication import PUBLISHED, SHOWN_COLUMNS, Published

COUNTED = 1_000
"""As many entries are looked at to count: nobody reads on to the thousandth, and counting millions takes seconds."""
MOST_CHOICES = 300

_ENTITY = cast(Table, Entity.__table__)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to."""

    kind: str
    district: str | None = None
    authority: str | None = None
    act: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Browsed:
    """One line of a public list: the entry and who it is about."""

    entry: Published
    name: str
    district: str | None


def browse(
    session: Session, filters: Filters, *, before: tuple[date, int] | None = None, limit: int = 20
) -> list[Browsed]:
    """Published entries of registered entities, the newest day first. `before`: day and seq of the last one seen."""
    asked = _joined(filters, *SHOWN_COLUMNS, _ENTITY.c.name, _ENTITY.c.district)
    if before:
        day, seq = before
        same_day = and_(PUBLISHED.c.occurred_on == day, PUBLISHED.c.seq < seq)
        asked = asked.where(PUBLISHED.c.occurred_on <= day, or_(PUBLISHED.c.occurred_on < day, same_day))
    ordered = _newest_first(asked).limit(limit)
    width = len(SHOWN_COLUMNS)
    return [Browsed(Published(*row[:width]), *row[width:]) for row in session.execute(ordered)]


def _newest_first(asked: Any) -> Any:
    return asked.order_by(PUBLISHED.c.occurred_on.desc(), PUBLISHED.c.seq.desc())


@dataclass(frozen=True, slots=True)
class Total:
    """How many entries the filters leave."""

    entries: int
    exact: bool
    """False: at least so many, older ones were not looked at."""


def count(session: Session, filters: Filters) -> Total:
    """Count the entries that the filters leave, among the newest COUNTED of the whole city."""
    wanted = (PUBLISHED.c.seq, PUBLISHED.c.entity_code)
    newest = _newest_first(select(*wanted).where(*_of_entries(filters))).limit(COUNTED).subquery()
    here = _ENTITY.c.district == filters.district if filters.district else _ENTITY.c.code.is_not(None)
    counted = select(func.count(), func.count().filter(here))
    joined = newest.outerjoin(_ENTITY, _ENTITY.c.code == newest.c.entity_code)
    looked_at, found = session.execute(counted.select_from(joined)).one()
    return Total(found, exact=looked_at < COUNTED)


def _of_entries(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [PUBLISHED.c.kind == filters.kind, PUBLISHED.c.occurred_on.is_not(None)]
    if filters.authority:
        wanted.append(PUBLISHED.c.authority == filters.authority)
    if filters.act:
        wanted.append(PUBLISHED.c.act == filters.act)
    if filters.since:
        wanted.append(PUBLISHED.c.occurred_on >= filters.since)
    if filters.until:
        wanted.append(PUBLISHED.c.occurred_on <= filters.until)
    return wanted


def _joined(filters: Filters, *columns: Any) -> Any:
    joined = select(*columns).join(_ENTITY, _ENTITY.c.code == PUBLISHED.c.entity_code).where(*_of_entries(filters))
    return joined.where(_ENTITY.c.district == filters.district) if filters.district else joined


_NEXT = (
    "SELECT {column} FROM published_entry WHERE kind = :kind AND {column} {before}"
    " ORDER BY {column} DESC, occurred_on DESC, seq DESC LIMIT 1"
)
_CHOICES = """
WITH RECURSIVE choice(value, n) AS (
  SELECT ({first}), 1
  UNION ALL
  SELECT ({later}), n + 1 FROM choice WHERE choice.value IS NOT NULL AND n < :most
)
SELECT value FROM choice WHERE value IS NOT NULL
"""


def _choices(column: str) -> TextClause:
    first, later = (_NEXT.format(column=column, before=before) for before in ("IS NOT NULL", "< choice.value"))
    return text(_CHOICES.format(first=first, later=later))


# One look-up in the index for each value, where DISTINCT would read every entry of the kind. From the last value back,
# and so from its newest entry: the oldest ones are published no longer, and would all be passed over.
_AUTHORITIES, _ACTS = _choices("authority"), _choices("act")


def authorities(session: Session, kind: str) -> Sequence[str]:
    """Authorities that decided entries of a kind, at most MOST_CHOICES."""
    return session.scalars(_AUTHORITIES, {"kind": kind, "most": MOST_CHOICES}).all()[::-1]


def acts(session: Session, kind: str) -> Sequence[str]:
    """Types of act among entries of a kind, at most MOST_CHOICES."""
    return session.scalars(_ACTS, {"kind": kind, "most": MOST_CHOICES}).all()[::-1]
