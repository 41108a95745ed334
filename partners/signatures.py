"""Signed requests of partners (RFC 9421, Ed25519) over what they send (RFC 9530 digest), each good for one use.

A signature covers the method, the whole address, the digest and the length of the body, names its key by the
organisation's id, says when it was made and carries a nonce. Five minutes later, or a second time, it is refused.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from sqlalchemy import delete
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from partners.models import Organisation, SeenSignature
from portal.kit import db
from portal.kit.errors import PortalError

GOOD_FOR = timedelta(minutes=5)
KEPT = timedelta(minutes=15)
"""Longer than a signature can still be good for, clocks that differ included."""
COVERED = ("@method", "@target-uri")
COVERED_WITH_BODY = (*COVERED, "content-digest")

log = structlog.get_logger()


class SignatureWrong(PortalError):
    status = 401
    slug = "request-signature"
    title = "This request is not signed as agreed, or its signature is too old."
    remedy = (
        "Sign @method, @target-uri and content-digest with your Ed25519 key (RFC 9421), with created, a nonce and your "
        "organisation's id as keyid. docs/partners.md has an example."
    )


class SignatureReplayed(PortalError):
    status = 401
    slug = "signature-replayed"
    title = "This signature was used before."
    remedy = "Sign each request anew, with a nonce of its own. To send a request again safely use Idempotency-Key."


class SignatureMissing(PortalError):
    status = 401
    slug = "signature-missing"
    title = "Your organisation lets only signed requests act for it."
    remedy = "Sign the request (RFC 9421), or have a manager change the setting at /account/organisation."


@dataclass(frozen=True, slots=True)
class Message:
    """A request as the verifier reads it; names of headers in title case."""

    method: str
    url: str
    headers: Mapping[str, str]


class _Keys(HTTPSignatureKeyResolver):
    """Finds the key of the one organisation that is asked about."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def resolve_public_key(self, key_id: str) -> Any:
        if key_id != self._organisation.id or self._organisation.public_key is None:
            return None
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self._organisation.public_key))

    def resolve_private_key(self, key_id: str) -> Any:
        raise NotImplementedError


def key_id(headers: Mapping[str, str]) -> str | None:
    """Whose signature a request claims to carry: the `keyid` of its only signature. Nothing is believed yet."""
    from http_sf import parse

    text = headers.get("signature-input")
    if text is None:
        return None
    try:
        read: Any = parse(text.encode(), tltype="dictionary")
        ((_, parameters),) = read.values()
        found = parameters.get("keyid")
    except (ValueError, TypeError, AttributeError) as error:
        raise SignatureWrong from error
    return found if isinstance(found, str) and len(found) <= 40 else None


def digest_of(body: bytes) -> bytes:
    """SHA-256 of a body."""
    return hashlib.sha256(body).digest()


def verify(session: Session, organisation: Organisation, message: Message, body_sha256: bytes | None) -> None:
    """Check a signature and use it up. Raises SignatureWrong, SignatureReplayed.

    `body_sha256`: of the body as it came; None: the request has none. Call it in the transaction of the work, or in
    one that commits whatever becomes of the work: a signature that was shown is spent.
    """
    digest = message.headers.get("Content-Digest", "")
    if body_sha256 is not None and digest.replace(" ", "") != f"sha-256=:{base64.b64encode(body_sha256).decode()}:":
        log.warning("signature.refused", organisation=organisation.id, because="digest")
        raise SignatureWrong
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_Keys(organisation))
    wanted = COVERED if body_sha256 is None else COVERED_WITH_BODY
    try:
        (result,) = verifier.verify(message, max_age=GOOD_FOR, require_components=tuple(f'"{name}"' for name in wanted))
    except (HTTPMessageSignaturesException, ValueError) as error:
        log.warning("signature.refused", organisation=organisation.id, because="invalid")
        raise SignatureWrong from error
    if not result.parameters.get("nonce"):
        log.warning("signature.refused", organisation=organisation.id, because="nonce")
        raise SignatureWrong
    _spend(session, organisation, str(result.parameters["nonce"]))


def _spend(session: Session, organisation: Organisation, nonce: str) -> None:
    seen = hashlib.sha256(f"{organisation.id}\n{nonce}".encode()).hexdigest()
    try:
        with session.begin_nested():
            session.add(SeenSignature(sha256=seen, until=db.now() + KEPT))
    except IntegrityError as error:
        log.warning("signature.refused", organisation=organisation.id, because="replayed")
        raise SignatureReplayed from error


def purge() -> int:
    """Forget signatures that are too old to be used again anyway. Returns how many."""
    with db.writing() as session:
        gone = session.execute(delete(SeenSignature).where(SeenSignature.until < db.now()))
        return gone.rowcount if isinstance(gone, CursorResult) else 0
