"""The search page."""

from dataclasses import dataclass
from typing import Self, get_args

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from portal.kit import limits, web
from portal.kit.limits import door
from record import codes, entities
from record.views import TABLES
from search import hits, results
from search.engine import MAX_HITS, Facet, Filters
from search.query import Refused

router = limits.router(include_in_schema=False)

PER_PAGE = 20
LAST_PAGE = MAX_HITS // PER_PAGE
FACETS: tuple[Facet, ...] = get_args(Facet)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page's address asks for. A filter or page that cannot be is left out: the address may be old."""

    text: str
    filters: Filters
    page: int

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        chosen = {name: query[name] for name in FACETS if _exists(name, query.get(name))}
        number = query.get("page", "")
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 1
        return cls(query.get("q", "").strip(), Filters(**chosen), min(max(page, 1), LAST_PAGE))

    @property
    def offset(self) -> int:
        return (self.page - 1) * PER_PAGE

    @property
    def chosen(self) -> dict[Facet, str]:
        return {name: value for name in FACETS if (value := getattr(self.filters, name))}


def _exists(facet: Facet, value: str | None) -> bool:
    return value in TABLES[facet] or (facet == "listed" and value == "any")


@router.get("/search")
@door(who="anyone", limit="300/minute")
def search(request: Request, session: web.ReadingSession) -> Response:
    asked = Asked.of(request.query_params)
    if not asked.chosen and (code := _known_code(session, asked.text)):
        return RedirectResponse(f"/entities/{code}", status_code=303)
    try:
        found = results.find(session, asked.text, asked.filters, limit=PER_PAGE, offset=asked.offset)
    except Refused as refusal:
        problem = web.problem(refusal)
        return web.page(request, "search/search.html", status=refusal.status, asked=asked, refused=problem, found=None)
    lines = [hits.line(one, asked.text) for one in found.found]
    facets = {name: _ordered(found.facets.get(name, {}), getattr(asked.filters, name)) for name in FACETS}
    return web.page(
        request,
        "search/search.html",
        asked=asked,
        refused=None,
        found=found,
        lines=lines,
        facets=facets,
        first=asked.offset + 1,
    )


def _known_code(session: Session, text: str) -> str | None:
    """The code that `text` is, if it is one that the register holds: then there is nothing to choose from."""
    code = codes.normalise(text)
    return code if code and entities.by_codes(session, [code]) else None


def _ordered(counts: object, chosen: str | None) -> list[tuple[str, int]]:
    """A facet's values, most frequent first, the chosen one always among them."""
    known = dict(counts)  # type: ignore[call-overload]
    if chosen:
        known.setdefault(chosen, 0)
    return sorted(((value, count) for value, count in known.items() if value), key=lambda item: (-item[1], item[0]))
