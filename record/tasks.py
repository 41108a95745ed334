"""Jobs of the supervision record."""

from typing import Any

from portal.kit import db, jobs
from record import applications, feedback, feeds, kinds, ledger, publication, subscriptions, switches


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


@jobs.task("record.mend_calendar")
def mend_calendar(_items: list[Any]) -> None:
    """Compute anew the last days that rest on a calendar that was not out when they were set."""
    with db.writing() as session:
        applications.set_provisional_again(session)


@jobs.task(switches.LEVEL)
def level_flags(names: list[Any]) -> None:
    """Bring entities' flags to what is shown of these kinds, or of those whose switch takes effect today."""
    if not names:
        with db.reading() as session:
            names = switches.due_today(session)
    for name in names:
        after: str | None = "" if kinds.KINDS[name].listing else None
        while after is not None:
            with db.writing() as session:
                after = switches.level_flags(session, name, after)


@jobs.task("record.deliver", on=ledger.APPENDED)
def deliver(_items: list[Any]) -> None:
    """Give every subscription that is due its run."""
    feedback.wake()


@jobs.task(subscriptions.DELIVER)
def deliver_to(subscription_ids: list[Any]) -> None:
    """Let subscriptions go on."""
    for subscription_id in subscription_ids:
        feedback.deliver(subscription_id)
