"""Rows that name an entity without its code: whom they may mean, for a person to choose from."""

from collections.abc import Sequence
from typing import Any

from partners.staging import Staged
from portal.kit import db
from record import entities, names
from search import engine
from search.engine import EngineUnavailable, Filters
from search.query import Refused

MOST_CANDIDATES = 3
MOST_SEARCHES = 2_000
"""Names of one batch that are searched for; of the others only those of the very same spelling are offered."""


def candidates(rows: Sequence[Staged]) -> list[list[dict[str, Any]]]:
    """For each row up to three likely entities, the best first: `code`, `name`, `score` from 0 to 1, `exact`."""
    wanted = list(dict.fromkeys(row.name for row in rows))
    found: dict[str, list[dict[str, Any]]] = {}
    searches = 0
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        same = _same(part)
        for name in part:
            codes = same.get(name, [])[:MOST_CANDIDATES]
            if not codes and searches < MOST_SEARCHES:
                searches += 1
                codes = _like(name)
            found[name] = _scored(name, codes)
    return [found[row.name] for row in rows]


def _same(part: Sequence[str]) -> dict[str, list[str]]:
    """By the register itself, so that it is right even when no engine answers."""
    folded = {names.fold(name): name for name in part}
    with db.reading() as session:
        bearers = entities.bearers(session, set(folded))
    return {name: sorted(bearers[names.fold(name)]) for name in part if names.fold(name) in bearers}


def _like(name: str) -> list[str]:
    try:
        return [hit.code for hit in engine.current().search(name, Filters(), limit=MOST_CANDIDATES).hits]
    except (EngineUnavailable, Refused):
        return []


def _scored(name: str, codes: Sequence[str]) -> list[dict[str, Any]]:
    from rapidfuzz import fuzz

    with db.reading() as session:
        known = {one.code: one for one in entities.by_codes(session, list(codes))}
    asked = names.fold(name)
    scored = []
    for code in codes:
        if code not in known:
            continue
        spellings = [names.fold(one) for one in (known[code].name, *known[code].former_names)]
        exact = asked in spellings
        score = 1.0 if exact else min(max(fuzz.ratio(asked, one) for one in spellings) / 100, 0.99)
        scored.append({"code": code, "name": known[code].name, "score": round(score, 2), "exact": exact})
    return scored
