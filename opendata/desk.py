"""Officers' page of publishing onwards: how the last run went, and what the other portal said; for administrators."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from sqlalchemy.orm import Session

from opendata.models import PublicationRun
from portal.kit import gate, i18n, limits, web
from portal.kit.accounts import Officer
from portal.kit.area import Queue
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.settings import get_settings

router = limits.router(include_in_schema=False)

HOME = "/desk/publishing"


@router.get(HOME)
@door(who="officer", limit="120/minute")
def publishing(request: Request, officer: gate.Administrator, session: web.ReadingSession) -> Response:
    """How data sets were last published onwards."""
    run = _last_run(session)
    return web.page(
        request,
        "desk/publishing.html",
        url=get_settings().publish_ckan_url,
        organization=get_settings().publish_ckan_organization,
        run=run,
        problems=[web.problem(_refusal(one)) for one in run.failures] if run else [],
    )


def queues(session: Session, officer: Officer) -> Sequence[Queue]:
    """Whether publishing onwards fails, for administrators."""
    run = _last_run(session) if officer.may("administrator") else None
    waiting = len(run.failures) if run else 0
    return [Queue(i18n.gettext("Failures in publishing onwards"), HOME, waiting)] if waiting else []


def _last_run(session: Session) -> PublicationRun | None:
    url = get_settings().publish_ckan_url.rstrip("/")
    return session.get(PublicationRun, url) if url else None


def _refusal(kept: dict[str, Any]) -> PortalError:
    """A refusal as it was when it was kept; one that this version no longer knows is unexpected."""
    from opendata import publisher  # brings the client of the other portal along, which the web needs for nothing else
    from portal.kit import errors, storage

    assert publisher
    assert storage
    known = {one.slug: one for one in PortalError.__subclasses__()}
    return known.get(kept["slug"], errors.Unexpected)(errors=kept["errors"], **kept["values"])
