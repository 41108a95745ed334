"""JSON about partners for anybody: who they are, their schemes, their scorecards, and what was known on a day."""

from datetime import date
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi import Query as FromQuery
from pydantic import BaseModel, Field

from partners import organisations, schemes, scorecard
from partners.models import Organisation, Scheme
from partners.scorecard import Figures
from partners.views import Id, end_of, public
from portal.kit import limits, web
from portal.kit.limits import door
from portal.kit.shapes import Instant, Query
from record import entities, evaluations, publication

router = limits.router(tags=["Partners"])


class SchemeRef(BaseModel):
    id: str
    name: str
    english_name: str
    version: int | None = Field(description="The edition in force.")


class PartnerItem(BaseModel):
    """An organisation that evaluates entities."""

    id: str
    type: str
    name: str
    number: str | None = Field(description="Of its accreditation (认可) or filing (备案).")
    numbered_by: str | None
    industries: list[str] = Field(description="Sections of GB/T 4754 that it may evaluate; empty: all.")
    districts: list[str] = Field(description="Empty: the whole city.")
    state: str
    valid_until: date | None
    schemes: list[SchemeRef]


class PartnerList(BaseModel):
    items: list[PartnerItem]
    total: int | None = Field(description="Not counted.")
    next: str | None


class ScorecardOut(BaseModel):
    """How well one scheme is kept."""

    scheme: str
    computed_at: Instant
    reject_rate: float | None = Field(description="Share of the rows that could not be used, 0 to 1.")
    figures: Figures


class PartnerFile(PartnerItem):
    about: str
    scorecards: list[ScorecardOut]


class Edition(BaseModel):
    number: int
    approved_on: date | None


class SchemeFile(SchemeRef):
    organisation: str
    definition: dict[str, Any] | None = Field(description="Of the edition in force; see docs/partners.md.")
    method_url: str | None
    editions: list[Edition]


class KnownOut(BaseModel):
    seq: int
    evaluated_on: date
    recorded_at: Instant
    payload: dict[str, Any]


class KnownList(BaseModel):
    items: list[KnownOut]
    total: int
    next: None = None


class ListQuery(Query):
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str = Field(default="", max_length=40, pattern=r"^[a-z0-9-]*$")


class KnownQuery(Query):
    on: date | None = Field(default=None, description="A day in the city; left out: today.")


def _ref(one: Scheme) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "english_name": one.english_name, "version": one.current}


def _item(one: Organisation, mine: list[Scheme]) -> dict[str, Any]:
    return {
        "id": one.id, "type": one.type, "name": one.name, "number": one.number, "numbered_by": one.numbered_by,
        "industries": one.industries, "districts": one.districts, "state": one.state, "valid_until": one.valid_until,
        "schemes": [_ref(scheme) for scheme in mine],
    }  # fmt: skip


@router.get("/partners", response_model=PartnerList)
@door(who="anyone", limit="300/minute")
def partners(request: Request, session: web.ReadingSession, asked: Annotated[ListQuery, FromQuery()]) -> Any:
    """Organisations that evaluate entities, by id, with their schemes."""
    found = organisations.listed(session, after=asked.cursor, limit=asked.limit + 1)
    shown = found[: asked.limit]
    mine = schemes.of_all(session, [one.id for one in shown])
    more = shown[-1].id if len(found) > asked.limit else None
    return {"items": [_item(one, mine.get(one.id, [])) for one in shown], "total": None, "next": more}


@router.get("/partners/schemes/{scheme_id}", response_model=SchemeFile)
@door(who="anyone", limit="300/minute")
def scheme(request: Request, session: web.ReadingSession, scheme_id: Id) -> Any:
    """A scheme: its scale and columns in the edition in force, and all editions."""
    found = schemes.get(session, scheme_id)
    editions = [one for one in schemes.versions(session, scheme_id) if one.state == "approved"]
    now = next((one for one in editions if one.number == found.current), None)
    return {
        **_ref(found),
        "organisation": found.organisation_id,
        "definition": now.definition if now else None,
        "method_url": f"/partners/papers/{now.method_paper}" if now and now.method_paper else None,
        "editions": [{"number": one.number, "approved_on": one.approved_on} for one in editions],
    }


@router.get("/partners/{organisation_id}", response_model=PartnerFile)
@door(who="anyone", limit="300/minute")
def partner(request: Request, session: web.ReadingSession, organisation_id: Id) -> Any:
    """One partner, with a scorecard for each of its schemes."""
    found = public(session, organisation_id)
    mine = [one for one in schemes.of(session, organisation_id) if one.current is not None]
    cards = [
        {"scheme": scheme_id, "computed_at": at, "reject_rate": figures.reject_rate, "figures": figures}
        for scheme_id, (figures, at) in scorecard.of(session, [one.id for one in mine]).items()
    ]
    return {**_item(found, mine), "about": found.about, "scorecards": cards}


@router.get("/entities/{code}/evaluations", response_model=KnownList)
@door(who="anyone", limit="120/minute")
def known(
    request: Request,
    session: web.ReadingSession,
    code: Annotated[str, Path(max_length=40)],
    asked: Annotated[KnownQuery, FromQuery()],
) -> Any:
    """An entity's evaluations as they were known at the end of a day, as far as they may be shown today."""
    entity = entities.get(session, code)
    found = evaluations.as_known_on(session, entity.code, end_of(asked.on or publication.today()))
    return {"items": [one._asdict() for one in found], "total": len(found), "next": None}
