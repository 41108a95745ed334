"""What is new about one entity, for somebody who knows of it up to an entry of the ledger. Pure reading.

Only what the public may see at this moment counts: of what was withdrawn meanwhile there is a number and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, and_, case, func, or_, select
from sqlalchemy.orm import Session

from record.models import LedgerEntry
from record.publication import CITY_TIME, PUBLISHED, SHOWN_COLUMNS, Published

HEADLINES_AT_MOST = 5
_GONE_AT_MOST = 1_000

_ENTRY = cast(Table, LedgerEntry.__table__)


@dataclass(frozen=True, slots=True)
class News:
    """What is new about an entity."""

    published: Mapping[str, int]
    """Kind -> how many entries are shown now that were not there before; kinds without any are left out."""
    changed: Mapping[str, int]
    """Kind -> how many entries say something else than before."""
    gone: int
    """How many entries that were shown before are shown no longer; more than a thousand are counted as a thousand."""
    newest: Sequence[Published]
    """The newest of those that were published or changed, HEADLINES_AT_MOST of them."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.published or self.changed or self.gone)


def since(session: Session, code: str, after: int, until: int) -> News:
    """What entries behind `after`, up to `until`, brought about this entity.

    What changed twice meanwhile counts as published: only the entry before is looked at, not the whole chain.
    """
    return News(*_counts(session, code, after, until), _gone(session, code, after, until),
                _newest(session, code, after, until))  # fmt: skip


def _counts(session: Session, code: str, after: int, until: int) -> tuple[dict[str, int], dict[str, int]]:
    known = case((_ENTRY.c.supersedes <= after, 1), else_=0)
    asked = (
        select(PUBLISHED.c.kind, known, func.count())
        .join(_ENTRY, _ENTRY.c.seq == PUBLISHED.c.seq)
        .where(PUBLISHED.c.entity_code == code, PUBLISHED.c.seq > after, PUBLISHED.c.seq <= until)
        .group_by(PUBLISHED.c.kind, known)
    )
    found: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for kind, before, number in session.execute(asked):
        found[before][kind] = number
    return found


def _newest(session: Session, code: str, after: int, until: int) -> list[Published]:
    asked = select(*SHOWN_COLUMNS).where(
        PUBLISHED.c.entity_code == code, PUBLISHED.c.seq > after, PUBLISHED.c.seq <= until
    )
    rows = session.execute(asked.order_by(PUBLISHED.c.seq.desc()).limit(HEADLINES_AT_MOST))
    return [Published(*row) for row in rows]


def _gone(session: Session, code: str, after: int, until: int) -> int:
    """Entries up to `after` that were withdrawn, or gave way to one that is not shown; without those never shown."""
    current = _ENTRY.alias("current")
    still_told = (
        select(PUBLISHED.c.seq)
        .join(current, current.c.seq == PUBLISHED.c.seq)
        .where(
            current.c.kind == _ENTRY.c.kind,
            current.c.source == _ENTRY.c.source,
            current.c.source_ref == _ENTRY.c.source_ref,
            current.c.superseded_by.is_(None),
        )
        .exists()
    )
    withdrawn, superseded = _ENTRY.c.withdrawn_by, _ENTRY.c.superseded_by
    asked = select(_ENTRY.c.shown_until, _ENTRY.c.recorded_at).where(
        _ENTRY.c.entity_code == code,
        _ENTRY.c.seq <= after,
        _ENTRY.c.kind != "withdrawal",
        _ENTRY.c.visibility == "public",
        _ENTRY.c.shown_from.is_(None),
        or_(
            and_(withdrawn.between(after + 1, until), or_(superseded.is_(None), superseded > after)),
            and_(withdrawn.is_(None), superseded.between(after + 1, until)),
        ),
        ~still_told,
    )
    rows = session.execute(asked.limit(_GONE_AT_MOST))
    return sum(end is None or end >= seen.astimezone(CITY_TIME).date() for end, seen in rows)
