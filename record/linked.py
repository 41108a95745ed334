"""Which outcomes of reports stand beside which penalties, for whoever withdraws or replaces a penalty.

An outcome (`record.outcomes`) names its penalty by `id`; it is looked up by the entity that both are about.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from record import ledger
from record.ledger import Fact, Sealed
from record.models import LedgerEntry

_OUTCOME, _PENALTY, _NOW = aliased(LedgerEntry), aliased(LedgerEntry), aliased(LedgerEntry)
_SAID = (
    _PENALTY.seq, _OUTCOME.seq, _OUTCOME.source, _OUTCOME.source_ref, _OUTCOME.payload, _OUTCOME.entity_code,
    _OUTCOME.occurred_on, _OUTCOME.visibility,
)  # fmt: skip
_STATE = (
    _NOW.seq, _NOW.id, _NOW.payload, _NOW.entity_code, _NOW.visibility, _NOW.withdrawn_by, _NOW.shown_from,
    _NOW.shown_until,
)  # fmt: skip


def shown_beside(session: Session, penalties: Collection[int]) -> list[int]:
    """Numbers of the public outcomes that stand beside these entries; only penalties have any."""
    return list(session.scalars(_beside(penalties, _OUTCOME.seq).where(_OUTCOME.visibility == "public")))


def after(session: Session, replaced: Mapping[int, int], on: date) -> tuple[list[Sealed], list[int]]:
    """What becomes of outcomes whose penalty was superseded. `replaced`: as of ledger.Appended.

    Returns what to append, so that they name what says the penalty now and are shown as long as that; and the numbers
    of those that must go, because it is shown no longer or is about another entity.
    """
    found = session.execute(_beside(replaced, *_SAID)).all()
    asked = select(*_STATE).where(_NOW.seq.in_([replaced[row[0]] for row in found]))
    now = {row.seq: row for row in session.execute(asked)}
    moved, left = [], []
    for old, seq, source, reference, said, code, day, visibility in found:
        penalty = now[replaced[old]]
        if penalty.entity_code == code and _stands(penalty, on):
            renamed = {**said, "penalty": penalty.id, "penalty_document": penalty.payload.get("document")}
            fact = Fact(
                "tip_outcome", source, reference, {name: value for name, value in renamed.items() if value}, code,
                day.isoformat(), visibility, shown_until=penalty.shown_until,
            )  # fmt: skip
            moved.append(ledger.seal(fact))
        elif visibility == "public":
            left.append(seq)
    return moved, left


def _beside(penalties: Collection[int], *columns: Any) -> Select[Any]:
    """Outcomes that stand, public or internal, and name one of these entries."""
    return (
        select(*columns)
        .join_from(_PENALTY, _OUTCOME, _OUTCOME.entity_code == _PENALTY.entity_code)
        .where(
            _PENALTY.seq.in_(penalties),
            _PENALTY.kind == "penalty",
            _OUTCOME.kind == "tip_outcome",
            _OUTCOME.withdrawn_by.is_(None),
            _OUTCOME.superseded_by.is_(None),
            _OUTCOME.payload["penalty"].as_string() == _PENALTY.id,
        )
    )


def _stands(entry: Any, on: date) -> bool:
    """Whether an entry is public, whatever kinds are switched off just now: a switch may be turned back."""
    begun = entry.shown_from is None or entry.shown_from <= on
    over = entry.shown_until is not None and entry.shown_until < on
    return entry.visibility == "public" and entry.withdrawn_by is None and begun and not over
