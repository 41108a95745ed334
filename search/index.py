"""Keeps the search index level with the register: follows changes, rebuilds in bulk, notices a lost index."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import structlog

from portal.kit import db, jobs
from record import entities
from search import engine
from search.documents import EntityDocument, document

OVERLAP = timedelta(minutes=10)
"""A change may commit this long after its job was written; a rebuild follows again what is as recent."""

PROGRESS_EVERY = 5_000

Progress = Callable[[int, int | None], None]

log = structlog.get_logger()


def _silent(done: int, total: int | None) -> None:
    """Tell nobody."""


def follow(codes: Iterable[str]) -> None:
    """Bring these entities' documents to what the register says now. Safe to repeat."""
    wanted = list(dict.fromkeys(codes))
    with db.reading() as session:
        found = entities.by_codes(session, wanted)
    engine.current().write([document(one) for one in found], removed=set(wanted) - {one.code for one in found})


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

        engine.current().rebuild(documents(), total)
    for codes in jobs.recent("search.follow", since=started - OVERLAP):
        follow(codes)
    return engine.current().count()


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
