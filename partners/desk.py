"""Officers' pages of partners: who asks to come in, editions of schemes, disputes, and each organisation's place."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Form, Path, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from partners import blanks, disputes, organisations, paper_forms, papers, schemes
from partners.organisation_office import join_address
from portal.kit import accounts, db, errors, gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Queue
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import entities, publication
from record.codes import DISTRICTS, INDUSTRY_SECTIONS

router = limits.router(include_in_schema=False)

HOME = "/desk/partners"
DISPUTES = "/desk/disputes"
OrganisationId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$")]
Number = Annotated[int, Path(ge=1, le=2**31)]
Reason = Annotated[str, Form(min_length=5, max_length=2_000)]


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303)


@router.get(HOME)
@door(who="officer", limit="300/minute")
def home(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession) -> Response:
    after = request.query_params.get("after", "")[:40]
    found = organisations.listed(session, entities_too=True, after=after, limit=51)
    return web.page(
        request, "desk/partners.html", waiting=organisations.waiting(session), listed=found[:50],
        more=found[49].id if len(found) > 50 else None, proposed=schemes.proposed(session),
    )  # fmt: skip


# ---- one organisation -----------------------------------------------------------------------------------------------


@router.get(f"{HOME}/{{organisation_id}}")
@door(who="officer", limit="300/minute")
def organisation(
    request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, organisation_id: OrganisationId
) -> Response:
    return _page(request, session, organisation_id)


def _page(request: Request, session: Session, id_: str, **values: Any) -> Response:
    refusal: PortalError | None = values.pop("refusal", None)
    found = organisations.get(session, id_)
    entity = entities.briefly(session, {found.entity_code}).get(found.entity_code) if found.entity_code else None
    return web.page(
        request, "desk/partner.html", status=refusal.status if refusal else 200, organisation=found, entity=entity,
        contact=organisations.contact_of(found), proofs=papers.of(session, id_),
        members=accounts.members(session, id_), schemes=schemes.of(session, id_), today=publication.today(),
        refused=web.problem(refusal) if refusal else None, **{"link": None, **values},
    )  # fmt: skip


@router.post(f"{HOME}/{{organisation_id}}/approve")
@door(who="officer", limit="60/minute", body_bytes=8_000)
def approve(
    request: Request,
    officer: gate.Reviewer,
    organisation_id: OrganisationId,
    until: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Let an applicant in, and show once the link with which its first member takes a seat."""
    try:
        last = date.fromisoformat(until) if until else None
    except ValueError as error:
        raise errors.InvalidInput from error
    try:
        with db.writing() as session:
            token = organisations.invite(session, organisation_id, "manager")
            organisations.approve(session, officer, organisation_id, valid_until=last)
            return _page(request, session, organisation_id, link=join_address(token))
    except PortalError as refusal:
        return _refused(request, organisation_id, refusal)


@router.post(f"{HOME}/{{organisation_id}}/invite")
@door(who="officer", limit="60/minute", body_bytes=4_000)
def invite(
    request: Request, officer: gate.Reviewer, session: web.WritingSession, organisation_id: OrganisationId
) -> Response:
    """Another first seat, for an organisation whose managers are gone."""
    organisations.acting(session, organisation_id)
    token = organisations.invite(session, organisation_id, "manager")
    organisations.note_invitation(session, officer, organisation_id)
    return _page(request, session, organisation_id, link=join_address(token))


@router.post(f"{HOME}/{{organisation_id}}/{{step}}")
@door(who="officer", limit="60/minute", body_bytes=12_000)
def step(
    request: Request,
    officer: gate.Reviewer,
    *,
    organisation_id: OrganisationId,
    step: Literal["refuse", "suspend", "resume", "end"],
    reason: Reason,
) -> Response:
    steps: dict[str, Callable[[Session, Officer, str, str], Any]] = {
        "refuse": organisations.refuse, "suspend": organisations.suspend, "resume": organisations.resume,
        "end": organisations.end,
    }  # fmt: skip
    try:
        with db.writing() as session:
            steps[step](session, officer, organisation_id, reason.strip())
    except PortalError as refusal:
        return _refused(request, organisation_id, refusal)
    return _to(f"{HOME}/{organisation_id}")


def _refused(request: Request, organisation_id: str, refusal: PortalError) -> Response:
    if refusal.status == errors.NotFound.status:
        raise refusal
    with db.reading() as session:
        return _page(request, session, organisation_id, refusal=refusal)


@router.get("/desk/papers/{paper_id}")
@door(who="officer", limit="120/minute")
def paper(
    request: Request, officer: gate.CaseOfficer, paper_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
) -> Response:
    with db.reading() as session:
        kept = papers.get(session, paper_id)
    return paper_forms.download(kept)


# ---- editions of schemes --------------------------------------------------------------------------------------------


@router.get("/desk/schemes/{scheme_id}/{number}")
@door(who="officer", limit="300/minute")
def edition(
    request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, scheme_id: OrganisationId, number: Number
) -> Response:
    return _edition(request, session, scheme_id, number)


def _edition(
    request: Request, session: Session, scheme_id: str, number: int, refusal: PortalError | None = None
) -> Response:
    scheme = schemes.get(session, scheme_id)
    version = schemes.version_of(session, scheme_id, number)
    definition = schemes.definition_of(version)
    return web.page(
        request, "desk/scheme.html", status=refusal.status if refusal else 200, scheme=scheme, version=version,
        definition=definition, explained=blanks.explained(definition),
        organisation=organisations.get(session, scheme.organisation_id),
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post("/desk/schemes/{scheme_id}/{number}/{step}")
@door(who="officer", limit="60/minute", body_bytes=12_000)
def decide_edition(
    request: Request,
    officer: gate.Reviewer,
    *,
    scheme_id: OrganisationId,
    number: Number,
    step: Literal["approve", "refuse"],
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    if step == "refuse" and len(reason.strip()) < 5:
        raise errors.InvalidInput
    try:
        with db.writing() as session:
            if step == "approve":
                schemes.approve(session, officer, scheme_id, number)
            else:
                schemes.refuse(session, officer, scheme_id, number, reason.strip())
    except PortalError as refusal:
        with db.reading() as session:
            return _edition(request, session, scheme_id, number, refusal)
    return _to(HOME)


# ---- disputes -------------------------------------------------------------------------------------------------------


@router.get(DISPUTES)
@door(who="officer", limit="300/minute")
def dispute_list(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession) -> Response:
    found = disputes.waiting(session)
    named = entities.briefly(session, {one.entity_code for one in found})
    return web.page(request, "desk/disputes.html", disputes=found, entities=named, today=publication.today())


@router.get(f"{DISPUTES}/{{number}}")
@door(who="officer", limit="300/minute")
def dispute(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, number: Number) -> Response:
    return _dispute(request, session, number)


def _dispute(request: Request, session: Session, number: int, refusal: PortalError | None = None) -> Response:
    found = disputes.get(session, number)
    return web.page(
        request, "desk/dispute.html", status=refusal.status if refusal else 200, dispute=found,
        entry=publication.get(session, found.entry_seq), clocks=disputes.clocks_of(session, found),
        entity=entities.get(session, found.entity_code),
        paper=papers.get(session, found.paper_id) if found.paper_id else None,
        reply=disputes.replies(session, [found.entry_seq]).get(found.entry_seq),
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post(f"{DISPUTES}/{{number}}/decide")
@door(who="officer", limit="60/minute", body_bytes=12_000)
def decide(
    request: Request,
    officer: gate.Reviewer,
    *,
    number: Number,
    outcome: Annotated[Literal["upheld", "rejected"], Form()],
    reason: Reason,
) -> Response:
    try:
        with db.writing() as session:
            disputes.decide(session, officer, number, outcome, reason.strip())
    except PortalError as refusal:
        with db.reading() as session:
            return _dispute(request, session, number, refusal)
    return _to(DISPUTES)


@router.post("/desk/replies/{seq}/hide")
@door(who="officer", limit="60/minute", body_bytes=12_000)
def hide(
    request: Request,
    officer: gate.Reviewer,
    session: web.WritingSession,
    seq: Annotated[int, Path(ge=0, le=2**53)],
    reason: Reason,
) -> Response:
    """Take an entity's words to a rating from the public."""
    disputes.hide_reply(session, officer, seq, reason.strip())
    return _to(DISPUTES)


def queues(session: Session, officer: Officer) -> list[Queue]:
    """What waits for this officer, for the desk's first page."""
    if not officer.may("clerk", "reviewer"):
        return []
    waiting, overdue = disputes.count(session)
    found = [Queue(i18n.gettext("Disputes about ratings"), DISPUTES, waiting, overdue)]
    if officer.may("reviewer"):
        to_decide = organisations.count_waiting(session) + len(schemes.proposed(session))
        found.append(Queue(i18n.gettext("Partners and schemes that wait for approval"), HOME, to_decide))
    return found


web.offer_to_templates(all_districts=lambda: DISTRICTS, all_industries=lambda: INDUSTRY_SECTIONS)
