"""Does the ledger prove what it claims? Everything is computed anew, and the first entry that does not hold is named.

    report = verify()

Digests are made in processes beside this one; a million entries take well under a minute on two cores.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, Text, select
from sqlalchemy import cast as sql_cast

from portal.kit import db, parallel
from record import ledger, merkle
from record.canonical import canonical
from record.models import LedgerEntry, LedgerHead, LedgerNode

CHUNK = 2_000
_INLINE = 5_000
_ENTRY = cast(Table, LedgerEntry.__table__)
_NODE = cast(Table, LedgerNode.__table__)

Progress = Callable[[int, int | None], None]

parallel.preload(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    entries: int
    """Entries that were read and hold."""
    root: str
    """Merkle root over them, hexadecimal."""
    redacted: int = 0
    broken_at: int | None = None
    """`seq` of the first entry that does not hold; None when all do."""
    problem: str | None = None
    """What is wrong there: gap, digest, leaf, chain, tree or size."""

    @property
    def holds(self) -> bool:
        return self.problem is None


class _Broken(Exception):
    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(problem)
        self.seq, self.problem = seq, problem


def verify(progress: Progress = lambda done, total: None) -> Report:
    """Recompute every digest, leaf and node of the ledger as it is now."""
    with db.reading_engine().connect() as connection, ExitStack() as closed:
        size = connection.execute(select(LedgerHead.size).where(LedgerHead.id == 1)).scalar_one()
        tree = _Growing(connection)
        done = redacted = 0
        try:
            for leaves, without in _checked(closed.enter_context(closing(_rows(connection))), size, closed):
                done += len(leaves)
                redacted += without
                tree.add(leaves)
                progress(done, size)
            if done != size:
                raise _Broken(done, "size")
            tree.finish()
        except _Broken as broken:
            return Report(broken.seq, "", redacted, broken.seq, broken.problem)
        return Report(size, tree.root(size).hex(), redacted)


def _checked(
    pieces: Iterator[list[tuple[Any, ...]]], size: int, closed: ExitStack
) -> Iterator[tuple[list[bytes], int]]:
    """For each chunk of entries, all of which hold: their leaf hashes, and how many of them are redacted."""
    chunks = ((rows[0][0], rows) for rows in pieces)
    if size <= _INLINE:
        answers: Iterator[tuple[int, Any]] = ((first, _check(None, rows)) for first, rows in chunks)
    else:
        answers = closed.enter_context(closing(parallel.ordered(_check, None, chunks)))
    expected = 0
    for first, (leaves, redacted, broken) in answers:
        if first != expected:
            raise _Broken(expected, "gap")
        if broken:
            raise _Broken(*broken)
        expected += len(leaves)
        yield leaves, redacted


_ASKED = select(
    _ENTRY.c.seq, _ENTRY.c.id, _ENTRY.c.kind, _ENTRY.c.recorded_at, _ENTRY.c.digest, _ENTRY.c.leaf_hash,
    _ENTRY.c.salt, sql_cast(_ENTRY.c.payload, Text).label("payload"), _ENTRY.c.entity_code,
    sql_cast(_ENTRY.c.occurred_on, Text).label("occurred_on"), _ENTRY.c.source, _ENTRY.c.source_ref,
    _ENTRY.c.visibility,
).order_by(_ENTRY.c.seq)  # fmt: skip


def _rows(connection: Connection) -> Generator[list[tuple[Any, ...]]]:
    with connection.execute(_ASKED, execution_options={"yield_per": CHUNK}) as found:
        for rows in found.partitions():
            yield [(*row[:3], row[3].timestamp(), *row[4:]) for row in rows]


def _check(_setup: None, rows: list[tuple[Any, ...]]) -> tuple[list[bytes], int, tuple[int, str] | None]:
    """Leaf hashes of rows that stand together, how many are redacted, and the first that does not hold."""
    leaves: list[bytes] = []
    redacted = 0
    expected = rows[0][0]
    for row in rows:
        seq, id_, kind, moment, digest, leaf_hash, salt, payload, code, day, source, reference, visibility = row
        if seq != expected:
            return leaves, redacted, (expected, "gap")
        expected += 1
        if payload is None:
            redacted += 1
        else:
            said = {
                "entity_code": code, "kind": kind, "occurred_on": day, "payload": json.loads(payload),
                "source": source, "source_ref": reference, "visibility": visibility,
            }  # fmt: skip
            if hashlib.sha256((salt or b"") + canonical(said)).digest() != digest:
                return leaves, redacted, (seq, "digest")
        if ledger.leaf(seq, id_, kind, ledger.instant(datetime.fromtimestamp(moment, UTC)), digest) != leaf_hash:
            return leaves, redacted, (seq, "leaf")
        leaves.append(leaf_hash)
    return leaves, redacted, None


class _Growing:
    """The tree over leaves that come in order, each full node compared with the stored one."""

    def __init__(self, connection: Connection) -> None:
        stored = connection.execute(select(_NODE.c.level, _NODE.c.number, _NODE.c.hash))
        self._nodes = {(int(level), int(number)): bytes(hash_) for level, number, hash_ in stored}
        self._levels: list[list[bytes]] = [[]]
        self._full = [0]

    def add(self, leaves: list[bytes]) -> None:
        for leaf in leaves:
            self._put(0, leaf)

    def _put(self, level: int, hash_: bytes) -> None:
        self._levels[level].append(hash_)
        if len(self._levels[level]) < merkle.WIDTH:
            return
        node = merkle.fold(self._levels[level])
        number = self._full[level]
        self._levels[level] = []
        self._full[level] += 1
        if self._nodes.pop((level + 1, number), None) != node:
            raise _Broken(number * merkle.WIDTH ** (level + 1), "tree")
        if len(self._levels) == level + 1:
            self._levels.append([])
            self._full.append(0)
        self._put(level + 1, node)

    def finish(self) -> None:
        """Raises _Broken when nodes are stored that nothing in the ledger accounts for."""
        for level, number in self._nodes:
            raise _Broken(number * merkle.WIDTH**level, "tree")

    def root(self, size: int) -> bytes:
        return merkle.root(lambda level, number: self._levels[level], size) if size else merkle.EMPTY
