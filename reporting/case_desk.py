"""The page of one case at the desk, and everything that an officer may do there."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from portal.kit import accounts, db, gate, limits, web
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from portal.kit.limits import door
from record import entities, outcomes, publication
from record.codes import DISTRICTS
from record.entities import EntityNotFound
from record.kinds import FINDINGS
from reporting import (
    assignments,
    cases,
    clock,
    files,
    identities,
    merging,
    periods,
    replies,
    rewards,
    rules,
    similar,
    talk,
    vault,
)  # fmt: skip
from reporting.assignments import Transfer
from reporting.cases import CaseReasonMissing, Decision
from reporting.desk import HOME
from reporting.models import TipCase
from reporting.rewards import Proposal

router = limits.router(include_in_schema=False)


class Given:
    """Everything that a form on the page may send. Each action reads what it needs."""

    def __init__(
        self,
        *,
        reason: Annotated[str, Form(max_length=2_000)] = "",
        text: Annotated[str, Form(max_length=10_000)] = "",
        tip: Annotated[str, Form(max_length=36)] = "",
        to: Annotated[str, Form(max_length=20)] = "",
        department: Annotated[str, Form(max_length=100)] = "",
        district: Annotated[str, Form(max_length=6)] = "",
        day: Annotated[str, Form(max_length=10)] = "",
        into: Annotated[str, Form(max_length=40)] = "",
        choice: Annotated[str, Form(max_length=40)] = "",
        about: Annotated[int, Form(ge=0, lt=2**31)] = 0,
        measures: Annotated[str, Form(max_length=4_000)] = "",
        basis: Annotated[str, Form(max_length=4_000)] = "",
        penalty: Annotated[str, Form(max_length=20)] = "",
        amount: Annotated[str, Form(max_length=20)] = "",
        condition: Annotated[list[str], Form(max_length=20)] = [],  # noqa: B006 FastAPI copies it
    ) -> None:
        self.reason, self.text, self.tip, self.to = reason, text, tip, to
        self.department, self.district, self.into, self.choice = department, district or None, into, choice
        self.about, self.measures, self.basis, self.penalty = about, measures, basis, penalty
        self.amount, self.condition = amount, condition
        self.day = day

    def date(self) -> date | None:
        """The day that was entered, if it is one."""
        try:
            return date.fromisoformat(self.day) if self.day else None
        except ValueError:
            return None


Action = Callable[[Session, Officer, TipCase, Given], Any]


def _number(text: str) -> int | None:
    """What was chosen from a list; None for nothing, and 0, which is in no list, for what is no number of ours."""
    return (int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0) if text else None


def _step(name: str) -> Action:
    return lambda session, officer, case, given: cases.take(session, officer, case.id, name, given.reason)


def _merged(session: Session, officer: Officer, case: TipCase, given: Given) -> Any:
    target = cases.by_number(session, given.into)
    if target is None:
        raise NotFound
    return merging.merge(session, officer, case.id, target.id)


def _decided(session: Session, officer: Officer, case: TipCase, given: Given) -> Any:
    if given.choice not in FINDINGS:
        raise cases.BasisMissing
    decision = Decision(given.choice, given.measures, given.basis, _number(given.penalty))  # type: ignore[arg-type]
    return cases.decide(session, officer, case.id, decision)


def _proposed(session: Session, officer: Officer, case: TipCase, given: Given) -> Any:
    try:
        share_of = Decimal(given.amount) if given.amount else None
    except InvalidOperation as error:
        raise rewards.NothingToReward from error
    if share_of is not None and not 0 <= share_of < 10**12:
        raise rewards.NothingToReward
    return rewards.propose(session, officer, given.tip, Proposal(given.about, share_of, given.condition))


def _reasoned(given: Given) -> str:
    if len(given.reason.strip()) < 5:
        raise CaseReasonMissing
    return given.reason


_ACTIONS: Mapping[str, Action] = {
    **{name: _step(name) for name in cases.STEPS},
    "decide": _decided,
    "assign": lambda s, o, case, given: assignments.assign(
        s, o, case.id, _number(given.to), instead_of=given.about or None
    ),
    "transfer": lambda s, o, case, given: assignments.transfer(
        s, o, case.id, Transfer(given.department, given.district, given.reason, given.date())
    ),
    "merge": _merged,
    "unmerge": lambda s, o, case, given: merging.unmerge(s, o, case.id),
    "suspend": lambda s, o, case, given: periods.suspend(
        s, o, case.id, cause=given.choice, since=given.date() or publication.today(), reason=given.reason
    ),
    "resume": lambda s, o, case, given: periods.resume(s, o, case.id, given.reason),
    "ask-extension": lambda s, o, case, given: periods.ask_extension(
        s, o, case.id, duty=given.choice, reason=given.reason
    ),
    "grant-extension": lambda s, o, case, given: periods.decide_extension(s, o, given.about, granted=True),
    "decline-extension": lambda s, o, case, given: periods.decide_extension(
        s, o, given.about, granted=False, reason=given.reason
    ),
    "reply": lambda s, o, case, given: talk.reply(s, o, given.tip, given.text),
    "ask-identity": lambda s, o, case, given: identities.ask(s, o, given.tip, _reasoned(given)),
    "grant-identity": lambda s, o, case, given: identities.grant(s, o, given.about),
    "decline-identity": lambda s, o, case, given: identities.decline(s, o, given.about, _reasoned(given)),
    "propose-reward": _proposed,
    "approve-reward": lambda s, o, case, given: rewards.approve(s, o, given.about),
    "agree-reward": lambda s, o, case, given: rewards.agree(s, o, given.about, given.text),
    "decline-reward": lambda s, o, case, given: rewards.decline(s, o, given.about),
    "pay-reward": lambda s, o, case, given: rewards.pay(s, o, given.about),
}
_FOR_REVIEWERS = frozenset(
    ("grant-extension", "decline-extension", "grant-identity", "decline-identity", "approve-reward", "agree-reward")
)


# ---- the page -------------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/{{number}}")
@door(who="officer", limit="300/minute")
def page(
    request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, number: str, reply: str = ""
) -> Response:
    return _page(request, session, officer, _case(session, officer, number), reply=reply)


def _case(session: Session, officer: Officer, number: str) -> TipCase:
    case = cases.by_number(session, number[:40])
    if case is None:
        raise NotFound
    return cases.get(session, officer, case.id)


def _page(request: Request, session: Session, officer: Officer, case: TipCase, **values: Any) -> Response:
    refusal: PortalError | None = values.pop("refusal", None)
    clocks = clock.clocks_of(session, case)
    tips = cases.tips_of(session, case)
    ids = [tip.id for tip in tips]
    try:
        told, alike = talk.told(session, tips), similar.of(session, officer, case)
    except vault.NotForUs:
        told, alike = [], []
    history = cases.steps_of(session, case)
    asked = identities.of_tips(session, ids)
    extensions = periods.extensions_of(session, case)
    given = rewards.of_tips(session, ids)
    people = {one.officer_id for one in history} | {one.asked_by for one in asked} | {case.assigned_to}
    people |= {message.officer_id for one in told for message, _ in one.said} | {one.asked_by for one in extensions}
    return web.page(
        request, "desk/tip.html", status=refusal.status if refusal else 200, case=case, number=cases.number_of(case),
        number_of=cases.number_of, clocks=clocks, told=told, files=files.of_tips(session, ids), similar=alike,
        steps=cases.steps_open(session, case), all_steps=cases.STEPS, history=history, entity=_entity(session, case),
        counts=publication.counts(session, case.entity_code) if case.entity_code else {},
        root=cases.mirrored(session, case), repeats=merging.repeats_of(session, case),
        identity_requests=asked, extensions=extensions, rewards=given, conditions=rewards.CONDITIONS,
        grades=rules.rewards(publication.today()), may_extend=periods.extendable(session, case, clocks),
        causes=periods.causes(clocks), pause=periods.lasting(session, case),
        colleagues=assignments.colleagues(session, case.department, case.district),
        departments=assignments.departments(session), districts=DISTRICTS,
        penalties=outcomes.penalties_of(session, case.entity_code) if case.entity_code else [],
        findings=FINDINGS, templates=replies.REPLIES, today=publication.today(),
        people=accounts.names(session, {one for one in people if one}),
        refused=web.problem(refusal) if refusal else None,
        **{"identity": None, "identity_of": 0, "reply": "", "given": None, **values},
    )  # fmt: skip


def _entity(session: Session, case: TipCase) -> Any:
    try:
        return entities.get(session, case.entity_code) if case.entity_code else None
    except EntityNotFound:
        return None


@router.get(f"{HOME}/{{number}}/files/{{file_id}}")
@door(who="officer", limit="300/minute")
def file(
    request: Request,
    officer: gate.CaseOfficer,
    session: web.ReadingSession,
    number: str,
    file_id: str,
    *,
    which: Literal["cleaned", "original"] = "cleaned",
    inline: bool = False,
) -> Response:
    """A file of the case, opened. Only pictures that this portal drew anew are shown in the page."""
    case = _case(session, officer, number)
    row, content = files.content(session, file_id[:36], which)
    tips = {tip.id: tip for tip in cases.tips_of(session, case)}
    if row.tip_id not in tips:
        raise NotFound
    shown = inline and which == "cleaned" and row.media_type.startswith("image/")
    name = talk.told(session, [tips[row.tip_id]])[0].files.get(row.id, "file")
    return Response(
        content,
        media_type=row.media_type if shown else "application/octet-stream",
        headers={
            "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(name)}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


# ---- what is done there ---------------------------------------------------------------------------------------------


@router.post(f"{HOME}/{{number}}/look")
@door(who="officer", limit="20/minute", body_bytes=4_000)
def look(
    request: Request, officer: gate.CaseOfficer, number: str, about: Annotated[int, Form(ge=0, lt=2**31)]
) -> Response:
    """Show once who a reporter is, after a second officer agreed."""
    try:
        with db.writing() as session:
            found = identities.look(session, officer, about)
    except PortalError as refusal:
        with db.reading() as session:
            return _page(request, session, officer, _case(session, officer, number), refusal=refusal)
    with db.reading() as session:
        return _page(request, session, officer, _case(session, officer, number), identity=found, identity_of=about)


@router.post(f"{HOME}/{{number}}/{{action}}")
@door(who="officer", limit="120/minute", body_bytes=60_000)
def act(
    request: Request,
    officer: gate.CaseOfficer,
    number: str,
    action: str,
    given: Annotated[Given, Depends()],
) -> Response:
    """Take one step; a refusal stands on the page, beside what was typed."""
    try:
        if action not in _ACTIONS:
            raise NotFound
        if action in _FOR_REVIEWERS and not officer.may("reviewer"):
            raise gate.NotYourRole
        with db.writing() as session:
            _ACTIONS[action](session, officer, _case(session, officer, number), given)
    except PortalError as refusal:
        with db.reading() as session:
            case = _case(session, officer, number)
            return _page(request, session, officer, case, refusal=refusal, given=given)
    with db.reading() as session:
        now = cases.by_number(session, number)
        still = now is not None and officer.covers(department=now.department, district=now.district)
    return RedirectResponse(f"{HOME}/{number}" if still else HOME, status_code=303)
