"""Who may use a route, how often, and how much they may send: one declaration a route, and nothing without one.

    @router.post("/entities/check")
    @door(who="anyone", limit="30/minute", body_bytes=2_000_000)
    def check(request: Request, ...): ...

Routers are made by `router()`, whose routes enforce the size before anything is parsed. Counting is slowapi's.
"""

import hashlib
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, ParamSpec, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from limits import RateLimitItem, parse
from slowapi import Limiter
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive

from portal.kit.counts import SharedCounts
from portal.kit.errors import TooLarge
from portal.kit.settings import get_settings

Who = Literal["anyone", "officer", "member", "key"]
"""`officer`, `member`: the handler takes `gate.Officer` or `gate.Member`, which lets nobody else in; a house rule asks
each such route."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Door:
    """What a route lets through: `limit` in the words of the limits library ("60/minute"), `body_bytes` as sent."""

    who: Who
    limit: str
    body_bytes: int


KEYED = "key:"


_salts: dict[int, bytes] = {}


def _salt(day: int) -> bytes:
    """Another every day, never on a disk: what was counted yesterday leads to nobody. Shared where counts are."""
    counts = shared_counts()
    if counts is not None and day not in _salts and (found := counts.salt(day)):
        _salts.clear()
        _salts[day] = found
    return _salts.get(day) or _own_salt(day)


@lru_cache(maxsize=1)
def _own_salt(_day: int) -> bytes:
    return secrets.token_bytes(16)


def caller(request: Request) -> str:
    """Who is counted: the API key that was found for this request, else a keyed hash of the address (IPv6 by /64).

    No store of counts ever holds an address. A key that is merely claimed counts for nothing: with an invented one for
    every request nobody would ever be stopped.
    """
    key_prefix = getattr(request.state, "key_prefix", None)  # set by `portal.kit.keys` once it knows the key
    if key_prefix is not None:
        return f"{KEYED}{key_prefix}"
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
        if address.version == 6:
            host = str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        pass
    return hashlib.blake2b(host.encode(), key=_salt(int(time.time()) // 86_400), digest_size=12).hexdigest()


@lru_cache(maxsize=1)
def limiter() -> Limiter:
    """The one limiter of this process."""
    settings = get_settings()
    return Limiter(
        key_func=caller,
        storage_uri=_storage(settings.rate_limits_url),
        enabled=settings.rate_limits_enabled,
        strategy="fixed-window",
    )


def _storage(url: str) -> str:
    return f"shared+{url}" if url.startswith(("redis:", "rediss:")) else url


def shared_counts() -> SharedCounts | None:
    """The counts that all hosts share; None where each process counts for itself."""
    storage = limiter().limiter.storage
    return storage if isinstance(storage, SharedCounts) else None


def door(*, who: Who, limit: str, body_bytes: int = 0) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Declare a route's door. The function must take `request: Request`. `body_bytes=0`: no body is read."""

    def declare(function: Callable[_P, _R]) -> Callable[_P, _R]:
        limited: Callable[_P, _R] = limiter().limit(_by_tier(limit) if who == "anyone" else limit)(function)
        limited.__door__ = Door(who, limit, body_bytes)  # type: ignore[attr-defined]
        return limited

    return declare


KEYED_TIMES = 10
"""So much more often may somebody ask who is known by a key, where anyone may."""


def _by_tier(limit: str) -> Callable[[str], str]:
    item = parse(limit)
    more = f"{item.amount * KEYED_TIMES} per {item.multiples} {item.GRANULARITY.name}"
    return lambda key: more if key.startswith(KEYED) else limit


def door_of(endpoint: Callable[..., Any]) -> Door | None:
    """The door that was declared for this endpoint."""
    found = getattr(endpoint, "__door__", None)
    return found if isinstance(found, Door) else None


def _bounded(receive: Receive, limit: int) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise TooLarge(limit=limit)
        return message

    return bounded


class DoorRoute(APIRoute):
    """A route that refuses a body larger than its door allows, whatever Content-Length claims."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()
        declared = door_of(self.endpoint)
        allowed = declared.body_bytes if declared else 0

        async def guarded(request: Request) -> Response:
            claimed = request.headers.get("content-length", "0")
            if claimed.isdigit() and int(claimed) > allowed:
                raise TooLarge(limit=allowed)
            return await handle(Request(request.scope, _bounded(request.receive, allowed)))

        return guarded


def router(**options: Any) -> APIRouter:
    """An APIRouter whose routes keep their doors."""
    return APIRouter(route_class=DoorRoute, **options)


def add_headers(state: dict[str, Any], headers: MutableHeaders) -> None:
    """Tell the caller where they stand: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers), and
    the older three fields that clients still read."""
    current: tuple[RateLimitItem, list[str]] | None = state.get("view_rate_limit")
    if current is None:
        return
    item, key = current
    reset_at, remaining = limiter().limiter.get_window_stats(item, *key)
    seconds = max(0, round(reset_at - time.time()))
    headers["RateLimit-Policy"] = f'"default";q={item.amount};w={item.get_expiry()}'
    headers["RateLimit"] = f'"default";r={remaining};t={seconds}'
    headers["RateLimit-Limit"] = str(item.amount)
    headers["RateLimit-Remaining"] = str(remaining)
    headers["RateLimit-Reset"] = str(seconds)
