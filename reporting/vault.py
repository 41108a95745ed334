"""What a reporter says is sealed on arrival (age-encryption.org/v1); only the desk and the receipt's holder open it.

    sealed = seal(session, narrative, "市场监督管理局")   # public side: public keys alone
    open_sealed(sealed)                                  # desk: with the private keys in PORTAL_KEYS_DIR

Narrative and files are sealed to the department and to the intake key; who the reporter is, to the custodian's key
alone. A receipt opens what officers reply: nothing that is stored leads from a tip back to its receipt.
"""

import hashlib
import hmac
import secrets
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyrage
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from pyrage import x25519
from sqlalchemy import Index, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db, keyring
from portal.kit.accounts import Account
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import PortalError, Unavailable
from portal.kit.settings import get_settings

Purpose = Literal["intake", "department", "custodian"]
AT_ONCE = 2
"""Receipts that are worked on at once in a process."""
MEMORY_KIB, PASSES = 19_456, 2
"""What one receipt takes (OWASP's least for Argon2id; a key of our own comes on top). No setting: with other figures
every receipt that was given out would open nothing any more."""
LONGEST_WAIT_SECONDS = 8.0


class ReceiptUnreadable(PortalError):
    status = 422
    slug = "receipt"
    title = "This is not a receipt number."
    remedy = "Enter the 16 digits as they stand on your receipt; spaces do not matter."


class VaultClosed(PortalError):
    status = 503
    slug = "vault-closed"
    title = "Tip-offs cannot be taken just now, for the keys that they are sealed with are missing."
    remedy = "Try again later, or call 12345. Nothing that you wrote was stored."


class NotForUs(PortalError):
    status = 403
    slug = "not-for-us"
    title = "This was sealed with a key that is not here."
    remedy = "Bring the key back from its copy, or ask the department that it was sealed for."


class VaultRecipient(Base):
    """A public key that tips are sealed to. Its private half is a file in PORTAL_KEYS_DIR, or an officer's own."""

    __tablename__ = "vault_recipient"
    __table_args__ = (Index("ix_vault_recipient_purpose_department", "purpose", "department"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(String(16))
    department: Mapped[str | None] = mapped_column(String(100))
    public_key: Mapped[str] = mapped_column(String(80), unique=True)
    """`age1…`"""
    key_name: Mapped[str | None] = mapped_column(String(60))
    """Of the file with the private half; null for a key that somebody else keeps."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since then nothing more is sealed to it; what was sealed before stays readable."""


# ---- keys -----------------------------------------------------------------------------------------------------------


def prepare(session: Session, departments: Iterable[str] = ()) -> None:
    """Make the keys that are not there yet, of intake, custodian and these departments. On the desk's side."""
    wanted: list[tuple[Purpose, str | None]] = [("intake", None), ("custodian", None)]
    wanted += [("department", department) for department in sorted(set(departments))]
    for purpose, department in wanted:
        if not _current(session, purpose, department):
            renew(session, purpose, department)


def renew(session: Session, purpose: Purpose, department: str | None = None) -> str:
    """Make a new key and seal to it from now on. What was sealed before stays readable. Returns the public key."""
    present = update(VaultRecipient).where(
        VaultRecipient.purpose == purpose, VaultRecipient.department == department,
        VaultRecipient.key_name.is_not(None), VaultRecipient.retired_at.is_(None),
    )  # fmt: skip
    session.execute(present.values(retired_at=db.now()))
    name = f"vault-{purpose}-{secrets.token_hex(6)}"
    public = str(x25519.Identity.from_str(keyring.age_identity(name)).to_public())
    return _add(session, purpose, department, public, name)


def add_recipient(session: Session, department: str, public_key: str) -> str:
    """Seal to an officer's own age key as well, which never comes here. Raises ValueError for what is no such key."""
    try:
        public = str(x25519.Recipient.from_str(public_key.strip()))
    except pyrage.RecipientError as error:
        raise ValueError("an age public key begins with age1") from error
    return _add(session, "department", department, public, None)


def recipients(session: Session) -> list[dict[str, Any]]:
    """Every public key that was ever sealed to, oldest first, and whether its private half is here."""
    return [
        {
            "purpose": one.purpose, "department": one.department, "public_key": one.public_key,
            "here": one.key_name is not None and keyring.has_age_identity(one.key_name),
            "since": f"{one.created_at:%Y-%m-%d}", "retired": f"{one.retired_at:%Y-%m-%d}" if one.retired_at else None,
        }
        for one in session.scalars(select(VaultRecipient).order_by(VaultRecipient.id))
    ]  # fmt: skip


def _add(session: Session, purpose: Purpose, department: str | None, public: str, name: str | None) -> str:
    made = VaultRecipient(purpose=purpose, department=department, public_key=public, key_name=name, created_at=db.now())
    session.add(made)
    session.flush()
    return public


def _current(session: Session, purpose: Purpose, department: str | None) -> list[str]:
    asked = select(VaultRecipient.public_key).where(
        VaultRecipient.purpose == purpose, VaultRecipient.department == department, VaultRecipient.retired_at.is_(None)
    )
    return list(session.scalars(asked.order_by(VaultRecipient.id)))


# ---- sealing and opening --------------------------------------------------------------------------------------------


def seal(session: Session, plain: bytes, department: str | None) -> bytes:
    """Seal narrative or a file to the department, if it has a key, and always to intake. Raises VaultClosed."""
    intake = _current(session, "intake", None)
    if not intake:
        raise VaultClosed
    return _sealed(plain, [*intake, *(_current(session, "department", department) if department else [])])


def seal_identity(session: Session, plain: bytes) -> bytes:
    """Seal who the reporter is, to the custodian alone. Raises VaultClosed."""
    custodian = _current(session, "custodian", None)
    if not custodian:
        raise VaultClosed
    return _sealed(plain, custodian)


def seal_to(public_key: str, plain: bytes) -> bytes:
    """Seal to one key: what an officer replies, to the key that the receipt opens."""
    return _sealed(plain, [public_key])


def _sealed(plain: bytes, public_keys: Sequence[str]) -> bytes:
    return bytes(pyrage.encrypt(plain, [x25519.Recipient.from_str(key) for key in public_keys]))


def open_sealed(session: Session, sealed: bytes) -> bytes:
    """What was sealed to intake or a department whose key is here. Raises NotForUs."""
    return _opened(sealed, _identities(session, ("intake", "department")))


def open_identity(session: Session, sealed: bytes) -> bytes:
    """Who a reporter is: only after a second officer granted it (`reporting.identities`). Raises NotForUs."""
    return _opened(sealed, _identities(session, ("custodian",)))


def reseal(session: Session, sealed: bytes, department: str | None) -> bytes:
    """The same content for another department, or for its new key."""
    return seal(session, open_sealed(session, sealed), department)


def _identities(session: Session, purposes: Sequence[Purpose]) -> list[str]:
    asked = select(VaultRecipient.key_name).where(
        VaultRecipient.purpose.in_(purposes), VaultRecipient.key_name.is_not(None)
    )
    names = [str(name) for name in session.scalars(asked.order_by(VaultRecipient.id.desc()))]
    return [keyring.age_identity(name) for name in names if keyring.has_age_identity(name)]


def _opened(sealed: bytes, identities: Sequence[str]) -> bytes:
    if not identities:
        raise NotForUs
    try:
        return bytes(pyrage.decrypt(sealed, [x25519.Identity.from_str(identity) for identity in identities]))
    except pyrage.DecryptError as error:
        raise NotForUs from error


# ---- receipts -------------------------------------------------------------------------------------------------------

_working = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the 16 digits come to. None of it leads back to them, or to the rest."""

    lookup: bytes
    """32 bytes that a tip is found by."""
    identity: str
    """Private key (age) that opens what was replied; never stored."""
    word_key: bytes
    """What the word that was chosen at filing is hashed with."""

    @property
    def public_key(self) -> str:
        """What replies are sealed to; stored with the tip."""
        return str(x25519.Identity.from_str(self.identity).to_public())

    def open(self, sealed: bytes) -> bytes:
        """What was sealed to this receipt. Raises NotForUs."""
        return _opened(sealed, [self.identity])

    def word_hash(self, word: str) -> bytes:
        """32 bytes of the word (HMAC-SHA-256) that only the receipt's holder can compute, however short it is."""
        folded = "".join(unicodedata.normalize("NFKC", word).casefold().split())
        return hmac.digest(self.word_key, folded.encode(), hashlib.sha256)

    def __repr__(self) -> str:
        return "Receipt()"


def new_digits() -> str:
    """A receipt number: 16 decimal digits by chance, some 53 bits."""
    return f"{secrets.randbelow(10**16):016d}"


def digits_of(form: str) -> str:
    """The receipt number of a form that carries this random text: the same again when the form is sent again."""
    return (
        f"{int.from_bytes(hmac.digest(keyring.secret('receipt-forms'), form.encode(), hashlib.sha256)) % 10**16:016d}"
    )


def ready() -> None:
    """Make the keys that are missing, also of every department that officers work for. On the desk's side."""
    with db.reading() as session:
        departments = {get_settings().department, *session.scalars(select(Account.department).distinct())}
        missing = not _current(session, "intake", None) or not _current(session, "custodian", None)
        missing = missing or any(not _current(session, "department", name) for name in departments)
    if missing:
        with db.writing() as session:
            prepare(session, departments)


def grouped(digits: str) -> str:
    """`1234 5678 9012 3456`, as people copy it."""
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def receipt(typed: str) -> Receipt:
    """What a receipt number comes to (Argon2id, then HKDF-SHA-256). Takes a tenth of a second and much memory.

    Raises ReceiptUnreadable for what is no receipt number, Unavailable when too many are worked on.
    """
    digits = "".join(char for char in unicodedata.normalize("NFKC", typed[:60]) if char not in " -–—\u3000\t\n")
    if len(digits) != 16 or not (digits.isascii() and digits.isdigit()):
        raise ReceiptUnreadable
    if not _working.acquire(timeout=LONGEST_WAIT_SECONDS):
        raise Unavailable
    try:
        root = hash_secret_raw(
            digits.encode(), keyring.secret("receipts"), time_cost=PASSES, memory_cost=MEMORY_KIB,
            parallelism=1, hash_len=32, type=Type.ID,
        )  # fmt: skip
    finally:
        _working.release()
    return Receipt(
        _expanded(root, b"look-up"), _age_secret(_expanded(root, b"replies")), _expanded(root, b"word of a reward")
    )


def _expanded(root: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), 32, b"gongzhi receipt " + purpose).derive(root)


# ---- bech32 (BIP 173), in which age writes its keys -----------------------------------------------------------------

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _age_secret(secret: bytes) -> str:
    return _bech32("age-secret-key-", secret).upper()


def _bech32(prefix: str, data: bytes) -> str:
    bits = int.from_bytes(data) << (-len(data) * 8 % 5)
    length = -(-len(data) * 8 // 5)
    values = [bits >> 5 * (length - 1 - place) & 31 for place in range(length)]
    spread = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = _polymod([*spread, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return f"{prefix}1{''.join(_CHARSET[value] for value in values)}"


def _polymod(values: Iterable[int]) -> int:
    total = 1
    for value in values:
        top = total >> 25
        total = (total & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            total ^= generator if top >> place & 1 else 0
    return total
