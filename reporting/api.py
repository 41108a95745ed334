"""JSON: sending a tip-off, its proof of work, and what the holder of a receipt may read and add."""

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from portal.kit import db, errors, limits
from portal.kit.limits import door
from portal.kit.multipart import Reading, SentFile
from portal.kit.shapes import Instant
from reporting import attachments, files, floods, forms, intake, talk, vault
from reporting.attachments import Examined
from reporting.files import Waiting
from reporting.forms import MOST_FILES, NotComplete
from reporting.matters import SERVICES
from reporting.models import Kind
from reporting.talk import Progress
from reporting.views import FORM_BYTES, WRITE_LIMIT

router = limits.router(tags=["Tip-offs"])

STATUS_URL = "/report/status"


class ReporterIn(BaseModel):
    """Who tells it. Sealed apart; opened only when two officers agree."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(max_length=50)
    phone: str | None = Field(default=None, max_length=30)
    email: str | None = Field(default=None, max_length=254)


class TipIn(BaseModel):
    """A tip-off as a program sends it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: Kind = Field(description="`report`: a violation that somebody saw. `complaint`: a dispute of one's own.")
    service: Literal[tuple(SERVICES)] = Field(default="other", description="What it is about.")  # type: ignore[valid-type]
    entity_code: str | None = Field(default=None, max_length=18)
    entity: str | None = Field(default=None, max_length=200, description="Its name, where the code is not known.")
    description: str = Field(min_length=10, max_length=forms.LONGEST_DESCRIPTION)
    happened_on: date | None = None
    district: str | None = Field(default=None, max_length=6, description="Division (GB/T 2260).")
    place: str | None = Field(default=None, max_length=300)
    reporter: ReporterIn | None = Field(default=None, description="Absent: anonymous. A complaint needs it.")
    consent_to_publish: bool | None = Field(default=None, description="Complaints: 同意公示投诉信息; yes or no.")
    consent_to_mediation: bool | None = Field(default=None, description="Complaints: 同意委托调解; yes or no.")
    claim_word: str | None = Field(default=None, max_length=40, description="With which a reward can be claimed.")
    proof_of_work: str | None = Field(default=None, max_length=2_000, description="The solved challenge, if any.")


class FileOut(BaseModel):
    name: str
    media_type: str
    removed: list[str] = Field(description="What the file's metadata would have told; officers open a copy without it.")


class TipOut(BaseModel):
    receipt: str = Field(description="16 digits, shown this once. Whoever has them reads the answers.")
    status_url: str
    case_number: str = Field(description="Public: it opens nothing.")
    files: list[FileOut]


class ChallengeOut(BaseModel):
    """In ALTCHA's form: find `number` with SHA-256(salt + number) = challenge, 0 ≤ number ≤ maxnumber."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


class AskedOut(BaseModel):
    challenge: ChallengeOut | None = Field(description="Null while nothing is asked.")


class ReceiptIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    receipt: str = Field(max_length=60)


class MessageIn(ReceiptIn):
    text: str = Field(min_length=1, max_length=talk.LONGEST_MESSAGE)


class ClockOut(BaseModel):
    duty: str
    law: str
    due_on: date
    provisional: bool = Field(description="The calendar of its year is not out: the day may still move.")
    state: str


class MessageOut(BaseModel):
    by: Literal["reporter", "officer"]
    at: Instant
    text: str


class StatusOut(BaseModel):
    status: str
    received_at: Instant
    case_number: str
    clocks: list[ClockOut]
    messages: list[MessageOut]


# ---- sending --------------------------------------------------------------------------------------------------------


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    known = schema.pop("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return resolved(known[part["$ref"].rsplit("/", 1)[1]])
            return {name: resolved(value) for name, value in part.items()}
        return [resolved(one) for one in part] if isinstance(part, list) else part

    inlined: dict[str, Any] = resolved(schema)
    return inlined


_JSON = _inlined(TipIn)
_MULTIPART = {
    **_JSON,
    "properties": {
        **_JSON["properties"],
        "reporter": {"type": "string", "description": "The reporter as a JSON object."},
        "files": {"type": "array", "maxItems": MOST_FILES, "items": {"type": "string", "format": "binary"}},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _JSON}, "multipart/form-data": {"schema": _MULTIPART}},
    }
}


async def _tip(request: Request) -> AsyncIterator[tuple[TipIn, list[SentFile]]]:
    """What a program sends: JSON, or a form of the same names with files. Raises InvalidInput, BadRequest."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        yield _checked(await request.body()), []
        return
    if kind != "multipart/form-data":
        raise errors.NotAcceptable
    reading = Reading(files=MOST_FILES)(request)
    sent = await anext(reading)
    try:
        given: dict[str, Any] = {name: value for name, value in sent.fields.items() if value != ""}
        if "reporter" in given:
            given["reporter"] = _parsed(given["reporter"].encode())
        yield _checked(json.dumps(given).encode()), sent.files
    finally:
        await reading.aclose()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise errors.BadRequest from error


def _checked(body: bytes) -> TipIn:
    _parsed(body)
    try:
        return TipIn.model_validate_json(body)
    except ValidationError as error:
        found = [{"field": ".".join(map(str, one["loc"])) or "body", "message": one["msg"]} for one in error.errors()]
        raise errors.InvalidInput(errors=found) from error


_NAMES = {
    "name": "reporter.name",
    "phone": "reporter.phone",
    "email": "reporter.email",
    "publish": "consent_to_publish",
    "mediation": "consent_to_mediation",
    "word": "claim_word",
}


@router.post("/tips", status_code=201, openapi_extra=_BODY)
@door(who="anyone", limit=WRITE_LIMIT, body_bytes=FORM_BYTES)
def send(request: Request, sent: Annotated[tuple[TipIn, list[SentFile]], Depends(_tip)]) -> TipOut:
    """Tell of a violation, or of a dispute of one's own."""
    tip, attached = sent
    try:
        telling = forms.read(forms.from_json(tip.model_dump(mode="json")))
        examined, waiting = _examined(attached)
        taken = intake.submit(telling, waiting, via="api", proof=tip.proof_of_work)
    except NotComplete as refusal:
        named = [{**one, "field": _NAMES.get(one["field"], one["field"])} for one in refusal.errors]
        raise NotComplete(errors=named) from refusal
    return TipOut(
        receipt=taken.digits,
        status_url=STATUS_URL,
        case_number=taken.case_number,
        files=[_file(one) for one in examined],
    )


def _examined(attached: list[SentFile]) -> tuple[list[Examined], list[Waiting]]:
    """Files that came along, examined and kept. One that cannot be taken stops the whole: nothing is dropped silently.

    Raises the refusal of the first such file.
    """
    examined = attachments.examine([(one.name, one.data) for one in attached]) if attached else []
    for one in examined:
        if one.refusal is not None:
            raise one.refusal
    return examined, files.stage(examined) if examined else []


def _file(one: Examined) -> FileOut:
    return FileOut(name=one.name, media_type=one.media_type, removed=sorted({code for code, _ in one.betrayed}))


@router.get("/tips/challenge")
@door(who="anyone", limit="120/minute")
def challenge(request: Request, response: Response) -> AskedOut:
    """What proof of work is asked just now, if any."""
    response.headers["Cache-Control"] = "no-store"
    with db.reading() as session:
        asked = floods.challenge_of(floods.demand(session))
    return AskedOut(challenge=ChallengeOut(**asked) if asked else None)


# ---- behind a receipt -----------------------------------------------------------------------------------------------


@router.post("/tips/status")
@door(who="anyone", limit="20/minute;200/hour", body_bytes=2_000)
def status(request: Request, response: Response, asked: ReceiptIn) -> StatusOut:
    """How far a tip-off is, and what was answered. The receipt is in the body, never in an address."""
    response.headers["Cache-Control"] = "no-store"
    receipt = vault.receipt(asked.receipt)
    with db.reading() as session:
        return _status(talk.progress(session, receipt))


def _status(progress: Progress) -> StatusOut:
    return StatusOut(
        status=progress.state_of.state,
        received_at=progress.tip.received_at,
        case_number=progress.number,
        clocks=[
            ClockOut(
                duty=one.duty, law=f"{one.rule.law} {one.rule.article}".strip(), due_on=one.due_on,
                provisional=one.provisional, state=one.state,
            )
            for one in progress.clocks
        ],
        messages=[
            MessageOut(by="officer" if one.by_officer else "reporter", at=one.at, text=one.text)
            for one in progress.said
        ],
    )  # fmt: skip


@router.post("/tips/messages", status_code=201)
@door(who="anyone", limit=WRITE_LIMIT, body_bytes=20_000)
def add(request: Request, response: Response, message: MessageIn) -> MessageOut:
    """Say more about a tip-off."""
    response.headers["Cache-Control"] = "no-store"
    receipt = vault.receipt(message.receipt)
    with db.writing() as session:
        kept = talk.add(session, receipt, message.text)
    return MessageOut(by="reporter", at=kept.at, text=message.text.strip())
