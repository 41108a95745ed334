"""Officers' page of the platforms that follow the record: how each stands, and what administrators can do about it."""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from fastapi import Form, Request, Response
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from portal.kit import gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Queue
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import codes, kinds, subscriptions
from record.models import Subscription

router = limits.router(include_in_schema=False)

HOME = "/desk/deliveries"
Id = Annotated[int, InPath(ge=1, le=2**31 - 1)]


class _Typed(NamedTuple):
    """What stands in the form: a refusal gives it back."""

    name: str
    url: str
    chosen: frozenset[str]
    """Kinds, districts and the beginning."""


_NOTHING = _Typed("", "", frozenset())


def _page(
    request: Request,
    session: Session,
    *,
    made: tuple[Subscription, str] | None = None,
    refused: PortalError | None = None,
    typed: _Typed = _NOTHING,
) -> Response:
    return web.page(
        request,
        "desk/deliveries.html",
        status=refused.status if refused else 200,
        standings=subscriptions.standings(session),
        kinds=kinds.SHOWN,
        districts=codes.DISTRICTS,
        made=made,
        refused=web.problem(refused) if refused else None,
        typed=typed,
    )


def _back() -> Response:
    return RedirectResponse(HOME, status_code=303)


@router.get(HOME)
@door(who="officer", limit="300/minute")
def deliveries(request: Request, officer: gate.Administrator, session: web.ReadingSession) -> Response:
    return _page(request, session)


@router.post(HOME)
@door(who="officer", limit="30/minute", body_bytes=20_000)
def add(
    request: Request,
    officer: gate.Administrator,
    session: web.WritingSession,
    *,
    name: Annotated[str, Form(max_length=200)] = "",
    url: Annotated[str, Form(max_length=2_000)] = "",
    kind: Annotated[list[str], Form()] = [],  # noqa: B006  FastAPI copies it
    district: Annotated[list[str], Form()] = [],  # noqa: B006
    start: Annotated[Literal["first", "now"], Form()] = "first",
) -> Response:
    try:
        made = subscriptions.add(
            session, name=name, url=url, kinds=kind, districts=district, from_now=start == "now", by=officer
        )
    except PortalError as refusal:
        return _page(request, session, refused=refusal, typed=_Typed(name, url, frozenset((*kind, *district, start))))
    return _page(request, session, made=made)


@router.post(f"{HOME}/{{subscription_id}}/resume")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def resume(request: Request, officer: gate.Administrator, session: web.WritingSession, subscription_id: Id) -> Response:
    subscriptions.resume(session, subscription_id, by=officer)
    return _back()


@router.post(f"{HOME}/{{subscription_id}}/pause")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def pause(request: Request, officer: gate.Administrator, session: web.WritingSession, subscription_id: Id) -> Response:
    subscriptions.pause(session, subscription_id, by=officer)
    return _back()


@router.post(f"{HOME}/{{subscription_id}}/rewind")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def rewind(
    request: Request,
    officer: gate.Administrator,
    session: web.WritingSession,
    subscription_id: Id,
    *,
    first: Annotated[int, Form(ge=0, le=2**53)],
) -> Response:
    subscriptions.rewind(session, subscription_id, first, by=officer)
    return _back()


@router.post(f"{HOME}/{{subscription_id}}/secret")
@door(who="officer", limit="30/minute", body_bytes=2_000)
def change_secret(
    request: Request, officer: gate.Administrator, session: web.WritingSession, subscription_id: Id
) -> Response:
    made = subscriptions.change_secret(session, subscription_id, by=officer)
    return _page(request, session, made=made)


@router.post(f"{HOME}/{{subscription_id}}/remove")
@door(who="officer", limit="30/minute", body_bytes=2_000)
def remove(request: Request, officer: gate.Administrator, session: web.WritingSession, subscription_id: Id) -> Response:
    subscriptions.remove(session, subscription_id, by=officer)
    return _back()


def queues(session: Session, officer: Officer) -> Sequence[Queue]:
    """Platforms that were given up, for administrators."""
    waiting = subscriptions.dead(session) if officer.may("administrator") else 0
    return [Queue(i18n.gettext("Platforms that no longer take deliveries"), HOME, waiting)] if waiting else []
