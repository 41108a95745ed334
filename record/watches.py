"""Watches: lists of entities that a program wants to be told about, by signed webhooks as platforms are.

A watch is a subscription with an owner, and is delivered to by `record.feedback`. It does not read the whole ledger:
`concerned` finds, from the newest entries, the watches that they are for, and `ahead` the entries of one watch.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import cast

from sqlalchemy import ColumnElement, FromClause, Table, and_, delete, false, func, insert, not_, or_, select, union
from sqlalchemy.orm import Session

from portal.kit import db, jobs, keys, webhooks
from portal.kit.errors import NotFound, PortalError
from portal.kit.settings import get_settings
from record import ledger, publication, subscriptions
from record.kinds import SHOWN
from record.models import LedgerEntry, Subscription, Watched

MOST_CODES = 10_000
LOOKED_AT = 5_000
"""So many of the newest entries are looked at for whom they concern; a watch further behind has its turn anyway."""
_AT_ONCE = 1_000
_ENTRY = cast(Table, LedgerEntry.__table__)


class TooManyWatches(PortalError):
    status = 409
    slug = "watches"
    title = "You have as many watches as one consumer may have."
    remedy = "Delete one, or put its codes into another: a watch holds 10,000."


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch as its owner sees it."""

    id: str
    subscription: Subscription
    codes: int
    behind: int


def add(session: Session, *, owner: str, url: str, codes: Collection[str], kinds: Collection[str]) -> tuple[Watch, str]:
    """A new watch from now on, and the secret that its deliveries are signed with, which is not shown again.

    A code that nobody bears is kept too: somebody may tomorrow. Raises TooManyWatches, subscriptions.AddressRefused.
    """
    keys.in_turn(session, owner)  # or two at once would both be the twentieth
    owned = session.scalar(select(func.count()).where(Subscription.owner == owner)) or 0
    if owned >= get_settings().watches_of_one:
        raise TooManyWatches
    if len(url) > 500 or not webhooks.may_go_to(url):
        raise subscriptions.AddressRefused
    name, secret = f"watch-{secrets.token_hex(12)}", webhooks.new_secret()
    kept = Subscription(
        name=name, url=url, secret=subscriptions.seal(name, secret), kinds=[one for one in SHOWN if one in kinds],
        districts=[], cursor=ledger.size(session) - 1, state="active", tries=0, created_at=db.now(), owner=owner,
    )  # fmt: skip
    session.add(kept)
    session.flush()
    _put(session, kept.id, codes)
    return _seen(session, kept), secret


def get(session: Session, owner: str, name: str) -> Watch:
    """Raises NotFound for what is somebody else's."""
    return _seen(session, _owned(session, owner, name))


def of(session: Session, owner: str) -> list[Watch]:
    """An owner's watches, the oldest first."""
    asked = select(Subscription).where(Subscription.owner == owner).order_by(Subscription.id)
    return [_seen(session, one) for one in session.scalars(asked)]


def watch_instead(session: Session, owner: str, name: str, codes: Collection[str]) -> Watch:
    """Watch these entities from now on and no others. Raises NotFound."""
    kept = _owned(session, owner, name)
    kept.run = kept.leased_until = None  # a run that goes on has read ahead for the codes of before
    session.execute(delete(Watched).where(Watched.subscription_id == kept.id))
    _put(session, kept.id, codes)
    return _seen(session, kept)


def resume(session: Session, owner: str, name: str) -> Watch:
    """Go on at once from where it stopped. Raises NotFound."""
    kept = _owned(session, owner, name)
    kept.state, kept.tries, kept.next_attempt_at = "active", 0, None
    session.flush()
    jobs.add(session, subscriptions.DELIVER, [kept.id])
    return _seen(session, kept)


def remove(session: Session, owner: str, name: str) -> None:
    """Raises NotFound."""
    session.delete(_owned(session, owner, name))


def _owned(session: Session, owner: str, name: str) -> Subscription:
    asked = select(Subscription).where(Subscription.owner == owner, Subscription.name == name)
    found = session.scalar(asked)
    if found is None:
        raise NotFound
    return found


def _put(session: Session, subscription_id: int, codes: Collection[str]) -> None:
    ordered = sorted(set(codes))
    for at in range(0, len(ordered), _AT_ONCE):
        rows = [{"subscription_id": subscription_id, "code": code} for code in ordered[at : at + _AT_ONCE]]
        session.execute(insert(Watched), rows)


def _seen(session: Session, kept: Subscription) -> Watch:
    codes = session.scalar(select(func.count()).where(Watched.subscription_id == kept.id)) or 0
    return Watch(kept.name, kept, codes, max(0, ledger.size(session) - 1 - kept.cursor))


# ---- what they are told ---------------------------------------------------------------------------------------------


def concerned(size: int) -> ColumnElement[bool]:
    """Whether a subscription has something to be told, as far as that shows without reading everything."""
    before = _ENTRY.alias("before")
    newest = (
        select(_ENTRY.c.seq)
        .outerjoin_from(_ENTRY, before, before.c.seq == _ENTRY.c.supersedes)
        .join(Watched, Watched.code.in_((_ENTRY.c.entity_code, before.c.entity_code)))
        .where(
            _ENTRY.c.seq >= size - LOOKED_AT,
            _ENTRY.c.seq > Subscription.cursor,
            Watched.subscription_id == Subscription.id,
        )
        .correlate(Subscription)
        .exists()
    )
    far_behind = Subscription.cursor < size - 1 - LOOKED_AT
    return and_(Subscription.cursor < size - 1, or_(Subscription.owner.is_(None), far_behind, newest))


def ahead(session: Session, kept: Subscription, after: int, *, limit: int) -> list[int]:
    """The next steps about entities of a watch: entries, and what replaces or withdraws one that was shown.

    Unlike `publication.changes` it passes over what was never shown: whoever watches one entity would learn from a
    tombstone that there is something about it.
    """
    off = publication.switched_off(session, publication.today())
    wanted = kept.kinds or SHOWN
    withdrawn = _ENTRY.alias("withdrawn")
    about = and_(Watched.code == _ENTRY.c.entity_code, Watched.subscription_id == kept.id)
    of_withdrawal = and_(_ENTRY.c.kind == "withdrawal", withdrawn.c.id == _ENTRY.c.source_ref)
    shown_here = _ENTRY.c.kind.in_([kind for kind in wanted if kind not in off])
    said = (
        select(_ENTRY.c.seq)
        .join_from(_ENTRY, Watched, about)
        .outerjoin(withdrawn, of_withdrawal)
        .where(_ENTRY.c.seq > after, or_(shown_here, _was_shown(withdrawn, wanted, off)))
    )
    replaced = (
        select(_ENTRY.c.superseded_by)
        .join_from(_ENTRY, Watched, about)
        .where(_ENTRY.c.superseded_by > after, _was_shown(_ENTRY, wanted, off))
    )
    steps = union(said, replaced).subquery()
    return list(session.scalars(select(steps.c[0]).order_by(steps.c[0]).limit(limit)))


def _was_shown(entry: FromClause, kinds: Collection[str], off: Mapping[str, date]) -> ColumnElement[bool]:
    """Whether somebody may hold this entry: it came before its kind was switched off, if it was."""
    came_later = [
        and_(entry.c.kind == kind, entry.c.recorded_at >= datetime.combine(day, time.min, publication.CITY_TIME))
        for kind, day in off.items()
    ]
    return and_(publication.for_the_public(entry), entry.c.kind.in_(kinds), not_(or_(false(), *came_later)))
