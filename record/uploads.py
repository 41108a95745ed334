"""Files of official data that officers hand in at the desk: kept until a job has read them, rejects for a month.

What a row comes to is `record.feeds`' business. Files lie under random names below `imports/` in the storage, so that
another host than the one that took them may read them; what they are called where they came from is only shown.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db, jobs, storage
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
PREFIX = "imports/"
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


def _keep(stored: str, content: IO[bytes]) -> str:
    """Put the file where it outlives this process. Returns its SHA-256, hexadecimal."""
    digest, size = hashlib.sha256(), 0
    with NamedTemporaryFile(prefix="import-") as file:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > MAX_BYTES:
                raise UploadTooLarge
            digest.update(block)
            file.write(block)
        if not size:
            raise packing.FileEmpty
        file.flush()
        storage.put_file(PREFIX + stored, Path(file.name))
    return digest.hexdigest()


def _rejects_key(stored: str) -> str:
    return f"{PREFIX}{stored}.rejects.csv"


def _bring_over() -> None:
    """Move into the storage what the version before kept in the data folder."""
    for path in (get_settings().data_dir / "imports").glob("*"):
        storage.put_file(PREFIX + path.name, path)
        path.unlink()


def read(number: int) -> None:
    """Read one upload into the ledger, from where it was stopped, and forget the file. Safe to repeat.

    Raises feeds.TakenOver while another process reads it.
    """
    with db.reading() as session:
        record = session.get_one(FeedImport, number)
    stored = str(record.stored_as)
    if record.finished_at is None:
        _bring_over()
        with TemporaryDirectory(prefix="import-") as folder:
            path, rejects = Path(folder) / stored, _rejects_key(stored)
            storage.fetch(PREFIX + stored, path)
            with suppress(storage.ObjectMissing):
                storage.fetch(rejects, Path(folder) / Path(rejects).name)
            try:
                feeds.import_file(
                    record.kind, path, source=record.source, delivery=number, district=record.district,
                    keep_rejects=partial(storage.put_file, rejects),
                )  # fmt: skip
            except FileRefused as refusal:
                _end(number, refusal.slug)
    storage.delete([PREFIX + stored])


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


def rejects(session: Session, officer: Officer, number: int) -> Iterator[bytes]:
    """The rows of the officer's own upload that were refused, as CSV. Raises NotFound, also once they are forgotten."""
    record = session.get(FeedImport, number)
    if record is None or record.uploaded_by != officer.id or not has_rejects(record):
        raise NotFound
    return storage.stream(_rejects_key(str(record.stored_as)))


def has_rejects(record: FeedImport) -> bool:
    """Whether an upload's rejects are there, and still kept."""
    over = record.stored_as is not None and record.finished_at is not None and record.rejected > 0
    return over and record.finished_at is not None and record.finished_at > db.now() - KEPT


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
    _bring_over()
    old = [key for key, kept_at in storage.dated(PREFIX) if kept_at < before]
    storage.delete(old)
    return len(old)
