"""Cases and officers for tests, without a reporter's form before them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import time_machine

from portal.kit import db
from portal.kit.accounts import Account, Officer, officer_of
from reporting import cases, clock
from reporting.cases import Arrived
from reporting.clock import Clock
from reporting.models import Tip, TipCase
from tests.officers import add_officer

DEPARTMENT = "市场监督管理局"
WHY = "经核查，理由充分"


def officer(login: str, **account: Any) -> Officer:
    """A clerk and reviewer of the whole city, unless said otherwise."""
    someone = add_officer(login, **{"roles": ["clerk", "reviewer"], **account})
    with db.reading() as session:
        return officer_of(session.get_one(Account, someone.id))


def received(on: date, **change: Any) -> int:
    """A case that came on that day. Returns its number within the table."""
    said: dict[str, Any] = {
        "kind": "report", "via": "portal", "service": "food", "entity_code": None, "district": "310104",
        "department": DEPARTMENT, "named": True, **change,
    }  # fmt: skip
    with db.writing() as session:
        return cases.receive(session, Arrived(**said), on=on).id


def told(number: int, name: str, at: datetime) -> None:
    """A tip of that case. Nothing of it can be opened."""
    with db.writing() as session:
        lookup = name.encode().ljust(32, b"\0")
        session.add(
            Tip(
                id=name, case_id=number, rank=1, lookup=lookup, reply_key="", received_at=at, sealed=b"", word_hash=None
            )
        )


def ranks() -> dict[str, int]:
    """Each tip's rank."""
    with db.reading() as session:
        return {tip.id: tip.rank for tip in session.query(Tip)}


def case(number: int) -> TipCase:
    """The case as it stands."""
    with db.reading() as session:
        return session.get_one(TipCase, number)


def clocks(number: int) -> dict[str, Clock]:
    """Its clocks by duty."""
    with db.reading() as session:
        return {one.duty: one for one in clock.clocks_of(session, session.get_one(TipCase, number))}


def take(who: Officer, number: int, *steps: str) -> None:
    """Take steps one after another, each in a transaction of its own."""
    for step in steps:
        with db.writing() as session:
            cases.take(session, who, number, step, WHY)


@contextmanager
def on(day: date) -> Iterator[None]:
    """As if it were ten in the morning of that day in the city."""
    with time_machine.travel(f"{day.isoformat()}T10:00:00+08:00", tick=True):
        yield


Step = Callable[..., Any]


def does(step: Step, *told: Any, **more: Any) -> Any:
    """Call a domain function in a transaction of its own."""
    with db.writing() as session:
        return step(session, *told, **more)
