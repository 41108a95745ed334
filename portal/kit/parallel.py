"""Work on a long stream in several processes, in its order, holding only a few batches at a time."""

import gc
import marshal
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Kept = TypeVar("Kept")
Work = Callable[[Any, Any], Any]
"""A module's function `work(setup, sent)`: of and to plain tuples, lists, dicts, strings and numbers (marshal)."""


_preloaded: list[str] = []


def preload(module: str) -> None:
    """Have children find this module imported: said by whatever module children run functions of, when it is read."""
    if module not in _preloaded:
        _preloaded.append(module)
        multiprocessing.set_forkserver_preload(_preloaded)


def children() -> ForkServerContext:
    """What children are started by: forked, in milliseconds, from a process that has imported what they run.

    It is started with the first of them. It has no thread, connection or secret of this one, and ends with it.
    """
    return multiprocessing.get_context("forkserver")


class ProcessLost(RuntimeError):
    """A working process ended before its time. What it was given has not been answered."""


class _Worker:
    """One process, one batch at a time.

    Only this process holds the other end of its pipe: when it is killed, the worker reads the end of file and goes.
    """

    def __init__(self, work: Work, setup: Any) -> None:
        context = children()
        self._pipe, theirs = context.Pipe()
        self._kept: Any = None
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, work, setup), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, kept: Any, sent: Any) -> None:
        self._kept = kept
        try:
            # marshal takes a third of the time of pickle; both ends are this program.
            self._pipe.send_bytes(marshal.dumps(sent, 2))
        except OSError as error:
            raise ProcessLost from error

    def take(self) -> tuple[Any, Any]:
        try:
            return self._kept, marshal.loads(self._pipe.recv_bytes())  # noqa: S302 from our own child
        except (EOFError, OSError) as error:
            raise ProcessLost from error

    def stop(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, work: Work, setup: Any) -> None:
    gc.disable()  # batches hold no cycles, and looking for some costs a tenth of the time
    while True:
        try:
            sent = marshal.loads(pipe.recv_bytes())  # noqa: S302 from our own parent
        except (EOFError, OSError):
            return
        pipe.send_bytes(marshal.dumps(work(setup, sent), 2))


def ordered(
    work: Work, setup: Any, batches: Iterable[tuple[Kept, Any]], *, processes: int | None = None
) -> Generator[tuple[Kept, Any]]:
    """For each `(kept, sent)`, in order: `(kept, work(setup, sent))`, worked out in processes beside this one.

    They start at once, while the caller may still do something else. `setup` is pickled once for each process, of
    which there are as many as cores by default, and at least two. Raises ProcessLost when one of them ends.
    """
    workers = [_Worker(work, setup) for _ in range(processes or max(2, os.cpu_count() or 1))]
    answers = _answers(workers, iter(batches))
    next(answers)  # from here on, closing it stops the processes
    return answers


def _answers(workers: list[_Worker], waiting: Iterator[tuple[Any, Any]]) -> Generator[tuple[Any, Any]]:
    try:
        yield None, None
        ahead = next(waiting, None)
        idle, busy = deque(workers), deque[_Worker]()
        while ahead is not None or busy:
            while idle and ahead is not None:
                busy.append(idle.popleft())
                busy[-1].give(*ahead)
                ahead = next(waiting, None)
            done = busy[0].take()
            # The next batch is given out before this one is used, so that the process works meanwhile.
            idle.append(busy.popleft())
            if ahead is not None:
                busy.append(idle.popleft())
                busy[-1].give(*ahead)
                ahead = next(waiting, None)
            yield done
    finally:
        for worker in workers:
            worker.stop()
