"""The ledger's head as the portal signs it: whoever keeps one can prove later that nothing before it was changed."""

import base64
from typing import NamedTuple

from sqlalchemy.orm import Session

from portal.kit import keyring
from portal.kit.errors import PortalError, Unavailable
from portal.kit.settings import get_settings
from record import ledger, models

ORIGIN = "gongzhi/ledger"


class SignedHead(NamedTuple):
    """The ledger at one moment, signed (C2SP checkpoint)."""

    size: int
    root: bytes
    checkpoint: str
    """Origin, size and root in base64, a line each: what is signed."""
    signature: str
    """Ed25519 (RFC 8032) over the checkpoint's bytes, base64."""
    public_key: str
    """Base64."""


class SignedElsewhere(PortalError):
    status = 422
    slug = "signed-elsewhere"
    title = "Only the ledger's newest signed head is kept here."
    remedy = "Leave `size` out, and prove that an earlier head leads to it with /api/v1/ledger/consistency."


def head(session: Session, at: int | None = None) -> SignedHead:
    """The head now, or when the ledger had `at` entries; on the public side the newest that was signed.

    Raises ValueError when the ledger never had so many; on the public side SignedElsewhere for any other than the
    newest, Unavailable before the first was signed.
    """
    return _kept(session, at) if get_settings().role == "public" else _signed(session, at)


def keep(session: Session) -> None:
    """Sign the head as it is now for the public side, if it was not signed before. On the officers' side."""
    kept = session.get(models.SignedHead, 1)
    if kept is not None and kept.size == ledger.size(session):
        return
    now = _signed(session, None)
    session.merge(
        models.SignedHead(
            id=1, size=now.size, checkpoint=now.checkpoint, signature=now.signature, public_key=now.public_key
        )
    )


def _kept(session: Session, at: int | None) -> SignedHead:
    kept = session.get(models.SignedHead, 1)
    if kept is None:
        raise Unavailable
    if at not in (None, kept.size):
        raise SignedElsewhere
    root = base64.b64decode(kept.checkpoint.split("\n")[2])
    return SignedHead(kept.size, root, kept.checkpoint, kept.signature, kept.public_key)


def _signed(session: Session, at: int | None) -> SignedHead:
    found = ledger.head(session, at)
    key = keyring.signing_key("ledger-head")
    checkpoint = f"{ORIGIN}\n{found.size}\n{base64.b64encode(found.root).decode()}\n"
    return SignedHead(
        found.size,
        found.root,
        checkpoint,
        base64.b64encode(key.sign(checkpoint.encode())).decode(),
        base64.b64encode(key.public_key().public_bytes_raw()).decode(),
    )
