"""Checking a list against the register (企业数据核查): each name or code with its best candidate."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rapidfuzz import fuzz
from sqlalchemy.orm import Session

from portal.kit.errors import PortalError
from record import codes, entities, names
from record.listed import Listed
from search import engine
from search.engine import EngineUnavailable, Filters
from search.query import Refused

MAX_ITEMS = 10_000
AT_ONCE = 2
"""Checks that one process works on at once: a long list must not keep people from searching."""

_places = threading.BoundedSemaphore(AT_ONCE)


class Busy(PortalError):
    status = 503
    slug = "busy"
    title = "Other long lists are being checked just now."
    remedy = "Send the same list again in half a minute."
    headers: ClassVar[dict[str, str]] = {"Retry-After": "30"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of the list. `score` runs from 0 to 1; `exact`: the same code, or the same name in any spelling."""

    query: str
    entity: Listed | None
    score: float
    exact: bool


def check(session: Session, queries: Sequence[str]) -> list[Checked]:
    """The best candidate for each name or code, in the order given. Raises Busy when others check long lists."""
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        return _check(session, queries)
    finally:
        _places.release()


def _check(session: Session, queries: Sequence[str]) -> list[Checked]:
    best = _best_codes(queries)
    found: dict[str, Listed] = {}
    wanted = sorted({code for code in best.values() if code})
    for start in range(0, len(wanted), 1_000):
        found.update((entity.code, entity) for entity in entities.by_codes(session, wanted[start : start + 1_000]))
    return [_score(query, found.get(best[query] or "")) for query in queries]


def _best_codes(queries: Sequence[str]) -> dict[str, str | None]:
    try:
        by_name = engine.current().exact(list(dict.fromkeys(queries)))
    except EngineUnavailable:
        by_name = {}
    return {query: _best_code(query, by_name.get(query, [])) for query in dict.fromkeys(queries)}


def _best_code(query: str, same_name: list[str]) -> str | None:
    code = codes.normalise(query)
    if code is not None:
        return code
    if same_name:
        return same_name[0]
    try:
        hits = engine.current().search(query, Filters(), limit=1).hits
    except (EngineUnavailable, Refused):
        return None
    return hits[0].code if hits else None


def _score(query: str, entity: Listed | None) -> Checked:
    if entity is None:
        return Checked(query, None, 0.0, exact=False)
    asked = names.fold(query)
    known = [names.fold(name) for name in (entity.name, *entity.former_names)]
    if codes.normalise(query) == entity.code or asked in known:
        return Checked(query, entity, 1.0, exact=True)
    score = max(fuzz.ratio(asked, name) for name in known) / 100
    return Checked(query, entity, round(min(score, 0.99), 2), exact=False)
