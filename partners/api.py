"""JSON for partners' own systems: handing in batches of evaluations, looking at them, accepting, withdrawing."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Request, Response
from fastapi import Query as FromQuery
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from partners import acceptance, marking, naming, staging, uploads
from partners.faults import FAULTS
from partners.models import Batch
from partners.programs import Delivered, Program
from partners.uploads import Sent
from portal.kit import db, i18n, idempotency, limits, storage, web
from portal.kit.errors import NotFound
from portal.kit.limits import door
from portal.kit.shapes import Instant, Query

router = limits.router(tags=["Evaluations by partners"])

BatchId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
MOST_FAULTS = 1_000


class Begun(BaseModel):
    id: str
    status: Literal["checking"]


class Counts(BaseModel):
    rows: int
    new: int
    changed: int = Field(description="Said before about the same entity and day, with other words: superseded.")
    unchanged: int
    superseded: int = Field(description="Of the new ones: those that take the place of a rating that stands.")
    rejected: int
    to_confirm: int = Field(description="Rows that name an entity without its code; see `names_url`.")


class Problem(BaseModel):
    type: str
    title: str
    status: int
    remedy: str


class BatchOut(BaseModel):
    """A batch, from the file to the published evaluations."""

    id: str
    scheme: str
    scheme_version: int
    status: Literal["checking", "checked", "accepting", "accepted", "refused", "withdrawing", "withdrawn"]
    file_name: str
    size: int
    sha256: str
    created_at: Instant
    progress: int = Field(description="Rows that were looked at, or published, so far.")
    counts: Counts
    rejects_url: str | None = Field(description="The rejected rows as CSV, each with what is wrong and what to do.")
    workbook_url: str | None = Field(description="All rows as XLSX, with a column that says what is wrong.")
    faults_url: str | None
    names_url: str | None
    problem: Problem | None = Field(description="Why the file could not be read as a whole.")


class BatchList(BaseModel):
    items: list[BatchOut]
    total: int | None = Field(description="Not counted.")
    next: str | None


class FaultOut(BaseModel):
    column: str = Field(description="Title of the column in the file; empty: the whole row.")
    code: str
    value: str
    title: str
    remedy: str


class FaultyRow(BaseModel):
    row: str
    faults: list[FaultOut]


class FaultList(BaseModel):
    items: list[FaultyRow]
    total: int
    next: None = None


class Candidate(BaseModel):
    code: str
    name: str
    score: float
    exact: bool


class NameOut(BaseModel):
    place: int
    row: str
    name: str
    candidates: list[Candidate]
    chosen: str | None
    left_out: bool


class NameList(BaseModel):
    items: list[NameOut]
    total: int
    next: int | None


class Acceptance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: Literal["all", "good"] = Field(
        default="all", description="`all`: nothing is published unless every row can be. `good`: the good rows only."
    )


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: str = Field(min_length=5, max_length=2_000)


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    place: int = Field(ge=0)
    code: str | None = Field(max_length=18, description="Null: the row is left out.")


class Choices(BaseModel):
    model_config = ConfigDict(extra="forbid")

    choices: list[Choice] = Field(max_length=1_000)


class BatchQuery(Query):
    scheme: str = Field(max_length=40, description="Id of one of your organisation's schemes.")
    file_name: str | None = Field(default=None, max_length=200)


class ListQuery(Query):
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=36, pattern=r"^[0-9a-f-]{36}$")


class FaultQuery(Query):
    limit: int = Field(default=100, ge=1, le=MOST_FAULTS)


class NameQuery(Query):
    limit: int = Field(default=100, ge=1, le=1_000)
    cursor: int = Field(default=-1, ge=-1, le=2**31)


_FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in uploads.FORMS},
    }
}


# ---- handing in -----------------------------------------------------------------------------------------------------


@router.post("/evaluations/batches", status_code=202, response_model=Begun, openapi_extra=_FILE_BODY)
@door(who="key", limit="60/minute", body_bytes=uploads.MOST_BYTES + 1)
def begin(
    request: Request,
    session: web.WritingSession,
    asked: Annotated[BatchQuery, FromQuery()],
    delivered: Delivered,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=300)] = None,
) -> Response:
    """Hand in a file of evaluations. It is checked in the background; nothing is published before it is accepted."""
    file, caller = delivered.file, delivered.caller
    name = asked.file_name or ""
    form = uploads.form_of(request.headers.get("content-type", ""), name, file.head)
    batch_id = uploads.keep(file)

    def work() -> Response:
        sent = Sent(batch_id, name or f"batch.{form}", form, file.size, file.sha256)
        batch = uploads.take(session, caller.sender, asked.scheme, sent)
        return JSONResponse({"id": batch.id, "status": batch.state}, status_code=202)

    facts = idempotency.recognised(request, idempotency_key, file.digest)
    try:
        answer = idempotency.once(session, facts, owner=caller.owner, work=work)
    except BaseException:
        storage.delete([staging.key(batch_id, "file")])
        raise
    if "Idempotent-Replayed" in answer.headers:
        storage.delete([staging.key(batch_id, "file")])
    return answer


# ---- looking --------------------------------------------------------------------------------------------------------


def shown(batch: Batch) -> dict[str, Any]:
    """The values of a BatchOut."""
    home = f"/api/v1/evaluations/batches/{batch.id}"
    looked_at = batch.checked_at is not None and batch.problem is None
    problem = uploads.problem_of(batch)
    return {
        **uploads.summary(batch),
        "scheme_version": batch.scheme_version,
        "file_name": batch.file_name,
        "size": batch.size,
        "created_at": batch.created_at,
        "rejects_url": f"{home}/rejects.csv" if looked_at and batch.rejected else None,
        "workbook_url": f"{home}/marked.xlsx" if looked_at and batch.rejected else None,
        "faults_url": f"{home}/faults" if looked_at and batch.rejected else None,
        "names_url": f"{home}/names" if looked_at and batch.to_confirm else None,
        "problem": web.problem(problem) if problem else None,
    }


@router.get("/evaluations/batches", response_model=BatchList)
@door(who="key", limit="300/minute")
def batches(
    request: Request,
    session: web.ReadingSession,
    asked: Annotated[ListQuery, FromQuery()],
    program: Program,
) -> Any:
    """Your organisation's batches, the newest first."""
    found = uploads.of(session, program.organisation, before=asked.cursor, limit=asked.limit)
    more = found[-1].id if len(found) == asked.limit else None
    return {"items": [shown(batch) for batch in found], "total": None, "next": more}


@router.get("/evaluations/batches/{batch_id}", response_model=BatchOut)
@door(who="key", limit="600/minute")
def batch(request: Request, session: web.ReadingSession, batch_id: BatchId, program: Program) -> Any:
    """One batch of your organisation: how far it is, and what was counted."""
    return shown(uploads.get(session, program.organisation.id, batch_id))


@router.get("/evaluations/batches/{batch_id}/faults", response_model=FaultList)
@door(who="key", limit="120/minute")
def faults(
    request: Request,
    session: web.ReadingSession,
    batch_id: BatchId,
    asked: Annotated[FaultQuery, FromQuery()],
    program: Program,
) -> Any:
    """The first rows that cannot be used, each with every fault; all of them are in `rejects_url`."""
    found = _checked(uploads.get(session, program.organisation.id, batch_id))
    rows = [
        {
            "row": place,
            "faults": [
                {
                    "column": one.column, "code": one.code, "value": one.value,
                    "title": i18n.gettext(FAULTS[one.code].title, value=one.value, expected=one.expected),
                    "remedy": i18n.gettext(FAULTS[one.code].remedy, value=one.value, expected=one.expected),
                }
                for one in wrong
            ],
        }
        for place, wrong in staging.faults(found.id, limit=asked.limit)
    ]  # fmt: skip
    return {"items": rows, "total": found.rejected, "next": None}


def _checked(batch: Batch) -> Batch:
    if batch.checked_at is None or batch.problem is not None:
        raise NotFound
    return batch


@router.get("/evaluations/batches/{batch_id}/rejects.csv", response_class=Response)
@door(who="key", limit="60/minute")
def rejects(request: Request, session: web.ReadingSession, batch_id: BatchId, program: Program) -> Response:
    """The rejected rows as CSV (UTF-8 with BOM), each with what is wrong and what to do."""
    return part(uploads.get(session, program.organisation.id, batch_id), marking.REJECTS)


@router.get("/evaluations/batches/{batch_id}/marked.xlsx", response_class=Response)
@door(who="key", limit="60/minute")
def marked(request: Request, session: web.ReadingSession, batch_id: BatchId, program: Program) -> Response:
    """All rows as they were read, as XLSX, with a column that says what is wrong."""
    return part(uploads.get(session, program.organisation.id, batch_id), marking.MARKED)


_PARTS = {
    marking.REJECTS: "text/csv; charset=utf-8",
    marking.MARKED: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def part(batch: Batch, name: str) -> Response:
    """One of the files that go back, made now if its job has not run yet. Raises NotFound."""
    _checked(batch)
    if not batch.rejected:
        raise NotFound
    if not marking.is_ready(batch.id):
        marking.mark(batch.id)
    headers = {"Content-Disposition": f'attachment; filename="{batch.id}-{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(storage.stream(staging.key(batch.id, name)), media_type=_PARTS[name], headers=headers)


@router.get("/evaluations/batches/{batch_id}/names", response_model=NameList)
@door(who="key", limit="120/minute")
def names(
    request: Request,
    session: web.ReadingSession,
    batch_id: BatchId,
    asked: Annotated[NameQuery, FromQuery()],
    program: Program,
) -> Any:
    """Rows that name an entity without its code, with whom they may mean."""
    found = uploads.get(session, program.organisation.id, batch_id)
    rows = naming.names_waiting(session, found, after=asked.cursor, limit=asked.limit)
    items = [
        {
            "place": one.place, "row": one.row, "name": one.name, "candidates": one.candidates, "chosen": one.chosen,
            "left_out": one.left_out,
        }
        for one in rows
    ]  # fmt: skip
    more = rows[-1].place if len(rows) == asked.limit else None
    return {"items": items, "total": found.to_confirm, "next": more}


# ---- deciding -------------------------------------------------------------------------------------------------------


@router.post("/evaluations/batches/{batch_id}/names", response_model=BatchOut)
@door(who="key", limit="60/minute", body_bytes=200_000)
def choose(request: Request, session: web.WritingSession, batch_id: BatchId, said: Choices, program: Program) -> Any:
    """Say which entities are meant: a person's decision, which your system passes on."""
    found = uploads.get(session, program.organisation.id, batch_id)
    return shown(naming.settle_names(session, found, {one.place: one.code or "" for one in said.choices}))


@router.post("/evaluations/batches/{batch_id}/accept", response_model=BatchOut)
@door(who="key", limit="60/minute", body_bytes=4_000)
def accept(
    request: Request,
    session: web.WritingSession,
    batch_id: BatchId,
    program: Program,
    said: Acceptance | None = None,
) -> Any:
    """Have a checked batch published, whole or its good rows. Sent again it changes nothing."""
    found = uploads.get(session, program.organisation.id, batch_id)
    return shown(uploads.accept(session, found, good_rows_only=said is not None and said.rows == "good"))


@router.post("/evaluations/batches/{batch_id}/withdraw", response_model=BatchOut)
@door(who="key", limit="60/minute", body_bytes=8_000)
def withdraw(request: Request, session: web.WritingSession, batch_id: BatchId, said: Reason, program: Program) -> Any:
    """Let a batch go, or withdraw everything that it published, with the reason."""
    found = uploads.get(session, program.organisation.id, batch_id)
    return shown(uploads.withdraw(session, found, said.reason))


class WithdrawnOut(BaseModel):
    id: str
    status: Literal["withdrawn"]
    on: date


@router.post("/evaluations/{entry_id}/withdraw", response_model=WithdrawnOut)
@door(who="key", limit="120/minute", body_bytes=8_000)
def withdraw_one(
    request: Request, session: web.WritingSession, entry_id: BatchId, said: Reason, program: Program
) -> Any:
    """Withdraw one of your evaluations, by the `id` of its entry, with the reason; seconds later nobody is shown it."""
    acceptance.withdraw_one(session, program.organisation.id, entry_id, said.reason)
    return {"id": entry_id, "status": "withdrawn", "on": db.now().date()}
