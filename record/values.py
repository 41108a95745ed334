"""Single cells of a registry file: nothing, dates, money. What is not understood is None, never a guess."""

import re
import unicodedata
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

_WORDS = (
    "- -- --- — —— / \\ \\N * n/a na #n/a nan null none nil (null)"
    " 无 暂无 空 未知 不详 未公示 未公开 企业选择不公示 无数据 0000-00-00"
)
NOTHING = frozenset(case(word) for word in ["", *_WORDS.split()] for case in (str, str.lower, str.upper, str.title))
"""What registries write where they know nothing."""
# Everything below a space but tab and line feed, DEL, C1, byte order marks, and halves of surrogate pairs.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")

_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[T\s].*)?", re.ASCII)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0)?", re.ASCII)
_EXCEL_SERIAL = re.compile(r"([2-6]\d{4})(?:\.\d+)?", re.ASCII)
_EXCEL_EPOCH = date(1899, 12, 30)
_FIRST_DAY = date(1840, 1, 1)
_AHEAD = timedelta(days=366)

CURRENCIES = {
    "人民币": "CNY", "RMB": "CNY", "CNY": "CNY", "¥": "CNY", "￥": "CNY",
    "美元": "USD", "美金": "USD", "USD": "USD", "US$": "USD",
    "港元": "HKD", "港币": "HKD", "香港元": "HKD", "HKD": "HKD", "HK$": "HKD",
    "日元": "JPY", "日圆": "JPY", "日币": "JPY", "JPY": "JPY",
    "欧元": "EUR", "EUR": "EUR", "英镑": "GBP", "GBP": "GBP",
    "德国马克": "DEM", "马克": "DEM", "DEM": "DEM", "法国法郎": "FRF", "法郎": "FRF", "FRF": "FRF",
    "瑞士法郎": "CHF", "CHF": "CHF", "比利时法郎": "BEF", "意大利里拉": "ITL", "里拉": "ITL",
    "荷兰盾": "NLG", "奥地利先令": "ATS", "芬兰马克": "FIM", "西班牙比塞塔": "ESP",
    "新加坡元": "SGD", "新加坡币": "SGD", "新元": "SGD", "SGD": "SGD",
    "加拿大元": "CAD", "加元": "CAD", "CAD": "CAD", "澳大利亚元": "AUD", "澳元": "AUD", "AUD": "AUD",
    "新西兰元": "NZD", "新西兰币": "NZD", "NZD": "NZD",
    "新台币": "TWD", "台币": "TWD", "台湾元": "TWD", "新台湾元": "TWD", "TWD": "TWD",
    "澳门元": "MOP", "澳门币": "MOP", "葡币": "MOP", "MOP": "MOP",
    "韩元": "KRW", "韩国元": "KRW", "韩币": "KRW", "KRW": "KRW", "泰铢": "THB", "泰国铢": "THB", "THB": "THB",
    "马来西亚林吉特": "MYR", "林吉特": "MYR", "马来西亚元": "MYR", "MYR": "MYR",
    "瑞典克朗": "SEK", "丹麦克朗": "DKK", "挪威克朗": "NOK", "俄罗斯卢布": "RUB", "卢布": "RUB", "印度卢比": "INR",
}  # fmt: skip
"""What registries call a currency -> ISO 4217."""

UNITS = {"": 1, "元": 1, "千": 10**3, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "万亿": 10**12}

_NAMES = "|".join(sorted(map(re.escape, CURRENCIES), key=len, reverse=True))
_MONEY = re.compile(
    rf"(?P<before>{_NAMES})?(?P<number>[+]?[\d,]*\d(?:\.\d*)?|\.\d+)\(?(?P<unit>万亿|千万|百万|[千万亿])?"
    rf"(?P<yuan>元|圆)?\(?(?P<after>{_NAMES})?(?P<yuan_after>元|圆)?\)?(?:整)?\)?",
    re.ASCII,
)
_MOST_CENTS = 10**18


class Money(NamedTuple):
    """A sum of money."""

    cents: int
    """Hundredths of the currency's unit, whether or not it has any."""
    currency: str | None
    """ISO 4217; None when the text names none."""


def text(cell: str) -> str:
    """`cell` without controls and outer spaces; empty when it only says that there is nothing."""
    if not cell.isprintable():
        cell = _CONTROLS.sub("", cell)
    cell = cell.strip()
    return "" if cell in NOTHING else cell


@lru_cache(maxsize=65_536)
def iso_date(cell: str) -> str | None:
    """`cell` as YYYY-MM-DD: 2026.3.5, 2026年3月5日, 20260305, 2026/3/5 00:00, or a spreadsheet's serial number.

    None for what is no date, and for days before 1840 or more than a year ahead.
    """
    wanted = unicodedata.normalize("NFKC", cell).strip()
    try:
        if found := _DATE.fullmatch(wanted) or _COMPACT_DATE.fullmatch(wanted):
            day = date(int(found[1]), int(found[2]), int(found[3]))
        elif found := _EXCEL_SERIAL.fullmatch(wanted):
            day = _EXCEL_EPOCH + timedelta(days=int(found[1]))
        else:
            return None
    except ValueError:
        return None
    return day.isoformat() if _FIRST_DAY <= day <= _latest() else None


@lru_cache(maxsize=1)
def _latest() -> date:
    return date.today() + _AHEAD  # noqa: DTZ011 a day's difference between zones does not matter a year ahead


@lru_cache(maxsize=65_536)
def money(cell: str, unit: str = "", currency: str | None = None) -> Money | None:
    """`cell` as a sum: 1,000(万元人民币), 168万人民币, 50(万美元), 人民币50万元, 3.1000(万).

    `unit` (万) and `currency` are what the column's header or another column says; the cell's own words win. None when
    there is no number, or when nobody says whether a bare number counts yuan or tens of thousands.
    """
    wanted = "".join(unicodedata.normalize("NFKC", cell).upper().split())
    found = _MONEY.fullmatch(wanted)
    if not found or len(wanted) > 60:
        return None
    try:
        number = Decimal(found["number"].replace(",", ""))
    except InvalidOperation:
        return None
    named = found["before"] or found["after"]
    yuan = found["yuan"] or found["yuan_after"]
    stated = CURRENCIES[named] if named else "CNY" if yuan and not currency else currency
    counted_in = found["unit"] or ("元" if yuan else unit or ("元" if named else ""))
    if not counted_in and number:
        return None
    cents = number * UNITS[counted_in] * 100
    return Money(round(cents), stated) if cents < _MOST_CENTS else None


@lru_cache(maxsize=256)
def currency_code(cell: str) -> str | None:
    """ISO 4217 of a currency's name or code in a column of its own."""
    wanted = "".join(unicodedata.normalize("NFKC", cell).upper().split())
    return CURRENCIES.get(wanted) or CURRENCIES.get(wanted.removesuffix("元"))
