"""Registry files into the register: the first load in bulk, later files as differences.

    summary = import_files([Path("registry.csv.xz")])

A bad row costs that row: it goes to FILE.rejects.csv with the reason. A killed import goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, func, select, update
from sqlalchemy.orm import Session

from portal.kit import db, jobs
from record import changes, cleaners, columns, entities, ledger, loading, packing, registrations, tables
from record.cleaners import Prepare
from record.cleaning import REASONS, Batch
from record.columns import Layout
from record.models import RegistryImport
from record.packing import FileRefused
from record.rejects import Rejects

__all__ = ["FileRefused", "FileSummary", "Follower", "Summary", "import_files"]

CHANGED = "entity.changed"
ROWS_OF_A_CHANGE = 500
"""Rows of one transaction when they may all have to be changed one by one."""
_CITY_TIME = ZoneInfo("Asia/Shanghai")
_TICK = timedelta(microseconds=1)

Progress = Callable[[int, int | None], None]
"""Told the rows done so far and an estimate of all rows, over all files."""

log = structlog.get_logger()


class Follower(Protocol):
    """Takes in a register's first load while it is stored, so that three million rows need not be read once more."""

    def begin(self) -> Prepare:
        """An empty register is about to be filled. What is returned is done to every row, beside its cleaning."""
        ...

    def stored(self, prepared: Sequence[Any]) -> None:
        """These were stored, for good."""
        ...

    def differs(self, codes: Sequence[str]) -> None:
        """These entities were stored or changed in another way; the register says how they are."""
        ...


class _Nobody:
    """Follows nothing."""

    def begin(self) -> Prepare:
        return cleaners.nothing

    def stored(self, prepared: Sequence[Any]) -> None:
        pass

    def differs(self, codes: Sequence[str]) -> None:
        pass


@dataclass(slots=True)
class FileSummary:
    """What one file came to, over all runs that it took."""

    file: str
    sha256: str
    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejects: str | None = None
    """Path of FILE.rejects.csv, if any row was refused."""


@dataclass(slots=True)
class Summary:
    """What an import came to. Rows = added + changed + unchanged + rejected."""

    baseline: bool
    """A first load: nobody was told of its entities, so whoever follows the register must read it anew."""
    seconds: float = 0.0
    files: list[FileSummary] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def changed(self) -> int:
        return sum(file.changed for file in self.files)

    @property
    def unchanged(self) -> int:
        return sum(file.unchanged for file in self.files)

    @property
    def rejected(self) -> int:
        return sum(file.rejected for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        counts = {name: getattr(self, name) for name in ("rows", "added", "changed", "unchanged", "rejected")}
        return {**counts, "baseline": self.baseline, "seconds": self.seconds, "files": list(map(asdict, self.files))}


@dataclass(frozen=True, slots=True)
class _Teller:
    """Says how far a file is, on top of the files before it."""

    progress: Progress
    before: int

    def __call__(self, done: int, fraction: float) -> None:
        self.progress(self.before + done, self.before + round(done / fraction) if fraction > 0.001 else None)


@dataclass(slots=True)
class _Run:
    """One file on its way in."""

    path: Path
    record: RegistryImport
    table: tables.Table[Layout]
    rejects: Rejects
    tell: _Teller
    seen: changes.Seen
    follower: Follower
    prepare: Prepare


def import_files(
    paths: Sequence[Path],
    *,
    baseline: bool | None = None,
    follower: Follower | None = None,
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Read registry files into the register, one after another.

    `baseline`: a first load, in bulk and without events; by default so when the register is empty, or when a first
    load of one of these files was cut short. Run it again after a crash with the same files: it goes on behind the last
    committed row. `follower` is told only of a load into an empty register.

    Raises FileRefused for a file that cannot be read as a whole, before anything of it is stored; files before it in
    `paths` stay imported.
    """
    started = time.monotonic()
    sums = [packing.sha256(path) for path in paths]
    with db.writing() as session:
        empty = entities.is_empty(session)
        cut_short = _cut_short(session, sums)
        is_baseline = baseline if baseline is not None else empty or bool(cut_short)
        records = [_record(session, *pair, is_baseline, cut_short) for pair in zip(paths, sums, strict=True)]
    if is_baseline and (empty or cut_short):
        loading.drop_name_index()
    summary = Summary(is_baseline)
    told: Follower = follower if follower and is_baseline and empty else _Nobody()
    prepare = told.begin()
    try:
        for path, record in zip(paths, records, strict=True):
            try:
                summary.files.append(_import(path, record, _Teller(progress, summary.rows), told, prepare))
            except FileRefused as refusal:
                refusal.path = path
                raise
    finally:
        loading.ensure_name_index()
    if is_baseline:
        _note_first_load(summary)
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


def _note_first_load(summary: Summary) -> None:
    files = [
        {"file": Path(file.file).name[:255], "sha256": file.sha256, "rows": file.rows, "rejected": file.rejected}
        for file in summary.files
    ]
    with db.writing() as session:
        ledger.append(session, [registrations.first_load(files)])


def _cut_short(session: Session, sums: Sequence[str]) -> dict[str, RegistryImport]:
    """First loads of these files that never finished, by SHA-256."""
    chosen = select(RegistryImport).where(
        RegistryImport.sha256.in_(sums), RegistryImport.baseline, RegistryImport.finished_at.is_(None)
    )
    return {record.sha256: record for record in session.scalars(chosen)}


def _record(
    session: Session, path: Path, sha256: str, baseline: bool, cut_short: dict[str, RegistryImport]
) -> RegistryImport:
    if baseline and sha256 in cut_short:
        return cut_short[sha256]
    # Distinct moments, for they tell which import wrote an entity.
    newest = session.scalar(select(func.max(RegistryImport.started_at)))
    moment = max(db.now(), newest + _TICK) if newest else db.now()
    record = RegistryImport(
        file_name=path.name[:255], sha256=sha256, baseline=baseline, started_at=moment,
        rows_done=0, added=0, changed=0, unchanged=0, rejected=0,
    )  # fmt: skip
    session.add(record)
    session.flush()
    return record


def _import(path: Path, record: RegistryImport, tell: _Teller, follower: Follower, prepare: Prepare) -> FileSummary:
    try:
        table = tables.read(path, columns.layout_of)
    except FileRefused:
        _forget(record)
        raise
    with closing(table), closing(Rejects(path, table.layout.header, REASONS, kept=record.rejected)) as rejects:
        run = _Run(path, record, table, rejects, tell, changes.Seen(record.started_at), follower, prepare)
        done = record.rows_done
        for _ in islice(table.rows, done):
            pass
        size = loading.ROWS_AT_ONCE if record.baseline else ROWS_OF_A_CHANGE
        with closing(cleaners.batches(table.layout, table.rows, rows_at_once=size, prepare=prepare)) as batches:
            if record.baseline:
                _load(run, batches)
            else:
                _follow(run, batches)
        written = rejects.written
    record.finished_at = db.now()
    with db.writing() as session:
        session.execute(_counters(record, finished_at=record.finished_at))
    log.info("registry.imported", rows=record.rows_done, rejected=record.rejected, baseline=record.baseline)
    return FileSummary(
        str(path), record.sha256, record.rows_done, record.added, record.changed, record.unchanged, record.rejected,
        str(rejects.path) if written else None,
    )  # fmt: skip


def _forget(record: RegistryImport) -> None:
    """A file that was refused as a whole was not begun: the next one may still be the register's first."""
    with db.writing() as session:
        session.delete(session.get_one(RegistryImport, record.id))


def _counters(record: RegistryImport, **more: object) -> Any:
    names = ("rows_done", "added", "changed", "unchanged", "rejected")
    values = {name: getattr(record, name) for name in names} | more
    return update(RegistryImport).where(RegistryImport.id == record.id).values(**values)


# ---- the first load -------------------------------------------------------------------------------------------------


def _load(run: _Run, batches: Iterator[Batch]) -> None:
    with loading.bulk_connection() as (connection, bulk):
        while some := list(islice(batches, loading.BATCHES_AT_ONCE)):
            for batch in some:
                _refuse(run, batch, batch.refused)
            if _load_at_once(run, some, connection, bulk):
                for batch in some:
                    run.follower.stored(batch.prepared)
            else:
                for batch in some:
                    run.follower.differs(_sort_out(run, batch, tell_followers=False))
            bulk.settle()
            run.tell(run.record.rows_done, run.table.fraction)


def _load_at_once(run: _Run, some: Sequence[Batch], connection: Connection, bulk: loading.Bulk) -> bool:
    """Store batches of which nothing is registered yet, and how far the file is, in one transaction."""
    record = run.record
    try:
        with connection.begin():
            for batch in some:
                bulk.insert(batch.rows, record.started_at)
                loading.insert_former(connection, batch.former)
            for batch in some:
                _count(record, batch, added=len(batch.rows))
            connection.execute(_counters(record))
    except loading.AlreadyThere:
        return False
    return True


def _count(record: RegistryImport, batch: Batch, *, added: int = 0, changed: int = 0, repeated: int = 0) -> None:
    record.rows_done += len(batch.raw)
    record.added += added
    record.changed += changed
    record.rejected += len(batch.refused) + repeated
    record.unchanged += len(batch.rows) - added - changed - repeated


# ---- differences ----------------------------------------------------------------------------------------------------


def _follow(run: _Run, batches: Iterator[Batch]) -> None:
    for batch in batches:
        _refuse(run, batch, batch.refused)
        _sort_out(run, batch, tell_followers=True)
        run.tell(run.record.rows_done, run.table.fraction)


def _sort_out(run: _Run, batch: Batch, *, tell_followers: bool) -> list[str]:
    """Store what a batch changes, and return the codes that it touched.

    The write lock is taken only where there is something to write.
    """
    record, layout = run.record, run.table.layout
    with db.reading() as session:
        outcome = changes.compare(session, layout, batch.rows, batch.former, run.seen)
    if not outcome.empty or record.baseline:
        today = record.started_at.astimezone(_CITY_TIME).date()
        with db.writing() as session:
            outcome = changes.compare(session, layout, batch.rows, batch.former, run.seen)
            _refuse(run, batch, [(batch.places[index], "code_repeated") for index in outcome.repeated])
            changes.store(session, outcome, record.started_at, today)
            if tell_followers:
                jobs.after_commit(session, CHANGED, outcome.touched)
            changed = len(set(outcome.touched)) - len(outcome.added)
            _count(record, batch, added=len(outcome.added), changed=changed, repeated=len(outcome.repeated))
            session.execute(_counters(record))
            if tell_followers:
                ledger.append(session, list(registrations.entries(outcome, record.id, today)))
    else:
        _refuse(run, batch, [(batch.places[index], "code_repeated") for index in outcome.repeated])
        _count(record, batch, repeated=len(outcome.repeated))
    for row in batch.rows:
        run.seen.add(row[0])
    return outcome.touched


def _refuse(run: _Run, batch: Batch, refused: Sequence[tuple[int, str]]) -> None:
    """Write rows to FILE.rejects.csv, safely before what was made of the rows around them is committed."""
    if refused:
        run.rejects.write([(batch.raw[place].cells, reason) for place, reason in refused])
        run.rejects.sync()
