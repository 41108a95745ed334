"""Pages with which an entity is followed by mail, and with which that is ended. Nobody signs in: links are the key."""

from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse

from portal.kit import i18n, limits, links, web
from portal.kit.limits import door
from record import entities, follow
from record.letters import ALL, CONFIRM, END, LINKS_WORK

router = limits.router(include_in_schema=False)

PER_PAGE = 100


def _page(request: Request, template: str, **values: Any) -> Response:
    """A page behind a link of a mail: nothing keeps it."""
    response = web.page(request, template, **values)
    response.headers["Cache-Control"] = "no-store"
    return response


# ---- asking ---------------------------------------------------------------------------------------------------------


@router.get("/entities/{code}/follow")
@door(who="anyone", limit="300/minute")
def form(request: Request, session: web.ReadingSession, code: str, asked: bool = False) -> Response:
    entity = entities.get(session, code)
    return web.page(request, "record/follow.html", entity=entity, asked=asked, address="", refused=None)


@router.post("/entities/{code}/follow")
@door(who="anyone", limit="5/minute", body_bytes=4_000)
def ask(
    request: Request, session: web.WritingSession, code: str, address: Annotated[str, Form(max_length=1_000)] = ""
) -> Response:
    web.refuse_other_sites(request)
    entity = entities.get(session, code)
    try:
        follow.ask(session, entity.code, address, i18n.current())
    except follow.AddressRefused as refusal:
        problem = web.problem(refusal)
        return web.page(
            request, "record/follow.html", status=refusal.status, entity=entity, asked=False, address=address,
            refused=problem,
        )  # fmt: skip
    return RedirectResponse(f"/entities/{entity.code}/follow?asked=1", status_code=303)


# ---- the links of mails ---------------------------------------------------------------------------------------------


@router.get("/follow/confirm/{token}")
@door(who="anyone", limit="300/minute")
def confirming(request: Request, session: web.ReadingSession, token: str) -> Response:
    """Asks once more: programs that look for bad links open this before the reader does."""
    found = follow.find(session, links.read(CONFIRM, token, follow.UNCONFIRMED_KEPT))
    if found is None:
        raise links.LinkExpired
    return _page(request, "record/follow_confirm.html", found=found)


@router.post("/follow/confirm/{token}")
@door(who="anyone", limit="60/minute", body_bytes=2_000)
def confirm(request: Request, session: web.WritingSession, token: str) -> Response:
    address_id = follow.confirm(session, links.read(CONFIRM, token, follow.UNCONFIRMED_KEPT))
    return RedirectResponse(f"/follow/all/{links.make(ALL, address_id)}?confirmed=1", status_code=303)


@router.get("/follow/end/{token}")
@door(who="anyone", limit="300/minute")
def ending(request: Request, session: web.ReadingSession, token: str) -> Response:
    found = follow.find(session, links.read(END, token, LINKS_WORK))
    return _page(request, "record/follow_end.html", found=found)


@router.post("/follow/end/{token}")
@door(who="anyone", limit="300/minute", body_bytes=2_000)
def end(request: Request, session: web.WritingSession, token: str) -> Response:
    """Ends it; mail programs send this too, in the reader's name (RFC 8058)."""
    follow.end(session, links.read(END, token, LINKS_WORK))
    return _page(request, "record/follow_end.html", found=None)


@router.get("/follow/all/{token}")
@door(who="anyone", limit="300/minute")
def everything(request: Request, session: web.ReadingSession, token: str, confirmed: bool = False) -> Response:
    address_id = links.read(ALL, token, LINKS_WORK)
    found = follow.followed(session, address_id, request.query_params.get("after"), limit=PER_PAGE + 1)
    more = found[PER_PAGE - 1].id if len(found) > PER_PAGE else None
    return _page(request, "record/follow_all.html", found=found[:PER_PAGE], confirmed=confirmed, more=more)


@router.post("/follow/all/{token}")
@door(who="anyone", limit="60/minute", body_bytes=2_000)
def end_some(
    request: Request, session: web.WritingSession, token: str, stop: Annotated[str, Form(max_length=32)]
) -> Response:
    """`stop`: the id of one, or `all`."""
    address_id = links.read(ALL, token, LINKS_WORK)
    if stop == "all":
        follow.end_all(session, address_id)
    elif follow.is_followed_by(session, address_id, stop):
        follow.end(session, stop)
    return RedirectResponse(f"/follow/all/{token}", status_code=303)
