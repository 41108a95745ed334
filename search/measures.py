"""What search measures for whoever keeps the portal running: whether it answers, and what its index lacks."""

import time
from collections.abc import Sequence

from sqlalchemy.orm import Session

from portal.kit.measured import Measure
from record import entities
from search import engine
from search.engine import EngineUnavailable, SearchEngine

COUNTED_EVERY_SECONDS = 300.0
"""Counting millions takes a second, so the register is counted that seldom."""


class _Kept:
    of: SearchEngine | None = None
    until = float("-inf")
    registered = 0


def of(session: Session) -> Sequence[Measure]:
    """Whether the engine is away, and how many entities are registered and not in the index."""
    asked = engine.current()
    if time.monotonic() >= _Kept.until or _Kept.of is not asked:
        _Kept.registered, _Kept.until = entities.count(session), time.monotonic() + COUNTED_EVERY_SECONDS
        _Kept.of = asked
    try:
        indexed = asked.count()
    except EngineUnavailable:
        indexed = 0
    away = _Kept.registered > 0 and not indexed
    missing = max(0, _Kept.registered - indexed)
    return [
        Measure("search_away", "1 while search by name cannot answer.", away),
        Measure("index_missing_entities", "Registered entities that the index lacks.", missing),
    ]
