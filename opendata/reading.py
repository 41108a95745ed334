"""Tables that visitors send, read: which line names the columns, and which column holds names or codes."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from string import ascii_uppercase

from portal.kit.errors import PortalError
from record import codes, names, tables
from record.tables import TITLE_LINES
from search.check import Busy

MOST_BYTES = 10 * 2**20
MOST_ROWS = 10_000
MOST_COLUMNS = 60
MOST_CHARACTERS = 20_000_000
"""Of all cells together: a workbook unpacks to far more than it was sent as."""
MOST_CELL = 2_000
SAMPLE = 300
ENDINGS = (".csv", ".txt", ".tsv", ".xlsx", ".xlsm")
AT_ONCE = 2
"""Files that one process reads at once: each workbook takes a process of its own."""

_places = threading.BoundedSemaphore(AT_ONCE)
_NAME_TITLE = re.compile(r"名称|全称|供应商|客户|公司名|企业名|商户|name|company|supplier|vendor|customer", re.I)
_CODE_TITLE = re.compile(
    r"信用代码|统一代码|机构代码|注册号|税号|uscc|credit.?code|tax.?(?:no|id)|registration|^code$", re.I
)


class NotAList(PortalError):
    status = 415
    slug = "list-media-type"
    title = "This is no table that can be read here."
    remedy = "Send a CSV or XLSX file. Save an old .xls, or a table in a document, as .xlsx first."


class ListTooLarge(PortalError):
    status = 413
    slug = "list-too-large"
    title = "This file is too large to be matched here."
    remedy = "Send the columns with names and codes alone, at most 10 MB, or split the file."


class ListTooLong(PortalError):
    status = 422
    slug = "list-too-long"
    title = "This table has more rows than can be matched at once."
    remedy = "Split it into files of at most 10,000 rows."


class ListTooWide(PortalError):
    status = 422
    slug = "list-too-wide"
    title = "This table has more columns than can be kept."
    remedy = "Leave out columns that you do not need: at most 60 may stay."


class ListEmpty(PortalError):
    status = 422
    slug = "list-empty"
    title = "There are no rows in this file."
    remedy = "Send the file that holds the names or codes. Of a workbook the first sheet that has rows is read."


@dataclass(frozen=True, slots=True)
class Sent:
    """A table as it was sent."""

    header: list[str]
    rows: list[list[str]]
    name_column: int | None
    code_column: int | None
    size: int


@dataclass(frozen=True, slots=True)
class _Anything:
    header: tuple[str, ...]


def ending_of(name: str, head: bytes) -> str:
    """How the file is to be read, by its first bytes and its name. Raises NotAList."""
    if head.startswith(b"PK\x03\x04"):
        return ".xlsx"
    said = Path(name.replace("\\", "/")).suffix.lower()
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if (said and said not in ENDINGS) or said in (".xlsx", ".xlsm") or (b"\0" in head and not wide):
        raise NotAList
    return ".csv"


def read(path: Path) -> Sent:
    """The table in a file that ends in .csv or .xlsx. Raises FileRefused, or one of the refusals above."""
    if not _places.acquire(timeout=10):
        raise Busy
    try:
        table = tables.read(path, _any_row)
        try:
            lines, size = _lines(table)
        finally:
            table.close()
    finally:
        _places.release()
    return _under_header(lines, size)


def _any_row(cells: Sequence[str]) -> _Anything | None:
    return _Anything(tuple(cells)) if any(cell.strip() for cell in cells) else None


def _lines(table: tables.Table[_Anything]) -> tuple[list[list[str]], int]:
    lines: list[list[str]] = []
    size = 0
    for cells in chain([table.layout.header], (row.cells for row in table.rows)):
        kept = [cell.replace("\0", "").strip()[:MOST_CELL] for cell in cells]
        while kept and not kept[-1]:
            kept.pop()
        if not kept:
            continue
        size += sum(map(len, kept))
        if len(kept) > MOST_COLUMNS:
            raise ListTooWide
        if size > MOST_CHARACTERS:
            raise ListTooLarge
        if len(lines) > MOST_ROWS + TITLE_LINES:
            raise ListTooLong
        lines.append(kept)
    return lines, size


def _under_header(lines: list[list[str]], size: int) -> Sent:
    """The rows below the line that names the columns; a list without one gets letters, as spreadsheets have them."""
    head = lines[:TITLE_LINES]
    wide = any(sum(map(bool, cells)) > 1 for cells in head)  # then a line of one cell is what the table is called
    named = (
        at for at, cells in enumerate(head) if any(map(_is_title, cells)) and (not wide or sum(map(bool, cells)) > 1)
    )
    at = next(named, None)
    if at is None and lines and not any(map(_is_data, lines[0])):
        at = 0
    header = lines[at] if at is not None else []
    rows = lines[at + 1 :] if at is not None else lines
    if not rows:
        raise ListEmpty
    if len(rows) > MOST_ROWS:
        raise ListTooLong
    width = max(len(header), *map(len, rows))
    titles = [title or _letter(place) for place, title in enumerate([*header, *[""] * (width - len(header))])]
    rows = [[*cells, *[""] * (width - len(cells))] for cells in rows]
    name, code = _guessed(titles, rows[:SAMPLE])
    return Sent(titles, rows, name, code, size)


def _letter(place: int) -> str:
    first, second = divmod(place, 26)
    return f"{ascii_uppercase[first - 1] if first else ''}{ascii_uppercase[second]}"


def _is_data(cell: str) -> bool:
    return codes.normalise(cell) is not None or _is_name(cell)


def _is_name(cell: str) -> bool:
    return 5 <= len(cell) <= 100 and bool(names.parts(cell).form)


def _is_title(cell: str) -> bool:
    known = _NAME_TITLE.search(cell) or _CODE_TITLE.search(cell)
    return known is not None and len(cell) <= 40 and not _is_data(cell)


def _guessed(header: list[str], rows: list[list[str]]) -> tuple[int | None, int | None]:
    """The columns that most likely hold names and codes."""
    code = _likeliest(
        [_share(rows, at, lambda cell: codes.normalise(cell) is not None) + 0.4 * bool(_CODE_TITLE.search(title))
         for at, title in enumerate(header)]
    )  # fmt: skip
    name = _likeliest(
        [-1.0 if at == code else _share(rows, at, _is_name) + 0.4 * bool(_NAME_TITLE.search(title))
         for at, title in enumerate(header)]
    )  # fmt: skip
    if name is None and code is None and len(header) == 1:
        name = 0
    return name, code


def _share(rows: list[list[str]], at: int, fits: Callable[[str], bool]) -> float:
    filled = [cells[at] for cells in rows if cells[at]]
    return sum(map(fits, filled)) / len(filled) if filled else 0.0


def _likeliest(likelihoods: list[float]) -> int | None:
    best = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    return best if likelihoods[best] >= 0.3 else None
