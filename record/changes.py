"""Rows of a registry file against what the register holds: what is new, what differs, what became of a name."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Table, insert, select, type_coerce, update
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from record import columns, names
from record.cleaning import CleanRow
from record.columns import Layout
from record.models import Entity, FormerName

_TABLE = cast(Table, Entity.__table__)
_STORED = [
    type_coerce(_TABLE.c.capital_amount, BigInteger).label("capital_amount")
    if name == "capital_amount"
    else _TABLE.c[name]
    for name in CleanRow._fields
]
_CODES_AT_ONCE = 500
# Facts of a file -> the columns that they decide.
_DECIDES = {
    "established_on": ("established_on",),
    "capital": ("capital_amount", "capital_currency"),
    "scope": ("scope",),
    "address": ("address",),
    "status": ("status",),
    "type": ("type", "type_text"),
    "industry": ("industry", "industry_division", "industry_source"),
}
_NAMED_BY_TRADE = ("industry", "industry_division", "industry_source")


@dataclass(slots=True)
class Outcome:
    """What a piece of a file comes to."""

    added: list[CleanRow] = field(default_factory=list)
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Code -> the columns that differ, with their new values."""
    before: dict[str, CleanRow] = field(default_factory=dict)
    """Code -> what the register held, of those that differ."""
    unchanged: int = 0
    repeated: list[int] = field(default_factory=list)
    """Indexes of rows whose code came before in the same file with other content."""
    former: dict[str, list[str]] = field(default_factory=dict)
    """Code -> names it bore before that the register does not know yet, oldest first."""
    renamed: set[str] = field(default_factory=set)
    """Codes whose last former name ended with this file."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.added or self.changed or self.former)

    @property
    def touched(self) -> list[str]:
        """Codes of all entities that are new or differ, in the file's order."""
        return list(dict.fromkeys([*(row.code for row in self.added), *self.changed, *self.former]))


@dataclass(slots=True)
class Seen:
    """Which codes a file has brought so far, to tell a repetition from a change."""

    moment: datetime
    """The import's `started_at`: what it wrote bears this stamp, also when an earlier, killed run of it wrote it."""
    hashes: set[int] = field(default_factory=set)
    """Of every code met in this run. Hashes take half the memory; that two of three million fall together and one of
    them differs from the register as well is a chance of one in a million million."""

    def add(self, code: str) -> None:
        self.hashes.add(hash(code))

    def before(self, code: str, changed_at: datetime | None) -> bool:
        return changed_at == self.moment or hash(code) in self.hashes


def compare(
    session: Session, layout: Layout, rows: Iterable[Sequence[Any]], former: dict[str, list[str]], seen: Seen
) -> Outcome:
    """What these rows of one file change. Nothing is stored, and `seen` is left as it is.

    Only what the file has a column for is compared: a file of names and states does not empty the addresses.
    """
    cleaned = [CleanRow._make(row) for row in rows]
    stored, stamps = _stored(session, [row.code for row in cleaned])
    here: set[str] = set()
    outcome = Outcome()
    for index, row in enumerate(cleaned):
        known = stored.get(row.code)
        if known is None:
            outcome.added.append(row)
            stored[row.code] = row
        elif different := _differences(layout, known, row):
            if row.code in here or seen.before(row.code, stamps.get(row.code)):
                outcome.repeated.append(index)
                continue
            outcome.changed[row.code] = different
            outcome.before[row.code] = known
            stored[row.code] = known._replace(**different)
            if "name_key" in different:
                outcome.renamed.add(row.code)
                outcome.former[row.code] = [known.name]
        else:
            outcome.unchanged += 1
        here.add(row.code)
        if row.code in former:
            outcome.former[row.code] = [*former[row.code], *outcome.former.get(row.code, [])]
    _drop_known_names(session, outcome)
    changed_anyway = sum(code not in outcome.changed for code in outcome.former if code not in _codes(outcome.added))
    outcome.unchanged -= changed_anyway
    return outcome


def _codes(rows: list[CleanRow]) -> set[str]:
    return {row.code for row in rows}


def _stored(session: Session, codes: list[str]) -> tuple[dict[str, CleanRow], dict[str, datetime]]:
    stored, stamps = {}, {}
    for start in range(0, len(codes), _CODES_AT_ONCE):
        chosen = select(*_STORED, _TABLE.c.changed_at).where(_TABLE.c.code.in_(codes[start : start + _CODES_AT_ONCE]))
        for *values, changed_at in session.execute(chosen):
            row = CleanRow._make(values)
            day, received = values[_DAY], values[_RECEIVED]
            stored[row.code] = row._replace(
                established_on=day.isoformat() if day else None,
                as_received=json.dumps(received, ensure_ascii=False, sort_keys=True) if received else None,
            )
            stamps[row.code] = changed_at
    return stored, stamps


_DAY = CleanRow._fields.index("established_on")
_RECEIVED = CleanRow._fields.index("as_received")


def _differences(layout: Layout, known: CleanRow, row: CleanRow) -> dict[str, Any]:
    if known == row:
        return {}
    facts = layout.facts
    compared = ["name", "name_key"]
    for fact, decided in _DECIDES.items():
        if fact in facts:
            compared += decided
    if "district" in facts or "address" in facts:
        compared.append("district")
    if "industry" not in facts and known.industry_source != "registered":
        compared += _NAMED_BY_TRADE
    if "type" not in facts and known.type_text is None:
        compared.append("type")
    different = {column: getattr(row, column) for column in compared if getattr(known, column) != getattr(row, column)}
    received = _received(layout, known, row)
    if received != known.as_received:
        different["as_received"] = received
    return different


def _received(layout: Layout, known: CleanRow, row: CleanRow) -> str | None:
    """What other files left uninterpreted stays; this file's own columns are replaced."""
    if known.as_received == row.as_received or not known.as_received:
        return row.as_received
    headers = set(map(columns.title, layout.header))
    kept = {header: value for header, value in json.loads(known.as_received).items() if header not in headers}
    kept |= json.loads(row.as_received or "{}")
    return json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else None


def _drop_known_names(session: Session, outcome: Outcome) -> None:
    """Leave in `outcome.former` only names that the register has not recorded for that entity."""
    if not outcome.former:
        return
    codes = list(outcome.former)
    recorded: dict[str, set[str]] = {}
    for start in range(0, len(codes), _CODES_AT_ONCE):
        piece = codes[start : start + _CODES_AT_ONCE]
        chosen = select(FormerName.entity_code, FormerName.name_key).where(FormerName.entity_code.in_(piece))
        for code, key in session.execute(chosen):
            recorded.setdefault(code, set()).add(key)
    for code in codes:
        fresh = {names.fold(name): name for name in outcome.former[code]}
        left = [name for key, name in fresh.items() if key not in recorded.get(code, set())]
        if left:
            outcome.former[code] = left
        else:
            del outcome.former[code]


# ---- storing --------------------------------------------------------------------------------------------------------


def store(session: Session, outcome: Outcome, moment: datetime, on: date) -> None:
    """Write an outcome: new entities, differences, former names. `on`: the day that ended a replaced name."""
    if outcome.added:
        session.execute(insert(Entity), [_new(row, moment) for row in outcome.added])
    for code, different in outcome.changed.items():
        session.execute(update(_TABLE).where(_TABLE.c.code == code).values(**_values(different), changed_at=moment))
    for code, older in outcome.former.items():
        if code not in outcome.changed:
            session.execute(update(_TABLE).where(_TABLE.c.code == code).values(changed_at=moment))
        for name in older:
            ended = on if code in outcome.renamed and name is older[-1] else None
            session.add(FormerName(entity_code=code, name=name, name_key=names.fold(name), until=ended))
    session.flush()


def _new(row: CleanRow, moment: datetime) -> dict[str, Any]:
    return {**_values(row._asdict()), "flags": [], "source": "registry", "changed_at": moment}


def _values(columns: dict[str, Any]) -> dict[str, Any]:
    """Values as they are stored -> as the mapped columns take them."""
    values = dict(columns)
    if values.get("established_on"):
        values["established_on"] = date.fromisoformat(values["established_on"])
    if values.get("capital_amount") is not None:
        values["capital_amount"] = Decimal(values["capital_amount"]).scaleb(-2)
    if values.get("as_received"):
        values["as_received"] = json.loads(values["as_received"])
    return values
