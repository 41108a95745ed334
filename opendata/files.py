"""Whole data sets as one file each: the parts one after another, from any byte on, without being stored so.

Ranges (RFC 9110, 14), strong validators, and digests (RFC 9530) of what is served.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opendata import snapshots
from opendata.snapshots import Manifest, PartFile
from portal.kit import storage
from portal.kit.errors import PortalError

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeRefused(PortalError):
    status = 416
    slug = "range"
    title = "The file does not reach that far."
    remedy = "Ask for bytes within its length, %(size)s."


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bytes of a file."""

    size: int
    key: str | None = None
    """In the store; None: `data` itself."""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class File:
    """A file that can be served."""

    media_type: str
    sha256: str
    pieces: Sequence[Piece]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    @property
    def etag(self) -> str:
        """A strong validator: the same bytes and no others (RFC 9110, 8.8.3)."""
        return f'"{self.sha256[:32]}"'

    @property
    def digest(self) -> str:
        """The whole's digest as `Repr-Digest` and `Content-Digest` have it (RFC 9530)."""
        return f"sha-256=:{base64.b64encode(bytes.fromhex(self.sha256)).decode()}:"

    @property
    def address(self) -> str | None:
        """Where it can be fetched without this process; None: nowhere."""
        key = self.pieces[0].key if len(self.pieces) == 1 else None
        return storage.address(key) if key else None

    def stream(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes `start` to before `end`, in blocks."""
        last = self.size if end is None else end
        at = 0
        for piece in self.pieces:
            first, stop = max(start - at, 0), min(last - at, piece.size)
            if first < stop:
                if piece.key is None:
                    yield piece.data[first:stop]
                else:
                    yield from storage.stream_range(piece.key, first, stop)
            at += piece.size


def of(manifest: Manifest, form: str) -> File | None:
    """A whole data set in one file of any form, where there is one: as Parquet of one part, as XLSX of few rows."""
    if form in snapshots.STREAMED:
        return whole(manifest, form)
    if form == "parquet":
        return part(manifest, manifest.parts[0].name, form) if len(manifest.parts) == 1 else None
    book = manifest.workbook if form == "xlsx" else None
    return stored(book, form) if book else None


def stored(file: PartFile, form: str) -> File:
    """A file that lies in the store as it is served."""
    return File(snapshots.MEDIA_TYPES[form], file.sha256, [Piece(file.size, file.key)])


def whole(manifest: Manifest, form: str) -> File:
    """A data set's rows in one of snapshots.STREAMED."""
    front = snapshots.front(form, manifest.header)
    pieces = [Piece(len(front), data=front)] if front else []
    pieces += [Piece(part.files[form].size, part.files[form].key) for part in manifest.parts]
    return File(snapshots.MEDIA_TYPES[form], manifest.whole[form], pieces)


def part(manifest: Manifest, name: str, form: str) -> File | None:
    """One part; of CSV with its header."""
    found = next((one for one in manifest.parts if one.name == name), None)
    if found is None or form not in found.files:
        return None
    return stored(found.files[form], form)


def asked_range(text: str | None, size: int) -> tuple[int, int] | None:
    """The bytes that a `Range` asks for; None: all. Several ranges are answered as none. Raises RangeRefused."""
    found = _RANGE.fullmatch(text.strip()) if text else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(size - int(found[2][:18]), 0), size
    start = int(found[1][:18])
    end = min(int(found[2][:18]) + 1, size) if found[2] else size
    if start >= size or end <= start:
        raise RangeRefused(size=size)
    return start, end
