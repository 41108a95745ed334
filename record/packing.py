"""Files as they are handed in: hashed, unpacked from .gz, .xz and .zst as they are read, never larger than agreed."""

import hashlib
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from portal.kit.errors import PortalError

MAX_UNPACKED = 32 * 2**30
"""Bytes. Three million entities take about 1.1 GB, thirty million records about 10."""
MAX_RATIO = 250
"""A registry shrinks to a tenth; what grows more than this, beyond FREE_BYTES, was made to fill a disk."""
FREE_BYTES = 8 * 2**20
MAX_DECODER_MEMORY = 256 * 2**20
_BLOCK = 2**18


class FileRefused(PortalError):
    """A file that cannot be read as a whole. Rows that are wrong never raise this."""

    status = 422
    slug = "file-refused"
    title = "This file cannot be read."
    remedy = "Check that it is CSV, XLSX or JSONL, packed with gzip, xz or zstd if at all, and whole."
    path: Path | None = None
    """The file, once it is known which of several it was."""


class FileEmpty(FileRefused):
    slug = "file-empty"
    title = "This file is empty."
    remedy = "Export it again; the first line must name the columns."


class FileTooLarge(FileRefused):
    slug = "file-too-large"
    title = "This file unpacks to more than can be read."
    remedy = "Split it into several files, and check who made it: it may have been built to fill a disk."


class FileBroken(FileRefused):
    slug = "file-broken"
    title = "This file is damaged: it cannot be unpacked."
    remedy = "Send it again, and compare the size and the check sum with the original."


class _Gzip:
    """gzip with the interface of lzma's decoder."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz() -> Any:
    return lzma.LZMADecompressor(memlimit=MAX_DECODER_MEMORY)


_MAKERS: dict[str, Callable[[], Any]] = {".gz": _Gzip, ".xz": _xz}


class _Counted(io.RawIOBase):
    """A file's packed bytes, counted as they go by."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._file.readinto(buffer)
        self.count += read
        return read

    def close(self) -> None:
        self._file.close()
        super().close()


class Unpacked(io.RawIOBase):
    """The unpacked bytes of a file, read once. Raises FileTooLarge or FileBroken while it is read."""

    def __init__(self, path: Path) -> None:
        self.size = max(path.stat().st_size, 1)
        self._packed = _Counted(path)
        self._source = self._open(path.suffix.lower())
        self._unpacked = 0

    @property
    def fraction(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return min(1.0, self._packed.count / self.size)

    def _open(self, suffix: str) -> IO[bytes] | io.RawIOBase:
        if suffix in _MAKERS:
            return _Stream(self._packed, _MAKERS[suffix])
        if suffix == ".zst":
            import zstandard

            decoder = zstandard.ZstdDecompressor(max_window_size=MAX_DECODER_MEMORY // 2)
            return decoder.stream_reader(self._packed, read_across_frames=True)  # type: ignore[arg-type]
        return self._packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            read = self._source.readinto(buffer) or 0  # type: ignore[union-attr]
        except (lzma.LZMAError, zlib.error, EOFError) as error:
            raise FileBroken from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise FileBroken from error
        self._unpacked += read
        if self._unpacked > MAX_UNPACKED:
            raise FileTooLarge
        if self._unpacked > FREE_BYTES and self._unpacked > MAX_RATIO * self._packed.count:
            raise FileTooLarge
        return read

    def close(self) -> None:
        self._packed.close()
        super().close()


class _Stream(io.RawIOBase):
    """Unpacks gzip or xz, several members one after another included, a block at a time."""

    def __init__(self, packed: io.RawIOBase, make: Callable[[], Any]) -> None:
        self._packed, self._make = packed, make
        self._decoder = make()
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._decoder.eof:
                self._left = self._decoder.unused_data.lstrip(b"\0")
                self._left = self._left or (self._packed.read(_BLOCK) or b"").lstrip(b"\0")
                if not self._left:
                    return 0
                self._decoder = self._make()
            elif self._decoder.needs_input and not self._left:
                self._left = self._packed.read(_BLOCK) or b""
                if not self._left:
                    raise EOFError
            block = self._decoder.decompress(self._left, len(buffer))
            self._left = b""
            if block:
                buffer[: len(block)] = block
                return len(block)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the file as it lies there, packed or not."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kind(path: Path) -> str:
    """`.csv`, `.xlsx` or `.jsonl`: what is inside, by the name, a packing's ending left out."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in {".gz", ".xz", ".zst"}:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""
