"""Counts of requests that all hosts share in Redis, and that go on in this process's memory while Redis is away.

Failing open: a visitor is never refused because Redis is down, and waits for it a fifth of a second at most. While it
is away each process counts for itself, so that nobody is unlimited. `limits.away` in the log is the alarm.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from limits.storage import MemoryStorage, RedisStorage, Storage
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

WAIT_SECONDS = 0.2
AGAIN_SECONDS = 5.0
"""So long after a failure one request tries Redis again; until then none waits for it."""
SALT_SECONDS = 2 * 86_400
PREFIX = "gongzhi:limits"

_Answer = TypeVar("_Answer")

log = structlog.get_logger()


class SharedCounts(Storage):
    """A storage of the limits library for addresses such as shared+redis://127.0.0.1:6379/1."""

    STORAGE_SCHEME = ["shared+redis", "shared+rediss"]  # noqa: RUF012 as the library has it

    def __init__(self, uri: str, wrap_exceptions: bool = False) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        address = uri.removeprefix("shared+")
        self._redis = Redis.from_url(
            address,
            socket_timeout=WAIT_SECONDS,
            socket_connect_timeout=WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._shared = RedisStorage(address, connection_pool=self._redis.connection_pool, key_prefix=PREFIX)
        self._own = MemoryStorage()
        self._asking = threading.Lock()
        self._away = False
        self._again_at = 0.0

    @property
    def away(self) -> bool:
        """Whether Redis did not answer the last time it was asked."""
        return self._away

    def _ask(self, shared: Callable[[], _Answer], own: Callable[[], _Answer]) -> _Answer:
        if self._away:
            with self._asking:
                if time.monotonic() < self._again_at:
                    return own()
                self._again_at = time.monotonic() + AGAIN_SECONDS  # others do not wait meanwhile
        try:
            answer = shared()
        except (RedisError, OSError) as error:
            self._lost(type(error).__name__)
            return own()
        if self._away:
            self._found()
        return answer

    def _lost(self, error: str) -> None:
        with self._asking:
            self._again_at = time.monotonic() + AGAIN_SECONDS
            told, self._away = self._away, True
        if not told:
            log.error("limits.away", error=error)

    def _found(self) -> None:
        with self._asking:
            told, self._away = not self._away, False
        if not told:
            log.info("limits.back")

    def salt(self, day: int) -> bytes:
        """What addresses are hashed with on that day, the same on all hosts; of this process while Redis is away.

        Made by chance and gone two days later: what was counted leads to nobody.
        """

        def shared() -> bytes:
            name = f"gongzhi:salt:{day}"
            self._redis.set(name, secrets.token_bytes(16), nx=True, ex=SALT_SECONDS)
            found = self._redis.get(name)
            if not isinstance(found, bytes):
                raise RedisError("the salt is gone")
            return found

        return self._ask(shared, lambda: b"")

    # ---- what the library asks of a storage -------------------------------------------------------------------------

    @property
    def base_exceptions(self) -> type[Exception]:
        return RedisError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._ask(
            lambda: self._shared.incr(key, expiry, amount), lambda: self._own.incr(key, expiry, amount=amount)
        )

    def get(self, key: str) -> int:
        return self._ask(lambda: self._shared.get(key), lambda: self._own.get(key))

    def get_expiry(self, key: str) -> float:
        return self._ask(lambda: self._shared.get_expiry(key), lambda: self._own.get_expiry(key))

    def check(self) -> bool:
        return self._ask(lambda: bool(self._redis.ping()), lambda: False)

    def reset(self) -> int | None:
        self._own.reset()
        return self._ask(self._shared.reset, lambda: None)

    def clear(self, key: str) -> None:
        self._own.clear(key)
        self._ask(lambda: self._shared.clear(key), lambda: None)
