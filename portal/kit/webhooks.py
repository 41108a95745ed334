"""Signed deliveries to addresses that others chose (Standard Webhooks, CloudEvents 1.0), and nothing else sent outside.

    outcome = webhooks.send(url, {"specversion": "1.0", "id": …, "source": …, "type": …, "data": {…}}, secret)

The address is somebody else's word, so it is not trusted: HTTPS only, no redirect is followed, no proxy of the
environment is used, and the name is resolved once; every address it has must be a public one, and the connection goes
to the address that was checked, under the name that was asked for. One try a call: the caller keeps the count, the
cursor and the pause.
"""

import ipaddress
import json
import secrets
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpcore2
import structlog
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from portal.kit import db
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
MOST_ANSWER_BYTES = 64 * 1024
MOST_ADDRESSES = 3
"""How many of a name's addresses are tried."""
LONGEST_PAUSE = timedelta(days=1)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

log = structlog.get_logger()


# ---- signatures -----------------------------------------------------------------------------------------------------


class SignatureRefused(PortalError):
    status = 403
    slug = "signature"
    title = "This message is not signed as agreed, or its signature is too old."
    remedy = "Sign the body as it is sent (Standard Webhooks), with the secret that was agreed and the present time."


def new_secret() -> str:
    """A secret to sign with, in the form that receivers' libraries read: `whsec_` and 32 bytes in base64."""
    return f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"


def sign(
    message_id: str, moment: datetime, body: bytes, secret: str, *, old_secret: str | None = None
) -> dict[str, str]:
    """The three headers of Standard Webhooks. While a secret is being changed both sign, the new one first."""
    used = [secret] if old_secret is None else [secret, old_secret]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(
            Webhook(one).sign(message_id, moment.astimezone(UTC), body.decode()) for one in used
        ),
    }


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> Any:
    """What a signed JSON body says. Raises SignatureRefused, also for a time that is five minutes off."""
    try:
        return Webhook(secret).verify(body, dict(headers))
    except (WebhookVerificationError, ValueError) as error:
        raise SignatureRefused from error


# ---- where a delivery may go ----------------------------------------------------------------------------------------

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Azure's host channel answers metadata on an address that is public by its number alone.
_METADATA = frozenset({ipaddress.IPv4Address("168.63.129.16")})


class _AddressRefused(Exception):
    """The name has an address that must not be reached."""


def is_public(address: IpAddress) -> bool:
    """Whether an address belongs to the public internet, an IPv4 one inside an IPv6 one included."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        tunnelled = address.sixtofour is not None or address.teredo is not None
        return address in _GLOBAL_UNICAST and address.is_global and not tunnelled
    return address.is_global and not address.is_multicast and address not in _METADATA


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """The name's addresses. The resolver knows no time limit, so it is waited for and then left alone."""
    found: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError):
            return

    asking = threading.Thread(target=ask, name="resolver", daemon=True)
    asking.start()
    asking.join(seconds)
    if not found:
        raise httpcore2.ConnectError("no address")
    return list(found)


class _Stream(httpcore2.NetworkStream):
    """A connection that ends at a deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("deadline")
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedNetwork(httpcore2.NetworkBackend):
    """Connects to addresses that were checked. TLS still asks for the name, for httpcore begins it afterwards."""

    def __init__(self, *, encrypted: bool, deadline: float) -> None:
        self._encrypted = encrypted
        self._deadline = deadline
        self._loopback_allowed = get_settings().webhooks_to_loopback
        self._network = httpcore2.SyncBackend()

    def _may_reach(self, text: str) -> bool:
        address = ipaddress.ip_address(text)
        return (self._encrypted and is_public(address)) or (self._loopback_allowed and address.is_loopback)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = _resolve(host, port, CONNECT_SECONDS)
        if not all(self._may_reach(address) for address in addresses):
            raise _AddressRefused
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses[:MOST_ADDRESSES]:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                stream = self._network.connect_tcp(address, port, min(left, CONNECT_SECONDS))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure


# ---- sending --------------------------------------------------------------------------------------------------------

Reason = Literal["address", "redirect", "refused", "gone", "timeout", "tls", "unreachable"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered 2xx."""

    status: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Why it was not delivered.

    `address`: not HTTPS, malformed, or not on the public internet. `redirect`: the receiver sent us elsewhere.
    `refused`: another status. `gone`: 410, the receiver wants no more (Standard Webhooks). Trying again helps neither
    `address` nor `gone`.
    """

    reason: Reason
    retry_after: timedelta | None = None
    """How long the receiver asks us to wait, a day at most."""
    status: int | None = None


def send(url: str, event: Mapping[str, Any], secret: str, *, old_secret: str | None = None) -> Delivered | Failed:
    """Deliver one event, once. An event without `id`, `source`, `type` and `specversion` "1.0" is a ValueError.

    Takes at most TOTAL_SECONDS and the time to resolve the name. Hold no database transaction meanwhile.
    """
    if event.get("specversion") != "1.0" or not all(event.get(name) for name in ("id", "source", "type")):
        raise ValueError("an event is a CloudEvent 1.0")
    started = time.monotonic()
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": "Gongzhi-Webhooks/1",
        "Connection": "close",
        **sign(str(event["id"]), db.now(), body, secret, old_secret=old_secret),
    }
    outcome = _post(url, body, headers, deadline=started + TOTAL_SECONDS)
    log.info(
        "webhook.sent",
        event_type=event["type"],
        outcome="delivered" if isinstance(outcome, Delivered) else outcome.reason,
        status=outcome.status,
        ms=round((time.monotonic() - started) * 1000),
    )
    return outcome


def _post(url: str, body: bytes, headers: Mapping[str, str], *, deadline: float) -> Delivered | Failed:
    target = _target(url)
    if target is None:
        return Failed("address")
    network = _CheckedNetwork(encrypted=target.scheme == b"https", deadline=deadline)
    waits = {"connect": CONNECT_SECONDS, "read": TOTAL_SECONDS, "write": TOTAL_SECONDS, "pool": TOTAL_SECONDS}
    try:
        with (
            httpcore2.ConnectionPool(network_backend=network, max_connections=1) as pool,
            pool.stream(
                "POST", target, headers=list(headers.items()), content=body, extensions={"timeout": waits}
            ) as answer,
        ):
            outcome = _judge(answer)
            _read_some(answer)
            return outcome
    except _AddressRefused:
        return Failed("address")
    except httpcore2.TimeoutException:
        return Failed("timeout")
    except httpcore2.ConnectError as error:
        found = error.args[0] if error.args else None  # what it was made from; the pool cuts the chain of causes
        return Failed("tls" if isinstance(found, ssl.SSLError) else "unreachable")
    except (httpcore2.NetworkError, httpcore2.ProtocolError):
        return Failed("unreachable")


def may_go_to(url: str) -> bool:
    """Whether a delivery could go to this address, as far as its text tells; who it belongs to is seen when it goes."""
    return _target(url) is not None


def _target(url: str) -> httpcore2.URL | None:
    """The address in httpcore's terms; None when it is not one that a delivery can go to.

    Everything in it is printable ASCII: an international name is written in its ASCII form (`xn--…`).
    """
    if not all("!" <= character <= "~" for character in url):
        return None
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # a port that is no number, a name that is no name
        return None
    plain_allowed = parts.scheme == "http" and get_settings().webhooks_to_loopback
    if not (parts.scheme == "https" or plain_allowed) or not host or "@" in parts.netloc:
        return None
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return httpcore2.URL(scheme=parts.scheme, host=host, port=port, target=path)


def _judge(answer: httpcore2.Response) -> Delivered | Failed:
    if 200 <= answer.status < 300:
        return Delivered(answer.status)
    if 300 <= answer.status < 400:
        return Failed("redirect", status=answer.status)
    reason: Reason = "gone" if answer.status == 410 else "refused"
    return Failed(reason, _retry_after(answer), answer.status)


def _retry_after(answer: httpcore2.Response) -> timedelta | None:
    """`Retry-After` as seconds or as a date (RFC 9110, 10.2.3)."""
    text = next(
        (value.decode("latin-1").strip() for name, value in answer.headers if name.lower() == b"retry-after"), ""
    )
    if text.isascii() and text.isdigit():
        asked = timedelta(seconds=min(int(text[:9]), LONGEST_PAUSE.total_seconds()))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        asked = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - db.now()
    return max(timedelta(0), min(asked, LONGEST_PAUSE))


def _read_some(answer: httpcore2.Response) -> None:
    """Read what the receiver says, up to a bound, so that it sees its answer taken. What it says is not kept."""
    received = 0
    try:
        for chunk in answer.iter_stream():
            received += len(chunk)
            if received >= MOST_ANSWER_BYTES:
                return
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        return  # the status has come, and it alone decides
