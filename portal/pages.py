"""Pages that belong to no area: home, help, about, developers, and health."""

from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text

from portal import handbook
from portal.handbook import Sample
from portal.kit import datasets, db, limits, storage, web
from portal.kit.errors import NotFound
from portal.kit.limits import door
from portal.kit.settings import get_settings
from search import engine, overview
from search.engine import EngineUnavailable

router = limits.router(include_in_schema=False)

SECURITY_TXT_HOLDS = timedelta(days=180)
"""RFC 9116, 2.5.5 recommends less than a year."""


@router.get("/")
@door(who="anyone", limit="300/minute")
def home(request: Request, session: web.ReadingSession) -> Response:
    return web.page(request, "pages/home.html", overview=overview.read(session))


@router.get("/help")
@door(who="anyone", limit="300/minute")
def help_page(request: Request) -> Response:
    return web.page(request, "pages/help.html")


@router.get("/about")
@door(who="anyone", limit="300/minute")
def about(request: Request) -> Response:
    return web.page(request, "pages/about.html")


@router.get("/developers")
@door(who="anyone", limit="120/minute")
def developers(request: Request, session: web.ReadingSession) -> Response:
    known = overview.read(session)
    sample = Sample(known.sample.code, known.sample.name) if known and known.sample else Sample()
    return web.page(
        request,
        "pages/developers.html",
        operations=handbook.operations(request.app.openapi(), sample),
        problems=handbook.problems(),
        freshness=[one for area in request.app.state.areas if area.freshness for one in area.freshness(session)],
        data_sets=datasets.offered().values(),
    )


@router.get("/.well-known/security.txt")
@door(who="anyone", limit="60/minute")
def security_txt(request: Request) -> Response:
    """Whom to tell of a weakness (RFC 9116). Raises NotFound while the operator names nobody."""
    settings = get_settings()
    contact = settings.security_contact or (settings.contact_address and f"mailto:{settings.contact_address}")
    if not contact:
        raise NotFound
    expires = (db.now() + SECURITY_TXT_HOLDS).strftime("%Y-%m-%dT00:00:00+00:00")
    return PlainTextResponse(
        f"Contact: {contact}\nExpires: {expires}\nPreferred-Languages: zh, en\n"
        f"Canonical: {settings.base_url}/.well-known/security.txt\n"
    )


@router.get("/healthz")
@door(who="anyone", limit="600/minute")
def healthz(request: Request) -> dict[str, Any]:
    """Whether this process answers at all."""
    return {"status": "ok"}


@router.get("/readyz")
@door(who="anyone", limit="600/minute")
def readyz(request: Request, session: web.ReadingSession) -> Response:
    """Whether what this process needs answers too; 503 without a database. Without search it serves all the same."""
    session.execute(text("select 1"))
    try:
        engine.current().count()
        search = "ok"
    except EngineUnavailable:
        search = "away"
    kept = {"storage": "away" if storage.is_away() else "ok"} if storage.is_elsewhere() else {}
    return JSONResponse({"status": "ready", "database": "ok", "search": search, **kept})
