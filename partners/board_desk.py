"""Officers' pages of the channel back: commissions and notices to organisations, and rules that industries publish."""

from typing import Annotated, Any, Literal, cast

from fastapi import Depends, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from partners import commissions, industry_rules, paper_forms, papers
from partners.board import Before, Number, Said
from partners.commissions import Order
from partners.entrance import to
from partners.models import ORGANISATION_TYPES, OrganisationType
from portal.kit import accounts, db, gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Queue
from portal.kit.errors import InvalidInput, NotFound, PortalError
from portal.kit.limits import door

router = limits.router(include_in_schema=False)

HOME = "/desk/commissions"
NEW = f"{HOME}/new"
RULES = "/desk/industry-rules"
PER_PAGE = 50
SentFile = Annotated[FormData, Depends(paper_forms.officers)]


@router.get(HOME)
@door(who="officer", limit="300/minute")
def home(
    request: Request,
    officer: gate.CaseOfficer,
    session: web.ReadingSession,
    *,
    closed: bool = False,
    before: Before = None,
) -> Response:
    found = commissions.issued(session, officer, closed=closed, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return web.page(
        request, "desk/commissions.html", commissions=shown, closed=closed, before=before,
        tallies=commissions.tallies(session, [one.id for one in shown]), nobody=commissions.NOBODY,
        more=shown[-1].id if len(found) > PER_PAGE else None,
    )  # fmt: skip


# ---- issuing --------------------------------------------------------------------------------------------------------


@router.get(NEW)
@door(who="officer", limit="120/minute")
def new(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession) -> Response:
    return _form(request, session, {})


def _form(request: Request, session: Session, typed: dict[str, Any], *, refusal: PortalError | None = None) -> Response:
    blank = {"kind": "evaluation", "title": "", "words": "", "due_on": "", "types": [], "organisations": []}
    return web.page(
        request, "desk/commission_new.html", status=refusal.status if refusal else 200, typed=blank | typed,
        kinds=list(commissions.KINDS), types=ORGANISATION_TYPES, partners=commissions.partners(session),
        most=commissions.MOST_ORGANISATIONS, accepted=papers.ACCEPTED,
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post(NEW)
@door(who="officer", limit="20/minute", body_bytes=paper_forms.MOST_BYTES)
def issue(request: Request, officer: gate.CaseOfficer, sent: SentFile) -> Response:
    typed: dict[str, Any] = {name: paper_forms.text(sent, name) for name in ("kind", "title", "words", "due_on")}
    typed |= {"types": sent.getlist("type"), "organisations": sent.getlist("organisation")}
    try:
        order = _order(sent, typed)
        handed = paper_forms.handed(sent)
        with db.writing() as session:
            made = commissions.issue(session, officer, order, handed).id
    except PortalError as refusal:
        with db.reading() as session:
            return _form(request, session, typed, refusal=refusal)
    return to(f"{HOME}/{made}")


def _order(sent: FormData, typed: dict[str, Any]) -> Order:
    """Raises InvalidInput for what the form does not offer."""
    types, chosen = set(typed["types"]), {str(one) for one in typed["organisations"]}
    if typed["kind"] not in commissions.KINDS or not types <= set(ORGANISATION_TYPES):
        raise InvalidInput
    if len(chosen) > commissions.MOST_ORGANISATIONS:
        raise commissions.TooManyOrganisations(most=commissions.MOST_ORGANISATIONS)
    return Order(
        typed["kind"], typed["title"], typed["words"], paper_forms.day(sent, "due_on"), organisations=chosen,
        types=cast(set[OrganisationType], types),
    )  # fmt: skip


# ---- one commission -------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/{{number}}")
@door(who="officer", limit="300/minute")
def one(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, number: Number) -> Response:
    return _page(request, session, officer, number)


def _page(
    request: Request, session: Session, officer: Officer, number: int, *, refusal: PortalError | None = None
) -> Response:
    commission = commissions.get(session, officer, number)
    parts = commissions.parts(session, commission)
    return web.page(
        request, "desk/commission.html", status=refusal.status if refusal else 200, commission=commission, parts=parts,
        files=commissions.files(session, parts), tally=commissions.tallies(session, [number])[number],
        by=accounts.names(session, [commission.created_by]).get(commission.created_by, ""),
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.get(f"{HOME}/{{number}}/file")
@door(who="officer", limit="60/minute")
def asked(request: Request, officer: gate.CaseOfficer, number: Number) -> Response:
    with db.reading() as session:
        paper_id = commissions.get(session, officer, number).paper_id
        if paper_id is None:
            raise NotFound
        paper = papers.get(session, paper_id)
    return paper_forms.download(paper)


@router.get(f"{HOME}/{{number}}/tasks/{{task_id}}/file")
@door(who="officer", limit="60/minute")
def delivered(request: Request, officer: gate.CaseOfficer, number: Number, task_id: Number) -> Response:
    with db.reading() as session:
        paper = commissions.paper(session, commissions.part(session, officer, number, task_id), "delivered")
    return paper_forms.download(paper)


@router.post(f"{HOME}/{{number}}/tasks/{{task_id}}/{{step}}")
@door(who="officer", limit="60/minute", body_bytes=40_000)
def judge(
    request: Request,
    officer: gate.Reviewer,
    number: Number,
    task_id: Number,
    step: Literal["approve", "return"],
    *,
    words: Said = "",
) -> Response:
    act = commissions.approve if step == "approve" else commissions.send_back
    try:
        with db.writing() as session:
            act(session, officer, number, task_id, words)
    except PortalError as refusal:
        with db.reading() as session:
            return _page(request, session, officer, number, refusal=refusal)
    return to(f"{HOME}/{number}")


@router.post(f"{HOME}/{{number}}/close")
@door(who="officer", limit="60/minute", body_bytes=40_000)
def close(request: Request, officer: gate.CaseOfficer, number: Number, *, reason: Said = "") -> Response:
    try:
        with db.writing() as session:
            commissions.close(session, officer, number, reason)
    except PortalError as refusal:
        with db.reading() as session:
            return _page(request, session, officer, number, refusal=refusal)
    return to(f"{HOME}/{number}")


# ---- industry rules -------------------------------------------------------------------------------------------------


@router.get(RULES)
@door(who="officer", limit="300/minute")
def rules(
    request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, *, before: Before = None
) -> Response:
    return _rules(request, session, before=before)


def _rules(
    request: Request, session: Session, *, before: int | None = None, refusal: PortalError | None = None
) -> Response:
    found = industry_rules.public(session, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return web.page(
        request, "desk/industry_rules.html", status=refusal.status if refusal else 200, rules=shown, before=before,
        more=shown[-1].rule.id if len(found) > PER_PAGE else None, refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post(f"{RULES}/{{rule_id}}/withdraw")
@door(who="officer", limit="60/minute", body_bytes=40_000)
def take_down(request: Request, officer: gate.Reviewer, rule_id: Number, *, reason: Said = "") -> Response:
    try:
        with db.writing() as session:
            industry_rules.take_down(session, officer, rule_id, reason)
    except PortalError as refusal:
        with db.reading() as session:
            return _rules(request, session, refusal=refusal)
    return to(RULES)


def queues(session: Session, officer: Officer) -> list[Queue]:
    """What waits for this officer, for the desk's first page."""
    if not officer.may("reviewer"):
        return []
    return [Queue(i18n.gettext("Deliveries on commissions"), HOME, *commissions.to_approve(session, officer))]
