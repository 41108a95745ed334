"""Signing in and staying signed in: attempts and how they are slowed, one-time codes, sessions.

A password alone opens nothing. Whatever is wrong, the answer is the same and takes as long.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyotp
import structlog
from sqlalchemy import String, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import accounts, db, keyring, passwords
from portal.kit.accounts import Account, AccountSession, Member, Officer
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

FREE_TRIES_OF_A_LOGIN = 5
FREE_TRIES_OF_A_CALLER = 30
"""More than of a login, for a whole office may call from one address."""
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=1)
CODE_SECONDS = 30
SEEN_EVERY = timedelta(minutes=1)
"""How exactly a session's last use is kept: the one thing that looking at a page may write."""

_INSERT: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

log = structlog.get_logger()


class SignInRefused(PortalError):
    status = 403
    slug = "sign-in-refused"
    title = "You are not signed in: the login name, the password or the code is wrong."
    remedy = "Check all three. A code works once; if you used this one before, wait for the next."


class TooManySignIns(PortalError):
    status = 429
    slug = "too-many-sign-ins"
    title = "Signing in has failed too often."
    remedy = "Wait %(seconds)s seconds and try again. If it was not you who tried, tell your administrator."


class SignInFailure(Base):
    """How often signing in failed of late, by login name and by caller."""

    __tablename__ = "sign_in_failure"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    failures: Mapped[int]
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that holds, and whose it is."""

    account: Account = field(repr=False)
    session_id: int
    last_seen_at: datetime
    csrf_secret: str = field(repr=False)

    @property
    def officer(self) -> Officer:
        return accounts.officer_of(self.account)

    @property
    def member(self) -> Member:
        """Raises ValueError for an officer's session."""
        return accounts.member_of(self.account)

    def form_token(self) -> str:
        """A token for a form of this session; another each time, so that compression cannot give it away."""
        nonce = secrets.token_hex(8)
        return f"{nonce}.{self._signature(nonce)}"

    def is_own(self, form_token: str) -> bool:
        """Whether the token was made for a form of this session."""
        nonce, _, signature = form_token.partition(".")
        return hmac.compare_digest(signature.encode(), self._signature(nonce).encode())

    def _signature(self, nonce: str) -> str:
        return hmac.digest(self.csrf_secret.encode(), nonce.encode(), hashlib.sha256).hex()


# ---- signing in -----------------------------------------------------------------------------------------------------


def sign_in(
    login: str, password: str, code: str, *, caller: str, kind: str = "officer", instead_of: str | None = None
) -> str:
    """The token of a new session of an account of this kind. Raises SignInRefused or TooManySignIns.

    `caller` is `limits.caller(request)`; `instead_of`: the token of a session of this browser, which ends.
    It opens its own transactions: Argon2 must not hold one, and an attempt counts
    from before it is looked at, so that a hundred at once are a hundred attempts.
    """
    login = accounts.fold(login)
    with db.writing() as session:
        _admit(session, login, caller)
    with db.reading() as session:
        account = accounts.find(session, login)
    known = passwords.matches(account.password_hash if account else None, password)
    step = _step_of(accounts.secret_of(account) if account else pyotp.random_base32(), code)
    if account is None or not known or step is None or account.disabled_at is not None or account.kind != kind:
        log.info("signin.refused", account=account.id if account else None)
        raise SignInRefused
    changes: dict[str, Any] = {"totp_step": step}
    if passwords.is_outdated(account.password_hash):
        changes["password_hash"] = passwords.hashed(password)
    with db.writing() as session:
        _spend(session, account, changes)
        _forgive(session, login, caller)
        if instead_of:
            session.execute(delete(AccountSession).where(AccountSession.token_hash == _kept(instead_of)))
        token = start(session, account.id)
    log.info("signin.done", account=account.id)
    return token


def fits(secret: str, code: str) -> bool:
    """Whether a code is this authenticator's at present: what shows that somebody has set it up."""
    return _step_of(secret, code) is not None


def _step_of(secret: str, code: str) -> int | None:
    """The 30-second step whose code this is: the present one, or its neighbours for clocks that differ."""
    totp = pyotp.TOTP(secret, interval=CODE_SECONDS)
    present = int(db.now().timestamp()) // CODE_SECONDS
    typed = "".join(code.split()).encode()
    fitting = [
        s for s in (present - 1, present, present + 1) if hmac.compare_digest(totp.generate_otp(s).encode(), typed)
    ]
    return max(fitting, default=None)


def _spend(session: Session, account: Account, changes: dict[str, Any]) -> None:
    """Use up a code, unless somebody else did at this moment, or the account was renewed or disabled meanwhile."""
    unused = Account.totp_step.is_(None) | (Account.totp_step < changes["totp_step"])
    unchanged = (Account.password_hash == account.password_hash) & Account.disabled_at.is_(None)
    spent = session.execute(update(Account).where(Account.id == account.id, unused, unchanged).values(changes))
    if not isinstance(spent, CursorResult) or spent.rowcount != 1:
        log.info("signin.refused", account=account.id)
        raise SignInRefused


# ---- attempts -------------------------------------------------------------------------------------------------------


def _keys(login: str, caller: str) -> tuple[tuple[str, int], tuple[str, int]]:
    # Keyed, for what is typed as a login name may be a password, by mistake.
    keyed = hashlib.blake2b(login.encode(), key=keyring.secret("sign-in"), digest_size=12).hexdigest()
    return (f"login {keyed}", FREE_TRIES_OF_A_LOGIN), (f"caller {caller}", FREE_TRIES_OF_A_CALLER)


def _admit(session: Session, login: str, caller: str) -> None:
    """Count one more attempt as failed until it succeeds. Raises TooManySignIns while a pause lasts."""
    moment = db.now()
    session.execute(delete(SignInFailure).where(SignInFailure.failed_at < moment - FORGET_AFTER))
    insert = _INSERT[session.get_bind().dialect.name]
    for key, free in _keys(login, caller):
        first = insert(SignInFailure).values(key=key, failures=0, failed_at=moment)
        # An update that changes nothing locks the row: a sign-in that succeeds meanwhile cannot take it away.
        session.execute(first.on_conflict_do_update(index_elements=["key"], set_={"key": key}))
        row = session.get_one(SignInFailure, key, with_for_update=True)
        pause = min(FIRST_PAUSE * 2 ** min(max(row.failures - free, 0), 10), LONGEST_PAUSE)
        left = (row.failed_at + pause - moment).total_seconds() if row.failures >= free else 0
        if left > 0:
            log.info("signin.paused", by=key.partition(" ")[0])
            raise TooManySignIns(seconds=math.ceil(left))
        row.failures, row.failed_at = row.failures + 1, moment


def _forgive(session: Session, login: str, caller: str) -> None:
    """Take back what a successful attempt was counted as: a login starts anew, its caller loses one failure."""
    (of_login, _), (of_caller, _) = _keys(login, caller)
    session.execute(delete(SignInFailure).where(SignInFailure.key == of_login))
    counted = (SignInFailure.key == of_caller) & (SignInFailure.failures > 0)
    session.execute(update(SignInFailure).where(counted).values(failures=SignInFailure.failures - 1))


# ---- sessions -------------------------------------------------------------------------------------------------------


def _kept(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def start(session: Session, account_id: int) -> str:
    """Begin a session of this account. Returns its token, which is kept nowhere."""
    moment = db.now()
    session.execute(delete(AccountSession).where(AccountSession.expires_at < moment))
    token = secrets.token_urlsafe(32)
    session.add(
        AccountSession(
            token_hash=_kept(token),
            account_id=account_id,
            csrf_secret=secrets.token_hex(32),
            created_at=moment,
            last_seen_at=moment,
            expires_at=moment + timedelta(hours=get_settings().session_hours),
        )
    )
    session.flush()
    return token


def read(session: Session, token: str, *, kind: str = "officer") -> SignedIn | None:
    """The session of this token; None when it never was, has ended, or its account is disabled or of another kind."""
    moment = db.now()
    idle_since = moment - timedelta(minutes=get_settings().session_idle_minutes)
    found = session.execute(
        select(AccountSession, Account)
        .join(Account, Account.id == AccountSession.account_id)
        .where(
            AccountSession.token_hash == _kept(token),
            AccountSession.expires_at > moment,
            AccountSession.last_seen_at > idle_since,
            Account.disabled_at.is_(None),
            Account.kind == kind,
        )
    ).one_or_none()
    if found is None:
        return None
    held, account = found
    return SignedIn(account, held.id, held.last_seen_at, held.csrf_secret)


def is_due(signed_in: SignedIn) -> bool:
    """Whether it is time to write that the session was seen."""
    return db.now() - signed_in.last_seen_at > SEEN_EVERY


def seen(session: Session, signed_in: SignedIn) -> None:
    """Write that the session was used just now."""
    session.execute(
        update(AccountSession).where(AccountSession.id == signed_in.session_id).values(last_seen_at=db.now())
    )


def end(session: Session, signed_in: SignedIn) -> None:
    """Sign out of this session."""
    session.execute(delete(AccountSession).where(AccountSession.id == signed_in.session_id))


def sessions(session: Session, account_id: int) -> list[AccountSession]:
    """The sessions of this account that hold, the one used last first."""
    moment = db.now()
    idle_since = moment - timedelta(minutes=get_settings().session_idle_minutes)
    held = select(AccountSession).where(
        AccountSession.account_id == account_id,
        AccountSession.expires_at > moment,
        AccountSession.last_seen_at > idle_since,
    )
    return list(session.scalars(held.order_by(AccountSession.last_seen_at.desc(), AccountSession.id.desc()).limit(100)))


def end_all_but(session: Session, account_id: int, token: str) -> None:
    """Sign an account out everywhere but in the session of this token."""
    session.execute(
        delete(AccountSession).where(AccountSession.account_id == account_id, AccountSession.token_hash != _kept(token))
    )
