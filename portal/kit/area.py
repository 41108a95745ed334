"""What an area of the house brings to the whole: listed by `app`, `worker`, `cli` and `pages`, and by nothing else."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from portal.kit.measured import Measure


@dataclass(frozen=True, slots=True)
class Queue:
    """Work that waits for an officer: one line on the desk. Texts are in the officer's language."""

    title: str
    href: str
    waiting: int
    overdue: int = 0
    """How many of those that wait are past their day."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number on the desk, with what it counts."""

    title: str
    value: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh something is that programs take: what it is, when it last changed, how often it does."""

    title: str
    at: datetime | None
    rhythm: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A section that an area adds to an entity's page: a template, and what it needs."""

    template: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Area:
    """One area's contributions. Its `tasks` module registers its jobs when the area is imported."""

    name: str
    pages: Sequence[APIRouter] = field(default_factory=tuple)
    """Routers of public HTML pages, mounted at the root."""
    api: Sequence[APIRouter] = field(default_factory=tuple)
    """Routers of the JSON API, mounted below /api/v1."""
    government_api: Sequence[APIRouter] = field(default_factory=tuple)
    """As `api`, for systems of the government network: not on the public side."""
    desk: Sequence[APIRouter] = field(default_factory=tuple)
    """Routers of officers' pages, mounted at the root; every path begins with /desk/ and every door says `officer`."""
    queues: Callable[[Session, Officer], Sequence[Queue]] | None = None
    """What waits for this officer, as far as their roles reach."""
    figures: Callable[[Session, Officer], Sequence[Figure]] | None = None
    """Numbers that this officer's desk shows."""
    panels: Callable[[Session, str], Sequence[Panel]] | None = None
    """Sections about the entity with this code."""
    panelled_kinds: Sequence[str] = field(default_factory=tuple)
    """Kinds of entries that the panels show, so that the page need not show them twice."""
    freshness: Callable[[Session], Sequence[Freshness]] | None = None
    """How fresh what the area publishes is, in the reader's language."""
    measures: Callable[[Session], Sequence[Measure]] | None = None
    """Figures for whoever keeps the portal running; a few look-ups in indexes, at most every fifteen seconds."""
    described: Callable[[], Mapping[str, Any]] | None = None
    """Paths outside /api/v1 that programs ask, as OpenAPI 3.1 has them."""
    running: Callable[[], AbstractContextManager[None]] | None = None
    """What goes on in a web process for as long as it serves."""
    warm: Callable[[], None] | None = None
    """Gets ready what the first visitor would otherwise wait for; runs in a thread of its own after the start."""
