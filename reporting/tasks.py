"""Jobs of tip-offs: what must look inside runs here, on the desk's side."""

from typing import Any

from portal.kit import db, jobs
from reporting import assignments, cases, clock, digests, files, open_data, retention, talk
from reporting.models import TipCase

__all__ = ["open_data"]


@jobs.task(files.SCAN, queue="files")
def scan(ids: list[Any]) -> None:
    """Look at files for malware."""
    for file_id in ids:
        files.scan(file_id)


@jobs.task(files.REMOVE, queue="files")
def remove(keys: list[Any]) -> None:
    """Remove objects that no row names any longer."""
    files.remove([str(key) for key in keys])


@jobs.task("reporting.scan_again", queue="files")
def scan_again(_items: list[Any]) -> None:
    """Look again at what is in quarantine."""
    files.scan_again()


@jobs.task(assignments.RESEAL, queue="files")
def reseal(ids: list[Any]) -> None:
    """Seal what a case holds to the department that it is with now."""
    for number in ids:
        with db.writing() as session:
            case = session.get_one(TipCase, number)
            tips = cases.tips_of(session, case)
            talk.reseal(session, case, tips)
        files.reseal([tip.id for tip in tips], case.department)


@jobs.task("reporting.mend_clocks", queue="mail")
def mend_clocks(_items: list[Any]) -> None:
    """Set last days anew that rested on a calendar that was not out, and note which cases have become late."""
    after: int | None = 0
    while after is not None:
        with db.writing() as session:
            after = clock.mend(session, after=after)


@jobs.task("reporting.erase", queue="mail")
def erase(_items: list[Any]) -> None:
    """Erase what was sent in cases that were closed long enough ago."""
    retention.erase_due()


@jobs.task("reporting.digests", queue="mail")
def send_digests(_items: list[Any]) -> None:
    """Mail officers how many cases wait."""
    digests.send_all()
