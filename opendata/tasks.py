"""Jobs of open data: writing the files every night, and taking withdrawn rows out of them soon."""

from datetime import timedelta
from typing import Any

from opendata import snapshots
from portal.kit import db, jobs
from record import open_data, publication

__all__ = ["open_data"]

WAIT = timedelta(minutes=2)
"""Several withdrawals are taken out together."""


@jobs.task("opendata.snapshot")
def snapshot(_items: list[Any]) -> None:
    """Write every data set anew."""
    snapshots.make_all()


@jobs.task("opendata.withdrawn", on=publication.GONE)
def withdrawn(_items: list[Any]) -> None:
    """Plan to take withdrawn rows out of the files, once for all that come meanwhile."""
    with db.writing() as session:
        if not jobs.is_waiting(session, "opendata.clean"):
            jobs.add(session, "opendata.clean", [], after=WAIT)


@jobs.task("opendata.clean")
def clean(_items: list[Any]) -> None:
    """Take withdrawn rows out of the files that hold them."""
    snapshots.clean()
