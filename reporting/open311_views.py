"""Open311 GeoReport v2 (https://wiki.open311.org/GeoReport_v2): the addresses, in JSON and in XML."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Request, Response

from portal.kit import db, i18n, keys, limits, web
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.multipart import Sent, reading
from portal.kit.settings import get_settings
from reporting import forms, intake, open311
from reporting.models import Via
from reporting.open311 import SERVED, Format, NoSuchRequest, ServiceUnknown, Wanted

router = limits.router(prefix="/open311/v2", include_in_schema=False)

SCOPE = "tips:write"
HOTLINE = "tips:hotline"
"""With this scope too, what comes is a work order of 12345, with its own clock."""
_TYPES = {"json": "application/json", "xml": "text/xml; charset=utf-8"}


def _answered(format: Format, root: str, make: Callable[[], Any]) -> Response:
    """What `make` gives, or its refusal, in the format that was asked for."""
    status = 200
    try:
        content = make()
    except PortalError as refusal:
        status = refusal.status if refusal.status in (403, 404, 429, 503) else 400
        status = 403 if refusal.status == 401 else status
        problem = web.problem(refusal)
        said = " ".join([problem["title"], problem["remedy"], *(one["message"] for one in refusal.errors)])
        root, content = "errors", [{"code": status, "description": said}]
    body = json.dumps(content, ensure_ascii=False).encode() if format == "json" else open311.xml(root, content)
    response = Response(body, status_code=status, media_type=_TYPES[format])
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@router.get("/discovery.{format}")
@door(who="anyone", limit="120/minute")
def discovery(request: Request, format: Format) -> Response:
    settings = get_settings()
    return _answered(format, "discovery", lambda: open311.discovery(settings.base_url, settings.department))


@router.get("/services.{format}")
@door(who="anyone", limit="120/minute")
def services(request: Request, format: Format) -> Response:
    return _answered(format, "services", lambda: open311.services(i18n.current()))


@router.get("/services/{code}.{format}")
@door(who="anyone", limit="120/minute")
def definition(request: Request, code: str, format: Format) -> Response:
    """No service asks for more than the list says, so there is nothing more to define."""

    def make() -> Any:
        if code not in SERVED:
            raise ServiceUnknown
        return {"service_code": code, "attributes": []}

    return _answered(format, "service_definition", make)


@router.get("/tokens/{token}.{format}")
@door(who="anyone", limit="120/minute")
def token(request: Request, token: str, format: Format) -> Response:
    """Requests get their id at once, so no token is ever given out."""

    def make() -> Any:
        raise NoSuchRequest

    return _answered(format, "service_requests", make)


@router.get("/requests.{format}")
@door(who="anyone", limit="120/minute")
def requests(request: Request, session: web.ReadingSession, format: Format) -> Response:
    asked = request.query_params
    size = asked.get("page_size", "")
    wanted = Wanted(
        numbers=_listed(asked.get("service_request_id", "")), services=_listed(asked.get("service_code", "")),
        status=asked.get("status", "") if asked.get("status") in ("open", "closed") else "",
        start=asked.get("start_date", "")[:40], end=asked.get("end_date", "")[:40],
        most=int(size) if size.isascii() and size.isdigit() and len(size) < 5 else open311.MOST,
    )  # fmt: skip

    def make() -> Any:
        return [open311.shown(case, i18n.current()) for case in open311.requests(session, wanted)]

    return _answered(format, "service_requests", make)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text[:2_000].split(",") if part.strip()]


@router.get("/requests/{number}.{format}")
@door(who="anyone", limit="120/minute")
def one(request: Request, session: web.ReadingSession, number: str, format: Format) -> Response:
    def make() -> Any:
        found = open311.requests(session, Wanted(numbers=[number[:40]]))
        if not found:
            raise NoSuchRequest
        return [open311.shown(case, i18n.current()) for case in found]

    return _answered(format, "service_requests", make)


@router.post("/requests.{format}")
@door(who="anyone", limit="60/minute;600/hour", body_bytes=100_000)
def send(request: Request, format: Format, sent: Annotated[Sent, reading(files=0)]) -> Response:
    """Take a request. Whoever holds a key answers for what comes with it, so no proof of work is asked."""

    def make() -> Any:
        with db.reading() as session:
            key = keys.find(session, sent.fields.get("api_key"), scope=SCOPE)
            draft = open311.draft_of(session, sent.fields)
        via: Via = "hotline" if key.allows(HOTLINE) else "open311"
        taken = intake.submit(forms.read(draft), via=via, proven=True)
        return open311.taken(taken)

    response = _answered(format, "service_requests", make)
    response.status_code = 201 if response.status_code == 200 else response.status_code
    response.headers["Cache-Control"] = "no-store"
    return response
