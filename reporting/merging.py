"""Several tips about one matter (并案): they become one case for officers, and stay each reporter's own for reporters.

A repeat keeps its receipt, its number and its clocks; its state is that of the case it was merged into. Reporters are
ranked by the time at which they told, over the whole matter.
"""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from reporting import cases, clock
from reporting.models import Tip, TipCase


class NotMergeable(PortalError):
    status = 422
    slug = "not-mergeable"
    title = "These two cannot be merged."
    remedy = "Merge one that is not settled yet into one that is open, both reports or both complaints, neither merged."


def merge(session: Session, officer: Officer, number: int, into: int) -> TipCase:
    """Let one case go along with another. Comes last in its transaction. Returns the other. Raises NotMergeable."""
    repeat, target = _both(session, officer, number, into)
    if number == into or repeat.kind != target.kind or repeat.merged_into or target.merged_into:
        raise NotMergeable
    if repeat.settled_on or target.closed_on:
        raise NotMergeable
    session.execute(update(TipCase).where(TipCase.merged_into == repeat.id).values(merged_into=target.id))
    repeat.merged_into, repeat.assigned_to = target.id, None
    cases.run_on(session, repeat)
    session.flush()
    _rank(session, target)
    for one, other in ((repeat, target), (target, repeat)):
        cases.note(session, one, officer, "merge", cases.number_of(other), before=one.state)
        clock.set_due(session, one)
    cases.keep(session, repeat, officer, "merge", {"into": cases.number_of(target)})
    return target


def unmerge(session: Session, officer: Officer, number: int) -> TipCase:
    """Let a repeat be a case of its own again, where it stood before. Comes last in its transaction.

    What its reporter was told was about the other case, so it counts no longer. Raises NotMergeable.
    """
    into = cases.get(session, officer, number).merged_into
    if into is None:
        raise NotMergeable
    repeat, target = _both(session, officer, number, into)
    if repeat.merged_into != target.id or repeat.erased_on:
        raise NotMergeable
    repeat.merged_into = repeat.told_on = None
    session.flush()
    for one in (repeat, target):
        _rank(session, one)
        cases.note(session, one, officer, "unmerge", before=one.state)
        clock.set_due(session, one)
    cases.keep(session, repeat, officer, "unmerge", {"from": cases.number_of(target)})
    return repeat


def _both(session: Session, officer: Officer, number: int, into: int) -> tuple[TipCase, TipCase]:
    """Two cases, locked in the same order by everybody, so that nobody waits for somebody who waits for them."""
    found = {each: cases.get(session, officer, each, to_change=True) for each in sorted({number, into})}
    return found[number], found[into]


def _rank(session: Session, case: TipCase) -> None:
    """Number everybody who told of the matter by the time at which they did."""
    numbers = select(TipCase.id).where((TipCase.id == case.id) | (TipCase.merged_into == case.id))
    tips = session.scalars(select(Tip).where(Tip.case_id.in_(numbers)).order_by(Tip.received_at, Tip.id))
    for rank, tip in enumerate(tips, 1):
        tip.rank = rank


def repeats_of(session: Session, case: TipCase) -> list[TipCase]:
    """Cases that were merged into this one, oldest first."""
    asked = select(TipCase).where(TipCase.merged_into == case.id).order_by(TipCase.id)
    return list(session.scalars(asked.limit(500)))
