"""What outside programs read of the supervision record: an entry, and a step of the ledger.

The API answers with these shapes and deliveries carry them. Fields may be added and are never renamed.
"""

from datetime import date
from typing import Any

from pydantic import BaseModel, Field

from portal.kit.shapes import Instant
from record.publication import Change, Published


class Entry(BaseModel):
    """One published fact of the supervision record."""

    seq: int = Field(description="Place in the ledger; see /ledger/inclusion for its proof.")
    id: str
    kind: str
    entity_code: str
    occurred_on: date | None = Field(description="Date of the document.")
    recorded_at: Instant
    source: str
    payload: dict[str, Any] = Field(description="By kind; sums are decimal texts in yuan.")
    published_until: date | None = Field(description="The last day of publication; null when no end is known.")
    repair_from: date | None = Field(description="The first day on which repair may be applied for.")
    rule: str | None = Field(description="What the two days follow from.")
    disputed: bool = Field(description="An objection to it is being examined.")


def entry_item(entry: Published) -> dict[str, Any]:
    """The values of an Entry."""
    term = entry.term
    return {
        "seq": entry.seq,
        "id": entry.id,
        "kind": entry.kind,
        "entity_code": entry.entity_code,
        "occurred_on": entry.occurred_on,
        "recorded_at": entry.recorded_at,
        "source": entry.source,
        "payload": entry.payload,
        "published_until": entry.shown_until,
        "repair_from": term.repair_from,
        "rule": term.rule.source if term.rule else None,
        "disputed": entry.disputed,
    }


class ChangeItem(BaseModel):
    """A step of the ledger. Without `entry` it is a tombstone: what you hold under this `id` must not be used."""

    seq: int
    id: str
    kind: str
    recorded_at: Instant
    entry: Entry | None
    supersedes: str | None = Field(description="`id` of what this takes the place of: do not use that any longer.")
    withdrawn: str | None = Field(description="Of a withdrawal: `id` of the entry that is withdrawn.")
    data_set: str | None = Field(description="Of a withdrawal: kind of that entry.")


def change_item(change: Change) -> dict[str, Any]:
    """The values of a ChangeItem."""
    return {
        "seq": change.seq,
        "id": change.id,
        "kind": change.kind,
        "recorded_at": change.recorded_at,
        "entry": entry_item(change.entry) if change.entry else None,
        "supersedes": change.supersedes,
        "withdrawn": change.withdrawn,
        "data_set": change.data_set,
    }
