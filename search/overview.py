"""What the register holds, at a glance: how many entities, how many in each district, and what one could type."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from sqlalchemy.orm import Session

from record import entities, names
from record.listed import Listed
from search import engine, pinyin, results
from search.engine import EngineUnavailable, Filters, Page, SearchEngine

KEPT_SECONDS = 60.0
_LOOKED_AT = 40

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Example:
    """Something that finds an entity of this register."""

    kind: Literal["name", "pinyin", "initials", "code"]
    words: str


@dataclass(frozen=True, slots=True)
class Overview:
    total: int
    districts: Sequence[tuple[str, int]]
    """Districts by their division, those with most entities first; entities without a district are left out."""
    examples: Sequence[Example]
    sample: Listed | None
    """Some entity of this register, for examples that work."""

    @property
    def most(self) -> int:
        return max((count for _, count in self.districts), default=0)


class _Kept:
    """One overview for all threads, of one engine."""

    lock = threading.Lock()
    until = float("-inf")
    engine: SearchEngine | None = None
    overview: Overview | None = None


def read(session: Session) -> Overview | None:
    """The overview, at most a minute old; None while the engine is away.

    Examples come a second later than the rest: the tables of pinyin are long, and the start page does not wait.
    """
    asked = engine.current()
    with _Kept.lock:
        if time.monotonic() >= _Kept.until or _Kept.engine is not asked:
            try:
                page = results.page_of(session, "", Filters(), limit=_LOOKED_AT)
            except EngineUnavailable:
                log.warning("search.engine_away")
                return None
            found = entities.by_codes(session, [hit.code for hit in page.hits])
            known = _Kept.overview.examples if _Kept.overview and _Kept.engine is asked else ()
            _Kept.engine, _Kept.overview = (
                asked,
                Overview(page.total, _districts(page), known, found[0] if found else None),
            )
            _Kept.until = time.monotonic() + (KEPT_SECONDS if page.total else 1.0)
            if found and not known:
                threading.Thread(target=_add_examples, args=(asked, found), daemon=True).start()
        return _Kept.overview


def _districts(page: Page) -> list[tuple[str, int]]:
    counts = page.facets.get("district", {}).items()
    return sorted(((code, count) for code, count in counts if code), key=lambda item: (-item[1], item[0]))


def _add_examples(asked: SearchEngine, found: Sequence[Listed]) -> None:
    examples = _examples(found)
    with _Kept.lock:
        if _Kept.overview and _Kept.engine is asked:
            _Kept.overview = replace(_Kept.overview, examples=examples)


def _examples(found: Sequence[Listed]) -> Sequence[Example]:
    """One of each kind, each from another entity, of names whose brand is short and can be read aloud."""
    readings = pinyin.readings()
    named = [(entity.code, names.parts(entity.name)) for entity in found]
    short = [
        (code, parts.brand, parts.brand + parts.trade[:2])
        for code, parts in named
        if 2 <= len(parts.brand) <= 3 and all(character in readings for character in parts.brand + parts.trade[:2])
    ]
    if len(short) < 4:
        return []
    name, sounded, initialled, coded = (short[at * len(short) // 4] for at in range(4))
    return [
        Example("name", name[1]),
        Example("pinyin", "".join(readings[character][0] for character in sounded[1])),
        Example("initials", "".join(readings[character][0][0] for character in initialled[2])),
        Example("code", coded[0][:13]),
    ]
