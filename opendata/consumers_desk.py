"""Officers' page of who uses open data and how much; for administrators. Nobody's mail address is shown."""

from typing import Annotated

from fastapi import Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from opendata import consumers, usage
from opendata.models import Consumer
from portal.kit import errors, gate, limits, web
from portal.kit.limits import door
from record import acts

router = limits.router(include_in_schema=False)

HOME = "/desk/consumers"


@router.get(HOME)
@door(who="officer", limit="120/minute")
def overview(request: Request, officer: gate.Administrator, session: web.ReadingSession) -> Response:
    """Consumers, how far behind they are, and how much is asked for."""
    return web.page(request, "desk/consumers.html", standings=consumers.standings(session), use=usage.read(session))


@router.post(HOME + "/{consumer_id}/end")
@door(who="officer", limit="60/minute", body_bytes=10_000)
def end(
    request: Request,
    officer: gate.Administrator,
    session: web.WritingSession,
    consumer_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")],
    reason: Annotated[str, Form(min_length=5, max_length=2_000)],
) -> Response:
    """End a consumer's keys, with a reason that stays in the ledger."""
    if session.get(Consumer, consumer_id) is None:
        raise errors.NotFound
    consumers.end(session, consumer_id)
    acts.keep(session, "end_consumer", about=consumer_id, by=officer, reason=reason)
    return RedirectResponse(HOME, status_code=303)
