"""The rows of a batch's file as a person would read them: runs in the child process (`partners.examining`).

Here: what is a header and what is no row. Above the header may stand titles; it may have two lines; where it is
repeated, blank lines and closing remarks are passed over. Files of text are opened by `partners.texts`, workbooks by
`partners.workbooks`; what a cell means is `partners.checking`'s.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import NamedTuple

MOST_COLUMNS = 300
MOST_ROWS = 2_000_000
TITLE_LINES = 30
"""How far down the header may stand."""
MOST_CELL = 20_000
"""Characters of a cell that are looked at."""
EPOCH = date(1899, 12, 30)
"""The day that spreadsheets number 0."""


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


class Sense(NamedTuple):
    """What a scheme knows of titles."""

    is_header: Callable[[Sequence[str]], bool]
    """Whether a line names the columns."""
    field: Callable[[str], str | None]
    """The field that a column of this title holds."""


class Table(NamedTuple):
    """The rows of a file under their header."""

    header: Sequence[str]
    rows: Iterator[Row]
    epoch: date = EPOCH
    """The day from which its numbers count days."""


def read(path: Path, form: str, sense: Sense) -> Table:
    """Open a file of this form (`csv`, `xlsx`, `jsonl`) and find its header. Raises Unreadable."""
    from partners import texts, workbooks

    if form == "xlsx":
        return workbooks.read(path, sense)
    return texts.read_json_lines(path, sense) if form == "jsonl" else texts.read_csv(path, sense)


# ---- cells ----------------------------------------------------------------------------------------------------------

_UNSEEN = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0e-\x1f\x7f]")


def tidy(text: str) -> str:
    """A cell in half width, without the blanks and marks that nobody sees."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text[:MOST_CELL])).strip()


_ENDS = re.compile(r"\(([起止始终至]|开始|截止|结束|终止)\)")
_ASIDE = re.compile(r"\(.*?\)|\[.*?\]|【.*?】|<.*?>")
_MARKS = re.compile(r"[\s*＊★:：、_/·.※\-\"']+")
_NUMBERED = re.compile(r"^(\d{1,2}(?=[^\d年])|\d{4}年度?|本(年度?|次|期)(?=.))")


def folded(title: str) -> str:
    """A column's title without what people add to it: blanks, marks, numbers, remarks in brackets, case."""
    bare = _ASIDE.sub("", _ENDS.sub(r"\1", tidy(title)))
    return _NUMBERED.sub("", _MARKS.sub("", bare)).lower()


# ---- the header -----------------------------------------------------------------------------------------------------


def under_header(rows: Iterator[Row], sense: Sense) -> Table:
    """The table that begins within the first lines. Raises Unreadable: `batch-empty`, `batch-no-header`, too wide."""
    lines: list[list[str]] = []
    for _, row in zip(range(TITLE_LINES), rows, strict=False):
        check_width(row.cells)
        line = [tidy(cell) for cell in row.cells]
        above = lines[-1] if lines else []
        lines.append(line)
        header = line
        if not sense.is_header(line):
            header = _joined(above, line, sense)
            if not above or not sense.is_header(header):
                continue
        following = next(rows, None)
        while following and _goes_on(header, below := [tidy(cell) for cell in following.cells], sense):
            lines.append(below)
            header = _joined(header, below, sense)
            following = next(rows, None)
        while following and explains(header, [tidy(cell) for cell in following.cells], sense):
            following = next(rows, None)
        rest = chain([following], rows) if following else rows
        return Table(header, _data(rest, header, lines, sense))
    raise Unreadable("batch-no-header" if lines else "batch-empty")


def _joined(above: Sequence[str], below: Sequence[str], sense: Sense) -> list[str]:
    """One header of two lines: 有效期 above 止 is 有效期止, and what spans several columns counts for each."""
    titles, over = [], ""
    for at in range(max(len(above), len(below))):
        upper = above[at] if at < len(above) else ""
        lower = below[at] if at < len(below) else ""
        over = upper or over
        if not lower or lower == upper:
            titles.append(upper)
        elif sense.field(lower) and not sense.field(over + lower):
            titles.append(lower)
        else:
            titles.append(over + lower)
    return titles


def _goes_on(header: Sequence[str], below: Sequence[str], sense: Sense) -> bool:
    """Whether the line below a header belongs to it: it names further columns and nobody."""
    differing = [(upper, lower) for upper, lower in zip(header, below, strict=False) if lower and lower != upper]
    if not differing or any(char.isdigit() for _, lower in differing for char in lower):
        return False
    if any(sense.field(upper) in {"party_name", "entity_code"} for upper, _ in differing):
        return False
    same = any(lower and lower == upper for upper, lower in zip(header, below, strict=False))
    new = any(sense.field(title) for title in set(_joined(header, below, sense)) - set(header))
    return (same or new) and sense.is_header(_joined(header, below, sense))


_CHINESE = re.compile("[\u4e00-\u9fff]")


def explains(header: Sequence[str], below: Sequence[str], sense: Sense) -> bool:
    """Whether a line below the header only says what goes where: in another language, by number, or as hints."""
    said = [cell.strip("() ") for cell in below if cell]
    if len(said) > 1 and said == [str(number) for number in range(1, len(said) + 1)]:
        return True
    if sense.is_header(below):
        return True
    under = {field: cell for title, cell in zip(header, below, strict=False) if (field := sense.field(title)) and cell}
    code, day = under.get("entity_code", ""), under.get("evaluated_on", "")
    hints = bool(_CHINESE.search(code)) and bool(_CHINESE.match(day) or "Y" in day.upper())
    return hints or _EXAMPLE.match(under.get("party_name", "")) is not None


def check_width(cells: Sequence[str]) -> None:
    """Raises Unreadable where more columns are filled than a table for people has."""
    if len(cells) > MOST_COLUMNS and any(cells[MOST_COLUMNS:]):
        raise Unreadable("batch-too-wide", most=MOST_COLUMNS)


# ---- what is no row -------------------------------------------------------------------------------------------------

_EXAMPLE = re.compile(r"\(?(示例|样例|范例|例如|填写示例|举例)[,:)(]|(示例|样例)$")
_SUM = re.compile(r"(合\s*计|总\s*计|小\s*计|共\s*计|累\s*计|本页小计|本页合计|total|sum)\s*:?", re.IGNORECASE)
_REMARK = re.compile(
    r"(合\s*计|总\s*计|小\s*计|共\s*计|注\s*\d?\s*[:.、]|备注|说明|填表|制表|审核|复核|经办|联系|填报|报送|盖章|单位盖章"
    r"|负责人|单位负责人|数据来源|打印|附件?\s*\d?\s*:|[以共]\S{0,4}\s*\d+\s*[家户条个]|\(?以下(空白|无正文)"
    r"|\(?[一二三四五六七八九十]{1,3}[)、.]|第\s*\d+\s*页|notes?\s*:|remarks?\s*:|prepared by|signed|page \d)",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"(填表|制表|填报|审核|复核|审批|经办|负责|联系|报送|盖章|打印|单位负责|日期|电话)[^\d:]{0,8}:")
_FULL = 3
"""Cells with which a line is a row again."""
_WORDS = 4
"""Characters that are no grade: a line of these alone, where neither name nor code stands, is a signature or a day."""


def _data(rows: Iterator[Row], header: Sequence[str], lines: Sequence[Sequence[str]], sense: Sense) -> Iterator[Row]:
    width = len(header)
    passed = {_trimmed(line) for line in [*lines, header]}
    about = frozenset(at for at, title in enumerate(header) if sense.field(title) in {"party_name", "entity_code"})
    unnamed = frozenset(at for at, title in enumerate(header) if not sense.field(title))
    plain = _plain_start(passed)
    closing = False
    order: list[int] | None = None
    for count, row in enumerate(rows):
        if count >= MOST_ROWS:
            raise Unreadable("batch-too-long", most=MOST_ROWS)
        cells = row.cells
        if len(cells) > width:
            check_width(cells)
        if not closing and cells and plain(cells[0]) and len(cells) > 1 and cells[1][:1].isalnum():
            yield row if order is None else _ordered(row, order)
            continue
        said = {at: text for at, cell in enumerate(cells) if cell and (text := tidy(cell))}
        if not said and row.fault is None:
            continue
        line = [said.get(at, "") for at in range(len(cells))]
        if said and (_trimmed(line) in passed or _only_numbered(said, unnamed)):
            continue
        if len(said) > 1 and sense.is_header(line):
            order = _order(header, line, sense)
            continue
        if said and _is_remark(said, about, closing=closing):
            closing = True
            continue
        closing = closing and len(said) < _FULL
        yield row if order is None else _ordered(row, order)


def _order(header: Sequence[str], again: Sequence[str], sense: Sense) -> list[int]:
    """Where each column of the header stands from here on: a table below the first may have them in another order."""
    new = {sense.field(title) or title: at for at, title in reversed(list(enumerate(again))) if title}
    return [new.get(sense.field(title) or title, -1) if title else -1 for title in header]


def _ordered(row: Row, order: Sequence[int]) -> Row:
    return row._replace(cells=[row.cells[at] if 0 <= at < len(row.cells) else "" for at in order])


def _plain_start(passed: Iterable[Sequence[str]]) -> Callable[[str], bool]:
    """A quick test that a row which begins with this cell, and has a second, is neither title nor remark."""
    begun = {cell for line in passed for cell in line}
    leads = frozenset("合总小共累本注备说填制审复经联报盖单负数打附以第日电一二三四五六七八九十TtSs")

    def plain(cell: str) -> bool:
        lead = cell[:1]
        return lead.isalnum() and lead not in leads and cell.rstrip() not in begun

    return plain


def _trimmed(line: Sequence[str]) -> tuple[str, ...]:
    end = len(line)
    while end and not line[end - 1]:
        end -= 1
    return tuple(line[:end])


def _only_numbered(said: dict[int, str], unnamed: frozenset[int]) -> bool:
    """A line of a form that nobody filled in: 序号 alone."""
    at, text = next(iter(said.items()))
    return len(said) == 1 and at in unnamed and len(text) <= 7 and text.isdigit()


def _is_remark(cells: Mapping[int, str], about: frozenset[int], *, closing: bool) -> bool:
    """`about`: columns that say whom a row is about. `closing`: a remark stood before; single lines go on with it."""
    said = list(dict.fromkeys(cells.values()))
    first = said[0]
    if len(said) == 1 and (first.endswith("。") or (about.isdisjoint(cells) and len(first) >= _WORDS)):
        return True
    if _EXAMPLE.match(first) or _SUM.fullmatch(first) or _SIGNED.match(first):
        return True
    if len(said) <= 2 and _REMARK.match(first):
        return True
    return closing and len(said) == 1 and not first.isascii()
