"""The law's clocks: by the rules of the day of receipt, over holidays and make-up workdays, with pauses and extensions.

Days in the comments were counted by hand from the State Council's arrangement for 2026: 春节 15 to 23 February with
work on 14 and 28 February; 国庆 1 to 7 October with work on 20 September and 10 October.
"""

from datetime import date, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from portal.kit import db
from portal.kit.accounts import Account, Officer, officer_of
from record import publication
from record.workdays import Calendar
from reporting import cases, clock, periods, rules
from reporting.cases import Arrived
from reporting.clock import Clock
from reporting.models import NEVER, TipCase
from reporting.periods import AnotherMustExtend, NotExtendableHere, NothingToPause
from reporting.rules import Rule
from tests.officers import add_officer
from tests.reporting.telling import SAID, status

DEPARTMENT = "市场监督管理局"


def officer(login: str) -> Officer:
    someone = add_officer(login, roles=["clerk", "reviewer"])
    with db.reading() as session:
        return officer_of(session.get_one(Account, someone.id))


def received(on: date, *, kind: Any = "report", named: bool = True, via: Any = "portal") -> int:
    arrived = Arrived(
        kind=kind, via=via, service="food", entity_code=None, district="310104", department=DEPARTMENT, named=named
    )
    with db.writing() as session:
        return cases.receive(session, arrived, on=on).id


def clocks(number: int) -> dict[str, Clock]:
    with db.reading() as session:
        return {one.duty: one for one in clock.clocks_of(session, session.get_one(TipCase, number))}


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the day in the city."""

    def be(on: date) -> None:
        import time_machine

        travelling = time_machine.travel(f"{on.isoformat()}T10:00:00+08:00", tick=True)
        travelling.start()
        stops.append(travelling)

    stops: list[Any] = []
    yield be
    for each in stops:
        each.stop()


def test_the_same_complaint_runs_on_different_clocks_before_and_after_the_new_order(open_vault: str, day: Any) -> None:
    day(date(2026, 4, 16))
    before, after = (received(date(2026, 4, n), kind="complaint") for n in (14, 15))
    who = officer("li.wei")
    for number in (before, after):
        with db.writing() as session:
            cases.take(session, who, number, "accept")
    old, new = clocks(before)["mediate"], clocks(after)["mediate"]
    assert "第20号" in old.rule.law
    assert (old.rule.number, old.rule.unit) == (45, "working_days")
    assert "第121号" in new.rule.law
    assert (new.rule.number, new.rule.unit) == (60, "days")
    # 45 working days after 16 April: 9 May works, 1 to 5 May and 19 to 21 June (端午) are off.
    assert old.due_on == date(2026, 6, 23)
    # 60 days after 16 April is 15 June, a Monday.
    assert new.due_on == date(2026, 6, 15)


def test_the_same_report_is_told_by_another_law_from_the_fifteenth_of_april_on(open_vault: str, day: Any) -> None:
    day(date(2026, 4, 16))
    who, found = officer("li.wei"), {}
    for number in (14, 15):
        case = received(date(2026, 4, number))
        with db.writing() as session:
            cases.take(session, who, case, "file")
        found[number] = clocks(case)["tell_filing"].rule
    assert "第20号" in found[14].law
    assert found[14].confirmed
    assert "第121号" in found[15].law
    assert not found[15].confirmed, "the number under the new order could not be confirmed, and pages say so"


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        # 9 to 14 February: 6 (14 makes up); 24 to 28: 11 (28 makes up); 2 to 5 March: 15.
        (date(2026, 2, 6), 15, date(2026, 3, 5)),
        (date(2026, 2, 13), 1, date(2026, 2, 14)),
        (date(2026, 2, 14), 1, date(2026, 2, 24)),
        # 20 to 24 September: 5 (20 makes up, 25 is 中秋); 28 to 30: 8; 8 to 10 October: 11 (10 makes up); 12 to 15: 15.
        (date(2026, 9, 18), 15, date(2026, 10, 15)),
        (date(2026, 9, 30), 1, date(2026, 10, 8)),
        (date(2026, 9, 30), 3, date(2026, 10, 10)),
    ],
)
def test_working_days_span_holidays_and_make_up_workdays(open_vault: str, start: date, days: int, end: date) -> None:
    with db.reading() as session:
        assert Calendar.of(session).after(start, days).day == end


def test_fifteen_working_days_over_the_national_holiday(open_vault: str, day: Any) -> None:
    day(date(2026, 9, 18))
    verify = clocks(received(date(2026, 9, 18)))["verify"]
    assert verify.due_on == date(2026, 10, 15)
    assert verify.rule.article == "第十八条"
    assert not verify.provisional


def rule(**change: Any) -> Rule:
    said = {"kind": "report", "duty": "decide", "law": "x", "article": "y", "unit": "days", "number": 10}
    return Rule(**{**said, "in_force_from": date(2020, 1, 1), **change})


def test_calendar_days_that_end_on_a_day_off_end_on_the_next_working_day(open_vault: str) -> None:
    with db.reading() as session:
        calendar = Calendar.of(session)
    # 24 September + 10 days = 4 October, within the holiday: 8 October.
    assert clock.due_day(rule(), date(2026, 9, 24), (), calendar).day == date(2026, 10, 8)
    # 4 February + 10 days = 14 February, a Saturday on which people work.
    assert clock.due_day(rule(), date(2026, 2, 4), (), calendar).day == date(2026, 2, 14)
    # One month after 31 January is 28 February, a make-up workday.
    months = rule(unit="months", number=1)
    assert clock.due_day(months, date(2026, 1, 31), (), calendar).day == date(2026, 2, 28)


def test_days_that_are_suspended_do_not_count_and_those_of_the_holiday_only_once(open_vault: str) -> None:
    with db.reading() as session:
        calendar = Calendar.of(session)
    working = rule(unit="working_days", number=5)
    # From 28 September: 29, 30, then 8, 9, 10 October.
    assert clock.due_day(working, date(2026, 9, 28), (), calendar).day == date(2026, 10, 10)
    # Suspended from 30 September until 9 October: 29, then 9, 10, 12, 13 October.
    paused = [(date(2026, 9, 30), date(2026, 10, 9))]
    assert clock.due_day(working, date(2026, 9, 28), paused, calendar).day == date(2026, 10, 13)


def test_a_year_that_was_not_announced_is_marked(open_vault: str, day: Any) -> None:
    day(date(2026, 12, 21))
    number = received(date(2026, 12, 21))
    verify = clocks(number)["verify"]
    assert verify.provisional
    with db.reading() as session:
        assert session.get_one(TipCase, number).provisional


def test_a_clock_stands_still_for_a_cause_that_the_law_names(open_vault: str, day: Any) -> None:
    day(date(2026, 11, 2))
    number, who = received(date(2026, 11, 2)), officer("li.wei")
    due = clocks(number)["verify"].due_on
    with pytest.raises(NothingToPause), db.writing() as session:
        periods.suspend(session, who, number, cause="hearing", since=date(2026, 11, 2), reason="还没有听证的阶段")
    day(date(2026, 11, 4))
    with db.writing() as session:
        periods.suspend(session, who, number, cause="testing", since=date(2026, 11, 4), reason="送检样品三件")
    assert clocks(number)["verify"].state == "paused"
    with db.reading() as session:
        assert session.get_one(TipCase, number).urgent_on == NEVER
    day(date(2026, 11, 11))
    with db.writing() as session:
        periods.resume(session, who, number, "检验报告已收到")
    after = clocks(number)["verify"]
    assert after.state == "running"
    # Five working days, 4 to 10 November, do not count.
    with db.reading() as session:
        assert Calendar.of(session).between(due, after.due_on) == 5


def test_a_longer_period_is_asked_by_one_and_granted_by_another_once(open_vault: str, day: Any) -> None:
    day(date(2026, 11, 2))
    number, asking, granting = received(date(2026, 11, 2)), officer("li.wei"), officer("chen.yu")
    due = clocks(number)["verify"].due_on
    with db.writing() as session:
        asked = periods.ask_extension(session, asking, number, duty="verify", reason="案情复杂，需要外地协查").id
    assert clocks(number)["verify"].due_on == due, "asking alone changes nothing"
    with pytest.raises(NotExtendableHere), db.writing() as session:
        periods.ask_extension(session, granting, number, duty="verify", reason="再申请一次也不行")
    with pytest.raises(AnotherMustExtend), db.writing() as session:
        periods.decide_extension(session, asking, asked, granted=True)
    with db.writing() as session:
        periods.decide_extension(session, granting, asked, granted=True)
    later = clocks(number)["verify"]
    assert later.extended
    with db.reading() as session:
        assert Calendar.of(session).between(due, later.due_on) == 15


def test_what_is_done_late_stays_late(open_vault: str, day: Any) -> None:
    day(date(2026, 11, 2))
    number, who = received(date(2026, 11, 2)), officer("li.wei")
    day(date(2026, 12, 15))
    assert clocks(number)["verify"].state == "late"
    assert clocks(number)["verify"].days_left < 0
    with db.writing() as session:
        assert clock.mend(session) is None
        assert session.get_one(TipCase, number).was_late
    with db.writing() as session:
        cases.take(session, who, number, "file")
    assert clocks(number)["verify"].state == "met_late"


def test_only_who_gave_a_name_must_be_told(open_vault: str, day: Any) -> None:
    day(date(2026, 11, 2))
    who = officer("li.wei")
    for named in (True, False):
        number = received(date(2026, 11, 2), named=named)
        with db.writing() as session:
            cases.take(session, who, number, "file")
        assert ("tell_filing" in clocks(number)) is named


def test_a_work_order_of_the_hotline_has_a_clock_of_its_own(open_vault: str, day: Any) -> None:
    day(date(2026, 11, 2))
    assert clocks(received(date(2026, 11, 2), via="hotline"))["answer"].due_on == date(2026, 11, 9)
    assert "answer" not in clocks(received(date(2026, 11, 2)))


def test_every_rule_can_be_used_and_covers_today(open_vault: str) -> None:
    today = publication.today()
    assert rules.rule_set(date(2026, 4, 14)) == "order-20"
    assert rules.rule_set(date(2026, 4, 15)) == rules.rule_set(today) == "order-121"
    assert rules.retention(today) is not None
    assert rules.rewards(today) is not None


def test_reporter_and_officer_see_the_same_clock(open_vault: str, client: TestClient, unlimited: None) -> None:
    from tests.officers import sign_in
    from tests.reporting.telling import tell_by_api

    told = tell_by_api(client, description=SAID)
    (seen,) = status(client, told["receipt"])["clocks"]
    sign_in(client, add_officer("li.wei"))
    page = client.get(f"/desk/tips/{told['case_number']}").text
    assert f'datetime="{seen["due_on"]}"' in page
    assert "第十八条" in page
    assert timedelta(days=15) < date.fromisoformat(seen["due_on"]) - publication.today()
