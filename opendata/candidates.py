"""Whom a name or a code may mean: entities with a score from 0 to 100, and what the score is made of.

    found = candidates.of(session, [Wanted("上海鑫诺照明电器有限公司", limit=5)])

Nothing is guessed: a candidate is `sure` only when it alone bears the very name or the code that was asked for, and no
property that was given with it says otherwise.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy.orm import Session

from record import codes, districts, entities, industries, names, values, wordings
from record.listed import Listed
from search import engine
from search.engine import EngineUnavailable, Filters, Match
from search.query import MAX_LENGTH, Refused

PROPERTIES = ("district", "industry", "type", "status", "address", "established_on")
"""What may be said of an entity beside its name; `Wanted.properties` holds what was, as it was written."""
AGREES, DIFFERS = 5, -10
"""What one property adds to a score, or takes from it."""
MOST_BEARERS = 50
"""Of entities of one name that are looked at; of the others nobody could choose."""

# A name found by its sound or by a part of a code has hardly a letter in common with what was typed.
_AT_LEAST: Mapping[Match, int] = {"code": 60, "pinyin": 60, "initials": 40, "address": 30}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One name or code, and what else is known of it."""

    text: str
    limit: int
    properties: Mapping[str, Sequence[str]] = field(default_factory=dict)
    types: frozenset[str] = frozenset()
    """The only types that count; empty: any."""
    only_same: bool = False
    """Where somebody bears the very name or code, nobody else is looked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    entity: Listed
    score: float
    sure: bool
    features: Mapping[str, bool | float]
    """What the score is made of, by name."""


def of(session: Session, asked: Sequence[Wanted]) -> list[list[Candidate]]:
    """For each the likeliest entities, the best first."""
    keys = {wanted.text: names.fold(wanted.text)[:300] for wanted in asked}
    bearers = entities.bearers(session, {key for key in keys.values() if key})
    hits = [_hits(wanted, bearers.get(keys[wanted.text], set())) for wanted in asked]
    known: dict[str, Listed] = {}
    every = list(dict.fromkeys(code for found in hits for code in found))
    for entity in entities.by_codes(session, every):
        known[entity.code] = entity
    return [
        _ranked(wanted, [(known[code], match) for code, match in found.items() if code in known], bearers)
        for wanted, found in zip(asked, hits, strict=True)
    ]


def _hits(wanted: Wanted, bearers: Collection[str]) -> dict[str, Match | None]:
    """Codes that may be meant, and why the engine found them. Without an engine, the register's own names and codes."""
    code = codes.normalise(wanted.text)
    found: dict[str, Match | None] = {code: None} if code else {}
    found |= dict.fromkeys(sorted(bearers)[:MOST_BEARERS])
    text, filters = wanted.text.strip(), _filters(wanted)
    if not text and wanted.properties.get("address"):
        text = wanted.properties["address"][0]
    if (found and wanted.only_same) or (not text and filters == Filters()):
        return found
    try:
        page = engine.current().search(text[:MAX_LENGTH], filters, limit=max(10, 2 * wanted.limit))
    except (EngineUnavailable, Refused):
        return found
    return {hit.code: hit.match for hit in page.hits} | found


def _filters(wanted: Wanted) -> Filters:
    """What only counts; for a question without a name also what else is known, for there is nothing else to find by."""
    kind = next(iter(wanted.types)) if len(wanted.types) == 1 else None
    if wanted.text.strip():
        return Filters(type=kind)
    said = {name: next(iter(_read(name, wanted.properties.get(name, ()))), None) for name in PROPERTIES[:4]}
    return Filters(said["district"], said["industry"], kind or said["type"], said["status"])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, read once for all who may be meant."""

    key: str
    code: str | None
    alone: bool
    """Exactly one entity bears or bore this name."""
    said: Mapping[str, Sequence[str]]


def _ranked(
    wanted: Wanted, found: Sequence[tuple[Listed, Match | None]], bearers: Mapping[str, set[str]]
) -> list[Candidate]:
    key = names.fold(wanted.text)
    said = {name: _read(name, wanted.properties[name]) for name in PROPERTIES if wanted.properties.get(name)}
    asked = _Asked(key, codes.normalise(wanted.text), len(bearers.get(key, ())) == 1, said)
    ranked = [
        _scored(asked, entity, match) for entity, match in found if not wanted.types or entity.type in wanted.types
    ]
    ranked.sort(key=lambda one: (-one.score, not one.sure, one.entity.code))
    return ranked[: wanted.limit]


def _scored(asked: _Asked, entity: Listed, match: Match | None) -> Candidate:
    features: dict[str, bool | float] = {}
    same_code, same_name, score = asked.code == entity.code, False, 50.0
    if same_code:
        features["same_code"], score = True, 100.0
    elif asked.key:
        alike = name_similarity(asked.key, entity)
        same_name = alike == 100.0
        features |= {"name_similarity": alike, "same_name": same_name}
        features["former_name"] = same_name and asked.key != names.fold(entity.name)
        score = 100.0 if same_name else min(max(alike, _AT_LEAST.get(match, 0) if match else 0), 99.0)
    agreeing = {
        name: agrees for name, said in asked.said.items() if (agrees := _agrees(entity, name, said)) is not None
    }
    score += sum(AGREES if agrees else DIFFERS for agrees in agreeing.values())
    sure = (same_code or (same_name and asked.alone)) and all(agreeing.values())
    return Candidate(entity, round(min(max(score, 0.0), 100.0), 1), sure, features | agreeing)


def name_similarity(key: str, entity: Listed) -> float:
    """How much of a folded name is like one that the entity bears or bore: 100 for the very same, less for others."""
    from rapidfuzz import fuzz

    spelt = [names.fold(name) for name in (entity.name, *entity.former_names)]
    return 100.0 if key in spelt else round(min(max(fuzz.ratio(key, name) for name in spelt), 99.9), 1)


# ---- properties -----------------------------------------------------------------------------------------------------


def _read(name: str, written: Sequence[str]) -> list[str]:
    """What was written, as the register writes it; what nobody understands is left out and says nothing."""
    read: dict[str, Callable[[str], str | None]] = {
        "district": districts.of_name,
        "industry": lambda text: industries.of_text(text)[0],
        "type": lambda text: _labelled(codes.ENTITY_TYPES, text) or wordings.entity_type(text),
        "status": lambda text: _labelled(codes.ENTITY_STATUSES, text) or wordings.entity_status(text),
        "address": lambda text: names.fold(text)[:500] or None,
        "established_on": lambda text: values.iso_date(text) or _part_of_day(text),
    }
    return [one for text in written if (one := read[name](text))]


def _labelled(labels: codes.Labels, text: str) -> str | None:
    """The code that is called so in either language, or is written itself."""
    wanted = text.strip().lower()
    return next((code for code, called in labels.items() if wanted in (code, *map(str.lower, called))), None)


def _part_of_day(text: str) -> str | None:
    """A year, or a year and a month: 2003, 2003-04."""
    year, _, month = text.strip().partition("-")
    whole = year.isascii() and year.isdigit() and len(year) == 4
    return text.strip() if whole and (not month or (month.isdigit() and len(month) == 2)) else None


def _agrees(entity: Listed, name: str, said: Sequence[str]) -> bool | None:
    """Whether the entity is what was said; None when either says nothing."""
    from rapidfuzz import fuzz

    held = getattr(entity, name)
    if held is None or not said:
        return None
    if name == "address":
        return max(fuzz.partial_ratio(names.fold(held), one) for one in said) >= 80
    if isinstance(held, date):
        return any(held.isoformat().startswith(one) for one in said)
    return held in said
