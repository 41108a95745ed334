"""Public pages of partners: who rates, by which schemes, how well each is kept, and what was known on a day."""

from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from sqlalchemy.orm import Session

from partners import blanks, organisations, schemes, scorecard
from partners.models import Organisation
from portal.kit import errors, limits, web
from portal.kit.limits import door
from record import entities, evaluations, publication

router = limits.router(include_in_schema=False)

PER_PAGE = 50
SMALL = 30
"""Below so many rated entities a share says little, and the page says so."""
Id = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$")]


@router.get("/partners")
@door(who="anyone", limit="300/minute")
def partners(request: Request, session: web.ReadingSession) -> Response:
    after = request.query_params.get("after", "")[:40]
    found = organisations.listed(session, after=after, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return web.page(
        request, "partners/list.html", organisations=shown, schemes=schemes.of_all(session, [one.id for one in shown]),
        more=shown[-1].id if len(found) > PER_PAGE else None, is_open=organisations.is_open,
    )  # fmt: skip


@router.get("/partners/schemes/{scheme_id}")
@door(who="anyone", limit="300/minute")
def scheme(request: Request, session: web.ReadingSession, scheme_id: Id) -> Response:
    """One edition of a scheme: its scale, its method, its columns. `version`: an earlier edition."""
    found = schemes.get(session, scheme_id)
    asked = request.query_params.get("version", "")
    number = int(asked) if asked.isdigit() and len(asked) < 6 else found.current
    editions = [one for one in schemes.versions(session, scheme_id) if one.state == "approved"]
    version = next((one for one in editions if one.number == number), None)
    if version is None:
        raise errors.NotFound
    definition = schemes.definition_of(version)
    return web.page(
        request, "partners/scheme.html", scheme=found, version=version, editions=editions, definition=definition,
        explained=blanks.explained(definition), forms=list(blanks.MEDIA_TYPES),
        organisation=organisations.get(session, found.organisation_id),
    )  # fmt: skip


@router.get("/partners/schemes/{scheme_id}/template.{form}")
@door(who="anyone", limit="60/minute")
def template(
    request: Request, session: web.ReadingSession, scheme_id: Id, form: Literal["csv", "xlsx", "jsonl"]
) -> Response:
    """The edition in force as a file to fill in."""
    found = schemes.get(session, scheme_id)
    if found.current is None:
        raise errors.NotFound
    definition = schemes.definition_of(schemes.version_of(session, scheme_id, found.current))
    headers = {"Content-Disposition": f'attachment; filename="{scheme_id}-{found.current}.{form}"'}
    return Response(blanks.make(definition, form), media_type=blanks.MEDIA_TYPES[form], headers=headers)


@router.get("/partners/{organisation_id}")
@door(who="anyone", limit="300/minute")
def partner(request: Request, session: web.ReadingSession, organisation_id: Id) -> Response:
    organisation = public(session, organisation_id)
    mine = [one for one in schemes.of(session, organisation_id) if one.current is not None]
    return web.page(
        request, "partners/partner.html", organisation=organisation, schemes=mine,
        scorecards=scorecard.of(session, [one.id for one in mine]), is_open=organisations.is_open(organisation),
        small=SMALL,
    )  # fmt: skip


def public(session: Session, organisation_id: str) -> Organisation:
    """A partner as the public may see it. Raises NotFound for applicants and market entities."""
    found = organisations.get(session, organisation_id)
    if found.type == "entity" or found.state not in {"active", "suspended", "ended"}:
        raise errors.NotFound
    return found


# ---- what was known -------------------------------------------------------------------------------------------------


def end_of(day: date) -> datetime:
    """The last moment of a day in the city."""
    return datetime.combine(day, time.max, publication.CITY_TIME)


@router.get("/entities/{code}/evaluations")
@door(who="anyone", limit="120/minute")
def known(request: Request, session: web.ReadingSession, code: str) -> Response:
    """An entity's evaluations as they were known at the end of a day (`on`), as far as they may be shown today."""
    entity = entities.get(session, code)
    typed: Any = request.query_params.get("on", "")[:10]
    try:
        day = min(date.fromisoformat(typed), publication.today()) if typed else publication.today()
    except ValueError:
        day = publication.today()
    found = evaluations.as_known_on(session, entity.code, end_of(day))
    return web.page(request, "partners/known.html", entity=entity, day=day, today=publication.today(), found=found)
