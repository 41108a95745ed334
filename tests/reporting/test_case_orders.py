"""Steps in any order, by whoever comes: no case ends in a state that the law does not know, and no clock is lost."""

import dataclasses
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Account, Officer, officer_of
from portal.kit.errors import PortalError
from record import publication
from reporting import assignments, cases, clock, merging, periods
from reporting.cases import Arrived, Decision
from reporting.models import NEVER, CaseExtension, CaseSuspension, TipCase
from tests.officers import add_officer
from tests.reporting.casework import DEPARTMENT, WHY

SETTLED = {
    "report": {"filed", "not_filed", "decided", "closed"},
    "complaint": {"accepted", "refused", "mediating", "mediated", "failed", "closed"},
}
FIRST = {"report": {"received", "verifying"}, "complaint": {"received"}}

Act = Callable[[Session, Officer, Officer, int, int], Any]
_DECISION = Decision("violation", "责令改正并罚款", "食品安全法第一百二十四条")


def _decide_extension(session: Session, officer: Officer, *, granted: bool) -> None:
    for one in session.scalars(select(CaseExtension.id).where(CaseExtension.state == "asked")).all():
        periods.decide_extension(session, officer, one, granted=granted)


ACTS: dict[str, Act] = {
    **{
        name: (lambda session, one, other, case, into, name=name: cases.take(session, one, case, name, WHY))
        for name in cases.STEPS
    },
    "decide": lambda session, one, other, case, into: cases.decide(session, one, case, _DECISION),
    "merge": lambda session, one, other, case, into: merging.merge(session, one, case, into),
    "unmerge": lambda session, one, other, case, into: merging.unmerge(session, one, case),
    "suspend": lambda session, one, other, case, into: periods.suspend(
        session, one, case, cause="testing", since=publication.today() - timedelta(days=into % 3), reason=WHY
    ),
    "resume": lambda session, one, other, case, into: periods.resume(session, one, case, ""),
    "ask": lambda session, one, other, case, into: periods.ask_extension(session, one, case, duty="verify", reason=WHY),
    "grant": lambda session, one, other, case, into: _decide_extension(session, other, granted=True),
    "assign": lambda session, one, other, case, into: assignments.assign(session, one, case, one.id, instead_of=None),
}
OTHERS = ("decide", "merge", "suspend", "resume", "ask", "grant", "unmerge")
ORDERS = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 100), st.integers(0, 2), st.integers(0, 2), st.sampled_from((0, 1, 40))
    ),
    min_size=10,
    max_size=20,
)
"""0: any step, else one that the state is right for; which, of which case, with which other, how many days later."""


@pytest.fixture
def people(open_vault: str) -> list[Officer]:
    both = [add_officer(login, roles=["clerk", "reviewer"]).id for login in ("li.wei", "chen.yu")]
    with db.reading() as session:
        return [officer_of(session.get_one(Account, one)) for one in both]


def _sensible(case: TipCase) -> list[str]:
    return [name for name, step in cases.STEPS.items() if case.kind in step.kinds and case.state in step.at]


def _seen(session: Session) -> list[Any]:
    """Everything that a step could change."""
    session.expire_all()
    return [
        [{column.key: getattr(row, column.key) for column in table.__table__.columns} for row in rows]
        for table in (TipCase, CaseSuspension, CaseExtension)
        for rows in [session.scalars(select(table).order_by(table.id)).all()]
    ]


def _holds(session: Session, numbers: list[int]) -> dict[tuple[int, str, date], str]:
    """Check what always holds. Returns the state of each clock."""
    found = {}
    for number in numbers:
        case = session.get_one(TipCase, number)
        matter = clock.of_matter(session, case)
        assert case.state in FIRST[case.kind] | SETTLED[case.kind]
        assert (case.settled_on is not None) == (case.state in SETTLED[case.kind])
        assert (case.closed_on is not None) == (case.state == "closed")
        if case.merged_into:
            assert session.get_one(TipCase, case.merged_into).merged_into is None, "nothing goes along with a repeat"
            assert case.urgent_on == NEVER
            continue
        owed = [one for _, clocks in matter for one in clocks if one.done_on is None]
        assert bool(case.closed_on) <= (not owed), "nobody is left without an answer"
        running = [one.due_on for one in owed if one.state != "paused"]
        assert case.due_on == min(running, default=None)
        for one, clocks in matter:
            assert len({each.duty for each in clocks}) == len(clocks)
            for each in clocks:
                assert each.since < each.due_on
                found[one.id, each.duty, each.since] = each.state
        if case.settled_on is None:
            assert owed, "somebody has to look at it"
    return found


def _goes_on(name: str, before: dict[tuple[int, str, date], str], now: dict[tuple[int, str, date], str]) -> None:
    """Check what no step may do to the clocks that were there."""
    duties = {(number, duty) for number, duty, _ in now}
    for (number, duty, since), state in before.items():
        if name not in ("reopen", "unmerge"):
            assert (number, duty) in duties, f"{name} lost {duty} of {number}"
        later = now.get((number, duty, since))
        if later and state == "late" and name not in ("merge", "unmerge"):
            assert later in ("late", "met_late"), f"{name} hid that {duty} of {number} is late"
        if later and state == "met" and name not in ("merge", "unmerge", "reopen"):
            assert later == "met", f"{name} made {later} what was done in time"


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(ORDERS, st.booleans())
def test_in_whatever_order_steps_are_tried_no_clock_is_lost_and_what_is_late_stays_late(
    people: list[Officer], order: list[tuple[int, int, int, int, int]], complaint: bool
) -> None:
    one, other = people
    today = date(2026, 9, 14)
    with (
        Session(db.writing_engine()) as session,  # never committed: each order begins with an empty portal
        time_machine.travel(f"{today.isoformat()}T10:00:00+08:00", tick=False) as moment,
    ):
        plain = Arrived("report", "portal", "food", None, None, DEPARTMENT, named=True)
        kinds = ("complaint", "report") if complaint else ("report", "report")
        arrived = (plain, *(dataclasses.replace(plain, kind=kind, via="hotline") for kind in kinds))
        numbers = [cases.receive(session, each).id for each in arrived]
        before = _holds(session, numbers)
        for sense, pick, which, into, days in order:
            moment.shift(timedelta(days=days))
            for number in numbers:
                clock.set_due(session, session.get_one(TipCase, number))
            names = [*_sensible(session.get_one(TipCase, numbers[which])), *OTHERS] if sense else [*ACTS]
            name = names[pick % len(names)]
            there = _seen(session)
            try:
                ACTS[name](session, one, other, numbers[which], numbers[into])
                session.flush()
            except PortalError:
                if name != "grant":  # which may have granted one of several
                    assert _seen(session) == there, f"{name} was refused and yet changed something"
            now = _holds(session, numbers)
            _goes_on(name, before, now)
            before = now
