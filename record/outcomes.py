"""What reports led to (`tip_outcome`): appended when a case is decided, and shown only beside a penalty that is shown.

The public learns what was found and done, never that somebody is suspected: an outcome is public only where it names a
violation and the penalty for it is published. It is shown for as long as that penalty is, and withdrawn with it
(`publication.withdraw`). Everything else stays internal. Who told is no part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from portal.kit.errors import PortalError
from record import ledger, publication
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


def append(session: Session, outcome: Outcome) -> int:
    """Append what came of a case. Returns the entry's number. Comes last in its transaction. Raises PenaltyNotShown."""
    penalty = _penalty(session, outcome)
    said = TipOutcome(
        matter=outcome.matter, finding=outcome.finding, measures=outcome.measures, basis=outcome.basis,
        authority=outcome.authority, penalty=penalty.id if penalty else None,
    )  # fmt: skip
    shown = penalty is not None and outcome.finding == "violation"
    fact = Fact(
        "tip_outcome", SOURCE, outcome.reference, said.model_dump(mode="json", exclude_none=True),
        outcome.entity_code, outcome.decided_on.isoformat(), "public" if shown else "internal",
        shown_until=penalty.shown_until if penalty else None,
    )  # fmt: skip
    if not shown:
        _withdraw_before(session, outcome.reference)
    appended = ledger.append(session, [ledger.seal(fact)])
    if appended.seqs:
        publication.told(session, [outcome.entity_code])
        return appended.seqs[0]
    return _standing(session, outcome.reference)


def _penalty(session: Session, outcome: Outcome) -> Published | None:
    if outcome.penalty_seq is None:
        return None
    found = publication.get(session, outcome.penalty_seq)
    if found is None or found.kind != "penalty" or found.entity_code != outcome.entity_code:
        raise PenaltyNotShown
    return found


def _withdraw_before(session: Session, reference: str) -> None:
    """What was public and is no longer so is told to whoever took it."""
    before = session.scalars(_said(reference).where(LedgerEntry.visibility == "public")).all()
    publication.withdraw(session, before, "annulled")


def _standing(session: Session, reference: str) -> int:
    return session.scalars(_said(reference)).one()


def _said(reference: str) -> Select[int]:
    return select(LedgerEntry.seq).where(
        LedgerEntry.kind == "tip_outcome", LedgerEntry.source == SOURCE, LedgerEntry.source_ref == reference,
        LedgerEntry.superseded_by.is_(None),
    )  # fmt: skip


def penalties_of(session: Session, entity_code: str, *, limit: int = 20) -> Sequence[Published]:
    """Published penalties of an entity, the newest first: what a decision may be linked with."""
    asked = select(*SHOWN_COLUMNS).where(PUBLISHED.c.entity_code == entity_code, PUBLISHED.c.kind == "penalty")
    newest = asked.order_by(PUBLISHED.c.occurred_on.desc(), PUBLISHED.c.seq.desc()).limit(limit)
    return publication.published(session.execute(newest))
