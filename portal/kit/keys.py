"""API keys: who a program speaks for, what it may do, and until when. Only a hash of a key's secret part is stored.

    key, shown_once = keys.create(session, owner_kind="department", owner_id="emergency", scopes=["feeds:penalties"])

    @router.post("/feeds/{kind}")
    @door(who="key", limit="600/minute", body_bytes=8_000_000)
    def receive(request: Request, holder: Annotated[ApiKey, key_with("feeds:{kind}")]) -> ...: ...

A key reads `gz_<prefix>_<secret>_<checksum>`: the prefix is shown and logged, the checksum tells a typing error and
lets a scanner for leaked keys recognise it. Sent as `Authorization: Bearer KEY` (RFC 6750).
"""

import base64
import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import JSON, Date, String, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import PortalError

LIFETIME = timedelta(days=365)
OVERLAP = timedelta(days=7)
"""How long a rotated key still works beside its successor, unless it ends sooner."""

BEGINS = "gz_"
_SHAPE = re.compile(r"(gz_([a-z2-7]{8})_([a-z2-7]{52}))_([0-9a-f]{8})")
_OWNER_KIND = re.compile(r"[a-z]{1,16}")
_SCOPE = re.compile(r"[a-z]+:([a-z-]+|\*)")

log = structlog.get_logger()


class KeyMissing(PortalError):
    status = 401
    slug = "key-missing"
    title = "This address needs an API key."
    remedy = "Send your key as Authorization: Bearer KEY. Whoever runs this portal issues keys."
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012  declared a ClassVar by its parent


class KeyUnknown(PortalError):
    """Said of a mistyped key, an unknown one and one whose secret is wrong alike."""

    status = 401
    slug = "key-unknown"
    title = "This API key is not known here."
    remedy = "Check that you sent the whole key, unchanged, and to the portal that issued it."
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # noqa: RUF012


class KeyEnded(PortalError):
    """Said only to somebody who holds the whole key."""

    status = 401
    slug = "key-ended"
    title = "This API key has expired or was revoked."
    remedy = "Ask whoever runs this portal for a new one."
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # noqa: RUF012


class ScopeMissing(PortalError):
    status = 403
    slug = "key-scope"
    title = "This API key is not allowed to do this."
    remedy = "Use a key with the scope %(scope)s, or ask whoever runs this portal for one."
    headers = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}  # noqa: RUF012


class NoSuchKey(PortalError):
    status = 404
    slug = "key-prefix"
    title = "No API key begins with this prefix."
    remedy = "The prefix is the part of a key between its first two underscores."


class ApiKey(Base):
    """One key of one owner. Its secret part is 32 random bytes, for which a plain SHA-256 is as good as a slow hash."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(8), unique=True)
    secret_sha256: Mapped[str] = mapped_column(String(64))
    owner_kind: Mapped[str] = mapped_column(String(16))
    owner_id: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    """Such as `feeds:penalties`; `feeds:*` covers every kind of feed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_on: Mapped[date | None] = mapped_column(Date)
    """A day in UTC: enough to find keys that nobody uses, too little to follow somebody's work."""

    @property
    def owner(self) -> str:
        """`department:emergency`."""
        return f"{self.owner_kind}:{self.owner_id}"

    def allows(self, scope: str) -> bool:
        """Whether this key was given `scope`."""
        return scope in self.scopes or f"{scope.partition(':')[0]}:*" in self.scopes


# ---- making and ending ----------------------------------------------------------------------------------------------


def create(
    session: Session,
    *,
    owner_kind: str,
    owner_id: str,
    scopes: Sequence[str],
    label: str = "",
    lifetime: timedelta = LIFETIME,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is known now and never again. Raises ValueError for a malformed owner or scope."""
    if not _OWNER_KIND.fullmatch(owner_kind) or not 0 < len(owner_id) <= 64:
        raise ValueError("an owner is a kind and an id, such as department:emergency")
    wrong = [scope for scope in scopes if not _SCOPE.fullmatch(scope)]
    if wrong or not scopes:
        raise ValueError("a scope is an area and a kind, such as feeds:penalties or feeds:*")
    prefix, secret = _random_text(5), _random_text(32)
    moment = db.now()
    key = ApiKey(
        prefix=prefix,
        secret_sha256=_sha256(secret),
        owner_kind=owner_kind,
        owner_id=owner_id,
        label=label,
        scopes=sorted(set(scopes)),
        created_at=moment,
        expires_at=moment + lifetime,
    )
    session.add(key)
    session.flush()
    log.info("key.created", prefix=prefix)
    return key, _with_checksum(f"gz_{prefix}_{secret}")


def rotate(session: Session, prefix: str, *, lifetime: timedelta = LIFETIME) -> tuple[ApiKey, str]:
    """A successor with the same owner and scopes. The old key works for OVERLAP more. Raises NoSuchKey, KeyEnded."""
    old = _by_prefix(session, prefix)
    if _has_ended(old):
        raise KeyEnded
    old.expires_at = min(old.expires_at, db.now() + OVERLAP)
    return create(
        session,
        owner_kind=old.owner_kind,
        owner_id=old.owner_id,
        scopes=old.scopes,
        label=old.label,
        lifetime=lifetime,
    )


def of(session: Session, owner_kind: str, owner_id: str) -> list[ApiKey]:
    """An owner's keys, those that still work first."""
    owned = select(ApiKey).where(ApiKey.owner_kind == owner_kind, ApiKey.owner_id == owner_id)
    return list(session.scalars(owned.order_by(ApiKey.revoked_at.is_not(None), ApiKey.expires_at.desc()).limit(200)))


def in_turn(session: Session, owner: str) -> None:
    """Hold an owner's keys until this transaction ends: whoever else asks for the same owner's waits so long."""
    kind, _, id_ = owner.partition(":")
    owned = select(ApiKey.id).where(ApiKey.owner_kind == kind, ApiKey.owner_id == id_).order_by(ApiKey.id)
    session.execute(owned.with_for_update()).all()


def revoke(session: Session, prefix: str) -> ApiKey:
    """End a key now; a second time changes nothing. Raises NoSuchKey."""
    key = _by_prefix(session, prefix)
    if key.revoked_at is None:
        key.revoked_at = db.now()
        session.flush()
        log.info("key.revoked", prefix=prefix)
    return key


def _by_prefix(session: Session, prefix: str) -> ApiKey:
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
    if key is None:
        raise NoSuchKey
    return key


def _has_ended(key: ApiKey) -> bool:
    return key.revoked_at is not None or key.expires_at <= db.now()


def _random_text(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _with_checksum(text: str) -> str:
    return f"{text}_{zlib.crc32(text.encode()):08x}"


# ---- presenting -----------------------------------------------------------------------------------------------------

_NOBODYS = _sha256("")


def find(session: Session, presented: str | None, *, scope: str | None = None) -> ApiKey:
    """The key that was presented. Raises KeyMissing, KeyUnknown, KeyEnded (401) or ScopeMissing (403), and logs it."""
    try:
        return _found(session, presented, scope)
    except PortalError as refusal:
        shaped = _SHAPE.fullmatch(presented or "")
        log.warning("key.refused", because=refusal.slug, prefix=shaped[2] if shaped else None)
        raise


def _found(session: Session, presented: str | None, scope: str | None) -> ApiKey:
    if not presented:
        raise KeyMissing
    shaped = _SHAPE.fullmatch(presented)
    if shaped is None or _with_checksum(shaped[1]) != presented:
        raise KeyUnknown
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == shaped[2]))
    # An unknown prefix costs the same comparison, so that prefixes cannot be found out by the clock.
    right = hmac.compare_digest(key.secret_sha256 if key else _NOBODYS, _sha256(shaped[3]))
    if key is None or not right:
        raise KeyUnknown
    if _has_ended(key):
        raise KeyEnded
    if scope is not None and not key.allows(scope):
        raise ScopeMissing(scope=scope)
    return key


SCHEME = "ApiKey"
SCHEME_IF_SENT = "ApiKeyIfSent"
bearer = HTTPBearer(auto_error=False, scheme_name=SCHEME, bearerFormat="gz_prefix_secret_checksum")
_bearer_if_sent = HTTPBearer(auto_error=False, scheme_name=SCHEME_IF_SENT, bearerFormat="gz_prefix_secret_checksum")


def key_with(scope: str) -> Any:
    """A dependency that finds the caller's key and demands `scope`; `{name}` in it is the path's parameter."""

    def holder(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> ApiKey:
        wanted = scope.format_map(request.path_params)
        with db.reading() as session:
            key = find(session, credentials.credentials if credentials else None, scope=wanted)
        request.state.key_prefix = key.prefix  # from here on `limits.caller` counts this request as the key's
        note_use(key)
        return key

    return Depends(holder)


def _of_any_program(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer_if_sent)]
) -> None:
    if credentials is not None:
        recognise(request, credentials.credentials)


IF_SENT = Depends(_of_any_program)
"""For routers that anyone may ask: who sends a key is counted by it, and may ask more often. Raises as `find` does."""


def recognise(request: Request, presented: str) -> None:
    """From here on this request is the key's. Raises KeyUnknown, KeyEnded."""
    if getattr(request.state, "key_prefix", None) is not None:
        return
    with db.reading() as session:
        key = find(session, presented)
    request.state.key_prefix = key.prefix
    note_use(key)


def note_use(key: ApiKey) -> None:
    """Remember the day, at most once a day and in a transaction of its own. A busy database must not cost an answer."""
    today = db.now().date()
    if key.last_used_on == today:
        return
    earlier = or_(ApiKey.last_used_on.is_(None), ApiKey.last_used_on < today)
    try:
        with db.writing() as session:
            session.execute(update(ApiKey).where(ApiKey.id == key.id, earlier).values(last_used_on=today))
    except OperationalError as error:
        log.warning("key.use_not_noted", error=type(error).__name__)
