"""Cleaning a file's rows in batches: a small file here, a large one in processes beside the one that stores."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import Any

from portal.kit import parallel
from record.cleaning import Batch, CleanRow, RawRow, clean_rows
from record.columns import Layout

INLINE_ROWS = 10_000
"""Files up to this size are cleaned here: processes take longer to start than such a file to read."""

Prepare = Callable[[list[CleanRow], dict[str, list[str]]], list[Any]]
"""What somebody wants made of clean rows and of the former names by code, by whoever cleans them: plain lists and
strings. It is pickled, so it is a module's function, or a partial of one."""

_Answer = tuple[list[tuple[Any, ...]], list[int], dict[str, list[str]], list[tuple[int, str]], list[Any]]

parallel.preload(__name__)


def nothing(rows: list[CleanRow], former: dict[str, list[str]]) -> list[Any]:
    """Prepares nothing."""
    return []


def _answer(layout: Layout, prepare: Prepare, raw: list[RawRow]) -> _Answer:
    rows, places, former, refused = clean_rows(layout, raw)
    return [tuple(row) for row in rows], places, former, refused, prepare(rows, former)


def _work(setup: tuple[Layout, Prepare], sent: tuple[list[list[str]], dict[int, str]]) -> _Answer:
    cells, faults = sent
    return _answer(*setup, [RawRow(row, faults.get(place)) for place, row in enumerate(cells)])


def _sent(rows: list[RawRow]) -> tuple[list[list[str]], dict[int, str]]:
    return [row.cells for row in rows], {place: row.fault for place, row in enumerate(rows) if row.fault}


def batches(
    layout: Layout, rows: Iterator[RawRow], *, rows_at_once: int, prepare: Prepare = nothing,
    processes: int | None = None,
) -> Generator[Batch]:  # fmt: skip
    """The rows cleaned, in batches, in their order. `processes`: cleaners beside this one, by default one a core."""
    pieces = iter(lambda: list(islice(rows, rows_at_once)), [])
    first = list(islice(pieces, INLINE_ROWS // rows_at_once))
    ahead = next(pieces, None)
    if ahead is None:
        for raw in first:
            yield Batch(raw, *_answer(layout, prepare, raw))
        return
    rest = ((raw, _sent(raw)) for raw in chain([ahead], pieces))
    with closing(parallel.ordered(_work, (layout, prepare), rest, processes=processes)) as answers:
        for raw in first:  # while the processes start
            yield Batch(raw, *_answer(layout, prepare, raw))
        for raw, answer in answers:
            yield Batch(raw, *answer)
