"""Batches as workbooks (XLSX): the visible sheets that have a header, one below the other.

Merged cells count for each row that they cover. Hidden sheets are none of it; a hidden column counts where no visible
one says the same; rows that a filter hides are read, for filters are left on by mistake. A cell that computes spoils
its row, so each sheet is looked through for formulas before its values are read.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineWorkbook

from partners.reading import EPOCH, MOST_COLUMNS, MOST_ROWS, Row, Sense, Table, Unreadable, folded, under_header

MOST_UNPACKED = 1_024 * 2**20
MOST_SHEETS = 250
_MOST_BOOK = 4 * 2**20
"""Bytes of the list of sheets."""
_MOST_TEXT = 2**20
"""Bytes between two tags: a cell holds 32,767 characters at most."""
EPOCH_1904 = date(1904, 1, 1)

_TOKEN = re.compile(rb"<(?:[\w.-]+:)?(row|f)(?=[\s/>])([^>]*)>")
_ROW_NUMBER = re.compile(rb"""(?:^|\s)r\s*=\s*["'](\d{1,9})["']""")
_FAR = re.compile(rb"""<(?:[\w.-]+:)?c\s[^>]*?\br\s*=\s*["']([A-Za-z]{3,})\d+["'](?:[^>]*[^>/])?>""")
_QUICK_FAR = re.compile(rb"""r=["'][A-Za-z]{3,}\d|r\s+=|=\s+["'][A-Za-z]{3,}""")
_COLUMN = re.compile(rb"<(?:[\w.-]+:)?col\s([^>]*)>")
_ATTRIBUTE = re.compile(rb"""(\w+)\s*=\s*["']([^"']*)["']""")


# zipfile raises all of these for packages that are cut off, encrypted or compressed in an unknown way.
_BROKEN = (
    CalamineError,
    zipfile.BadZipFile,
    zlib.error,
    ElementTree.ParseError,
    KeyError,
    ValueError,
    RuntimeError,
    OSError,
    EOFError,
)


class _Part(NamedTuple):
    name: str
    path: str


class _Scan(NamedTuple):
    formulas: frozenset[int]
    """Numbers of rows with a cell that computes, from 1."""
    hidden: frozenset[int]
    """Columns that nobody sees, from 0."""


def read(path: Path, sense: Sense) -> Table:
    """The rows of all visible sheets that have a header. Raises Unreadable."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                raise Unreadable("batch-bomb")
            parts, epoch = _parts(archive)
            scans = {part.name: _scanned(archive, part.path) for part in parts}
            for name in archive.namelist():
                if name.lower().endswith("sharedstrings.xml"):
                    all(_pieces(archive, name))
        workbook = CalamineWorkbook.from_path(str(path))
    except _BROKEN as error:
        raise Unreadable("batch-broken") from error
    found: list[tuple[str, Table]] = []
    nothing = True
    for part in parts:
        try:
            sheet = workbook.get_sheet_by_name(part.name)
            table = under_header(_rows(sheet, scans[part.name].formulas), sense)
        except Unreadable as refusal:
            if refusal.slug not in {"batch-empty", "batch-no-header"}:
                raise
            nothing = nothing and refusal.slug == "batch-empty"
        except _BROKEN as error:
            raise Unreadable("batch-broken") from error
        else:
            start = (sheet.start or (0, 0))[1]
            header = _seen(table.header, {at - start for at in scans[part.name].hidden}, sense)
            found.append((part.name, Table(header, table.rows)))
    if not found:
        raise Unreadable("batch-empty" if nothing else "batch-no-header")
    return _together(found, sense)._replace(epoch=epoch)


def _seen(header: Sequence[str], hidden: set[int], sense: Sense) -> list[str]:
    """The titles, of which a hidden one is changed where a visible one says the same."""
    visible = {sense.field(title) for at, title in enumerate(header) if at not in hidden}
    return [
        f"隐藏列{title}" if at in hidden and sense.field(title) in visible else title for at, title in enumerate(header)
    ]


def _together(found: list[tuple[str, Table]], sense: Sense) -> Table:
    """The rows of all sheets under one header: columns are found by what their titles mean."""
    if len(found) == 1:
        return found[0][1]
    meaning: dict[str, str] = {}
    layouts = []
    for _, table in found:
        layout: dict[str, int] = {}
        for at, title in enumerate(table.header):
            if title:
                key = sense.field(title) or folded(title)
                meaning.setdefault(key, title)
                layout.setdefault(key, at)
        layouts.append(layout)

    def rows() -> Iterator[Row]:
        for (name, table), layout in zip(found, layouts, strict=True):
            columns = [layout.get(key) for key in meaning]
            for row in table.rows:
                cells = [row.cells[at] if at is not None and at < len(row.cells) else "" for at in columns]
                yield Row(f"{name}!{row.place}", cells, row.fault)

    return Table(list(meaning.values()), rows())


# ---- the package ----------------------------------------------------------------------------------------------------


def _parts(archive: zipfile.ZipFile) -> tuple[list[_Part], date]:
    """The visible worksheets, in the order in which a person sees them, and the day from which it counts days."""
    path = next((path for kind, path in _related(archive, "").values() if kind == "officeDocument"), "xl/workbook.xml")
    relations = _related(archive, path)
    book = _xml(archive, path)
    parts: list[_Part] = []
    named: set[str | None] = set()
    epoch = EPOCH
    for one in book.iter():
        tag = one.tag.rpartition("}")[2]
        if tag == "workbookPr" and one.get("date1904", "0").lower() in {"1", "true", "on"}:
            epoch = EPOCH_1904
        if tag != "sheet":
            continue
        if one.get("name") in named:
            raise Unreadable("batch-broken")  # nobody could say which of the two is meant
        named.add(one.get("name"))
        relation = next((value for key, value in one.attrib.items() if key.endswith("}id")), None)
        kind, path = relations.get(relation, ("", ""))
        if kind == "worksheet" and one.get("state", "visible") == "visible":
            parts.append(_Part(one.get("name", ""), path))
    if len(parts) > MOST_SHEETS:
        raise Unreadable("batch-bomb")
    return parts, epoch


def _related(archive: zipfile.ZipFile, path: str) -> dict[str | None, tuple[str, str]]:
    """What a part names, by id: of which kind it is and where it lies. The package itself is the part ""."""
    folder, name = posixpath.split(path)
    named = _xml(archive, posixpath.join(folder, "_rels", f"{name}.rels"))
    return {
        one.get("Id"): (
            one.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, one.get("Target", ""))).lstrip("/"),
        )
        for one in named
    }


def _entry(archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
    """A part by its name, in any case. Raises KeyError."""
    wanted = path.lower()
    for entry in archive.infolist():
        if entry.filename.lower().replace("\\", "/") == wanted:
            return entry
    raise KeyError(path)


def _xml(archive: zipfile.ZipFile, path: str) -> ElementTree.Element:
    entry = _entry(archive, path)
    if entry.file_size > _MOST_BOOK:
        raise Unreadable("batch-bomb")
    return ElementTree.fromstring(archive.read(entry))  # noqa: S314 within the child's limits; expat expands no bombs


def _pieces(archive: zipfile.ZipFile, path: str) -> Iterator[bytes]:
    """A part in pieces that end with a tag. Raises Unreadable where a text is longer than a cell can be."""
    with archive.open(_entry(archive, path)) as stream:
        kept = b""
        while block := stream.read(2**20):
            end = block.rfind(b">") + 1
            if not end:
                kept += block
            else:
                yield kept + block[:end]
                kept = block[end:]
            if len(kept) > _MOST_TEXT:
                raise Unreadable("batch-bomb")


def _scanned(archive: zipfile.ZipFile, path: str) -> _Scan:
    """Read a sheet as a stream for what its values do not say. Raises Unreadable for a cell that nobody fills."""
    formulas: set[int] = set()
    hidden: frozenset[int] = frozenset()
    number = 0
    for order, piece in enumerate(_pieces(archive, path)):
        if order == 0:
            hidden = _hidden(piece)
        for token in _TOKEN.finditer(piece):
            if token[1] == b"f":
                formulas.add(number)
                continue
            said = _ROW_NUMBER.search(token[2])
            number = int(said[1]) if said else number + 1
            if number > MOST_ROWS:
                raise Unreadable("batch-too-long", most=MOST_ROWS)
        if _QUICK_FAR.search(piece) and any(_column(far[1]) > MOST_COLUMNS for far in _FAR.finditer(piece)):
            raise Unreadable("batch-too-wide", most=MOST_COLUMNS)
    return _Scan(frozenset(formulas), hidden)


def _hidden(piece: bytes) -> frozenset[int]:
    columns: set[int] = set()
    for found in _COLUMN.finditer(piece):
        said = dict(_ATTRIBUTE.findall(found[1]))
        if said.get(b"hidden") in {b"1", b"true"} and b"min" in said:
            last = min(int(said.get(b"max") or said[b"min"]), MOST_COLUMNS)
            columns.update(range(int(said[b"min"]) - 1, last))
    return frozenset(columns)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


# ---- cells ----------------------------------------------------------------------------------------------------------


def _rows(sheet: Any, formulas: frozenset[int]) -> Iterator[Row]:
    start = (sheet.start or (0, 0))[1]
    merged = sorted((first, last) for first, last in (sheet.merged_cell_ranges or []) if last[0] > first[0])
    spread: list[tuple[int, int, str]] = []
    ahead = 0
    for index, values in enumerate(sheet.iter_rows()):
        cells = [value if isinstance(value, str) else shown(value) for value in values]
        if ahead < len(merged) or spread:
            spread = [one for one in spread if one[0] >= index]
            for _, column, text in spread:
                if not cells[column]:
                    cells[column] = text
            while ahead < len(merged) and merged[ahead][0][0] <= index:
                (first, column), (last, _) = merged[ahead]
                ahead += 1
                if len(spread) > MOST_COLUMNS:
                    raise Unreadable("batch-bomb")  # cells that are merged twice, over and over
                if first == index and 0 <= column - start < len(cells):
                    spread.append((last, column - start, cells[column - start]))
        if any(cells):
            yield Row(str(index + 1), cells, "formula" if index + 1 in formulas else None)


def shown(value: Any) -> str:
    """A cell as a person sees it: no exponent, no midnight behind a date."""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) or value is not None else ""
