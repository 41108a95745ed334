"""Jobs of the supervision record."""

from typing import Any

from portal.kit import db, jobs
from record import applications, joining, publication, uploads


@jobs.task("record.join", on="entity.changed")
def join(codes: list[Any]) -> None:
    """Join to entities that arrived what came before them."""
    with db.writing() as session:
        joining.join(session, codes)


@jobs.task("record.close_windows")
def close_windows(_items: list[Any]) -> None:
    """Withdraw what has come to the end of its term, a thousand at a time."""
    closed = 1
    while closed:
        with db.writing() as session:
            closed = publication.close_windows(session)


@jobs.task("record.mend_calendar")
def mend_calendar(_items: list[Any]) -> None:
    """Compute anew the last days that rest on a calendar that was not out when they were set."""
    with db.writing() as session:
        applications.set_provisional_again(session)


@jobs.task(uploads.READ)
def read_upload(numbers: list[Any]) -> None:
    """Read files that officers handed in."""
    for number in numbers:
        uploads.read(number)
