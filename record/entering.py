"""Records that an officer types in, for departments that have no system of their own (监管通用模块).

What is typed is checked as a feed's row is, shown as the public will see it, and then published under the department's
name. A document that was entered stays one entry: the same again changes nothing, and a correction supersedes.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db, keyring
from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from record import (
    acts,
    codes,
    decisions,
    entities,
    feed_columns,
    feed_rows,
    feeds,
    kinds,
    ledger,
    masking,
    names,
    publication,
)
from record.feed_rows import FeedRow
from record.ledger import Fact
from record.models import Entity, LedgerEntry
from record.publication import Published

MAX_SOURCE = 64
PARTY, DAY, REASON = "party", "occurred_on", "reason"
SHORTEST_REASON = 5
_NOT_TYPED = ("party_name", "reported_by", "reported_by_code")
"""The party is chosen from the register, and the officer's department reports."""
_NOBODY = "未定"
"""Stands in the party's place while it is not known, so that everything else can be checked."""
_LIKE_A_CODE = re.compile(r"[0-9A-Za-z ]{12,24}", re.ASCII)
_TWINS = 200
"""Entries of one department about one entity that are looked through for the same document."""

Typed = Mapping[str, str]
"""What stands in the form, by field; `party` is a code or an exact name, `reason` why an entry is corrected."""


class EntryRefused(PortalError):
    status = 422
    slug = "entry-refused"
    title = "This cannot be entered as it stands."
    remedy = "Correct what is marked below. Nothing that you typed is lost."

    def __init__(self, faults: Mapping[str, str | PortalError] | None = None, *, number: int | None = None) -> None:
        super().__init__(number=number)
        self.faults = faults or {}
        """Field and what is wrong with it: one of feeds.REASONS, or why the party cannot be it."""


class NameUnknown(PortalError):
    status = 422
    slug = "name-unknown"
    title = "No entity of exactly this name is registered here."
    remedy = "Look it up with the search, and enter its credit code."


class NameShared(PortalError):
    status = 422
    slug = "name-shared"
    title = "Several entities bear this name, or bore it before."
    remedy = "Enter the code of the one that is meant: %(codes)s."


class EnteredBefore(EntryRefused):
    status = 409
    slug = "entered-before"
    title = "Your department has entered this document for this entity before: entry %(number)s."
    remedy = "Correct that entry instead of entering the document again."


class EntryChanged(EntryRefused):
    status = 409
    slug = "entry-changed"
    title = "Somebody else has corrected this entry meanwhile."
    remedy = "Open it again, and see whether your correction is still wanted."


class EntryRedacted(EntryRefused):
    status = 409
    slug = "entry-redacted"
    title = "This record was redacted by law and cannot be entered again."
    remedy = "If it should stand after all, ask whoever granted the redaction."


class NothingToCorrect(PortalError):
    status = 404
    slug = "nothing-to-correct"
    title = "Your department has entered nothing that is shown under this number."
    remedy = "Look the entity up. What another department entered, that department corrects."


# ---- the form -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind's form."""

    name: str
    """As the payload calls it; `occurred_on` for the entry's day."""
    shape: Literal["line", "text", "day", "sum", "several", "choice"]
    most: int
    """Characters that may be typed."""
    required: bool
    choices: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def fields(kind: str) -> tuple[Field, ...]:
    """The fields of a kind's form, in its order: the document, what it decided, the rest."""
    model = kinds.KINDS[kind].payload
    schema = model.model_json_schema()
    needed = {*schema["required"], DAY} | ({"document"} if kind == "penalty" else set())
    own = [name for name in model.model_fields if name not in kinds.Payload.model_fields]
    order = ("document", DAY, "authority", *own, "authority_code", "remark")
    return tuple(_field(name, schema["properties"].get(name, {"format": "date"}), name in needed) for name in order)


def _field(name: str, stated: dict[str, Any], required: bool) -> Field:
    said = next((one for one in stated.get("anyOf", ()) if one.get("type") != "null"), stated)
    if said.get("type") == "array":
        return Field(name, "several", 1_000, required)
    if "enum" in said:
        return Field(name, "choice", 20, required, tuple(said["enum"]))
    if said.get("format") == "date":
        return Field(name, "day", 40, required)
    if name in ("fine", "confiscated"):
        return Field(name, "sum", 40, required)
    most = said.get("maxLength", 40)
    return Field(name, "text" if most > 200 else "line", most, required)


def source_of(officer: Officer) -> str:
    """Whose data it is that an officer enters: `department:` and its name, shortened where it is very long."""
    source = f"department:{officer.department}"
    if len(source) <= MAX_SOURCE:
        return source
    return f"{source[: MAX_SOURCE - 17]}~{hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}"


def typed_of(entry: LedgerEntry) -> dict[str, str]:
    """What the form holds when an entry is to be corrected."""
    said: Mapping[str, Any] = (entry.payload or {}) | {DAY: entry.occurred_on.isoformat() if entry.occurred_on else ""}
    typed = {field.name: said.get(field.name) or "" for field in fields(entry.kind)}
    return {PARTY: entry.entity_code or ""} | {
        name: "、".join(value) if isinstance(value, list) else str(value) for name, value in typed.items()
    }


# ---- checking -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A form that can be published."""

    entity: Entity
    fact: Fact
    shown: bool
    """Whether the public will see it at all."""

    def as_published(self) -> Published:
        """The entry as the public will see it. It has no number yet."""
        return Published(
            -1, "", self.fact.kind, self.entity.code, self.fact.source, _day(self.fact), db.now(),
            self.fact.payload, self.fact.shown_until, disputed=False,
        )  # fmt: skip


def check(session: Session, officer: Officer, kind: str, typed: Typed, *, base: int | None = None) -> Draft:
    """What a form comes to. `base`: number of the entry that it corrects, whose party stays.

    Raises EntryRefused, EnteredBefore, EntryChanged, NothingToCorrect, decisions.NotYourDistrict.
    """
    old = correctable(session, officer, base) if base is not None else None
    faults: dict[str, str | PortalError] = {}
    if old and len(typed.get(REASON, "").strip()) < SHORTEST_REASON:
        faults[REASON] = "text_missing"
    entity = None
    try:
        entity = entities.get(session, str(old.entity_code)) if old else _party(session, officer, typed.get(PARTY, ""))
    except PortalError as refusal:
        faults[PARTY] = refusal
    except feed_rows.Refused as refusal:
        faults[PARTY] = refusal.reason
    kept = {"party_name": entity.name if entity else _NOBODY, "reported_by": officer.department}
    row = _row(kind, typed, dict(old.payload or {}) if old else kept, faults)
    if entity is None or row is None:
        raise EntryRefused(faults)
    fact = _fact(officer, kind, entity, row)
    if old:
        fact = fact._replace(source_ref=str(old.source_ref))
    _refuse_twins(session, fact, old)
    return Draft(entity, fact, publication.would_show(session, fact))


def _party(session: Session, officer: Officer, typed: str) -> Entity:
    """The entity of a code or of an exact name. Raises PortalErrors, and Refused when nothing is typed."""
    wanted = typed.strip()
    if not wanted:
        raise feed_rows.Refused("text_missing", PARTY)
    if codes.normalise(wanted) or _LIKE_A_CODE.fullmatch(wanted):
        entity = entities.get(session, wanted)
    else:
        key = names.fold(wanted)[:300]
        found = sorted(entities.bearers(session, [key]).get(key, ()))
        if not found:
            raise NameUnknown
        if len(found) > 1:
            raise NameShared(codes=", ".join(found[:5]))
        entity = entities.get(session, found[0])
    decisions.reaches(session, officer, entity.code)
    return entity


def _row(kind: str, typed: Typed, kept: Mapping[str, Any], faults: dict[str, str | PortalError]) -> FeedRow | None:
    """The row that the form is, or None; adds to `faults` everything that one look can find."""
    cells = {field.name: typed.get(field.name, "").strip() for field in fields(kind)}
    instead = {field.name: _stand_in(field) for field in fields(kind)}
    missing = [field.name for field in fields(kind) if field.required and not cells[field.name]]
    faults |= dict.fromkeys(missing, "text_missing")
    cells |= {name: instead[name] for name in missing}
    cells |= {name: str(kept.get(name) or "") for name in _NOT_TYPED} | {"party_kind": "法人及非法人组织"}
    layout = feed_columns.layout_of(kind, list(cells))
    assert layout is not None
    row = None
    while row is None:
        try:
            row = feed_rows.clean(layout, list(cells.values()))
        except feed_rows.Refused as refusal:
            field = refusal.column or PARTY
            if field in faults:
                return None
            faults[field] = refusal.reason
            cells[field] = instead.get(field, "")
    if cells["authority_code"] and "authority_code" not in row.payload:
        faults["authority_code"] = "code_wrong"
    return None if faults else row


def _stand_in(field: Field) -> str:
    """What is checked in the place of what is missing or wrong, so that everything else that is wrong shows too."""
    if not field.required:
        return ""
    return field.choices[0] if field.choices else "1990-01-01" if field.shape == "day" else "未填"


def _fact(officer: Officer, kind: str, entity: Entity, row: FeedRow) -> Fact:
    stated = row._replace(party_code=entity.code, natural_person=False)
    return feeds.party_of(stated, kind, source_of(officer), keyring.secret("party-names")).fact


def _refuse_twins(session: Session, fact: Fact, old: LedgerEntry | None) -> None:
    """Raises EnteredBefore when another entry of the department's tells of the same document, and EntryChanged when
    the entry that is to be corrected was corrected otherwise."""
    current = select(LedgerEntry).where(
        LedgerEntry.entity_code == fact.entity_code,
        LedgerEntry.kind == fact.kind,
        LedgerEntry.source == fact.source,
        LedgerEntry.superseded_by.is_(None),
        LedgerEntry.payload.is_not(None),
    )
    for entry in session.scalars(current.order_by(LedgerEntry.seq.desc()).limit(_TWINS)):
        if entry.source_ref != fact.source_ref:
            if _is_about(entry.payload or {}, fact):
                raise EnteredBefore(number=entry.seq)
        elif old is None and not _says(entry, fact):
            raise EnteredBefore(number=entry.seq)
        elif old and entry.seq != old.seq and not _says(entry, fact):
            raise EntryChanged


def _is_about(said: Mapping[str, Any], fact: Fact) -> bool:
    """Whether it is the same document, and the same matter in it."""
    both = ("document", kinds.HEADLINES[fact.kind])
    return bool(said.get("document")) and all(said.get(name) == fact.payload.get(name) for name in both)


def _says(entry: LedgerEntry, fact: Fact) -> bool:
    return entry.payload == fact.payload and entry.occurred_on == _day(fact)


def _day(fact: Fact) -> date | None:
    return date.fromisoformat(fact.occurred_on) if fact.occurred_on else None


# ---- publishing -----------------------------------------------------------------------------------------------------


def publish(session: Session, officer: Officer, kind: str, typed: Typed, *, base: int | None = None) -> int:
    """Append what a form says, and who entered it. Returns the entry's number, the earlier one when it says the same.

    Comes last in its transaction. Raises what `check` does, EntryChanged, EntryRedacted.
    """
    draft = check(session, officer, kind, typed, base=base)
    party = feeds.Party(draft.fact, draft.entity.name, ledger.seal(draft.fact)[1:])
    appended, _ = feeds.store(session, [party])
    if appended.redacted:
        raise EntryRedacted
    if not appended.seqs:
        return _standing(session, draft.fact).seq
    entry = session.get_one(LedgerEntry, appended.seqs[0])
    before = (
        session.get(LedgerEntry, entry.supersedes, populate_existing=True) if entry.supersedes is not None else None
    )
    if base is None and before:
        raise EnteredBefore(number=before.seq)
    if base is not None and (before is None or before.seq != base or before.withdrawn_by is not None):
        raise EntryChanged
    reason = masking.masked(typed[REASON].strip()) if before else None
    acts.keep(
        session, "correct" if before else "enter", about=entry.id, by=officer, reason=reason,
        entity_code=entry.entity_code,
    )  # fmt: skip
    return entry.seq


def _standing(session: Session, fact: Fact) -> LedgerEntry:
    return session.scalars(
        select(LedgerEntry).where(
            LedgerEntry.kind == fact.kind,
            LedgerEntry.source == fact.source,
            LedgerEntry.source_ref == fact.source_ref,
            LedgerEntry.superseded_by.is_(None),
        )
    ).one()


def own(session: Session, officer: Officer, seq: int) -> LedgerEntry:
    """An entry of the officer's own department, as it stood under this number. Raises NothingToCorrect,
    decisions.NotYourDistrict."""
    entry = session.get(LedgerEntry, seq)
    if entry is None or entry.source != source_of(officer) or entry.payload is None or entry.visibility != "public":
        raise NothingToCorrect
    if entry.entity_code is None:
        raise NothingToCorrect
    decisions.reaches(session, officer, entry.entity_code)
    return entry


def correctable(session: Session, officer: Officer, seq: int) -> LedgerEntry:
    """An entry of the officer's own department that was not withdrawn. Raises as `own` does."""
    entry = own(session, officer, seq)
    if entry.withdrawn_by is not None:
        raise NothingToCorrect
    return entry
