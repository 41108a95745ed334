"""Forms with files that must not touch a disk: read into memory, within the bounds of the door.

Starlette writes a file of more than a megabyte to a temporary one. What a reporter sends may not lie about in clear, so
here it stays in memory until it is sealed; how much that can be, `body_bytes` of the door says.
"""

from dataclasses import dataclass

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from portal.kit.errors import BadRequest, PortalError

MOST_FIELDS = 60
MOST_FIELD_BYTES = 100_000


class TooManyFiles(PortalError):
    status = 413
    slug = "too-many-files"
    title = "These are too many files or fields for one form."
    remedy = "Send at most %(files)s files at a time."


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


class Reading:
    """A dependency: the form that this request sends, with at most so many files. Raises BadRequest, TooManyFiles."""

    def __init__(self, *, files: int) -> None:
        self.files = files

    async def __call__(self, request: Request) -> Sent:
        kind = request.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            form = await FormParser(request.headers, request.stream()).parse()
            return Sent({name: value for name, value in form.multi_items() if isinstance(value, str)}, [])
        parser = _InMemory(
            request.headers,
            request.stream(),
            max_files=self.files,
            max_fields=MOST_FIELDS,
            max_part_size=MOST_FIELD_BYTES,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            too_many = error.message.startswith("Too many")
            raise (TooManyFiles(files=self.files) if too_many else BadRequest()) from error
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
