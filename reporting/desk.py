"""Officers' pages of tip-offs: the queue, many at once, and what waits for a second officer."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, get_args

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from portal.kit import accounts, db, gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Figure, Queue
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import entities, publication
from record.codes import DISTRICTS
from reporting import cases, digests, identities, periods, queue, rewards, statistics
from reporting.matters import SERVICES
from reporting.models import Kind, State
from reporting.queue import Asked, Many, Who

router = limits.router(include_in_schema=False)

HOME = "/desk/tips"

Number = Annotated[int, Field(ge=1, le=cases.MOST_CASES)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the queue's address asks for; what does not exist is left out, for the address may be old."""

    asked: Asked
    after: tuple[date, int] | None
    number: str

    @classmethod
    def of(cls, query: QueryParams) -> "Wanted":
        def one_of(name: str, known: Collection[str]) -> Any:
            return query[name] if query.get(name) in known else None

        asked = Asked(
            state=one_of("state", get_args(State)), kind=one_of("kind", get_args(Kind)),
            service=one_of("service", SERVICES), district=one_of("district", DISTRICTS),
            who=one_of("who", get_args(Who)), overdue="overdue" in query, closed="closed" in query,
        )  # fmt: skip
        return cls(asked, _place(query.get("after", "")), query.get("number", "")[:40])


def _place(after: str) -> tuple[date, int] | None:
    day, _, number = after.partition(".")
    try:
        return (date.fromisoformat(day), int(number)) if number.isdigit() and len(number) < 10 else None
    except ValueError:
        return None


_EVERYTHING = Wanted(Asked(), None, "")


@router.get(HOME)
@door(who="officer", limit="300/minute")
def home(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession) -> Response:
    wanted = Wanted.of(request.query_params)
    if wanted.number and (case := cases.by_number(session, wanted.number)):
        return RedirectResponse(f"{HOME}/{cases.number_of(case)}", status_code=303)
    return _page(request, session, officer, wanted)


def _page(request: Request, session: Session, officer: Officer, wanted: Wanted, **values: Any) -> Response:
    refusal: PortalError | None = values.pop("refusal", None)
    asked = wanted.asked
    found = queue.page(session, officer, asked, after=wanted.after, limit=queue.PER_PAGE + 1)
    shown, more = found[: queue.PER_PAGE], found[queue.PER_PAGE :]
    codes = {case.entity_code for case in shown if case.entity_code}
    names = {entity.code: entity.name for entity in entities.by_codes(session, sorted(codes))}
    last = shown[-1] if shown else None
    day = (last.closed_on if asked.closed else last.urgent_on) if last else None
    return web.page(
        request, "desk/tips.html", cases=shown, number_of=cases.number_of, names=names, asked=asked,
        counts=queue.counts(session, officer), today=publication.today(), services=SERVICES, districts=DISTRICTS,
        states=get_args(State), officers=accounts.names(session, {c.assigned_to for c in shown if c.assigned_to}),
        more=f"{day}.{last.id}" if more and last else None, digest=digests.address_of(session, officer),
        refused=web.problem(refusal) if refusal else None, **{"done": 0, "not_done": [], **values},
    )  # fmt: skip


@router.post(f"{HOME}/many")
@door(who="officer", limit="60/minute", body_bytes=20_000)
def many(
    request: Request,
    officer: gate.CaseOfficer,
    *,
    step: Annotated[Many, Form()],
    chosen: Annotated[list[Number], Form(max_length=queue.MOST_AT_ONCE)] = [],  # noqa: B006 FastAPI copies it
) -> Response:
    """Take one step with every case that was ticked; each refusal is told by its number."""
    with db.writing() as session:
        done, refused = queue.many(session, officer, chosen, step)
    with db.reading() as session:
        problems = [(number, web.problem(refusal)) for number, refusal in refused]
        return _page(request, session, officer, _EVERYTHING, done=len(done), not_done=problems)


@router.get("/desk/tips-waiting")
@door(who="officer", limit="120/minute")
def second(request: Request, officer: gate.Reviewer, session: web.ReadingSession) -> Response:
    """What one officer asked for and another has to decide."""
    return web.page(
        request, "desk/tips_waiting.html", number_of=cases.number_of,
        identities=identities.waiting(session, officer), extensions=periods.extensions_waiting(session, officer),
        rewards=rewards.waiting(session, officer),
    )  # fmt: skip


@router.post(f"{HOME}/digest")
@door(who="officer", limit="20/minute", body_bytes=4_000)
def digest(
    request: Request,
    officer: gate.CaseOfficer,
    session: web.WritingSession,
    address: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Set or end the daily mail that holds counts only."""
    digests.set_address(session, officer, address)
    return RedirectResponse(HOME, status_code=303)


def queues(session: Session, officer: Officer) -> list[Queue]:
    """What waits for this officer, for the desk's first page."""
    if not officer.may("clerk", "reviewer"):
        return []
    counts = queue.counts(session, officer)
    found = [Queue(i18n.gettext("Reports and complaints"), HOME, counts.waiting, counts.overdue)]
    if officer.may("reviewer"):
        second = len(identities.waiting(session, officer)) + len(periods.extensions_waiting(session, officer))
        second += len(rewards.waiting(session, officer))
        found.append(Queue(i18n.gettext("Waiting for a second officer"), "/desk/tips-waiting", second))
    return found


def figures(session: Session, officer: Officer) -> list[Figure]:
    """Numbers for the desk's first page."""
    if not officer.may("clerk", "reviewer"):
        return []
    return [Figure(i18n.gettext("Tip-offs received this month"), statistics.received_this_month(session))]
