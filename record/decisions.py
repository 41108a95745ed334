"""What an officer may decide about an entry at all, and the one decision that needs no procedure: it was annulled.

Objections and repairs are procedures of their own (`record.applications`), redaction needs two people
(`record.redaction`).
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from record import acts, publication
from record.kinds import SHOWN
from record.models import Entity, LedgerEntry

DECIDED = SHOWN.keys() - {"registration"}
"""Kinds of entries that rest on a decision. What the registry says is the registry's to correct."""


class NothingToDecide(PortalError):
    status = 422
    slug = "nothing-to-decide"
    title = "This entry is not shown, or is none that can be decided about."
    remedy = "Open the entity's record again; somebody else may have decided meanwhile."


class NotYourDistrict(PortalError):
    status = 403
    slug = "not-your-district"
    title = "This entity is in another district than the one your account is for."
    remedy = "Pass the matter on to an officer of that district, or of the whole city."


def shown_entry(session: Session, officer: Officer, seq: int) -> LedgerEntry:
    """An entry that is shown today, or what superseded it. Raises NothingToDecide, NotYourDistrict."""
    entry = session.get(LedgerEntry, seq)
    while entry and entry.superseded_by is not None:
        entry = session.get(LedgerEntry, entry.superseded_by)
    if not entry or entry.withdrawn_by is not None or entry.payload is None or entry.visibility != "public":
        raise NothingToDecide
    if entry.entity_code is None or entry.kind not in DECIDED:
        raise NothingToDecide
    reaches(session, officer, entry.entity_code)
    return entry


def reaches(session: Session, officer: Officer, entity_code: str) -> None:
    """Raises NotYourDistrict when the officer's account is for another district than the entity's."""
    if officer.district and session.scalar(select(Entity.district).where(Entity.code == entity_code)) != (
        officer.district
    ):
        raise NotYourDistrict


def annul(session: Session, officer: Officer, seq: int, reason: str) -> str:
    """Show an entry no longer, for its decision was annulled (撤销). Returns the entity's code.

    Comes last in its transaction. Raises NothingToDecide, NotYourDistrict.
    """
    entry = shown_entry(session, officer, seq)
    code, entry_id = str(entry.entity_code), entry.id
    publication.withdraw(session, [entry.seq], "annulled")
    acts.keep(session, "annul", about=entry_id, by=officer, reason=reason, entity_code=code)
    return code
