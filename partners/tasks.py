"""Jobs of partners: checking, publishing and withdrawing batches, callbacks, the scorecards."""

from typing import Any

from partners import acceptance, callbacks, disputes, marking, scorecard, uploads
from portal.kit import db, jobs
from record import redaction


@jobs.task(uploads.CHECK, queue="files")
def check(ids: list[Any]) -> None:
    """Check batches, row by row."""
    for batch_id in ids:
        uploads.check(batch_id)


@jobs.task(uploads.MARK, queue="files")
def mark(ids: list[Any]) -> None:
    """Write the workbooks that go back with an error column."""
    for batch_id in ids:
        marking.mark(batch_id)


@jobs.task(uploads.PUBLISH, queue="files")
def publish(ids: list[Any]) -> None:
    """Publish accepted batches."""
    for batch_id in ids:
        acceptance.publish(batch_id)


@jobs.task(uploads.RETRACT, queue="files")
def retract(ids: list[Any]) -> None:
    """Withdraw the evaluations of batches that are taken back."""
    for batch_id in ids:
        acceptance.retract(batch_id)


@jobs.task(acceptance.RETRACT_ONE, queue="files")
def retract_one(asked: list[Any]) -> None:
    """Withdraw single evaluations."""
    for organisation_id, entry_id, reason in asked:
        acceptance.retract_one(organisation_id, entry_id, reason)


@jobs.task(disputes.CONCEDED, queue="files")
def write_conceded(numbers: list[Any]) -> None:
    """Withdraw ratings whose raters conceded."""
    for number in numbers:
        disputes.write_conceded(number)


@jobs.task("partners.forget", queue="deliveries", on=redaction.REDACTED)
def forget(seqs: list[Any]) -> None:
    """Erase what is kept beside entries that were redacted."""
    acceptance.forget(seqs)


@jobs.task(callbacks.SEND, queue="deliveries")
def call(ids: list[Any]) -> None:
    """Send messages to partners' own systems."""
    for callback_id in ids:
        callbacks.send(callback_id)


@jobs.task("partners.mend_clocks", queue="mail")
def mend_clocks(_items: list[Any]) -> None:
    """Set last days of disputes anew that rested on a calendar that was not out."""
    with db.writing() as session:
        disputes.set_provisional_again(session)


@jobs.task("partners.score", queue="snapshots")
def score(_items: list[Any]) -> None:
    """Compute the scorecards anew."""
    scorecard.compute_all()
