"""Dates, numbers and money as each language writes them, for templates."""

import calendar
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from portal.kit import i18n

CITY_TIME = ZoneInfo("Asia/Shanghai")
"""What the law's days are counted in."""


_WAN, _YI = Decimal(10_000), Decimal(100_000_000)


def date_text(value: date) -> str:
    """`18 April 2003`, or `2003年4月18日`. A point in time is read in the city's zone."""
    if isinstance(value, datetime):
        value = value.astimezone(CITY_TIME)
    if i18n.current() == "zh":
        return f"{value.year}年{value.month}月{value.day}日"
    return f"{value.day} {calendar.month_name[value.month]} {value.year}"


def minute_text(value: datetime) -> str:
    """A point in time to the minute, in the city's zone: `18 April 2003, 14:05`, or `2003年4月18日 14:05`."""
    comma = "" if i18n.current() == "zh" else ","
    return f"{date_text(value)}{comma} {value.astimezone(CITY_TIME):%H:%M}"


def number_text(value: Decimal | int) -> str:
    """`1,680,000`; decimals only where there are some."""
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money_text(amount: Decimal, currency: str | None) -> str:
    """`168 万元人民币` or `1,680,000 yuan (CNY)`: never rounded, the currency always named when it is known."""
    if i18n.current() == "en":
        name = _currency_name(currency, "en") if currency else i18n.gettext("currency not stated")
        return f"{number_text(amount)} {name}" if currency else f"{number_text(amount)} ({name})"
    unit, divided = "", amount
    if amount >= _YI and amount % (_WAN * 100) == 0:
        unit, divided = "亿", amount / _YI
    elif amount >= _WAN:
        unit, divided = "万", amount / _WAN
    if currency is None:
        return f"{number_text(divided)} {unit}（{i18n.gettext('currency not stated')}）"
    name = "元人民币" if currency == "CNY" else _currency_name(currency, "zh")
    return f"{number_text(divided)} {unit}{name}"


@lru_cache(maxsize=256)
def _currency_name(currency: str, language: str) -> str:
    from babel.numbers import get_currency_name

    if currency == "CNY" and language == "en":
        return "yuan (CNY)"
    name = get_currency_name(currency, count=2, locale="zh_Hans_CN" if language == "zh" else "en")
    return name if language == "zh" else f"{name} ({currency})"


def code_parts(code: str) -> tuple[str, ...]:
    """A credit code in its parts (GB 32100): authority and kind, division, body, check, as in 91 310101 132414205 7."""
    if len(code) == 18:
        return code[:2], code[2:8], code[8:17], code[17:]
    if len(code) == 15:
        return code[:6], code[6:14], code[14:]
    return (code,)
