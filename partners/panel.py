"""What an entity's page shows of its evaluations: current ratings side by side, never averaged, and the history.

Current is, by scheme, the latest by day among those that are not over. Everything comes from what is published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from partners import disputes, schemes
from partners.models import Dispute, EvaluationReply, SchemeVersion
from portal.kit.area import Panel
from record import evaluations, publication
from record.publication import Published

HISTORY_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Rating:
    """One evaluation as people see it."""

    entry: Published
    place: tuple[int, int] | None
    """Place of the grade on its scale, from 1 (the best), and how many grades there are."""
    is_over: bool
    reply: EvaluationReply | None
    dispute: Dispute | None

    @property
    def says(self) -> Mapping[str, Any]:
        return self.entry.payload

    @property
    def valid_until(self) -> date | None:
        text = self.entry.payload.get("valid_until")
        return date.fromisoformat(text) if text else None


@dataclass(frozen=True, slots=True)
class Rated:
    """What stands under one scheme."""

    scheme_id: str
    current: Rating | None
    earlier: Sequence[Rating]


def of(session: Session, code: str) -> Sequence[Panel]:
    """The panel of an entity, if anything was evaluated."""
    rated = ratings(session, code)
    return [Panel("partners/_panel.html", {"rated": rated, "code": code})] if rated else []


def ratings(session: Session, code: str) -> list[Rated]:
    """An entity's evaluations by scheme: grades before counts, of these the latest first."""
    found = evaluations.of_entity(session, code)
    if not found:
        return []
    seqs = [one.seq for one in found]
    replies, about = disputes.replies(session, seqs), disputes.of_entries(session, seqs)
    scales = _scales(session, {(one.payload["scheme"], one.payload["version"]) for one in found})
    today = publication.today()
    by_scheme: dict[str, list[Rating]] = {}
    for one in found:
        scale = scales.get((one.payload["scheme"], one.payload["version"]), ())
        grade = one.payload.get("grade")
        rating = Rating(
            one, (scale.index(grade) + 1, len(scale)) if grade in scale else None, _is_over(one, today),
            replies.get(one.seq), about.get(one.seq),
        )  # fmt: skip
        by_scheme.setdefault(one.payload["scheme"], []).append(rating)
    rated = [_rated(scheme_id, each) for scheme_id, each in by_scheme.items()]
    return sorted(rated, key=lambda one: one.current is None or one.current.place is None)  # grades before counts


def _rated(scheme_id: str, each: Sequence[Rating]) -> Rated:
    current = next((one for one in each if not one.is_over), None)
    return Rated(scheme_id, current, [one for one in each if one is not current][:HISTORY_SHOWN])


def _is_over(entry: Published, today: date) -> bool:
    until = entry.payload.get("valid_until")
    return until is not None and date.fromisoformat(until) < today


def _scales(session: Session, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], Sequence[str]]:
    """The grades of these editions, the best first."""
    asked = select(SchemeVersion).where(SchemeVersion.scheme_id.in_({scheme_id for scheme_id, _ in wanted}))
    return {
        (one.scheme_id, one.number): [grade.code for grade in schemes.definition_of(one).grades]
        for one in session.scalars(asked)
        if (one.scheme_id, one.number) in wanted
    }
