"""The pages behind a receipt: how far it is, what was answered, and what else there is to say. Only ever by POST."""

from typing import Annotated, Any

from fastapi import Form, Request, Response

from portal.kit import db, limits, web
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.multipart import Sent, reading
from reporting import attachments, files, rewards, talk, vault
from reporting.forms import MOST_FILES
from reporting.talk import ShownTooLong
from reporting.vault import Receipt
from reporting.views import FORM_BYTES, private

router = limits.router(include_in_schema=False)

HOME = "/report/status"


@router.get(HOME)
@door(who="anyone", limit="300/minute")
def ask(request: Request) -> Response:
    return _asking(request)


def _asking(request: Request, refusal: PortalError | None = None, *, text: str = "") -> Response:
    status = refusal.status if refusal else 200
    problem = web.problem(refusal) if refusal else None
    return private(web.page(request, "reporting/ask.html", status=status, refused=problem, text=text))


@router.post(HOME)
@door(who="anyone", limit="20/minute;200/hour", body_bytes=20_000)
def show(
    request: Request,
    receipt: Annotated[str, Form(max_length=60)] = "",
    text: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """How far it is, for whoever knows the receipt. `text`: what was written when the page had been open too long."""
    web.refuse_other_sites(request)
    try:
        return _shown(request, vault.receipt(receipt), text=text)
    except (vault.ReceiptUnreadable, talk.ReceiptUnknown, vault.NotForUs) as refusal:
        return _asking(request, refusal, text=text)


def _shown(request: Request, receipt: Receipt, **values: Any) -> Response:
    refusal: PortalError | None = values.pop("refusal", None)
    with db.reading() as session:
        progress = talk.progress(session, receipt)
        reward = rewards.for_holder(session, progress.tip)
    return private(
        web.page(
            request,
            "reporting/status.html",
            status=refusal.status if refusal else 200,
            progress=progress,
            reward=reward,
            carried=talk.pass_for(receipt),
            refused=web.problem(refusal) if refusal else None,
            allowed=attachments.ALLOWED,
            most_files=MOST_FILES,
            **{"text": "", "sent": False, "rated": False, "not_taken": [], "examined": [], **values},
        )
    )


@router.post(f"{HOME}/message")
@door(who="anyone", limit="10/minute;60/hour", body_bytes=FORM_BYTES)
def say(request: Request, sent: Annotated[Sent, reading(files=MOST_FILES)]) -> Response:
    """Say more about a tip, or add evidence."""
    web.refuse_other_sites(request)
    text = sent.fields.get("text", "")
    try:
        receipt = talk.receipt_of(sent.fields.get("pass", ""))
    except ShownTooLong as refusal:
        return _asking(request, refusal, text=text)
    try:
        examined = attachments.examine([(one.name, one.data) for one in sent.files])
        not_taken = [one for one in examined if one.refusal is not None]
        if not_taken:
            return _shown(request, receipt, text=text, not_taken=not_taken)
        waiting = files.stage(examined) if examined else []
        with db.writing() as session:
            talk.add(session, receipt, text, waiting)
    except PortalError as refusal:
        return _shown(request, receipt, refusal=refusal, text=text)
    return _shown(request, receipt, sent=True, examined=examined)


@router.post(f"{HOME}/claim")
@door(who="anyone", limit="10/minute;30/hour", body_bytes=20_000)
def claim(
    request: Request,
    carried: Annotated[str, Form(alias="pass", max_length=2_000)] = "",
    word: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Claim a reward with the word that was chosen when the report was sent."""
    web.refuse_other_sites(request)
    try:
        receipt = talk.receipt_of(carried)
    except ShownTooLong as refusal:
        return _asking(request, refusal)
    try:
        with db.writing() as session:
            right = rewards.claim(session, receipt, word)
    except PortalError as refusal:
        return _shown(request, receipt, refusal=refusal)
    return _shown(request, receipt) if right else _shown(request, receipt, refusal=rewards.WordWrong())


@router.post(f"{HOME}/rate")
@door(who="anyone", limit="10/minute;30/hour", body_bytes=20_000)
def rate(
    request: Request,
    carried: Annotated[str, Form(alias="pass", max_length=2_000)] = "",
    mark: Annotated[int, Form()] = 0,
) -> Response:
    """Say how satisfied one is, once."""
    web.refuse_other_sites(request)
    try:
        receipt = talk.receipt_of(carried)
    except ShownTooLong as refusal:
        return _asking(request, refusal)
    try:
        with db.writing() as session:
            talk.rate(session, receipt, mark)
    except PortalError as refusal:
        return _shown(request, receipt, refusal=refusal)
    return _shown(request, receipt, rated=True)
