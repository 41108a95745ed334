"""Search results as people and programs see them: the engine's codes, joined with what the register says now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.orm import Session

from record import entities
from record.listed import Listed
from search import engine
from search.engine import EngineUnavailable, Facet, Filters, Match, NoIndex, Page

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """One entity that answers a query, and why it does."""

    entity: Listed
    match: Match


@dataclass(frozen=True, slots=True)
class Results:
    found: Sequence[Found]
    total: int
    facets: Mapping[Facet, Mapping[str, int]] = field(default_factory=dict)
    next_offset: int | None = None
    """Where the next page begins; None at the end, or at engine.MAX_HITS."""
    engine_away: bool = False
    """The search engine cannot answer just now; only codes were looked up, in the register itself."""


def find(session: Session, text: str, filters: Filters, *, limit: int, offset: int = 0) -> Results:
    """Entities that answer `text` and `filters`, best first.

    Raises search.query.Refused when `text` cannot be searched for.
    """
    try:
        page = page_of(session, text, filters, limit=limit, offset=offset)
    except EngineUnavailable:
        log.warning("search.engine_away")
        return _by_code(session, text)
    known = {entity.code: entity for entity in entities.by_codes(session, [hit.code for hit in page.hits])}
    found = [Found(known[hit.code], hit.match) for hit in page.hits if hit.code in known]
    return Results(found, page.total, page.facets, offset + limit if page.more else None)


def page_of(session: Session, text: str, filters: Filters, *, limit: int, offset: int = 0) -> Page:
    """What the engine answers; nothing while the register is empty and so has no index.

    Raises EngineUnavailable, also when the index was lost; search.query.Refused.
    """
    try:
        return engine.current().search(text, filters, limit=limit, offset=offset)
    except NoIndex:
        if not entities.is_empty(session):
            raise
        return Page([], 0)


def _by_code(session: Session, text: str) -> Results:
    found = [Found(entity, "code") for entity in entities.by_codes(session, ["".join(text.split()).upper()])]
    return Results(found, len(found), engine_away=True)


def suggest(session: Session, text: str, *, limit: int) -> list[Listed]:
    """The likeliest entities while somebody is typing `text`; none while the engine is away."""
    try:
        codes = engine.current().suggest(text, limit=limit)
    except EngineUnavailable:
        log.warning("search.engine_away")
        return []
    return entities.by_codes(session, codes)
