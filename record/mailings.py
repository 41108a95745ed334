"""When followers are mailed, and how far each of them knows the ledger. What there is to tell is in `news`.

    while mailings.note(session): …                    # whom the new entries concern
    sender = mailings.begin(session)                   # one sends at a time
    while mailing := mailings.take(session, sender):   # each in a transaction of its own
        …
        mailings.settle(session, mailing, sent=True)
    mailings.finish(session, sender)

A mail is sent between two transactions. Who is killed in between sends it again when it is due next: no news is lost,
and the same mail has the same Message-ID, so that a mailbox can tell.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import case, exists, literal, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from portal.kit import db, jobs
from portal.kit.db import UtcDateTime
from portal.kit.mail import MailFailed
from record import follow, ledger
from record.models import Entity, Follow, FollowAddress, FollowProgress, LedgerEntry

QUIET = timedelta(hours=1)
"""At most one mail to a reader about an entity in that time; the first goes at once."""
LEASE = timedelta(minutes=4)
"""How long one mail may take before another sender may begin."""
MOST_TRIES = 12
"""With the pauses between them, a day and a bit: as long as a mail server may be away."""
LONGEST_PAUSE = timedelta(hours=6)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mailing:
    """One reader who is due, and the entries about which there may be something to tell."""

    follow_id: str
    address_id: str
    address: str
    code: str
    name: str
    language: str
    after: int
    until: int
    """`seq` of the last entry to be told of."""
    tries: int


def _locked(session: Session) -> FollowProgress:
    """The progress, nobody else's to change until this transaction ends."""
    return session.get_one(FollowProgress, 1, with_for_update=True)


# ---- noting ---------------------------------------------------------------------------------------------------------


def note(session: Session) -> bool:
    """Note which followers the next entries of the ledger concern, a thousand entries at a time.

    Returns whether there are more. Followers who are due already are left as they are.
    """
    progress, end = _locked(session), ledger.size(session) - 1
    until = min(progress.seq + ledger.MOST_AT_ONCE, end)
    if until <= progress.seq:
        return False
    touched = select(LedgerEntry.entity_code).where(
        LedgerEntry.seq > progress.seq,
        LedgerEntry.seq <= until,
        LedgerEntry.visibility == "public",
        LedgerEntry.shown_from.is_(None),
        LedgerEntry.entity_code.is_not(None),
    )
    moment = literal(db.now(), UtcDateTime())
    noted = session.execute(
        update(Follow)
        .where(Follow.due_at.is_(None), Follow.confirmed_at.is_not(None), Follow.entity_code.in_(touched))
        .values(due_at=case((Follow.quiet_until > moment, Follow.quiet_until), else_=moment)),
        execution_options={"synchronize_session": False},
    )
    if isinstance(noted, CursorResult) and noted.rowcount:
        jobs.add(session, follow.SEND, [])
    progress.seq = until
    return until < end


# ---- sending --------------------------------------------------------------------------------------------------------


def begin(session: Session) -> str | None:
    """Become the one who sends: a word to go on with, or None while somebody else does."""
    sender, moment = secrets.token_hex(16), db.now()
    free = or_(FollowProgress.sender.is_(None), FollowProgress.sender_until < moment)
    taken = session.execute(update(FollowProgress).where(free).values(sender=sender, sender_until=moment + LEASE))
    return sender if isinstance(taken, CursorResult) and taken.rowcount else None


def take(session: Session, sender: str) -> Mailing | None:
    """The reader who has been due the longest; None when nobody is, or when `sender` took so long that it is another.

    The reader is due again after a pause, in case that nothing comes of it: neither a mail that cannot be made nor a
    sender that is killed is in the way of others.
    """
    progress, moment = _locked(session), db.now()
    if progress.sender != sender:
        return None
    progress.sender_until = moment + LEASE
    due = select(Follow, FollowAddress, Entity.name).join(FollowAddress).join(Entity, Entity.code == Follow.entity_code)
    oldest = due.where(Follow.due_at <= moment).order_by(Follow.due_at).limit(1)
    row = session.execute(oldest.with_for_update(of=Follow, skip_locked=True)).one_or_none()
    if row is None:
        return None
    one, reader, name = row
    one.tries += 1
    one.due_at = moment + min(timedelta(minutes=2**one.tries), LONGEST_PAUSE)
    return Mailing(
        follow_id=one.id,
        address_id=reader.id,
        address=follow.opened(reader),
        code=one.entity_code,
        name=name,
        language=one.language,
        after=one.told,
        until=max(one.told, progress.seq),
        tries=one.tries,
    )


def settle(session: Session, mailing: Mailing, *, sent: bool) -> None:
    """The reader knows everything up to `mailing.until`, by mail or because there was nothing to tell.

    Entries that came meanwhile were not noted for a reader who was due already, so they are looked for here.
    """
    progress, moment = _locked(session), db.now()
    one = session.get(Follow, mailing.follow_id, with_for_update=True)
    if one is None:
        return
    one.told, one.tries = mailing.until, 0
    if sent:
        one.quiet_until = moment + QUIET
    came = exists().where(
        LedgerEntry.entity_code == mailing.code, LedgerEntry.seq > mailing.until, LedgerEntry.seq <= progress.seq
    )
    one.due_at = max(moment, one.quiet_until or moment) if session.scalar(select(came)) else None


def failed(session: Session, mailing: Mailing, failure: MailFailed) -> None:
    """The mail did not go. It is tried again after the pause; at last an address that takes no mail is forgotten."""
    if mailing.tries < MOST_TRIES:
        return
    log.warning("follow.gave_up", reason=failure.reason)
    if failure.reason == "recipient":
        follow.end(session, mailing.follow_id)
    else:
        settle(session, mailing, sent=False)


def finish(session: Session, sender: str) -> None:
    """Let others send."""
    ours = update(FollowProgress).where(FollowProgress.sender == sender)
    session.execute(ours.values(sender=None, sender_until=None))


def go_on(session: Session) -> None:
    """If somebody is due still, leave that to a job of its own, so that other work comes in between."""
    if session.scalar(select(exists().where(Follow.due_at <= db.now()))):
        jobs.add(session, follow.SEND, [])
