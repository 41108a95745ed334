"""Disputes (评价异议): an entity objects to a rating, its rater answers within a clock, an officer decides.

    open → answered → upheld | rejected
       ↘ conceded (the rater withdraws the rating)     ↘ ended (the entity takes it back, or the rating went)

While it runs the rating is marked as disputed wherever it is shown. What the entity and the rater write is for the two
and for officers; the public sees that there is a dispute, and that a rating is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from partners import callbacks, organisations
from partners.models import OPEN_DISPUTES, Dispute, DisputeState, Evaluation, EvaluationReply, Organisation
from portal.kit import db, jobs
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, clocks, evaluations, ledger, masking, publication
from record.codes import Labels
from record.publication import Published
from record.workdays import Calendar

CASE = "evaluation_dispute"
CONCEDED = "partners.write_conceded"
STATES: Labels = {
    "open": ("待评价机构答复", "Waiting for the rater"),
    "answered": ("待裁定", "Waiting for the decision"),
    "upheld": ("异议成立", "Upheld"),
    "rejected": ("异议不成立", "Not upheld"),
    "conceded": ("评价机构撤回", "Withdrawn by the rater"),
    "ended": ("已终止", "Ended"),
}


class NotYourRating(PortalError):
    status = 403
    slug = "not-your-rating"
    title = "This rating is about another entity."
    remedy = "You can answer and dispute what stands in the file that your account is bound to."


class DisputeOpen(PortalError):
    status = 409
    slug = "dispute-open"
    title = "This rating is disputed already: dispute %(number)s."
    remedy = "Wait for its decision, or take it back and open another."


class DisputeClosed(PortalError):
    status = 409
    slug = "dispute-closed"
    title = "This step is not open: the dispute has moved on."
    remedy = "Open it again and see how far it is."


class AnswerAwaited(PortalError):
    status = 409
    slug = "answer-awaited"
    title = "The rater still has until %(day)s to answer."
    remedy = "Decide when it has answered, or when that day is over."


# ---- what the entity does -------------------------------------------------------------------------------------------


def rating(session: Session, organisation: Organisation, seq: int) -> Published:
    """A published rating of the entity that this organisation is. Raises evaluations.NotStanding, NotYourRating."""
    entry = publication.get(session, seq)
    if entry is None or entry.kind != evaluations.KIND:
        raise evaluations.NotStanding
    if organisation.type != "entity" or organisation.entity_code != entry.entity_code:
        raise NotYourRating
    return entry


def open_(session: Session, organisation_id: str, seq: int, grounds: str, paper_id: str | None = None) -> Dispute:
    """Object to a rating. Raises evaluations.NotStanding, NotYourRating, DisputeOpen."""
    organisation = organisations.acting(session, organisation_id)
    held = _hold(session, [seq])
    entry = rating(session, organisation, seq)
    if seq not in held:
        raise evaluations.NotStanding
    same = select(Dispute.id).where(Dispute.entry_seq == seq, Dispute.state.in_(OPEN_DISPUTES))
    if (number := session.scalar(same)) is not None:
        raise DisputeOpen(number=number)
    dispute = Dispute(
        entry_seq=seq, entity_code=entry.entity_code, scheme_id=entry.payload["scheme"],
        rater_id=entry.payload["rater"], opened_by=organisation_id, grounds=masking.masked(grounds),
        paper_id=paper_id, state="open", opened_on=publication.today(), provisional=False,
    )  # fmt: skip
    _set_due(session, dispute)
    dispute.answer_due_on = dispute.due_on
    session.add(dispute)
    session.flush()
    callbacks.tell(session, dispute.rater_id, "dispute.opened", summary(dispute))
    return dispute


def _hold(session: Session, seqs: Sequence[int]) -> set[int]:
    """Those of these ratings that stand: nobody withdraws them or says them anew until this transaction ends."""
    asked = select(Evaluation.seq).where(Evaluation.seq.in_(seqs), Evaluation.leaving.is_(False))
    return set(session.scalars(asked.order_by(Evaluation.seq).with_for_update()))


def take_back(session: Session, organisation_id: str, number: int) -> Dispute:
    """End one's own dispute. Raises NotFound, DisputeClosed."""
    dispute = _mine(session, number, Dispute.opened_by, organisation_id)
    return _close(session, dispute, "ended")


def reply(session: Session, organisation_id: str, seq: int, words: str) -> EvaluationReply | None:
    """Say something in public to one's own rating; empty words take it back. Raises as `rating`."""
    organisation = organisations.acting(session, organisation_id)
    rating(session, organisation, seq)
    said = session.get(EvaluationReply, seq)
    if not words.strip():
        if said:
            session.delete(said)
            session.flush()
        return None
    if said is None:
        said = EvaluationReply(seq=seq, organisation_id=organisation_id)
        session.add(said)
    said.words, said.written_at, said.hidden_because = masking.masked(words.strip())[:1_000], db.now(), None
    session.flush()
    return said


def hide_reply(session: Session, officer: Officer, seq: int, reason: str) -> None:
    """Take a reply from the public, with the reason. Last in its transaction. Raises NotFound."""
    said = session.get(EvaluationReply, seq)
    if said is None:
        raise NotFound
    said.hidden_because = reason
    session.flush()
    acts.keep(session, "reply_hide", about=f"entry {seq}", by=officer, reason=reason)


# ---- what the rater does --------------------------------------------------------------------------------------------


def answer(session: Session, organisation_id: str, number: int, words: str) -> Dispute:
    """Answer a dispute: from now on the clock of the decision runs. Raises NotFound, DisputeClosed."""
    organisations.acting(session, organisation_id)
    dispute = _mine(session, number, Dispute.rater_id, organisation_id)
    if dispute.state != "open":
        raise DisputeClosed
    dispute.state, dispute.answer, dispute.answered_on = "answered", masking.masked(words), publication.today()
    _set_due(session, dispute)
    session.flush()
    callbacks.tell(session, dispute.opened_by, "dispute.answered", summary(dispute))
    return dispute


def concede(session: Session, organisation_id: str, number: int, words: str) -> Dispute:
    """Withdraw the rating that is disputed: a job writes it into the ledger. Raises NotFound, DisputeClosed."""
    organisations.acting(session, organisation_id)
    dispute = _mine(session, number, Dispute.rater_id, organisation_id)
    if dispute.state not in OPEN_DISPUTES:
        raise DisputeClosed
    dispute.answer, dispute.answered_on = masking.masked(words), dispute.answered_on or publication.today()
    _close(session, dispute, "conceded")
    jobs.add(session, CONCEDED, [number])
    return dispute


def write_conceded(number: int) -> None:
    """Write into the ledger that a rater conceded, and end the rating. Safe to repeat."""
    with db.writing() as session:
        ledger.lock(session)
        dispute = get(session, number)
        entry = publication.get(session, dispute.entry_seq)
        if entry is not None:
            evaluations.dispute_decided(session, entry, dispute.scheme_id, "conceded", str(dispute.answer))


# ---- what the desk does ---------------------------------------------------------------------------------------------


def decide(
    session: Session, officer: Officer, number: int, outcome: Literal["upheld", "rejected"], reason: str
) -> Dispute:
    """Decide a dispute: upheld ends the rating. Last in its transaction. Raises AnswerAwaited, DisputeClosed."""
    dispute = session.get(Dispute, number, with_for_update=True)
    if dispute is None:
        raise NotFound
    if dispute.state not in OPEN_DISPUTES:
        raise DisputeClosed
    if dispute.state == "open" and dispute.due_on and dispute.due_on >= publication.today():
        raise AnswerAwaited(day=dispute.due_on.isoformat())
    entry = publication.get(session, dispute.entry_seq)
    dispute.decision, dispute.decided_by = reason, officer.id
    _close(session, dispute, outcome)
    if entry is not None:
        evaluations.dispute_decided(session, entry, dispute.scheme_id, outcome, reason)
    acts.keep(
        session, f"dispute_{outcome}", about=f"dispute {number}", by=officer, reason=reason,
        entity_code=dispute.entity_code,
    )  # fmt: skip
    return dispute


def end_with(session: Session, seqs: Sequence[int]) -> int:
    """End the open disputes about ratings that their rater takes back with a whole batch. Returns how many."""
    _hold(session, seqs)
    about = select(Dispute).where(Dispute.entry_seq.in_(seqs), Dispute.state.in_(OPEN_DISPUTES))
    ended = 0
    for dispute in session.scalars(about):
        _close(session, dispute, "conceded")
        ended += 1
    return ended


def _close(session: Session, dispute: Dispute, state: DisputeState) -> Dispute:
    if dispute.state not in OPEN_DISPUTES:
        raise DisputeClosed
    dispute.state, dispute.closed_on, dispute.due_on, dispute.provisional = state, publication.today(), None, False
    session.flush()
    for told in {dispute.opened_by, dispute.rater_id}:
        callbacks.tell(session, told, f"dispute.{state}", summary(dispute))
    return dispute


def _mine(session: Session, number: int, side: Any, organisation_id: str) -> Dispute:
    found = session.scalar(select(Dispute).where(Dispute.id == number, side == organisation_id).with_for_update())
    if found is None:
        raise NotFound
    return found


# ---- clocks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """One duty of a dispute and the period for it."""

    duty: Literal["answer", "decide"]
    rule: clocks.Procedure
    since: date
    due_on: date
    provisional: bool
    done_on: date | None

    @property
    def is_late(self) -> bool:
        return (self.done_on or publication.today()) > self.due_on


def clocks_of(session: Session, dispute: Dispute) -> list[Clock]:
    """The clocks of a dispute, by the rules in force on the day on which it was opened."""
    calendar = Calendar.of(session)
    closed_or_answered = dispute.answered_on or dispute.closed_on
    starts: list[tuple[Literal["answer", "decide"], date | None, date | None]] = [
        ("answer", dispute.opened_on, closed_or_answered),
        ("decide", dispute.answered_on, dispute.closed_on),
    ]
    found = []
    for duty, since, done_on in starts:
        rule = clocks.procedure(CASE, duty, dispute.opened_on)
        if since and rule:
            due = calendar.after(since, rule.days)
            found.append(Clock(duty, rule, since, due.day, due.provisional, done_on))
    return found


def _set_due(session: Session, dispute: Dispute) -> None:
    running = [clock for clock in clocks_of(session, dispute) if clock.done_on is None]
    dispute.due_on = running[-1].due_on if running else None
    dispute.provisional = running[-1].provisional if running else False


def set_provisional_again(session: Session) -> int:
    """Compute anew the last days that rest on a calendar that was not out. Returns how many moved."""
    moved = 0
    for dispute in session.scalars(select(Dispute).where(Dispute.state.in_(OPEN_DISPUTES), Dispute.provisional)):
        before = dispute.due_on
        _set_due(session, dispute)
        moved += before != dispute.due_on
    return moved


# ---- reading --------------------------------------------------------------------------------------------------------


def get(session: Session, number: int) -> Dispute:
    """For officers. Raises NotFound."""
    found = session.get(Dispute, number)
    if found is None:
        raise NotFound
    return found


def seen_by(session: Session, organisation_id: str, number: int) -> Dispute:
    """A dispute that this organisation opened or must answer. Raises NotFound for anybody else's."""
    found = session.get(Dispute, number)
    if found is None or organisation_id not in {found.opened_by, found.rater_id}:
        raise NotFound
    return found


def of(session: Session, organisation_id: str, *, limit: int = 100) -> list[Dispute]:
    """An organisation's disputes, on either side, the open ones first."""
    mine = (Dispute.opened_by == organisation_id) | (Dispute.rater_id == organisation_id)
    asked = select(Dispute).where(mine).order_by(Dispute.closed_on.is_not(None), Dispute.id.desc())
    return list(session.scalars(asked.limit(limit)))


def waiting(session: Session, *, limit: int = 100) -> list[Dispute]:
    """Disputes that an officer can decide or that are late, the most urgent first."""
    asked = select(Dispute).where(Dispute.state.in_(OPEN_DISPUTES))
    return list(session.scalars(asked.order_by(Dispute.due_on, Dispute.id).limit(limit)))


def count(session: Session) -> tuple[int, int]:
    """How many are open, and how many of these are past their day."""
    late = func.count().filter(Dispute.due_on < publication.today())
    row = session.execute(select(func.count(), late).where(Dispute.state.in_(OPEN_DISPUTES))).one()
    return int(row[0]), int(row[1])


def replies(session: Session, seqs: Sequence[int]) -> dict[int, EvaluationReply]:
    """What entities say to these ratings in public."""
    asked = select(EvaluationReply).where(EvaluationReply.seq.in_(seqs), EvaluationReply.hidden_because.is_(None))
    return {one.seq: one for one in session.scalars(asked)}


def of_entries(session: Session, seqs: Sequence[int]) -> dict[int, Dispute]:
    """The newest dispute about each of these ratings."""
    asked = select(Dispute).where(Dispute.entry_seq.in_(seqs)).order_by(Dispute.id)
    return {one.entry_seq: one for one in session.scalars(asked)}


def summary(dispute: Dispute) -> dict[str, Any]:
    """What outside programs read of a dispute."""
    return {
        "id": dispute.id,
        "entity_code": dispute.entity_code,
        "scheme": dispute.scheme_id,
        "status": dispute.state,
        "opened_on": dispute.opened_on.isoformat(),
        "due_on": dispute.due_on.isoformat() if dispute.due_on else None,
    }
