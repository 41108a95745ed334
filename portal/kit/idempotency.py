"""`Idempotency-Key`: a request that is sent again gets the first answer again, and its work is done once.

    @router.post("/evaluations/batches")
    @door(who="key", limit="60/minute", body_bytes=20_000_000)
    def begin(request: Request, session: WritingSession, asked: Asked, …) -> Response:
        return once(session, asked, owner=holder.owner, work=lambda: JSONResponse(…, status_code=202))

The answer is stored in the transaction of the work, so a process that dies leaves both or neither. A refusal is rolled
back with its work and is not stored: the request may be corrected and sent under the same key. Who is still at work
holds the key by a lock that ends with its transaction (PostgreSQL: an advisory one; SQLite: the write lock), so nothing
has to be cleared away after a crash. Never for answers that hold a receipt: they are kept for a day.

Follows draft-ietf-httpapi-idempotency-key-header: 409 while the first is running, 422 for another request.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import structlog
from fastapi import Depends, Header, Request, Response
from sqlalchemy import JSON, LargeBinary, String, delete, func, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

MAX_KEY_LENGTH = 255
KEPT_HEADERS = ("content-type", "location")

log = structlog.get_logger()


class KeyUnusable(PortalError):
    status = 400
    slug = "idempotency-key"
    title = "This Idempotency-Key cannot be used."
    remedy = "Send 1 to 255 printable ASCII characters, such as a new UUID for each new request."


class StillRunning(PortalError):
    status = 409
    slug = "still-running"
    title = "The first request with this Idempotency-Key is still being worked on."
    remedy = "Send it again in two seconds; you will get the first one's answer."
    headers = {"Retry-After": "2"}  # noqa: RUF012  declared a ClassVar by its parent


class KeyReused(PortalError):
    status = 422
    slug = "idempotency-key-reused"
    title = "This Idempotency-Key was already used for another request."
    remedy = "Use a new key for a new request, or send the first one unchanged."


class IdempotentAnswer(Base):
    """The answer that one owner's key was given, until it is a day old."""

    __tablename__ = "idempotent_answer"

    owner: Mapped[str] = mapped_column(String(100), primary_key=True)
    key_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 over the request's method, path, query and body."""
    status: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request is recognised by."""

    key: str | None
    fingerprint: str


async def _facts(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Send the same value again to get the same answer again, for 24 hours.",
        ),
    ] = None,
) -> RequestFacts:
    digest = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(part.encode() + b"\n")
    digest.update(await request.body())
    return RequestFacts(_cleaned(idempotency_key), digest.hexdigest())


def recognised(request: Request, key: str | None, body_sha256: bytes) -> RequestFacts:
    """For a route that reads its body as a stream: what `Asked` is for others. Raises KeyUnusable."""
    digest = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(part.encode() + b"\n")
    digest.update(body_sha256)
    return RequestFacts(_cleaned(key), digest.hexdigest())


Asked = Annotated[RequestFacts, Depends(_facts)]
"""For routes whose body is raw or JSON: a form is read as a stream and cannot be read twice."""


def _cleaned(key: str | None) -> str | None:
    """The key without the quotation marks that the draft asks for and hardly anybody sends."""
    if key is None:
        return None
    bare = key[1:-1] if len(key) > 1 and key.startswith('"') and key.endswith('"') else key
    if not 0 < len(bare) <= MAX_KEY_LENGTH or not (bare.isascii() and bare.isprintable()):
        raise KeyUnusable
    return bare


def once(session: Session, asked: RequestFacts, *, owner: str, work: Callable[[], Response]) -> Response:
    """Do `work` and keep its answer, or give the answer that is kept. Without a key the work is simply done.

    `owner` is whose key it is: two owners never meet. Call it before anything else touches the session, and commit the
    session before the answer leaves (`WritingSession` does). Raises StillRunning (409), KeyReused (422).
    """
    if asked.key is None:
        return work()
    key_sha256 = hashlib.sha256(asked.key.encode()).hexdigest()
    _hold(session, f"{owner}\n{key_sha256}")
    kept = session.get(IdempotentAnswer, (owner, key_sha256))
    if kept is not None and kept.created_at < _oldest():
        session.delete(kept)
        session.flush()
        kept = None
    if kept is not None:
        if kept.fingerprint != asked.fingerprint:
            raise KeyReused
        log.info("idempotency.replayed")
        return Response(kept.body, kept.status, {**kept.headers, "Idempotent-Replayed": "true"})
    answer = work()
    session.add(
        IdempotentAnswer(
            owner=owner,
            key_sha256=key_sha256,
            fingerprint=asked.fingerprint,
            status=answer.status_code,
            headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
            body=bytes(answer.body),
            created_at=db.now(),
        )
    )
    session.flush()
    return answer


def _hold(session: Session, name: str) -> None:
    """Keep everybody else from this key until the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        if not session.scalar(select(func.pg_try_advisory_xact_lock(number))):
            raise StillRunning
        return
    try:
        session.connection()  # begins, and so waits for whoever writes
    except OperationalError as error:
        raise StillRunning from error


def _oldest() -> datetime:
    return db.now() - timedelta(hours=get_settings().idempotency_hours)


def purge() -> int:
    """Delete answers that are no longer given. Returns how many."""
    with db.writing() as session:
        gone = session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.created_at < _oldest()))
        return gone.rowcount if isinstance(gone, CursorResult) else 0
