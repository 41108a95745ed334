"""Working days (工作日) of the city's offices: weekends, public holidays, and the weekends that make up for them.

    due = Calendar.of(session).after(received_on, 7)     # Due(day=date(2026, 12, 2), provisional=False)

Three sources, the first that knows a day decides: what officers entered (`calendar_day`); the State Council's yearly
arrangement as `chinesecalendar` holds it; the statutory holidays (`holidays`). The last knows no make-up days, so what
rests on it is provisional until the arrangement of that year is out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple, Self

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.db import Base

_ONE = timedelta(days=1)


class CalendarDay(Base):
    """A day that officers declared a working day or a day off, against what the calendars say."""

    __tablename__ = "calendar_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    working: Mapped[bool]
    because: Mapped[str] = mapped_column(String(200))
    """The arrangement's number, such as 国办发明电〔2025〕7号."""


class Due(NamedTuple):
    """The last day of a period."""

    day: date
    provisional: bool
    """A day in between may still turn into a working day or a day off."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The city's working days, with what officers entered so far."""

    declared: Mapping[date, bool]

    @classmethod
    def of(cls, session: Session) -> Self:
        """The calendar as it stands now."""
        return cls(dict(session.execute(select(CalendarDay.day, CalendarDay.working)).all()))

    @staticmethod
    def declared_days(session: Session, *, since: date) -> Sequence[CalendarDay]:
        """What officers entered, from a day on: a few dozen days a year."""
        return session.scalars(select(CalendarDay).where(CalendarDay.day >= since).order_by(CalendarDay.day)).all()

    def is_working(self, day: date) -> tuple[bool, bool]:
        """Whether a day is a working day, and whether that is only provisional."""
        if day in self.declared:
            return self.declared[day], False
        arranged = _arranged(day)
        if arranged is not None:
            return arranged, False
        return day.weekday() < 5 and day not in _statutory(day.year), True

    def after(self, start: date, days: int) -> Due:
        """The `days`th working day after `start`, which does not count itself (民法典 art. 201)."""
        day, provisional, left = start, False, days
        while left > 0:
            day += _ONE
            working, unsure = self.is_working(day)
            provisional |= unsure
            left -= working
        return Due(day, provisional)

    def from_or_after(self, day: date) -> Due:
        """The day, or where it is a day off the next working day (民法典 art. 203)."""
        provisional = False
        while True:
            working, unsure = self.is_working(day)
            provisional |= unsure
            if working:
                return Due(day, provisional)
            day += _ONE

    def between(self, start: date, end: date) -> int:
        """How many working days lie after `start`, up to `end`; negative when `end` is before `start`."""
        if end < start:
            return -self.between(end, start)
        return sum(self.is_working(start + timedelta(days=n))[0] for n in range(1, (end - start).days + 1))


@lru_cache(maxsize=4_000)
def _arranged(day: date) -> bool | None:
    """Whether the State Council's arrangement makes it a working day; None for a year it is not known for."""
    import chinese_calendar

    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


@lru_cache(maxsize=16)
def _statutory(year: int) -> frozenset[date]:
    """Holidays of a year by 全国年节及纪念日放假办法."""
    import holidays

    return frozenset(holidays.country_holidays("CN", years=year))
