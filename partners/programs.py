"""Programs that speak for an organisation: by an API key, by a signature, or by both.

    @router.post("/evaluations/batches/{batch_id}/accept")
    @door(who="key", limit="60/minute", body_bytes=4_000)
    def accept(request: Request, program: Program, …): ...

A signature covers the body, so it is verified once that has arrived; and it is spent whatever becomes of the request.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials

from partners import organisations, signatures, uploads
from partners.models import Organisation
from partners.signatures import Message, SignatureMissing, SignatureWrong
from partners.uploads import Arriving, Sender
from portal.kit import db, keys
from portal.kit.settings import get_settings

SCOPE = "evaluations:write"
_BLOCK = 2**20
MOST_AT_ONCE = 3
"""Files that one organisation may send at the same time."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An organisation whose program is at the door."""

    organisation: Organisation
    by: str
    """`key abcd1234` or `signature`."""
    signed: bool
    """The request claims a signature, which is verified when the body is there."""

    @property
    def owner(self) -> str:
        """Whose Idempotency-Keys these are."""
        return f"partner:{self.organisation.id}"

    @property
    def sender(self) -> Sender:
        return Sender(self.organisation.id, "api", self.by)


def _at_the_door(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(keys.bearer)]
) -> Caller:
    """Raises KeyMissing, KeyUnknown, KeyEnded, ScopeMissing, SignatureMissing, SignatureWrong, OrganisationClosed."""
    claimed = signatures.key_id(request.headers)
    with db.reading() as session:
        if credentials is None and claimed is not None:
            organisation = session.get(Organisation, claimed)
            if organisation is None or organisation.public_key is None or not organisations.is_open(organisation):
                raise SignatureWrong
            return Caller(organisation, "signature", signed=True)
        key = keys.find(session, credentials.credentials if credentials else None, scope=SCOPE)
        if key.owner_kind != "partner":
            raise keys.ScopeMissing(scope=SCOPE)
        organisation = organisations.acting(session, key.owner_id)
    if claimed is not None and claimed != organisation.id:
        raise SignatureWrong
    if organisation.only_signed and claimed is None:
        raise SignatureMissing
    request.state.key_prefix = key.prefix
    keys.note_use(key)
    return Caller(organisation, f"key {key.prefix}", signed=claimed is not None)


AtTheDoor = Annotated[Caller, Depends(_at_the_door)]


def _verify(request: Request, caller: Caller, body_sha256: bytes | None) -> None:
    if not caller.signed:
        return
    url = f"{get_settings().base_url.rstrip('/')}{request.url.path}"
    if request.url.query:
        url = f"{url}?{request.url.query}"
    message = Message(request.method, url, {name.title(): value for name, value in request.headers.items()})
    with db.writing() as session:
        signatures.verify(session, caller.organisation, message, body_sha256)


async def _program(request: Request, caller: AtTheDoor) -> Caller:
    digest = None
    if request.method not in ("GET", "HEAD"):
        digest = signatures.digest_of(await request.body())
    await anyio.to_thread.run_sync(_verify, request, caller, digest)
    return caller


Program = Annotated[Caller, Depends(_program)]
"""An organisation's program whose key, signature and body are in order. For small bodies."""


# ---- files ----------------------------------------------------------------------------------------------------------

_arriving: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that has arrived, and whose program sent it."""

    caller: Caller
    file: Arriving


async def receive(organisation_id: str, read: Callable[[], AsyncIterator[bytes]], file: Arriving) -> None:
    """Write what arrives to disk, a megabyte at a time. Raises BatchTooLarge, BatchEmpty, TooManyAtOnce."""
    if _arriving.get(organisation_id, 0) >= MOST_AT_ONCE:
        raise uploads.TooManyAtOnce
    _arriving[organisation_id] = _arriving.get(organisation_id, 0) + 1
    try:
        held = bytearray()
        async for chunk in read():
            held += chunk
            if len(held) >= _BLOCK:
                await anyio.to_thread.run_sync(file.write, bytes(held))
                held.clear()
        await anyio.to_thread.run_sync(file.write, bytes(held))
        file.finish()
    finally:
        _arriving[organisation_id] -= 1


async def _delivery(request: Request, caller: AtTheDoor) -> AsyncIterator[Delivery]:
    file = Arriving()
    try:
        await receive(caller.organisation.id, request.stream, file)
        await anyio.to_thread.run_sync(_verify, request, caller, file.digest)
        yield Delivery(caller, file)
    finally:
        file.remove()


Delivered = Annotated[Delivery, Depends(_delivery)]
"""A file in the body of a request, received as a stream."""
