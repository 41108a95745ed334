"""The catalogue for harvesters: `/catalog`, `/dataset/{id}` in five forms of RDF or by Accept, and `/data.json`."""

from email.utils import format_datetime
from typing import Annotated

from fastapi import Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from opendata import harvesting
from opendata.harvesting import RDF_FORMS, Asked, FormsRefused, State
from portal.kit import db, keys, limits
from portal.kit.limits import door

router = limits.router(include_in_schema=False, dependencies=[keys.IF_SENT])

OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Last-Modified, Link, Retry-After"}
_HTML = ("text/html", "application/xhtml+xml")

Id = Annotated[str, Path(pattern=r"^[a-z0-9-]{2,40}$")]
Ending = Annotated[str, Path(max_length=10)]


class Question(BaseModel):
    """What stands behind the question mark."""

    page: int = Field(default=1, ge=1, le=1_000_000)
    modified_since: str = Field(default="", max_length=100)
    q: str = Field(default="", max_length=1_000)
    fq: list[str] = Field(default=[], max_length=20)
    profiles: str = Field(default="", max_length=200)

    def asked(self) -> Asked:
        """Raises InvalidInput."""
        harvesting.profiles_known(self.profiles)
        fq = tuple(text[:1_000] for text in self.fq if text.strip())
        return Asked(self.page, self.q.strip(), fq, harvesting.moment_of(self.modified_since))


def negotiated(accepted: str) -> str | None:
    """The form of RDF that an `Accept` prefers; None: a page for people. Raises FormsRefused (RFC 9110, 12.5.1)."""
    offered = {**{form.media_type: ending for ending, form in reversed(RDF_FORMS.items())}, **dict.fromkeys(_HTML)}
    best: tuple[float, str | None] = (0.0, None)
    for part in accepted.split(",")[:50] if accepted.strip() else ["*/*"]:
        media_type, *parameters = (word.strip().lower() for word in part.split(";"))
        weight = _weight(parameters)
        if media_type in offered and weight > best[0]:
            best = (weight, offered[media_type])
        elif media_type in ("*/*", "text/*") and weight > best[0]:
            best = (weight, None)
    if best[0] == 0:
        raise FormsRefused
    return best[1]


def _weight(parameters: list[str]) -> float:
    said = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return min(max(float(said), 0.0), 1.0)
    except ValueError:
        return 0.0


@router.get("/catalog")
@door(who="anyone", limit="120/minute")
def catalogue(request: Request, question: Annotated[Question, Query()]) -> Response:
    """The catalogue in the form that is accepted; people are sent to its page."""
    ending = negotiated(request.headers.get("accept", ""))
    return _to_people("/data") if ending is None else _catalogue(request, ending, question.asked())


@router.get("/catalog.{ending}")
@door(who="anyone", limit="120/minute")
def catalogue_file(request: Request, ending: Ending, question: Annotated[Question, Query()]) -> Response:
    """One page of the catalogue; `modified_since`, `q` and `fq` leave some out."""
    return _catalogue(request, ending, question.asked())


def _catalogue(request: Request, ending: str, asked: Asked) -> Response:
    form = harvesting.form_of(ending)
    with db.reading(one_moment=True) as session:
        state = harvesting.state_of(session)
        headers = _headers(state, harvesting.etag(state, asked.address(ending)), "/data")
        if _has(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        written = harvesting.catalogue(session, state, asked, ending)
    return Response(written, headers=headers, media_type=f"{form.media_type}; charset=utf-8")


@router.get("/dataset/{id}.{ending}")
@door(who="anyone", limit="300/minute")
def data_set_file(request: Request, id: Id, ending: Ending) -> Response:
    """A data set by name or id."""
    harvesting.form_of(ending)
    with db.reading(one_moment=True) as session:
        return _data_set(request, session, harvesting.named(session, id), ending)


@router.get("/dataset/{id}")
@door(who="anyone", limit="300/minute")
def data_set(request: Request, id: Id) -> Response:
    """A data set by name or id, in the form that is accepted; people are sent to its page."""
    ending = negotiated(request.headers.get("accept", ""))
    with db.reading(one_moment=True) as session:
        name = harvesting.named(session, id)
        return _to_people(f"/data/{name}") if ending is None else _data_set(request, session, name, ending)


def _data_set(request: Request, session: Session, name: str, ending: str) -> Response:
    state = harvesting.state_of(session)
    headers = _headers(state, harvesting.etag(state, name, ending), f"/data/{name}")
    if _has(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    written = harvesting.data_set(session, state, name, ending)
    return Response(written, headers=headers, media_type=f"{RDF_FORMS[ending].media_type}; charset=utf-8")


@router.get("/data.json")
@door(who="anyone", limit="60/minute")
def data_json(request: Request) -> Response:
    """Every data set as DCAT-US writes them."""
    with db.reading(one_moment=True) as session:
        state = harvesting.state_of(session)
        headers = _headers(state, harvesting.etag(state, "data.json"), "/data")
        if _has(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        written = harvesting.for_dcat_us(session, state)
    return Response(written, headers=headers, media_type="application/json; charset=utf-8")


def _headers(state: State, etag: str, page: str) -> dict[str, str]:
    return {
        **OPEN, "ETag": etag, "Last-Modified": format_datetime(state.changed_at, usegmt=True), "Vary": "Accept",
        "Cache-Control": "public, no-cache", "Link": f'<{page}>; rel="alternate"; type="text/html"',
    }  # fmt: skip


def _has(request: Request, etag: str) -> bool:
    """Whether the caller has it. `If-Modified-Since` is not asked: what was hidden meanwhile changes no moment."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return not known.isdisjoint({etag, "*"})


def _to_people(page: str) -> Response:
    return RedirectResponse(page, 303, {**OPEN, "Vary": "Accept"})
