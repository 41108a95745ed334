"""Officers' pages of the supervision record: deliveries, and what is shown about one entity."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Form, Request, Response
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.kit import gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Figure
from portal.kit.limits import door
from record import decisions, entities, kinds, ledger, publication
from record.models import FeedImport, Unmatched

router = limits.router(include_in_schema=False)

HOME = "/desk/record"
_DELIVERIES = 20


@router.get(HOME)
@door(who="officer", limit="300/minute")
def record(request: Request, officer: gate.Officer, session: web.ReadingSession, code: str = "") -> Response:
    entity, refused = None, None
    if code.strip():
        try:
            entity = entities.get(session, code.strip()[:40])
        except entities.EntityNotFound as error:
            refused = web.problem(error)
    adverse = [name for name, kind in kinds.KINDS.items() if kind.adverse]
    entries = [
        entry for name in adverse for entry in (publication.of_entity(session, entity.code, name) if entity else ())
    ]
    deliveries = session.scalars(select(FeedImport).order_by(FeedImport.id.desc()).limit(_DELIVERIES)).all()
    return web.page(
        request,
        "desk/record.html",
        code=code[:40],
        entity=entity,
        refused=refused,
        entries=entries,
        deliveries=deliveries,
        today=publication.today(),
    )


@router.post("/desk/record/{seq}/withdraw")
@door(who="officer", limit="60/minute", body_bytes=20_000)
def withdraw(
    request: Request,
    officer: gate.Reviewer,
    session: web.WritingSession,
    seq: Annotated[int, InPath(ge=0, le=2**53)],
    *,
    because: Annotated[decisions.Because, Form()],
    reason: Annotated[str, Form(min_length=5, max_length=2_000)],
) -> Response:
    code = decisions.stop_showing(session, officer, seq, because, reason.strip())
    return RedirectResponse(f"{HOME}?code={code}", status_code=303)


def figures(session: Session, officer: Officer) -> Sequence[Figure]:
    """Numbers of the record on every officer's desk."""
    unmatched = session.scalar(select(func.count()).select_from(Unmatched)) or 0
    return [
        Figure(i18n.gettext("Entries in the ledger"), ledger.size(session)),
        Figure(i18n.gettext("Entries whose party the register does not know yet"), unmatched),
    ]
