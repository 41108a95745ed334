"""Entries whose party the register does not know yet: joined when it arrives, or by an officer where names are shared.

A name that several entities bear says nothing of which is meant: that takes somebody who knows, and their reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, delete, or_, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from record import acts, decisions, entities, ledger, publication
from record.ledger import Fact, Sealed
from record.listed import Listed
from record.models import Entity, LedgerEntry, Unmatched

_ENTITY, _UNMATCHED = cast(Table, Entity.__table__), cast(Table, Unmatched.__table__)
_ENTRY = cast(Table, LedgerEntry.__table__)


class NothingToJoin(PortalError):
    status = 409
    slug = "nothing-to-join"
    title = "This entry waits for nobody any more."
    remedy = "Open the list again; it was joined, corrected or redacted meanwhile."


class NotItsName(PortalError):
    status = 422
    slug = "not-its-name"
    title = "This entity does not bear the name that the entry states."
    remedy = "Choose one of the entities that do. If the name is wrong, its source must correct it."


# ---- when the entity arrives ----------------------------------------------------------------------------------------


def join(session: Session, codes: Sequence[str]) -> int:
    """Join to these entities what came before them: entries under their code, and under the name that only they bear.

    Comes last in its transaction; at most ledger.MOST_AT_ONCE codes. Returns how many entries were joined.
    """
    named = dict(session.execute(select(_ENTITY.c.code, _ENTITY.c.name_key).where(_ENTITY.c.code.in_(codes))).all())
    if not named:
        return 0
    waiting = select(_UNMATCHED).where(
        or_(
            _UNMATCHED.c.entity_code.in_(named),
            _UNMATCHED.c.entity_code.is_(None) & _UNMATCHED.c.name_key.in_(set(named.values())),
        )
    )
    rows = session.execute(waiting.order_by(_UNMATCHED.c.seq).limit(ledger.MOST_AT_ONCE)).all()
    found = entities.sole_bearers(session, {row.name_key for row in rows if row.entity_code is None})
    here = [row for row in rows if row.entity_code or row.name_key in found]
    if not here:
        return 0
    session.execute(delete(_UNMATCHED).where(_UNMATCHED.c.seq.in_([row.seq for row in here])))
    nameless = {row.seq: found[row.name_key] for row in here if row.entity_code is None}
    entries = _current(session, list(nameless))
    appended = ledger.append(session, [_joined(entry, nameless[entry.seq]) for entry in entries])
    publication.carry_over(session, appended.replaced)
    publication.told(session, {row.entity_code for row in here if row.entity_code} | set(nameless.values()))
    return len(here)


def _current(session: Session, seqs: Sequence[int]) -> list[LedgerEntry]:
    asked = select(LedgerEntry).where(
        LedgerEntry.seq.in_(seqs), LedgerEntry.superseded_by.is_(None), LedgerEntry.payload.is_not(None)
    )
    return list(session.scalars(asked.order_by(LedgerEntry.seq)))


def _joined(entry: LedgerEntry, code: str) -> Sealed:
    day = entry.occurred_on.isoformat() if entry.occurred_on else None
    assert entry.source_ref is not None
    assert entry.payload is not None
    return ledger.seal(
        Fact(
            entry.kind, entry.source, entry.source_ref, entry.payload, code, day, entry.visibility,
            entry.shown_from, entry.shown_until,
        )
    )  # fmt: skip


def join_all() -> int:
    """Join everything that waits for an entity that has come: after a first load, which tells nobody."""
    joined, after = 0, -1
    while True:
        with db.writing() as session:
            asked = select(_UNMATCHED).where(_UNMATCHED.c.seq > after).order_by(_UNMATCHED.c.seq)
            rows = session.execute(asked.limit(ledger.MOST_AT_ONCE)).all()
            if not rows:
                return joined
            after = rows[-1].seq
            codes = {row.entity_code for row in rows if row.entity_code}
            codes |= set(
                entities.sole_bearers(session, {row.name_key for row in rows if row.entity_code is None}).values()
            )
            joined += join(session, sorted(entities.districts(session, codes)))


# ---- by an officer --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """One entry that waits for its party."""

    entry: LedgerEntry
    code: str | None
    """The party's code as the source gave it, which nobody here has; None where it gave none."""
    bearers: Sequence[Listed]
    """Where it gave none: those who bear the name and whom the officer may deal with."""
    elsewhere: int
    """How many more bear it, in districts that the officer's account is not for."""


def waiting(session: Session, officer: Officer, *, before: int | None = None, limit: int = 50) -> list[Waiting]:
    """Entries whose party is not known yet, the newest first; `before`: only those below that seq."""
    asked = (
        select(LedgerEntry, Unmatched.entity_code, Unmatched.name_key)
        .join(Unmatched, Unmatched.seq == LedgerEntry.seq)
        .where(LedgerEntry.superseded_by.is_(None), LedgerEntry.payload.is_not(None))
    )
    if before is not None:
        asked = asked.where(Unmatched.seq < before)
    rows = session.execute(asked.order_by(Unmatched.seq.desc()).limit(limit)).all()
    named = entities.bearers(session, {key for _, code, key in rows if code is None})
    listed = {one.code: one for one in entities.by_codes(session, sorted(set().union(*named.values())))}
    found = []
    for entry, code, key in rows:
        bearing = [listed[each] for each in sorted(named.get(key, ()))] if code is None else []
        reached = [one for one in bearing if officer.district in (None, one.district)]
        found.append(Waiting(entry, code, reached, len(bearing) - len(reached)))
    return found


def join_to(session: Session, officer: Officer, seq: int, code: str, reason: str) -> int:
    """Join one entry to one of the entities that bear its name. Returns the number of the entry that says so.

    Comes last in its transaction. Raises NothingToJoin, NotItsName, entities.EntityNotFound, decisions.NotYourDistrict.
    """
    row = session.get(Unmatched, seq, with_for_update=True)
    entries = _current(session, [seq])
    if row is None or row.entity_code is not None or not entries:
        raise NothingToJoin
    entity = entities.get(session, code)
    if entity.code not in entities.bearers(session, [row.name_key]).get(row.name_key, ()):
        raise NotItsName
    decisions.reaches(session, officer, entity.code)
    gone = session.execute(delete(_UNMATCHED).where(_UNMATCHED.c.seq == seq))
    appended = ledger.append(session, [_joined(entries[0], entity.code)])
    if not isinstance(gone, CursorResult) or gone.rowcount != 1 or not appended.changed:
        raise NothingToJoin
    publication.told(session, [entity.code])
    joined = session.get_one(LedgerEntry, appended.seqs[0])
    acts.keep(session, "join", about=joined.id, by=officer, reason=reason, entity_code=entity.code)
    return joined.seq


def given(session: Session, facts: Sequence[Fact]) -> dict[str, str]:
    """What officers joined stays joined when the source sends it again: code by `source_ref`.

    The facts are of one source and kind, and name no code.
    """
    if not facts:
        return {}
    asked = select(_ENTRY.c.source_ref, _ENTRY.c.entity_code).where(
        _ENTRY.c.kind == facts[0].kind,
        _ENTRY.c.source == facts[0].source,
        _ENTRY.c.source_ref.in_([fact.source_ref for fact in facts]),
        _ENTRY.c.superseded_by.is_(None),
        _ENTRY.c.entity_code.is_not(None),
    )
    return dict(session.execute(asked).all())
