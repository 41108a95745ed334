"""The state machine in any order, and the queue's plans at a city's size."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Account, Officer, officer_of
from portal.kit.errors import PortalError
from record import publication
from reporting import cases, clock, merging, periods, queue, vault
from reporting.cases import Arrived, Decision, Transfer
from reporting.models import NEVER, TipCase
from reporting.queue import Asked
from tests.officers import add_officer

DEPARTMENT = "市场监督管理局"
REASON = "按照规定作出处理"
STEPS = [*cases.STEPS, "decide", "suspend", "resume", "merge", "unmerge", "transfer", "assign"]


class Undone(Exception):
    """Ends an example without keeping anything of it."""


@pytest.fixture
def officer(embedded: Path) -> Officer:
    vault.ready()
    someone = add_officer(roles=["clerk", "reviewer"])
    with db.reading() as session:
        return officer_of(session.get_one(Account, someone.id))


def arrive(session: Session, kind: Any = "report", *, named: bool = True) -> TipCase:
    arrived = Arrived(
        kind=kind, via="portal", service="food", entity_code=None, district="310104", department=DEPARTMENT, named=named
    )
    return cases.receive(session, arrived)


def step(session: Session, who: Officer, case: TipCase, other: TipCase, name: str) -> None:
    if name == "decide":
        cases.decide(session, who, case.id, Decision("violation", "责令改正", "有关法律第一条"))
    elif name == "suspend":
        periods.suspend(session, who, case.id, cause="testing", since=publication.today(), reason=REASON)
    elif name == "resume":
        periods.resume(session, who, case.id, REASON)
    elif name == "merge":
        merging.merge(session, who, case.id, other.id)
    elif name == "unmerge":
        merging.unmerge(session, who, case.id)
    elif name == "transfer":
        cases.transfer(session, who, case.id, Transfer(DEPARTMENT, "310115", REASON))
    elif name == "assign":
        cases.assign(session, who, case.id, who.id)
    else:
        cases.take(session, who, case.id, name, REASON)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["report", "complaint"]),
    named=st.booleans(),
    names=st.lists(st.sampled_from(STEPS), max_size=14),
)
def test_whatever_is_tried_in_whatever_order_a_case_stays_sound(
    officer: Officer, kind: str, named: bool, names: list[str]
) -> None:
    try:
        with db.writing() as session:
            case, other = arrive(session, kind, named=named), arrive(session, kind)
            for name in names:
                before = case.state
                try:
                    with session.begin_nested():
                        step(session, officer, case, other, name)
                except PortalError:
                    session.refresh(case)
                    assert case.state == before, "a refused step changes nothing"
                sound(session, case)
            raise Undone
    except Undone:
        pass


def sound(session: Session, case: TipCase) -> None:
    assert case.state in cases.PUBLIC
    assert (case.closed_on is not None) is (case.state == "closed")
    assert (case.settled_on is not None) is (case.state not in ("received", "verifying"))
    if case.state in ("decided", "mediated", "failed"):
        assert case.decided_on is not None
    assert case.urgent_on == (case.due_on or NEVER)
    clocks = clock.clocks_of(session, case)
    assert clocks, "the first duty's clock is never lost"
    owed = {one.duty for one in clocks if one.done_on is None}
    if case.state == "closed":
        assert not owed & {"tell_filing", "tell_end"}


def plan(session: Session, officer: Officer, asked: Asked, **place: Any) -> str:
    """How SQLite would find a page of the queue."""
    found: list[str] = []
    bind = session.get_bind()

    def watch(_c: Any, _cur: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "tip_case" in statement and not statement.startswith("EXPLAIN"):
            raw = session.connection().connection.cursor()
            found.append("\n".join(str(row[3]) for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)))

    from sqlalchemy import event

    event.listen(bind, "before_cursor_execute", watch)
    try:
        queue.page(session, officer, asked, **place)
    finally:
        event.remove(bind, "before_cursor_execute", watch)
    return found[-1]


def test_pages_of_the_queue_are_read_from_an_index_in_order(officer: Officer) -> None:
    with db.writing() as session:
        today = publication.today()
        row = {
            "kind": "report", "via": "portal", "service": "food", "district": "310104", "department": DEPARTMENT,
            "state": "received", "rule_set": "order-121", "named": False, "received_on": today, "changed_at": db.now(),
            "urgent_on": today, "due_on": today, "provisional": False, "was_late": False,
        }  # fmt: skip
        session.execute(insert(TipCase), [row] * 3_000)
        session.execute(text("ANALYZE"))
    asks = [
        (Asked(), {}), (Asked(), {"after": (today, 7)}), (Asked(state="received"), {}), (Asked(district="310104"), {}),
        (Asked(overdue=True), {}), (Asked(who="mine"), {}), (Asked(closed=True), {}),
    ]  # fmt: skip
    with db.reading() as session:
        for asked, place in asks:
            steps = plan(session, officer, asked, **place)
            assert "SEARCH tip_case USING" in steps, steps
            assert "SCAN tip_case" not in steps, steps
            assert "TEMP B-TREE" not in steps or asked.closed, f"{asked}: {steps}"


def test_public_numbers_have_a_check_digit_and_are_found_however_they_are_typed(officer: Officer) -> None:
    with db.writing() as session:
        case = arrive(session)
        number = cases.number_of(case)
    with db.reading() as session:
        for typed in (number, number.replace("-", ""), f" {number} ", number.replace("-", " ")):
            found = cases.by_number(session, typed)
            assert found is not None
            assert found.id == case.id
        for wrong in ("", "2026", number[:-1] + str((int(number[-1]) + 1) % 10), "9" * 40, "2025" + number[4:]):
            assert cases.by_number(session, wrong) is None
