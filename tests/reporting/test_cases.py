"""Cases at the desk: who goes first, whom a merged case still owes an answer, what a stopped clock cannot hide."""

import threading
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select

from portal.kit import db
from portal.kit.errors import PortalError
from reporting import assignments, cases, clock, merging, periods, queue, retention
from reporting.assignments import AssignedMeanwhile, DayIsOver, NoSuchPlace, Transfer
from reporting.cases import AnswerFirst, CaseMovedOn, NotYourCase, TellFirst
from reporting.merging import NotMergeable
from reporting.models import CaseStep, Tip
from reporting.periods import NotExtendableHere, NothingToPause
from tests.reporting.casework import WHY, case, clocks, does, officer, on, ranks, received, take, told

MONDAY = date(2026, 11, 2)


# ---- two at once ----------------------------------------------------------------------------------------------------


def test_who_looked_before_another_officer_acted_is_told_that_the_case_moved_on(open_vault: str) -> None:
    if open_vault == "sqlite":
        pytest.skip("SQLite has one writer at a time: nobody looks while another writes")
    who, number = officer("li.wei"), received(MONDAY)
    with db.writing() as slow:
        seen = cases.get(slow, who, number)
        assert seen.state == "received"
        other = threading.Thread(target=take, args=(who, number, "file"))
        other.start()
        other.join()
        with pytest.raises(CaseMovedOn):
            cases.take(slow, who, number, "file")
    with db.reading() as session:
        assert session.scalar(select(func.count()).where(CaseStep.step == "file")) == 1


def test_of_two_who_take_a_case_on_at_once_one_has_it_and_the_other_learns_so(open_vault: str) -> None:
    people = [officer("li.wei"), officer("chen.yu")]
    number = received(MONDAY)
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def grab(index: int) -> None:
        ready.wait()
        try:
            does(assignments.assign, people[index], number, people[index].id, instead_of=None)
            outcomes.append("mine")
        except PortalError as refusal:
            outcomes.append(refusal.slug)

    both = [threading.Thread(target=grab, args=(index,)) for index in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(outcomes) == [AssignedMeanwhile.slug, "mine"]


def test_many_at_once_takes_nobodys_case_from_a_colleague(open_vault: str) -> None:
    here, there = officer("li.wei"), officer("chen.yu")
    numbers = [received(MONDAY) for _ in range(3)]
    does(assignments.assign, there, numbers[0], there.id, instead_of=None)
    done, refused = does(queue.many, here, numbers, "mine")
    assert [one.id for one in done] == numbers[1:]
    assert [(number, type(refusal)) for number, refusal in refused] == [(numbers[0], AssignedMeanwhile)]
    assert case(numbers[0]).assigned_to == there.id
    does(assignments.assign, here, numbers[0], here.id, instead_of=there.id)
    assert case(numbers[0]).assigned_to == here.id


# ---- telling and answering ------------------------------------------------------------------------------------------


def test_telling_twice_does_not_make_late_what_was_in_time(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        number = received(MONDAY)
        take(who, number, "file", "tell")
    with on(date(2026, 12, 7)), pytest.raises(CaseMovedOn):
        take(who, number, "tell")
    with on(date(2026, 12, 7)):
        assert clocks(number)["tell_filing"].state == "met"
        assert case(number).told_on == MONDAY


def test_a_work_order_of_the_hotline_is_answered_before_the_case_is_closed(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        number, plain = received(MONDAY, via="hotline", named=False), received(MONDAY, named=False)
        take(who, number, "not_file")
        with pytest.raises(AnswerFirst):
            take(who, number, "close")
        take(who, number, "answer", "close")
        with pytest.raises(CaseMovedOn):
            take(who, plain, "answer")
        assert clocks(number)["answer"].state == "met"


# ---- repeats --------------------------------------------------------------------------------------------------------


def test_who_told_of_the_same_after_the_first_was_answered_is_still_owed_an_answer(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        first = received(MONDAY)
        take(who, first, "file", "tell")
    with on(date(2026, 11, 9)):
        second = received(date(2026, 11, 9))
        does(merging.merge, who, second, first)
        assert clocks(second)["tell_filing"].state == "running"
        assert case(first).due_on == clocks(second)["tell_filing"].due_on, "the queue knows of it"
        does(cases.decide, who, first, cases.Decision("no_violation", "未发现违法行为", "行政处罚法第五十七条"))
        with pytest.raises(TellFirst):
            take(who, first, "close")
        take(who, first, "tell", "close")
        assert clocks(second)["tell_filing"].state == "met"
        assert case(first).told_on == MONDAY, "what was done before stays as it was"


def test_merging_tells_nobody_anew_and_taking_apart_leaves_each_as_it_was(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        anonymous, named = received(MONDAY, named=False), received(MONDAY)
        does(merging.merge, who, named, anonymous)
        take(who, anonymous, "file")
        assert "tell_filing" not in clocks(anonymous)
        assert clocks(named)["tell_filing"].state == "running"
        does(merging.unmerge, who, named)
        assert set(clocks(anonymous)) == {"verify", "decide"}
        assert clocks(named)["verify"].state == "running"
        assert case(named).due_on is not None
        take(who, named, "verify", "file", "tell")


def test_only_a_case_that_is_not_settled_goes_along_with_one_that_is_open(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        settled, young, closed = received(MONDAY), received(MONDAY), received(MONDAY, named=False)
        take(who, settled, "file")
        take(who, closed, "not_file", "close")
        complaint = received(MONDAY, kind="complaint")
        for repeat, into in ((settled, young), (young, closed), (closed, young), (young, young), (complaint, young)):
            with pytest.raises(NotMergeable):
                does(merging.merge, who, repeat, into)
        does(merging.merge, who, young, settled)
        with pytest.raises(NotMergeable):
            does(merging.merge, who, received(MONDAY), young)
        with pytest.raises(CaseMovedOn):
            take(who, young, "verify")


def test_tips_are_ranked_by_their_time_over_the_whole_matter_and_again_when_it_is_taken_apart(open_vault: str) -> None:
    who = officer("li.wei")
    numbers = [received(MONDAY) for _ in range(3)]
    for number, name, hour in zip(numbers, ("noon", "morning", "night"), (12, 8, 22), strict=True):
        told(number, name, datetime(2026, 11, 2, hour, tzinfo=UTC))
    does(merging.merge, who, numbers[2], numbers[1])
    does(merging.merge, who, numbers[1], numbers[0])
    assert ranks() == {"morning": 1, "noon": 2, "night": 3}
    does(merging.unmerge, who, numbers[1])
    assert ranks() == {"morning": 1, "noon": 1, "night": 2}


def test_what_a_repeat_holds_is_erased_with_the_case_that_it_repeats(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        first, second = received(MONDAY, named=False), received(MONDAY, named=False)
        told(second, "second", datetime(2026, 11, 2, tzinfo=UTC))
        does(merging.merge, who, second, first)
        take(who, first, "not_file", "close")
    with on(date(2029, 11, 5)):
        assert retention.erase_due() == 2
        assert retention.erase_due() == 0
    with db.reading() as session:
        assert session.get_one(Tip, "second").sealed is None
    assert case(second).erased_on == date(2029, 11, 5)
    with on(date(2029, 11, 5)), pytest.raises(CaseMovedOn):
        take(who, first, "reopen")


# ---- clocks that stand still ----------------------------------------------------------------------------------------


def test_stopping_a_clock_does_not_hide_that_it_had_run_out(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        number = received(MONDAY)
    due = clocks(number)["verify"].due_on
    with on(date(2026, 12, 7)):
        with pytest.raises(NothingToPause):
            does(periods.suspend, who, number, cause="testing", since=date(2026, 12, 7), reason=WHY)
        with pytest.raises(NothingToPause):
            does(periods.suspend, who, number, cause="testing", since=date(2026, 11, 16), reason=WHY)
        assert clocks(number)["verify"].state == "late"
        assert case(number).due_on == due
        assert queue_of(who).overdue == 1


def queue_of(who: cases.Officer) -> queue.Counts:
    with db.reading() as session:
        return queue.counts(session, who)


def test_a_pause_ends_with_the_duty_that_it_was_for(open_vault: str) -> None:
    who = officer("li.wei")
    with on(MONDAY):
        number = received(MONDAY, named=False)
        does(periods.suspend, who, number, cause="testing", since=MONDAY, reason=WHY)
    with on(date(2026, 11, 12)):
        take(who, number, "file")
        assert clocks(number)["decide"].state == "running"
        assert clocks(number)["verify"].state == "met"
        does(cases.decide, who, number, cases.Decision("not_proven", "证据不足，不予处罚", "行政处罚法第五十七条"))
        take(who, number, "close")
    with on(date(2026, 11, 20)):
        take(who, number, "reopen")
        again = clocks(number)["verify"]
        assert (again.since, again.state) == (date(2026, 11, 20), "running")
        assert case(number).due_on == again.due_on


def test_a_pause_over_the_national_holiday_moves_the_last_day_by_its_working_days(open_vault: str) -> None:
    who, start = officer("li.wei"), date(2026, 9, 18)
    with on(start):
        number = received(start)
    with on(date(2026, 9, 28)):
        # 20 to 24 September: 5 working days are gone (20 makes up, 25 is 中秋). Ten are left.
        does(periods.suspend, who, number, cause="testing", since=date(2026, 9, 28), reason=WHY)
    with on(date(2026, 10, 12)):
        does(periods.resume, who, number, "")
        # 12 to 16 October: 5; 19 to 23: 5.
        verify = clocks(number)["verify"]
        assert verify.due_on == date(2026, 10, 23)
        assert verify.days_left == 9
        assert not verify.provisional


def test_a_longer_period_is_neither_asked_nor_granted_for_what_is_over(open_vault: str) -> None:
    asking, granting = officer("li.wei"), officer("chen.yu")
    with on(MONDAY):
        late, done = received(MONDAY), received(MONDAY)
        asked = does(periods.ask_extension, asking, done, duty="verify", reason=WHY).id
        take(asking, done, "file")
        with pytest.raises(NotExtendableHere):
            does(periods.decide_extension, granting, asked, granted=True)
        assert not clocks(done)["verify"].extended
        waiting = does(periods.ask_extension, asking, received(MONDAY), duty="verify", reason=WHY).id
    with on(date(2026, 12, 7)):
        with pytest.raises(NotExtendableHere):
            does(periods.ask_extension, asking, late, duty="verify", reason=WHY)
        with pytest.raises(NotExtendableHere):
            does(periods.decide_extension, granting, waiting, granted=True)
        does(periods.decide_extension, granting, waiting, granted=False)


def test_a_last_day_in_a_year_that_is_not_out_is_set_when_it_is(open_vault: str) -> None:
    from record.workdays import CalendarDay

    with on(date(2026, 12, 21)):
        number = received(date(2026, 12, 21))
        # 22 to 25 and 28 to 31 December: 8; 4 to 8 January: 13 (1 January is 元旦); 11 and 12: 15.
        assert (case(number).due_on, case(number).provisional) == (date(2027, 1, 12), True)
        with db.writing() as session:
            for day in range(1, 32):
                at = date(2027, 1, day)
                working = at.weekday() < 5 and day not in (1, 4)
                session.add(CalendarDay(day=at, working=working, because="国办发明电〔2026〕1号"))
        assert does(clock.mend) is None
        assert (case(number).due_on, case(number).provisional) == (date(2027, 1, 13), False)


# ---- where a case is ------------------------------------------------------------------------------------------------


def test_a_case_goes_where_somebody_works_and_its_repeats_with_it(open_vault: str) -> None:
    who, there = officer("li.wei"), officer("zhao.min", department="应急管理局", district="310115")
    with on(MONDAY):
        first, second = received(MONDAY), received(MONDAY)
        does(merging.merge, who, second, first)
        for place in (
            Transfer("不存在的部门", None, WHY),
            Transfer("应急管理局", "999999", WHY),
            Transfer("应急管理局", "310104", WHY),
            Transfer("应急管理局", None, WHY),
        ):
            with pytest.raises(NoSuchPlace):
                does(assignments.transfer, who, first, place)
        with pytest.raises(DayIsOver):
            does(assignments.transfer, who, first, Transfer("应急管理局", "310115", WHY, date(2026, 11, 1)))
        does(assignments.transfer, who, first, Transfer("应急管理局", "310115", WHY, date(2026, 11, 20)))
        with pytest.raises(NotYourCase):
            take(who, first, "verify")
        assert case(second).department == "应急管理局"
        take(there, first, "verify")
        assert case(first).report_back_on == date(2026, 11, 20)


def test_numbers_that_nobody_gave_out_are_no_case(open_vault: str) -> None:
    number = received(MONDAY)
    with db.reading() as session:
        public = cases.number_of(case(number))
        found = cases.by_number(session, f" {public.replace('-', ' ')} ")
        assert found is not None
        assert found.id == number
        for digits in (9_999_999_999, 10**15 - 1):
            body = f"2026{digits}"
            assert cases.by_number(session, f"{body}{cases.mod_11_10.calc_check_digit(body)}") is None
