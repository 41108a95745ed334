"""Pages with which a consumer gets keys and sees their use, behind a link by mail; and the counting of requests."""

from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from opendata import consumers, usage
from opendata.actions import ACTIONS
from opendata.letters import KEYS
from portal.kit import datasets, i18n, limits, links, web
from portal.kit.errors import PortalError
from portal.kit.limits import door

router = limits.router(include_in_schema=False)

HOME = "/data/key"
COUNTED = ("/api/", "/data", "/datastore/", "/catalog", "/dataset/", "/reconcile")


@router.get(HOME)
@door(who="anyone", limit="300/minute")
def form(request: Request, asked: bool = False) -> Response:
    return web.page(request, "opendata/key.html", asked=asked, address="", name="", refused=None)


@router.post(HOME)
@door(who="anyone", limit="5/minute", body_bytes=4_000)
def ask(
    request: Request,
    session: web.WritingSession,
    address: Annotated[str, Form(max_length=1_000)] = "",
    name: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    web.refuse_other_sites(request)
    try:
        consumers.ask(session, address, name, i18n.current())
    except PortalError as refusal:
        return web.page(
            request, "opendata/key.html", status=refusal.status, asked=False, address=address, name=name,
            refused=web.problem(refusal),
        )  # fmt: skip
    return RedirectResponse(f"{HOME}?asked=1", status_code=303)


# ---- behind the link ------------------------------------------------------------------------------------------------


def _id(token: str) -> str:
    return str(links.read(KEYS, token, consumers.LINK_WORKS))


def _page(request: Request, session: web.ReadingSession, token: str, **values: Any) -> Response:
    """A page behind a link of a mail: nothing keeps it, and no address of it leaves."""
    consumer = consumers.get(session, _id(token))
    keys = consumers.keys_of(session, consumer.id)
    shown = {"made": None, "refused": None} | values
    response = web.page(
        request, "opendata/keys.html", consumer=consumer, keys=keys, standing=consumers.standing(session, consumer),
        use=usage.read(session, [one.prefix for one in keys]), here=f"{HOME}/{token}", **shown,
    )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(HOME + "/{token}")
@door(who="anyone", limit="300/minute")
def standing(request: Request, session: web.ReadingSession, token: str) -> Response:
    """Keys, use, and how far behind."""
    return _page(request, session, token)


@router.post(HOME + "/{token}/new-key")
@door(who="anyone", limit="20/minute", body_bytes=2_000)
def new_key(request: Request, session: web.WritingSession, token: str) -> Response:
    """A new key, shown in this answer alone."""
    web.refuse_other_sites(request)
    try:
        made = consumers.new_key(session, _id(token))
    except consumers.EnoughKeys as refusal:
        return _page(request, session, token, refused=web.problem(refusal), status=refusal.status)
    return _page(request, session, token, made=made)


@router.post(HOME + "/{token}/end-key")
@door(who="anyone", limit="60/minute", body_bytes=2_000)
def end_key(
    request: Request, session: web.WritingSession, token: str, prefix: Annotated[str, Form(max_length=8)]
) -> Response:
    web.refuse_other_sites(request)
    consumers.end_key(session, _id(token), prefix)
    return RedirectResponse(f"{HOME}/{token}", status_code=303)


@router.post(HOME + "/{token}/end")
@door(who="anyone", limit="20/minute", body_bytes=2_000)
def end(request: Request, session: web.WritingSession, token: str) -> Response:
    web.refuse_other_sites(request)
    consumers.end(session, consumers.get(session, _id(token)).id)
    return RedirectResponse(HOME, status_code=303)


# ---- counting -------------------------------------------------------------------------------------------------------


class Counting:
    """Notes each request for open data once it is answered: what for and with which key, and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["path"].startswith(COUNTED):
            what = _asked_for(scope)
            if what:
                usage.note(what, scope.get("state", {}).get("key_prefix") or "")


def _asked_for(scope: Scope) -> str | None:
    """The route, with the data set or the action where it names one; None where there is no such route."""
    path = getattr(scope.get("route"), "path", None)
    name = scope.get("path_params", {}).get("name")
    if path is None or "{token}" in path:
        return None
    start = "/api/v1" if scope["path"].startswith("/api/v1/") and not path.startswith("/api/") else ""
    known = isinstance(name, str) and (name in datasets.offered() or name in ACTIONS)
    return start + (str(path).replace("{name}", name) if known else str(path))
