"""Clocks that stand still, and periods that are made longer: with a cause that the law names, and by two people."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import masking, publication
from reporting import cases, clock
from reporting.cases import CaseReasonMissing
from reporting.models import CaseExtension, CaseSuspension, TipCase


class NothingToPause(PortalError):
    status = 422
    slug = "nothing-to-pause"
    title = "No period that runs here may be stopped for this cause, or it stands still already."
    remedy = "Choose one of the causes in the list, and a day that is not before the period began, nor to come."


class NotExtendableHere(PortalError):
    status = 409
    slug = "tip-not-extendable"
    title = "This period cannot be made longer, or was before."
    remedy = "Finish it by the day that stands, or say why it is late."


class AnotherMustExtend(PortalError):
    status = 403
    slug = "another-must-extend"
    title = "Whoever asks for a longer period does not grant it."
    remedy = "Ask a colleague who holds the reviewer's role."


class ExtensionDecided(PortalError):
    status = 409
    slug = "extension-decided"
    title = "This was decided already."
    remedy = "Open the case again."


_GOES_ON: tuple[clock.ClockState, ...] = ("running", "paused")


def causes(clocks: Sequence[clock.Clock]) -> list[str]:
    """Why a clock of this case may be stopped now: one that has run out is not."""
    return sorted({cause for one in clocks if one.state in _GOES_ON for cause in one.rule.paused_by})


def suspend(session: Session, officer: Officer, number: int, *, cause: str, since: date, reason: str) -> TipCase:
    """Stop the clocks that this cause stops, from a day on that does not count any more. Raises NothingToPause."""
    case = cases.get(session, officer, number, to_change=True)
    clocks = [] if case.merged_into else clock.clocks_of(session, case)
    if cause not in causes(clocks) or lasting(session, case) or not _may_begin(clocks, since):
        raise NothingToPause
    if len(reason.strip()) < 5:
        raise CaseReasonMissing
    session.add(CaseSuspension(case_id=case.id, cause=cause, since=since))
    return _stepped(session, officer, case, "suspend", reason)


def _may_begin(clocks: Sequence[clock.Clock], since: date) -> bool:
    began = [one.since for one in clocks if one.state in _GOES_ON]
    return bool(began) and min(began) <= since <= publication.today()


def resume(session: Session, officer: Officer, number: int, reason: str) -> TipCase:
    """Let the clocks run on from today. Raises NothingToPause when they run."""
    case = cases.get(session, officer, number, to_change=True)
    pause = lasting(session, case)
    if pause is None:
        raise NothingToPause
    pause.until = max(publication.today(), pause.since)
    return _stepped(session, officer, case, "resume", reason)


def lasting(session: Session, case: TipCase) -> CaseSuspension | None:
    """What the clocks of this case stand still for now."""
    return session.scalar(
        select(CaseSuspension).where(CaseSuspension.case_id == case.id, CaseSuspension.until.is_(None)).limit(1)
    )


def extendable(session: Session, case: TipCase, clocks: Sequence[clock.Clock]) -> list[clock.Clock]:
    """Clocks whose period may be made longer, for it is not over, and for which nobody has asked yet."""
    asked = select(CaseExtension.duty, CaseExtension.since).where(
        CaseExtension.case_id == case.id, CaseExtension.state != "declined"
    )
    taken = {(duty, since) for duty, since in session.execute(asked)}
    return [
        one
        for one in clocks
        if one.state in _GOES_ON and one.rule.extension and (one.duty, one.since) not in taken and not case.merged_into
    ]


def ask_extension(session: Session, officer: Officer, number: int, *, duty: str, reason: str) -> CaseExtension:
    """Ask for the longer period that the law allows, once. Raises NotExtendableHere, CaseReasonMissing."""
    case = cases.get(session, officer, number, to_change=True)
    if len(reason.strip()) < 5:
        raise CaseReasonMissing
    running = next((c for c in extendable(session, case, clock.clocks_of(session, case)) if c.duty == duty), None)
    if running is None:
        raise NotExtendableHere
    asked = CaseExtension(
        case_id=case.id, duty=duty, since=running.since, reason=masking.masked(reason.strip()), state="asked",
        asked_by=officer.id, asked_at=db.now(),
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(asked)
            session.flush()
    except IntegrityError as error:
        raise NotExtendableHere from error
    _stepped(session, officer, case, "extension_ask", reason)
    return asked


def decide_extension(session: Session, officer: Officer, number: int, *, granted: bool, reason: str = "") -> TipCase:
    """Grant or decline a longer period; none is granted when the period is over, or the duty done.

    Raises AnotherMustExtend, ExtensionDecided, NotExtendableHere.
    """
    asked = session.get(CaseExtension, number, with_for_update=True)
    if asked is None:
        raise NotFound
    case = cases.get(session, officer, asked.case_id, to_change=True)
    if asked.state != "asked":
        raise ExtensionDecided
    if asked.asked_by == officer.id:
        raise AnotherMustExtend
    if granted and not _goes_on(session, case, asked):
        raise NotExtendableHere
    asked.state, asked.decided_by, asked.decided_at = "granted" if granted else "declined", officer.id, db.now()
    return _stepped(session, officer, case, "extension_grant" if granted else "extension_decline", reason)


def _goes_on(session: Session, case: TipCase, asked: CaseExtension) -> bool:
    clocks = [] if case.merged_into else clock.clocks_of(session, case)
    return any((one.duty, one.since) == (asked.duty, asked.since) and one.state in _GOES_ON for one in clocks)


def extensions_of(session: Session, case: TipCase) -> Sequence[CaseExtension]:
    """What was asked for in this case, oldest first."""
    return session.scalars(
        select(CaseExtension).where(CaseExtension.case_id == case.id).order_by(CaseExtension.id)
    ).all()


def extensions_waiting(
    session: Session, officer: Officer, *, limit: int = 100
) -> Sequence[tuple[CaseExtension, TipCase]]:
    """Requests of others within the officer's reach that nobody decided yet, the oldest first."""
    asked = (
        select(CaseExtension, TipCase)
        .join(TipCase, TipCase.id == CaseExtension.case_id)
        .where(CaseExtension.state == "asked", CaseExtension.asked_by != officer.id, *cases.within(officer))
    )
    return [(one, case) for one, case in session.execute(asked.order_by(CaseExtension.id).limit(limit))]


def _stepped(session: Session, officer: Officer, case: TipCase, step: str, reason: str) -> TipCase:
    cases.note(session, case, officer, step, reason, before=case.state)
    session.flush()
    clock.set_due(session, case)
    cases.keep(session, case, officer, step)
    return case
