"""Files that came with tip-offs: sealed before they are kept, looked at for malware at the desk, opened for officers.

A row comes first and its objects after it, so that nothing lies in the storage that no row knows of.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from portal.kit import db, jobs, scanner, storage
from portal.kit.errors import NotFound, PortalError
from portal.kit.settings import get_settings
from reporting import vault
from reporting.attachments import Examined
from reporting.models import TipFile

STAGED_KEPT = timedelta(hours=4)
"""How long files wait for the form that they belong to."""
MOST_OF_A_TIP = 60
SCAN, REMOVE = "reporting.scan", "reporting.remove_files"
AT_ONCE = 200
PREFIX = "tips/"

Which = Literal["cleaned", "original"]


class FilesGone(PortalError):
    status = 410
    slug = "files-gone"
    title = "The files have waited too long and were deleted."
    remedy = "Attach them again. What you wrote is still here."


class TooManyFilesSent(PortalError):
    status = 409
    slug = "too-many-files-sent"
    title = "No more files fit into this case."
    remedy = "Say in a message what else you have; an officer tells you how to hand it in."


class InQuarantine(PortalError):
    status = 403
    slug = "in-quarantine"
    title = "This file is in quarantine."
    remedy = "It is infected, or the scanner could not answer. It is looked at again every night."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that is sealed and kept, and waits for its form to be sent."""

    id: str
    name: str
    """As the sender calls it; it is kept nowhere but in what is sealed."""


def stage(examined: Sequence[Examined]) -> list[Waiting]:
    """Seal and keep files that were found good. Opens its own transaction."""
    rows: list[TipFile] = []
    contents: list[tuple[str, bytes]] = []
    with db.reading() as session:
        for one in examined:
            number = str(uuid.uuid4())
            row = TipFile(
                id=number, tip_id=None, position=0, staged_at=db.now(), size=len(one.data), media_type=one.media_type,
                state="received", original=f"{PREFIX}{number}/original", cleaned=None,
            )  # fmt: skip
            contents.append((str(row.original), vault.seal(session, one.data, get_settings().department)))
            if one.cleaned is not None:
                row.cleaned = f"{PREFIX}{number}/cleaned"
                contents.append((row.cleaned, vault.seal(session, one.cleaned, get_settings().department)))
            rows.append(row)
    with db.writing() as session:
        session.add_all(rows)
    for key, sealed in contents:
        storage.put(key, sealed)
    return [Waiting(row.id, one.name) for row, one in zip(rows, examined, strict=True)]


def claim(
    session: Session, waiting: Sequence[Waiting], tip_id: str, *, message_id: int | None = None, drop_originals: bool
) -> None:
    """Join staged files to a tip, or to a message about it. Raises FilesGone, TooManyFilesSent."""
    if not waiting:
        return
    before = session.scalar(select(func.count()).where(TipFile.tip_id == tip_id)) or 0
    if before + len(waiting) > MOST_OF_A_TIP:
        raise TooManyFilesSent
    found = {row.id: row for row in session.scalars(select(TipFile).where(TipFile.id.in_([w.id for w in waiting])))}
    for position, one in enumerate(waiting, before + 1):
        row = found.get(one.id)
        if row is None or row.tip_id is not None:
            raise FilesGone
        row.tip_id, row.message_id, row.position = tip_id, message_id, position
    if drop_originals:
        _drop_originals(session, list(found.values()))
    session.flush()
    jobs.add(session, SCAN, [one.id for one in waiting])


def _drop_originals(session: Session, rows: Collection[TipFile]) -> None:
    """Keep of each file only the copy without metadata, where there is one."""
    dropped = [row for row in rows if row.cleaned is not None and row.original is not None]
    jobs.add(session, REMOVE, [str(row.original) for row in dropped])
    for row in dropped:
        row.original = None


def unstage(waiting_id: str) -> None:
    """Forget a file that its sender took out of the form again."""
    with db.writing() as session:
        row = session.get(TipFile, waiting_id)
        if row is not None and row.tip_id is None:
            _forget(session, [row])


def purge() -> int:
    """Forget files whose form was never sent. Returns how many."""
    gone = 0
    while True:
        with db.writing() as session:
            old = TipFile.tip_id.is_(None) & (TipFile.staged_at < db.now() - STAGED_KEPT)
            rows = list(session.scalars(select(TipFile).where(old).limit(AT_ONCE)))
            if not rows:
                return gone
            _forget(session, rows)
            gone += len(rows)


def _forget(session: Session, rows: Sequence[TipFile]) -> None:
    jobs.add(session, REMOVE, [key for row in rows for key in (row.original, row.cleaned) if key])
    session.execute(delete(TipFile).where(TipFile.id.in_([row.id for row in rows])))


def remove(keys: Collection[str]) -> None:
    """Remove attachments that no row names. Any other key is passed over: the public side writes such jobs too."""
    with db.reading() as session:
        named = select(TipFile.original, TipFile.cleaned).where(
            or_(TipFile.original.in_(keys), TipFile.cleaned.in_(keys))
        )
        known = {key for row in session.execute(named) for key in row}
    storage.delete([key for key in keys if key.startswith(PREFIX) and key not in known])


def erase(session: Session, tip_ids: Collection[str]) -> None:
    """Remove what these tips' files hold; that there were so many stays."""
    rows = list(session.scalars(select(TipFile).where(TipFile.tip_id.in_(tip_ids))))
    jobs.add(session, REMOVE, [key for row in rows for key in (row.original, row.cleaned) if key])
    for row in rows:
        row.original = row.cleaned = None


# ---- at the desk ----------------------------------------------------------------------------------------------------


def scan(file_id: str) -> None:
    """Look at one file for malware, where a scanner is set up. Without an answer it goes to quarantine."""
    if not scanner.is_configured():
        return
    with db.reading() as session:
        row = session.get(TipFile, file_id)
        key = (row.original or row.cleaned) if row else None
        if key is None:
            return
        plain = vault.open_sealed(session, storage.get(key))
    clean = scanner.scan(plain) == "clean"
    with db.writing() as session:
        state = "clean" if clean else "quarantined"
        session.execute(update(TipFile).where(TipFile.id == file_id).values(state=state))


def scan_again() -> int:
    """Plan another look at what is in quarantine or was never looked at. Returns how many."""
    if not scanner.is_configured():
        return 0
    with db.writing() as session:
        again = select(TipFile.id).where(
            TipFile.tip_id.is_not(None), TipFile.state.in_(("quarantined", "received")), TipFile.original.is_not(None)
        )
        ids = list(session.scalars(again.order_by(TipFile.staged_at.desc()).limit(AT_ONCE)))
        jobs.add(session, SCAN, ids)
    return len(ids)


def of_tips(session: Session, tip_ids: Collection[str]) -> list[TipFile]:
    """The files of these tips, in the order in which they came."""
    asked = select(TipFile).where(TipFile.tip_id.in_(tip_ids))
    return list(session.scalars(asked.order_by(TipFile.tip_id, TipFile.position)))


def content(session: Session, file_id: str, which: Which) -> tuple[TipFile, bytes]:
    """A file opened for an officer who reaches its case: who asks is for the caller to check.

    Raises NotFound, InQuarantine, vault.NotForUs.
    """
    row = session.get(TipFile, file_id)
    key = (row.cleaned if which == "cleaned" else row.original) if row and row.tip_id else None
    if row is None or key is None:
        raise NotFound
    if row.state == "quarantined":
        raise InQuarantine
    return row, vault.open_sealed(session, storage.get(key))


def reseal(tip_ids: Collection[str], department: str) -> None:
    """Seal what these tips' files hold to another department, one after the other and without holding a transaction."""
    with db.reading() as session:
        keys = [key for row in of_tips(session, tip_ids) for key in (row.original, row.cleaned) if key]
    for key in keys:
        with db.reading() as session:
            sealed = vault.reseal(session, storage.get(key), department)
        storage.put(key, sealed)
