"""The folder that a backup is: files packed and copied, and `manifest.json`, written last, that vouches for each.

    manifest.json                what the backup holds, each file with its size and SHA-256
    tables/NAME.copy.zst         a table's rows (portal/kit/copying.py)
    files/…                      the data folder's files

A folder without a manifest is no backup: one that was stopped leaves none. What goes into a backup is said elsewhere.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, Field, ValidationError

from portal.kit.errors import PortalError

FORMAT = 1
MANIFEST = "manifest.json"
TABLES = "tables"
FILES = "files"

Progress = Callable[[int, int | None], None]


class FolderTaken(PortalError):
    status = 409
    slug = "folder-taken"
    title = "A backup needs a folder that is new or empty, and not within the data folder."
    remedy = "Name another folder."


class NotABackup(PortalError):
    status = 422
    slug = "not-a-backup"
    title = "This folder holds no finished backup: it has no manifest that can be read."
    remedy = "Name the folder that was given to portal backup. If that backup was stopped, use an earlier one."


class BackupNewer(PortalError):
    status = 422
    slug = "backup-newer"
    title = "A newer version of the portal made this backup."
    remedy = "Install that version or a later one, then restore."


class BackupDamaged(PortalError):
    status = 422
    slug = "backup-damaged"
    title = "This backup is damaged: %(file)s is not what was written."
    remedy = "Nothing was restored. Use another copy of this backup, or an earlier one."


class NothingThere(PortalError):
    status = 409
    slug = "nothing-to-back-up"
    title = "There is no portal here to back up: the database has no tables."
    remedy = "Check PORTAL_DATA_DIR and PORTAL_DATABASE_URL."


class PortalNotEmpty(PortalError):
    status = 409
    slug = "portal-not-empty"
    title = "This portal is not empty, and a backup is restored into an empty one only."
    remedy = "Name a data folder without files and a database without tables."


class RestoreUnfinished(PortalError):
    status = 409
    slug = "restore-unfinished"
    title = "A restore into this portal was stopped before its end."
    remedy = "Empty the data folder and the database, then restore again."


class Stored(BaseModel):
    """One file of a backup."""

    bytes: int
    sha256: str


class StoredTable(Stored):
    rows: int
    columns: list[str]


class Ledger(BaseModel):
    """The ledger's head at the backup's moment."""

    size: int
    root: str
    """Merkle root, hexadecimal."""


def table_path(name: str) -> str:
    """Where a backup keeps the rows of a table."""
    return f"{TABLES}/{name}.copy.zst"


class Manifest(BaseModel):
    """What a backup holds."""

    format: int = FORMAT
    made_at: datetime
    database: str
    """What it was made from: `sqlite` or `postgresql`. It can be restored into either."""
    revision: str
    """Of the database's tables (Alembic)."""
    ledger: Ledger
    tables: dict[str, StoredTable] = Field(default_factory=dict)
    files: dict[str, Stored] = Field(default_factory=dict)
    """By path below the data folder."""

    def stored(self) -> Iterator[tuple[str, Stored]]:
        """Every file, by its path within the backup."""
        for name, table in self.tables.items():
            yield table_path(name), table
        for name, file in self.files.items():
            yield f"{FILES}/{name}", file

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    @property
    def bytes(self) -> int:
        return sum(stored.bytes for _, stored in self.stored())


# ---- making one -----------------------------------------------------------------------------------------------------


def begin(folder: Path, *, outside: Path) -> None:
    """Make the folder, which only its owner may read. Raises FolderTaken, also for one within `outside`."""
    if folder.resolve().is_relative_to(outside.resolve()):
        raise FolderTaken
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderTaken
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in (TABLES, FILES):
        (folder / name).mkdir()


def vouched(path: Path) -> Stored:
    """What the manifest says of a file that was just written, once it is on the disk for good."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Stored(bytes=file.tell(), sha256=digest)


def copy(source: Path, target: Path) -> None:
    """Copy one file with its times, making the folders on the way."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def finish(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all, once everything that it vouches for is on the disk."""
    for within, _, _ in os.walk(folder):
        _sync(Path(within))
    unfinished = folder / f"{MANIFEST}.new"
    with unfinished.open("x", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / MANIFEST)
    _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- reading one ----------------------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """What a backup says that it holds. Raises NotABackup or BackupNewer."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise NotABackup from error
    if manifest.format > FORMAT:
        raise BackupNewer
    if not all(_stays_within(name) for name, _ in manifest.stored()):
        raise NotABackup
    return manifest


def _stays_within(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name


def check(folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Read every file and compare it with the manifest. Raises BackupDamaged for the first that differs."""
    done, total = 0, manifest.bytes
    for name, stored in manifest.stored():
        path = folder / name
        try:
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == stored.sha256
        except OSError as error:
            raise BackupDamaged(file=name) from error
        if not same:
            raise BackupDamaged(file=name)
        done += stored.bytes
        progress(done, total)
