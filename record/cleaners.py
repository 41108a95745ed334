"""Cleaning a file's rows in batches: a small file here, a large one in processes beside the one that stores."""

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any

from portal.kit import parallel
from record.cleaning import Batch, RawRow, clean_rows
from record.columns import Layout

INLINE_ROWS = 10_000
"""Files up to this size are cleaned here: processes take longer to start than such a file to read."""


def _clean(layout: Layout, sent: tuple[list[list[str]], dict[int, str]]) -> tuple[Any, ...]:
    cells, faults = sent
    cleaned = clean_rows(layout, [RawRow(row, faults.get(place)) for place, row in enumerate(cells)])
    return ([tuple(row) for row in cleaned[0]], *cleaned[1:])


def _sent(rows: list[RawRow]) -> tuple[list[list[str]], dict[int, str]]:
    return [row.cells for row in rows], {place: row.fault for place, row in enumerate(rows) if row.fault}


def batches(
    layout: Layout, rows: Iterator[RawRow], *, rows_at_once: int, processes: int | None = None
) -> Generator[Batch]:
    """The rows cleaned, in batches, in their order. `processes`: cleaners beside this one, by default one a core."""
    for _ in range(INLINE_ROWS // rows_at_once):
        raw = list(islice(rows, rows_at_once))
        if not raw:
            return
        yield Batch(raw, *clean_rows(layout, raw))
    raws = iter(lambda: list(islice(rows, rows_at_once)), [])
    for raw, cleaned in parallel.ordered(_clean, layout, ((raw, _sent(raw)) for raw in raws), processes=processes):
        yield Batch(raw, *cleaned)
