"""Officers' pages of deliveries: what came and what became of it, files handed in here, and who is not known yet."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Form, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from starlette.datastructures import FormData, UploadFile

from portal.kit import errors, gate, limits, web
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import joining, kinds, uploads
from record.desk import Reason, Seq, back_to
from record.models import FeedImport

router = limits.router(include_in_schema=False)

HOME = "/desk/imports"
NEW = f"{HOME}/new"
UNMATCHED = "/desk/unmatched"
PER_PAGE = 50
_FORM_BYTES = 20_000
"""Of an upload, beside the file."""


def _place(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@router.get(HOME)
@door(who="officer", limit="300/minute")
def deliveries(request: Request, officer: gate.Officer, session: web.ReadingSession, before: str = "") -> Response:
    asked = select(FeedImport)
    if (last := _place(before)) is not None:
        asked = asked.where(FeedImport.id < last)
    found = session.scalars(asked.order_by(FeedImport.id.desc()).limit(PER_PAGE)).all()
    more = found[-1].id if len(found) == PER_PAGE else None
    return web.page(request, "desk/imports.html", deliveries=found, more=more, before=before)


# ---- handing a file in ----------------------------------------------------------------------------------------------


async def _read_form(request: Request, officer: gate.CaseOfficer) -> AsyncIterator[FormData]:
    async with request.form() as form:
        yield form


@router.get(NEW)
@door(who="officer", limit="300/minute")
def new(request: Request, officer: gate.CaseOfficer) -> Response:
    return _upload_page(request, "penalty")


@router.post(NEW)
@door(who="officer", limit="20/minute", body_bytes=uploads.MAX_BYTES + _FORM_BYTES)
def upload(request: Request, officer: gate.CaseOfficer, sent: Annotated[FormData, Depends(_read_form)]) -> Response:
    kind, file = str(sent.get("kind")), sent.get("file")
    if kind not in kinds.DAYS or kinds.KINDS[kind].command is None or not isinstance(file, UploadFile):
        raise errors.InvalidInput
    try:
        number = uploads.take(officer, kind, file.filename or "", file.file)
    except PortalError as refusal:
        return _upload_page(request, kind, refusal)
    return back_to(f"{HOME}/{number}")


def _upload_page(request: Request, kind: str, refusal: PortalError | None = None) -> Response:
    return web.page(
        request, "desk/import_new.html", status=refusal.status if refusal else 200, kind=kind,
        kinds=[each.name for each in kinds.FED], endings=", ".join(uploads.ENDINGS),
        most=uploads.MAX_BYTES // 2**20, refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


# ---- one delivery ---------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/{{number}}")
@door(who="officer", limit="300/minute")
def delivery(request: Request, officer: gate.Officer, session: web.ReadingSession, number: Seq) -> Response:
    record = session.get(FeedImport, number)
    if record is None:
        raise errors.NotFound
    problem = uploads.problem_of(record)
    fetched_until = None
    if record.uploaded_by == officer.id and record.finished_at and uploads.has_rejects(record):
        fetched_until = record.finished_at + uploads.KEPT
    return web.page(
        request, "desk/import.html", delivery=record, refused=web.problem(problem()) if problem else None,
        fetched_until=fetched_until,
    )  # fmt: skip


@router.get(f"{HOME}/{{number}}/rejects.csv")
@door(who="officer", limit="60/minute")
def rejects(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, number: Seq) -> Response:
    rows = uploads.rejects(session, officer, number)
    headers = {"Content-Disposition": f'attachment; filename="delivery-{number}.rejects.csv"'}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


# ---- whose party is not known yet -----------------------------------------------------------------------------------


@router.get(UNMATCHED)
@door(who="officer", limit="300/minute")
def unmatched(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, before: str = "") -> Response:
    found = joining.waiting(session, officer, before=_place(before), limit=PER_PAGE)
    more = found[-1].entry.seq if len(found) == PER_PAGE else None
    return web.page(request, "desk/unmatched.html", waiting=found, more=more, before=before)


@router.post(f"{UNMATCHED}/{{seq}}/join")
@door(who="officer", limit="60/minute", body_bytes=20_000)
def join(
    request: Request,
    officer: gate.CaseOfficer,
    session: web.WritingSession,
    seq: Seq,
    *,
    code: Annotated[str, Form(max_length=40)],
    reason: Reason,
) -> Response:
    joined = joining.join_to(session, officer, seq, code, reason.strip())
    return back_to(f"/desk/record?number={joined}")
