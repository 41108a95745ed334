"""Files of official data that officers hand in at the desk: kept until a job has read them, rejects for a month.

What a row comes to is `record.feeds`' business. Files lie under random names in `imports/` of the data folder; what
they are called where they came from is only shown.
"""

import hashlib
import os
import secrets
import time
from datetime import timedelta
from pathlib import Path
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db, jobs
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from portal.kit.settings import get_settings
from record import acts, entering, feeds, packing, tables
from record.models import FeedImport
from record.packing import FileRefused

MAX_BYTES = 20 * 2**20
ENDINGS = (".csv", ".xlsx", ".jsonl")
KEPT = timedelta(days=30)
"""How long the rejects of an upload can be fetched; and files that were never read."""
READ = "record.read_upload"
_BLOCK = 2**18


class NotAFeedFile(PortalError):
    status = 422
    slug = "not-a-feed-file"
    title = "Choose a CSV, XLSX or JSONL file that is not packed."
    remedy = "Save the table as CSV or XLSX and hand it in again. Files that are larger or packed: portal import."


class UploadTooLarge(PortalError):
    status = 413
    slug = "upload-too-large"
    title = "This file is too large to be handed in here."
    remedy = "Split it into files of at most 20 MB, or have whoever runs the portal import it."


class GivenUp(FileRefused):
    slug = "given-up"
    title = "This file could not be read for a month."
    remedy = "Hand it in again. If that fails too, tell whoever runs this portal."


def take(officer: Officer, kind: str, name: str, content: IO[bytes]) -> int:
    """Keep a file, and the job that will read it. Returns the number of the delivery.

    `name` as the officer's machine calls it. Raises NotAFeedFile, UploadTooLarge, packing.FileEmpty.
    """
    called = Path(name.replace("\\", "/")).name
    ending = Path(called).suffix.lower()
    if ending not in ENDINGS:
        raise NotAFeedFile
    stored = f"{secrets.token_hex(16)}{ending}"
    sha256 = _keep(stored, content)
    record = FeedImport(
        kind=kind, source=entering.source_of(officer), file_name=called[-255:], sha256=sha256, started_at=db.now(),
        uploaded_by=officer.id, district=officer.district, stored_as=stored,
    )  # fmt: skip
    with db.writing() as session:
        session.add(record)
        session.flush()
        jobs.add(session, READ, [record.id])
        acts.keep(session, "upload", about=str(record.id), by=officer, details={"kind": kind, "sha256": sha256})
    return record.id


def _folder() -> Path:
    return get_settings().data_dir / "imports"


def _keep(stored: str, content: IO[bytes]) -> str:
    """Write the file where it outlives this process. Returns its SHA-256, hexadecimal."""
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _folder() / stored
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > MAX_BYTES:
                break
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if not 0 < size <= MAX_BYTES:
        path.unlink()
        raise UploadTooLarge if size else packing.FileEmpty
    return digest.hexdigest()


def read(number: int) -> None:
    """Read one upload into the ledger, from where it was stopped, and forget the file. Safe to repeat.

    Raises feeds.TakenOver while another process reads it.
    """
    with db.reading() as session:
        record = session.get_one(FeedImport, number)
    path = _folder() / str(record.stored_as)
    if record.finished_at is None:
        try:
            feeds.import_file(record.kind, path, source=record.source, delivery=number, district=record.district)
        except FileRefused as refusal:
            _end(number, refusal.slug)
    path.unlink(missing_ok=True)


def _end(number: int, problem: str) -> None:
    with db.writing() as session:
        record = session.get_one(FeedImport, number)
        record.problem, record.finished_at = problem, db.now()


def problem_of(record: FeedImport) -> type[PortalError] | None:
    """Why the file could not be read as a whole."""
    if record.problem is None:
        return None
    if record.problem == tables.NoHeader.slug:  # its own remedy names a registry's columns
        return feeds.LayoutUnknown
    known: list[type[FileRefused]] = [FileRefused]
    for each in known:
        known += each.__subclasses__()
    return next((each for each in known if each.slug == record.problem), FileRefused)


def rejects(session: Session, officer: Officer, number: int) -> Path:
    """The rows of the officer's own upload that were refused, as CSV. Raises NotFound, also once they are forgotten."""
    record = session.get(FeedImport, number)
    if record is None or record.uploaded_by != officer.id:
        raise NotFound
    path = rejects_of(record)
    if path is None:
        raise NotFound
    return path


def rejects_of(record: FeedImport) -> Path | None:
    """The file of an upload's rejects, while it is kept."""
    if record.stored_as is None or record.finished_at is None:
        return None
    path = _folder() / f"{record.stored_as}.rejects.csv"
    return path if path.is_file() and record.finished_at > db.now() - KEPT else None


def purge() -> int:
    """Forget files and rejects that are older than KEPT, and give up what was never read. Returns how many files."""
    before = db.now() - KEPT
    with db.reading() as session:
        unread = select(FeedImport.id).where(
            FeedImport.stored_as.is_not(None), FeedImport.finished_at.is_(None), FeedImport.started_at < before
        )
        abandoned = session.scalars(unread).all()
    for number in abandoned:
        _end(number, GivenUp.slug)
    oldest = time.time() - KEPT.total_seconds()
    old = [path for path in _folder().glob("*") if path.stat().st_mtime < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
