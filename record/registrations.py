"""What registry files bring into the ledger: an entry for each real difference, and one for a first load as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from record import ledger, masking
from record.changes import Outcome
from record.cleaning import CleanRow
from record.ledger import Fact, Sealed
from record.listed import public_address

SOURCE = "registry"
_TOLD = ("name", "type", "status", "established_on", "capital", "district", "industry", "address", "scope")
"""Columns that an entry tells of, in the order in which it does."""

Told = dict[str, str | None]


def entries(outcome: Outcome, number: int, on: date) -> Iterator[Sealed]:
    """An entry for every entity that a piece of a file added or changed. `number`: of the import."""
    for row in outcome.added:
        if fact := _fact(row.code, {}, _told(row), number, on):
            yield fact
    for code, different in outcome.changed.items():
        before = outcome.before[code]
        if fact := _fact(code, _told(before), _told(before._replace(**different)), number, on):
            yield fact


def _fact(code: str, before: Told, now: Told, number: int, on: date) -> Sealed | None:
    changed = {name: [before.get(name), now[name]] for name in _TOLD if before.get(name) != now[name]}
    if not changed:
        return None
    return ledger.seal(
        Fact("registration", SOURCE, f"{number}|{code}", {"changed": changed}, code, on.isoformat(), "public")
    )


def _told(row: CleanRow) -> Told:
    """A row as the public may see it."""
    told: Told = {name: getattr(row, name, None) for name in _TOLD}
    if row.capital_amount is not None:
        whole, cents = divmod(row.capital_amount, 100)
        told["capital"] = f"{whole}.{cents:02d} {row.capital_currency or ''}".rstrip()
    told["address"] = public_address(row.code, row.address)
    return {name: masking.masked(value) if value else None for name, value in told.items()}


def first_load(files: Sequence[Mapping[str, Any]]) -> Sealed:
    """The one entry of a first load: its files, by name, SHA-256 and rows. Kept for officers and for proof."""
    said = {"files": [dict(file) for file in files]}
    name = "first load|" + "|".join(str(file["sha256"]) for file in files)
    return ledger.seal(Fact("registration", SOURCE, name[:400], said, None, None, "internal"))
