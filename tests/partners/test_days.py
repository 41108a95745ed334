"""Days and validities: whatever way a day is written in, the same day is read, and nothing else is."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from partners import days, marking
from partners.reading import EPOCH

DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2099, 12, 31))
DIGITS = "〇一二三四五六七八九"


def small(number: int) -> str:
    """A number from 1 to 31 in Chinese."""
    tens, ones = divmod(number, 10)
    return ("" if tens < 2 else DIGITS[tens]) + ("十" if tens else "") + (DIGITS[ones] if ones else "")


def forms(day: date) -> list[str]:
    """Every way in which the day is written."""
    year, month, number = day.year, day.month, day.day
    plain = [f"{year}{mark}{month}{mark}{number}" for mark in "-/.年—"]
    padded = [f"{day:%Y-%m-%d}", f"{day:%Y.%m.%d}", f"{day:%Y/%m/%d}", f"{day:%Y%m%d}", f"{day:%Y年%m月%d日}"]
    chinese = f"{''.join(DIGITS[int(digit)] for digit in str(year))}年{small(month)}月{small(number)}日"
    serial = (day - EPOCH).days
    moments = [f"{day} 00:00:00", f"{day}T23:59:59", f"{day}T00:00:00+08:00", f"{day - timedelta(1)}T16:00:00Z"]
    return [
        *plain,
        *padded,
        *moments,
        chinese,
        f"{year}年{month}月{number}日",
        str(serial),
        f"{serial}.5",
        f"{day:%-d %b %Y}",
    ]


@settings(deadline=None)
@given(DAYS)
def test_every_way_of_writing_a_day_is_read_as_that_day(day: date) -> None:
    assert {form: days.day(form) for form in forms(day)} == dict.fromkeys(forms(day), day)


@settings(deadline=None)
@given(DAYS, DAYS, st.sampled_from(["至", "到", "-", "—", "~", "～", " 至 ", " - ", "--"]), st.integers(0, 10))
def test_of_two_days_the_second_ends_the_validity(begins: date, ends: date, between: str, form: int) -> None:
    of = ["%Y.%m.%d", "%Y-%m-%d", "%Y年%m月%d日", "%Y/%m/%d", "%Y%m%d"][form % 5]
    written = f"{begins.strftime(of)}{between}{ends.strftime(of)}"
    assert days.last_day(written, begins) == (ends, True)
    assert days.last_day(f"自{begins.strftime(of)}起至{ends.strftime(of)}止", begins) == (ends, True)


@settings(deadline=None)
@given(DAYS, st.integers(1, 10))
def test_a_term_ends_the_day_before_the_same_day_years_later(begins: date, years: int) -> None:
    end, readable = days.last_day(f"{years}年", begins)
    assert readable
    assert end is not None
    assert days.last_day(f"{years * 12}个月", begins) == (end, True)
    after = end + timedelta(days=1)
    assert (after.year, after.month) in {(begins.year + years, begins.month), (begins.year + years, begins.month + 1)}
    assert after.day == begins.day or begins.day == 29


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_makes_the_reading_of_days_fail(text: str) -> None:
    found = days.day(text)
    assert found is None or any(char.isdigit() or char in DIGITS for char in text)
    days.last_day(text, date(2026, 3, 5))


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(list("0123456789年月日.-/至 ")), max_size=24))
def test_what_looks_like_a_day_is_one_day_or_none(text: str) -> None:
    found = days.day(text)
    if found is not None and len(text) > 7:
        assert str(found.year) in text
        assert str(found.day) in text


@settings(deadline=None)
@given(st.text(max_size=30).map(lambda text: text[:1] + text) | st.from_regex(r"[\s]*[=+\-@＝][A-Za-z0-9(|!]+"))
def test_no_cell_that_we_give_back_computes(cell: str) -> None:
    given_back = marking.harmless(cell)
    assert given_back in {cell, f"'{cell}"}
    assert not given_back.lstrip().startswith(("=", "+", "-", "@", "＝"))
    assert not given_back.startswith(("\t", "\r", "\n"))
