"""What a backup is, in a folder or in object storage: files packed and copied, and `manifest.json`, written last.

The manifest vouches for each file:

    manifest.json                what the backup holds, each file with its size and SHA-256
    tables/NAME.copy.zst         a table's rows (portal/kit/copying.py)
    files/…                      the data folder's files, and below files/files/ what the portal keeps in its storage

What has no manifest is no backup: one that was stopped leaves none. What goes into a backup is said elsewhere.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import BaseModel, Field, ValidationError

from portal.kit import storage
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

FORMAT = 1
MANIFEST = "manifest.json"
TABLES = "tables"
FILES = "files"

Progress = Callable[[int, int | None], None]


class FolderTaken(PortalError):
    status = 409
    slug = "folder-taken"
    title = "A backup needs a folder that is new or empty, and not within the data folder or the portal's own storage."
    remedy = "Name another folder."


class NotABackup(PortalError):
    status = 422
    slug = "not-a-backup"
    title = "There is no finished backup here: no manifest that can be read."
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
    remedy = "Name a data folder and a storage without files, and a database without tables."


class RestoreUnfinished(PortalError):
    status = 409
    slug = "restore-unfinished"
    title = "A restore into this portal was stopped before its end."
    remedy = "Empty the data folder, the storage and the database, then restore again."


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


# ---- where one lies -------------------------------------------------------------------------------------------------


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def begin(self, *, outside: Path) -> None:
        """Make the folder, which only its owner may read. Raises FolderTaken, also for one within `outside`."""
        if self._path.resolve().is_relative_to(outside.resolve()):
            raise FolderTaken
        if self._path.exists() and (not self._path.is_dir() or any(self._path.iterdir())):
            raise FolderTaken
        self._path.mkdir(parents=True, exist_ok=True)
        self._path.chmod(0o700)
        for name in (TABLES, FILES):
            (self._path / name).mkdir()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write one file at; it is kept at the end of the block."""
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """A path to read one file at. Raises BackupDamaged when it is not there."""
        path = self._path / name
        if not path.is_file():
            raise BackupDamaged(file=name)
        yield path

    def finish(self, manifest: bytes) -> None:
        """Write the manifest, whole or not at all, once everything that it vouches for is on the disk."""
        for within, _, _ in os.walk(self._path):
            _sync(Path(within))
        unfinished = self._path / f"{MANIFEST}.new"
        with unfinished.open("xb") as file:
            file.write(manifest)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._path / MANIFEST)
        _sync(self._path)

    def manifest(self) -> bytes:
        """Raises NotABackup."""
        try:
            return (self._path / MANIFEST).read_bytes()
        except OSError as error:
            raise NotABackup from error


class Bucket:
    """A folder of object storage. One file at a time lies on this machine."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def __str__(self) -> str:
        return self._url

    def begin(self, *, outside: Path) -> None:
        """Raises FolderTaken when there is something, also when the portal keeps its own files there; StorageAway."""
        own = get_settings().storage_url.rstrip("/")
        nested = own and (f"{self._url}/".startswith(f"{own}/") or f"{own}/".startswith(f"{self._url}/"))
        if nested or next(storage.keys(at=self._url), None) is not None:
            raise FolderTaken

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """As Folder. Raises StorageAway."""
        with TemporaryDirectory(prefix="backup-") as folder:
            path = Path(folder) / "file"
            yield path
            storage.put_file(name, path, at=self._url)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """As Folder. Raises StorageAway."""
        with TemporaryDirectory(prefix="backup-") as folder:
            path = Path(folder) / "file"
            try:
                storage.fetch(name, path, at=self._url)
            except storage.ObjectMissing as error:
                raise BackupDamaged(file=name) from error
            yield path

    def finish(self, manifest: bytes) -> None:
        """Write the manifest. Raises StorageAway."""
        storage.put(MANIFEST, manifest, at=self._url)

    def manifest(self) -> bytes:
        """Raises NotABackup, StorageAway."""
        try:
            return storage.get(MANIFEST, at=self._url)
        except storage.ObjectMissing as error:
            raise NotABackup from error


Place = Folder | Bucket


def place(where: str) -> Place:
    """`s3://bucket/folder`, or a folder of this machine."""
    return Bucket(where) if where.startswith("s3://") else Folder(Path(where))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- making one -----------------------------------------------------------------------------------------------------


def vouched(path: Path) -> Stored:
    """What the manifest says of a file that was just written, once it is on the disk for good."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Stored(bytes=file.tell(), sha256=digest)


def finish(at: Place, manifest: Manifest) -> None:
    """Write the manifest: from now on it is a backup. Raises StorageAway."""
    at.finish((manifest.model_dump_json(indent=1) + "\n").encode())


# ---- reading one ----------------------------------------------------------------------------------------------------


def read_manifest(at: Place) -> Manifest:
    """What a backup says that it holds. Raises NotABackup, BackupNewer or StorageAway."""
    try:
        manifest = Manifest.model_validate_json(at.manifest())
    except ValidationError as error:
        raise NotABackup from error
    if manifest.format > FORMAT:
        raise BackupNewer
    if not all(_stays_within(name) for name, _ in manifest.stored()):
        raise NotABackup
    return manifest


def _stays_within(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name


def check(at: Place, manifest: Manifest, progress: Progress) -> None:
    """Read every file and compare it with the manifest. Raises BackupDamaged for the first that differs."""
    done, total = 0, manifest.bytes
    for name, stored in manifest.stored():
        try:
            with at.reading(name) as path, path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == stored.sha256
        except OSError as error:
            raise BackupDamaged(file=name) from error
        if not same:
            raise BackupDamaged(file=name)
        done += stored.bytes
        progress(done, total)
