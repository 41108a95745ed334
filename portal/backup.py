"""Everything that a portal knows, into a folder or object storage while it runs, and out of it into an empty portal.

    made = make("/backups/2026-11-23")
    restored = restore("s3://backups/2026-11-23")

A backup holds every table as it was at one moment, the data folder's files, and what is kept in object storage. It
holds neither private keys nor the search index, which is made anew. Backups of either database, and of files in a
folder or in object storage, can be restored into the other.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection, Table, make_url, select
from sqlalchemy.orm import Session

from opendata import datastore
from portal import migrations
from portal.kit import archive, copying, db, storage
from portal.kit.archive import BackupDamaged, BackupNewer, Ledger, Manifest, Place, StoredTable
from portal.kit.settings import get_settings
from record import ledger, verification
from search import engine, index

FILLED_BY_STARTING = {"follow_progress", "ledger_head", "vault_recipient"}
"""Tables that have rows in a portal that was only started: migrations and `vault.ready` fill them."""
KEPT = "files/"
"""Where, by its names, a backup has what `kit.storage` keeps: in a folder's backup it lies there anyway."""
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


def make(where: str | Path, progress: Progress = _silent) -> Made:
    """Copy the portal into a new folder, or `s3://bucket/folder`.

    Raises FolderTaken, NothingThere, RestoreUnfinished or storage.StorageAway.
    """
    started = time.monotonic()
    at = archive.place(str(where))
    refuse_half_restored()
    with db.reading_engine().connect() as connection:
        copying.snapshot(connection)
        revision = migrations.revision(connection)
        if revision is None:
            raise archive.NothingThere
        at.begin(outside=get_settings().data_dir)
        size, root = ledger.head(Session(connection))
        manifest = Manifest(
            made_at=db.now(),
            database=connection.dialect.name,
            revision=revision,
            ledger=Ledger(size=size, root=root.hex()),
        )
        told = _counted(progress, None)
        for table in copying.tables(connection):
            manifest.tables[table.name] = _copied(connection, table, at, told)
    # After the rows that speak of them: a file too many does no harm, a row whose file is missing would.
    _copy_files(at, manifest)
    archive.finish(at, manifest)
    seconds = round(time.monotonic() - started, 2)
    log.info("backup.made", rows=manifest.rows, files=len(manifest.files), entries=size, seconds=seconds)
    counts = (manifest.rows, len(manifest.tables), len(manifest.files), manifest.bytes)
    return Made(str(at), *counts, size, root.hex(), seconds)


def _copied(connection: Connection, table: Table, at: Place, told: copying.Told) -> StoredTable:
    with at.writing(archive.table_path(table.name)) as path:
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


def _copy_files(at: Place, manifest: Manifest) -> None:
    data_dir = get_settings().data_dir
    # What the running portal removed since it was listed is passed over.
    for path in _files():
        name = path.relative_to(data_dir).as_posix()
        with suppress(FileNotFoundError), at.writing(f"{archive.FILES}/{name}") as target:
            shutil.copy2(path, target)
            manifest.files[name] = archive.vouched(target)
    for key in storage.keys() if storage.is_elsewhere() else ():
        with suppress(storage.ObjectMissing), at.writing(f"{archive.FILES}/{KEPT}{key}") as target:
            storage.fetch(key, target)
            manifest.files[KEPT + key] = archive.vouched(target)


def _files() -> Iterator[Path]:
    """Every file of the data folder that is neither database, index nor private key. Links are followed."""
    settings = get_settings()
    passed_by = {
        engine.folder().resolve(),
        datastore.folder().resolve(),
        settings.resolved_keys_dir.resolve(),
        settings.data_dir.resolve(),
    }
    if storage.is_elsewhere():
        passed_by.add((settings.data_dir / KEPT).resolve())
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


def restore(where: str | Path, progress: Progress = _silent) -> Restored:
    """Bring a backup back into an empty portal. All rows come in one transaction, so a killed restore leaves none.

    Raises NotABackup, BackupNewer, BackupDamaged, PortalNotEmpty, RestoreUnfinished or storage.StorageAway, and has
    then changed nothing.
    """
    started = time.monotonic()
    at = archive.place(str(where))
    refuse_half_restored()
    manifest = archive.read_manifest(at)
    if not migrations.known(manifest.revision):
        raise BackupNewer
    archive.check(at, manifest, progress)
    if any(_files()) or (storage.is_elsewhere() and any(storage.keys())):
        raise archive.PortalNotEmpty
    _load(at, manifest, progress)
    for name in manifest.files:
        with at.reading(f"{archive.FILES}/{name}") as path:
            _bring_back(name, path)
    entities = index.rebuild(progress)
    report = verification.verify(progress)
    _mark().unlink()
    problem = report.problem or _other(report, manifest)
    seconds = round(time.monotonic() - started, 2)
    log.info("backup.restored", rows=manifest.rows, entries=report.entries, problem=problem, seconds=seconds)
    counts = (manifest.rows, len(manifest.tables), len(manifest.files), entities)
    return Restored(*counts, report.entries, report.root, problem is None, problem, seconds)


def _bring_back(name: str, path: Path) -> None:
    if name.startswith(KEPT) and storage.is_elsewhere():
        storage.put_file(name.removeprefix(KEPT), path)
    else:
        target = get_settings().data_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def _other(report: verification.Report, manifest: Manifest) -> str | None:
    same = (report.entries, report.root) == (manifest.ledger.size, manifest.ledger.root)
    return None if same else "other"


def _load(at: Place, manifest: Manifest, progress: Progress) -> None:
    with db.writing_engine().begin() as connection:
        _refuse_unless_empty(connection, manifest.revision)
        _mark().parent.mkdir(parents=True, exist_ok=True)
        _mark().touch(exist_ok=False)
        try:
            migrations.upgrade_within(connection, manifest.revision)
            _fill(connection, at, manifest, progress)
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


def _fill(connection: Connection, at: Place, manifest: Manifest, progress: Progress) -> None:
    tables = copying.tables(connection)
    if {table.name for table in tables} != manifest.tables.keys():
        raise BackupDamaged(file=archive.MANIFEST)
    told = _counted(progress, manifest.rows)
    with copying.filling(connection, tables):
        for table in tables:
            stored = manifest.tables[table.name]
            name = archive.table_path(table.name)
            with at.reading(name) as path:
                rows = copying.read(connection, table, stored.columns, path, told)
            if rows != stored.rows:
                raise BackupDamaged(file=name)
