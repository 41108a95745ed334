"""The queue's plans at a city's size, and the numbers of cases."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Account, Officer, officer_of
from record import publication
from reporting import cases, queue, vault
from reporting.cases import Arrived
from reporting.models import TipCase
from reporting.queue import Asked
from tests.officers import add_officer

DEPARTMENT = "市场监督管理局"


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
