"""Pages about one entity."""

from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from portal.kit import db, i18n, limits, web
from portal.kit.limits import door
from record import codes, profile

router = limits.router(include_in_schema=False)

TABLES = {
    "district": codes.DISTRICTS,
    "industry": codes.INDUSTRY_SECTIONS,
    "division": codes.INDUSTRY_DIVISIONS,
    "type": codes.ENTITY_TYPES,
    "status": codes.ENTITY_STATUSES,
    "listed": codes.LISTS,
}


def label(table: str, value: str | None) -> str:
    """What `value` of one of the code tables is called in the visitor's language; the value itself when unknown."""
    return codes.label(TABLES[table], value, i18n.current()) or value or ""


web.offer_to_templates(label=label, made_up_data=profile.made_up_data)


@router.get("/entities/{code}")
@door(who="anyone", limit="300/minute")
def entity(request: Request, session: web.ReadingSession, code: str) -> Response:
    file = profile.read(session, code)
    if code != file.entity.code:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/entities/{quote(file.entity.code)}{query}", status_code=301)
    return web.page(request, "record/entity.html", file=file, today=db.now())
