"""Reconciliation for programs such as OpenRefine: the addresses below /reconcile, open to every site (CORS)."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from slowapi.errors import RateLimitExceeded
from starlette.exceptions import HTTPException

from opendata import extending, reconcile
from opendata.reconcile import ENTITY
from portal.kit import db, i18n, keys, limits, web
from portal.kit.errors import NotFound, PortalError
from portal.kit.limits import DoorRoute, door
from portal.kit.settings import get_settings
from record import entities

_OPEN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Expose-Headers": "Retry-After, RateLimit, RateLimit-Policy",
    "Access-Control-Max-Age": "86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors *"
)
_BODY_BYTES = 400_000


class OpenRoute(DoorRoute):
    """A route that any site's page may use: every answer says so, refusals too, and all but previews are JSON."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def opened(request: Request) -> Response:
            try:
                response = await handle(request)
            except (PortalError, HTTPException, RequestValidationError, RateLimitExceeded) as error:
                response = _refused(request, error)
            response.headers.update(_OPEN)
            return response

        return opened


def _refused(request: Request, error: Exception) -> Response:
    """What the site answers to whoever asks for JSON, as the plain JSON that clients of the protocol wait for."""
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"accept"]
    asking = Request({**request.scope, "headers": [*headers, (b"accept", b"application/json")]})
    known = request.app.exception_handlers
    response: Response = next(known[kind] for kind in type(error).__mro__ if kind in known)(asking, error)
    response.headers["Content-Type"] = "application/json"
    return response


router = limits.router(prefix="/reconcile", include_in_schema=False, dependencies=[keys.IF_SENT])
router.route_class = OpenRoute


def _number(text: str | None, most: int, usual: int = 0) -> int:
    return min(int(text), most) if text and text.isascii() and text.isdigit() and len(text) < 10 else usual


# ---- matching -------------------------------------------------------------------------------------------------------


@router.get("")
@door(who="anyone", limit="300/minute")
def manifest(request: Request) -> Response:
    """What the service can do, or with `queries` what POST answers."""
    if "queries" in request.query_params:
        return _answer(request.query_params["queries"])
    settings = get_settings()
    return JSONResponse(extending.manifest(settings.base_url, i18n.gettext("Gongzhi register of market entities")))


@router.post("")
@door(who="anyone", limit="120/minute", body_bytes=_BODY_BYTES)
async def match(request: Request) -> Response:
    text = await _field(request, "queries")
    return await anyio.to_thread.run_sync(_answer, text)


def _answer(text: str | None) -> Response:
    queries = reconcile.batch_of(text)
    with db.reading() as session:
        return JSONResponse(reconcile.answer(session, queries))


async def _field(request: Request, name: str) -> str | None:
    async with request.form(max_files=0, max_fields=20, max_part_size=_BODY_BYTES) as form:
        value = form.get(name)
    return value if isinstance(value, str) else None


@router.options("{rest:path}")
@door(who="anyone", limit="600/minute")
def preflight(request: Request, rest: str) -> Response:
    return Response(status_code=204)


# ---- suggesting -----------------------------------------------------------------------------------------------------


@router.get("/suggest/entity")
@door(who="anyone", limit="600/minute")
def suggest_entity(request: Request, session: web.ReadingSession) -> Response:
    asked = request.query_params
    found = extending.suggest_entities(session, asked.get("prefix", ""), _number(asked.get("cursor"), 1_000))
    return JSONResponse({"result": found})


@router.get("/suggest/property")
@door(who="anyone", limit="600/minute")
def suggest_property(request: Request) -> Response:
    return _from(request, extending.suggest_properties)


@router.get("/suggest/type")
@door(who="anyone", limit="600/minute")
def suggest_type(request: Request) -> Response:
    return _from(request, extending.suggest_types)


def _from(request: Request, suggest: Callable[[str], list[dict[str, Any]]]) -> Response:
    asked = request.query_params
    found = suggest(asked.get("prefix", "")[:100])
    return JSONResponse({"result": found[_number(asked.get("cursor"), 1_000) :]})


# ---- showing --------------------------------------------------------------------------------------------------------


@router.get("/preview/{code}")
@door(who="anyone", limit="600/minute")
def preview(request: Request, session: web.ReadingSession, code: str) -> Response:
    """A small page that other sites show in a frame."""
    found = entities.as_listed(entities.get(session, code))
    response = web.page(request, "opendata/preview.html", entity=found)
    response.headers["Content-Security-Policy"] = PREVIEW_POLICY
    return response


@router.get("/extend/propose")
@door(who="anyone", limit="300/minute")
def propose(request: Request) -> Response:
    asked = request.query_params
    return JSONResponse(extending.propose(asked.get("type", ENTITY)[:100], _number(asked.get("limit"), 100, 100)))


@router.post("/extend")
@door(who="anyone", limit="120/minute", body_bytes=_BODY_BYTES)
async def extend(request: Request) -> Response:
    text = await _field(request, "extend")

    def made() -> Response:
        with db.reading() as session:
            return JSONResponse(extending.extend(session, text))

    return await anyio.to_thread.run_sync(made)


@router.get("{rest:path}")
@door(who="anyone", limit="300/minute")
def nothing(request: Request, rest: str) -> Response:
    raise NotFound
