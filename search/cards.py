"""What a hit says of itself, whichever engine found it: its rank, its names, and what it is counted by."""

import re
from collections import Counter
from dataclasses import dataclass, fields
from functools import lru_cache

from search.documents import EntityDocument
from search.engine import Facet, Filters

FACETS: tuple[Facet, ...] = ("district", "industry", "type", "status", "listed")
SHOWN_FORMER_NAMES = 5
LONGEST = 99
"""Longer names are as far behind as this."""

_ORDER = {"active": 0, "": 1, "suspended": 2, "moved_out": 3}
_GONE = 4
_BREAKS = re.compile(r"[\s|]+")

Counts = dict[Facet, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Card:
    """A hit as an engine keeps it."""

    code: str
    facets: str
    """Its facet key, see `facet_key`."""
    names: list[str]
    """Folded; the present name first."""


def rank(status: str) -> int:
    """What still exists stands before what is struck off: 0 to 4."""
    return _ORDER.get(status, _GONE)


def cleaned(value: str) -> str:
    """A facet's value without what would break a key."""
    return _BREAKS.sub("", value)


def facet_key(document: EntityDocument) -> str:
    """What a hit is counted by, as one value: `310115|F|limited_company|active|abnormal_listing`."""
    values = (document.district, document.industry, document.type, document.status, ",".join(document.lists))
    return "|".join(map(cleaned, values))


@lru_cache(maxsize=20_000)
def values_of(key: str) -> dict[Facet, tuple[str, ...]]:
    """The values that a facet key stands for."""
    district, industry, type_, status, listed = key.split("|")
    lists = tuple(listed.split(",")) if listed else ()
    return {
        "district": (district,),
        "industry": (industry,),
        "type": (type_,),
        "status": (status,),
        "listed": (*lists, "any") if lists else (),
    }


def _passes(values: dict[Facet, tuple[str, ...]], filters: Filters, left_out: Facet | None) -> bool:
    for name in FACETS:
        wanted = getattr(filters, name)
        if name != left_out and wanted is not None and wanted not in values[name]:
            return False
    return True


def tally(keys: Counter[str], filters: Filters) -> tuple[int, Counts]:
    """How many are let through, and the counts by value, each facet's own filter left out of its counts."""
    total = 0
    counts: Counts = {name: {} for name in FACETS}
    chosen = [name for name in FACETS if getattr(filters, name) is not None]
    for key, number in keys.items():
        values = values_of(key)
        through = _passes(values, filters, None)
        total += number if through else 0
        for name in FACETS:
            if through or (name in chosen and _passes(values, filters, name)):
                into = counts[name]
                for value in values[name]:
                    if value:
                        into[value] = into.get(value, 0) + number
    return total, counts


assert [field.name for field in fields(Filters)] == list(FACETS)
