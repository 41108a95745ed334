"""How one hit is shown: which of its names and what in them answers the query."""

from collections.abc import Sequence
from dataclasses import dataclass

from record.listed import Listed
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
    """The former name that answers the query, when it is what matched or the present one does not show why."""
    address: Segments | None
    """The address as the public may see it, when it is what matched."""


def line(found: Found, query: str) -> Line:
    """The line for one hit of `query`."""
    entity, match = found.entity, found.match
    if match == "code" or not query:
        return Line(entity, match, [(entity.name, False)], None, None)
    if match == "address":
        address = text.highlight(entity.address, query) if entity.address else None
        return Line(entity, match, [(entity.name, False)], None, address)
    name = text.highlight(entity.name, query)
    if match == "former_name" or not _marked_length(name):
        return Line(entity, match, name, _former_name(entity, query), None)
    return Line(entity, match, name, None, None)


def _former_name(entity: Listed, query: str) -> Segments | None:
    """The former name that answers best, the newest of several; None when none does."""
    names = [text.highlight(name, query) for name in reversed(entity.former_names)]
    best = max(names, key=_marked_length, default=None)
    return best if best and _marked_length(best) else None


def _marked_length(segments: Segments) -> int:
    return sum(len(piece) for piece, marked in segments if marked)
