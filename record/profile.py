"""An entity's file (一户一档) as its page shows it: what the register says, put in the order people ask for it."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine, and_, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from portal.kit import db
from record import codes, entities, listed, publication
from record.models import Entity, FormerName
from record.publication import Part, Published

_OPENING, _CLOSING = "（([【〔「", "）)]】〕」"
_HEADING = re.compile(r"(许可(?:经营)?项目|一般(?:经营)?项目)\s*[：:]")
_NOTE = re.compile(r"【[^】]*】|[（(]\s*除?依法须经批准的项目[^（）()]*[）)]")
"""The registry's standing sentences about activities that need a permit."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScopePart:
    """Items of a business scope under one heading (许可项目, 一般项目), or under none."""

    heading: str | None
    items: Sequence[str]
    note: str | None
    """The registry's standing sentence about activities that need a permit."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A business scope (经营范围), divided only where the registry's own text ends a sentence or an item."""

    parts: Sequence[ScopePart]
    cut_off: bool
    """The text ends in dots: the register that sent it had cut it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One entity's file."""

    entity: Entity
    address: str | None
    """As it may be shown to the public."""
    former_names: Sequence[FormerName]
    """Newest first."""
    scope: Scope | None
    as_received: Mapping[str, str]
    made_up: bool
    record: Sequence[Part]
    """The supervision record by kind."""
    latest: Sequence[Published]
    """What happened last, of every kind, the latest day first."""

    @property
    def address_is_shortened(self) -> bool:
        """The operator of an individual business may live there, so the street number is left out."""
        return self.address is not None and codes.is_individual(self.entity.code)


def read(session: Session, code: str) -> Profile:
    """The file of the entity with this code, in any spelling. Raises entities.EntityNotFound."""
    entity = entities.get(session, code)
    received = {key: str(value) for key, value in (entity.as_received or {}).items() if str(value).strip()}
    return Profile(
        entity=entity,
        address=listed.public_address(entity.code, entity.address),
        former_names=list(reversed(entity.former_names)),
        scope=parse_scope(entity.scope) if entity.scope else None,
        as_received=received,
        made_up=entity.source == "demo",
        record=publication.parts(session, entity.code),
        latest=publication.latest(session, entity.code),
    )


def parse_scope(text: str) -> Scope:
    """Divide a business scope for reading.

    Commas stay: in `A，B，C的销售` the last words speak for all three. `；` and `。` divide, except inside brackets.
    """
    text = text.strip()
    pieces = _HEADING.split(text)
    headed: list[tuple[str | None, str]] = [(None, pieces[0]), *zip(pieces[1::2], pieces[2::2], strict=True)]
    parts = [_scope_part(heading, piece) for heading, piece in headed if piece.strip()]
    return Scope(parts, cut_off=text.endswith(("...", "…")))


def _scope_part(heading: str | None, text: str) -> ScopePart:
    notes = [found.strip("【】（）() 。.") for found in _NOTE.findall(text)]
    return ScopePart(heading, list(_sentences(_NOTE.sub("", text))), "。".join(notes) or None)


def _sentences(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(0, depth - 1)
        elif character in "；;。" and depth == 0:
            yield from _stripped(text[start:at])
            start = at + 1
    yield from _stripped(text[start:])


def _stripped(text: str) -> Iterator[str]:
    text = text.strip(" \t\r\n　，,；;。")
    if text:
        yield text


# ---- whether anything here is made up -------------------------------------------------------------------------------

MADE_UP_KEPT_SECONDS = 10.0


class _MadeUp:
    """What was last seen, and in which database."""

    until = float("-inf")
    database: Engine | None = None
    seen = False


def made_up_data() -> bool:
    """Whether the register holds made-up entities. Asked by every page, so it is remembered for ten seconds."""
    database = db.reading_engine()
    if time.monotonic() >= _MadeUp.until or _MadeUp.database is not database:
        try:
            with db.reading() as session:
                _MadeUp.seen = has_made_up(session)
        except SQLAlchemyError:
            log.warning("profile.register_away")
        _MadeUp.until, _MadeUp.database = time.monotonic() + MADE_UP_KEPT_SECONDS, database
    return _MadeUp.seen


def has_made_up(session: Session) -> bool:
    """Whether a code of the made-up division is registered: a handful of look-ups in the primary key's order."""
    prefixes = [f"{head}{codes.DEMO_DIVISION}" for head in ("91", "92", "93")]
    ranges = [and_(Entity.code >= prefix, Entity.code < f"{prefix}~") for prefix in prefixes]
    return session.scalar(select(Entity.code).where(or_(*ranges), Entity.source == "demo").limit(1)) is not None
