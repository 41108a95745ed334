"""Jobs of the supervision record."""

import time
from typing import Any

from portal.kit import db, jobs
from portal.kit.mail import MailFailed
from record import (
    applications,
    feedback,
    follow,
    joining,
    kinds,
    ledger,
    mailings,
    news,
    publication,
    signed,
    subscriptions,
    switches,
    uploads,
)

SEND_FOR_SECONDS = 60.0
"""After that the rest is left to a job of its own."""


@jobs.task("record.join", queue="search", on="entity.changed")
def join(codes: list[Any]) -> None:
    """Join to entities that arrived what came before them."""
    with db.writing() as session:
        joining.join(session, codes)


@jobs.task("record.sign_head", queue="deliveries")
def sign_head(_items: list[Any]) -> None:
    """Sign the ledger's head for a public side that holds no private key."""
    with db.writing() as session:
        signed.keep(session)


@jobs.task("record.close_windows", queue="deliveries")
def close_windows(_items: list[Any]) -> None:
    """Withdraw what has come to the end of its term, a thousand at a time."""
    closed = 1
    while closed:
        with db.writing() as session:
            closed = publication.close_windows(session)


@jobs.task("record.mend_calendar", queue="mail")
def mend_calendar(_items: list[Any]) -> None:
    """Compute anew the last days that rest on a calendar that was not out when they were set."""
    with db.writing() as session:
        applications.set_provisional_again(session)


@jobs.task(uploads.READ, queue="files")
def read_upload(numbers: list[Any]) -> None:
    """Read files that officers handed in."""
    for number in numbers:
        uploads.read(number)


@jobs.task(switches.LEVEL, queue="deliveries")
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


@jobs.task("record.deliver", queue="deliveries", on=ledger.APPENDED)
def deliver(_items: list[Any]) -> None:
    """Give every subscription that is due its run."""
    feedback.wake()


@jobs.task(subscriptions.DELIVER, queue="deliveries")
def deliver_to(subscription_ids: list[Any]) -> None:
    """Let subscriptions go on."""
    for subscription_id in subscription_ids:
        feedback.deliver(subscription_id)


# ---- followers: `letters` brings the web's templates along, so it loads when there is something to write ------------


@jobs.task("record.note_followers", queue="mail", on=ledger.APPENDED)
def note_followers(_items: list[Any]) -> None:
    """Note whom new entries concern."""
    more = True
    while more:
        with db.writing() as session:
            more = mailings.note(session)


@jobs.task(follow.LINK, queue="mail")
def mail_follow_link(ids: list[Any]) -> None:
    """Mail addresses that were given to a form the link to what they were given for."""
    from record import letters

    for follow_id in ids:
        with db.reading() as session:
            asked = follow.find(session, follow_id)
            address = follow.address(session, asked.address_id) if asked else None
        if asked and address:
            letters.link(asked, address).send()


@jobs.task(follow.SEND, queue="mail")
def mail_followers(_items: list[Any]) -> None:
    """Mail followers what is new, the longest due first; does nothing while another job does."""
    note_followers([])  # the cursor is the truth: what an event was lost for is found here
    with db.writing() as session:
        sender = mailings.begin(session)
    if sender is None:
        return
    try:
        end = time.monotonic() + SEND_FOR_SECONDS
        while time.monotonic() < end and _mail_one(sender):
            pass
    finally:
        with db.writing() as session:
            mailings.finish(session, sender)
    with db.writing() as session:
        mailings.go_on(session)


def _mail_one(sender: str) -> bool:
    """Mail the reader who has been due the longest. Returns whether there was one.

    Raises MailFailed when no mail at all goes, so that the job is tried again; a refused address is no such case.
    """
    from record import letters

    with db.writing() as session:
        mailing = mailings.take(session, sender)
    if mailing is None:
        return False
    with db.reading() as session:
        found = news.since(session, mailing.code, mailing.after, mailing.until)
    try:
        if not found.nothing:
            letters.news(mailing, found).send()
    except MailFailed as failure:
        with db.writing() as session:
            mailings.failed(session, mailing, failure)
        if failure.reason != "recipient":
            raise
        return True
    with db.writing() as session:
        mailings.settle(session, mailing, sent=not found.nothing)
    return True
