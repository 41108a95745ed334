"""Whether this portal shows a kind of record at all: some sectors' records may not be shown by others.

国办发〔2025〕22号, item 1: a sector's site does not publish what belongs to other sectors. What may be shown here is
therefore the city's decision, dated, with its reason; `published_entry` obeys it.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import jobs
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound
from record import acts, kinds, publication
from record.models import KindSwitch, LedgerEntry

LEVEL = "record.level_flags"
_CODES_AT_ONCE = 500


def decided(session: Session) -> Sequence[KindSwitch]:
    """Every decision, by kind, the newest first: a handful."""
    return session.scalars(select(KindSwitch).order_by(KindSwitch.kind, KindSwitch.since.desc())).all()


def switch(session: Session, officer: Officer, kind: str, since: date, *, public_here: bool, because: str) -> None:
    """Show a kind from a day on, or stop. Comes last in its transaction. Raises NotFound for an unknown kind."""
    if kind not in kinds.SHOWN:
        raise NotFound
    session.merge(KindSwitch(kind=kind, since=since, public_here=public_here, because=because))
    session.flush()
    jobs.add(session, LEVEL, [kind])
    jobs.nudge(session, publication.GONE)
    details = {"since": since.isoformat(), "public_here": "yes" if public_here else "no"}
    acts.keep(session, "kind_switch", about=kind, by=officer, reason=because, details=details)


def due_today(session: Session) -> list[str]:
    """Kinds whose decision takes effect today."""
    return list(session.scalars(select(KindSwitch.kind).where(KindSwitch.since == publication.today())))


def level_flags(session: Session, kind: str, after: str) -> str | None:
    """Bring the flags of some entities with entries of a kind to what is shown now.

    `after`: the last code that was dealt with. Returns the last code of this piece; None when none is left.
    """
    behind = (
        select(LedgerEntry.entity_code)
        .where(LedgerEntry.kind == kind, LedgerEntry.entity_code > after)
        .distinct()
        .order_by(LedgerEntry.entity_code)
    )
    codes = [code for code in session.scalars(behind.limit(_CODES_AT_ONCE)) if code]
    publication.told(session, codes)
    return codes[-1] if codes else None
