"""Taking an entry's content out of the ledger for good, where the law demands it: one officer asks, another grants.

The entry's number, time and hashes stay, so the ledger still verifies. What was published of it is withdrawn first, so
that followers hear of it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Index, String, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db, jobs
from portal.kit.accounts import Officer
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import NotFound, PortalError
from record import acts, decisions, ledger, publication
from record.models import LedgerEntry, Unmatched

State = Literal["asked", "granted", "declined"]
REDACTED = "entry.redacted"
"""Tells whoever keeps something beside entries to erase it: numbers of entries."""


class NothingToRedact(PortalError):
    status = 422
    slug = "nothing-to-redact"
    title = "The ledger has no entry of this number with anything left to redact."
    remedy = "Check the number. What was redacted before stays so, and officers' acts are never redacted."


class AnotherMustGrant(PortalError):
    status = 403
    slug = "another-must-grant"
    title = "Whoever asks for a redaction does not grant it."
    remedy = "Ask a colleague who holds the reviewer's role."


class RedactionDecided(PortalError):
    status = 409
    slug = "redaction-decided"
    title = "This was decided already."
    remedy = "Open the list again."


class Redaction(Base):
    """A request to redact one entry. It never repeats what the entry says."""

    __tablename__ = "redaction"
    __table_args__ = (Index("ix_redaction_state_id", "state", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_seq: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[State] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(2_000))
    """Law and article, or the court's decision."""
    asked_by: Mapped[int]
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def ask(session: Session, officer: Officer, seq: int, reason: str) -> Redaction:
    """Ask that an entry be redacted. Comes last in its transaction.

    Raises NothingToRedact, decisions.NotYourDistrict.
    """
    entry = _entry(session, officer, seq)
    entry_id = entry.id
    asked = Redaction(entry_seq=seq, state="asked", reason=reason, asked_by=officer.id, asked_at=db.now())
    session.add(asked)
    session.flush()
    acts.keep(session, "redaction_ask", about=entry_id, by=officer, reason=reason)
    return asked


def grant(session: Session, officer: Officer, number: int) -> None:
    """Redact. Comes last in its transaction.

    Raises AnotherMustGrant, RedactionDecided, NothingToRedact, decisions.NotYourDistrict.
    """
    asked = _asked(session, number)
    if asked.asked_by == officer.id:
        raise AnotherMustGrant
    entry = _entry(session, officer, asked.entry_seq)
    entry_id, code = entry.id, entry.entity_code
    _decide(session, asked, officer, "granted")
    if entry.visibility == "public":
        publication.withdraw(session, ledger.versions(session, asked.entry_seq), "redacted")
    seqs = ledger.redact(session, asked.entry_seq)
    session.execute(delete(Unmatched).where(Unmatched.seq.in_(seqs)))
    jobs.after_commit(session, REDACTED, seqs)
    if code:
        publication.told(session, [code])
    acts.keep(session, "redaction_grant", about=entry_id, by=officer, reason=asked.reason)


def decline(session: Session, officer: Officer, number: int) -> None:
    """Leave the entry as it is. Comes last in its transaction. Raises RedactionDecided."""
    asked = _asked(session, number)
    entry_id = session.get_one(LedgerEntry, asked.entry_seq).id
    _decide(session, asked, officer, "declined")
    acts.keep(session, "redaction_decline", about=entry_id, by=officer)


def waiting(session: Session, *, after: int = 0, limit: int = 50) -> Sequence[Redaction]:
    """Requests that nobody decided yet, the oldest first; `after`: behind that number."""
    asked = select(Redaction).where(Redaction.state == "asked", Redaction.id > after)
    return session.scalars(asked.order_by(Redaction.id).limit(limit)).all()


def count(session: Session) -> int:
    """How many requests wait."""
    return session.scalar(select(func.count()).where(Redaction.state == "asked")) or 0


def _entry(session: Session, officer: Officer, seq: int) -> LedgerEntry:
    entry = session.get(LedgerEntry, seq)
    if entry is None or entry.payload is None or entry.kind in {"withdrawal", "desk_action"}:
        raise NothingToRedact
    if entry.entity_code:
        decisions.reaches(session, officer, entry.entity_code)
    return entry


def _asked(session: Session, number: int) -> Redaction:
    asked = session.get(Redaction, number, with_for_update=True)
    if asked is None:
        raise NotFound
    if asked.state != "asked":
        raise RedactionDecided
    return asked


def _decide(session: Session, asked: Redaction, officer: Officer, state: State) -> None:
    asked.state, asked.decided_by, asked.decided_at = state, officer.id, db.now()
    session.flush()
