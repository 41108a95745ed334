"""Objections (异议) to entries and applications for repair (信用修复), on the law's clock.

    received → accepted → upheld | rejected
             ↘ refused                        ↘ ended, when the applicant withdraws it

An officer enters what came by letter or at the counter; another decides it. An upheld one ends publication.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Index, String, func, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import NotFound, PortalError
from portal.kit.formats import date_text
from record import acts, clocks, decisions, masking, publication
from record.kinds import KINDS
from record.models import Entity
from record.workdays import Calendar

Case = Literal["objection", "repair"]
Via = Literal["letter", "counter", "portal"]
State = Literal["received", "accepted", "upheld", "rejected", "refused", "ended"]
CASES: Sequence[Case] = get_args(Case)
OPEN: Sequence[State] = ("received", "accepted")
_IS_OPEN = text("state IN ('received', 'accepted')")


class AlreadyOpen(PortalError):
    status = 409
    slug = "application-open"
    title = "An application of this kind about this entry is being dealt with already."
    remedy = "Add what is new to application %(number)s."


class ApplicationClosed(PortalError):
    status = 409
    slug = "application-closed"
    title = "This step is not open: the application has moved on."
    remedy = "Open it again and see how far it is."


class AnotherMustDecide(PortalError):
    status = 403
    slug = "another-must-decide"
    title = "Whoever entered an application does not decide it."
    remedy = "Ask a colleague who holds the reviewer's role."


class TooEarlyToRepair(PortalError):
    status = 422
    slug = "too-early-to-repair"
    title = "The minimum term of publication is not over yet."
    remedy = "Repair is possible from %(day)s on. An upheld objection or an annulled decision ends publication at once."


class NotRepairable(PortalError):
    status = 422
    slug = "not-repairable"
    title = "There is nothing to repair in this entry."
    remedy = "Repair is for penalties and listings. If the entry is wrong, enter an objection."


class InTheFuture(PortalError):
    status = 422
    slug = "in-the-future"
    title = "This day is still to come."
    remedy = "Enter the day on which the application arrived."


class NotExtendable(PortalError):
    status = 409
    slug = "not-extendable"
    title = "This period cannot be extended, or was extended before."
    remedy = "Decide by the day that stands, or say in the decision why it is late."


class Application(Base):
    """One objection or application for repair, and how far it is."""

    __tablename__ = "application"
    __table_args__ = (
        Index("ix_application_state_due_on_id", "state", "due_on", "id"),
        Index(
            "uq_application_open", "entry_seq", "case", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case: Mapped[Case] = mapped_column(String(16))
    state: Mapped[State] = mapped_column(String(16))
    entry_seq: Mapped[int] = mapped_column(BigInteger, index=True)
    entity_code: Mapped[str] = mapped_column(String(18), index=True)
    district: Mapped[str | None] = mapped_column(String(6))
    """Of the entity, when the application arrived: whose officers deal with it."""
    received_on: Mapped[date]
    via: Mapped[Via] = mapped_column(String(8))
    grounds: Mapped[str] = mapped_column(String(4_000))
    """What the applicant says, personal numbers hidden."""
    accepted_on: Mapped[date | None]
    closed_on: Mapped[date | None]
    due_on: Mapped[date | None]
    """Last day for the next duty; null where no law sets one, and once it is closed."""
    provisional: Mapped[bool]
    """`due_on` may still move: the calendar of its year is not out."""
    extended: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(String(2_000))
    """Of the refusal or the decision."""
    entered_by: Mapped[int]
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_overdue(self) -> bool:
        return self.is_open and self.due_on is not None and self.due_on < publication.today()


# ---- steps ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an officer enters when an application arrives."""

    case: Case
    entry_seq: int
    received_on: date
    via: Via
    grounds: str


def receive(session: Session, officer: Officer, arrived: Arrival) -> Application:
    """Enter an application. Comes last in its transaction, as every step does.

    Raises decisions.NothingToDecide, decisions.NotYourDistrict, NotRepairable, TooEarlyToRepair, AlreadyOpen,
    InTheFuture.
    """
    if arrived.received_on > publication.today():
        raise InTheFuture
    entry = decisions.shown_entry(session, officer, arrived.entry_seq)
    code, entry_id = str(entry.entity_code), entry.id
    if arrived.case == "repair":
        _check_repairable(entry.kind, entry.occurred_on, entry.payload or {})
    same = select(Application.id).where(
        Application.entry_seq == entry.seq, Application.case == arrived.case, Application.state.in_(OPEN)
    )
    if (number := session.scalar(same)) is not None:
        raise AlreadyOpen(number=number)
    application = Application(
        case=arrived.case, state="received", entry_seq=entry.seq, entity_code=code,
        district=session.scalar(select(Entity.district).where(Entity.code == code)),
        received_on=arrived.received_on, via=arrived.via, grounds=masking.masked(arrived.grounds),
        extended=False, provisional=False, entered_by=officer.id, entered_at=db.now(),
    )  # fmt: skip
    _set_due(session, application)
    session.add(application)
    session.flush()
    _keep(session, application, officer, "receive", details={"case": arrived.case, "entry": entry_id})
    return application


def _check_repairable(kind: str, occurred_on: date | None, payload: dict[str, Any]) -> None:
    if not KINDS[kind].adverse:
        raise NotRepairable
    repair_from = publication.term(kind, occurred_on, payload).repair_from
    if repair_from and repair_from > publication.today():
        raise TooEarlyToRepair(day=date_text(repair_from))


def accept(session: Session, officer: Officer, number: int) -> Application:
    """Take an application up: from now on the clock of the decision runs. Raises ApplicationClosed."""
    application = _at(session, officer, number, "received")
    application.state, application.accepted_on = "accepted", publication.today()
    _set_due(session, application)
    _keep(session, application, officer, "accept")
    return application


def refuse(session: Session, officer: Officer, number: int, reason: str) -> Application:
    """Do not take an application up (不予受理), with the reason that the applicant is told."""
    application = _at(session, officer, number, "received")
    _close(application, "refused", officer, reason)
    _keep(session, application, officer, "refuse", reason)
    return application


def extend(session: Session, officer: Officer, number: int, reason: str) -> Application:
    """Give the decision the further days that the law allows, once. Raises NotExtendable."""
    application = _at(session, officer, number, "accepted")
    rule = _rule(application)
    if application.extended or application.due_on is None or rule is None or rule.extension == 0:
        raise NotExtendable
    application.extended = True
    _set_due(session, application)
    _keep(session, application, officer, "extend", reason, details={"days": str(rule.extension)})
    return application


def uphold(session: Session, officer: Officer, number: int, reason: str) -> Application:
    """Grant a repair, or find an objection right: the entry is shown no longer.

    Raises AnotherMustDecide for whoever entered it, decisions.NothingToDecide when the entry is gone already.
    """
    application = _to_decide(session, officer, number)
    entry = decisions.shown_entry(session, officer, application.entry_seq)
    if application.case == "repair":
        _check_repairable(entry.kind, entry.occurred_on, entry.payload or {})
    entry_seq = entry.seq
    _close(application, "upheld", officer, reason)
    publication.withdraw(session, [entry_seq], "repaired" if application.case == "repair" else "objection")
    _keep(session, application, officer, "uphold", reason)
    return application


def reject(session: Session, officer: Officer, number: int, reason: str) -> Application:
    """Find that the entry stays as it is. Raises AnotherMustDecide."""
    application = _to_decide(session, officer, number)
    _close(application, "rejected", officer, reason)
    _keep(session, application, officer, "reject", reason)
    return application


def end(session: Session, officer: Officer, number: int, reason: str) -> Application:
    """Close an application that the applicant withdrew."""
    application = get(session, officer, number, to_change=True)
    if not application.is_open:
        raise ApplicationClosed
    _close(application, "ended", officer, reason)
    _keep(session, application, officer, "end", reason)
    return application


def _at(session: Session, officer: Officer, number: int, state: State) -> Application:
    application = get(session, officer, number, to_change=True)
    if application.state != state:
        raise ApplicationClosed
    return application


def _to_decide(session: Session, officer: Officer, number: int) -> Application:
    application = _at(session, officer, number, "accepted")
    if application.entered_by == officer.id:
        raise AnotherMustDecide
    return application


def _close(application: Application, state: State, officer: Officer, reason: str) -> None:
    application.state, application.closed_on, application.reason = state, publication.today(), reason
    application.decided_by, application.due_on, application.provisional = officer.id, None, False


def _keep(
    session: Session,
    application: Application,
    officer: Officer,
    step: str,
    reason: str | None = None,
    *,
    details: dict[str, str] | None = None,
) -> None:
    session.flush()
    acts.keep(
        session, f"application_{step}", about=f"application {application.id}", by=officer, reason=reason,
        entity_code=application.entity_code, details=details,
    )  # fmt: skip


# ---- clocks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """One duty and the period that the law gives for it."""

    duty: Literal["accept", "decide"]
    rule: clocks.Procedure
    since: date
    due_on: date
    provisional: bool
    done_on: date | None
    """None: it still runs."""

    @property
    def is_late(self) -> bool:
        return (self.done_on or publication.today()) > self.due_on


def clocks_of(session: Session, application: Application) -> list[Clock]:
    """The clocks of an application, by the rules in force on the day it arrived, oldest first."""
    calendar = Calendar.of(session)
    found = []
    starts: list[tuple[Literal["accept", "decide"], date | None, date | None]] = [
        ("accept", application.received_on, application.accepted_on or application.closed_on),
        ("decide", application.accepted_on, application.closed_on),
    ]
    for duty, since, done_on in starts:
        rule = clocks.procedure(application.case, duty, application.received_on)
        if since and rule:
            extra = rule.extension if application.extended and duty == "decide" else 0
            due = calendar.after(since, rule.days + extra)
            found.append(Clock(duty, rule, since, due.day, due.provisional, done_on))
    return found


def _rule(application: Application) -> clocks.Procedure | None:
    duty = "accept" if application.state == "received" else "decide"
    return clocks.procedure(application.case, duty, application.received_on)


def _set_due(session: Session, application: Application) -> None:
    running = [clock for clock in clocks_of(session, application) if clock.done_on is None]
    application.due_on = running[-1].due_on if running else None
    application.provisional = running[-1].provisional if running else False


def follow(session: Session, replaced: Mapping[int, int]) -> None:
    """Let open applications go on about what says their fact now. `replaced`: as of ledger.Appended."""
    about = select(Application).where(Application.entry_seq.in_(replaced), Application.state.in_(OPEN))
    for application in session.scalars(about):
        application.entry_seq = replaced[application.entry_seq]
    session.flush()


def set_provisional_again(session: Session) -> int:
    """Compute anew the last days that rest on a calendar that was not out. Returns how many moved."""
    unsure = select(Application).where(Application.state.in_(OPEN), Application.provisional)
    moved = 0
    for application in session.scalars(unsure):
        before = application.due_on
        _set_due(session, application)
        moved += before != application.due_on
    return moved


# ---- reading --------------------------------------------------------------------------------------------------------


def get(session: Session, officer: Officer, number: int, *, to_change: bool = False) -> Application:
    """One application, nobody else's to change meanwhile if asked. Raises NotFound, decisions.NotYourDistrict."""
    application = session.get(Application, number, with_for_update=to_change)
    if application is None:
        raise NotFound
    if officer.district and application.district != officer.district:
        raise decisions.NotYourDistrict
    return application


def waiting(
    session: Session, officer: Officer, *, after: tuple[date, int] | None = None, limit: int = 50
) -> list[Application]:
    """Open applications within the officer's reach, the most urgent first. `after`: due day and number of the last."""
    due = func.coalesce(Application.due_on, _NEVER)
    asked = select(Application).where(Application.state.in_(OPEN), *_within(officer))
    if after:
        day, number = after
        asked = asked.where(or_(due > day, (due == day) & (Application.id > number)))
    return list(session.scalars(asked.order_by(due, Application.id).limit(limit)))


def closed(session: Session, officer: Officer, *, before: int | None = None, limit: int = 50) -> list[Application]:
    """Closed applications within the officer's reach, the newest first; `before`: below that number."""
    asked = select(Application).where(Application.state.not_in(OPEN), *_within(officer))
    if before is not None:
        asked = asked.where(Application.id < before)
    return list(session.scalars(asked.order_by(Application.id.desc()).limit(limit)))


def count(session: Session, officer: Officer) -> tuple[int, int]:
    """How many are open within the officer's reach, and how many of these are past their day."""
    return _counted(session, *_within(officer))


def count_all(session: Session) -> tuple[int, int]:
    """How many are open in the whole city, and how many of these are past their day."""
    return _counted(session)


def _counted(session: Session, *wanted: Any) -> tuple[int, int]:
    late = func.count().filter(Application.due_on < publication.today())
    row = session.execute(select(func.count(), late).where(Application.state.in_(OPEN), *wanted)).one()
    return int(row[0]), int(row[1])


_NEVER = date.max - timedelta(days=1)


def _within(officer: Officer) -> list[Any]:
    return [Application.district == officer.district] if officer.district else []
