"""The child process that reads a batch's file: where its memory has a limit, and dies alone.

A workbook of a few kilobytes can ask for terabytes. What the child answers crosses a pipe as plain values.
"""

import marshal
import os
import resource
from collections.abc import Iterator, Sequence
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from partners import checking, reading
from partners.checking import Checked, Checker
from partners.reading import Row, Unreadable
from partners.schemes import Definition
from portal.kit import parallel

MOST_MEMORY = 1_024 * 2**20
"""Address space of the child."""
MOST_SECONDS = 600
"""Processor time of the child; a million rows take a tenth of it."""
AT_ONCE = 1_000

parallel.preload(__name__)


class Begun(NamedTuple):
    """What the file's header came to."""

    header: Sequence[str]
    used: Sequence[str]
    unused: Sequence[str]


def examine(path: Path, form: str, definition: Definition, today: date) -> Iterator[Begun | list[Checked]]:
    """First the header, then the rows in the file's order, a thousand at a time. Raises Unreadable."""
    return _parts(_child(_check, (str(path), form, definition.model_dump_json(), today.isoformat())))


def examine_here(path: Path, form: str, definition: Definition, today: date) -> Iterator[Begun | list[Checked]]:
    """The same in this process, without its limits: for files that we made ourselves."""
    return _parts(_check(str(path), form, definition.model_dump_json(), today.isoformat()))


def _parts(messages: Iterator[tuple[Any, ...]]) -> Iterator[Begun | list[Checked]]:
    for message in messages:
        if message[0] == "header":
            yield Begun(*message[1:])
        else:
            yield [Checked(*row) for row in message[1]]


class Titles(NamedTuple):
    """The header as it was read."""

    titles: Sequence[str]


def raw(path: Path, form: str, definition: Definition) -> Iterator[Titles | list[tuple[str, Sequence[str]]]]:
    """First the header, then each row's place and cells as they were read, a thousand at a time. Raises Unreadable."""
    for message in _child(_read, (str(path), form, definition.model_dump_json(), "")):
        yield Titles(message[1]) if message[0] == "header" else message[1]


def _child(work: Any, setup: tuple[str, str, str, str]) -> Iterator[tuple[Any, ...]]:
    context = parallel.children()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, setup, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            message = marshal.loads(ours.recv_bytes())  # noqa: S302 from our own child
            if message[0] == "end":
                return
            if message[0] == "refused":
                raise Unreadable(message[1], **message[2])
            yield message
    except EOFError:  # it was ended for asking for more memory or time than it may have
        raise Unreadable("batch-bomb") from None
    finally:
        ours.close()
        process.terminate()
        process.join()


def _run(work: Any, setup: tuple[str, str, str, str], pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the reader of workbooks writes pages when memory runs out
    try:
        for message in work(*setup):
            pipe.send_bytes(marshal.dumps(message, 2))
        answer: tuple[Any, ...] = ("end",)
    except Unreadable as refusal:
        answer = ("refused", refusal.slug, refusal.values)
    except BrokenPipeError:
        return
    except MemoryError:
        answer = ("refused", "batch-bomb", {})
    except BaseException:  # a panic of the reader included: whatever it is, the file is what is wrong
        answer = ("refused", "batch-broken", {})
    pipe.send_bytes(marshal.dumps(answer, 2))


def _check(path: str, form: str, definition_json: str, today: str) -> Iterator[tuple[Any, ...]]:
    definition = Definition.model_validate_json(definition_json)
    table = reading.read(Path(path), form, checking.sense(definition))
    checker = Checker(definition, table.header, date.fromisoformat(today), table.epoch)
    lacking = checking.missing(definition, checker.columns)
    if lacking:
        raise Unreadable("batch-columns-missing", columns="、".join(lacking))
    used = [table.header[at] for at in sorted(checker.columns.values())]
    yield "header", list(table.header), used, checking.unused(definition, table.header)
    piece: list[tuple[Any, ...]] = []
    for row in table.rows:
        piece.append(_plain(checker.check(row)))
        if len(piece) == AT_ONCE:
            yield "rows", piece
            piece = []
    yield "rows", piece


def _plain(checked: Checked) -> tuple[Any, ...]:
    return (*checked[:-1], [tuple(fault) for fault in checked.faults]) if checked.faults else tuple(checked)


def _read(path: str, form: str, definition_json: str, _today: str) -> Iterator[tuple[Any, ...]]:
    definition = Definition.model_validate_json(definition_json)
    table = reading.read(Path(path), form, checking.sense(definition))
    yield "header", list(table.header)
    piece: list[tuple[str, list[str]]] = []
    for row in table.rows:
        piece.append(_as_read(row))
        if len(piece) == AT_ONCE:
            yield "rows", piece
            piece = []
    yield "rows", piece


def _as_read(row: Row) -> tuple[str, list[str]]:
    return row.place, [cell[:2_000] for cell in row.cells]
