"""Days and validities in the ways in which people write them. What has more than one meaning (5/3/2026) is no day."""

import calendar
import re
from datetime import date, datetime, timedelta, timezone

from partners.reading import EPOCH
from record.publication import months_after

_DIGITS = str.maketrans("〇零○OoＯ一二三四五六七八九", "000000123456789")
_BREAK = r"(?:\s*[-/.,、\\年。．‐‑‒–—−]\s*|\s+)"
_WRITTEN = rf"(\d{{4}}){_BREAK}(\d{{1,2}})(?:{_BREAK}|\s*月\s*)(\d{{1,2}})(?:\s*[日号])?(?![\d年月])"
_TIME = r"(?:[ T]*(?:上午|下午)?\s*\d{1,2}[:时]\d{2}(?:[:分]\d{2}(?:\.\d+)?秒?|分)?(\s*Z|\s*[+-]\d{2}:?\d{2})?)?"
_WEEKDAY = r"(?:\s*\(?(?:星期|周)[一二三四五六日天]\)?)?"
_DAY = re.compile(_WRITTEN + _WEEKDAY + _TIME + r"\.?")
_PLAIN = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0+)?")
_CHINESE = re.compile(
    r"([〇零○Oo0-9一二三四五六七八九]{4})年([一二三四五六七八九十]{1,3})月([一二三四五六七八九十]{1,3})[日号]"
)
_SERIAL = re.compile(r"(\d{5})(?:\.\d+)?")
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_FORMAL = str.maketrans("零壹贰叁肆伍陆柒捌玖拾", "〇一二三四五六七八九十")
_DAY_FIRST = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]*\.?,?[ -](\d{4})")
_MONTH_FIRST = re.compile(r"(?:[A-Za-z]{3},? )?([A-Za-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})")
_BEIJING = timezone(timedelta(hours=8))
_SHIFTED = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})")

_YEARS = re.compile(r"(?:有效期)?:?\s*(\d{1,2}|[一二两三四五六七八九十])\s*(?:年|周年|years?)")
_IN_MONTHS = re.compile(r"(\d{1,3})\s*(?:个月|months?)")
_FOREVER = frozenset(
    {"长期", "长期有效", "永久", "永久有效", "无固定期限", "无期限", "至长期", "9999-12-31", "9999-09-09"}
)
_ONE = re.compile(rf"{_WRITTEN}|(?<!\d)(\d{{4}})(\d{{2}})(\d{{2}})(?!\d)|{_CHINESE.pattern}")
_AROUND = re.compile(r"(有效期|[自从由起始截止至到于前日内为:~～\-‐‑‒–—−_,;/()\s]|to|until|from)*")


_ASIDE = re.compile(r"\((有效期)?[^()\d]{0,3}\d{0,2}个?[年月]?\)")


def day(text: str, epoch: date = EPOCH) -> date | None:
    """A day in any form that means only one: 2026-03-05, 2026.3.5, 2026年3月5日, 20260305, a spreadsheet's number.

    `epoch`: the day that the spreadsheet numbers 0. A moment in another time zone is the day that it is in Beijing.
    """
    found = _DAY.fullmatch(text)
    try:
        if found and found[4]:
            return _shifted(text)
        found = found or _PLAIN.fullmatch(text)
        if found:
            return date(int(found[1]), int(found[2]), int(found[3]))
        if _SERIAL.fullmatch(text):
            return epoch + timedelta(days=int(text.partition(".")[0]))
        return _in_words(text)
    except (ValueError, OverflowError):
        return None


def _shifted(text: str) -> date | None:
    found = _SHIFTED.fullmatch(text)
    if not found:
        return None
    moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3].replace('Z', '+00:00')}")
    return moment.astimezone(_BEIJING).date()


def _in_words(text: str) -> date | None:
    if found := _CHINESE.fullmatch(text.translate(_FORMAL)):
        return date(int(found[1].translate(_DIGITS)), _small(found[2]), _small(found[3]))
    if (found := _DAY_FIRST.fullmatch(text)) and found[2].lower() in _MONTHS:
        return date(int(found[3]), _MONTHS[found[2].lower()], int(found[1]))
    if (found := _MONTH_FIRST.fullmatch(text)) and found[1].lower() in _MONTHS:
        return date(int(found[3]), _MONTHS[found[1].lower()], int(found[2]))
    return None


def _small(text: str) -> int:
    """A Chinese number from 1 to 99. Raises ValueError for what is none, such as 三十十."""
    tens, ten, ones = text.replace("两", "二").partition("十")
    if not ten:
        if len(text) > 1:
            raise ValueError(text)
        return int(text.replace("两", "二").translate(_DIGITS))
    if len(tens) > 1 or len(ones) > 1:
        raise ValueError(text)
    return (int(tens.translate(_DIGITS)) if tens else 1) * 10 + (int(ones.translate(_DIGITS)) if ones else 0)


def last_day(text: str, begins: date | None, epoch: date = EPOCH) -> tuple[date | None, bool]:
    """The last day of a validity, and whether the text could be read: a day, two days, 3年, or 长期 (no end)."""
    if text in _FOREVER:
        return None, True
    found = day(text, epoch)
    if found:
        return found, True
    if begins and (months := _months(text)):
        return months_after(begins, months) - timedelta(days=1), True
    return _of_two(text)


def _months(text: str) -> int:
    if years := _YEARS.fullmatch(text):
        return 12 * (int(years[1]) if years[1].isdigit() else _small(years[1]))
    months = _IN_MONTHS.fullmatch(text)
    return int(months[1]) if months else 0


def _of_two(text: str) -> tuple[date | None, bool]:
    """2026.3.5-2029.3.4, 自2026年3月5日至长期, 至2029年3月4日止."""
    written = [day(one[0]) for one in _ONE.finditer(text)]
    left = _ASIDE.sub(" ", _ONE.sub(" ", text))
    if not written or len(written) > 2 or None in written:
        return None, False
    if len(written) == 1 and re.search(r"长期|永久", left):
        return None, _AROUND.fullmatch(re.sub(r"长期|永久|有效", " ", left)) is not None
    if not _AROUND.fullmatch(left) or (len(written) == 1 and re.search(r"[自从由起始]|from", left)):
        return None, False
    return written[-1], True
