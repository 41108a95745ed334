"""People who sign in: their tables, the roles they hold and where, adding and disabling them.

What happens when somebody signs in is in `signin`; how the web keeps it is in `gate`.
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import pyotp
import structlog
from sqlalchemy import JSON, ForeignKey, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db, keyring
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import NotFound, PortalError

Role = Literal["clerk", "reviewer", "administrator"]
"""What an officer may do: deal with cases (经办), check and decide them (审核), look after accounts (管理员).

None contains another, so that whoever decides a case need not be who prepared it.
"""
ROLES: tuple[Role, ...] = get_args(Role)
MemberRole = Literal["manager", "submitter"]
"""What a member of an organisation may do: look after its members, keys and schemes; hand in, answer and dispute."""
MEMBER_ROLES: tuple[MemberRole, ...] = get_args(MemberRole)
ISSUER = "Gongzhi"
"""What the one-time codes are filed under in somebody's authenticator."""

log = structlog.get_logger()


class LoginTaken(PortalError):
    status = 409
    slug = "login-taken"
    title = "This login name is in use."
    remedy = "Choose another; capitals and width do not tell names apart."


class OwnAccount(PortalError):
    status = 409
    slug = "own-account"
    title = "Nobody can disable their own account."
    remedy = "Ask another administrator to do it."


class Account(Base):
    """Somebody who can sign in. Never deleted: what they did keeps their number."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """`officer`, or `member` of an organisation: a partner or a market entity."""
    login: Mapped[str] = mapped_column(String(64), unique=True)
    """Folded by `fold`, so that two spellings of one name are one name."""
    name: Mapped[str] = mapped_column(String(100))
    department: Mapped[str] = mapped_column(String(100))
    district: Mapped[str | None] = mapped_column(String(6))
    """Division (GB/T 2260) that the account's roles hold in; null means the whole city."""
    roles: Mapped[list[Role | MemberRole]] = mapped_column(JSON)
    """An officer's or a member's, by `kind`."""
    organisation: Mapped[str | None] = mapped_column(String(40), index=True)
    """Of a member: id of the organisation; null for officers."""
    password_hash: Mapped[str] = mapped_column(String(200))
    """Argon2id, with its parameters."""
    totp_secret: Mapped[str] = mapped_column(String(120))
    """RFC 6238, sealed by `sealed`: whoever reads a copy of the database has no second factor."""
    totp_step: Mapped[int | None]
    """The 30-second step, counted from 1970, of the newest code that was used: it and older ones are spent."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    mail: Mapped[str | None] = mapped_column(String(600))
    """Where the daily mail goes, sealed by the keyring; null: nowhere."""


class AccountSession(Base):
    """One browser that is signed in. Whoever holds the token is the account, so only its SHA-256 is kept."""

    __tablename__ = "account_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    csrf_secret: Mapped[str] = mapped_column(String(64))
    """What the tokens in this session's forms are made from."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer as handlers and domain functions know them: who acts, in which roles, and how far these reach."""

    id: int
    name: str
    department: str
    district: str | None
    roles: frozenset[Role]

    def may(self, *roles: Role) -> bool:
        """Whether the officer holds one of these roles."""
        return not self.roles.isdisjoint(roles)

    def covers(self, *, department: str, district: str | None) -> bool:
        """Whether the officer's roles reach a matter of this department in this district (None: the whole city)."""
        return self.department == department and self.district in (None, district)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an organisation as handlers and domain functions know them."""

    id: int
    name: str
    organisation: str
    roles: frozenset[MemberRole]

    def may(self, *roles: MemberRole) -> bool:
        """Whether the member holds one of these roles."""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new or renewed account, and what its authenticator is set up with. Shown once."""

    account_id: int
    login: str
    otpauth: str
    """`otpauth://totp/…`, which an authenticator reads from a QR code."""


def fold(login: str) -> str:
    """A login name without what people do not mean: width, case, spaces around it."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


def sealed(secret: str, login: str) -> str:
    """An authenticator's secret as it is stored: AES-256-GCM under a key of the keyring, bound to its login name."""
    return keyring.sealed("authenticators", secret, about=login)


def secret_of(account: Account) -> str:
    """The authenticator's secret, base32."""
    return keyring.opened("authenticators", account.totp_secret, about=account.login)


def officer_of(account: Account) -> Officer:
    roles = frozenset(role for role in ROLES if role in account.roles)
    return Officer(account.id, account.name, account.department, account.district, roles)


def member_of(account: Account) -> Member:
    """Raises ValueError for an account that is nobody's member."""
    if account.kind != "member" or account.organisation is None:
        raise ValueError("this account belongs to no organisation")
    roles = frozenset(role for role in MEMBER_ROLES if role in account.roles)
    return Member(account.id, account.name, account.organisation, roles)


def find(session: Session, login: str) -> Account | None:
    """The account with this login name, however it is written, disabled ones included."""
    return session.scalar(select(Account).where(Account.login == fold(login)))


def names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """What these officers are called, by the numbers of their accounts."""
    asked = select(Account.id, Account.name).where(Account.id.in_(ids))
    return dict(session.execute(asked).all())


def add_officer(
    session: Session,
    *,
    login: str,
    name: str,
    department: str,
    district: str | None,
    roles: Collection[Role],
    password_hash: str,
) -> Enrolment:
    """Add an officer. `password_hash` is from `passwords.hashed`, made before the transaction. Raises LoginTaken."""
    if find(session, login):
        raise LoginTaken
    secret = pyotp.random_base32()
    account = Account(
        kind="officer",
        login=fold(login),
        name=name,
        department=department,
        district=district,
        roles=[role for role in ROLES if role in roles],
        password_hash=password_hash,
        totp_secret=sealed(secret, fold(login)),
        created_at=db.now(),
    )
    session.add(account)
    session.flush()
    return enrolment(account, secret)


def add_member(
    session: Session,
    *,
    login: str,
    name: str,
    organisation: str,
    roles: Collection[MemberRole],
    password_hash: str,
    totp_secret: str | None = None,
) -> Enrolment:
    """Add a member of an organisation. `totp_secret`: base32, where an authenticator has it already. Raises LoginTaken.

    `password_hash` is from `passwords.hashed`, made before the transaction.
    """
    if find(session, login):
        raise LoginTaken
    secret = totp_secret or pyotp.random_base32()
    account = Account(
        kind="member", login=fold(login), name=name, department="", district=None, organisation=organisation,
        roles=[role for role in MEMBER_ROLES if role in roles], password_hash=password_hash,
        totp_secret=sealed(secret, fold(login)), created_at=db.now(),
    )  # fmt: skip
    session.add(account)
    session.flush()
    return enrolment(account, secret)


def members(session: Session, organisation: str) -> list[Account]:
    """The accounts of an organisation's members, those that are disabled last."""
    found = select(Account).where(Account.kind == "member", Account.organisation == organisation)
    return list(session.scalars(found.order_by(Account.disabled_at.is_not(None), Account.login).limit(200)))


def member(session: Session, account_id: int, organisation: str) -> Account:
    """One member's account. Raises NotFound for anybody else's."""
    account = session.get(Account, account_id)
    if account is None or account.kind != "member" or account.organisation != organisation:
        raise NotFound
    return account


def renew(session: Session, login: str, *, password_hash: str) -> Enrolment:
    """Give an account a new password and a new authenticator, and end its sessions. Raises NotFound."""
    account = find(session, login)
    if account is None:
        raise NotFound
    account.password_hash = password_hash
    secret = pyotp.random_base32()
    account.totp_secret, account.totp_step = sealed(secret, account.login), None
    end_sessions(session, account.id)
    return enrolment(account, secret)


def enrolment(account: Account, secret: str) -> Enrolment:
    """What an authenticator is set up with for this account."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=account.login, issuer_name=ISSUER)
    return Enrolment(account.id, account.login, uri)


def overseen(session: Session, by: Officer) -> list[Account]:
    """The officers' accounts that `by` may look after: those of the same department, within the same district."""
    found = select(Account).where(Account.kind == "officer", Account.department == by.department)
    if by.district is not None:
        found = found.where(Account.district == by.district)
    return list(session.scalars(found.order_by(Account.disabled_at.is_not(None), Account.login)))


def disable(session: Session, account_id: int, *, by: Officer) -> None:
    """Shut an officer's account and end its sessions at once. Raises NotFound outside of what `by` oversees."""
    if account_id == by.id:
        raise OwnAccount
    account = _overseen(session, account_id, by)
    account.disabled_at = account.disabled_at or db.now()
    end_sessions(session, account_id)
    log.info("account.disabled", account=account_id, by=by.id)


def enable(session: Session, account_id: int, *, by: Officer) -> None:
    """Open a disabled account again. Raises NotFound outside of what `by` oversees."""
    _overseen(session, account_id, by).disabled_at = None
    log.info("account.enabled", account=account_id, by=by.id)


def _overseen(session: Session, account_id: int, by: Officer) -> Account:
    account = session.get(Account, account_id)
    if account is None or account.kind != "officer":
        raise NotFound
    if not by.covers(department=account.department, district=account.district):
        raise NotFound
    return account


def end_sessions(session: Session, account_id: int) -> None:
    """Sign an account out everywhere."""
    session.execute(delete(AccountSession).where(AccountSession.account_id == account_id))
