"""Batches of evaluations: a file is taken, checked row by row, looked at, and accepted or let go.

    checking → checked → accepting → accepted → withdrawing → withdrawn
        ↘ refused  ↘ withdrawn

A batch is never changed: it is known by its SHA-256, and what is wrong in it is mended by sending another. What a row
must hold, the scheme says (`partners.schemes`); publishing is `partners.acceptance`'s.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from partners import callbacks, matching, organisations, schemes, staging
from partners.models import Batch, BatchName, BatchState, Organisation
from partners.reading import Unreadable
from partners.staging import Outcome, Rater
from portal.kit import db, jobs, storage
from portal.kit.errors import NotFound, PortalError
from portal.kit.settings import get_settings
from record import ledger, publication

MOST_BYTES = 256 * 2**20
CHECK, MARK, PUBLISH, RETRACT = "partners.check", "partners.mark", "partners.publish", "partners.retract"
FORMS: Mapping[str, str] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
"""Media types that a batch may have, and what they are called here."""
ENDINGS: Mapping[str, str] = {
    ".csv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
LEFT_AFTER = timedelta(days=90)
"""How long a batch that nobody accepted is kept."""
_NOTED_EVERY = 5_000

log = structlog.get_logger()


# ---- refusals -------------------------------------------------------------------------------------------------------


class NotABatch(PortalError):
    status = 415
    slug = "batch-media-type"
    title = "A batch is a CSV, XLSX or JSONL file."
    remedy = "Send it as text/csv, as a workbook (.xlsx) or as application/x-ndjson. Save an old .xls as .xlsx first."


class BatchTooLarge(PortalError):
    status = 413
    slug = "batch-too-large"
    title = "This file is too large for one batch."
    remedy = "Split it into files of at most 256 MB."


class BatchEmpty(PortalError):
    status = 422
    slug = "batch-empty"
    title = "There is nothing in this file."
    remedy = "Send the file that holds the rows. Hidden sheets are not read."


class BatchNoHeader(PortalError):
    status = 422
    slug = "batch-no-header"
    title = "No line of this file names its columns."
    remedy = "One of the first 30 lines must hold the template's titles, such as 企业名称, 统一社会信用代码, 等级."


class BatchColumnsMissing(PortalError):
    status = 422
    slug = "batch-columns-missing"
    title = "Columns that the scheme needs are missing: %(columns)s."
    remedy = "Add them, with these titles. The scheme's template has them all."


class BatchTooWide(PortalError):
    status = 422
    slug = "batch-too-wide"
    title = "This file has more columns than a table for people has."
    remedy = "Send at most %(most)s columns."


class BatchTooLong(PortalError):
    status = 422
    slug = "batch-too-long"
    title = "This file has more rows than one batch may have."
    remedy = "Split it into files of at most %(most)s rows."


class BatchQuote(PortalError):
    status = 422
    slug = "batch-quote"
    title = "A quotation mark that is opened near row %(row)s is never closed."
    remedy = "Close it or take it out, or send the table as XLSX."


class BatchBroken(PortalError):
    status = 422
    slug = "batch-broken"
    title = "This file cannot be read: it is damaged, protected by a password, or not what its name says."
    remedy = "Open it in a spreadsheet program, save it anew without a password, and send it again."


class BatchBomb(PortalError):
    status = 422
    slug = "batch-bomb"
    title = "This file asks for more memory than any table needs."
    remedy = "Save the rows alone in a new file, without empty rows and columns far away, and send that."


UNREADABLE: Mapping[str, type[PortalError]] = {
    one.slug: one
    for one in (
        BatchEmpty, BatchNoHeader, BatchColumnsMissing, BatchTooWide, BatchTooLong, BatchQuote, BatchBroken, BatchBomb,
    )
}  # fmt: skip
"""Why a file could not be read as a whole, by its word."""


class BatchMoved(PortalError):
    status = 409
    slug = "batch-moved"
    title = "This step is not open: the batch has moved on, or is being worked on."
    remedy = "Open it again and see how far it is."


class RowsWrong(PortalError):
    status = 409
    slug = "batch-rows-wrong"
    title = "%(rejected)s rows cannot be used and %(to_confirm)s wait for a person: not all rows can be accepted."
    remedy = "Mend the file and send it again, or accept the good rows only."


class NothingToAccept(PortalError):
    status = 409
    slug = "batch-nothing"
    title = "No row of this batch can be published."
    remedy = "Mend the file and send it again."


class TooManyAtOnce(PortalError):
    status = 429
    slug = "batches-at-once"
    title = "Your organisation is sending three files already."
    remedy = "Wait until one of them has arrived, and send this one again."


# ---- taking a file --------------------------------------------------------------------------------------------------


class Arriving:
    """A file that is being received: written to the data folder as it comes, within its limit.

    Use as a context; what is not handed over by `taken` is removed at its end.
    """

    def __init__(self) -> None:
        folder = get_settings().data_dir / "arriving"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        self.path = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._digest = hashlib.sha256()
        self.size = 0
        self.head = b""

    def write(self, block: bytes) -> None:
        """Raises BatchTooLarge."""
        self.size += len(block)
        if self.size > MOST_BYTES:
            raise BatchTooLarge
        if len(self.head) < 8:
            self.head = (self.head + block)[:8]
        self._digest.update(block)
        self._file.write(block)

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what came so far."""
        return self._digest.hexdigest()

    @property
    def digest(self) -> bytes:
        return self._digest.digest()

    def finish(self) -> None:
        """No more comes. Raises BatchEmpty."""
        self._file.close()
        if not self.size:
            raise BatchEmpty

    def remove(self) -> None:
        """Forget the local copy."""
        self._file.close()
        with suppress(FileNotFoundError):
            self.path.unlink()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who hands a batch in."""

    organisation_id: str
    via: Literal["page", "api"]
    by: str
    """`account 7` or `key abcd1234`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file in the store, and what is known of it."""

    batch_id: str
    name: str
    form: str
    size: int
    sha256: str


def form_of(media_type: str, name: str, head: bytes) -> str:
    """What kind of file it is, by what its sender says and how it begins. Raises NotABatch."""
    said = FORMS.get(media_type.partition(";")[0].strip().lower()) or ENDINGS.get(Path(name).suffix.lower())
    is_zip = head.startswith(b"PK\x03\x04")
    if said is None or is_zip != (said == "xlsx") or head.startswith(b"\xd0\xcf\x11\xe0"):
        raise NotABatch
    return said


def keep(file: Arriving) -> str:
    """Put a file into the store, before its row says so. Returns the id of the batch that it will be.

    One that never gets its row is forgotten by `purge`. Raises StorageAway.
    """
    batch_id = ledger.new_id()
    storage.put_file(staging.key(batch_id, "file"), file.path)
    return batch_id


def take(session: Session, sender: Sender, scheme_id: str, sent: Sent) -> Batch:
    """Make a kept file a batch, and a job that checks it. Raises organisations.OrganisationClosed, SchemeUnknown."""
    organisation = organisations.acting(session, sender.organisation_id)
    scheme, version = schemes.in_force(session, organisation, scheme_id)
    batch = Batch(
        id=sent.batch_id, organisation_id=organisation.id, scheme_id=scheme.id, scheme_version=version.number,
        state="checking", file_name=Path(sent.name.replace("\\", "/")).name[-200:] or f"batch.{sent.form}",
        form=sent.form, size=sent.size, sha256=sent.sha256, via=sender.via, sent_by=sender.by, created_at=db.now(),
        progress=0, good_rows_only=False, published=0,
    )  # fmt: skip
    session.add(batch)
    session.flush()
    jobs.add(session, CHECK, [batch.id])
    log.info("batch.taken", batch=batch.id, form=sent.form, size=sent.size)
    return batch


# ---- checking -------------------------------------------------------------------------------------------------------


def rater_of(session: Session, batch: Batch) -> Rater:
    """Who evaluates in this batch, by the edition that was in force when it came."""
    organisation = organisations.get(session, batch.organisation_id)
    scheme = schemes.get(session, batch.scheme_id)
    version = schemes.version_of(session, batch.scheme_id, batch.scheme_version)
    return Rater(organisation, scheme.id, scheme.name, version.number, schemes.definition_of(version))


def check(batch_id: str) -> None:
    """Check a batch that waits for it. Safe to repeat; a file that cannot be read ends as `refused`."""
    with db.reading() as session:
        batch = session.get_one(Batch, batch_id)
        if batch.state != "checking":
            return
        rater = rater_of(session, batch)
    try:
        outcome = staging.stage(batch, rater, publication.today(), _Noting(batch_id))
    except Unreadable as refusal:
        with db.writing() as session:
            _settle(session, batch_id, "refused", problem=refusal.slug, problem_values=refusal.values)
        return
    candidates = matching.candidates(outcome.names)
    with db.writing() as session:
        if _settle(session, batch_id, "checked", **_counted(outcome)):
            session.execute(delete(BatchName).where(BatchName.batch_id == batch_id))
            for place, (staged, likely) in enumerate(zip(outcome.names, candidates, strict=True)):
                session.add(
                    BatchName(
                        batch_id=batch_id, place=place, row=staged.place[:80], name=staged.name, candidates=likely,
                        left_out=False,
                    )
                )  # fmt: skip
            if outcome.counts.rejected:
                jobs.add(session, MARK, [batch_id])


class _Noting:
    """Writes from time to time how many rows were looked at, for people who wait."""

    def __init__(self, batch_id: str) -> None:
        self._batch_id = batch_id
        self._noted = 0

    def __call__(self, rows: int) -> None:
        if rows - self._noted < _NOTED_EVERY:
            return
        self._noted = rows
        with db.writing() as session:
            session.execute(
                update(Batch).where(Batch.id == self._batch_id, Batch.state == "checking").values(progress=rows)
            )


def _counted(outcome: Outcome) -> dict[str, Any]:
    counts = outcome.counts
    return {
        "rows": counts.rows, "progress": counts.rows, "new": counts.new, "changed": counts.changed,
        "unchanged": counts.unchanged, "superseded": counts.superseded, "rejected": counts.rejected,
        "to_confirm": counts.to_confirm, "header": list(outcome.header)[:300],
    }  # fmt: skip


def _settle(session: Session, batch_id: str, state: BatchState, **values: Any) -> bool:
    """End the check, unless the batch was let go meanwhile. Returns whether it did."""
    batch = session.get_one(Batch, batch_id, with_for_update=True)
    if batch.state != "checking":
        return False
    batch.state, batch.checked_at = state, db.now()
    for name, value in values.items():
        setattr(batch, name, value)
    session.flush()
    callbacks.tell(session, batch.organisation_id, f"batch.{state}", summary(batch))
    return True


# ---- accepting and letting go ---------------------------------------------------------------------------------------


def accept(session: Session, batch: Batch, *, good_rows_only: bool) -> Batch:
    """Have a checked batch published. Raises BatchMoved, RowsWrong, NothingToAccept, organisations.OrganisationClosed.

    Asking again while it is under way changes nothing.
    """
    batch = locked(session, batch, "checked", "accepting", "accepted")
    if batch.state != "checked":
        return batch
    organisations.acting(session, batch.organisation_id)
    if not good_rows_only and (batch.rejected or batch.to_confirm):
        raise RowsWrong(rejected=batch.rejected, to_confirm=batch.to_confirm)
    if not batch.new + batch.changed + batch.unchanged:
        raise NothingToAccept
    batch.state, batch.good_rows_only, batch.accepted_at, batch.progress = "accepting", good_rows_only, db.now(), 0
    session.flush()
    jobs.add(session, PUBLISH, [batch.id])
    callbacks.tell(session, batch.organisation_id, "batch.accepting", summary(batch))
    return batch


def withdraw(session: Session, batch: Batch, reason: str) -> Batch:
    """Let a batch go: before its acceptance nothing was published, afterwards its evaluations are withdrawn.

    Raises BatchMoved while it is being published.
    """
    batch = locked(session, batch, "checking", "checked", "refused", "accepted", "withdrawing", "withdrawn")
    if batch.state in {"withdrawing", "withdrawn"}:
        return batch
    published = batch.state == "accepted"
    batch.state, batch.reason = ("withdrawing" if published else "withdrawn"), reason
    session.flush()
    if published:
        jobs.add(session, RETRACT, [batch.id])
    callbacks.tell(session, batch.organisation_id, f"batch.{batch.state}", summary(batch))
    return batch


def locked(session: Session, batch: Batch, *states: BatchState) -> Batch:
    """The batch, nobody else's to change until the transaction ends. Raises BatchMoved in any other state."""
    locked = session.get_one(Batch, batch.id, with_for_update=True, populate_existing=True)
    if locked.state not in states:
        raise BatchMoved
    return locked


# ---- reading --------------------------------------------------------------------------------------------------------


def get(session: Session, organisation_id: str, batch_id: str) -> Batch:
    """One of the organisation's batches. Raises NotFound, also for somebody else's: nobody learns that it exists."""
    batch = session.get(Batch, batch_id)
    if batch is None or batch.organisation_id != organisation_id:
        raise NotFound
    return batch


def of(session: Session, organisation: Organisation, *, before: str | None = None, limit: int = 50) -> Sequence[Batch]:
    """An organisation's batches, the newest first. Ids sort by the moment at which they were made."""
    asked = select(Batch).where(Batch.organisation_id == organisation.id)
    if before:
        asked = asked.where(Batch.id < before)
    return session.scalars(asked.order_by(Batch.id.desc()).limit(limit)).all()


def problem_of(batch: Batch) -> PortalError | None:
    """Why the file could not be read as a whole."""
    if batch.problem is None:
        return None
    return UNREADABLE.get(batch.problem, BatchBroken)(**(batch.problem_values or {}))


def summary(batch: Batch) -> dict[str, Any]:
    """What outside programs read of a batch; fields may be added and are never renamed."""
    return {
        "id": batch.id,
        "scheme": batch.scheme_id,
        "status": batch.state,
        "sha256": batch.sha256,
        "counts": {
            "rows": batch.rows or 0, "new": batch.new, "changed": batch.changed, "unchanged": batch.unchanged,
            "superseded": batch.superseded, "rejected": batch.rejected, "to_confirm": batch.to_confirm,
        },
        "progress": batch.progress,
    }  # fmt: skip


def purge() -> int:
    """Forget batches that nobody accepted for LEFT_AFTER, and files that no row names. Returns how many batches."""
    with db.writing() as session:
        old = select(Batch).where(
            Batch.state.in_(("checked", "refused", "withdrawn")), Batch.accepted_at.is_(None),
            Batch.created_at < db.now() - LEFT_AFTER, Batch.problem.is_distinct_from("forgotten"),
        )  # fmt: skip
        left = list(session.scalars(old.limit(500)))
        for batch in left:
            batch.state, batch.problem = "withdrawn", "forgotten"
    for batch in left:
        storage.delete(list(storage.keys(f"batches/{batch.id}")))
    _forget_files_without_a_row()
    oldest = (db.now() - timedelta(days=1)).timestamp()
    for path in (get_settings().data_dir / "arriving").glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
    return len(left)


def _forget_files_without_a_row() -> None:
    """Remove files whose request died between the store and the row: ids tell the moment at which they were made."""
    before = int((db.now() - timedelta(days=1)).timestamp() * 1000)
    lone: list[str] = []
    for key in storage.keys("batches"):
        batch_id = key.split("/")[1]
        if key.endswith("/file") and int(batch_id.replace("-", "")[:12], 16) < before:
            lone.append(batch_id)
    for start in range(0, len(lone), 500):
        part = lone[start : start + 500]
        with db.reading() as session:
            known = set(session.scalars(select(Batch.id).where(Batch.id.in_(part))))
        storage.delete([staging.key(batch_id, "file") for batch_id in part if batch_id not in known])
