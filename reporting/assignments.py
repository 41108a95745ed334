"""Who works on a case: one officer of those whom it is given to, in the department and district that it is with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.kit import jobs
from portal.kit.accounts import Account, Officer
from portal.kit.errors import PortalError
from record import publication
from record.codes import DISTRICTS
from reporting import cases
from reporting.cases import CaseMovedOn, CaseReasonMissing
from reporting.models import TipCase

RESEAL = "reporting.reseal"


class NoSuchPlace(PortalError):
    status = 422
    slug = "no-such-place"
    title = "Nobody works there who could take the case."
    remedy = "Choose one of the departments and districts in the lists."


class AssignedMeanwhile(PortalError):
    status = 409
    slug = "assigned-meanwhile"
    title = "Another officer has this case."
    remedy = "Open the case and see who. It can be given to somebody else from there."


class DayIsOver(PortalError):
    status = 422
    slug = "day-is-over"
    title = "This day is over."
    remedy = "Enter today or a day to come."


def departments(session: Session) -> list[str]:
    """Departments that somebody works for: where a case can go."""
    asked = select(Account.department).where(Account.kind == "officer", Account.disabled_at.is_(None)).distinct()
    return sorted(session.scalars(asked.limit(500)))


def colleagues(session: Session, department: str, district: str | None) -> Sequence[Account]:
    """Officers whom a case of that department and district (None: the whole city) can be given to."""
    asked = select(Account).where(
        Account.kind == "officer", Account.department == department, Account.disabled_at.is_(None)
    )
    found = session.scalars(asked.order_by(Account.name, Account.id).limit(500))
    deal_with_cases = {"clerk", "reviewer"}
    return [one for one in found if one.district in (None, district) and deal_with_cases.intersection(one.roles)]


def assign(session: Session, officer: Officer, number: int, to: int | None, *, instead_of: int | None) -> TipCase:
    """Give a case to an officer, or to nobody. Comes last in its transaction.

    `instead_of`: who had it when the officer looked. Raises NoSuchPlace, AssignedMeanwhile, CaseMovedOn.
    """
    case = give(session, officer, number, to, instead_of=instead_of)
    cases.keep(session, case, officer, "assign", {"to": str(to or "nobody")})
    return case


def give(session: Session, officer: Officer, number: int, to: int | None, *, instead_of: int | None) -> TipCase:
    """What `assign` does, without the act in the ledger: many at once share one."""
    case = cases.get(session, officer, number, to_change=True)
    if case.closed_on or case.merged_into:
        raise CaseMovedOn
    if case.assigned_to not in (instead_of, to):
        raise AssignedMeanwhile
    if to not in (None, officer.id) and to not in {
        one.id for one in colleagues(session, case.department, case.district)
    }:
        raise NoSuchPlace
    case.assigned_to = to
    cases.note(session, case, officer, "assign", before=case.state)
    return case


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where a case goes, and why."""

    department: str
    district: str | None
    reason: str
    report_back_on: date | None = None


def transfer(session: Session, officer: Officer, number: int, to: Transfer) -> TipCase:
    """Pass a case on (移送), to where somebody works; its clocks run on. Comes last in its transaction.

    Raises NoSuchPlace, CaseMovedOn, CaseReasonMissing, DayIsOver.
    """
    case = cases.get(session, officer, number, to_change=True)
    if case.closed_on or case.merged_into:
        raise CaseMovedOn
    if (to.district and to.district not in DISTRICTS) or not colleagues(session, to.department, to.district):
        raise NoSuchPlace
    if len(to.reason.strip()) < 5:
        raise CaseReasonMissing
    if to.report_back_on and to.report_back_on < publication.today():
        raise DayIsOver
    case.department, case.district = to.department, to.district
    case.assigned_to, case.report_back_on = None, to.report_back_on
    repeats = update(TipCase).where(TipCase.merged_into == case.id)
    session.execute(repeats.values(department=to.department, district=to.district))
    cases.note(session, case, officer, "transfer", to.reason, before=case.state)
    jobs.add(session, RESEAL, [case.id])
    details = {"department": to.department, "district": to.district or "whole city"}
    cases.keep(session, case, officer, "transfer", details)
    return case
