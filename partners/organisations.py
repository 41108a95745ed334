"""Organisations that work with the portal: how they come in, what they may do, until when, and who acts for them.

    applied → active ⇄ suspended → ended
        ↘ refused

An officer approves, or the operator adds (`portal partner add`). A market entity is an organisation of type `entity`,
bound to one code: whoever may act for it sees, answers and disputes what stands in its file.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from partners.models import Invitation, Organisation, OrganisationState, OrganisationType
from portal.kit import accounts, db, keyring, signin, webhooks
from portal.kit.accounts import Account, Enrolment, MemberRole, Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, codes, entities, publication
from record.codes import Labels

TYPES: Labels = {
    "association": ("行业协会", "Industry association"),
    "chamber": ("商会", "Chamber of commerce"),
    "rating_agency": ("信用评级机构", "Rating agency"),
    "consumer_council": ("消费者权益保护委员会", "Consumer council"),
    "accountants": ("会计师事务所", "Accountants"),
    "law_firm": ("律师事务所", "Law firm"),
    "notary": ("公证机构", "Notary"),
    "testing_body": ("检验检测认证机构", "Testing body"),
    "entity": ("市场主体", "Market entity"),
}
STATES: Labels = {
    "applied": ("待审核", "Waiting for approval"),
    "active": ("有效", "Active"),
    "suspended": ("暂停", "Suspended"),
    "ended": ("终止", "Ended"),
    "refused": ("未通过", "Refused"),
}
INVITATION_LASTS = timedelta(days=14)
_RESERVED = frozenset({"apply", "papers", "rules", "schemes"})
"""Words that stand in the place of an id in public addresses."""
_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,38})[a-z0-9]")


class OrganisationTaken(PortalError):
    status = 409
    slug = "organisation-taken"
    title = "An organisation of this name or with this claim is here already, or waits for approval."
    remedy = "Ask whoever manages its account here for an invitation, or the regulator if nobody does."


class OrganisationClosed(PortalError):
    status = 403
    slug = "organisation-closed"
    title = "This organisation's place here is not open: it is suspended, has ended or its term is over."
    remedy = "Ask the regulator. What you handed in before is kept."


class OrganisationMoved(PortalError):
    status = 409
    slug = "organisation-moved"
    title = "This step is not open: somebody has dealt with this organisation meanwhile."
    remedy = "Open it again and see how it stands."


class InvitationSpent(PortalError):
    status = 410
    slug = "invitation-spent"
    title = "This invitation was used, was replaced, or is older than two weeks."
    remedy = "Ask whoever sent it to you for a new one."


class CodeWrong(PortalError):
    status = 422
    slug = "authenticator-code"
    title = "This is not the code that the authenticator shows now."
    remedy = "Scan the QR code with an authenticator, and enter the six digits that it shows."


class SeatIncomplete(PortalError):
    status = 422
    slug = "seat-incomplete"
    title = "A login name of at least three characters and your name are needed."
    remedy = "Fill both in. Nothing that you typed is lost, but the password must be entered again."


class PublicKeyWrong(PortalError):
    status = 422
    slug = "public-key"
    title = "This is not an Ed25519 public key."
    remedy = "Give it as PEM (openssl pkey -pubout), or as 32 bytes in base64."


class CallbackWrong(PortalError):
    status = 422
    slug = "callback-address"
    title = "Callbacks cannot go to this address."
    remedy = "Give an address that begins with https:// and that the public internet reaches."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an organisation says of itself when it applies, or an officer when adding it."""

    type: OrganisationType
    name: str
    entity_code: str | None = None
    number: str | None = None
    numbered_by: str | None = None
    about: str = ""
    industries: Sequence[str] = field(default_factory=tuple)
    districts: Sequence[str] = field(default_factory=tuple)
    contact: str | None = None
    """Name and mail address of whoever applies; kept sealed."""


# ---- coming in ------------------------------------------------------------------------------------------------------


def apply(session: Session, wanted: Wanted) -> Organisation:
    """Enter an application. Raises OrganisationTaken, entities.EntityNotFound for a claim to no file of ours."""
    if wanted.type == "entity":
        entity = entities.get(session, wanted.entity_code or "")
        same = select(Organisation.id).where(
            Organisation.type == "entity", Organisation.entity_code == entity.code,
            Organisation.state.in_(("applied", "active", "suspended")),
        )  # fmt: skip
        made = _made(wanted, f"entity-{secrets.token_hex(5)}", name=entity.name, code=entity.code)
    else:
        same = select(Organisation.id).where(
            Organisation.name == wanted.name, Organisation.state.in_(("applied", "active", "suspended"))
        )
        made = _made(wanted, f"partner-{secrets.token_hex(5)}", name=wanted.name, code=wanted.entity_code)
    if session.scalar(same.limit(1)) is not None:
        raise OrganisationTaken
    session.add(made)
    session.flush()
    return made


def _made(wanted: Wanted, id_: str, *, name: str, code: str | None) -> Organisation:
    return Organisation(
        id=id_, type=wanted.type, name=name, entity_code=code and codes.normalise(code),
        number=wanted.number or None, numbered_by=wanted.numbered_by or None, industries=sorted(wanted.industries),
        districts=sorted(wanted.districts), about=wanted.about, state="applied", only_signed=False,
        contact=keyring.sealed("partner-contacts", wanted.contact, about=id_) if wanted.contact else None,
        created_at=db.now(),
    )  # fmt: skip


def contact_of(organisation: Organisation) -> str | None:
    """Who applied, for officers."""
    if organisation.contact is None:
        return None
    return keyring.opened("partner-contacts", organisation.contact, about=organisation.id)


def add(
    session: Session, id_: str, wanted: Wanted, *, by: Officer | None, valid_until: date | None = None
) -> Organisation:
    """Add an organisation that may begin at once. Comes last in its transaction. Raises OrganisationTaken, ValueError.

    `id_`: 3 to 40 of a-z, 0-9 and the hyphen. `by` None: the operator's command line.
    """
    if not _ID.fullmatch(id_) or id_ in _RESERVED:
        raise ValueError("an id is 3 to 40 of a-z, 0-9 and -, such as demo-association")
    if session.get(Organisation, id_) is not None:
        raise OrganisationTaken
    code = entities.get(session, wanted.entity_code or "").code if wanted.type == "entity" else wanted.entity_code
    made = _made(wanted, id_, name=wanted.name, code=code)
    made.state, made.valid_from, made.valid_until = "active", publication.today(), valid_until
    made.decided_by = by.id if by else None
    session.add(made)
    session.flush()
    acts.keep(session, "partner_add", about=f"organisation {id_}", by=by, details={"type": wanted.type})
    return made


# ---- at the desk ----------------------------------------------------------------------------------------------------


def approve(session: Session, officer: Officer, id_: str, *, valid_until: date | None = None) -> Organisation:
    """Let an applicant in. Last in its transaction. Raises NotFound, OrganisationMoved."""
    organisation = _at(session, id_, "applied")
    organisation.state, organisation.valid_from = "active", publication.today()
    organisation.valid_until, organisation.decided_by = valid_until, officer.id
    session.flush()
    acts.keep(session, "partner_approve", about=f"organisation {id_}", by=officer)
    return organisation


def refuse(session: Session, officer: Officer, id_: str, reason: str) -> Organisation:
    """Turn an applicant away, with the reason that is told."""
    return _end(session, officer, _at(session, id_, "applied"), "refused", reason)


def suspend(session: Session, officer: Officer, id_: str, reason: str) -> Organisation:
    """Keep an organisation from acting, for a time: keys, signatures and members open nothing. What it said stays."""
    return _end(session, officer, _at(session, id_, "active"), "suspended", reason)


def resume(session: Session, officer: Officer, id_: str, reason: str) -> Organisation:
    """End a suspension."""
    return _end(session, officer, _at(session, id_, "suspended"), "active", reason)


def end(session: Session, officer: Officer, id_: str, reason: str) -> Organisation:
    """Close an organisation's place for good. What it said stays until it expires or is withdrawn."""
    return _end(session, officer, _at(session, id_, "active", "suspended"), "ended", reason)


_ACTS: dict[str, str] = {
    "refused": "partner_refuse", "suspended": "partner_suspend", "active": "partner_resume", "ended": "partner_end",
}  # fmt: skip


def _end(
    session: Session, officer: Officer, organisation: Organisation, state: OrganisationState, reason: str
) -> Organisation:
    organisation.state, organisation.reason, organisation.decided_by = state, reason, officer.id
    if state in {"suspended", "ended"}:
        for account in accounts.members(session, organisation.id):
            accounts.end_sessions(session, account.id)
    session.flush()
    acts.keep(session, _ACTS[state], about=f"organisation {organisation.id}", by=officer, reason=reason)
    return organisation


def _at(session: Session, id_: str, *states: OrganisationState) -> Organisation:
    organisation = session.get(Organisation, id_, with_for_update=True)
    if organisation is None:
        raise NotFound
    if organisation.state not in states:
        raise OrganisationMoved
    return organisation


def waiting(session: Session, *, limit: int = 200) -> list[Organisation]:
    """Applications, the oldest first."""
    asked = select(Organisation).where(Organisation.state == "applied")
    return list(session.scalars(asked.order_by(Organisation.created_at).limit(limit)))


def count_waiting(session: Session) -> int:
    """How many applications wait."""
    return session.scalar(select(func.count()).where(Organisation.state == "applied")) or 0


def listed(session: Session, *, entities_too: bool = False, after: str = "", limit: int = 100) -> list[Organisation]:
    """Organisations that are or were partners, by id."""
    asked = select(Organisation).where(
        Organisation.state.in_(("active", "suspended", "ended")), Organisation.id > after
    )
    if not entities_too:
        asked = asked.where(Organisation.type != "entity")
    return list(session.scalars(asked.order_by(Organisation.id).limit(limit)))


# ---- acting ---------------------------------------------------------------------------------------------------------


def is_open(organisation: Organisation) -> bool:
    """Whether it may act today."""
    today = publication.today()
    begun = organisation.valid_from is None or organisation.valid_from <= today
    over = organisation.valid_until is not None and organisation.valid_until < today
    return organisation.state == "active" and begun and not over


def get(session: Session, id_: str) -> Organisation:
    """An organisation, whatever its state. Raises NotFound."""
    organisation = session.get(Organisation, id_)
    if organisation is None:
        raise NotFound
    return organisation


def acting(session: Session, id_: str) -> Organisation:
    """An organisation that may act today. Raises NotFound, OrganisationClosed."""
    organisation = get(session, id_)
    if not is_open(organisation):
        raise OrganisationClosed
    return organisation


def set_public_key(session: Session, id_: str, text: str, *, only_signed: bool) -> Organisation:
    """Set, replace or (with an empty text) remove what signed requests are verified with. Raises PublicKeyWrong."""
    organisation = acting(session, id_)
    organisation.public_key = _public_key(text) if text.strip() else None
    organisation.only_signed = only_signed and organisation.public_key is not None
    session.flush()
    return organisation


def _public_key(text: str) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        if "BEGIN" in text:
            key = load_pem_public_key(text.strip().encode())
            if not isinstance(key, Ed25519PublicKey):
                raise PublicKeyWrong
        else:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except (ValueError, binascii.Error) as error:
        raise PublicKeyWrong from error
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def set_callback(session: Session, id_: str, url: str) -> str | None:
    """Set where callbacks go; an empty address ends them. Returns the new secret, shown once. Raises CallbackWrong."""
    organisation = acting(session, id_)
    if not url.strip():
        organisation.callback_url = organisation.callback_secret = None
        session.flush()
        return None
    if len(url) > 500 or not webhooks.may_go_to(url.strip()):
        raise CallbackWrong
    secret = webhooks.new_secret()
    organisation.callback_url = url.strip()
    organisation.callback_secret = keyring.sealed("callbacks", secret, about=id_)
    session.flush()
    return secret


def note_invitation(session: Session, officer: Officer, id_: str) -> None:
    """Keep that an officer made an invitation. Last in its transaction."""
    acts.keep(session, "partner_invite", about=f"organisation {id_}", by=officer)


# ---- seats ----------------------------------------------------------------------------------------------------------


def invite(session: Session, id_: str, role: MemberRole) -> str:
    """A seat for somebody, and the word that takes it within two weeks: shown once. Raises NotFound."""
    get(session, id_)
    token = secrets.token_urlsafe(24)
    invitation = Invitation(
        organisation_id=id_, role=role, token_sha256=_sha256(token), totp_secret="",
        expires_at=db.now() + INVITATION_LASTS,
    )  # fmt: skip
    session.add(invitation)
    session.flush()
    invitation.totp_secret = keyring.sealed("invitations", pyotp.random_base32(), about=str(invitation.id))
    session.flush()
    return token


@dataclass(frozen=True, slots=True)
class Seat:
    """What an invitation offers."""

    organisation: Organisation
    role: str
    secret: str = field(repr=False)

    def otpauth(self, login: str) -> str:
        """What an authenticator reads from a QR code."""
        return pyotp.TOTP(self.secret).provisioning_uri(name=login, issuer_name=accounts.ISSUER)


def seat(session: Session, token: str) -> Seat:
    """What this invitation offers. Raises InvitationSpent, OrganisationClosed."""
    invitation = _invitation(session, token)
    secret = keyring.opened("invitations", invitation.totp_secret, about=str(invitation.id))
    return Seat(acting(session, invitation.organisation_id), invitation.role, secret)


def take_seat(session: Session, token: str, *, login: str, name: str, password_hash: str, code: str) -> Enrolment:
    """Make the account of whoever was invited, once their authenticator shows the right code.

    Raises InvitationSpent, CodeWrong, accounts.LoginTaken.
    """
    offered = seat(session, token)
    if not signin.fits(offered.secret, code):
        raise CodeWrong
    invitation = _invitation(session, token)
    role: MemberRole = "manager" if offered.role == "manager" else "submitter"
    roles: tuple[MemberRole, ...] = ("manager", "submitter") if role == "manager" else ("submitter",)
    enrolment = accounts.add_member(
        session, login=login, name=name, organisation=offered.organisation.id, roles=roles,
        password_hash=password_hash, totp_secret=offered.secret,
    )  # fmt: skip
    free = (Invitation.id == invitation.id) & Invitation.taken_by.is_(None)
    taken = session.execute(update(Invitation).where(free).values(taken_by=enrolment.account_id))
    if not isinstance(taken, CursorResult) or taken.rowcount != 1:
        raise InvitationSpent
    return enrolment


def _invitation(session: Session, token: str) -> Invitation:
    asked = select(Invitation).where(
        Invitation.token_sha256 == _sha256(token), Invitation.taken_by.is_(None), Invitation.expires_at > db.now()
    )
    found = session.scalar(asked)
    if found is None:
        raise InvitationSpent
    return found


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def set_seat(session: Session, organisation_id: str, account_id: int, *, disabled: bool, by: int) -> Account:
    """Shut or open a member's account. Raises NotFound, accounts.OwnAccount."""
    if account_id == by:
        raise accounts.OwnAccount
    account = accounts.member(session, account_id, organisation_id)
    account.disabled_at = (account.disabled_at or db.now()) if disabled else None
    accounts.end_sessions(session, account_id)
    session.flush()
    return account
