"""Members' pages of the channel back: what departments ask of them or tell them, and the rules that they publish."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Form, Path, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from partners import commissions, industry_rules, organisations, paper_forms, papers
from partners.commissions import Part, Side
from partners.entrance import to
from partners.industry_rules import Wanted
from portal.kit import db, gate, limits, web
from portal.kit.errors import PortalError
from portal.kit.limits import door

router = limits.router(include_in_schema=False)

COMMISSIONS = "/account/commissions"
RULES = "/account/rules"
PER_PAGE = 50
Number = Annotated[int, Path(ge=1, lt=2**31)]
Before = Annotated[int | None, Query(ge=1, lt=2**31)]
Said = Annotated[str, Form(max_length=20_000)]
SentFile = Annotated[FormData, Depends(paper_forms.members)]


class PaperMissing(PortalError):
    status = 422
    slug = "paper-missing"
    title = "The document is missing."
    remedy = "Choose a PDF."


# ---- commissions ----------------------------------------------------------------------------------------------------


@router.get(COMMISSIONS)
@door(who="member", limit="300/minute")
def tasks(
    request: Request, member: gate.Member, session: web.ReadingSession, *, done: bool = False, before: Before = None
) -> Response:
    found = commissions.of(session, member.organisation, done=done, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return web.page(
        request, "account/commissions.html", parts=shown, done=done, before=before,
        more=shown[-1].task.id if len(found) > PER_PAGE else None,
        organisation=organisations.get(session, member.organisation),
    )  # fmt: skip


@router.get(f"{COMMISSIONS}/{{task_id}}")
@door(who="member", limit="300/minute")
def task(request: Request, member: gate.Member, session: web.ReadingSession, task_id: Number) -> Response:
    return _task(request, session, commissions.seen_by(session, member.organisation, task_id))


def _task(
    request: Request, session: Session, part: Part, *, refusal: PortalError | None = None, typed: str = ""
) -> Response:
    return web.page(
        request, "account/commission.html", status=refusal.status if refusal else 200, part=part,
        files=commissions.files(session, [part]), accepted=papers.ACCEPTED, typed=typed,
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.get(f"{COMMISSIONS}/{{task_id}}/{{side}}")
@door(who="member", limit="60/minute")
def file(request: Request, member: gate.Member, task_id: Number, side: Side) -> Response:
    with db.reading() as session:
        paper = commissions.paper(session, commissions.seen_by(session, member.organisation, task_id), side)
    return paper_forms.download(paper)


@router.post(f"{COMMISSIONS}/{{task_id}}/deliver")
@door(who="member", limit="20/minute", body_bytes=paper_forms.MOST_BYTES)
def deliver(request: Request, member: gate.Member, task_id: Number, sent: SentFile) -> Response:
    answer = paper_forms.text(sent, "words")

    def done(session: Session) -> None:
        commissions.deliver(session, member.organisation, task_id, answer, handed)

    try:
        handed = paper_forms.handed(sent)
    except PortalError as refusal:
        return _refused(request, member.organisation, task_id, refusal, answer)
    return _stepped(request, member.organisation, task_id, done, typed=answer)


_STEPS: Mapping[str, Callable[[Session, str, int, str], Any]] = {
    "take": lambda session, organisation, task_id, _: commissions.take(session, organisation, task_id),
    "read": lambda session, organisation, task_id, _: commissions.read(session, organisation, task_id),
    "decline": commissions.decline,
}


@router.post(f"{COMMISSIONS}/{{task_id}}/{{step}}")
@door(who="member", limit="60/minute", body_bytes=40_000)
def step(
    request: Request,
    member: gate.Member,
    task_id: Number,
    step: Literal["take", "read", "decline"],
    *,
    words: Said = "",
) -> Response:
    return _stepped(
        request, member.organisation, task_id,
        lambda session: _STEPS[step](session, member.organisation, task_id, words), typed=words,
    )  # fmt: skip


def _stepped(
    request: Request, organisation: str, task_id: int, change: Callable[[Session], Any], *, typed: str
) -> Response:
    try:
        with db.writing() as session:
            change(session)
    except PortalError as refusal:
        return _refused(request, organisation, task_id, refusal, typed)
    return to(f"{COMMISSIONS}/{task_id}")


def _refused(request: Request, organisation: str, task_id: int, refusal: PortalError, typed: str) -> Response:
    """The page again, with why. Raises NotFound for somebody else's task."""
    with db.reading() as session:
        part = commissions.seen_by(session, organisation, task_id)
        return _task(request, session, part, refusal=refusal, typed=typed)


# ---- industry rules -------------------------------------------------------------------------------------------------


@router.get(RULES)
@door(who="member", limit="300/minute")
def rules(request: Request, member: gate.Member, session: web.ReadingSession, *, before: Before = None) -> Response:
    return _rules(request, session, member.organisation, before=before)


def _rules(
    request: Request,
    session: Session,
    organisation_id: str,
    *,
    before: int | None = None,
    refusal: PortalError | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    found = industry_rules.of(session, organisation_id, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    organisation = organisations.get(session, organisation_id)
    return web.page(
        request, "account/rules.html", status=refusal.status if refusal else 200, rules=shown, before=before,
        more=shown[-1].rule.id if len(found) > PER_PAGE else None, typed=typed or {},
        may_publish=industry_rules.may_publish(organisation), is_maker=organisation.type in industry_rules.MAKERS,
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post(RULES)
@door(who="member", limit="20/minute", body_bytes=paper_forms.MOST_BYTES)
def publish(request: Request, member: gate.Manager, sent: SentFile) -> Response:
    """Publish rules; with `replaces`, a new edition of one's own."""
    typed = {name: paper_forms.text(sent, name) for name in ("title", "number", "in_force_from", "replaces")}
    try:
        day = paper_forms.day(sent, "in_force_from")
        if day is None:
            raise industry_rules.RuleDay
        handed = paper_forms.handed(sent, public=True)
        if handed is None:
            raise PaperMissing
        wanted = Wanted(typed["title"], typed["number"], day)
        with db.writing() as session:
            replaces = paper_forms.number(sent, "replaces")
            industry_rules.publish(session, member.organisation, wanted, handed, replaces=replaces)
    except PortalError as refusal:
        with db.reading() as session:
            return _rules(request, session, member.organisation, refusal=refusal, typed=typed)
    return to(RULES)


@router.post(f"{RULES}/{{rule_id}}/withdraw")
@door(who="member", limit="60/minute", body_bytes=4_000)
def withdraw(request: Request, member: gate.Manager, session: web.WritingSession, rule_id: Number) -> Response:
    industry_rules.withdraw(session, member.organisation, rule_id)
    return to(RULES)
