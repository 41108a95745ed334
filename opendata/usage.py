"""How much open data is used: requests by day, by key or without one, and by what was asked for. Never by whom else.

Counted in each process and added up in the database every few seconds, so that a request never waits for it; a process
that is killed loses what it counted since.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from opendata.models import UsageCount
from portal.kit import db
from portal.kit.settings import get_settings
from record import publication

EVERY_SECONDS = 10.0
MOST_KINDS = 10_000
"""Different counts that a process keeps before it writes them down; what is new beyond that is not counted."""
_INSERT: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
log = structlog.get_logger()


class _Book:
    """What this process has counted and not yet written down."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[date, str, str]] = Counter()
        self._lock = threading.Lock()

    def note(self, counted: tuple[date, str, str]) -> None:
        with self._lock:
            if counted in self._counted or len(self._counted) < MOST_KINDS:
                self._counted[counted] += 1

    def flush(self) -> None:
        with self._lock:
            taken = dict(self._counted)
            self._counted.clear()
        if not taken:
            return
        try:
            _add(taken)
        except DBAPIError as error:
            log.warning("usage.not_written", error=type(error).__name__)
            with self._lock:
                self._counted.update(taken)


_book = _Book()


def note(what: str, prefix: str = "") -> None:
    """One request more for `what`, with the key of this prefix or without one."""
    _book.note((publication.today(), prefix, what[:80]))


def flush() -> None:
    """Add what was counted to the database. Where it is busy or away it is tried again the next time."""
    _book.flush()


@contextmanager
def written_down() -> Iterator[None]:
    """While this lasts, what is counted is written every few seconds, and at its end."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(EVERY_SECONDS):
            flush()

    writer = threading.Thread(target=write, name="usage", daemon=True)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        flush()


def _add(counted: Mapping[tuple[date, str, str], int]) -> None:
    table: Any = UsageCount.__table__
    rows = [
        {"day": day, "prefix": prefix, "what": what, "requests": number}
        for (day, prefix, what), number in sorted(counted.items())
    ]
    with db.writing() as session:
        insert = _INSERT[session.get_bind().dialect.name](table)
        more = {"requests": table.c.requests + insert.excluded.requests}
        session.execute(insert.on_conflict_do_update(index_elements=["day", "prefix", "what"], set_=more), rows)


def purge() -> int:
    """Forget counts that are kept no longer. Returns how many."""
    before = publication.today() - timedelta(days=get_settings().usage_days)
    with db.writing() as session:
        return len(session.execute(delete(UsageCount).where(UsageCount.day < before).returning(UsageCount.day)).all())


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """Requests of the last days."""

    by_day: Mapping[date, tuple[int, int]]
    """Without a key, and with one."""
    by_what: Mapping[str, int]
    """The most asked for first."""


DAYS = 30
MOST_NAMED = 50


def read(session: Session, prefixes: list[str] | None = None) -> Use:
    """Use over the last 30 days: of all, or of these keys."""
    table = UsageCount
    since = publication.today() - timedelta(days=DAYS - 1)
    chosen = [table.day >= since] + ([table.prefix.in_(prefixes)] if prefixes is not None else [])
    keyed = (table.prefix != "").label("keyed")
    by_day = {since + timedelta(days=number): (0, 0) for number in range(DAYS)}
    for day, with_key, number in session.execute(
        select(table.day, keyed, func.sum(table.requests)).where(*chosen).group_by(table.day, keyed)
    ):
        without, within = by_day.get(day, (0, 0))
        by_day[day] = (without, within + int(number)) if with_key else (without + int(number), within)
    total = func.sum(table.requests)
    named = select(table.what, total).where(*chosen).group_by(table.what).order_by(total.desc(), table.what)
    return Use(by_day, {what: int(number) for what, number in session.execute(named.limit(MOST_NAMED))})
