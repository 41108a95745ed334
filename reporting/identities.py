"""Learning who a reporter is: an officer asks with a reason, another grants it, and whoever asked may then look.

Asking, granting and looking are acts in the ledger. What is found is shown, and kept nowhere.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, masking
from reporting import cases, vault
from reporting.models import IdentityRequest, Tip, TipCase

OPEN_FOR = timedelta(days=7)
"""How long after it was granted whoever asked may look."""


class NobodyNamed(PortalError):
    status = 422
    slug = "nobody-named"
    title = "This reporter gave no name."
    remedy = "Ask by a message; the reporter reads it with the receipt and may answer."


class AskedAlready(PortalError):
    status = 409
    slug = "identity-asked"
    title = "Somebody has asked for this already, and nobody has decided yet."
    remedy = "Wait for the decision of a second officer."


class AnotherMustGrantIdentity(PortalError):
    status = 403
    slug = "another-must-grant-identity"
    title = "Whoever asks who a reporter is does not grant it."
    remedy = "Ask a colleague who holds the reviewer's role."


class IdentityDecided(PortalError):
    status = 409
    slug = "identity-decided"
    title = "This was decided already."
    remedy = "Open the case again."


class NotYoursToOpen(PortalError):
    status = 403
    slug = "not-yours-to-open"
    title = "This was not granted to you, or it was too long ago."
    remedy = "Ask again, with the reason for which you need it now."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a reporter is. Nothing prints it by mistake."""

    name: str = field(repr=False)
    phone: str = field(repr=False)
    email: str = field(repr=False)


def ask(session: Session, officer: Officer, tip_id: str, reason: str) -> IdentityRequest:
    """Ask to learn who told. Comes last in its transaction. Raises NobodyNamed, AskedAlready, cases' refusals."""
    tip, case = _tip(session, officer, tip_id)
    if tip.identity_sealed is None:
        raise NobodyNamed
    open_one = select(IdentityRequest.id).where(IdentityRequest.tip_id == tip_id, IdentityRequest.state == "asked")
    if session.scalar(open_one) is not None:
        raise AskedAlready
    said = masking.masked(reason)
    asked = IdentityRequest(tip_id=tip_id, reason=said, state="asked", asked_by=officer.id, asked_at=db.now())
    session.add(asked)
    session.flush()
    _keep(session, "identity_ask", case, officer, asked, reason=said)
    return asked


def grant(session: Session, officer: Officer, number: int) -> None:
    """Let whoever asked look. Comes last in its transaction. Raises AnotherMustGrantIdentity, IdentityDecided."""
    asked, case = _asked(session, officer, number)
    if asked.asked_by == officer.id:
        raise AnotherMustGrantIdentity
    asked.state, asked.decided_by, asked.decided_at = "granted", officer.id, db.now()
    _keep(session, "identity_grant", case, officer, asked, reason=asked.reason)


def decline(session: Session, officer: Officer, number: int, reason: str) -> None:
    """Leave it sealed. Comes last in its transaction. Raises IdentityDecided."""
    asked, case = _asked(session, officer, number)
    asked.state, asked.decided_by, asked.decided_at = "declined", officer.id, db.now()
    _keep(session, "identity_decline", case, officer, asked, reason=masking.masked(reason))


def look(session: Session, officer: Officer, number: int) -> Identity:
    """Who it is, for whoever asked and was granted it. Comes last in its transaction. Raises NotYoursToOpen."""
    asked = session.get(IdentityRequest, number)
    if asked is None:
        raise NotFound
    fresh = asked.decided_at is not None and asked.decided_at > db.now() - OPEN_FOR
    if asked.state != "granted" or asked.asked_by != officer.id or not fresh:
        raise NotYoursToOpen
    tip, case = _tip(session, officer, asked.tip_id)
    if tip.identity_sealed is None:
        raise NobodyNamed
    found = json.loads(vault.open_identity(session, tip.identity_sealed))
    _keep(session, "identity_open", case, officer, asked)
    return Identity(found.get("name", ""), found.get("phone", ""), found.get("email", ""))


def of_tips(session: Session, tip_ids: Collection[str]) -> Sequence[IdentityRequest]:
    """What was asked about these tips' reporters, oldest first."""
    asked = select(IdentityRequest).where(IdentityRequest.tip_id.in_(tip_ids)).order_by(IdentityRequest.id)
    return session.scalars(asked.limit(200)).all()


def waiting(session: Session, officer: Officer, *, limit: int = 100) -> Sequence[tuple[IdentityRequest, TipCase]]:
    """Requests of others in cases within the officer's reach that nobody decided yet, the oldest first."""
    asked = (
        select(IdentityRequest, TipCase)
        .join(Tip, Tip.id == IdentityRequest.tip_id)
        .join(TipCase, TipCase.id == Tip.case_id)
        .where(IdentityRequest.state == "asked", IdentityRequest.asked_by != officer.id, *cases.within(officer))
    )
    return [(request, case) for request, case in session.execute(asked.order_by(IdentityRequest.id).limit(limit))]


def _tip(session: Session, officer: Officer, tip_id: str) -> tuple[Tip, TipCase]:
    tip = session.get(Tip, tip_id)
    if tip is None:
        raise NotFound
    return tip, cases.get(session, officer, tip.case_id)


def _asked(session: Session, officer: Officer, number: int) -> tuple[IdentityRequest, TipCase]:
    asked = session.get(IdentityRequest, number, with_for_update=True)
    if asked is None:
        raise NotFound
    _, case = _tip(session, officer, asked.tip_id)
    if asked.state != "asked":
        raise IdentityDecided
    return asked, case


def _keep(
    session: Session,
    act: str,
    case: TipCase,
    officer: Officer,
    asked: IdentityRequest,
    *,
    reason: str | None = None,
) -> None:
    session.flush()
    about = f"tip case {cases.number_of(case)}"
    acts.keep(session, act, about=about, by=officer, reason=reason, details={"request": str(asked.id)})
