"""Administrators' pages of the rules that the record follows: its calendar, and which kinds are shown here."""

from datetime import date
from typing import Annotated, Literal

from fastapi import Form, Request, Response

from portal.kit import gate, limits, web
from portal.kit.limits import door
from record import acts, applications, kinds, publication, switches
from record.desk import back_to
from record.workdays import Calendar, CalendarDay

router = limits.router(include_in_schema=False)

CALENDAR = "/desk/calendar"
KINDS = "/desk/kinds"

YesNo = Annotated[Literal["yes", "no"], Form()]
Because = Annotated[str, Form(min_length=2, max_length=200)]


@router.get(CALENDAR)
@door(who="officer", limit="120/minute")
def calendar(request: Request, officer: gate.Administrator, session: web.ReadingSession) -> Response:
    today = publication.today()
    declared = Calendar.declared_days(session, since=today.replace(month=1, day=1))
    return web.page(request, "desk/calendar.html", declared=declared, today=today)


@router.post(CALENDAR)
@door(who="officer", limit="60/minute", body_bytes=4_000)
def declare(
    request: Request,
    officer: gate.Administrator,
    session: web.WritingSession,
    *,
    day: Annotated[date, Form()],
    working: YesNo,
    because: Because,
) -> Response:
    session.merge(CalendarDay(day=day, working=working == "yes", because=because.strip()))
    session.flush()
    applications.set_provisional_again(session)
    acts.keep(
        session, "calendar_declare", about=day.isoformat(), by=officer, reason=because.strip(),
        details={"working": working},
    )  # fmt: skip
    return back_to(CALENDAR)


# ---- kinds ----------------------------------------------------------------------------------------------------------


@router.get(KINDS)
@door(who="officer", limit="120/minute")
def kinds_page(request: Request, officer: gate.Administrator, session: web.ReadingSession) -> Response:
    return web.page(
        request, "desk/kinds.html", kinds=kinds.SHOWN, decided=switches.decided(session), today=publication.today()
    )


@router.post(KINDS)
@door(who="officer", limit="60/minute", body_bytes=4_000)
def switch(
    request: Request,
    officer: gate.Administrator,
    session: web.WritingSession,
    *,
    kind: Annotated[str, Form(max_length=24)],
    since: Annotated[date, Form()],
    public_here: YesNo,
    because: Because,
) -> Response:
    switches.switch(session, officer, kind, since, public_here=public_here == "yes", because=because.strip())
    return back_to(KINDS)
