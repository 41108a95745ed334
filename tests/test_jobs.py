"""Work that leaves after a commit is done once its transaction is, and is never lost."""

import multiprocessing
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db, jobs
from portal.kit.jobs import Job

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the task `probe.note` was called with; it subscribes to the event `probe.happened`."""
    monkeypatch.setattr(jobs, "TASKS", dict(jobs.TASKS))
    monkeypatch.setattr(jobs, "SUBSCRIBERS", dict(jobs.SUBSCRIBERS))
    calls: list[Any] = []
    jobs.task("probe.note", queue="search", on="probe.happened")(calls.append)
    return calls


def states() -> list[str]:
    with db.reading() as session:
        return list(session.scalars(select(Job.state).order_by(Job.id)))


def test_an_event_reaches_its_subscriber_after_the_commit(seen: list[Any]) -> None:
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", ["a", "b"])
        assert jobs.due() == []
    assert jobs.drain()
    assert seen == [["a", "b"]]
    assert states() == ["done"]


def test_a_rolled_back_transaction_leaves_no_job(seen: list[Any]) -> None:
    def begin_and_fail() -> None:
        with db.writing() as session:
            jobs.after_commit(session, "probe.happened", ["a"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    assert jobs.drain()
    assert seen == []


def test_many_items_become_jobs_of_a_thousand(seen: list[Any]) -> None:
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", list(range(2_500)))
    assert jobs.drain()
    assert sorted(len(call) for call in seen) == [500, 1_000, 1_000]


def test_a_failing_job_is_kept_and_tried_again_later(monkeypatch: pytest.MonkeyPatch, seen: list[Any]) -> None:
    def fail(items: list[Any]) -> None:
        raise RuntimeError("quotes a secret")

    jobs.task("probe.note", queue="search")(fail)
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", ["a"])
    assert not jobs.drain()
    with db.writing() as session:
        job = session.scalars(select(Job)).one()
        assert (job.state, job.tries, job.error) == ("waiting", 1, "RuntimeError")
        assert job.due_at > db.now()
        job.due_at = db.now()
    jobs.task("probe.note", queue="search")(seen.append)
    [due] = jobs.due()
    assert jobs.run(due.id)
    assert seen == [["a"]]


def test_a_job_that_never_succeeds_ends_as_failed_for_an_officer_to_see(seen: list[Any]) -> None:
    jobs.task("probe.note", queue="search")(lambda items: 1 / 0)  # type: ignore[arg-type, return-value]
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", ["a"])
    for _ in range(jobs.MAX_TRIES):
        with db.writing() as session:
            session.scalars(select(Job)).one().due_at = db.now()
        [due] = jobs.due()
        assert not jobs.run(due.id)
    assert states() == ["failed"]
    assert jobs.due() == []


def test_a_job_for_later_waits_for_its_time_and_nobody_waits_for_it(seen: list[Any]) -> None:
    with db.writing() as session:
        jobs.add(session, "probe.note", ["later"], after=timedelta(minutes=5))
        jobs.add(session, "probe.note", ["now"])
    started = time.monotonic()
    assert jobs.drain()
    assert time.monotonic() - started < 5
    assert seen == [["now"]]
    assert jobs.due() == []
    with time_machine.travel(db.now() + timedelta(minutes=5, seconds=1)):
        assert [jobs.run(due.id) for due in jobs.due()] == [True]
    assert seen == [["now"], ["later"]]


def test_a_nudge_is_not_repeated_while_it_is_fresh(seen: list[Any]) -> None:
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", ["a"])
    assert len(jobs.due()) == 1
    assert jobs.due() == []


def test_two_workers_never_run_the_same_job(seen: list[Any]) -> None:
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", ["a"])
    [due] = jobs.due()
    assert [jobs.run(due.id), jobs.run(due.id)] == [True, False]
    assert len(seen) == 1


def _hang(marker: str) -> None:
    def stay(items: list[Any]) -> None:
        Path(marker).touch()
        time.sleep(60)

    jobs.task("probe.note", queue="search")(stay)
    jobs.run(jobs.due()[0].id)


def test_a_job_whose_worker_was_killed_is_run_again_when_its_lease_ends(seen: list[Any], tmp_path: Path) -> None:
    with db.writing() as session:
        jobs.after_commit(session, "probe.happened", ["a"])
    marker = tmp_path / "began"
    child = multiprocessing.get_context("spawn").Process(target=_hang, args=(str(marker),))
    child.start()
    while not marker.exists():
        time.sleep(0.02)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert states() == ["running"]
    assert jobs.due() == []
    with db.writing() as session:
        _end_lease(session)
    [due] = jobs.due()
    assert jobs.run(due.id)
    assert seen == [["a"]]
    assert states() == ["done"]


def _end_lease(session: Session) -> None:
    session.scalars(select(Job)).one().leased_until = db.now() - timedelta(seconds=1)


def test_jobs_done_long_ago_are_forgotten_and_others_kept(seen: list[Any]) -> None:
    for _ in range(3):
        with db.writing() as session:
            jobs.after_commit(session, "probe.happened", ["a"])
    assert jobs.drain()
    with db.writing() as session:
        first = session.scalars(select(Job).order_by(Job.id)).first()
        assert first is not None
        first.finished_at = db.now() - jobs.KEEP_DONE - timedelta(seconds=1)
    assert jobs.purge() == 1
    assert len(states()) == 2
