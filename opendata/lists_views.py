"""Pages with which people match a list of their own: send it, see whom it means, correct, take it back, follow it.

Nobody signs in: the address of a list is its key, so no page of it is kept, indexed, or told to another site.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path as FilePath
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import Depends, Form, Path, Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile

from opendata import handing_back, lists, reading
from opendata.models import MatchList
from portal.kit import db, i18n, jobs, limits, links, web
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import follow
from record.letters import ALL, LIST

router = limits.router(include_in_schema=False)

HOME = "/data/match"
SHOWN = {"all": (), "check": ("likely", "none"), "found": ("sure", "chosen")}
"""Which rows a page shows, by the word in its address."""
_FORM_BYTES = 20_000
_BLOCK = 2**18
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Step = Callable[[Session, MatchList], PortalError | None]
Key = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{32}$")]
Column = Annotated[str, Form(max_length=4, pattern=r"^\d*$")]


def _private(response: Response) -> Response:
    response.headers.update(_PRIVATE)
    return response


def _to(key: str, query: str = "") -> Response:
    return _private(RedirectResponse(f"{HOME}/{key}{query}", status_code=303))


# ---- sending --------------------------------------------------------------------------------------------------------


@router.get(HOME)
@door(who="anyone", limit="300/minute")
def start(request: Request) -> Response:
    return _start_page(request)


def _start_page(request: Request, refusal: PortalError | None = None) -> Response:
    return web.page(
        request, "opendata/match.html", status=refusal.status if refusal else 200, endings=",".join(reading.ENDINGS),
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


async def _arrived(request: Request) -> AsyncIterator[tuple[str, FilePath] | PortalError]:
    """The file's name and a copy of it that is removed at the end, or why it cannot be a table."""
    async with request.form(max_files=1, max_fields=5) as form:
        sent = form.get("file")
        if not isinstance(sent, UploadFile) or not sent.size:
            yield reading.ListEmpty()
            return
        name, head = sent.filename or "", await sent.read(64)
        try:
            ending = reading.ending_of(name, head)
        except reading.NotAList as refusal:
            yield refusal
            return
        with NamedTemporaryFile(prefix="list-", suffix=ending, delete=False) as file:
            file.write(head)
            while block := await sent.read(_BLOCK):
                file.write(block)
    path = FilePath(file.name)
    try:
        yield (name, path) if path.stat().st_size <= reading.MOST_BYTES else reading.ListTooLarge()
    finally:
        path.unlink()


@router.post(HOME)
@door(who="anyone", limit="10/minute;60/hour", body_bytes=reading.MOST_BYTES + _FORM_BYTES)
def send(request: Request, arrived: Annotated[tuple[str, FilePath] | PortalError, Depends(_arrived)]) -> Response:
    web.refuse_other_sites(request)
    try:
        if isinstance(arrived, PortalError):
            raise arrived
        name, path = arrived
        sent = reading.read(path)
        with db.writing() as session:
            key = lists.take(session, sent, name)
    except PortalError as refusal:
        return _start_page(request, refusal)
    return _to(key)


# ---- one list -------------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/{{key}}")
@door(who="anyone", limit="600/minute")
def matches(request: Request, session: web.ReadingSession, key: Key) -> Response:
    return _list_page(request, session, key)


def _list_page(request: Request, session: Session, key: str, refusal: PortalError | None = None) -> Response:
    kept = lists.get(session, key)
    asked = request.query_params
    show = asked.get("show", "") if asked.get("show") in SHOWN else "all"
    after = int(asked["after"]) if asked.get("after", "").isdecimal() and len(asked["after"]) < 8 else 0
    live = kept.run is not None and kept.matched < kept.rows
    found = [] if live else lists.page(session, kept, after=after, states=SHOWN[show], limit=lists.PER_PAGE + 1)
    more = found[lists.PER_PAGE - 1].row.place if len(found) > lists.PER_PAGE else None
    return _private(
        web.page(
            request,
            "opendata/list.html",
            status=refusal.status if refusal else 200,
            kept=kept,
            key=key,
            live=live,
            counts=lists.counts(session, kept),
            shown=found[: lists.PER_PAGE],
            more=more,
            show=show,
            after=after,
            followable=lists.followable(session, kept),
            asked=asked.get("asked") == "1",
            until=kept.created_at + lists.KEPT,
            state_name=handing_back.state_name,
            refused=web.problem(refusal) if refusal else None,
        )
    )


def _step(request: Request, key: str, step: Step, query: str = "") -> Response:
    """Change a list, and go back to its page; what is refused, as a whole or of several, is shown there."""
    web.refuse_other_sites(request)
    try:
        with db.writing() as session:
            refused = step(session, lists.get(session, key, to_change=True))
        if refused is not None:
            raise refused
    except lists.ListNotFound:
        raise
    except PortalError as refusal:
        with db.reading() as session:
            return _list_page(request, session, key, refusal)
    return _to(key, query)


@router.post(f"{HOME}/{{key}}/columns")
@door(who="anyone", limit="20/minute", body_bytes=4_000)
def columns(request: Request, key: Key, name: Column = "", code: Column = "") -> Response:
    chosen = [int(one) if one else None for one in (name, code)]
    return _step(request, key, lambda session, kept: lists.choose_columns(session, kept, chosen[0], chosen[1]))


@router.post(f"{HOME}/{{key}}/rows")
@door(who="anyone", limit="120/minute", body_bytes=100_000)
async def rows(request: Request, key: Key) -> Response:
    """Whom rows mean: fields `row-7`, with a code, `-` for nobody, or empty; `code-7`, a code that was typed, wins."""
    choices: dict[int, str | None] = {}
    async with request.form(max_files=0, max_fields=1_000) as form:
        for name, value in form.multi_items():
            kind, _, place = name.partition("-")
            text = value.strip()[:60] if isinstance(value, str) else ""
            if kind in ("row", "code") and text and place.isascii() and place.isdigit() and len(place) < 8:
                choices[int(place)] = None if text == "-" else text
    query = f"?{request.url.query}" if request.url.query else ""
    return await anyio.to_thread.run_sync(
        lambda: _step(request, key, lambda session, kept: lists.settle(session, kept, choices), query)
    )


@router.get(f"{HOME}/{{key}}/matches.{{form}}")
@door(who="anyone", limit="20/minute")
def download(request: Request, session: web.ReadingSession, key: Key, form: Literal["csv", "xlsx"]) -> Response:
    kept = lists.get(session, key)
    name = {"Content-Disposition": f'attachment; filename="matches.{form}"'}
    pages = lists.pages(kept.id)
    if form == "csv":
        said = StreamingResponse(
            handing_back.as_csv(kept.header, pages), media_type="text/csv; charset=utf-8", headers=name
        )
        return _private(said)
    path = handing_back.as_workbook(kept.header, pages)
    return _private(FileResponse(path, media_type=_XLSX, headers=name, background=BackgroundTask(_remove, path)))


def _remove(path: FilePath) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


@router.post(f"{HOME}/{{key}}/delete")
@door(who="anyone", limit="60/minute", body_bytes=2_000)
def remove(request: Request, session: web.WritingSession, key: Key) -> Response:
    web.refuse_other_sites(request)
    lists.forget(session, lists.get(session, key))
    return _private(RedirectResponse(HOME, status_code=303))


# ---- following ------------------------------------------------------------------------------------------------------


@router.post(f"{HOME}/{{key}}/follow")
@door(who="anyone", limit="5/minute", body_bytes=4_000)
def ask_to_follow(request: Request, key: Key, address: Annotated[str, Form(max_length=1_000)] = "") -> Response:
    language = i18n.current()
    return _step(
        request, key, lambda session, kept: lists.ask_to_follow(session, kept, address, language), "?asked=1#follow"
    )


def _asked(session: Session, token: str) -> tuple[MatchList, str, str]:
    """The list, the address and the language that a link in a mail is about. Raises LinkExpired and LinkRefused."""
    list_id, address_id, language = links.read(LIST, token, follow.UNCONFIRMED_KEPT)
    try:
        kept = lists.by_id(session, list_id)
    except lists.ListNotFound:
        raise links.LinkExpired from None
    return kept, address_id, language


@router.get("/follow/list/{token}")
@door(who="anyone", limit="300/minute")
def confirming(request: Request, session: web.ReadingSession, token: str) -> Response:
    """Asks once more: programs that look for bad links open this before the reader does."""
    kept, _, _ = _asked(session, token)
    return _private(web.page(request, "opendata/follow.html", number=lists.followable(session, kept)))


@router.post("/follow/list/{token}")
@door(who="anyone", limit="60/minute", body_bytes=2_000)
def confirm(request: Request, session: web.WritingSession, token: str) -> Response:
    kept, address_id, language = _asked(session, token)
    after = lists.follow_some(session, kept.id, address_id, language, 0)
    if after is not None:
        jobs.add(session, lists.FOLLOW, [[kept.id, address_id, language, after]])
    return _private(RedirectResponse(f"/follow/all/{links.make(ALL, address_id)}?confirmed=1", status_code=303))
