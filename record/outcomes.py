"""What reports led to (`tip_outcome`): appended when a case is decided, and shown only beside a penalty that is shown.

The public learns what was found and done, never that somebody is suspected: an outcome is public only where it names a
violation and the penalty for it is published. It is shown for as long as that penalty is; what becomes of the penalty
becomes of it in the same transaction (`publication.withdraw`, `publication.carry_over`). So it has no term of its own
and is not `adverse`: what can be repaired is the penalty. Everything else stays internal. Who told is no part of it,
nor how many: of several cases that led to one penalty, the first alone is public.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit.errors import PortalError
from record import ledger, linked, publication
from record.kinds import Finding, TipOutcome
from record.ledger import Fact
from record.models import LedgerEntry
from record.publication import PUBLISHED, SHOWN_COLUMNS, Published

SOURCE = "tips"


class PenaltyNotShown(PortalError):
    status = 422
    slug = "penalty-not-shown"
    title = "This penalty is not published, or is another entity's."
    remedy = "Choose one of the entity's published penalties, or decide without one."


class OutcomeRedacted(PortalError):
    status = 409
    slug = "outcome-redacted"
    title = "The outcome of this case was redacted by law and cannot be entered again."
    remedy = "If it should stand after all, ask whoever granted the redaction."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case led to."""

    reference: str
    """Public number of the case: a second decision on it supersedes the first."""
    entity_code: str
    decided_on: date
    matter: str
    finding: Finding
    measures: str
    basis: str
    authority: str
    penalty_seq: int | None = None
    """The penalty's entry, or one that it superseded."""


def append(session: Session, outcome: Outcome) -> int:
    """Append what came of a case. Returns the entry's number, the earlier one when that says the same.

    Comes last in its transaction. Raises PenaltyNotShown, OutcomeRedacted.
    """
    ledger.lock(session)  # from here on no penalty goes without being seen to go
    penalty = None if outcome.penalty_seq is None else _penalty(session, outcome.penalty_seq)
    said = TipOutcome(
        matter=outcome.matter, finding=outcome.finding, measures=outcome.measures, basis=outcome.basis,
        authority=outcome.authority, penalty=penalty.id if penalty else None,
        penalty_document=(penalty.payload or {}).get("document") if penalty else None,
    ).model_dump(mode="json", exclude_none=True)  # fmt: skip
    before = _before(session, outcome.reference)
    if before and (before.payload, before.entity_code, before.occurred_on) == (
        said, outcome.entity_code, outcome.decided_on,
    ):  # fmt: skip
        return int(before.seq)
    beside = _shown(session, outcome, penalty.seq) if penalty else None
    public = outcome.finding == "violation" and beside is not None and _is_first(session, beside.seq, before)
    if before and before.visibility == "public" and not public:
        publication.withdraw(session, [before.seq], "annulled")  # tells whoever took it
    fact = Fact(
        "tip_outcome", SOURCE, outcome.reference, said, outcome.entity_code, outcome.decided_on.isoformat(),
        "public" if public else "internal", shown_until=beside.shown_until if beside else None,
    )  # fmt: skip
    appended = ledger.append(session, [ledger.seal(fact)])
    if appended.redacted:
        raise OutcomeRedacted
    return appended.seqs[0]


_COLUMNS = (
    LedgerEntry.seq, LedgerEntry.id, LedgerEntry.payload, LedgerEntry.entity_code, LedgerEntry.occurred_on,
    LedgerEntry.visibility, LedgerEntry.superseded_by,
)  # fmt: skip


def _penalty(session: Session, seq: int) -> Any:
    """What says this penalty now. Raises PenaltyNotShown for what is none."""
    asked = select(*_COLUMNS).where(LedgerEntry.kind == "penalty")
    entry = session.execute(asked.where(LedgerEntry.seq == seq)).one_or_none()
    while entry and entry.superseded_by is not None:
        entry = session.execute(asked.where(LedgerEntry.seq == entry.superseded_by)).one_or_none()
    if entry is None:
        raise PenaltyNotShown
    return entry


def _before(session: Session, reference: str) -> Any:
    """What is known of the case so far."""
    asked = select(*_COLUMNS).where(
        LedgerEntry.kind == "tip_outcome", LedgerEntry.source == SOURCE, LedgerEntry.source_ref == reference,
        LedgerEntry.superseded_by.is_(None),
    )  # fmt: skip
    return session.execute(asked).one_or_none()


def _shown(session: Session, outcome: Outcome, penalty: int) -> Published:
    found = publication.get(session, penalty)
    if found is None or found.entity_code != outcome.entity_code:
        raise PenaltyNotShown
    return found


def _is_first(session: Session, penalty: int, before: Any) -> bool:
    """Whether no other case's outcome stands beside the penalty: their number would tell how many told."""
    return set(linked.shown_beside(session, [penalty])) <= ({before.seq} if before else set())


# ---- reading --------------------------------------------------------------------------------------------------------


def penalties_of(session: Session, entity_code: str, *, limit: int = 20) -> Sequence[Published]:
    """Published penalties of an entity, the newest first: what a decision may be linked with."""
    asked = select(*SHOWN_COLUMNS).where(PUBLISHED.c.entity_code == entity_code, PUBLISHED.c.kind == "penalty")
    newest = asked.order_by(PUBLISHED.c.occurred_on.desc(), PUBLISHED.c.seq.desc()).limit(limit)
    return publication.published(session.execute(newest))


def internal_of(session: Session, entity_code: str, *, limit: int = 50) -> Sequence[LedgerEntry]:
    """Outcomes about an entity that officers alone may see, the newest first."""
    asked = select(LedgerEntry).where(
        LedgerEntry.entity_code == entity_code, LedgerEntry.kind == "tip_outcome",
        LedgerEntry.visibility == "internal", LedgerEntry.superseded_by.is_(None), LedgerEntry.payload.is_not(None),
    )  # fmt: skip
    return session.scalars(asked.order_by(LedgerEntry.seq.desc()).limit(limit)).all()
