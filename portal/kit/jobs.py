"""Work that leaves after a commit. The row in the `job` table is the truth; a Celery message is only a nudge.

    @jobs.task("search.follow", on="entity.changed", queue="search")
    def follow(codes: list[str]) -> None: ...

    jobs.after_commit(session, "entity.changed", codes)   # one row for each subscriber, in the same transaction

A job may run twice, so a task must be safe to repeat. A process that dies costs a repeat, never a loss: its lease runs
out and the sweeper offers the row again.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args

import structlog
from sqlalchemy import JSON, ColumnElement, Index, String, delete, func, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db
from portal.kit.db import Base, UtcDateTime

Queue = Literal["search", "deliveries", "files", "snapshots", "mail"]
"""What work is for: each may have workers of its own, so that a long snapshot keeps no delivery waiting."""
QUEUES: tuple[Queue, ...] = get_args(Queue)
LIMITS: dict[Queue, int] = {"search": 3_600, "deliveries": 600, "files": 3_600, "snapshots": 14_400, "mail": 1_800}
"""Seconds that one run of a queue's task may take. `search` may index millions, `files` read as many rows."""
LEASE = timedelta(seconds=90)
"""How long after its last sign of life another worker may take a job over."""
RENEW_SECONDS = 20.0
"""How often a run gives a sign of life."""
RESEND = timedelta(seconds=10)
"""How long a nudge may go unanswered before the sweeper sends it again."""
MAX_TRIES = 12
LONGEST_BACKOFF = timedelta(hours=1)
KEEP_DONE = timedelta(days=7)
ITEMS_PER_JOB = 1_000

log = structlog.get_logger()


class Job(Base):
    """One piece of work: waiting, running, done, or failed for good after MAX_TRIES."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_state_due_at", "state", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(String(64))
    items: Mapped[list[Any]] = mapped_column(JSON)
    """What the task is called with: ids and codes, never content."""
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(200))
    """The last failure's class, without its text, which might quote what must not be stored."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    run: Callable[[list[Any]], None]
    queue: Queue


class Due(NamedTuple):
    """A job that nobody holds."""

    id: int
    queue: Queue


TASKS: dict[str, Task] = {}
SUBSCRIBERS: dict[str, list[str]] = {}


def task(
    name: str, *, queue: Queue, on: str | None = None
) -> Callable[[Callable[[list[Any]], None]], Callable[[list[Any]], None]]:
    """Register a function of a `tasks.py` under `name`, woken by the event `on` if one is given."""

    def register(function: Callable[[list[Any]], None]) -> Callable[[list[Any]], None]:
        TASKS[name] = Task(name, function, queue)
        subscribers = SUBSCRIBERS.setdefault(on, []) if on else []
        if name not in subscribers:
            subscribers.append(name)
        return function

    return register


def after_commit(session: Session, event: str, items: Sequence[Any]) -> None:
    """Tell every subscriber of `event` about `items` once the session's transaction has committed."""
    for name in SUBSCRIBERS.get(event, []):
        for start in range(0, len(items), ITEMS_PER_JOB):
            add(session, name, list(items[start : start + ITEMS_PER_JOB]))


def nudge(session: Session, event: str) -> None:
    """Wake every subscriber of `event` that keeps a cursor of its own, once the session's transaction has committed.

    A job that waits already does for all: it cannot begin before this transaction ends, and then finds everything.
    """
    for name in SUBSCRIBERS.get(event, []):
        # Held until the commit (on SQLite the writer holds everything), so that nobody takes it up before.
        there = select(Job.id).where(Job.task == name, Job.state == "waiting", Job.tries == 0, Job.due_at <= db.now())
        if session.scalar(there.limit(1).with_for_update(read=True, skip_locked=True)) is None:
            add(session, name, [])


def add(session: Session, task_name: str, items: list[Any], *, after: timedelta = timedelta(0)) -> None:
    """Write one job for one task; it runs once the session's transaction has committed and `after` is over."""
    moment = db.now()
    session.add(Job(task=task_name, items=items, state="waiting", due_at=moment + after, created_at=moment))


def is_waiting(session: Session, task_name: str) -> bool:
    """Whether a job of this task waits that nobody has begun."""
    there = select(Job.id).where(Job.task == task_name, Job.state == "waiting", Job.tries == 0)
    return session.scalar(there.limit(1)) is not None


def due(queues: Collection[Queue] = QUEUES, limit: int = 100) -> list[Due]:
    """Jobs of these queues that nobody holds, oldest first.

    Each is not offered again for a while, by whichever sweeper, so that nudges do not pile up.
    """
    moment = db.now()
    names = [one.name for one in TASKS.values() if one.queue in queues]
    orphaned = (Job.state == "running") & (Job.leased_until < moment)
    waiting = (Job.state == "waiting") & (Job.due_at <= moment)
    chosen = select(Job.id).where(waiting | orphaned, Job.task.in_(names)).order_by(Job.id).limit(limit)
    with db.reading() as session:
        ids = list(session.scalars(chosen))
    if not ids:
        return []
    with db.writing() as session:
        still = select(Job.id, Job.task).where(Job.id.in_(ids), waiting | orphaned).order_by(Job.id)
        found = session.execute(still.with_for_update(skip_locked=True)).all()
        offered = [row.id for row in found]
        session.execute(update(Job).where(Job.id.in_(offered), Job.state == "waiting").values(due_at=moment + RESEND))
    return [Due(row.id, TASKS[row.task].queue) for row in found]


def _lease(job_id: int) -> Job | None:
    moment = db.now()
    free = (Job.state == "waiting") | ((Job.state == "running") & (Job.leased_until < moment))
    lost = update(Job).where(Job.id == job_id, Job.tries >= MAX_TRIES, Job.state == "running", free)
    with db.writing() as session:
        session.execute(lost.values(state="failed", leased_until=None, error="WorkerLost"))
        taken = session.execute(
            update(Job)
            .where(Job.id == job_id, free)
            .values(state="running", leased_until=moment + LEASE, tries=Job.tries + 1)
        )
        if not isinstance(taken, CursorResult) or taken.rowcount != 1:
            return None
        return session.get_one(Job, job_id)


def _backoff(tries: int) -> timedelta:
    return min(timedelta(seconds=2**tries), LONGEST_BACKOFF)


def run(job_id: int, *, overrun: Callable[[], None] = lambda: None) -> bool:
    """Run one job if nobody else holds it. Returns whether it was run and succeeded; a failure is kept for later.

    `overrun` is called, in another thread, when it takes longer than its queue's limit: no sign of life comes from it
    after that.
    """
    job = _lease(job_id)
    if job is None:
        return False
    started = time.monotonic()
    try:
        with _held(job, overrun):
            TASKS[job.task].run(job.items)
    except Exception as error:  # the boundary: whatever a task raises is kept on its row, and tried again
        gave_up = job.tries >= MAX_TRIES
        log.warning(
            "job.failed",
            job=job.id,
            task=job.task,
            tries=job.tries,
            error=type(error).__name__,
            final=gave_up,
        )
        _settle(
            job,
            state="failed" if gave_up else "waiting",
            due_at=db.now() + _backoff(job.tries),
            error=type(error).__name__,
        )
        return False
    _settle(job, state="done", finished_at=db.now(), error=None)
    log.info("job.done", job=job.id, task=job.task, ms=round((time.monotonic() - started) * 1000))
    return True


@contextmanager
def _held(job: Job, overrun: Callable[[], None]) -> Iterator[None]:
    """Renew the job's lease for as long as the block runs, up to its queue's limit."""
    done = threading.Event()
    limit = time.monotonic() + LIMITS[TASKS[job.task].queue]

    def renew() -> None:
        while not done.wait(min(RENEW_SECONDS, max(0.0, limit - time.monotonic()))):
            if time.monotonic() >= limit:
                log.error("job.overran", job=job.id, task=job.task, tries=job.tries)
                overrun()
                return
            try:
                with db.writing() as session:
                    session.execute(update(Job).where(_ours(job)).values(leased_until=db.now() + LEASE))
            except OperationalError as error:
                log.warning("job.not_renewed", job=job.id, task=job.task, error=type(error).__name__)

    keeper = threading.Thread(target=renew, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _ours(job: Job) -> ColumnElement[bool]:
    return (Job.id == job.id) & (Job.state == "running") & (Job.tries == job.tries)


def _settle(job: Job, **values: object) -> None:
    """Write how the run ended, unless its lease had run out and another worker took the job over meanwhile."""
    with db.writing() as session:
        session.execute(update(Job).where(_ours(job)).values(leased_until=None, **values))


def drain(progress: Callable[[int], None] = lambda left: None, *, patience: timedelta = timedelta(minutes=10)) -> bool:
    """Run, or wait for whoever runs, every due job of a task that this process knows. Returns whether all are done.

    `progress` is told how many are left. Jobs that fail are left to their back-off, and the answer is False. Jobs that
    were added for later are left alone.
    """
    with db.reading() as session:
        newest = session.scalar(select(func.max(Job.id))) or 0
    deadline = time.monotonic() + patience.total_seconds()
    unfinished = select(Job.id, Job.tries, Job.state).where(
        Job.id <= newest, Job.state.in_(("waiting", "running")), Job.task.in_(TASKS)
    )
    while time.monotonic() < deadline:
        begun = (Job.tries > 0) | (Job.due_at <= db.now() + RESEND)  # a nudge puts off what is due by so much
        with db.reading() as session:
            left = session.execute(unfinished.where(begun).order_by(Job.id)).all()
        progress(len(left))
        if not left:
            return True
        fresh = [row.id for row in left if row.state == "waiting" and row.tries == 0]
        if not any(run(job_id) for job_id in fresh[:50]):
            if all(row.tries > 0 and row.state == "waiting" for row in left):
                return False
            time.sleep(0.1)
    return False


def recent(task_name: str, *, since: datetime) -> list[list[Any]]:
    """What a task was given since then, whatever became of it: for a follower that starts anew."""
    with db.reading() as session:
        return list(session.scalars(select(Job.items).where(Job.task == task_name, Job.created_at >= since)))


class Standing(NamedTuple):
    """What waits in one queue."""

    waiting: int
    oldest_seconds: float
    """How long ago the oldest job was written that is due and that nobody has begun."""


def standings(session: Session) -> dict[Queue, Standing]:
    """What waits, by queue."""
    moment = db.now()
    unbegun = (Job.state == "waiting") & (Job.tries == 0) & (Job.due_at <= moment + RESEND)
    asked = select(Job.task, func.count(), func.min(Job.created_at)).where(unbegun).group_by(Job.task)
    found = dict.fromkeys(QUEUES, Standing(0, 0.0))
    for name, waiting, oldest in session.execute(asked):
        queue = TASKS[name].queue if name in TASKS else "mail"
        age = max(0.0, (moment - oldest).total_seconds())
        found[queue] = Standing(found[queue].waiting + waiting, max(found[queue].oldest_seconds, age))
    return found


def failed(session: Session) -> int:
    """How many jobs were given up."""
    return session.scalar(select(func.count()).where(Job.state == "failed")) or 0


def purge() -> int:
    """Delete jobs that were done a week ago. Returns how many."""
    with db.writing() as session:
        gone = session.execute(delete(Job).where(Job.state == "done", Job.finished_at < db.now() - KEEP_DONE))
        return gone.rowcount if isinstance(gone, CursorResult) else 0
