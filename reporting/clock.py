"""The law's clocks of a case: what is due by which day, and which article says so. Reporter and officer see the same.

    clocks_of(session, case)      # one Clock for each duty that has begun
    set_due(session, case)        # what queues sort by, after every step that touches a duty

The day on which a period begins does not count (民法典 art. 201). A period in calendar days that ends on a day off ends
on the next working day (art. 203). Days on which it was suspended do not count, where the rule allows the cause.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from record import publication
from record.workdays import Calendar, Due
from reporting import rules
from reporting.models import NEVER, CaseExtension, CaseSuspension, TipCase
from reporting.rules import Duty, Rule

_ONE = timedelta(days=1)
AT_ONCE = 500

ClockState = Literal["running", "paused", "late", "met", "met_late"]


@dataclass(frozen=True, slots=True)
class Clock:
    """One duty and the period that the law gives for it."""

    duty: Duty
    rule: Rule
    since: date
    """The day that does not count itself."""
    due_on: date
    """While it is paused: as if it went on today."""
    provisional: bool
    state: ClockState
    done_on: date | None
    days_left: int
    """In the rule's unit; negative when it is over. 0: today is the last day, or it is done."""
    extended: bool
    paused_because: str | None = None
    """Of rules.CAUSES."""


@dataclass(frozen=True, slots=True)
class _Began:
    duty: Duty
    since: date
    done_on: date | None


def clocks_of(session: Session, case: TipCase) -> list[Clock]:
    """The clocks of a case, by the rules in force when it came, in the order in which they began."""
    root = session.get_one(TipCase, case.merged_into) if case.merged_into else case
    return _clocks(session, root, [case])[0][1]


def of_matter(session: Session, case: TipCase) -> list[tuple[TipCase, list[Clock]]]:
    """The clocks of a case, and of each that was merged into it: all that is owed in one matter."""
    repeats = select(TipCase).where(TipCase.merged_into == case.id).order_by(TipCase.id)
    return _clocks(session, case, [case, *session.scalars(repeats)])


def _clocks(session: Session, root: TipCase, matter: Sequence[TipCase]) -> list[tuple[TipCase, list[Clock]]]:
    numbers = {root.id, *(case.id for case in matter)}
    pauses = session.scalars(select(CaseSuspension).where(CaseSuspension.case_id.in_(numbers))).all()
    granted = select(CaseExtension.duty, CaseExtension.since).where(
        CaseExtension.case_id == root.id, CaseExtension.state == "granted"
    )
    extensions = {(duty, since) for duty, since in session.execute(granted)}
    # A period that was made longer, was so for all who told of the matter.
    longer = {one.duty for one in _began(root, root) if (one.duty, one.since) in extensions}
    calendar = Calendar.of(session)
    return [
        (case, _clocks_of_one(case, root, [p for p in pauses if p.case_id in (root.id, case.id)], longer, calendar))
        for case in matter
    ]


def _clocks_of_one(
    case: TipCase,
    root: TipCase,
    pauses: Sequence[CaseSuspension],
    longer: Collection[Duty],
    calendar: Calendar,
) -> list[Clock]:
    found = []
    for began in _began(case, root):
        rule = rules.rule(case.kind, began.duty, rule_set=case.rule_set, received_on=case.received_on, via=case.via)
        if rule and (case.named or not rule.named_only):
            found.append(_clock(began, rule, pauses, calendar, extended=began.duty in longer))
    return found


def _began(case: TipCase, root: TipCase) -> list[_Began]:
    """Duties that have begun.

    What was found out and decided, was so in the case that a repeat goes along with; but each reporter is told, and
    each work order answered, for itself.
    """
    first = max(case.received_on, root.reopened_on or case.received_on)
    settled, decided, told = (_done(day, first) for day in (root.settled_on, root.decided_on, case.told_on))
    closed = _done(root.closed_on, first)
    began: list[_Began] = []
    if case.kind == "complaint":
        began.append(_Began("accept", first, settled or closed))
        if settled and root.pursued:
            began.append(_Began("mediate", settled, decided or closed))
        if decided and root.pursued:
            began.append(_Began("tell_end", decided, told))
    else:
        began.append(_Began("verify", first, settled or closed))
        if settled:
            began.append(_Began("tell_filing", settled, told))
        if settled and root.pursued:
            began.append(_Began("decide", settled, decided or closed))
    began.append(_Began("answer", first, _done(case.answered_on, first)))
    return began


def _done(day: date | None, first: date) -> date | None:
    return max(day, first) if day else None


def _clock(began: _Began, rule: Rule, pauses: Sequence[CaseSuspension], calendar: Calendar, *, extended: bool) -> Clock:
    today = publication.today()
    counted_out = [one for one in pauses if one.cause in rule.paused_by]
    spans = [(one.since, one.until or max(today, one.since)) for one in counted_out]
    due = due_day(rule, began.since, spans, calendar, extended=extended)
    # What had run out before it was stopped, stays so.
    lasting = next((one.cause for one in counted_out if one.until is None and one.since <= due.day), None)
    state: ClockState
    if began.done_on:
        state = "met" if began.done_on <= due.day else "met_late"
    elif lasting:
        state = "paused"
    else:
        state = "running" if today <= due.day else "late"
    left = 0
    if began.done_on is None:
        left = calendar.between(today, due.day) if rule.unit == "working_days" else (due.day - today).days
    return Clock(
        began.duty, rule, began.since, due.day, due.provisional, state, began.done_on, left, extended,
        lasting if state == "paused" else None,
    )  # fmt: skip


def due_day(
    rule: Rule, since: date, spans: Sequence[tuple[date, date]], calendar: Calendar, *, extended: bool = False
) -> Due:
    """The last day of a period that began on `since`. `spans`: days that do not count, half-open."""
    left = rule.number + (rule.extension if extended else 0)
    if rule.unit == "months":
        left = (publication.months_after(since, left) - since).days
    day, provisional = since, False
    while left > 0:
        day += _ONE
        if _within(day, spans):
            continue
        if rule.unit == "working_days":
            working, unsure = calendar.is_working(day)
            provisional |= unsure
            left -= working
        else:
            left -= 1
    if rule.unit == "working_days":
        return Due(day, provisional)
    due = calendar.from_or_after(day)
    while _within(due.day, spans):
        day, unsure = calendar.from_or_after(due.day + _ONE)
        due = Due(day, due.provisional or unsure)
    return due


def _within(day: date, spans: Sequence[tuple[date, date]]) -> bool:
    return any(start <= day < until for start, until in spans)


def set_due(session: Session, case: TipCase) -> None:
    """Write down the next last day of a case, those of its repeats included, for queues to sort by."""
    clocks = [clock for _, each in of_matter(session, case) for clock in each]
    open_ones = [clock for clock in clocks if clock.state in ("running", "late")]
    nearest = min(open_ones, key=lambda clock: clock.due_on, default=None)
    waits = nearest is not None and case.closed_on is None and case.merged_into is None
    case.due_on = nearest.due_on if nearest and waits else None
    case.urgent_on = case.due_on or NEVER
    case.provisional = bool(nearest and waits and nearest.provisional)
    case.was_late = case.was_late or any(clock.state in ("late", "met_late") for clock in clocks)


def mend(session: Session, *, after: int = 0) -> int | None:
    """Compute anew last days that rest on a calendar that was not out, and note who became late since yesterday.

    At most AT_ONCE cases behind the number `after`; returns the last number, or None at the end.
    """
    late = TipCase.due_on.is_not(None) & (TipCase.due_on < publication.today()) & TipCase.was_late.is_(False)
    asked = select(TipCase).where(TipCase.id > after, TipCase.closed_on.is_(None), or_(TipCase.provisional, late))
    cases = list(session.scalars(asked.order_by(TipCase.id).limit(AT_ONCE)))
    for case in cases:
        set_due(session, case)
    return cases[-1].id if len(cases) == AT_ONCE else None
