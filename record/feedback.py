"""Every public step of the ledger, delivered to the platforms that subscribed: in order, at least once, signed.

    deliver(subscription_id)     # what a job does, again and again

What goes out is what `publication.changes` shows at the moment of sending, one CloudEvent a step. The cursor moves when
the receiver has taken a step and never otherwise, so a crash costs a repeat, which its id tells. Where a step is not
taken the subscription stands still: later, again, and in the end dead, until an officer resumes it.

One run at a time: a run holds a lease, which it renews with every step, and the cursor moves only under that lease and
only from where the run found it; an officer's rewind wins over a run.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from portal.kit import db, jobs, webhooks
from portal.kit.settings import get_settings
from portal.kit.shapes import moment
from portal.kit.webhooks import Failed
from record import ledger, publication, subscriptions, watches
from record.items import ChangeItem, change_item
from record.models import Entity, Subscription
from record.publication import Change

LEASE = timedelta(seconds=60)
"""More than sending one event and saving that it was taken can last."""
EVENTS_A_RUN = 200
SECONDS_A_RUN = 10.0
"""Then other work has its turn."""
MOST_TRIES = 12
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=6)
"""Trebled from try to try: the twelfth comes 27 hours after the first."""
HOPELESS = frozenset({"address", "gone"})
"""Failures that no later try mends."""
_PAGE, _PAGES = 100, 50

log = structlog.get_logger()


# ---- events ---------------------------------------------------------------------------------------------------------


def event_of(change: Change) -> dict[str, Any]:
    """A step of the ledger as a CloudEvent 1.0; `data` is what GET /api/v1/changes says of it.

    Its id is the step's, however often it is sent. `sequence` (CloudEvents' extension) sorts as text as `seq` does.
    """
    event = {
        "specversion": "1.0",
        "id": change.id,
        "source": f"{get_settings().base_url}/ledger",
        "type": f"gongzhi.record.{change.kind}.v1",
        "time": moment(change.recorded_at),
        "sequence": f"{change.seq:016d}",
        "datacontenttype": "application/json",
        "data": ChangeItem.model_validate(change_item(change)).model_dump(mode="json"),
    }
    return {**event, "subject": change.entry.entity_code} if change.entry else event


def _is_for(districts: Sequence[str], change: Change, district_of: Mapping[str, str | None]) -> bool:
    """Whether a filter by district lets a step through.

    It never holds back what takes something back, which the platform may have from before an entity moved, nor what is
    about an entity whose district nobody knows yet.
    """
    if not districts or change.entry is None or change.supersedes is not None:
        return True
    district = district_of.get(change.entry.entity_code)
    return district is None or district in districts


# ---- one run --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    """One run of one subscription: what it sends with, and the place it has come to."""

    subscription_id: int
    token: str
    url: str
    secrets: tuple[str, str | None]
    kinds: Sequence[str]
    districts: Sequence[str]
    cursor: int
    tries: int
    watching: bool
    ahead: list[int] = field(default_factory=list)
    """Of a watch: the next steps that are about its entities."""

    @property
    def ours(self) -> tuple[ColumnElement[bool], ...]:
        """The row, as long as this run holds it and nobody has moved its cursor."""
        return (
            Subscription.id == self.subscription_id,
            Subscription.run == self.token,
            Subscription.cursor == self.cursor,
        )


def _ready(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Subscriptions that may be sent to now and that no run holds."""
    return (
        Subscription.state == "active",
        or_(Subscription.next_attempt_at.is_(None), Subscription.next_attempt_at <= now),
        or_(Subscription.leased_until.is_(None), Subscription.leased_until < now),
    )


def due(session: Session) -> list[int]:
    """Subscriptions that are behind the ledger, may be sent to now, and are in nobody's hands."""
    asked = select(Subscription.id).where(watches.concerned(ledger.size(session)), *_ready(db.now()))
    return list(session.scalars(asked.order_by(Subscription.id)))


def wake() -> None:
    """Give every subscription that is due its run."""
    with db.reading() as session:
        found = due(session)
    if found:
        with db.writing() as session:
            for subscription_id in found:
                jobs.add(session, subscriptions.DELIVER, [subscription_id])


def deliver(subscription_id: int) -> None:
    """Send a subscription the steps that it lacks, until it has all, one fails, or other work should have its turn.

    Does nothing when it is not due or another run has it. No transaction is open while an event is under way.
    """
    run = _begin(subscription_id)
    if run is None:
        return
    sent, deadline = 0, time.monotonic() + SECONDS_A_RUN
    try:
        while sent < EVENTS_A_RUN and time.monotonic() < deadline:
            seq, event = _next(run)
            if event is None:
                if seq == run.cursor or not _moved(run, seq):
                    break
                continue
            secret, old_secret = run.secrets
            outcome = webhooks.send(run.url, event, secret, old_secret=old_secret)
            if isinstance(outcome, Failed):
                _failed(run, outcome)
                break
            sent += 1
            if not _moved(run, seq, taken=True):
                break
    finally:
        _end(run)
    with db.reading() as session:  # after the lease: what was appended meanwhile found it held and woke nobody
        behind = subscription_id in due(session)
    if behind:
        with db.writing() as session:
            jobs.add(session, subscriptions.DELIVER, [subscription_id])


def _begin(subscription_id: int) -> _Run | None:
    now, token = db.now(), secrets.token_hex(8)
    taking = update(Subscription).where(Subscription.id == subscription_id, *_ready(now))
    with db.writing() as session:
        taken = session.execute(taking.values(run=token, leased_until=now + LEASE))
        if not isinstance(taken, CursorResult) or taken.rowcount != 1:
            return None
        one = session.get_one(Subscription, subscription_id)
        used = subscriptions.secrets_of(one)
        if used[1] is None:
            one.old_secret = one.old_secret_until = None
        return _Run(
            one.id, token, one.url, used, one.kinds, one.districts, one.cursor, one.tries, one.owner is not None
        )


def _next(run: _Run) -> tuple[int, dict[str, Any] | None]:
    """The next step for this platform, read just before it is sent; or None, and up to where there is none for it."""
    if run.watching:
        return _next_watched(run)
    after, at_once = run.cursor, _PAGE if run.districts else 1
    with db.reading() as session:
        end = ledger.size(session) - 1
        for _ in range(_PAGES):
            found, further = publication.changes(session, after=after, limit=at_once, kinds=run.kinds)
            district_of = _districts(session, found) if run.districts else {}
            for change in found:
                if _is_for(run.districts, change, district_of):
                    return change.seq, event_of(change)
            if further is None:
                return max(after, end), None
            after = further
    return after, None


def _next_watched(run: _Run) -> tuple[int, dict[str, Any] | None]:
    """The same for a watch, which is told of its entities alone."""
    with db.reading() as session:
        end = ledger.size(session) - 1
        run.ahead = run.ahead or watches.ahead(session, run.subscription_id, run.cursor, limit=_PAGE)
        if not run.ahead:
            return max(run.cursor, end), None
        while run.ahead:
            seq = run.ahead.pop(0)
            shown, _ = publication.changes(session, after=seq - 1, limit=1, kinds=run.kinds)
            if shown and shown[0].seq == seq:
                return seq, event_of(shown[0])
        return seq, None


def _districts(session: Session, changes: Sequence[Change]) -> dict[str, str | None]:
    codes = {change.entry.entity_code for change in changes if change.entry}
    found = session.execute(select(Entity.code, Entity.district).where(Entity.code.in_(codes))).all()
    return dict(found)


def _moved(run: _Run, seq: int, *, taken: bool = False) -> bool:
    """Save the place that the run has come to, `taken` by the receiver or none of its. Returns whether to go on."""
    now = db.now()
    values: dict[str, Any] = {"cursor": seq, "leased_until": now + LEASE}
    if taken:
        values |= {"tries": 0, "next_attempt_at": None, "last_error": None, "last_delivered_at": now}
    with db.writing() as session:
        saved = update(Subscription).where(*run.ours).values(values).returning(Subscription.state)
        state = session.scalar(saved)
    run.cursor, run.tries = seq, 0 if taken else run.tries
    return state == "active"


def _failed(run: _Run, outcome: Failed) -> None:
    tries = run.tries + 1
    gave_up = outcome.reason in HOPELESS or tries >= MOST_TRIES
    pause = max(_pause(tries), outcome.retry_after or timedelta(0))
    values = {
        "tries": tries,
        "last_error": outcome.reason,
        "state": "dead" if gave_up else "active",
        "next_attempt_at": None if gave_up else db.now() + pause,
    }
    standing = update(Subscription).where(*run.ours, Subscription.state == "active")
    with db.writing() as session:
        session.execute(standing.values(values))
        if not gave_up:
            jobs.add(session, subscriptions.DELIVER, [run.subscription_id], after=pause)
    log.warning("feedback.failed", subscription=run.subscription_id, reason=outcome.reason, tries=tries, final=gave_up)


def _pause(tries: int) -> timedelta:
    """How long to wait after so many failures, and up to a quarter more, so that receivers are not met all at once."""
    planned = min(FIRST_PAUSE * 3.0 ** (tries - 1), LONGEST_PAUSE)
    return planned * (1 + secrets.randbelow(251) / 1_000)


def _end(run: _Run) -> None:
    held = (Subscription.id == run.subscription_id, Subscription.run == run.token)
    with db.writing() as session:
        session.execute(update(Subscription).where(*held).values(run=None, leased_until=None))
