"""How well each scheme is kept, in public: rows sent and refused, disputes lost, time to answer, and what followed.

Computed every night from batches, disputes and what is published; a figure that rests on little says so by its number.
"""

import statistics
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from partners import schemes
from partners.models import Batch, Dispute, Evaluation, Scheme, Scorecard
from portal.kit import db
from record import evaluations, publication
from record.publication import months_after
from record.workdays import Calendar

MONTHS = 12
AT_ONCE = 1_000
FEW = 5
"""Of fewer ratings than these only their number is told: the rest would tell of single entities."""
MOST_RATED = 200_000
"""Ratings of one scheme that are looked at for what followed: the latest whose twelve months are over."""


class Followed(BaseModel):
    """One grade, and what was found about those who bore it in the twelve months after the day of the evaluation."""

    grade: str
    rated: int
    """Ratings whose twelve months are over."""
    penalised: int | None
    """Of these: entities with a penalty in that time; null where so few were rated that it would tell of one."""


class Figures(BaseModel):
    """What a scorecard says."""

    batches: int
    rows: int
    rejected: int
    standing: int
    """Ratings that are published and not over."""
    published: int
    disputes: int
    disputes_open: int
    lost: int
    """Disputes that were upheld, or in which the rater withdrew the rating."""
    answered: int
    late_answers: int
    """Answers after the last day, and such that are missing past it."""
    median_days: float | None
    """Working days from a dispute to the rater's answer, in the middle."""
    followed: list[Followed]

    @property
    def reject_rate(self) -> float | None:
        """Share of the rows that could not be used, 0 to 1."""
        return self.rejected / self.rows if self.rows else None


def compute_all() -> None:
    """Compute every scheme's figures anew."""
    with db.reading() as session:
        ids = list(session.scalars(select(Scheme.id).order_by(Scheme.id)))
    for scheme_id in ids:
        with db.reading() as session:
            figures = compute(session, scheme_id)
        with db.writing() as session:
            kept = session.get(Scorecard, scheme_id)
            if kept is None:
                kept = Scorecard(scheme_id=scheme_id)
                session.add(kept)
            kept.figures, kept.computed_at = figures.model_dump(mode="json"), db.now()


def compute(session: Session, scheme_id: str) -> Figures:
    """One scheme's figures as of now."""
    sent = session.execute(
        select(func.count(), func.coalesce(func.sum(Batch.rows), 0), func.coalesce(func.sum(Batch.rejected), 0)).where(
            Batch.scheme_id == scheme_id, Batch.rows.is_not(None)
        )
    ).one()
    published, standing = _standing(session, scheme_id)
    disputes = list(session.scalars(select(Dispute).where(Dispute.scheme_id == scheme_id)))
    calendar, today = Calendar.of(session), publication.today()
    days = sorted(calendar.between(one.opened_on, one.answered_on) for one in disputes if one.answered_on)
    late = [
        one for one in disputes if one.answer_due_on and (one.answered_on or one.closed_on or today) > one.answer_due_on
    ]
    return Figures(
        batches=sent[0], rows=int(sent[1] or 0), rejected=int(sent[2] or 0), standing=standing, published=published,
        disputes=len(disputes), disputes_open=sum(one.closed_on is None for one in disputes),
        lost=sum(one.state in {"upheld", "conceded"} for one in disputes), answered=len(days), late_answers=len(late),
        median_days=statistics.median(days) if days else None, followed=_followed(session, scheme_id, today),
    )  # fmt: skip


def _standing(session: Session, scheme_id: str) -> tuple[int, int]:
    """How many of a scheme's evaluations are published, and how many of these are not over."""
    today, published, standing = publication.today(), 0, 0
    after = -1
    while rows := _part(session, scheme_id, after):
        shown = evaluations.shown_numbers(session, [row[0] for row in rows])
        published += len(shown)
        standing += sum(seq in shown and (until is None or until >= today) for seq, until in rows)
        after = rows[-1][0]
    return published, standing


def _part(session: Session, scheme_id: str, after: int) -> Sequence[Any]:
    asked = select(Evaluation.seq, Evaluation.valid_until).where(
        Evaluation.scheme_id == scheme_id, Evaluation.seq > after
    )
    return session.execute(asked.order_by(Evaluation.seq).limit(AT_ONCE)).all()


def _followed(session: Session, scheme_id: str, today: date) -> list[Followed]:
    """By grade, the best first: ratings whose twelve months are over, and how many were followed by a penalty."""
    scheme = schemes.get(session, scheme_id)
    if scheme.current is None:
        return []
    grades = [one.code for one in schemes.definition_of(schemes.version_of(session, scheme_id, scheme.current)).grades]
    rated = dict.fromkeys(grades, 0)
    penalised = dict.fromkeys(grades, 0)
    last = months_after(today, -MONTHS)
    asked = (
        select(Evaluation.seq, Evaluation.entity_code, Evaluation.grade, Evaluation.evaluated_on)
        .where(Evaluation.scheme_id == scheme_id, Evaluation.evaluated_on <= last, Evaluation.grade.is_not(None))
        .order_by(Evaluation.evaluated_on.desc(), Evaluation.seq.desc())
        .limit(MOST_RATED)
    )
    for piece in session.execute(asked, execution_options={"yield_per": AT_ONCE}).partitions():
        shown = evaluations.shown_numbers(session, [row.seq for row in piece])
        rows = [row for row in piece if row.seq in shown and row.grade in rated]
        spans = [(row.entity_code, row.evaluated_on, months_after(row.evaluated_on, MONTHS)) for row in rows]
        for row, found in zip(rows, evaluations.penalised_after(session, spans), strict=True):
            rated[row.grade] += 1
            penalised[row.grade] += found
    return [
        Followed(grade=grade, rated=rated[grade], penalised=penalised[grade] if rated[grade] >= FEW else None)
        for grade in grades
    ]


def of(session: Session, scheme_ids: Sequence[str]) -> dict[str, tuple[Figures, Any]]:
    """What was computed last for these schemes, and when."""
    asked = select(Scorecard).where(Scorecard.scheme_id.in_(scheme_ids))
    return {one.scheme_id: (Figures.model_validate(one.figures), one.computed_at) for one in session.scalars(asked)}


FRESH = timedelta(days=1)
"""How old a scorecard is before the next night at the most."""
