"""The Celery application: runs the jobs of the `job` table, and the whole timetable.

`python -m portal.worker` is the one worker process of an embedded portal: Celery over its in-memory broker, the
sweeper and beat as threads beside it. With a real broker, any number of workers run the same module.
"""

import os
import sys
import threading
import time
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.beat import Scheduler, Service
from celery.schedules import crontab
from sqlalchemy.exc import OperationalError

from opendata import tasks as opendata_tasks
from partners import tasks as partners_tasks
from portal import retention
from portal.kit import db, jobs, logs
from portal.kit.settings import get_settings
from record import tasks as record_tasks
from reporting import tasks as reporting_tasks
from search import tasks as search_tasks

__all__ = ["celery", "opendata_tasks", "partners_tasks", "record_tasks", "reporting_tasks", "search_tasks"]

SWEEP_EVERY_SECONDS = 0.25

# The whole timetable: when which task of a `tasks.py` is put into the job table. Times are Shanghai's.
TIMETABLE = {
    "withdraw what has come to the end of its term": {
        "schedule": crontab(minute=5, hour=0),
        "args": ("record.close_windows",),
    },
    "follow switches of kinds that take effect today": {
        "schedule": crontab(minute=2, hour=0),
        "args": ("record.level_flags",),
    },
    "set last days that rested on an unknown calendar": {
        "schedule": crontab(minute=15, hour=0),
        "args": ("record.mend_calendar",),
    },
    "deliver what is due and what a crash left lying": {
        "schedule": crontab(minute="*/5"),
        "args": ("record.deliver",),
    },
    "mail followers what waited its hour, or failed": {
        "schedule": crontab(minute="*/5"),
        "args": ("record.mail_followers",),
    },
    "set last days of tip-offs, and note which are late": {
        "schedule": crontab(minute=20, hour=0),
        "args": ("reporting.mend_clocks",),
    },
    "set last days of disputes about ratings": {
        "schedule": crontab(minute=25, hour=0),
        "args": ("partners.mend_clocks",),
    },
    "write the files of open data": {
        "schedule": crontab(minute=40, hour=4),
        "args": ("opendata.snapshot",),
    },
    "write the files of yesterday's changes": {
        "schedule": crontab(minute=35, hour=0),
        "args": ("opendata.deltas",),
    },
    "remind consumers that are behind withdrawals": {
        "schedule": crontab(minute=10, hour=9),
        "args": ("opendata.remind",),
    },
    "write the files of data sets that have none yet": {
        "schedule": crontab(minute="*/10"),
        "args": ("opendata.begin",),
    },
    "publish data sets onwards: kinds that were switched off, and what failed": {
        "schedule": crontab(minute=35),
        "args": ("opendata.publish_ckan",),
    },
    "compute the scorecards of partners": {
        "schedule": crontab(minute=20, hour=4),
        "args": ("partners.score",),
    },
    "erase what reporters sent, when its time is over": {
        "schedule": crontab(minute=50, hour=2),
        "args": ("reporting.erase",),
    },
    "mail officers how many tip-offs wait": {
        "schedule": crontab(minute=30, hour=8),
        "args": ("reporting.digests",),
    },
    "look again at files in quarantine": {
        "schedule": crontab(minute=40, hour=2),
        "args": ("reporting.scan_again",),
    },
    "forget finished jobs": {"schedule": crontab(minute=10, hour=3), "args": ("jobs.purge",)},
    "bring the search index level with the register": {
        "schedule": crontab(minute=30, hour=3),
        "args": ("search.mend",),
    },
}

log = structlog.get_logger()

celery = Celery("portal", broker=get_settings().broker_url)
celery.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue="jobs",
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"polling_interval": 0.05} if get_settings().broker_url.startswith("memory:") else {},
    timezone="Asia/Shanghai",
    beat_schedule={name: {"task": "portal.plan", **entry} for name, entry in TIMETABLE.items()},
)


@celery.task(name="portal.run")  # type: ignore[untyped-decorator]
def run(job_id: int) -> None:
    """Run one row of the job table."""
    jobs.run(job_id)


@celery.task(name="portal.plan")  # type: ignore[untyped-decorator]
def plan(task_name: str) -> None:
    """Put one task of the timetable into the job table."""
    with db.writing() as session:
        jobs.add(session, task_name, [])


@jobs.task("jobs.purge")
def purge(_items: list[Any]) -> None:
    """Apply retention."""
    retention.apply()


class Sweeper(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Offers Celery the jobs that nobody holds, and keeps the timetable, for as long as the worker lives."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()
        self._beat = Service(celery, scheduler_cls=Scheduler)

    def start(self, parent: Any) -> None:
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()
        threading.Thread(target=self._beat.start, name="beat", daemon=True).start()

    def stop(self, parent: Any) -> None:
        self._stopping.set()
        self._beat.stop()

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_EVERY_SECONDS):
            try:
                for job_id in jobs.due():
                    run.delay(job_id)
            except OperationalError as error:
                log.warning("sweeper.database_away", error=type(error).__name__)
                self._stopping.wait(2)


celery.steps["worker"].add(Sweeper)


def _stop_with(parent: int) -> None:
    """End this process when the one that started it is gone, however it went, even before this one was ready."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), 15)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main() -> None:
    """Run the worker until it is told to stop, or until the process whose number is its argument has ended."""
    logs.configure()
    if len(sys.argv) > 1:
        _stop_with(int(sys.argv[1]))
    celery.Worker(pool_cls="threads", concurrency=2, loglevel="WARNING", quiet=True, hostname="portal@%h").start()


if __name__ == "__main__":
    main()
