"""The channel back (信息互联共享, 委托代理): what a department asks of organisations or tells them, and what they do.

    offered → taken → delivered → approved      delivered → taken, with a remark      offered | taken → declined
    a notice: offered → read

Every organisation has a task of its own and sees no other's. A commission is its department's, whatever district its
officers' roles hold in; once it is closed no step is open any more.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from partners import callbacks, organisations, papers
from partners.models import Commission, CommissionTask, Organisation, OrganisationType, Paper
from partners.papers import Handed
from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, masking, publication
from record.codes import Labels

KINDS: Labels = {
    "evaluation": ("评价", "Evaluation"),
    "consulting": ("咨询", "Consulting"),
    "training": ("培训", "Training"),
    "supervision_assessment": ("监管效能评估", "Assessment of supervision"),
    "notice": ("通知", "Notice"),
}
STATES: Labels = {
    "offered": ("待回应", "Not taken up yet"),
    "taken": ("办理中", "Taken up"),
    "delivered": ("已提交，待审核", "Delivered, waits for approval"),
    "approved": ("已通过", "Approved"),
    "declined": ("已谢绝", "Declined"),
    "read": ("已阅", "Read"),
}
OPEN_STATES = ("offered", "taken", "delivered")
_OWED_STATES = ("offered", "taken")
"""In which something is still owed by the organisation, and may be late."""
MOST_ORGANISATIONS = 300
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")

Side = Literal["asked", "delivered"]
"""Which file of a task: the department's or the organisation's."""


class CommissionMoved(PortalError):
    status = 409
    slug = "commission-moved"
    title = "This step is not open: the commission has moved on."
    remedy = "Open it again and see how far it is."


class CommissionClosed(PortalError):
    status = 409
    slug = "commission-closed"
    title = "The department has closed this commission."
    remedy = "Nothing more is needed. What was handed in before is kept."


class NobodyChosen(PortalError):
    status = 422
    slug = "nobody-chosen"
    title = "Nobody would get this: no organisation that is active was chosen."
    remedy = "Choose organisations, or types of organisation of which some are active."


class TooManyOrganisations(PortalError):
    status = 422
    slug = "too-many-organisations"
    title = "These are more organisations than one commission goes to."
    remedy = "Choose at most %(most)s."


class WordsWrong(PortalError):
    status = 422
    slug = "words-length"
    title = "What you wrote is too short or too long."
    remedy = "Write %(least)s to %(most)s characters: a few for a title, a sentence for everything else."


class DueDayOver(PortalError):
    status = 422
    slug = "due-day-over"
    title = "This day is over."
    remedy = "Enter today or a day to come."


def words(text: str, *, least: int = 5, most: int = 2_000) -> str:
    """What a person wrote, without signs that cannot be shown. Raises WordsWrong."""
    cleaned = _UNSHOWN.sub("", text.replace("\r\n", "\n")).strip()
    if not least <= len(cleaned) <= most:
        raise WordsWrong(least=least, most=most)
    return cleaned


# ---- at the desk ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """What a department asks, and of whom."""

    kind: str
    title: str
    words: str
    due_on: date | None = None
    organisations: Collection[str] = field(default_factory=frozenset)
    """Ids."""
    types: Collection[OrganisationType] = field(default_factory=frozenset)
    """Every active organisation of these types; market entities only where `entity` is among them."""


def issue(session: Session, officer: Officer, order: Order, handed: Handed | None = None) -> Commission:
    """Issue a commission or a notice. Last in its transaction.

    Raises WordsWrong, DueDayOver, NobodyChosen, TooManyOrganisations, ValueError for a kind that does not exist.
    """
    if order.kind not in KINDS:
        raise ValueError(f"there is no commission of kind {order.kind!r}")
    made = Commission(
        kind=order.kind, title=words(order.title, least=2, most=200), words=words(order.words, most=4_000),
        department=officer.department, due_on=order.due_on, created_by=officer.id, created_at=db.now(),
    )  # fmt: skip
    if order.due_on and order.due_on < publication.today():
        raise DueDayOver
    to = _recipients(session, order)
    if handed:
        made.paper_id = papers.keep_handed(session, handed, organisation_id=None).id
    session.add(made)
    session.flush()
    tasks = [
        CommissionTask(commission_id=made.id, organisation_id=each, state="offered", changed_at=made.created_at)
        for each in to
    ]
    session.add_all(tasks)
    session.flush()
    for task in tasks:
        _tell(session, made, task, "offered")
    acts.keep(
        session, "commission_issue", about=f"commission {made.id}", by=officer,
        details={"kind": made.kind, "organisations": str(len(tasks))},
    )  # fmt: skip
    return made


def _recipients(session: Session, order: Order) -> list[str]:
    chosen = or_(Organisation.id.in_(order.organisations), Organisation.type.in_(order.types))
    asked = select(Organisation.id).where(chosen, _may_act()).order_by(Organisation.id)
    found = list(session.scalars(asked.limit(MOST_ORGANISATIONS + 1)))
    if not found:
        raise NobodyChosen
    if len(found) > MOST_ORGANISATIONS:
        raise TooManyOrganisations(most=MOST_ORGANISATIONS)
    return found


def _may_act() -> ColumnElement[bool]:
    """As `organisations.is_open`, for a query."""
    today = publication.today()
    begun = or_(Organisation.valid_from.is_(None), Organisation.valid_from <= today)
    still = or_(Organisation.valid_until.is_(None), Organisation.valid_until >= today)
    return (Organisation.state == "active") & begun & still


def partners(session: Session) -> list[Organisation]:
    """Organisations to choose from, market entities left out."""
    asked = select(Organisation).where(Organisation.type != "entity", _may_act())
    return list(session.scalars(asked.order_by(Organisation.type, Organisation.name).limit(MOST_ORGANISATIONS)))


def approve(session: Session, officer: Officer, number: int, task_id: int, remark: str = "") -> CommissionTask:
    """Accept what was delivered. Last in its transaction. Raises NotFound, CommissionClosed, CommissionMoved."""
    said = words(remark, least=0)
    return _judge(session, officer, (number, task_id), "approved", said or None)


def send_back(session: Session, officer: Officer, number: int, task_id: int, remark: str) -> CommissionTask:
    """Ask for more than was delivered. Last in its transaction. Raises as `approve`, WordsWrong without a remark."""
    return _judge(session, officer, (number, task_id), "taken", words(remark))


def _judge(
    session: Session, officer: Officer, of: tuple[int, int], state: Literal["approved", "taken"], remark: str | None
) -> CommissionTask:
    commission, task = _at(session, of[1])
    if (commission.department, commission.id) != (officer.department, of[0]):
        raise NotFound
    _refuse_closed(commission)
    _move(task, ("delivered",), state)
    task.remark = remark
    session.flush()
    what = "approved" if state == "approved" else "returned"
    _tell(session, commission, task, what)
    acts.keep(
        session, f"commission_{what}", about=f"commission {commission.id}", by=officer, reason=remark,
        details={"organisation": task.organisation_id},
    )  # fmt: skip
    return task


def close(session: Session, officer: Officer, number: int, reason: str) -> Commission:
    """Close a commission: whoever has not finished reads the reason. Last in its transaction.

    Raises NotFound, CommissionClosed, WordsWrong.
    """
    why = words(reason)
    commission = session.get(Commission, number, with_for_update=True)
    if commission is None or commission.department != officer.department:
        raise NotFound
    _refuse_closed(commission)
    commission.closed_at = db.now()
    unfinished = select(CommissionTask).where(
        CommissionTask.commission_id == number, CommissionTask.state.in_(OPEN_STATES)
    )
    tasks = list(session.scalars(unfinished.order_by(CommissionTask.id).with_for_update()))
    for task in tasks:
        task.remark = why
    session.flush()
    for task in tasks:
        _tell(session, commission, task, "closed")
    acts.keep(session, "commission_close", about=f"commission {number}", by=officer, reason=why)
    return commission


# ---- what an organisation does --------------------------------------------------------------------------------------


def take(session: Session, organisation_id: str, task_id: int) -> CommissionTask:
    """Take a commission up. Raises NotFound, OrganisationClosed, CommissionClosed, CommissionMoved."""
    return _step(session, organisation_id, task_id, ("offered",), "taken")


def decline(session: Session, organisation_id: str, task_id: int, reason: str) -> CommissionTask:
    """Say why it is not done. Raises as `take`, and WordsWrong."""
    why = masking.masked(words(reason))
    task = _step(session, organisation_id, task_id, _OWED_STATES, "declined")
    task.answer = why
    session.flush()
    return task


def read(session: Session, organisation_id: str, task_id: int) -> CommissionTask:
    """Confirm that a notice was read. Raises as `take`."""
    return _step(session, organisation_id, task_id, ("offered",), "read", notice=True)


def deliver(
    session: Session, organisation_id: str, task_id: int, answer: str, handed: Handed | None = None
) -> CommissionTask:
    """Hand in what was asked for. A file that was handed in before stays unless another comes.

    Raises as `take`, WordsWrong, StorageAway.
    """
    said = masking.masked(words(answer, most=4_000))[:4_000]
    task = _step(session, organisation_id, task_id, ("taken",), "delivered")
    task.answer = said
    if handed:
        task.paper_id = papers.keep_handed(session, handed, organisation_id=organisation_id).id
    session.flush()
    return task


def _step(
    session: Session, organisation_id: str, task_id: int, before: Sequence[str], state: str, *, notice: bool = False
) -> CommissionTask:
    organisations.acting(session, organisation_id)
    commission, task = _at(session, task_id)
    if task.organisation_id != organisation_id:
        raise NotFound
    _refuse_closed(commission)
    if (commission.kind == "notice") != notice:
        raise CommissionMoved
    _move(task, before, state)
    session.flush()
    return task


def _at(session: Session, task_id: int) -> tuple[Commission, CommissionTask]:
    """A task and its commission, both held: the commission first, as `close` does. Raises NotFound."""
    number = session.scalar(select(CommissionTask.commission_id).where(CommissionTask.id == task_id))
    if number is None:
        raise NotFound
    commission = session.get_one(Commission, number, with_for_update={"read": True})
    return commission, session.get_one(CommissionTask, task_id, with_for_update=True)


def _refuse_closed(commission: Commission) -> None:
    if commission.closed_at is not None:
        raise CommissionClosed


def _move(task: CommissionTask, before: Sequence[str], state: str) -> None:
    if task.state not in before:
        raise CommissionMoved
    task.state, task.changed_at = state, db.now()


def _tell(session: Session, commission: Commission, task: CommissionTask, what: str) -> None:
    callbacks.tell(session, task.organisation_id, f"commission.{what}", summary(commission, task))


def summary(commission: Commission, task: CommissionTask) -> dict[str, Any]:
    """What an organisation's own programs read of a commission."""
    return {
        "id": task.id,
        "kind": commission.kind,
        "status": task.state,
        "due_on": commission.due_on.isoformat() if commission.due_on else None,
        "closed": commission.closed_at is not None,
    }


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One organisation's part in a commission."""

    task: CommissionTask
    commission: Commission
    organisation: Organisation | None = None
    """For officers."""

    @property
    def is_open(self) -> bool:
        return self.commission.closed_at is None and self.task.state in OPEN_STATES

    @property
    def is_overdue(self) -> bool:
        due = self.commission.due_on
        return self.is_open and self.task.state in _OWED_STATES and due is not None and due < publication.today()


def of(
    session: Session, organisation_id: str, *, done: bool = False, before: int | None = None, limit: int = 50
) -> list[Part]:
    """An organisation's tasks that are open, or those that are over, the newest first, from before the one given."""
    is_open = CommissionTask.state.in_(OPEN_STATES) & Commission.closed_at.is_(None)
    asked = (
        select(CommissionTask, Commission)
        .join(Commission, Commission.id == CommissionTask.commission_id)
        .where(CommissionTask.organisation_id == organisation_id, ~is_open if done else is_open)
    )
    if before is not None:
        asked = asked.where(CommissionTask.id < before)
    rows = session.execute(asked.order_by(CommissionTask.id.desc()).limit(limit))
    return [Part(task, commission) for task, commission in rows]


def seen_by(session: Session, organisation_id: str, task_id: int) -> Part:
    """An organisation's own task. Raises NotFound for anybody else's."""
    task = session.get(CommissionTask, task_id)
    if task is None or task.organisation_id != organisation_id:
        raise NotFound
    return Part(task, session.get_one(Commission, task.commission_id))


def issued(
    session: Session, officer: Officer, *, closed: bool = False, before: int | None = None, limit: int = 50
) -> list[Commission]:
    """The officer's department's commissions that are open, or those that are closed, the newest first."""
    ended = Commission.closed_at.is_not(None) if closed else Commission.closed_at.is_(None)
    asked = select(Commission).where(Commission.department == officer.department, ended)
    if before is not None:
        asked = asked.where(Commission.id < before)
    return list(session.scalars(asked.order_by(Commission.id.desc()).limit(limit)))


@dataclass(frozen=True, slots=True)
class Tally:
    """How far the organisations of one commission are."""

    organisations: int
    waiting: int
    """Deliveries that wait for approval."""
    finished: int
    overdue: int


NOBODY = Tally(0, 0, 0, 0)


def tallies(session: Session, numbers: Collection[int]) -> Mapping[int, Tally]:
    """How far each of these commissions is."""
    state = CommissionTask.state
    late = state.in_(_OWED_STATES) & (Commission.due_on < publication.today()) & Commission.closed_at.is_(None)
    asked = (
        select(
            CommissionTask.commission_id, func.count(), func.count().filter(state == "delivered"),
            func.count().filter(state.not_in(OPEN_STATES)), func.count().filter(late),
        )
        .join(Commission, Commission.id == CommissionTask.commission_id)
        .where(CommissionTask.commission_id.in_(numbers))
        .group_by(CommissionTask.commission_id)
    )  # fmt: skip
    return {number: Tally(*counts) for number, *counts in session.execute(asked)}


def get(session: Session, officer: Officer, number: int) -> Commission:
    """A commission of the officer's department. Raises NotFound."""
    found = session.get(Commission, number)
    if found is None or found.department != officer.department:
        raise NotFound
    return found


def parts(session: Session, commission: Commission) -> list[Part]:
    """Every organisation's part, deliveries that wait for approval first."""
    asked = (
        select(CommissionTask, Organisation)
        .join(Organisation, Organisation.id == CommissionTask.organisation_id)
        .where(CommissionTask.commission_id == commission.id)
        .order_by(case((CommissionTask.state == "delivered", 0), else_=1), Organisation.name, CommissionTask.id)
    )
    return [Part(task, commission, organisation) for task, organisation in session.execute(asked)]


def part(session: Session, officer: Officer, number: int, task_id: int) -> Part:
    """One organisation's part in a commission of the officer's department. Raises NotFound."""
    commission, task = get(session, officer, number), session.get(CommissionTask, task_id)
    if task is None or task.commission_id != number:
        raise NotFound
    return Part(task, commission)


def paper(session: Session, part: Part, side: Side) -> Paper:
    """The file that was sent along with a commission, or that was delivered. Raises NotFound."""
    paper_id = part.commission.paper_id if side == "asked" else part.task.paper_id
    if paper_id is None:
        raise NotFound
    return papers.get(session, paper_id)


def files(session: Session, found: Sequence[Part]) -> dict[str, Paper]:
    """The files of these parts, by id."""
    ids = {one for part in found for one in (part.commission.paper_id, part.task.paper_id) if one}
    return {one.id: one for one in session.scalars(select(Paper).where(Paper.id.in_(ids)))}


def to_approve(session: Session, officer: Officer) -> tuple[int, int]:
    """How many deliveries wait for the officer's department, and how many of these are past their day."""
    late = func.count().filter(Commission.due_on < publication.today())
    asked = (
        select(func.count(), late)
        .select_from(CommissionTask)
        .join(Commission, Commission.id == CommissionTask.commission_id)
        .where(
            CommissionTask.state == "delivered", Commission.closed_at.is_(None),
            Commission.department == officer.department,
        )
    )  # fmt: skip
    row = session.execute(asked).one()
    return int(row[0]), int(row[1])
