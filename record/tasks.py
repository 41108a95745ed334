"""Jobs of the supervision record."""

from typing import Any

from portal.kit import db, jobs
from record import feedback, feeds, ledger, publication, subscriptions


@jobs.task("record.join", on="entity.changed")
def join(codes: list[Any]) -> None:
    """Join to entities that arrived what came before them."""
    with db.writing() as session:
        feeds.join(session, codes)


@jobs.task("record.close_windows")
def close_windows(_items: list[Any]) -> None:
    """Withdraw what has come to the end of its term, a thousand at a time."""
    closed = 1
    while closed:
        with db.writing() as session:
            closed = publication.close_windows(session)


@jobs.task("record.deliver", on=ledger.APPENDED)
def deliver(_items: list[Any]) -> None:
    """Give every subscription that is due its run."""
    feedback.wake()


@jobs.task(subscriptions.DELIVER)
def deliver_to(subscription_ids: list[Any]) -> None:
    """Let subscriptions go on."""
    for subscription_id in subscription_ids:
        feedback.deliver(subscription_id)
