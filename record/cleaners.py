"""The processes that clean a large file's rows while the first one reads and stores: an ordered, bounded pipeline."""

import gc
import marshal
import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from record.cleaning import Batch, RawRow, clean_rows
from record.columns import Layout

INLINE_ROWS = 10_000
"""Files up to this size are cleaned here: processes take longer to start than such a file to read."""


class CleanerLost(RuntimeError):
    """A cleaning process ended. The import can be started again and goes on from its last committed row."""


class _Cleaner:
    """One process, one batch at a time.

    Only this process holds the other end of its pipe: when it is killed, the cleaner reads the end of file and goes.
    """

    def __init__(self, layout: Layout) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._given: list[RawRow] = []
        self._process: BaseProcess = context.Process(target=_clean, args=(theirs, layout), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, rows: list[RawRow]) -> None:
        self._given = rows
        faults = {index: row.fault for index, row in enumerate(rows) if row.fault}
        # marshal takes a third of the time of pickle; both ends are this program.
        self._pipe.send_bytes(marshal.dumps(([row.cells for row in rows], faults), 2))

    def take(self) -> Batch:
        try:
            cleaned = marshal.loads(self._pipe.recv_bytes())  # noqa: S302 from our own child
        except (EOFError, OSError) as error:
            raise CleanerLost from error
        return Batch(self._given, *cleaned)

    def stop(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _clean(pipe: Connection, layout: Layout) -> None:
    gc.disable()  # batches hold no cycles, and looking for some costs a tenth of the time
    while True:
        try:
            cells, faults = marshal.loads(pipe.recv_bytes())  # noqa: S302 from our own parent
        except (EOFError, OSError):
            return
        cleaned = clean_rows(layout, [RawRow(row, faults.get(place)) for place, row in enumerate(cells)])
        pipe.send_bytes(marshal.dumps(([tuple(row) for row in cleaned[0]], *cleaned[1:]), 2))


def batches(
    layout: Layout, rows: Iterator[RawRow], *, rows_at_once: int, processes: int | None = None
) -> Generator[Batch]:
    """The rows cleaned, in batches, in their order. `processes`: cleaners beside this one, by default one a core."""
    for _ in range(INLINE_ROWS // rows_at_once):
        raw = list(islice(rows, rows_at_once))
        if not raw:
            return
        yield Batch(raw, *clean_rows(layout, raw))
    ahead = list(islice(rows, rows_at_once))
    if not ahead:
        return
    cleaners = [_Cleaner(layout) for _ in range(processes or max(2, os.cpu_count() or 1))]
    try:
        idle, busy = deque(cleaners), deque[_Cleaner]()
        while ahead or busy:
            while idle and ahead:
                busy.append(idle.popleft())
                busy[-1].give(ahead)
                ahead = list(islice(rows, rows_at_once))
            done = busy[0].take()
            # The next batch is given out before this one is stored, so that the cleaner works meanwhile.
            idle.append(busy.popleft())
            if ahead:
                busy.append(idle.popleft())
                busy[-1].give(ahead)
                ahead = list(islice(rows, rows_at_once))
            yield done
    finally:
        for cleaner in cleaners:
            cleaner.stop()
