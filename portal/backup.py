"""Everything that a portal knows, into a folder while it runs, and out of it into an empty portal.

    made = make(Path("/backups/2026-11-23"))
    restored = restore(Path("/backups/2026-11-23"))

A backup holds every table as it was at one moment, and the data folder's files. It holds neither private keys nor the
search index, which is made anew. Backups of either database can be restored into the other.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection, Table, make_url, select
from sqlalchemy.orm import Session

from opendata import datastore
from portal import migrations
from portal.kit import archive, copying, db
from portal.kit.archive import BackupDamaged, BackupNewer, Ledger, Manifest, StoredTable
from portal.kit.settings import get_settings
from record import ledger, verification
from search import engine, index

FILLED_BY_STARTING = {"follow_progress", "ledger_head", "vault_recipient"}
"""Tables that have rows in a portal that was only started: migrations and `vault.ready` fill them."""
UNFINISHED = "restore-unfinished"
"""A file of the data folder that stands there while a restore is under way, or after one was killed."""

Progress = Callable[[int, int | None], None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Made:
    """What went into a backup."""

    folder: str
    rows: int
    tables: int
    files: int
    bytes: int
    """Of all its files, packed."""
    entries: int
    """Of the ledger."""
    root: str
    """Merkle root over them, hexadecimal."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Restored:
    """What came out of a backup, and whether its ledger holds."""

    rows: int
    tables: int
    files: int
    entities: int
    """That are searchable."""
    entries: int
    """Of the ledger, all of them computed anew."""
    root: str
    holds: bool
    problem: str | None
    """What `portal verify` calls it; `other` when the ledger holds but is not the one that was backed up."""
    seconds: float


def _silent(done: int, total: int | None) -> None:
    """Tell nobody."""


def refuse_half_restored() -> None:
    """Raises RestoreUnfinished when a restore into this portal was killed, or is under way."""
    if _mark().exists():
        raise archive.RestoreUnfinished


def _mark() -> Path:
    return get_settings().data_dir / UNFINISHED


# ---- making ---------------------------------------------------------------------------------------------------------


def make(folder: Path, progress: Progress = _silent) -> Made:
    """Copy the portal into a new folder. Raises FolderTaken, NothingThere or RestoreUnfinished."""
    started = time.monotonic()
    refuse_half_restored()
    with db.reading_engine().connect() as connection:
        copying.snapshot(connection)
        revision = migrations.revision(connection)
        if revision is None:
            raise archive.NothingThere
        archive.begin(folder, outside=get_settings().data_dir)
        size, root = ledger.head(Session(connection))
        manifest = Manifest(
            made_at=db.now(),
            database=connection.dialect.name,
            revision=revision,
            ledger=Ledger(size=size, root=root.hex()),
        )
        told = _counted(progress, None)
        for table in copying.tables(connection):
            manifest.tables[table.name] = _copied(connection, table, folder, told)
    # After the rows that speak of them: a file too many does no harm, a row whose file is missing would.
    _copy_files(folder, manifest)
    archive.finish(folder, manifest)
    seconds = round(time.monotonic() - started, 2)
    log.info("backup.made", rows=manifest.rows, files=len(manifest.files), entries=size, seconds=seconds)
    counts = (manifest.rows, len(manifest.tables), len(manifest.files), manifest.bytes)
    return Made(str(folder), *counts, size, root.hex(), seconds)


def _copied(connection: Connection, table: Table, folder: Path, told: copying.Told) -> StoredTable:
    path = folder / archive.table_path(table.name)
    rows = copying.write(connection, table, path, told)
    stored = archive.vouched(path)
    return StoredTable(rows=rows, columns=[column.name for column in table.columns], **stored.model_dump())


def _counted(progress: Progress, total: int | None) -> copying.Told:
    done = 0

    def told(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total)

    return told


def _copy_files(folder: Path, manifest: Manifest) -> None:
    data_dir = get_settings().data_dir
    for path in _files():
        name = path.relative_to(data_dir).as_posix()
        target = folder / archive.FILES / name
        try:
            archive.copy(path, target)
        except FileNotFoundError:  # removed by the running portal since it was listed
            continue
        manifest.files[name] = archive.vouched(target)


def _files() -> Iterator[Path]:
    """Every file of the data folder that is neither database, index nor private key. Links are followed."""
    settings = get_settings()
    passed_by = {
        engine.folder().resolve(),
        datastore.folder().resolve(),
        settings.resolved_keys_dir.resolve(),
        settings.data_dir.resolve(),
    }
    database = make_url(settings.resolved_database_url)
    if database.get_backend_name() == "sqlite":
        own = f"{Path(database.database or '').resolve()}"
        passed_by |= {Path(own + ending) for ending in ("", "-wal", "-shm", "-journal", "-queue", "-turn")}
    for within, folders, names in os.walk(settings.data_dir, followlinks=True):
        fresh = [name for name in sorted(folders) if Path(within, name).resolve() not in passed_by]
        passed_by |= {Path(within, name).resolve() for name in fresh}  # a link that leads back ends here
        folders[:] = fresh
        for path in (Path(within, name) for name in sorted(names)):
            if path.is_file() and path.resolve() not in passed_by:
                yield path


# ---- restoring ------------------------------------------------------------------------------------------------------


def restore(folder: Path, progress: Progress = _silent) -> Restored:
    """Bring a backup back into an empty portal. All rows come in one transaction, so a killed restore leaves none.

    Raises NotABackup, BackupNewer, BackupDamaged, PortalNotEmpty or RestoreUnfinished, and has then changed nothing.
    """
    started = time.monotonic()
    refuse_half_restored()
    manifest = archive.read_manifest(folder)
    if not migrations.known(manifest.revision):
        raise BackupNewer
    archive.check(folder, manifest, progress)
    if any(_files()):
        raise archive.PortalNotEmpty
    _load(folder, manifest, progress)
    for name in manifest.files:
        archive.copy(folder / archive.FILES / name, get_settings().data_dir / name)
    entities = index.rebuild(progress)
    report = verification.verify(progress)
    _mark().unlink()
    problem = report.problem or _other(report, manifest)
    seconds = round(time.monotonic() - started, 2)
    log.info("backup.restored", rows=manifest.rows, entries=report.entries, problem=problem, seconds=seconds)
    counts = (manifest.rows, len(manifest.tables), len(manifest.files), entities)
    return Restored(*counts, report.entries, report.root, problem is None, problem, seconds)


def _other(report: verification.Report, manifest: Manifest) -> str | None:
    same = (report.entries, report.root) == (manifest.ledger.size, manifest.ledger.root)
    return None if same else "other"


def _load(folder: Path, manifest: Manifest, progress: Progress) -> None:
    with db.writing_engine().begin() as connection:
        _refuse_unless_empty(connection, manifest.revision)
        _mark().parent.mkdir(parents=True, exist_ok=True)
        _mark().touch(exist_ok=False)
        try:
            migrations.upgrade_within(connection, manifest.revision)
            _fill(connection, folder, manifest, progress)
            migrations.upgrade_within(connection)
        except BaseException:
            _mark().unlink()
            raise


def _refuse_unless_empty(connection: Connection, revision: str) -> None:
    present, tables = migrations.revision(connection), copying.tables(connection)
    if present != (revision if tables else None):
        raise archive.PortalNotEmpty
    if tables and connection.dialect.name == "postgresql":
        quote = connection.dialect.identifier_preparer.quote
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(quote(table.name) for table in tables)}")
    for table in tables:
        filled = connection.execute(select(1).select_from(table).limit(1)).first() is not None
        if filled and table.name not in FILLED_BY_STARTING:
            raise archive.PortalNotEmpty


def _fill(connection: Connection, folder: Path, manifest: Manifest, progress: Progress) -> None:
    tables = copying.tables(connection)
    if {table.name for table in tables} != manifest.tables.keys():
        raise BackupDamaged(file=archive.MANIFEST)
    told = _counted(progress, manifest.rows)
    with copying.filling(connection, tables):
        for table in tables:
            stored = manifest.tables[table.name]
            path = archive.table_path(table.name)
            if copying.read(connection, table, stored.columns, folder / path, told) != stored.rows:
                raise BackupDamaged(file=path)
