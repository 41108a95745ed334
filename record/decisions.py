"""What an officer decides about an entry: that it is shown no longer, with the reason, on the record.

Repair (信用修复, NDRC Order 36) only once the minimum term of publication is over; an upheld objection and an annulled
decision (撤销) at any time.
"""

from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from portal.kit.formats import date_text
from record import acts, publication
from record.kinds import KINDS
from record.models import Entity, LedgerEntry

Because = Literal["repaired", "objection", "annulled"]


class NothingToDecide(PortalError):
    status = 422
    slug = "nothing-to-decide"
    title = "This entry is not shown, or is none that can be repaired."
    remedy = "Open the entity's record again; somebody else may have decided meanwhile."


class NotYourDistrict(PortalError):
    status = 403
    slug = "not-your-district"
    title = "This entity is in another district than the one your account is for."
    remedy = "Pass the matter on to an officer of that district, or of the whole city."


class TooEarlyToRepair(PortalError):
    status = 422
    slug = "too-early-to-repair"
    title = "The minimum term of publication is not over yet."
    remedy = "Repair is possible from %(day)s on. An upheld objection or an annulled decision ends publication at once."


def stop_showing(session: Session, officer: Officer, seq: int, because: Because, reason: str) -> str:
    """Withdraw one adverse entry, and append who did it and why. Returns the entity's code.

    Comes last in its transaction. Raises NothingToDecide, NotYourDistrict, TooEarlyToRepair.
    """
    entry = session.get(LedgerEntry, seq)
    if not entry or entry.withdrawn_by is not None or entry.superseded_by is not None or entry.payload is None:
        raise NothingToDecide
    if entry.entity_code is None or entry.visibility != "public" or not KINDS[entry.kind].adverse:
        raise NothingToDecide
    district = session.scalar(select(Entity.district).where(Entity.code == entry.entity_code))
    if officer.district and district != officer.district:
        raise NotYourDistrict
    if because == "repaired":
        term = publication.term(entry.kind, entry.occurred_on, entry.payload)
        if term.repair_from and term.repair_from > publication.today():
            raise TooEarlyToRepair(day=date_text(term.repair_from))
    code, done_to = entry.entity_code, entry.id
    if not publication.withdraw(session, [seq], because):
        raise NothingToDecide
    acts.keep(
        session, "withdraw", about=done_to, by=officer, reason=reason, entity_code=code, details={"because": because}
    )
    return code
