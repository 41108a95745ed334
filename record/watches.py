"""Watches: lists of entities that a program wants to be told about, by signed webhooks as platforms are.

A watch is a subscription with an owner, and is delivered to by `record.feedback`. It does not read the whole ledger:
`concerned` finds, from the newest entries, the watches that they are for, and `ahead` the entries of one watch.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from portal.kit import db, jobs, webhooks
from portal.kit.errors import NotFound, PortalError
from portal.kit.settings import get_settings
from record import ledger, subscriptions
from record.kinds import SHOWN
from record.models import LedgerEntry, Subscription, Watched

MOST_CODES = 10_000
LOOKED_AT = 5_000
"""So many of the newest entries are looked at for whom they concern; a watch further behind has its turn anyway."""
_AT_ONCE = 1_000


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
    newest = exists().where(
        LedgerEntry.seq >= size - LOOKED_AT,
        LedgerEntry.seq > Subscription.cursor,
        Watched.code == LedgerEntry.entity_code,
        Watched.subscription_id == Subscription.id,
    )
    far_behind = Subscription.cursor < size - 1 - LOOKED_AT
    return and_(Subscription.cursor < size - 1, or_(Subscription.owner.is_(None), far_behind, newest))


def ahead(session: Session, subscription_id: int, after: int, *, limit: int) -> list[int]:
    """The next entries that are about entities of a watch, withdrawals among them."""
    asked = (
        select(LedgerEntry.seq)
        .join(Watched, Watched.code == LedgerEntry.entity_code)
        .where(Watched.subscription_id == subscription_id, LedgerEntry.seq > after)
    )
    return list(session.scalars(asked.order_by(LedgerEntry.seq).limit(limit)))
