"""Daily changes as files: the list of them for people and for programs, and the files."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from opendata import deltas, descriptors
from opendata.models import Delta
from opendata.views import NotMadeYet, serve
from portal.kit import db, errors, keys, limits, web
from portal.kit.limits import door
from portal.kit.shapes import moment

router = limits.router(include_in_schema=False, dependencies=[keys.IF_SENT])

HOME = "/data/changes"
ON_A_PAGE = 60


@router.get(HOME)
@door(who="anyone", limit="300/minute")
def overview(request: Request, session: web.ReadingSession, before: date | None = None) -> Response:
    """The days that have a file."""
    found = deltas.listed(session, before=before, limit=ON_A_PAGE)
    return web.page(
        request, "opendata/changes.html", days=found, older=found[-1].day if len(found) == ON_A_PAGE else None
    )


@router.get(f"{HOME}.json")
@door(who="anyone", limit="300/minute")
def index(
    request: Request,
    session: web.ReadingSession,
    before: date | None = None,
    limit: Annotated[int, Query(ge=1, le=deltas.MOST_LISTED)] = 100,
) -> Response:
    """The same for programs, the newest day first; `next` is what to send as `before`."""
    found = deltas.listed(session, before=before, limit=limit)
    following = found[-1].day.isoformat() if len(found) == limit else None
    return JSONResponse({"items": [_item(one) for one in found], "next": following})


def _item(delta: Delta) -> dict[str, Any]:
    home = f"{descriptors.base()}{HOME}/{delta.day}"
    return {
        "day": delta.day.isoformat(), "first_seq": delta.first_seq, "last_seq": delta.last_seq, "rows": delta.rows,
        "changed_at": moment(delta.changed_at),
        "files": [
            {"url": f"{home}.{form}", "size": delta.files[form]["size"], "sha256": delta.files[form]["sha256"]}
            for form in deltas.FORMS
        ],
    }  # fmt: skip


@router.get(HOME + "/{day}.jsonl.gz")
@door(who="anyone", limit="120/minute")
def packed(request: Request, day: date) -> Response:
    """One day, packed."""
    return _file(request, day, "jsonl.gz")


@router.get(HOME + "/{day}.{form}")
@door(who="anyone", limit="120/minute")
def plain(request: Request, day: date, form: Literal["jsonl"]) -> Response:
    """One day: a step of the ledger a line, as `/api/v1/changes` tells it."""
    return _file(request, day, form)


def _file(request: Request, day: date, form: str) -> Response:
    with db.reading() as session:
        delta = deltas.of(session, day)
        if delta is None:
            raise errors.NotFound
        if not deltas.is_fit(session, delta):
            raise NotMadeYet
    return serve(request, deltas.file(delta, form), f"changes-{day}.{form}", delta.last_seq)
