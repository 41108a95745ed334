"""JSON: searching, suggesting and checking entities."""

from typing import Annotated, Any, Literal

from fastapi import Query as InQuery
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from portal.kit import db, i18n, keys, limits
from portal.kit.limits import door
from portal.kit.shapes import Query, cursor, place
from portal.kit.web import ReadingSession
from record import codes
from record.api import EntityItem, item
from search import check, results
from search.engine import MAX_HITS, Facet, Filters, Match

router = limits.router(tags=["Entities"], dependencies=[keys.IF_SENT])


class EntitiesQuery(Query):
    q: str = Field("", max_length=500, description="Part of a name, pinyin, initials, a code or its start, an address.")
    district: str | None = Field(None, pattern=r"^\d{6}$", description="Division (GB/T 2260), such as 310104.")
    industry: str | None = Field(None, pattern=r"^[A-T]$", description="Section (GB/T 4754-2017), such as F.")
    type: str | None = Field(None, max_length=24, description="Type of entity, such as limited_company.")
    status: str | None = Field(None, max_length=16, description="Status of registration, such as active.")
    listed: str | None = Field(None, max_length=24, description="A list that it stands on, or `any`.")
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=64, description="`next` of the page before.")

    def filters(self) -> Filters:
        return Filters(self.district, self.industry, self.type, self.status, self.listed)


class FoundItem(EntityItem):
    match: Match = Field(description="Why it was found; `similar` allows for a wrong, missing or swapped character.")


class EntityPage(BaseModel):
    items: list[FoundItem]
    total: int
    next: str | None = Field(description=f"Cursor of the next page; null at the end, or after {MAX_HITS} items.")
    facets: dict[Facet, dict[str, int]] = Field(description="How many of the matches have which value.")


class SuggestQuery(Query):
    q: str = Field("", max_length=100)
    limit: int = Field(8, ge=1, le=20)


class Suggestion(BaseModel):
    code: str
    name: str
    district: str | None = Field(description="The district's name, in the language asked for.")


class Suggestions(BaseModel):
    items: list[Suggestion]


class CheckRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"items": ["91310117747267897B", "上海鑫诺照明电器有限公司"]}]},
    )
    items: list[Annotated[str, Field(max_length=500)]] = Field(
        min_length=1, max_length=check.MAX_ITEMS, description="Names or codes, as your own list has them."
    )


class Checked(BaseModel):
    query: str
    match: EntityItem | None = Field(description="The best candidate; null when there is none worth showing.")
    score: float = Field(ge=0, le=1, description="1: the same code, or the same name after folding its spelling.")
    exact: bool
    flags: list[str] = Field(description="Lists that the match stands on today.")


class CheckedPage(BaseModel):
    items: list[Checked]
    total: int
    next: None = None


@router.get("/entities", response_model=EntityPage)
@door(who="anyone", limit="300/minute")
def find_entities(request: Request, query: Annotated[EntitiesQuery, InQuery()]) -> dict[str, Any]:
    """Search the register. The best match comes first; an empty `q` lists what the filters let through."""
    asked = query.model_dump(exclude={"cursor", "limit"})
    offset = place(query.cursor, asked, most=MAX_HITS)
    with db.reading() as session:
        found = results.find(session, query.q, query.filters(), limit=query.limit, offset=offset)
    return {
        "items": [{**item(one.entity), "match": one.match} for one in found.found],
        "total": found.total,
        "next": cursor(found.next_offset, asked),
        "facets": found.facets,
    }


@router.get("/suggest", response_model=Suggestions)
@door(who="anyone", limit="600/minute")
def suggest(request: Request, query: Annotated[SuggestQuery, InQuery()]) -> dict[str, Any]:
    """The likeliest entities while somebody is still typing."""
    language: Literal["zh", "en"] = i18n.current()
    with db.reading() as session:
        likeliest = results.suggest(session, query.q, limit=query.limit)
    return {
        "items": [
            {
                "code": entity.code,
                "name": entity.name,
                "district": codes.label(codes.DISTRICTS, entity.district, language),
            }
            for entity in likeliest
        ]
    }


@router.post("/entities/check", response_model=CheckedPage)
@door(who="anyone", limit="10/minute", body_bytes=8_000_000)
def check_entities(request: Request, session: ReadingSession, body: CheckRequest) -> dict[str, Any]:
    """Match up to 10,000 names or codes with the register (企业数据核查), each with its best candidate and flags."""
    checked = check.check(session, body.items)
    return {
        "items": [
            {
                "query": one.query,
                "match": item(one.entity) if one.entity else None,
                "score": one.score,
                "exact": one.exact,
                "flags": one.entity.flags if one.entity else [],
            }
            for one in checked
        ],
        "total": len(checked),
    }
