"""Publishing an accepted batch, in pieces that can go on where a process died, and taking one back."""

from collections.abc import Iterable, Iterator
from itertools import islice

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from partners import callbacks, disputes, staging, uploads
from partners.models import Batch, BatchName, Dispute, Evaluation, EvaluationReply, Scheme
from partners.staging import Rater, Staged
from portal.kit import db, jobs
from portal.kit.errors import NotFound
from record import acts, codes, entities, evaluations, ledger
from record.ledger import Appended
from record.publication import Published

AT_ONCE = 500
RETRACT_ONE = "partners.retract_one"

log = structlog.get_logger()


def publish(batch_id: str) -> None:
    """Append what was accepted to the ledger, from where it was stopped. Safe to repeat and to kill."""
    with db.reading() as session:
        batch = session.get_one(Batch, batch_id)
        if batch.state != "accepting":
            return
        rater = uploads.rater_of(session, batch)
    rows = islice(_accepted(batch), batch.published, None)
    done = batch.published
    while piece := list(islice(rows, AT_ONCE)):
        if not _append(batch_id, rater, piece, done):
            return  # another worker is ahead
        done += len(piece)
    with db.writing() as session:
        batch = session.get_one(Batch, batch_id, with_for_update=True)
        if batch.state == "accepting":
            batch.state = "accepted"
            session.flush()
            callbacks.tell(session, batch.organisation_id, "batch.accepted", uploads.summary(batch))
            acts.keep(session, "batch_accept", about=f"batch {batch_id}", by=None, details={"sha256": batch.sha256})
    log.info("batch.accepted", batch=batch_id, rows=done)


def _accepted(batch: Batch) -> Iterator[Staged]:
    """The rows of a batch that are to be published, the same ones in the same order every time."""
    for row in staging.lines(batch.id, "rows"):
        yield Staged(*row)
    with db.reading() as session:
        asked = select(BatchName.place, BatchName.chosen).where(
            BatchName.batch_id == batch.id, BatchName.chosen.is_not(None)
        )
        chosen = {place: code for place, code in session.execute(asked) if code}
    named = _registered_names(set(chosen.values()))
    for place, row in enumerate(staging.lines(batch.id, "names") if chosen else ()):
        if place in chosen:
            code = chosen[place]
            yield Staged(*row)._replace(code=code, name=named.get(code, row[2]))


def _registered_names(wanted: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    ordered = sorted(wanted)
    for start in range(0, len(ordered), AT_ONCE):
        with db.reading() as session:
            part = entities.briefly(session, ordered[start : start + AT_ONCE])
        found |= {code: entity.name for code, entity in part.items()}
    return found


def _append(batch_id: str, rater: Rater, piece: list[Staged], done: int) -> bool:
    """Append a piece and move the batch's cursor, both or neither. Returns whether it was this one's turn."""
    with db.writing() as session:
        batch = session.get_one(Batch, batch_id, with_for_update=True)
        if batch.state != "accepting" or batch.published != done:
            return False
        batch.published = batch.progress = done + len(piece)
        session.flush()
        facts = [(row.code, row.day, rater.payload(row)) for row in piece]
        appended = evaluations.append(session, rater.organisation.id, facts)
        _project(session, batch_id, rater, appended)
    return True


def _project(session: Session, batch_id: str, rater: Rater, appended: Appended) -> None:
    """Keep what partners' pages count by beside the entries, and let what hangs on a superseded one go on."""
    if appended.replaced:  # before the disputes: whoever opens one holds the row of its rating
        session.execute(delete(Evaluation).where(Evaluation.seq.in_(appended.replaced)))
    for old, new in appended.replaced.items():
        session.execute(update(Dispute).where(Dispute.entry_seq == old).values(entry_seq=new))
        session.execute(update(EvaluationReply).where(EvaluationReply.seq == old).values(seq=new))
    rows = [
        (
            seq, batch_id, rater.scheme_id, fact.entity_code, fact.payload.get("grade"), fact.occurred_on,
            fact.payload.get("valid_until"),
        )
        for seq, fact in appended.written
    ]  # fmt: skip
    columns = ("seq", "batch_id", "scheme_id", "entity_code", "grade", "evaluated_on", "valid_until")
    db.insert_many(session.connection(), "evaluation", columns, rows)


def retract(batch_id: str) -> None:
    """Withdraw every evaluation of a batch that is being taken back. Safe to repeat and to kill."""
    after = -1
    while seqs := _next(batch_id, after):
        with db.writing() as session:
            ledger.lock(session)  # before the ratings are held, in the order of whoever appends
            disputes.end_with(session, seqs)
            evaluations.withdraw(session, seqs, "annulled")
        after = seqs[-1]
    with db.writing() as session:
        batch = session.get_one(Batch, batch_id, with_for_update=True)
        if batch.state == "withdrawing":
            batch.state = "withdrawn"
            session.flush()
            callbacks.tell(session, batch.organisation_id, "batch.withdrawn", uploads.summary(batch))
            acts.keep(
                session, "batch_withdraw", about=f"batch {batch_id}", by=None, reason=batch.reason,
                details={"by": batch.sent_by},
            )  # fmt: skip


def _next(batch_id: str, after: int) -> list[int]:
    with db.reading() as session:
        asked = select(Evaluation.seq).where(Evaluation.batch_id == batch_id, Evaluation.seq > after)
        return list(session.scalars(asked.order_by(Evaluation.seq).limit(AT_ONCE)))


def withdraw_one(session: Session, organisation_id: str, entry_id: str, reason: str) -> None:
    """Withdraw one of the organisation's evaluations: a job writes it into the ledger.

    Raises NotFound for anybody else's, and for what was withdrawn before.
    """
    seq = evaluations.number_of(session, organisation_id, entry_id)
    kept = session.get(Evaluation, seq, with_for_update=True) if seq is not None else None
    if kept is None or kept.leaving:
        raise NotFound
    kept.leaving = True
    session.flush()
    disputes.end_with(session, [kept.seq])
    jobs.add(session, RETRACT_ONE, [[organisation_id, entry_id, reason]])


def retract_one(organisation_id: str, entry_id: str, reason: str) -> None:
    """Write into the ledger that an evaluation was withdrawn, in whichever words it stands by now. Safe to repeat."""
    with db.writing() as session:
        ledger.lock(session)
        seq = evaluations.number_now(session, organisation_id, entry_id)
        if seq is None:
            return
        evaluations.withdraw(session, [seq], "annulled")
        acts.keep(
            session,
            "evaluation_withdraw",
            about=entry_id,
            by=None,
            reason=reason,
            details={"organisation": organisation_id},
        )


def published_by(
    session: Session, organisation_id: str, *, code: str | None = None, before: int | None = None, limit: int = 50
) -> tuple[list[Published], int | None]:
    """The organisation's evaluations that stand, the newest entry first, and what to ask `before` next."""
    asked = (
        select(Evaluation.seq)
        .join(Scheme, Scheme.id == Evaluation.scheme_id)
        .where(Scheme.organisation_id == organisation_id, Evaluation.leaving.is_(False))
    )
    if code:
        asked = asked.where(Evaluation.entity_code == (codes.normalise(code) or code))
    if before is not None:
        asked = asked.where(Evaluation.seq < before)
    seqs = list(session.scalars(asked.order_by(Evaluation.seq.desc()).limit(limit)))
    shown = evaluations.shown(session, seqs)
    return [shown[seq] for seq in seqs if seq in shown], seqs[-1] if len(seqs) == limit else None


def forget(seqs: Iterable[int]) -> int:
    """Erase what is kept beside entries that were redacted. Returns how many."""
    gone = list(seqs)
    with db.writing() as session:
        session.execute(delete(Evaluation).where(Evaluation.seq.in_(gone)))
        session.execute(delete(EvaluationReply).where(EvaluationReply.seq.in_(gone)))
        about = update(Dispute).where(Dispute.entry_seq.in_(gone))
        session.execute(about.values(grounds="", answer=None, decision=None))
    return len(gone)
