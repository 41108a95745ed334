"""The Celery application: runs the jobs of the `job` table, and the whole timetable.

`python -m portal.worker` is the one worker process of an embedded portal: Celery over its in-memory broker, the sweeper
as a thread beside it. With Redis, `portal worker` runs any number of them on any number of hosts, each for the queues
that it is told. A message is only a nudge: one that is lost is sent again by whichever sweeper comes by.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Collection
from typing import Any

import structlog
from celery import Celery, bootsteps
from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy.exc import OperationalError

from opendata import tasks as opendata_tasks
from partners import tasks as partners_tasks
from portal import retention
from portal.kit import jobs, logs, timetable
from portal.kit.jobs import QUEUES, Queue
from portal.kit.settings import get_settings
from portal.kit.timetable import Daily, Every, Hourly, Rhythm
from record import tasks as record_tasks
from reporting import tasks as reporting_tasks
from search import tasks as search_tasks

__all__ = ["celery", "opendata_tasks", "partners_tasks", "record_tasks", "reporting_tasks", "search_tasks"]

SWEEP_EVERY_SECONDS = 0.25
PLAN_EVERY_SECONDS = 1.0
OVERRAN = 75
"""Exit code (EX_TEMPFAIL) of a worker one of whose jobs took too long: whoever keeps it starts another."""

# The whole timetable: when which task of a `tasks.py` is put into the job table. Times are Shanghai's.
TIMETABLE: dict[str, Rhythm] = {
    # What has come to the end of its term is withdrawn; switches of kinds take effect; days that rested on an unknown
    # calendar are set.
    "record.level_flags": Daily(0, 2),
    "record.close_windows": Daily(0, 5),
    "record.mend_calendar": Daily(0, 15),
    "reporting.mend_clocks": Daily(0, 20),
    "partners.mend_clocks": Daily(0, 25),
    "record.sign_head": Every(minutes=1),
    # What is due, what a crash left lying, what waited its hour.
    "record.deliver": Every(minutes=5),
    "record.mail_followers": Every(minutes=5),
    # Files of open data: yesterday's changes, everything, what has none yet; scorecards; other portals.
    "opendata.deltas": Daily(0, 35),
    "partners.score": Daily(4, 20),
    "opendata.snapshot": Daily(4, 40),
    "opendata.begin": Every(minutes=10),
    "opendata.publish_ckan": Hourly(35),
    # Letters: how many tip-offs wait; who is behind withdrawals.
    "reporting.digests": Daily(8, 30),
    "opendata.remind": Daily(9, 10),
    # What reporters sent is erased when its time is over; files in quarantine are looked at again; finished jobs go.
    "reporting.scan_again": Daily(2, 40),
    "reporting.erase": Daily(2, 50),
    "jobs.purge": Daily(3, 10),
    # The search index is brought level with the register.
    "search.mend": Daily(3, 30),
}

log = structlog.get_logger()


def _transport(url: str) -> dict[str, object]:
    if url.startswith("memory:"):
        return {"polling_interval": 0.05}
    return {
        "ack_emulation": False,  # an acknowledgement that fails while Redis is away would hold its place for good
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }


celery = Celery("portal", broker=get_settings().broker_url)
celery.conf.update(
    task_ignore_result=True,
    task_acks_late=False,  # the row, not the message, is what must not be lost
    task_default_queue="search",
    worker_prefetch_multiplier=4,
    worker_enable_prefetch_count_reduction=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options=_transport(get_settings().broker_url),
)


@celery.task(name="portal.run")  # type: ignore[untyped-decorator]
def run(job_id: int) -> None:
    """Run one row of the job table."""
    jobs.run(job_id, overrun=_end)


def _end() -> None:
    os._exit(OVERRAN)


@jobs.task("jobs.purge", queue="mail")
def purge(_items: list[Any]) -> None:
    """Apply retention."""
    retention.apply()


class Sweeper(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Offers Celery the jobs that nobody holds, and keeps the timetable, for as long as the worker lives."""

    requires = ("celery.worker.components:Pool",)
    queues: Collection[Queue] = QUEUES

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()
        self._broker_away = False

    def start(self, parent: Any) -> None:
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()

    def stop(self, parent: Any) -> None:
        self._stopping.set()

    def _sweep(self) -> None:
        planned_at = float("-inf")
        while not self._stopping.wait(SWEEP_EVERY_SECONDS):
            try:
                if planned_at == float("-inf"):
                    timetable.set_up(TIMETABLE)
                if time.monotonic() - planned_at >= PLAN_EVERY_SECONDS:
                    timetable.plan(TIMETABLE)
                    planned_at = time.monotonic()
                self._offer(jobs.due(self.queues))
            except OperationalError as error:
                log.warning("sweeper.database_away", error=type(error).__name__)
                self._stopping.wait(2)

    def _offer(self, found: list[jobs.Due]) -> None:
        for one in found:
            try:
                run.apply_async((one.id,), queue=one.queue, expires=jobs.RESEND.total_seconds(), retry=False)
            except (BrokerAway, OSError) as error:
                if not self._broker_away:
                    log.error("broker.away", error=type(error).__name__)
                self._broker_away = True
                self._stopping.wait(1)
                return
            if self._broker_away:
                log.info("broker.back")
                self._broker_away = False


celery.steps["worker"].add(Sweeper)


def _stop_with(parent: int) -> None:
    """End this process when the one that started it is gone, however it went, even before this one was ready."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), 15)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def work(queues: Collection[Queue] = QUEUES, *, concurrency: int = 2, name: str = "portal") -> None:
    """Run jobs of these queues, so many at once, until told to stop. `name` tells workers of one host apart."""
    logs.configure()
    Sweeper.queues = queues
    celery.Worker(
        pool_cls="threads",
        concurrency=concurrency,
        queues=list(queues),
        loglevel="WARNING",
        quiet=True,
        hostname=f"{name}@{socket.gethostname()}",
    ).start()


def main() -> None:
    """Run the worker of an embedded portal until told to stop, or until the process whose number is given has ended."""
    if len(sys.argv) > 1:
        _stop_with(int(sys.argv[1]))
    work()


if __name__ == "__main__":
    main()
