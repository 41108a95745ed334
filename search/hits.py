"""How one hit is shown: which of its names and what in them answers the query."""

from collections.abc import Sequence
from dataclasses import dataclass

from record.entities import Listed
from search import text
from search.engine import Match
from search.results import Found

Segments = Sequence[tuple[str, bool]]
"""A text cut into pieces, each with whether it answers the query."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the results page."""

    entity: Listed
    match: Match
    name: Segments
    former_name: Segments | None
    """The former name that answers the query, when it is what matched."""
    address: Segments | None
    """The address as the public may see it, when it is what matched."""


def line(found: Found, query: str) -> Line:
    """The line for one hit of `query`."""
    entity, match = found.entity, found.match
    former = address = None
    if match == "former_name" and entity.former_names:
        former = max((text.highlight(name, query) for name in reversed(entity.former_names)), key=_marked_length)
    if match == "address":
        address = text.highlight(entity.address, query) if entity.address else None
    return Line(entity, match, _name(entity.name, query, match), former, address)


def _name(name: str, query: str, match: Match) -> Segments:
    if match in ("code", "address") or not query:
        return [(name, False)]
    return text.highlight(name, query)


def _marked_length(segments: Segments) -> int:
    return sum(len(piece) for piece, marked in segments if marked)
