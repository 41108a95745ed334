"""Officers' pages about one entity's or one entry's record: everything that is shown, and what can be done about it."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.kit import gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Figure, Queue
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import applications, decisions, entering, entities, ledger, outcomes, publication, redaction
from record.models import LedgerEntry, Unmatched

router = limits.router(include_in_schema=False)

HOME = "/desk/record"
REDACTIONS = "/desk/redactions"

Seq = Annotated[int, InPath(ge=0, le=2**53)]
Reason = Annotated[str, Form(min_length=5, max_length=2_000)]


def back_to(address: str) -> Response:
    """After a form: the page to look at next."""
    return RedirectResponse(address, status_code=303)


def _of_entity(session: Session, code: str) -> dict[str, Any]:
    entity = entities.get(session, code)
    parts = publication.parts(session, entity.code, each=50)
    internal = outcomes.internal_of(session, entity.code)
    return {"entity": entity, "entries": [entry for part in parts for entry in part.newest], "internal": internal}


def _by_number(session: Session, number: int) -> dict[str, Any]:
    entry = session.get(LedgerEntry, number)
    if entry is None or entry.kind == "desk_action":
        raise redaction.NothingToRedact
    return {"numbered": entry}


@router.get(HOME)
@door(who="officer", limit="300/minute")
def record(
    request: Request, officer: gate.Officer, session: web.ReadingSession, code: str = "", number: str = ""
) -> Response:
    code, number = code.strip()[:40], number.strip()[:16]
    found: dict[str, Any] = {"entity": None, "entries": (), "numbered": None, "refused": None}
    try:
        if code:
            found |= _of_entity(session, code)
        elif number.isascii() and number.isdigit():
            found |= _by_number(session, int(number))
    except PortalError as refusal:
        found["refused"] = web.problem(refusal)
    own = entering.source_of(officer)
    return web.page(request, "desk/record.html", code=code, number=number, own=own, **found)


@router.post("/desk/record/{seq}/annul")
@door(who="officer", limit="60/minute", body_bytes=20_000)
def annul(
    request: Request, officer: gate.Reviewer, session: web.WritingSession, seq: Seq, *, reason: Reason
) -> Response:
    code = decisions.annul(session, officer, seq, reason.strip())
    return back_to(f"{HOME}?code={code}")


# ---- redaction ------------------------------------------------------------------------------------------------------


@router.post("/desk/record/{seq}/redaction")
@door(who="officer", limit="60/minute", body_bytes=20_000)
def ask_for_redaction(
    request: Request, officer: gate.CaseOfficer, session: web.WritingSession, seq: Seq, *, reason: Reason
) -> Response:
    redaction.ask(session, officer, seq, reason.strip())
    return back_to(REDACTIONS)


@router.get(REDACTIONS)
@door(who="officer", limit="120/minute")
def redactions(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, after: int = 0) -> Response:
    waiting = redaction.waiting(session, after=after)
    return web.page(request, "desk/redactions.html", waiting=waiting, more=waiting[-1].id if waiting else None)


@router.post("/desk/redactions/{number}/grant")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def grant(request: Request, officer: gate.Reviewer, session: web.WritingSession, number: int) -> Response:
    redaction.grant(session, officer, number)
    return back_to(REDACTIONS)


@router.post("/desk/redactions/{number}/decline")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def decline(request: Request, officer: gate.Reviewer, session: web.WritingSession, number: int) -> Response:
    redaction.decline(session, officer, number)
    return back_to(REDACTIONS)


# ---- what stands on every officer's desk ----------------------------------------------------------------------------


def queues(session: Session, officer: Officer) -> Sequence[Queue]:
    """Work of the record that waits for this officer."""
    if not officer.may("clerk", "reviewer"):
        return []
    waiting, overdue = applications.count(session, officer)
    lines = [Queue(i18n.gettext("Objections and applications for repair"), "/desk/applications", waiting, overdue)]
    if officer.may("reviewer"):
        lines.append(Queue(i18n.gettext("Redactions to decide"), REDACTIONS, redaction.count(session)))
    return lines


def figures(session: Session, officer: Officer) -> Sequence[Figure]:
    """Numbers of the record on every officer's desk."""
    unmatched = session.scalar(select(func.count()).select_from(Unmatched)) or 0
    return [
        Figure(i18n.gettext("Entries in the ledger"), ledger.size(session)),
        Figure(i18n.gettext("Entries whose party the register does not know yet"), unmatched),
    ]
