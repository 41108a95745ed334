"""When planned work is due: kept in the database, so that any number of workers plan each task once.

    timetable.plan({"record.deliver": Every(minutes=5)})    # what every worker asks, again and again

The rows of `planned_task` are the clock. Who finds one due moves it on and writes the job in one transaction; others
pass it by. What fell due while nobody worked is made up for once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db, jobs
from portal.kit.db import Base, UtcDateTime

SHANGHAI = timezone(timedelta(hours=8))
"""UTC+8, without summer time."""


class PlannedTask(Base):
    """One task of the timetable, and when it is due next."""

    __tablename__ = "planned_task"

    task: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Rhythm(Protocol):
    """When something happens again and again."""

    def after(self, moment: datetime) -> datetime:
        """The first time later than `moment`."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many minutes, counted from the hour."""

    minutes: int

    def after(self, moment: datetime) -> datetime:
        start = moment.astimezone(SHANGHAI).replace(minute=0, second=0, microsecond=0)
        passed = (moment - start) // timedelta(minutes=self.minutes) + 1
        return start + passed * timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True)
class Hourly:
    """Every hour at this minute."""

    minute: int

    def after(self, moment: datetime) -> datetime:
        found = moment.astimezone(SHANGHAI).replace(minute=self.minute, second=0, microsecond=0)
        return found if found > moment else found + timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Daily:
    """Every day at this time in Shanghai."""

    hour: int
    minute: int

    def after(self, moment: datetime) -> datetime:
        found = moment.astimezone(SHANGHAI).replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return found if found > moment else found + timedelta(days=1)


def set_up(tasks: Mapping[str, Rhythm]) -> None:
    """Bring the rows level with the timetable: new tasks fall due at their next time, others are forgotten."""
    with db.reading() as session:
        known = set(session.scalars(select(PlannedTask.task)))
    if known == set(tasks):
        return
    moment = db.now()
    with db.writing() as session:
        session.execute(delete(PlannedTask).where(PlannedTask.task.not_in(tasks)))
        for task in set(tasks) - known:
            _add(session, task, tasks[task].after(moment))


def _add(session: Session, task: str, next_at: datetime) -> None:
    try:
        with session.begin_nested():
            session.execute(insert(PlannedTask).values(task=task, next_at=next_at))
    except IntegrityError:
        return  # another worker came first


def plan(tasks: Mapping[str, Rhythm]) -> int:
    """Write a job for every task that is due. Returns how many this worker wrote."""
    moment = db.now()
    due = select(PlannedTask).where(PlannedTask.next_at <= moment, PlannedTask.task.in_(tasks))
    with db.reading() as session:
        if session.scalar(due.limit(1)) is None:
            return 0
    with db.writing() as session:
        found = session.scalars(due.with_for_update(skip_locked=True)).all()
        for one in found:
            one.next_at = tasks[one.task].after(moment)
            jobs.add(session, one.task, [])
        return len(found)
