"""Documents for paper: a typst template of `templates/` and its data become a PDF that screen readers can read.

    pdf.made("record/report.typ", data, at=moment)

The data reaches the template as JSON in `sys.inputs.data`, never as source, so nothing in it is taken for markup. Every
document is PDF/A-2a (ISO 19005-2) and PDF/UA-1 (ISO 14289-1): typst refuses to make one that is not tagged, that has no
language, or that uses a character without a shape.
"""

import json
import struct
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from portal.kit.errors import PortalError
from portal.kit.web import TEMPLATES_DIR

if TYPE_CHECKING:
    import typst

AT_ONCE = 2
"""Documents that one process makes at the same time; each takes a processor."""
WAITING = 2
"""Requests that may wait for one of those; more are refused at once, or they would keep every thread of the process."""
PATIENCE_SECONDS = 5.0

log = structlog.get_logger()

_making = threading.BoundedSemaphore(AT_ONCE)
_in_line = threading.BoundedSemaphore(AT_ONCE + WAITING)


class TooManyDocuments(PortalError):
    status = 503
    slug = "too-many-documents"
    title = "Too many documents are being made just now."
    remedy = "Try again in a few seconds. The page itself can be read and printed meanwhile."
    headers = {"Retry-After": "5"}  # noqa: RUF012  declared a ClassVar by its parent


def made(template: str, data: Mapping[str, Any], *, at: datetime) -> bytes:
    """The PDF that `template` makes of `data` (JSON); `at` is its date. Raises TooManyDocuments."""
    import typst

    given = json.dumps(_with_shapes(data), ensure_ascii=False)
    with _turn():
        started = time.perf_counter()
        document, warnings = typst.compile_with_warnings(
            TEMPLATES_DIR / template,
            root=TEMPLATES_DIR,
            font_paths=_fonts(),
            ignore_system_fonts=True,
            format="pdf",
            sys_inputs={"data": given},
            pdf_standards=["a-2a", "ua-1"],
            timestamp=at,
        )
        ms = round((time.perf_counter() - started) * 1000, 1)
    if not isinstance(document, bytes):
        raise TypeError("a PDF is one file")
    log.info("pdf.made", template=template, ms=ms, bytes=len(document))
    if warnings:
        log.warning("pdf.warned", template=template, warnings=[warning.message for warning in warnings])
    return document


def warm() -> None:
    """Read the fonts, which the first document would wait for."""
    _fonts()
    _characters()


@contextmanager
def _turn() -> Iterator[None]:
    if not _in_line.acquire(blocking=False):
        raise TooManyDocuments
    try:
        if not _making.acquire(timeout=PATIENCE_SECONDS):
            raise TooManyDocuments
        try:
            yield
        finally:
            _making.release()
    finally:
        _in_line.release()


# ---- fonts ----------------------------------------------------------------------------------------------------------


def _font_files() -> tuple[Path, Path]:
    import pylopdf_fonts_zh_cn as noto

    return noto.sans_path(), noto.serif_path()


@lru_cache(maxsize=1)
def _fonts() -> "typst.Fonts":
    import typst

    folder = str(_font_files()[0].parent)  # a file alone is passed over without a word
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])


def _with_shapes(data: Any) -> Any:
    """The same data with every text as the fonts can set it."""
    if isinstance(data, str):
        return with_shapes(data)
    if isinstance(data, Mapping):
        return {key: _with_shapes(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_with_shapes(value) for value in data]
    return data


def with_shapes(text: str) -> str:
    """`text` with the number of each character that the fonts lack, and without what has no shape or turns text round.

    >>> with_shapes("上海𠮷祥")
    '上海〔U+20BB7〕祥'
    """
    if text.isascii() and text.isprintable():
        return text
    known = _characters()
    return "".join(character if ord(character) in known else _in_its_place(character) for character in text)


def _in_its_place(character: str) -> str:
    if character in "\n\t":
        return character
    shapeless = unicodedata.category(character) in ("Cc", "Cf", "Cs") or _is_variation_selector(character)
    return "" if shapeless else f"〔U+{ord(character):04X}〕"


def _is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    """Code points that both fonts have a shape for, but for those that steer the direction or the joining of others."""
    sans, serif = (_mapped(path.read_bytes()) for path in _font_files())
    return frozenset(point for point in sans & serif if unicodedata.category(chr(point)) not in ("Cc", "Cf", "Cs"))


def _mapped(font: bytes) -> set[int]:
    """The code points of an OpenType font: the groups of its `cmap` table's subtable of format 12."""
    tables = struct.unpack_from(">H", font, 4)[0]
    records = (struct.unpack_from(">4sLLL", font, 12 + 16 * number) for number in range(tables))
    cmap = next(offset for tag, _, offset, _ in records if tag == b"cmap")
    for number in range(struct.unpack_from(">H", font, cmap + 2)[0]):
        subtable = cmap + struct.unpack_from(">HHL", font, cmap + 4 + 8 * number)[2]
        if struct.unpack_from(">H", font, subtable)[0] == 12:
            groups = struct.unpack_from(">L", font, subtable + 12)[0]
            spans = (struct.unpack_from(">LLL", font, subtable + 16 + 12 * group) for group in range(groups))
            return {point for first, last, _ in spans for point in range(first, last + 1)}
    raise ValueError("the font has no table of its characters")
