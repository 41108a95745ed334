"""The desk's queue of tip-offs: one list, the most urgent first, with what may be asked of it, and many at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from record import acts, publication
from reporting import assignments, cases
from reporting.models import Kind, State, TipCase

PER_PAGE = 50
MOST_AT_ONCE = 100
_OPEN = TipCase.closed_on.is_(None) & TipCase.merged_into.is_(None)

Who = Literal["mine", "nobody"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the queue is asked for. None: it does not matter."""

    state: State | None = None
    kind: Kind | None = None
    service: str | None = None
    district: str | None = None
    who: Who | None = None
    overdue: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits within an officer's reach."""

    waiting: int
    overdue: int
    mine: int
    nobodys: int


def page(
    session: Session, officer: Officer, asked: Asked, *, after: tuple[date, int] | None = None, limit: int = PER_PAGE
) -> list[TipCase]:
    """Cases within the officer's reach, the most urgent first; of closed ones the last closed.

    `after`: day and number of the last one of the page before.
    """
    query = select(TipCase).where(*cases.within(officer), *_chosen(officer, asked))
    if asked.closed:
        query = query.where(TipCase.closed_on.is_not(None), TipCase.merged_into.is_(None))
        if after:
            day, number = after
            query = query.where(TipCase.closed_on <= day, or_(TipCase.closed_on < day, TipCase.id < number))
        query = query.order_by(TipCase.closed_on.desc(), TipCase.id.desc())
    else:
        query = query.where(_OPEN)
        if after:
            day, number = after
            query = query.where(TipCase.urgent_on >= day, or_(TipCase.urgent_on > day, TipCase.id > number))
        query = query.order_by(TipCase.urgent_on, TipCase.id)
    return list(session.scalars(query.limit(limit)))


def _chosen(officer: Officer, asked: Asked) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (TipCase.state, asked.state),
        (TipCase.kind, asked.kind),
        (TipCase.service, asked.service),
        (TipCase.district, asked.district),
    ):
        if value is not None:
            found.append(column == value)
    if asked.who:
        found.append(TipCase.assigned_to == officer.id if asked.who == "mine" else TipCase.assigned_to.is_(None))
    if asked.overdue:
        found.append(TipCase.urgent_on < publication.today())
    return found


def counts(session: Session, officer: Officer) -> Counts:
    """How many wait, in one look over the index of those that do."""
    today = publication.today()
    row = session.execute(
        select(
            func.count(),
            func.count().filter(TipCase.urgent_on < today),
            func.count().filter(TipCase.assigned_to == officer.id),
            func.count().filter(TipCase.assigned_to.is_(None)),
        ).where(*cases.within(officer), _OPEN)
    ).one()
    return Counts(*(int(value) for value in row))


def open_cases(session: Session) -> int:
    """How many cases are open in the whole city."""
    return session.scalar(select(func.count()).where(_OPEN)) or 0


def overdue_in_public(session: Session) -> int:
    """How many cases are past a day that the law sets: a number that everybody may see."""
    late = select(func.count()).where(_OPEN, TipCase.urgent_on < publication.today())
    return session.scalar(late) or 0


# ---- many at once ---------------------------------------------------------------------------------------------------

Many = Literal["mine", "nobody", "verify"]
_MANY: dict[Many, Callable[[Session, Officer, int], TipCase]] = {
    "mine": lambda session, officer, number: assignments.give(session, officer, number, officer.id, instead_of=None),
    "nobody": lambda session, officer, number: assignments.give(session, officer, number, None, instead_of=officer.id),
    "verify": lambda session, officer, number: cases.change(session, officer, number, "verify"),
}


def many(
    session: Session, officer: Officer, numbers: Sequence[int], step: Many
) -> tuple[list[TipCase], list[tuple[int, PortalError]]]:
    """Take one step with up to MOST_AT_ONCE cases: what was done, what was refused. Comes last in its transaction."""
    done: list[TipCase] = []
    refused: list[tuple[int, PortalError]] = []
    for number in sorted(set(numbers))[:MOST_AT_ONCE]:
        try:
            done.append(_MANY[step](session, officer, number))
        except PortalError as refusal:
            refused.append((number, refusal))
    if done:
        session.flush()
        told = ", ".join(cases.number_of(case) for case in done)
        acts.keep(session, f"tips_{step}", about=f"{len(done)} tip cases", by=officer, details={"cases": told})
    return done, refused
