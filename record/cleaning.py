"""From the cells of one row of a registry file to an entity, or to the reason why it cannot be one.

A row is refused only when nobody could say which entity it is about; whatever else cannot be understood is kept as it
came, by the registry's own header.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from record import codes, columns, districts, industries, names, values, wordings
from record.columns import Layout

MAX_NAME = 300
MAX_CELL = 20_000
MAX_ADDRESS = 500
MAX_TYPE_TEXT = 100

REASONS: codes.Labels = {
    "columns": ("列数与表头不符", "The row has not as many columns as the header"),
    "name_missing": ("没有企业名称", "The name is missing"),
    "name_too_long": ("企业名称超过 300 字", "The name is longer than 300 characters"),
    "code_missing": ("没有统一社会信用代码", "The code is missing"),
    "code_rounded": (
        "代码被电子表格改成数字，末位已丢失；请将该列设为文本后重新导出",
        "A spreadsheet turned the code into a number and lost its last digits; export the column as text",
    ),
    "code_wrong": (
        "代码有误：既不是统一社会信用代码（GB 32100），也不是 15 位注册号",
        "The code is wrong: neither a unified social credit code (GB 32100) nor a 15-digit registration number",
    ),
    "code_repeated": (
        "同一代码在本文件中已出现，内容不同",
        "The same code came earlier in this file with different content",
    ),
    "cell_too_long": ("有单元格超过 2 万字", "A cell is longer than 20,000 characters"),
    "line_too_long": ("一行超过 1 MiB", "The line is longer than 1 MiB"),
    "quote_open": ("引号没有成对", "A quotation mark is never closed"),
    "encoding": ("无法按 UTF-8 或 GB18030 读出", "The line is neither UTF-8 nor GB18030"),
    "json": ("不是一个 JSON 对象", "The line is not a JSON object"),
}
"""Why a row was refused."""

_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+?\d{2}", re.ASCII)
_SPACES = re.compile(r"\s+")
_FORMER_SEPARATORS = re.compile(r"[;；、|\n\t]|(?<![A-Za-z.])[,，]|->|→")
# A mobile number, or an identity number, which has a birth date where a credit code has an organisation.
_PERSON_IN_VALUE = re.compile(
    r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)\d{6}(?:19|20)\d{2}[01]\d[0-3]\d{4}[\dXx](?![\dA-Za-z])", re.ASCII
)
_PLACE = re.compile(r"址|住所|场所|address|place", re.IGNORECASE)
_SHANGHAI = frozenset(["上海", "上海市", "shanghai", "310000", "31"])


class Refused(Exception):
    """This row cannot be an entity. `reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CleanRow(NamedTuple):
    """One entity as a registry file states it: the columns of `entity` that a registry decides, ready to be stored."""

    code: str
    name: str
    name_key: str
    district: str | None
    industry: str | None
    industry_division: str | None
    industry_source: str | None
    type: str
    type_text: str | None
    status: str | None
    established_on: str | None
    """YYYY-MM-DD."""
    capital_amount: int | None
    """Hundredths."""
    capital_currency: str | None
    scope: str | None
    address: str | None
    as_received: str | None
    """JSON text with sorted keys."""


class RawRow(NamedTuple):
    """A row as a file had it."""

    cells: list[str]
    fault: str | None = None
    """One of REASONS when the row could not even be read."""


@dataclass(slots=True)
class Batch:
    """Rows that stand together in a file, cleaned."""

    raw: Sequence[RawRow]
    """As they came, refused ones included."""
    rows: Sequence[tuple[Any, ...]]
    """Good rows: the values of a CleanRow each."""
    places: Sequence[int]
    """Where in `raw` each good row came from."""
    former: dict[str, list[str]]
    """Code -> former names that the row lists, oldest first."""
    refused: Sequence[tuple[int, str]]
    """Place in `raw`, and reason."""
    prepared: Sequence[Any] = ()
    """What a follower's `prepare` made of `rows`."""


Cleaned = tuple[list[CleanRow], list[int], dict[str, list[str]], list[tuple[int, str]]]
"""`rows`, `places`, `former` and `refused` of a batch."""


def clean_rows(layout: Layout, raw_rows: Sequence[RawRow]) -> Cleaned:
    """Clean rows of one file, in order. No row makes it fail."""
    rows: list[CleanRow] = []
    places: list[int] = []
    former: dict[str, list[str]] = {}
    refused: list[tuple[int, str]] = []
    for place, raw in enumerate(raw_rows):
        try:
            if raw.fault:
                raise Refused(raw.fault)
            row, older = clean(layout, raw.cells)
        except Refused as refusal:
            refused.append((place, refusal.reason))
            continue
        rows.append(row)
        places.append(place)
        if older:
            former[row.code] = older
    return rows, places, former, refused


def clean(layout: Layout, cells: list[str]) -> tuple[CleanRow, list[str]]:
    """The entity of one row and its former names. Raises Refused."""
    cells = _tidied(_as_wide_as(layout, cells))
    at = {fact: cells[index] for fact, index in layout.facts.items()}
    code, as_came = _code(at.get("code", ""), at.get("number", ""))
    name, name_key = _name(at["name"])
    keep = _Keeper(layout, cells)
    if not as_came:
        keep("code")
    section, division, source = _industry(at.get("industry", ""), name, keep)
    type_text = _short("type", at, MAX_TYPE_TEXT, keep)
    address = _short("address", at, MAX_ADDRESS, keep)
    amount, currency = _capital(layout, at, keep)
    row = CleanRow(
        code=code,
        name=name,
        name_key=name_key,
        district=_district(at, address, keep),
        industry=section,
        industry_division=division,
        industry_source=source,
        type=(type_text and wordings.entity_type(type_text)) or wordings.type_of_name(name, code),
        type_text=type_text or None,
        status=_understood("status", at, wordings.entity_status, keep),
        established_on=_understood("established_on", at, values.iso_date, keep),
        capital_amount=amount,
        capital_currency=currency,
        scope=at.get("scope") or None,
        address=address or None,
        as_received=keep.as_json(code),
    )
    former = at.get("former_names")
    return row, _former(former, name_key) if former else []


class _Keeper:
    """Collects what is kept as it came, by the registry's header."""

    __slots__ = ("cells", "kept", "layout")

    def __init__(self, layout: Layout, cells: list[str]) -> None:
        self.layout, self.cells = layout, cells
        self.kept = {header: value for index, header in layout.unknown if (value := cells[index])}

    def __call__(self, fact: str) -> None:
        index = self.layout.facts[fact]
        self.kept[columns.title(self.layout.header[index])] = self.cells[index]

    def as_json(self, code: str) -> str | None:
        """JSON text with sorted keys, without what says anything about a person."""
        if not self.kept:
            return None
        individual = codes.is_individual(code)
        kept = {
            header: value
            for header, value in self.kept.items()
            if not _PERSON_IN_VALUE.search(value) and not (individual and _PLACE.search(header))
        }
        return json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else None


def _tidied(cells: list[str]) -> list[str]:
    """The cells without outer spaces and controls; empty where they only say that there is nothing."""
    whole = "".join(cells)
    if len(whole) > MAX_CELL and max(map(len, cells)) > MAX_CELL:
        raise Refused("cell_too_long")
    if whole.isprintable():
        return ["" if (bare := cell.strip()) in values.NOTHING else bare for cell in cells]
    return [values.text(cell) for cell in cells]


def _name(cell: str) -> tuple[str, str]:
    """The name on one line, and its key. Raises Refused."""
    if not cell.isprintable() or "  " in cell:
        cell = _SPACES.sub(" ", cell)
    name = cell.strip("\"“”'")
    name_key = names.fold(name)
    if len(name) > MAX_NAME or len(name_key) > MAX_NAME:
        raise Refused("name_too_long")
    if not name_key:
        raise Refused("name_missing")
    return name, name_key


def _short(fact: str, at: dict[str, str], most: int, keep: _Keeper) -> str:
    """A fact's text; one that is longer than the register has room for is kept as it came instead."""
    cell = at.get(fact, "")
    if len(cell) <= most:
        return cell
    keep(fact)
    return ""


def _understood(fact: str, at: dict[str, str], read: Callable[[str], str | None], keep: _Keeper) -> str | None:
    """What `read` makes of a fact's cell; the cell is kept when that is nothing."""
    cell = at.get(fact)
    if not cell:
        return None
    value = read(cell)
    if value is None:
        keep(fact)
    return value


def _as_wide_as(layout: Layout, cells: list[str]) -> list[str]:
    width = len(layout.header)
    if len(cells) == width:
        return cells
    if len(cells) < width or any(map(str.strip, cells[width:])):
        raise Refused("columns")
    return cells[:width]


def _code(code: str, number: str) -> tuple[str, bool]:
    """The entity's code, and whether it stood there so. The registration number stands in where there is no code."""
    if codes.is_credit_code(code):
        return code, True
    for written in (code, number):
        if not written:
            continue
        plain = codes.normalise(written)
        if plain:
            return plain, True
        repaired = codes.repaired(written) if len(written) < 60 else None
        if repaired:
            return repaired, written is not code
        raise Refused("code_rounded" if _ROUNDED.fullmatch(written.upper()) else "code_wrong")
    raise Refused("code_missing")


def _industry(stated: str, name: str, keep: _Keeper) -> tuple[str | None, str | None, str | None]:
    if stated:
        section, division = industries.of_text(stated)
        if section:
            return section, division, "registered"
        keep("industry")
    section, division = industries.of_name(name)
    return section, division, "name" if section else None


def _district(at: dict[str, str], address: str, keep: _Keeper) -> str | None:
    province, city, stated = at.get("province", ""), at.get("city", ""), at.get("district", "")
    elsewhere = [fact for fact in ("province", "city") if at.get(fact) and not _is_shanghai(at[fact])]
    if stated and not elsewhere and districts.is_of_today(stated):
        return districts.of_name(stated)
    if (province or city) and len(elsewhere) == bool(province) + bool(city):
        for fact in [*elsewhere, *(["district"] if stated else [])]:
            keep(fact)
        return None
    for fact in elsewhere:
        keep(fact)
    if stated and districts.is_of_today(stated):
        return districts.of_name(stated)
    named = districts.of_name(stated) if stated else None
    if stated and not named and not _is_shanghai(stated):
        keep("district")
    return (
        (districts.of_address(address) if address else None) or named or (districts.of_zone(stated) if stated else None)
    )


def _is_shanghai(text: str) -> bool:
    return text.lower() in _SHANGHAI or text.startswith("上海市")


def _capital(layout: Layout, at: dict[str, str], keep: _Keeper) -> tuple[int | None, str | None]:
    """Hundredths and currency."""
    stated = at.get("capital", "")
    if not stated:
        return None, None
    word = at.get("currency", "")
    currency = values.currency_code(word) if word else layout.currency
    if word and not currency:
        keep("currency")
    capital = values.money(stated, layout.unit, currency) if len(stated) <= 60 else None
    if capital is None:
        keep("capital")
        return None, None
    return capital


def _former(text: str, name_key: str) -> list[str]:
    found: dict[str, str] = {}
    for part in _FORMER_SEPARATORS.split(text):
        name = " ".join(part.split())
        key = names.fold(name)
        if key and key != name_key and len(name) <= MAX_NAME and len(key) <= MAX_NAME:
            found.setdefault(key, name)
    return list(found.values())
