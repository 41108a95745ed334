"""What the register holds, at a glance: how many entities, how many in each district, and what one could type."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy.orm import Session

from record import entities, names
from record.entities import Listed
from search import engine, pinyin
from search.engine import EngineUnavailable, Filters

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

    @property
    def most(self) -> int:
        return max((count for _, count in self.districts), default=0)


class _Kept:
    lock = threading.Lock()
    until = float("-inf")
    overview: Overview | None = None


def forget() -> None:
    """Ask the engine again next time."""
    _Kept.until = float("-inf")


def read(session: Session) -> Overview | None:
    """The overview, at most a minute old; None while the engine is away."""
    if time.monotonic() < _Kept.until:
        return _Kept.overview
    with _Kept.lock:
        if time.monotonic() >= _Kept.until:
            try:
                _Kept.overview = _take(session)
            except EngineUnavailable:
                log.warning("search.engine_away")
                return None
            _Kept.until = time.monotonic() + (KEPT_SECONDS if _Kept.overview.total else 1.0)
        return _Kept.overview


def _take(session: Session) -> Overview:
    page = engine.current().search("", Filters(), limit=_LOOKED_AT)
    districts = sorted(page.facets.get("district", {}).items(), key=lambda item: (-item[1], item[0]))
    found = entities.by_codes(session, [hit.code for hit in page.hits])
    return Overview(page.total, [item for item in districts if item[0]], _examples(found))


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
