"""What a Meilisearch index holds of one entity, and how the index is set up.

The pieces of a name are arrays of strings that are filtered by equality, which neither the server's segmentation of
Chinese nor its ranking has a say in. Full text is used for one thing: codes with an error that no check digit mends.
"""

import hashlib
import json
from itertools import pairwise
from typing import Any

from search import text
from search.cards import FACETS, LONGEST, SHOWN_FORMER_NAMES, cleaned, facet_key, rank
from search.documents import EntityDocument
from search.engine import MAX_HITS
from search.steps import code_starts

VERSION = 1
"""To be raised whenever attributes or settings change: an index of another version counts as lost."""

EVERY = "every"
"""An attribute with one value, that all documents have: its facet counts exactly what `estimatedTotalHits` caps."""

ATTRIBUTES = {
    "code": "codes",
    "name": "name_keys",
    **{field: field for field in ("characters", "skips", "sounds", "initials", "start", "address", "is")},
}
"""The attribute in which the terms of a field stand (`search.repairs.Term`)."""

SORT = ["place:asc", "code:asc"]
SHOWN = ["code", "names", "facets"]

SETTINGS: dict[str, Any] = {
    "searchableAttributes": ["code"],
    "displayedAttributes": SHOWN,
    "filterableAttributes": [
        {
            "attributePatterns": [*ATTRIBUTES.values(), "code", *FACETS, EVERY],
            "features": {"facetSearch": False, "filter": {"equality": True, "comparison": False}},
        }
    ],
    "sortableAttributes": ["place", "code"],
    "rankingRules": ["words", "typo", "sort", "exactness"],
    "typoTolerance": {"enabled": True, "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 40}},
    "localizedAttributes": [{"attributePatterns": ["code"], "locales": ["eng"]}],
    "proximityPrecision": "byAttribute",
    "prefixSearch": "disabled",
    "facetSearch": False,
    "pagination": {"maxTotalHits": MAX_HITS},
    "faceting": {"maxValuesPerFacet": 300},
}
"""Of Meilisearch 1.15 and later; features by attribute and their cost are why it has to be so new."""


def line(document: EntityDocument) -> str:
    """One entity as a line of NDJSON. Pure: any process may make it."""
    code = document.code
    made: dict[str, list[str]] = {field: [] for field in ("characters", "skips", "sounds", "initials", "start")}
    folded = []
    for name in (document.name, *document.former_names):
        forms = text.forms(name)
        folded.append(forms.folded)
        for field in ("characters", "skips", "sounds"):
            made[field] += _twos(getattr(forms, field))
        made["initials"] += [way[at : at + 4] for way in forms.initials for at in range(len(way) - 3)]
        made["start"] += [way[:size] for way in forms.start for size in range(1, min(3, len(way)) + 1)]
    district = cleaned(document.district)
    kept: dict[str, Any] = {
        "code": code,
        "codes": [code, code[8:17]] if len(code) == 18 else [code],
        "names": folded[: 1 + SHOWN_FORMER_NAMES],
        "name_keys": [key_of(name) for name in folded],
        **{field: list(dict.fromkeys(terms)) for field, terms in made.items()},
        "address": _twos([text.place_of_business(document.address)] if document.address else []),
        "is": [*code_starts(code), *([f"district:{district}"] if district else [])],
        "facets": facet_key(document),
        "place": rank(document.status) * 100 + min(len(document.name), LONGEST),
        EVERY: "entity",
        **{name: plain(getattr(document, name)) for name in FACETS[:-1] if getattr(document, name)},
        "listed": [*map(plain, document.lists), "any"] if document.lists else [],
    }
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def _twos(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(one + other for each in texts for one, other in pairwise(each)))


def plain(value: str) -> str:
    """A facet's value without what a filter would have to escape."""
    return cleaned(value).replace('"', "").replace("\\", "")


def key_of(folded: str) -> str:
    """What a whole name is filtered by: Meilisearch leaves values of more than 468 bytes out."""
    return hashlib.sha256(folded.encode("utf-8", "replace")).hexdigest()[:32]
