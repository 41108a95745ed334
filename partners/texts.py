"""Batches as text: CSV in whatever encoding and with whatever separator, and JSON lines. Lines are read in pieces."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from partners.reading import MOST_CELL, Row, Sense, Table, Unreadable, check_width, explains, tidy, under_header
from partners.workbooks import shown

SAMPLE = 2**18
MOST_LINE = 8 * 2**20
"""Bytes without a line break that are still read."""
MOST_LINES_OF_A_ROW = 60
_AT_ONCE = 2**19
_CJK = "\u2e80"


# ---- lines ----------------------------------------------------------------------------------------------------------


def lines(path: Path) -> Iterator[str]:
    """The lines of a file, with their breaks, decoded: each in its own encoding where a file mixes two.

    Raises Unreadable for a line that no person wrote.
    """
    with path.open("rb") as file:
        encoding = _encoding(file.read(SAMPLE))
        file.seek(0)
        decode = _decoder(encoding)
        kept = file.read(2)
        if kept not in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            kept += file.read(1)
        if kept in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF8}:
            kept = b""
        while block := file.read(_AT_ONCE):
            kept += block
            end = _whole(kept, encoding)
            if not end:
                if len(kept) > MOST_LINE:
                    raise Unreadable("batch-bomb")
                continue
            yield from io.StringIO(decode(kept[:end]).replace("\0", ""), newline="")
            kept = kept[end:]
        yield from io.StringIO(decode(kept).replace("\0", ""), newline="")


def _whole(block: bytes, encoding: str) -> int:
    """How many bytes of a block are whole lines."""
    if encoding.startswith("utf-16"):
        mark = "\n".encode(encoding)
        at = block.rfind(mark)
        while at > 0 and at % 2:
            at = block.rfind(mark, 0, at + 1)
        return at + 2 if at >= 0 and at % 2 == 0 else 0
    return block.rfind(b"\n") + 1 or block.rfind(b"\r", 0, -1) + 1


def _encoding(sample: bytes) -> str:
    """`utf-8`, `gb18030` or one of UTF-16, with a mark at its beginning or without."""
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if sample.startswith(codecs.BOM_UTF16_LE) or sample[1::2].count(0) > len(sample) // 8:
        return "utf-16-le"
    if sample.startswith(codecs.BOM_UTF16_BE) or sample[::2].count(0) > len(sample) // 8:
        return "utf-16-be"
    tried = sample[: sample.rfind(b"\n") + 1] or sample
    try:
        tried.decode("utf-8")
    except UnicodeDecodeError:
        read = tried.split(b"\n")
        return "utf-8" if sum(_is_utf8(line) for line in read) * 2 > len(read) else "gb18030"
    return "utf-8"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoder(encoding: str) -> Any:
    """Bytes of whole lines to text."""

    def strictly(block: bytes) -> str:
        try:
            return block.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(map(_one_line, block.splitlines(keepends=True)))

    def by_line(block: bytes) -> str:
        return "".join(map(_one_line, block.splitlines(keepends=True)))

    if encoding.startswith("utf-16"):
        return lambda block: block.decode(encoding, "replace")
    return strictly if encoding == "utf-8" else by_line


def _one_line(line: bytes) -> str:
    """A line in UTF-8 or GB18030. What is Chinese in UTF-8 is hardly ever anything in the other by chance."""
    if line.isascii():
        return line.decode("ascii")
    for encoding in ("utf-8", "gb18030"):
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "gb18030" or max(text) >= _CJK:
            return text
    utf8, gb = line.decode("utf-8", "replace"), line.decode("gb18030", "replace")
    return utf8 if utf8.count("\ufffd") <= gb.count("\ufffd") else gb


# ---- CSV ------------------------------------------------------------------------------------------------------------


def read_csv(path: Path, sense: Sense) -> Table:
    """The table of a CSV file, by the separator under which it has a header. Raises Unreadable."""
    head = "".join(line for line, _ in zip(lines(path), range(40), strict=False))[:65_536]
    separators = sorted(",\t;|，", key=head.count, reverse=True)
    refused: Unreadable | None = None
    for separator in separators:
        if refused and separator not in head:
            break
        try:
            return under_header((Row(str(number), cells) for number, cells in _csv(path, separator)), sense)
        except Unreadable as refusal:
            if refusal.slug not in {"batch-no-header", "batch-quote", "batch-too-wide"}:
                raise
            refused = refused or refusal
    raise refused or Unreadable("batch-empty")


class _Ended:
    """Lines of a file, which say whether all were given out."""

    def __init__(self, path: Path) -> None:
        self._lines = lines(path)
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        self.ended = True


def _csv(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MOST_CELL * 10)
    source = _Ended(path)
    reader = csv.reader(source, delimiter=separator)
    number = line = 0
    try:
        for cells in reader:
            number += 1
            last, line = line, reader.line_num
            if line - last > 1 and (source.ended or line - last > MOST_LINES_OF_A_ROW):
                raise Unreadable("batch-quote", row=number)  # the quotation ran on to the end, or nearly
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise Unreadable("batch-quote", row=number + 1) from error


# ---- JSON lines -----------------------------------------------------------------------------------------------------


NOTES = frozenset({"说明", "备注", "note", "_comment"})
"""Keys of a line that only explains: the template has such lines."""
FIRST = 3
"""Lines among which an example may stand."""


def read_json_lines(path: Path, sense: Sense) -> Table:
    """The table of a file with an object on each line: the keys of all of them are its columns. Raises Unreadable."""
    keys: dict[str, None] = {}
    nothing = True
    for _, said in _objects(path):
        nothing = False
        if said and not said.keys() <= keys.keys():
            keys |= dict.fromkeys(said)
            check_width(list(keys))
    header = [tidy(_clean(key)) for key in keys]
    if nothing or not sense.is_header(header):
        raise Unreadable("batch-empty" if nothing else "batch-no-header")

    def rows() -> Iterator[Row]:
        for at, (place, said) in enumerate(_objects(path)):
            if said is None:
                yield Row(place, [], "json")
                continue
            cells = [_text_of(said.get(key)) for key in keys]
            example = at < FIRST and explains(header, [tidy(cell) for cell in cells], sense)
            if not example and not said.keys() <= NOTES:
                yield Row(place, cells)

    return Table(header, rows())


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each line's number and object; None: it is none. A list of objects is taken for lines."""
    for number, line in enumerate(lines(path), start=1):
        bare = line.strip("\ufeff \t\r\n")
        if bare in {"", "[", "]"}:
            continue
        try:
            said = json.loads(bare.removesuffix(","))
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, list) and number == 1 and said and all(isinstance(one, dict) for one in said):
            yield from ((str(at), one) for at, one in enumerate(said, start=1))
        else:
            yield str(number), said if isinstance(said, dict) else None


def _text_of(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else _clean(value)
    if isinstance(value, int | float):
        return shown(value)
    return _clean(json.dumps(value, ensure_ascii=False)[:MOST_CELL])


def _clean(text: str) -> str:
    """Without halves of characters, which no store takes, and without NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
