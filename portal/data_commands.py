"""The command line of open data: `portal snapshot`."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from portal.console import AsJson, finish


def have_areas_offer() -> None:
    """Load the modules that offer data sets: whoever reads `datasets.offered()` must know all of them."""
    from record import open_data as records
    from reporting import open_data as reports

    assert records
    assert reports


def write_missing(told: Callable[[int, int], None]) -> None:
    """Write the files of data sets that have none yet."""
    from opendata import snapshots

    have_areas_offer()
    snapshots.make_missing(told)


def snapshot(
    data_set: Annotated[list[str] | None, typer.Argument(metavar="[NAME…]", help="Left out: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the files of open data anew, all as of one entry of the ledger."""
    from opendata import deltas, snapshots
    from portal import migrations
    from portal.kit import datasets
    from record import publication

    have_areas_offer()
    migrations.upgrade()
    for name in data_set or ():
        if name not in datasets.offered():
            raise typer.BadParameter(f"{name} is none of {', '.join(datasets.offered())}")
    started = time.monotonic()
    rows = snapshots.make_all(data_set or ())
    deltas.clean()
    deltas.write_missing(publication.today())
    seconds = round(time.monotonic() - started, 2)
    finish(
        {"rows": rows, "seconds": seconds},
        f"{sum(rows.values())} rows of {len(rows)} data sets written in {seconds} s.",
        as_json=as_json,
    )
