"""What an area of the house brings to the whole: listed by `app`, `worker`, `cli` and `pages`, and by nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class Area:
    """One area's contributions. Its `tasks` module registers its jobs when the area is imported."""

    name: str
    pages: Sequence[APIRouter] = field(default_factory=tuple)
    """Routers of public HTML pages, mounted at the root."""
    api: Sequence[APIRouter] = field(default_factory=tuple)
    """Routers of the JSON API, mounted below /api/v1."""
    warm: Callable[[], None] | None = None
    """Gets ready what the first visitor would otherwise wait for; runs in a thread of its own after the start."""
