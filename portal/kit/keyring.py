"""Private keys of this portal: files in `PORTAL_KEYS_DIR`, outside of the data folder and of every backup of it.

    keyring.secret("links")             # 32 random bytes, made on first use
    keyring.signing_key("ledger-head")  # Ed25519, made on first use
    keyring.sealed("authenticators", text, about=login)   # what only this portal can read again

What belongs here: keys that the portal makes for itself. API keys of others are rows (`portal/kit/keys.py`).
"""

import base64
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from portal.kit.settings import get_settings

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")

log = structlog.get_logger()


class KeyFileDamaged(RuntimeError):
    """A key file does not hold what it should. Bring it back from its copy; a new one would void what it signed."""


class NotInThisZone(RuntimeError):
    """The public side asked for a key that only the officers' side may hold."""


OFFICERS_ALONE = frozenset({"staff-mail"})
"""Secrets that the public side never needs; private keys it may not hold at all."""


def secret(name: str) -> bytes:
    """32 random bytes that only this portal knows, the same for every process that shares the folder."""
    return _secret(_file(name, ".key"))


def signing_key(name: str) -> Ed25519PrivateKey:
    """An Ed25519 key (RFC 8032), kept as PKCS #8 PEM, which `openssl pkey` reads."""
    return _signing_key(_file(name, ".pem"))


def sealed(name: str, text: str, *, about: str) -> str:
    """A text as it may be stored: AES-256-GCM under the secret `name`, base64, bound to what it is `about`."""
    nonce = secrets.token_bytes(12)
    return base64.b64encode(nonce + AESGCM(secret(name)).encrypt(nonce, text.encode(), about.encode())).decode()


def opened(name: str, kept: str, *, about: str) -> str:
    """What was sealed under the same name and about the same; cryptography's InvalidTag for anything else."""
    found = base64.b64decode(kept)
    return AESGCM(secret(name)).decrypt(found[:12], found[12:], about.encode()).decode()


def age_identity(name: str) -> str:
    """A private key in age's own form (`AGE-SECRET-KEY-1…`), in a file that the stock `age` tool reads with `-i`."""
    return _age_identity(_file(name, ".age"))


def has_age_identity(name: str) -> bool:
    """Whether the key is here, without making one."""
    return get_settings().role != "public" and _file(name, ".age").exists()


# A key never changes while a process lives, so a file is read once; paths differ between portals, as in tests.
@lru_cache(maxsize=64)
def _secret(path: Path) -> bytes:
    text = _read_or_make(path, lambda: base64.b64encode(secrets.token_bytes(32)) + b"\n")
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise KeyFileDamaged(path.name) from error
    if len(found) != 32:
        raise KeyFileDamaged(path.name)
    return found


@lru_cache(maxsize=64)
def _signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        found = load_pem_private_key(_read_or_make(path, _new_pem), password=None)
    except ValueError as error:
        raise KeyFileDamaged(path.name) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyFileDamaged(path.name)
    return found


@lru_cache(maxsize=256)
def _age_identity(path: Path) -> str:
    text = _read_or_make(path, _new_age_identity).decode("ascii", "replace")
    for line in text.splitlines():
        if line.startswith("AGE-SECRET-KEY-1"):
            return line.strip()
    raise KeyFileDamaged(path.name)


def _new_age_identity() -> bytes:
    from pyrage import x25519

    return f"{x25519.Identity.generate()}\n".encode()


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _file(name: str, ending: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError("a key's name is lower-case letters, digits and hyphens")
    if get_settings().role == "public" and (ending != ".key" or name in OFFICERS_ALONE):
        raise NotInThisZone(name)
    return get_settings().resolved_keys_dir / f"{name}{ending}"


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _one_at_a_time(path.parent):
            if not path.exists():
                _write(path, make())
    if path.stat().st_mode & 0o077:
        log.warning("keyring.readable_by_others", file=path.name)
    return path.read_bytes()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two processes that start at once agree on one key."""
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: whoever sees the name sees all of the key, also after a power cut."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
