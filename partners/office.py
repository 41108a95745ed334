"""Members' pages of batches: handing a file in, watching its check, mending, accepting, taking back."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Depends, Form, Path, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from partners import api, blanks, marking, naming, organisations, programs, schemes, staging, uploads
from partners.entrance import to
from partners.models import Batch
from partners.uploads import Arriving, Sender, Sent
from portal.kit import db, errors, gate, limits, web
from portal.kit.accounts import Member
from portal.kit.errors import PortalError
from portal.kit.limits import door

router = limits.router(include_in_schema=False)

HOME = "/account/batches"
PER_PAGE = 50
FAULTS_SHOWN = 100
NAMES_SHOWN = 50
_FORM_BYTES = 20_000
_BLOCK = 2**20

Step = Callable[[Session, Batch], Any]
BatchId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Reason = Annotated[str, Form(min_length=5, max_length=2_000)]


@router.get(HOME)
@door(who="member", limit="300/minute")
def batches(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    before = request.query_params.get("before", "")[:36] or None
    organisation = organisations.get(session, member.organisation)
    found = uploads.of(session, organisation, before=before, limit=PER_PAGE)
    more = found[-1].id if len(found) == PER_PAGE else None
    return web.page(request, "account/batches.html", batches=found, more=more, organisation=organisation)


# ---- handing in -----------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/new")
@door(who="member", limit="300/minute")
def new(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    return _upload_page(request, session, member, request.query_params.get("scheme", "")[:40])


def _upload_page(
    request: Request, session: Session, member: Member, scheme_id: str, refusal: PortalError | None = None
) -> Response:
    mine = [scheme for scheme in schemes.of(session, member.organisation) if scheme.current is not None]
    return web.page(
        request, "account/batch_new.html", status=refusal.status if refusal else 200, schemes=mine,
        chosen=scheme_id, forms=list(blanks.MEDIA_TYPES), most=uploads.MOST_BYTES // 2**20,
        endings=",".join(uploads.ENDINGS), refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


async def _read_form(request: Request, member: gate.Member) -> AsyncIterator[FormData]:
    async with request.form() as form:
        yield form


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_BLOCK):
        yield chunk


async def _arrived(
    request: Request, member: gate.Member, form: Annotated[FormData, Depends(_read_form)]
) -> AsyncIterator[tuple[str, str, Arriving | PortalError]]:
    """The scheme, the file's name and the file, or why it was not taken."""
    sent = form.get("file")
    scheme_id = str(form.get("scheme", ""))[:40]
    if not isinstance(sent, UploadFile):
        raise errors.InvalidInput
    file = Arriving()
    try:
        await programs.receive(member.organisation, lambda: _chunks(sent), file)
        yield scheme_id, sent.filename or "", file
    except (uploads.BatchTooLarge, uploads.BatchEmpty, uploads.TooManyAtOnce) as refusal:
        yield scheme_id, "", refusal
    finally:
        file.remove()


@router.post(HOME)
@door(who="member", limit="30/minute", body_bytes=uploads.MOST_BYTES + _FORM_BYTES)
def hand_in(
    request: Request,
    member: gate.Member,
    arrived: Annotated[tuple[str, str, Arriving | PortalError], Depends(_arrived)],
) -> Response:
    scheme_id, name, file = arrived
    try:
        if isinstance(file, PortalError):
            raise file
        form = uploads.form_of("", name, file.head)
        sent = Sent(uploads.keep(file), name, form, file.size, file.sha256)
        with db.writing() as session:
            sender = Sender(member.organisation, "page", f"account {member.id}")
            batch = uploads.take(session, sender, scheme_id, sent)
    except PortalError as refusal:
        with db.reading() as session:
            return _upload_page(request, session, member, scheme_id, refusal)
    return to(f"{HOME}/{batch.id}")


# ---- one batch ------------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/{{batch_id}}")
@door(who="member", limit="600/minute")
def batch(request: Request, member: gate.Member, session: web.ReadingSession, batch_id: BatchId) -> Response:
    return _batch_page(request, session, uploads.get(session, member.organisation, batch_id))


def _batch_page(request: Request, session: Session, batch: Batch, refusal: PortalError | None = None) -> Response:
    problem = uploads.problem_of(batch)
    looked_at = batch.checked_at is not None and problem is None
    waiting = naming.names_open(session, batch, limit=NAMES_SHOWN) if batch.to_confirm else []
    return web.page(
        request, "account/batch.html", status=refusal.status if refusal else 200, batch=batch,
        scheme=schemes.get(session, batch.scheme_id), problem=web.problem(problem) if problem else None,
        faults=staging.faults(batch.id, limit=FAULTS_SHOWN) if looked_at and batch.rejected else [],
        names=waiting, said=marking.told, live=batch.state in {"checking", "accepting", "withdrawing"},
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.get(f"{HOME}/{{batch_id}}/{{name}}")
@door(who="member", limit="60/minute")
def part(
    request: Request,
    member: gate.Member,
    session: web.ReadingSession,
    *,
    batch_id: BatchId,
    name: Literal["rejects.csv", "marked.xlsx"],
) -> Response:
    return api.part(uploads.get(session, member.organisation, batch_id), name)


@router.post(f"{HOME}/{{batch_id}}/accept")
@door(who="member", limit="60/minute", body_bytes=4_000)
def accept(
    request: Request,
    member: gate.Member,
    batch_id: BatchId,
    rows: Annotated[Literal["all", "good"], Form()] = "all",
) -> Response:
    return _step(
        request, member, batch_id, lambda session, found: uploads.accept(session, found, good_rows_only=rows == "good")
    )


@router.post(f"{HOME}/{{batch_id}}/withdraw")
@door(who="member", limit="60/minute", body_bytes=12_000)
def withdraw(request: Request, member: gate.Member, batch_id: BatchId, reason: Reason) -> Response:
    return _step(request, member, batch_id, lambda session, found: uploads.withdraw(session, found, reason.strip()))


@router.post(f"{HOME}/{{batch_id}}/sure")
@door(who="member", limit="60/minute", body_bytes=4_000)
def sure(request: Request, member: gate.Member, batch_id: BatchId) -> Response:
    """Take the candidate of the very same name wherever there is exactly one."""
    return _step(request, member, batch_id, naming.settle_sure_names)


@router.post(f"{HOME}/{{batch_id}}/names")
@door(who="member", limit="60/minute", body_bytes=40_000)
async def names(request: Request, member: gate.Member, batch_id: BatchId) -> Response:
    """Say whom names mean: fields `name-7`, with a code, or `-` for a row that is left out; empty: not decided yet."""
    form = await request.form()
    choices: dict[int, str] = {}
    for name, value in form.multi_items():
        kind, _, place = name.partition("-")
        if kind not in {"name", "code"} or not place.isdigit() or not isinstance(value, str) or not value.strip():
            continue
        if kind == "code" or int(place) not in choices:
            choices[int(place)] = "" if value == "-" else value.strip()[:40]
    codes = naming.written_codes(choices)
    return await anyio.to_thread.run_sync(
        lambda: _step(request, member, batch_id, lambda session, found: naming.settle_names(session, found, codes))
    )


def _step(request: Request, member: Member, batch_id: str, step: Step) -> Response:
    try:
        with db.writing() as session:
            step(session, uploads.get(session, member.organisation, batch_id))
    except PortalError as refusal:
        if refusal.status == errors.NotFound.status:
            raise
        with db.reading() as session:
            return _batch_page(request, session, uploads.get(session, member.organisation, batch_id), refusal)
    return to(f"{HOME}/{batch_id}")
