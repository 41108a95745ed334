"""Keeps the search index level with the register: follows changes, rebuilds in bulk, notices a lost index."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Self

import structlog

from portal.kit import db, jobs
from record import entities
from record.cleaners import Prepare
from search import engine
from search.documents import EntityDocument, document, prepared_rows
from search.engine import NoIndex

MEND = "search.mend"

OVERLAP = timedelta(minutes=10)
"""A change may commit this long after its job was written; a rebuild follows again what is as recent."""

SMALL = 100_000
"""A register of at most so many entities is indexed anew within seconds."""
LOST_FOR = timedelta(minutes=2)
"""An index that is gone may come back, with the disk that it lies on; after so long a large one is built anew."""

PROGRESS_EVERY = 5_000
CODES_AT_ONCE = 1_000

Progress = Callable[[int, int | None], None]

log = structlog.get_logger()


def _silent(done: int, total: int | None) -> None:
    """Tell nobody."""


def follow(codes: Iterable[str]) -> None:
    """Bring these entities' documents to what the register says now. Safe to repeat.

    Where there is no index, it is built anew from the whole register: at once, or soon if that takes long. Raises
    EngineUnavailable.
    """
    if not engine.current().count():
        _build_anew()
    else:
        _bring(codes)


def _bring(codes: Iterable[str]) -> None:
    wanted = list(dict.fromkeys(codes))
    with db.reading() as session:
        found = entities.by_codes(session, wanted)
    engine.current().write([document(one) for one in found], removed=set(wanted) - {one.code for one in found})


def _build_anew() -> None:
    """Raises NoIndex when it is put off."""
    with db.reading() as session:
        registered = entities.count(session)
    if registered <= SMALL:
        rebuild()
        return
    log.error("search.index_lost", registered=registered)
    with db.writing() as session:
        if not jobs.is_waiting(session, MEND):
            jobs.add(session, MEND, [], after=LOST_FOR)
    raise NoIndex("the index is built anew soon")


def rebuild(progress: Progress = _silent) -> int:
    """Build the index anew from the register, then catch up with what changed meanwhile. Returns its size."""
    started = db.now()
    with db.reading() as session:
        total = entities.count(session)

        def documents() -> Iterator[EntityDocument]:
            for done, row in enumerate(entities.stream(session), start=1):
                if done % PROGRESS_EVERY == 0:
                    progress(done, total)
                yield document(row)

        engine.current().rebuild(documents())
    _catch_up(started)
    return engine.current().count()


def _catch_up(started: datetime) -> None:
    for codes in jobs.recent("search.follow", since=started - OVERLAP):
        _bring(codes)


class FirstLoad:
    """Indexes the rows of a register's first load while they are stored (record.registry.Follower).

    Within a `with` block; at its end the new index goes live. After an error, or when no first load began, nothing.
    """

    def __init__(self) -> None:
        self._growing = ExitStack()
        self._filling: engine.Filling | None = None
        self._started = db.now()
        self._differing: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def begin(self) -> Prepare:
        self._started = db.now()
        self._filling = self._growing.enter_context(engine.current().filling())
        return partial(prepared_rows, self._filling.prepare)

    @property
    def began(self) -> bool:
        """Whether there was a first load to index."""
        return self._filling is not None

    def stored(self, prepared: Sequence[Any]) -> None:
        if self._filling:
            self._filling.add(prepared)

    def differs(self, codes: Sequence[str]) -> None:
        self._differing |= dict.fromkeys(codes)

    def __exit__(self, *error: Any) -> None:
        self._growing.__exit__(*error)
        if self._filling and error[0] is None:
            codes = iter(self._differing)
            while some := list(islice(codes, CODES_AT_ONCE)):
                _bring(some)
            _catch_up(self._started)


def bring_level(*, in_bulk: bool, progress: Progress = _silent) -> None:
    """Return once what was committed before is searchable: by a rebuild after a bulk load, else through the jobs."""
    if in_bulk or not engine.current().count():
        rebuild(progress)
    else:
        jobs.drain(lambda left: progress(0, left))


def mend() -> None:
    """Rebuild the index if it does not hold as many entities as the register: after a restore, or when it was lost."""
    with db.reading() as session:
        registered = entities.count(session)
    indexed = engine.current().count()
    if indexed != registered:
        log.warning("search.index_not_level", registered=registered, indexed=indexed)
        rebuild()
