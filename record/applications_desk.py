"""Officers' pages of objections and applications for repair."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal

from fastapi import Form, Request, Response
from sqlalchemy.orm import Session

from portal.kit import db, gate, limits, web
from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import applications, decisions, entities, publication
from record.applications import Application, Arrival
from record.desk import back_to

router = limits.router(include_in_schema=False)

HOME = "/desk/applications"
PER_PAGE = 50


@router.get(HOME)
@door(who="officer", limit="300/minute")
def queue(
    request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, closed: str = "", after: str = ""
) -> Response:
    if closed:
        before = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else None
        found = applications.closed(session, officer, before=before, limit=PER_PAGE)
        more = str(found[-1].id) if len(found) == PER_PAGE else None
    else:
        found = applications.waiting(session, officer, after=_place(after), limit=PER_PAGE)
        more = f"{found[-1].due_on or date.max}_{found[-1].id}" if len(found) == PER_PAGE else None
    names = {one.code: one.name for one in entities.by_codes(session, [one.entity_code for one in found])}
    return web.page(request, "desk/applications.html", applications=found, names=names, closed=bool(closed), more=more)


def _place(after: str) -> tuple[date, int] | None:
    day, _, number = after.partition("_")
    try:
        return date.fromisoformat(day), int(number[:10])
    except ValueError:
        return None


@router.get(f"{HOME}/new")
@door(who="officer", limit="300/minute")
def new(
    request: Request,
    officer: gate.CaseOfficer,
    session: web.ReadingSession,
    entry: int,
    case: applications.Case = "objection",
) -> Response:
    typed = {"case": case, "received_on": publication.today().isoformat(), "via": "letter", "grounds": ""}
    return _form(request, session, officer, entry, typed=typed)


def _form(
    request: Request,
    session: Session,
    officer: Officer,
    entry: int,
    *,
    typed: dict[str, str],
    refusal: PortalError | None = None,
) -> Response:
    shown = decisions.shown_entry(session, officer, entry)
    return web.page(
        request, "desk/application_new.html", status=refusal.status if refusal else 200,
        entry=publication.get(session, shown.seq), entity=entities.get(session, str(shown.entity_code)),
        typed=typed, refused=web.problem(refusal) if refusal else None, today=publication.today(),
    )  # fmt: skip


@router.post(HOME)
@door(who="officer", limit="60/minute", body_bytes=40_000)
def receive(
    request: Request,
    officer: gate.CaseOfficer,
    *,
    entry: Annotated[int, Form(ge=0, le=2**53)],
    case: Annotated[applications.Case, Form()],
    received_on: Annotated[date, Form()],
    via: Annotated[applications.Via, Form()],
    grounds: Annotated[str, Form(min_length=5, max_length=4_000)],
) -> Response:
    try:
        with db.writing() as session:
            made = applications.receive(session, officer, Arrival(case, entry, received_on, via, grounds.strip())).id
    except PortalError as refusal:
        typed = {"case": case, "received_on": received_on.isoformat(), "via": via, "grounds": grounds}
        with db.reading() as session:
            return _form(request, session, officer, entry, typed=typed, refusal=refusal)
    return back_to(f"{HOME}/{made}")


@router.get(f"{HOME}/{{number}}")
@door(who="officer", limit="300/minute")
def one(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, number: int) -> Response:
    return _page(request, session, applications.get(session, officer, number))


def _page(
    request: Request,
    session: Session,
    application: Application,
    *,
    refusal: PortalError | None = None,
    reason: str = "",
) -> Response:
    return web.page(
        request, "desk/application.html", status=refusal.status if refusal else 200, application=application,
        entity=entities.get(session, application.entity_code), entry=publication.get(session, application.entry_seq),
        clocks=applications.clocks_of(session, application), reason=reason,
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


Step = Literal["accept", "refuse", "extend", "uphold", "reject", "end"]
_DECIDES = frozenset({"uphold", "reject"})
_STEPS: dict[Step, Callable[[Session, Officer, int, str], Application]] = {
    "accept": lambda session, officer, number, _: applications.accept(session, officer, number),
    "refuse": applications.refuse,
    "extend": applications.extend,
    "uphold": applications.uphold,
    "reject": applications.reject,
    "end": applications.end,
}


@router.post(f"{HOME}/{{number}}/{{step}}")
@door(who="officer", limit="60/minute", body_bytes=20_000)
def step(
    request: Request,
    officer: gate.CaseOfficer,
    number: int,
    step: Step,
    *,
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Take an application one step on. Only a reviewer decides."""
    said = reason.strip()
    try:
        if step in _DECIDES and not officer.may("reviewer"):
            raise gate.NotYourRole
        if step != "accept" and len(said) < 5:
            raise ReasonMissing
        with db.writing() as session:
            _STEPS[step](session, officer, number, said)
    except PortalError as refusal:
        with db.reading() as session:
            application = applications.get(session, officer, number)
            return _page(request, session, application, refusal=refusal, reason=reason)
    return back_to(f"{HOME}/{number}")


class ReasonMissing(PortalError):
    status = 422
    slug = "reason-missing"
    title = "The reason is missing."
    remedy = "Say in a sentence why; the applicant is told, and it stays on the internal record."
