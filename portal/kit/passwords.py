"""Passwords: which are good enough, their Argon2id hashes, and how many are computed at once.

Hashing takes long and much memory on purpose, so never call it inside of a write transaction.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from zxcvbn import zxcvbn

from portal.kit.errors import PortalError, Unavailable
from portal.kit.settings import get_settings

SHORTEST = 12
FEWEST_KINDS = 5
"""How many different characters a password has at least: `aaaaaaaaaaaa` is long, too."""
GUESSED_WITHIN = 10**9
"""So many guesses, in the order of what is tried first, must not find a password. Cracked passwords come first."""
LOOKED_AT = 72
"""Characters of a password that are compared with what is known: longer ones are not guessed by it."""
NAMES_OF_HERE = (
    "gongzhi",
    "共治",
    "portal",
    "desk",
    "regulator",
    "supervision",
    "shichang",
    "jianguan",
    "scjg",
    "shanghai",
)
"""Words of this place (ASVS 5.0, 6.1.2): a password may hold them, but they do not make it any better."""
AT_ONCE = 2
LONGEST_WAIT_SECONDS = 2.0

_hashing = threading.BoundedSemaphore(AT_ONCE)


class WeakPassword(PortalError):
    status = 422
    slug = "weak-password"
    title = "This password is too easy to guess."
    remedy = "Use at least 12 characters, some of them different, without the login name and what others use as well."


def check(password: str, *, login: str) -> None:
    """Raises WeakPassword (OWASP ASVS 5.0, 6.2: length counts, rules of composition do not).

    What is known: 30,000 passwords of breaches, names, words, keyboard walks and dates, in zxcvbn's order of guessing.
    """
    named = len(login) > 3 and login.casefold() in password.casefold()
    if len(password) < SHORTEST or len(set(password)) < FEWEST_KINDS or named:
        raise WeakPassword
    if zxcvbn(password[:LOOKED_AT], user_inputs=[login, *NAMES_OF_HERE])["guesses"] < GUESSED_WITHIN:
        raise WeakPassword


@lru_cache(maxsize=2)
def _hasher(memory_kib: int, passes: int) -> PasswordHasher:
    return PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)


def _present() -> PasswordHasher:
    settings = get_settings()
    return _hasher(settings.argon2_memory_kib, settings.argon2_passes)


@lru_cache(maxsize=2)
def _nobodys(hasher: PasswordHasher) -> str:
    """A hash that no password has: an unknown login is compared with it, and so costs as much as a known one."""
    return hasher.hash(secrets.token_urlsafe(32))


@contextmanager
def _turn() -> Iterator[PasswordHasher]:
    if not _hashing.acquire(timeout=LONGEST_WAIT_SECONDS):
        raise Unavailable
    try:
        yield _present()
    finally:
        _hashing.release()


def hashed(password: str) -> str:
    """The password's Argon2id hash, with the parameters of the present settings."""
    with _turn() as hasher:
        return hasher.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one of this hash; with None never, after just as long."""
    with _turn() as hasher:
        decoy = _nobodys(hasher)
        try:
            return hasher.verify(password_hash or decoy, password) and password_hash is not None
        except VerifyMismatchError:
            return False


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's and should be made anew."""
    return _present().check_needs_rehash(password_hash)
