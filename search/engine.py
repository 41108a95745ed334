"""The one interface every search engine keeps, and the shapes that pass through it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from search.documents import EntityDocument

Match = Literal["code", "name", "former_name", "pinyin", "initials", "address", "similar"]
"""Why an entity was found. `similar`: the query was read with a character wrong, missing, extra or swapped."""

Facet = Literal["district", "industry", "type", "status", "listed"]

MAX_HITS = 1_000
"""Paging reaches this far; whoever wants all of it uses open data."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a result must also be. None means that it does not matter."""

    district: str | None = None
    industry: str | None = None
    type: str | None = None
    status: str | None = None
    listed: str | None = None
    """A list's name, or `any` for entities that stand on at least one."""


@dataclass(frozen=True, slots=True)
class Hit:
    code: str
    match: Match


@dataclass(frozen=True, slots=True)
class Page:
    """Hits `offset` to `offset + limit`, best first."""

    hits: Sequence[Hit]
    total: int
    """Entities that answer the query and the filters; exact while the query is answered as typed, for similar
    matches the number of candidates worth showing."""
    facets: dict[Facet, dict[str, int]] = field(default_factory=dict)
    """Counts by value over all matches. A facet's own filter is left out of its counts, so that one can switch."""
    more: bool = False
    """Whether a further page exists within MAX_HITS."""


class EngineUnavailable(Exception):
    """The engine cannot answer now. Callers say so, and look up codes in the register instead."""


class NoIndex(EngineUnavailable):
    """There is no index at all: nothing was registered yet, or the index was lost."""


class Filling(Protocol):
    """A new index while it is filled. No document may come twice."""

    @property
    def prepare(self) -> Callable[[EntityDocument], Any]:
        """A module's function that does most of the work and may run in any process: it gives lists and strings."""
        ...

    def add(self, prepared: Iterable[Any]) -> None:
        """Take in what `prepare` made."""
        ...


class SearchEngine(Protocol):
    """Finds entities by what people half remember of them."""

    def search(self, text: str, filters: Filters, *, limit: int, offset: int = 0) -> Page:
        """Best matches for `text` as a person typed it (any length up to search.query.MAX_LENGTH, any characters).

        An empty `text` lists everything that the filters let through.
        """
        ...

    def suggest(self, text: str, *, limit: int) -> list[str]:
        """Codes of the likeliest entities while somebody is typing `text`."""
        ...

    def exact(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Codes of the entities whose present or former name is the given one after folding, by name as given."""
        ...

    def write(self, documents: Iterable[EntityDocument], removed: Collection[str] = ()) -> None:
        """Add or replace the documents and drop the removed codes, in one commit that readers see soon."""
        ...

    def rebuild(self, documents: Iterable[EntityDocument]) -> int:
        """Build a new index beside the live one and switch to it at the end. Returns the number of documents."""
        ...

    def filling(self) -> AbstractContextManager[Filling]:
        """A new index that grows beside the live one, which it replaces when the block ends well."""
        ...

    def warm(self) -> None:
        """Get ready, so that the first person does not wait: for a thread of its own after the start."""
        ...

    def count(self) -> int:
        """Number of entities in the index."""
        ...


def folder() -> Path:
    """Where the embedded engine keeps its index: it can be made anew, so no backup needs it."""
    from portal.kit.settings import get_settings

    return get_settings().data_dir / "search"


@lru_cache(maxsize=1)
def current() -> SearchEngine:
    """The engine of this process, as the settings choose it."""
    from portal.kit.settings import get_settings

    settings = get_settings()
    if settings.search_url:
        from search.meili import MeiliEngine

        key = settings.search_key.get_secret_value() if settings.search_key else ""
        return MeiliEngine(
            settings.search_url, key, index=settings.search_index, timeout=settings.search_timeout_seconds
        )
    from search.embedded import EmbeddedEngine

    return EmbeddedEngine(folder())
