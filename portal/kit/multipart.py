"""Forms with files that must not touch a disk: read into memory, within the bounds of the door.

Starlette writes a file of more than a megabyte to a temporary one. What a reporter sends may not lie about in clear, so
here it stays in memory until it is sealed; how much that can be, `body_bytes` of the door says.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import anyio
from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from portal.kit import limits
from portal.kit.errors import BadRequest, PortalError

MOST_FIELDS = 60
MOST_FIELD_BYTES = 100_000
MOST_HELD_BYTES = 512_000_000
"""What all forms with files that a process reads just now may hold together."""
MOST_OF_A_CALLER = 3
"""Forms with files that one caller may send at once."""
SECONDS = 600.0


class TooManyFiles(PortalError):
    status = 413
    slug = "too-many-files"
    title = "These are too many files or fields for one form."
    remedy = "Send at most %(files)s files at a time."


class FilesWait(PortalError):
    status = 503
    slug = "files-wait"
    title = "Too many files are arriving just now."
    remedy = "Try again in a minute, or send the text alone first and add the files later. Nothing was kept."


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form, in memory."""

    field: str
    name: str
    """As the sender's machine calls it: never trusted, never logged."""
    data: bytes

    def __repr__(self) -> str:
        return f"SentFile({len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form brought."""

    fields: dict[str, str]
    """The last value of each name."""
    files: list[SentFile]
    """Those with any content, in the form's order."""


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40


class _Held:
    """How much is held just now, and by how many forms of whom. Only ever used on the event loop."""

    def __init__(self) -> None:
        self.held = 0
        self.by_caller: dict[str, int] = {}

    async def watched(self, request: Request, mine: list[int]) -> AsyncGenerator[bytes]:
        """The request's body, counted as it arrives. Raises FilesWait before there is too much of it."""
        async for chunk in request.stream():
            self.held += len(chunk)
            mine[0] += len(chunk)
            if self.held > MOST_HELD_BYTES:
                raise FilesWait
            yield chunk


_HELD = _Held()


class Reading:
    """A dependency: the form that this request sends, with at most so many files.

    Raises BadRequest, TooManyFiles, FilesWait. What it holds counts until the request is answered.
    """

    def __init__(self, *, files: int) -> None:
        self.files = files

    async def __call__(self, request: Request) -> AsyncGenerator[Sent]:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            form = await FormParser(request.headers, request.stream()).parse()
            yield Sent({name: value for name, value in form.multi_items() if isinstance(value, str)}, [])
            return
        caller = limits.caller(request)
        if _HELD.by_caller.get(caller, 0) >= MOST_OF_A_CALLER:
            raise FilesWait
        _HELD.by_caller[caller] = _HELD.by_caller.get(caller, 0) + 1
        mine = [0]
        try:
            yield await self._read(request, mine)
        finally:
            _HELD.held -= mine[0]
            _HELD.by_caller[caller] -= 1
            if not _HELD.by_caller[caller]:
                del _HELD.by_caller[caller]

    async def _read(self, request: Request, mine: list[int]) -> Sent:
        parser = _InMemory(
            request.headers,
            _HELD.watched(request, mine),
            max_files=self.files,
            max_fields=MOST_FIELDS,
            max_part_size=MOST_FIELD_BYTES,
        )
        try:
            with anyio.fail_after(SECONDS):
                return await _taken_apart(await parser.parse())
        except MultiPartException as error:
            too_many = error.message.startswith("Too many")
            raise (TooManyFiles(files=self.files) if too_many else BadRequest()) from error
        except TimeoutError as error:
            raise FilesWait from error


async def _taken_apart(form: FormData) -> Sent:
    fields: dict[str, str] = {}
    files: list[SentFile] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            await value.close()
            if data or value.filename:
                files.append(SentFile(name, value.filename or "", data))
        else:
            fields[name] = value
    return Sent(fields, files)


def reading(*, files: int) -> object:
    """`sent: Annotated[Sent, reading(files=10)]`."""
    return Depends(Reading(files=files))
