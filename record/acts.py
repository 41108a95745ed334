"""What officers do, kept in the ledger for good (监管留痕): every change, and every opening of what is sealed.

    acts.keep(session, "withdraw", about=entry_id, by=officer, reason=reason, entity_code=code)

Mere reading goes to the access log (`portal.kit.access`).
"""

from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from record import ledger, publication
from record.kinds import DeskAction
from record.ledger import Fact

SOURCE = "desk"
CONSOLE = "console"
"""Who acts on the command line: whoever may use it holds the whole portal."""


def keep(
    session: Session,
    action: str,
    *,
    about: str,
    by: Officer | None,
    reason: str | None = None,
    entity_code: str | None = None,
    details: dict[str, str] | None = None,
) -> None:
    """Append an internal entry that says who did what. `by` None: the operator's command line.

    Comes last in its transaction, as all appending does. Keep no content in it: ids, codes, days, the reason.
    """
    act = DeskAction(
        action=action,
        about=about,
        officer=str(by.id) if by else CONSOLE,
        reason=reason,
        details=details or {},
    )
    said = act.model_dump(mode="json", exclude_none=True)
    reference = f"{action}|{about}|{ledger.new_id()}"
    today = publication.today().isoformat()
    ledger.append(session, [ledger.seal(Fact("desk_action", SOURCE, reference, said, entity_code, today, "internal"))])
