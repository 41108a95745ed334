"""A batch's file as rows of text, read as a person would read it: runs in the child process (`partners.examining`).

Above the header may stand titles; merged cells count for each row that they cover; hidden sheets are none of it; a
header that is repeated, blank lines and closing remarks are passed over. What a cell means is `partners.checking`'s.
"""

import codecs
import csv
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

MOST_COLUMNS = 300
MOST_ROWS = 2_000_000
TITLE_LINES = 30
"""How far down the header may stand."""
MOST_UNPACKED = 1_024 * 2**20
MOST_CELL = 20_000
SAMPLE = 2**18


class Unreadable(Exception):
    """The file cannot be read as a whole. `slug` is that of one of `partners.uploads`' refusals."""

    def __init__(self, slug: str, **values: object) -> None:
        super().__init__(slug)
        self.slug = slug
        self.values = values


class Row(NamedTuple):
    """One row of the file."""

    place: str
    """Where it stands, for people: its number, with the sheet's name before it where there are several."""
    cells: Sequence[str]
    fault: str | None = None
    """Why the row cannot be used whatever its cells say: `formula`, `json`, `encoding`."""


IsHeader = Callable[[Sequence[str]], bool]


class Table(NamedTuple):
    """The rows of a file under their header."""

    header: Sequence[str]
    rows: Iterator[Row]


def read(path: Path, form: str, is_header: IsHeader) -> Table:
    """Open a file of this form (`csv`, `xlsx`, `jsonl`) and find its header. Raises Unreadable."""
    if form == "xlsx":
        return _workbook(path, is_header)
    if form == "jsonl":
        return _json_lines(path, is_header)
    return _under_header(((Row(str(number), cells)) for number, cells in _csv(path)), is_header)


def tidy(text: str) -> str:
    """A cell in half width, without the blanks that nobody sees."""
    if text.isascii():
        return text.strip() if "\u00a0" not in text else text.replace("\u00a0", " ").strip()
    return unicodedata.normalize("NFKC", text).replace("\u200b", "").replace("\ufeff", "").strip()


def folded(title: str) -> str:
    """A column's title without what people add to it: blanks, marks, remarks in brackets, case."""
    bare = re.sub(r"\(.*?\)|\[.*?\]|【.*?】", "", tidy(title))
    return re.sub(r"[\s*＊:：、_/·.]+", "", bare).lower()


_REMARK = re.compile(
    r"(合计|总计|小计|共计|注[:：]|备注|说明|填表|制表|审核人|联系人|联系电话|填报|盖章|单位盖章|第\s*\d+\s*页)"
)


def _under_header(rows: Iterator[Row], is_header: IsHeader) -> Table:
    nothing = True
    for _, row in zip(range(TITLE_LINES), rows, strict=False):
        nothing = False
        _check_width(row.cells)
        if is_header(row.cells):
            header = [tidy(cell) for cell in row.cells]
            return Table(header, _data(rows, header))
    raise Unreadable("batch-empty" if nothing else "batch-no-header")


def _data(rows: Iterator[Row], header: Sequence[str]) -> Iterator[Row]:
    width = len(header)
    first = next((title for title in header if title), "")
    for count, row in enumerate(rows):
        if count >= MOST_ROWS:
            raise Unreadable("batch-too-long", most=MOST_ROWS)
        cells = row.cells
        if len(cells) > width:
            _check_width(cells)
        if cells and first in cells and [tidy(cell) for cell in cells] == list(header):
            continue
        if row.fault is None and not (len(cells) > 2 and cells[0] and cells[1]) and _is_remark(cells):
            continue
        yield row


def _is_remark(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell]
    return not said or (len(said) <= 2 and _REMARK.match(tidy(said[0])) is not None)


def _check_width(cells: Sequence[str]) -> None:
    if len(cells) > MOST_COLUMNS and any(cells[MOST_COLUMNS:]):
        raise Unreadable("batch-too-wide", most=MOST_COLUMNS)


# ---- CSV ------------------------------------------------------------------------------------------------------------


def _encoding(path: Path) -> str:
    """UTF-8 strictly, GB18030 strictly, over a sample; of files that mix both, what most lines are in."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    whole = sample[: sample.rfind(b"\n") + 1] or sample
    for encoding in ("utf-8", "gb18030"):
        try:
            whole.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    lines = whole.split(b"\n")
    return max(("utf-8", "gb18030"), key=lambda encoding: sum(_decodes(line, encoding) for line in lines))


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _lines(file: io.TextIOWrapper) -> Iterator[str]:
    for line in file:
        yield line.replace("\0", "") if "\0" in line else line


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        head = file.read(8_192)
        file.seek(0)
        delimiter = max(",\t;|", key=head.count)
        csv.field_size_limit(MOST_CELL * 10)
        reader = csv.reader(_lines(file), delimiter=delimiter)
        number = 0
        try:
            for cells in reader:
                number += 1
                if any(cells):
                    yield number, cells
        except csv.Error as error:
            raise Unreadable("batch-quote", row=number + 1) from error


# ---- JSON lines -----------------------------------------------------------------------------------------------------

KEYS_FROM = 200


def _json_lines(path: Path, is_header: IsHeader) -> Table:
    objects = _objects(path)
    head = [one for _, one in zip(range(KEYS_FROM), objects, strict=False)]
    if not head:
        raise Unreadable("batch-empty")
    keys = list(dict.fromkeys(key for _, said in head if said for key in said))
    _check_width(keys)
    if not is_header(keys):
        raise Unreadable("batch-no-header")

    def rows() -> Iterator[Row]:
        for part in (head, objects):
            for place, said in part:
                if said is None:
                    yield Row(place, [], "json")
                else:
                    yield Row(place, [_text_of(said.get(key)) for key in keys])

    return Table([tidy(key) for key in keys], _data(rows(), keys))


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    with path.open(encoding=_encoding(path), errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                said = None
            yield str(number), said if isinstance(said, dict) else None


def _text_of(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return _cell(value)
    return json.dumps(value, ensure_ascii=False)


# ---- workbooks ------------------------------------------------------------------------------------------------------

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_RELATION = re.compile(r"\}id$")
_FORMULA = re.compile(rb'<(?:x:)?c [^>]*?r="([A-Z]{1,3})([0-9]{1,7})"[^>]*>\s*<(?:x:)?f[ />]')
_FAR = re.compile(rb'<(?:x:)?c [^>]*?r="([A-Z]{3})[0-9]')
_LOW = re.compile(rb'<(?:x:)?row [^>]*?r="([0-9]{7,})"')
_OVERLAP = 512


class _Part(NamedTuple):
    name: str
    path: str
    visible: bool


def _workbook(path: Path, is_header: IsHeader) -> Table:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                raise Unreadable("batch-bomb")
            parts = [part for part in _parts(archive) if part.visible]
            formulas = {part.name: _formula_rows(archive, part.path) for part in parts}
        workbook = CalamineWorkbook.from_path(str(path))
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, CalamineError, NotImplementedError) as error:
        raise Unreadable("batch-broken") from error
    found: list[tuple[str, Table]] = []
    nothing = True
    for part in parts:
        try:
            rows = _sheet(workbook, part.name, formulas[part.name])
            found.append((part.name, _under_header(rows, is_header)))
        except Unreadable as refusal:
            if refusal.slug not in {"batch-empty", "batch-no-header"}:
                raise
            nothing = nothing and refusal.slug == "batch-empty"
        except CalamineError as error:
            raise Unreadable("batch-broken") from error
    if not found:
        raise Unreadable("batch-empty" if nothing else "batch-no-header")
    return _together(found)


def _together(found: list[tuple[str, Table]]) -> Table:
    """The rows of all sheets that have a header, under the first one's: columns are found by their titles."""
    header = list(found[0][1].header)
    if len(found) == 1:
        return Table(header, found[0][1].rows)
    for _, table in found[1:]:
        header += [title for title in table.header if title and title not in header]

    def rows() -> Iterator[Row]:
        for name, table in found:
            columns = [table.header.index(title) if title in table.header else None for title in header]
            for row in table.rows:
                cells = [row.cells[at] if at is not None and at < len(row.cells) else "" for at in columns]
                yield Row(f"{name}!{row.place}", cells, row.fault)

    return Table(header, rows())


def _parts(archive: zipfile.ZipFile) -> list[_Part]:
    """The worksheets, in the order in which a person sees them."""
    relations = {
        one.get("Id"): one.get("Target", "")
        for one in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 within the child's limits; expat expands no bombs
    }
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    parts = []
    for sheet in (one for one in book.iter() if one.tag in (f"{_MAIN}sheet", f"{_STRICT}sheet")):
        relation = next((value for key, value in sheet.attrib.items() if _RELATION.search(key)), None)
        target = relations.get(relation, "").lstrip("/")
        path = target if target.startswith("xl/") else f"xl/{target}"
        if "worksheets" in path:
            parts.append(_Part(sheet.get("name", ""), path, sheet.get("state", "visible") == "visible"))
    return parts


def _formula_rows(archive: zipfile.ZipFile, path: str) -> frozenset[int]:
    """Rows with a cell that computes, read as a stream. Raises Unreadable for a cell in a corner nobody fills."""
    rows: set[int] = set()
    with archive.open(path) as stream:
        kept = b""
        while block := stream.read(2**20):
            text = kept + block
            for found in _FORMULA.finditer(text):
                rows.add(int(found[2]))
            if any(_column(far[1]) > 16_384 or _column(far[1]) > MOST_COLUMNS for far in _FAR.finditer(text)):
                raise Unreadable("batch-too-wide", most=MOST_COLUMNS)
            if any(int(low[1]) > MOST_ROWS for low in _LOW.finditer(text)):
                raise Unreadable("batch-too-long", most=MOST_ROWS)
            kept = text[-_OVERLAP:]
    return frozenset(rows)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _sheet(workbook: Any, name: str, formulas: frozenset[int]) -> Iterator[Row]:
    sheet = workbook.get_sheet_by_name(name)
    merged = sorted((first, last) for first, last in (sheet.merged_cell_ranges or []) if last[0] > first[0])
    spread: list[tuple[int, int, str]] = []
    ahead = 0
    for index, values in enumerate(sheet.iter_rows()):
        cells = [_cell(value) if not isinstance(value, str) else value for value in values]
        if ahead < len(merged) or spread:
            spread = [one for one in spread if one[0] >= index]
            for _, column, text in spread:
                if column < len(cells) and not cells[column]:
                    cells[column] = text
            while ahead < len(merged) and merged[ahead][0][0] <= index:
                (_, column), (last, last_column) = merged[ahead]
                ahead += 1
                if last_column == column and column < len(cells):
                    spread.append((last, column, cells[column]))
        if not any(cells):
            continue
        yield Row(str(index + 1), cells, "formula" if index + 1 in formulas else None)


def _cell(value: Any) -> str:
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
    return "" if isinstance(value, timedelta) else str(value)
