"""The ledger's head as the portal signs it: whoever keeps one can prove later that nothing before it was changed."""

import base64
from typing import NamedTuple

from sqlalchemy.orm import Session

from portal.kit import keyring
from record import ledger

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


def head(session: Session, at: int | None = None) -> SignedHead:
    """The head now, or when the ledger had `at` entries. Raises ValueError when it never had so many."""
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
