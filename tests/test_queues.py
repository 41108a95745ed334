"""Workers over Redis: each does its own queues' work, nothing is lost or planned twice, whatever dies meanwhile."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from typer.testing import CliRunner

from bench import redis
from portal import cli, worker
from portal.kit import db, jobs, timetable
from portal.kit.jobs import Job
from portal.kit.timetable import Daily, Every, Hourly, PlannedTask

pytestmark = pytest.mark.usefixtures("database")

WORKER = """
import sys, time
from pathlib import Path
from portal.kit import jobs
folder, limit, queues, name = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(","), sys.argv[4]

def note(items):
    with (folder / "done").open("a") as file:
        file.write(f"{name} {items[0]}\\n")

def stay(items):
    (folder / "began").touch()
    time.sleep(60 if not (folder / "released").exists() else 0)
    note(items)

from portal import worker
jobs.task("probe.quick", queue="mail")(note)
jobs.task("probe.slow", queue="files")(stay)
worker.TIMETABLE.clear()
jobs.LIMITS["files"] = limit
worker.work(queues, concurrency=2, name=name)
"""
"""A worker with two tasks: one that notes who did it, one that stays until it is released."""


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "TASKS", dict(jobs.TASKS))
    jobs.task("probe.quick", queue="mail")(lambda items: None)
    jobs.task("probe.slow", queue="files")(lambda items: None)


@pytest.fixture(scope="module")
def broker() -> Iterator[redis.Server]:
    with redis.server() as running:
        yield running


@pytest.fixture
def start(broker: redis.Server, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a worker for some queues; all are ended with the test. What they do stands in `done`."""
    with ExitStack() as stack:

        def started(name: str, queues: str, *, limit: float = 600.0) -> subprocess.Popen[bytes]:
            log = stack.enter_context((tmp_path / f"{name}.log").open("ab"))
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path), str(limit), queues, name],
                env={**os.environ, "PORTAL_BROKER_URL": broker.url, "PORTAL_LOG_JSON": "true"},
                cwd=Path(__file__).parents[1],
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield started


def add(task: str, *items: str) -> None:
    with db.writing() as session:
        for item in items:
            jobs.add(session, task, [item])


def jobs_now() -> list[Job]:
    with db.reading() as session:
        return list(session.scalars(select(Job).order_by(Job.id)))


def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, [(one.task, one.state, one.tries, one.error) for one in jobs_now()]
        time.sleep(0.05)


def all_done() -> bool:
    return all(one.state == "done" for one in jobs_now())


def done(folder: Path) -> list[str]:
    path = folder / "done"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_each_worker_does_the_work_of_its_own_queues(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "released").touch()
    start("letters", "mail")
    start("reading", "files,snapshots")
    add("probe.quick", "a", "b")
    add("probe.slow", "c")
    until(all_done)
    assert done(tmp_path) == ["letters a", "letters b", "reading c"]


def test_a_job_whose_worker_was_killed_is_done_by_another_and_redis_may_die_meanwhile(
    start: Callable[..., Any], broker: redis.Server, tmp_path: Path
) -> None:
    killed = start("first", "files,mail")
    add("probe.slow", "a")
    until((tmp_path / "began").exists)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    broker.kill()
    (tmp_path / "released").touch()
    start("second", "files,mail")
    add("probe.quick", *map(str, range(30)))
    with db.writing() as session:
        [one] = session.scalars(select(Job).where(Job.task == "probe.slow"))
        one.leased_until = db.now() - timedelta(seconds=1)
    log = tmp_path / "second.log"
    until(lambda: b"broker.away" in log.read_bytes())
    assert not all_done()
    broker.start()
    until(all_done, seconds=60)
    assert done(tmp_path) == sorted(["second a", *(f"second {number}" for number in range(30))])
    assert log.read_bytes().count(b"broker.away") == log.read_bytes().count(b"broker.back") == 1


def test_a_job_that_takes_too_long_ends_its_worker_and_is_tried_again(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    process = start("slow", "files", limit=1.0)
    add("probe.slow", "a")
    assert process.wait(timeout=30) == worker.OVERRAN
    assert [(one.state, one.tries) for one in jobs_now()] == [("running", 1)]


def test_a_run_that_lives_keeps_its_lease_and_one_that_died_too_often_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "RENEW_SECONDS", 0.05)
    renewed = threading.Event()

    def wait_for_a_sign_of_life(_items: list[Any]) -> None:
        [before] = [one.leased_until for one in jobs_now()]
        while [one.leased_until for one in jobs_now()] == [before]:
            time.sleep(0.02)
        renewed.set()

    jobs.task("probe.quick", queue="mail")(wait_for_a_sign_of_life)
    add("probe.quick", "a")
    [due] = jobs.due(["mail"])
    assert jobs.run(due.id)
    assert renewed.is_set()
    with db.writing() as session:
        one = session.scalars(select(Job)).one()
        one.state, one.tries, one.leased_until = "running", jobs.MAX_TRIES, db.now() - timedelta(seconds=1)
    assert not jobs.run(due.id)
    assert [(one.state, one.error) for one in jobs_now()] == [("failed", "WorkerLost")]


def test_sweepers_of_other_queues_leave_a_job_alone() -> None:
    add("probe.quick", "a")
    assert jobs.due(["search", "files"]) == []
    assert [due.queue for due in jobs.due(["mail"])] == ["mail"]


# ---- the timetable --------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
"""In Shanghai."""


@pytest.mark.parametrize(
    ("rhythm", "then"),
    [
        (Every(minutes=5), timedelta(minutes=5)),
        (Hourly(35), timedelta(minutes=35)),
        (Hourly(0), timedelta(hours=1)),
        (Daily(12, 1), timedelta(minutes=1)),
        (Daily(12, 0), timedelta(days=1)),
        (Daily(0, 5), timedelta(hours=12, minutes=5)),
    ],
)
def test_a_rhythm_says_its_next_time_in_shanghai(rhythm: timetable.Rhythm, then: timedelta) -> None:
    assert rhythm.after(NOON) == NOON + then


def _plans(barrier: Any, planned: Any) -> None:
    barrier.wait()
    planned.put(timetable.plan({"probe.quick": Daily(12, 1)}))


def test_workers_that_look_at_once_plan_a_task_once_and_make_up_for_a_night_once() -> None:
    tasks: dict[str, timetable.Rhythm] = {"probe.quick": Daily(12, 1)}
    with time_machine.travel(NOON, tick=False):
        timetable.set_up({**tasks, "probe.gone": Every(minutes=5)})
        timetable.set_up(tasks)
        assert timetable.plan(tasks) == 0
    with db.writing() as session:
        session.scalars(select(PlannedTask)).one().next_at = db.now() - timedelta(days=3)
    context = multiprocessing.get_context("spawn")
    barrier, planned = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_plans, args=(barrier, planned)) for _ in range(3)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    assert sorted(planned.get(timeout=5) for _ in workers) == [0, 0, 1]
    assert [one.task for one in jobs_now()] == ["probe.quick"]
    assert timetable.plan(tasks) == 0


def test_a_worker_of_its_own_needs_a_broker_and_queues_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    without = CliRunner().invoke(cli.app, ["worker"])
    assert without.exit_code == 1
    assert "PORTAL_BROKER_URL" in without.output
    assert CliRunner().invoke(cli.app, ["worker", "--queues", "mail,parcels"]).exit_code == 2
