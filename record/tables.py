"""Registry files as rows of cells: CSV and JSON lines, read as a stream, in whatever encoding they came.

Spreadsheets are read in `record.sheets`. What a column means is no business of this module.
"""

import csv
import io
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from record import columns, packing, sheets
from record.cleaning import RawRow
from record.packing import FileEmpty, FileRefused

MAX_LINE = 2**20
"""Bytes of one line; a longer one is refused, and the rest of the file is read."""
MAX_LINES_OF_A_ROW = 200
"""A quoted cell may run over lines; one that runs over more was never closed."""
TITLE_LINES = 20
"""How far down the header may stand: spreadsheets begin with titles and dates."""
SAMPLE = 2**18
MAX_KEPT = 2_000
"""Characters of a line without cells that are handed back with the reason."""
_EMPTY = frozenset([b"\n", b"\r\n"])


Stream: TypeAlias = "io.BufferedReader[Any]"
Line = tuple[str, str | None]
"""A line's text, and why it could not be read."""


class NoHeader(FileRefused):
    slug = "no-header"
    title = "No line of this file names its columns."
    remedy = "The first lines must hold a header with at least 企业名称 (name) and 统一社会信用代码 (credit code)."


class TooManyColumns(FileRefused):
    slug = "too-many-columns"
    title = "This file has more columns than a registry has."
    remedy = "Send at most 300 columns."


class Layout(Protocol):
    """What the columns of a file mean to whoever reads it."""

    @property
    def header(self) -> tuple[str, ...]: ...


AnyLayout = TypeVar("AnyLayout", bound=Layout)
LayoutOf = Callable[[Sequence[str]], AnyLayout | None]
"""The layout of a file with this header, or None when the line is no header."""


@dataclass(slots=True)
class Table(Generic[AnyLayout]):
    """A file that is being read."""

    layout: AnyLayout
    rows: Iterator[RawRow]
    """Data rows in the file's order, blank ones left out. The same file gives the same rows every time."""
    source: packing.Unpacked | None

    @property
    def fraction(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return self.source.fraction if self.source else 0.0

    def close(self) -> None:
        if self.source:
            self.source.close()


def read(path: Path, layout_of: LayoutOf[AnyLayout]) -> Table[AnyLayout]:
    """Open a file and find its header. Raises FileRefused when it cannot be read as a whole."""
    if not path.is_file() or not path.stat().st_size:
        raise FileEmpty
    kind = packing.kind(path)
    if kind == ".xlsx":
        return _with_header((RawRow(cells) for cells in sheets.rows(path)), None, layout_of)
    source = packing.Unpacked(path)
    stream = io.BufferedReader(source, 2**18)
    if kind in {".jsonl", ".ndjson"}:
        return _json_lines(stream, source, layout_of)
    return _with_header(_csv_rows(stream), source, layout_of)


# ---- lines ----------------------------------------------------------------------------------------------------------


def _bounded_lines(stream: Stream) -> Iterator[bytes | None]:
    """Lines with their ends, empty ones left out; None in place of one that is too long."""
    while line := stream.readline(MAX_LINE):
        if line in _EMPTY:
            continue
        if len(line) < MAX_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE)
        yield None


def _encoding(sample: bytes) -> str:
    """The encoding that most of the sample is in: UTF-8 strictly, GB18030 strictly, then the detector's guess."""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    whole = sample[: sample.rfind(b"\n") + 1] or sample
    for encoding in ("utf-8", "gb18030"):
        try:
            whole.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    lines = whole.split(b"\n")
    readable = {encoding: sum(_decodes(line, encoding) for line in lines) for encoding in ("utf-8", "gb18030")}
    best = max(readable, key=lambda encoding: readable[encoding])
    if readable[best] >= 0.8 * len(lines):
        return best
    from charset_normalizer import from_bytes

    guess = from_bytes(whole[:65_536]).best()
    return guess.encoding if guess else best


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _text_lines(stream: Stream) -> Iterator[Line]:
    """Each line as text, and a fault when it could not be read. Lines in the other encoding are read in theirs."""
    sample = stream.peek(SAMPLE)[:SAMPLE]
    first = _encoding(sample)
    if first == "utf-16":
        wide = io.TextIOWrapper(stream, "utf-16", errors="replace", newline="")
        while line := wide.readline(MAX_LINE):
            yield line, None
        return
    second = "gb18030" if first == "utf-8" else "utf-8"
    if sample.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    for raw in _bounded_lines(stream):
        if raw is None:
            yield "", "line_too_long"
            continue
        try:
            yield raw.decode(first), None
        except UnicodeDecodeError:
            if _decodes(raw, second):
                yield raw.decode(second), None
            else:
                yield raw.decode(first, "replace"), "encoding"


# ---- CSV ------------------------------------------------------------------------------------------------------------


def _csv_rows(stream: Stream) -> Iterator[RawRow]:
    """Rows of a CSV file.

    A line with an even number of quotation marks is a row; one with an odd number begins a row of several lines. A
    mark that is never closed costs its own line, not the lines behind it.
    """
    lines = _text_lines(stream)
    again: deque[Line] = deque()
    first, fault = next(lines, ("", None))
    delimiter = max(",\t;|", key=first.count)
    again.append((first, fault))
    width = 0
    csv.field_size_limit(MAX_LINE * 2)
    while True:
        line, fault = again.popleft() if again else next(lines, ("", "end"))
        if fault:
            if fault == "end":
                return
            yield RawRow([line[:MAX_KEPT]], fault)
            continue
        if '"' not in line:
            cells = line.rstrip("\r\n").split(delimiter)
        elif line.count('"') % 2 == 0:
            cells = _parsed([line], delimiter)
        else:
            following = _following(again, lines)
            cells = _parsed([line, *following], delimiter)
            if _swallowed(cells, following, width, delimiter):
                again.extendleft((one, None) for one in reversed(following))
                cells = []
        if not cells:
            yield RawRow([line.rstrip("\r\n")[:MAX_KEPT]], "quote_open")
        elif any(cells):
            width = width or len(cells)
            yield RawRow(cells)


def _parsed(lines: list[str], delimiter: str) -> list[str]:
    """The cells of one row; none when it cannot be parsed as one."""
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []
    return rows[0] if len(rows) == 1 else []


def _following(again: deque[Line], lines: Iterator[Line]) -> list[str]:
    """The lines behind one whose quotation mark is open, up to and with the one that closes it."""
    following: list[str] = []
    while len(following) < MAX_LINES_OF_A_ROW:
        line, fault = again.popleft() if again else next(lines, ("", "end"))
        if fault:  # what cannot be read closes nothing; it is told of in its turn
            if fault != "end":
                again.appendleft((line, fault))
            break
        following.append(line)
        if line.count('"') % 2:
            break
    return following


def _swallowed(cells: list[str], following: list[str], width: int, delimiter: str) -> bool:
    """Whether a row over several lines is really one line with a stray quotation mark, and the rows behind it."""
    if not cells or (width and len(cells) != width):
        return True
    return width > 2 and any(len(_parsed([line], delimiter)) == width for line in following)


# ---- JSON lines -----------------------------------------------------------------------------------------------------

MORE = "…"
"""Column that keeps, as JSON text, the keys that no object among the first thousand had."""
KEYS_FROM = 1_000


def _json_lines(stream: Stream, source: packing.Unpacked, layout_of: LayoutOf[AnyLayout]) -> Table[AnyLayout]:
    objects = _json_objects(stream)
    head = []
    for item in objects:
        head.append(item)
        if len(head) == KEYS_FROM:
            break
    if not head:
        raise FileEmpty
    keys = list(dict.fromkeys(key for item, _ in head if item for key in item))
    _check_width(keys)
    layout = layout_of([*keys, MORE])
    if layout is None:
        raise NoHeader

    def rows() -> Iterator[RawRow]:
        known = frozenset(keys)
        for items in (head, objects):
            for item, line in items:
                if item is None:
                    yield RawRow([line[:MAX_KEPT]], "json")
                    continue
                more = {key: value for key, value in item.items() if key not in known}
                cells = [_json_cell(item.get(key)) for key in keys]
                yield RawRow([*cells, json.dumps(more, ensure_ascii=False) if more else ""])

    return Table(layout, rows(), source)


def _json_objects(stream: Stream) -> Iterator[tuple[dict[str, Any] | None, str]]:
    for line, fault in _text_lines(stream):
        if not fault and not line.strip():
            continue
        try:
            item = None if fault else json.loads(line)
        except (ValueError, RecursionError):
            item = None
        yield (item, "") if isinstance(item, dict) else (None, line.rstrip("\r\n"))


def _json_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ";".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ---- the header -----------------------------------------------------------------------------------------------------


def _check_width(header: list[str]) -> None:
    if len(header) > columns.MAX_COLUMNS:
        raise TooManyColumns


def _with_header(
    rows: Iterator[RawRow], source: packing.Unpacked | None, layout_of: LayoutOf[AnyLayout]
) -> Table[AnyLayout]:
    """The table whose header is the first line, not far down, that names a name and a code."""
    nothing = True
    for _, row in zip(range(TITLE_LINES), rows, strict=False):
        nothing = False
        _check_width(row.cells)
        layout = layout_of(row.cells)
        if layout:
            return Table(layout, rows, source)
    raise FileEmpty if nothing else NoHeader
