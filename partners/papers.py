"""Files that people hand in beside the data: proofs, methods, deliveries, industry rules.

What is published must be a PDF without anything that acts; what is kept for its owner and for officers may be a few
common types more, and always leaves as a download.
"""

import hashlib
import io
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import pikepdf
from sqlalchemy import select
from sqlalchemy.orm import Session

from partners.models import Paper
from portal.kit import db, scanner, storage
from portal.kit.errors import NotFound, PortalError

MOST_BYTES = 10 * 2**20
_TYPES: Mapping[str, tuple[str, bytes]] = {
    ".pdf": ("application/pdf", b"%PDF-"),
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    ".jpg": ("image/jpeg", b"\xff\xd8\xff"),
    ".jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    ".docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
    ".xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x03\x04"),
}
ACCEPTED = ",".join(_TYPES)
"""For a form's `accept`."""
_ACTS = frozenset(
    {
        "/JavaScript",
        "/JS",
        "/Launch",
        "/OpenAction",
        "/AA",
        "/EmbeddedFiles",
        "/EmbeddedFile",
        "/RichMedia",
        "/XFA",
        "/SubmitForm",
        "/ImportData",
        "/GoToR",
        "/GoToE",
    }
)
_MOST_OBJECTS = 200_000


class PaperRefused(PortalError):
    status = 422
    slug = "paper"
    title = "This file cannot be taken."
    remedy = "Hand in a PDF, a PNG or JPEG picture, or a Word or Excel file (.docx, .xlsx) of at most 10 MB."


class PaperActs(PortalError):
    status = 422
    slug = "paper-acts"
    title = "What is published must be a plain PDF: this file is none, is locked, or holds scripts or other files."
    remedy = "Print the document into a new PDF and hand that in."


class PaperSuspect(PortalError):
    status = 422
    slug = "paper-suspect"
    title = "The virus scanner did not let this file through."
    remedy = "Check it on your side. If the scanner is only out of order, try again in a few minutes."


@dataclass(frozen=True, slots=True)
class Handed:
    """A file that was looked at and can be kept."""

    name: str
    media_type: str
    public: bool
    data: bytes = field(repr=False)


def looked_at(name: str, data: bytes, *, public: bool = False) -> Handed:
    """Look at a file, before any transaction: the scanner takes its time. Raises as `checked`."""
    called = re.sub(r"[\x00-\x1f\x7f]", "", name.replace("\\", "/").rpartition("/")[2])[-200:]
    return Handed(called or "file", checked(called, data, public=public), public, data)


def keep_handed(session: Session, handed: Handed, *, organisation_id: str | None) -> Paper:
    """Keep a file that was looked at. Raises StorageAway."""
    paper = Paper(
        id=secrets.token_hex(16), organisation_id=organisation_id, name=handed.name, media_type=handed.media_type,
        size=len(handed.data), sha256=hashlib.sha256(handed.data).hexdigest(), public=handed.public,
        created_at=db.now(),
    )  # fmt: skip
    storage.put(_key(paper.id), handed.data)
    session.add(paper)
    session.flush()
    return paper


def keep(session: Session, name: str, data: bytes, *, organisation_id: str | None, public: bool = False) -> Paper:
    """Look at a file and keep it at once. Raises PaperRefused, PaperActs, PaperSuspect, StorageAway."""
    return keep_handed(session, looked_at(name, data, public=public), organisation_id=organisation_id)


def checked(name: str, data: bytes, *, public: bool) -> str:
    """The media type of a file that can be taken. Raises as `keep`."""
    ending = f".{name.rpartition('.')[2].lower()}"
    known = _TYPES.get(ending)
    if known is None or not data.startswith(known[1]) or not 0 < len(data) <= MOST_BYTES:
        raise PaperRefused
    if public:
        if ending != ".pdf":
            raise PaperActs
        _refuse_acting(data)
    if scanner.is_configured() and scanner.scan(data) != "clean":
        raise PaperSuspect
    return known[0]


def _refuse_acting(data: bytes) -> None:
    try:
        with pikepdf.open(io.BytesIO(data)) as document:
            if document.is_encrypted or len(document.objects) > _MOST_OBJECTS:
                raise PaperActs
            for one in (*document.objects, document.trailer):
                if isinstance(one, pikepdf.Dictionary | pikepdf.Stream) and _acts(one, 0):
                    raise PaperActs
    except (pikepdf.PdfError, ValueError, RecursionError) as error:
        raise PaperActs from error


def _acts(one: object, depth: int) -> bool:
    if depth > 6 or not isinstance(one, pikepdf.Dictionary | pikepdf.Stream):
        return depth > 6
    if _ACTS & set(one.keys()) or str(one.get("/S", "")) in _ACTS:
        return True
    return any(
        isinstance(value, pikepdf.Dictionary) and not value.is_indirect and _acts(value, depth + 1)
        for value in one.values()
    )


def get(session: Session, paper_id: str) -> Paper:
    """Raises NotFound."""
    paper = session.get(Paper, paper_id)
    if paper is None:
        raise NotFound
    return paper


def of(session: Session, organisation_id: str, *, limit: int = 50) -> list[Paper]:
    """What an organisation handed in, the newest first."""
    asked = select(Paper).where(Paper.organisation_id == organisation_id).order_by(Paper.created_at.desc())
    return list(session.scalars(asked.limit(limit)))


def content(paper: Paper) -> bytes:
    """What the file holds. Raises ObjectMissing, StorageAway."""
    return storage.get(_key(paper.id))


def _key(paper_id: str) -> str:
    return f"papers/{paper_id[:2]}/{paper_id}"
