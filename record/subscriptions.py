"""Outside platforms that follow the record: adding them, pausing, resuming, rewinding, changing their secret, removing.

Whatever is done here is kept in the ledger. How they are told of its steps is in `record.feedback`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.kit import db, jobs, keyring, webhooks
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, ledger
from record.codes import DISTRICTS
from record.kinds import SHOWN
from record.models import Subscription

DELIVER = "record.deliver_to"
"""The job that lets one subscription go on; its item is the subscription's number."""
OVERLAP = timedelta(days=7)
"""How long the old secret signs beside its successor."""
_KEY = "subscriptions"


class NameRefused(PortalError):
    status = 422
    slug = "subscription-name"
    title = "This name cannot be used for a subscription."
    remedy = "Choose one of 1 to 100 characters that no other subscription has."


class AddressRefused(PortalError):
    status = 422
    slug = "subscription-address"
    title = "Nothing can be delivered to this address."
    remedy = "Give an address of at most 500 characters that begins with https:// and holds no name and password."


class FilterRefused(PortalError):
    status = 422
    slug = "subscription-filter"
    title = "The filter names a kind or a district that this portal does not have."
    remedy = "Choose from the kinds and districts that the form offers."


class NotThatFar(PortalError):
    status = 422
    slug = "subscription-rewind"
    title = "This subscription has not come that far yet."
    remedy = "A subscription goes back only. Name an entry below %(next)s, which is the next one."


# ---- looking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription, and how far it has come."""

    subscription: Subscription
    lag: int
    """Steps of the ledger that it has not dealt with yet."""

    @property
    def host(self) -> str:
        """Where it is delivered to; the rest of the address may be the receiver's secret."""
        return host(self.subscription)


def host(subscription: Subscription) -> str:
    """The host of a subscription's address."""
    return urlsplit(subscription.url).netloc


def standings(session: Session) -> list[Standing]:
    """Every platform's subscription, by name."""
    size = ledger.size(session)
    found = session.scalars(select(Subscription).where(Subscription.owner.is_(None)).order_by(Subscription.name))
    return [Standing(one, max(0, size - 1 - one.cursor)) for one in found]


def dead(session: Session) -> int:
    """How many platforms' subscriptions were given up and wait for an officer."""
    return session.scalar(select(func.count()).where(Subscription.state == "dead", Subscription.owner.is_(None))) or 0


def named(session: Session, name: str) -> int:
    """The number of the subscription with this name. Raises NotFound."""
    found = session.scalar(select(Subscription.id).where(Subscription.name == name.strip()))
    if found is None:
        raise NotFound
    return found


def secrets_of(subscription: Subscription) -> tuple[str, str | None]:
    """What a delivery is signed with now: the secret, and the old one while it is being changed."""
    old, until = subscription.old_secret, subscription.old_secret_until
    in_force = old is not None and until is not None and until > db.now()
    return _opened(subscription, subscription.secret), _opened(subscription, old) if old and in_force else None


def seal(name: str, secret: str) -> str:
    """A secret as it is kept."""
    return keyring.sealed(_KEY, secret, about=name)


def _opened(subscription: Subscription, kept: str) -> str:
    return keyring.opened(_KEY, kept, about=subscription.name)


# ---- changing -------------------------------------------------------------------------------------------------------


def add(
    session: Session,
    *,
    name: str,
    url: str,
    kinds: Collection[str] = (),
    districts: Collection[str] = (),
    from_now: bool = False,
    by: Officer | None,
) -> tuple[Subscription, str]:
    """Add a subscription. Returns it and its secret, which is not shown again.

    It begins with the ledger's first step, or `from_now` with the next one. Like all changes here it comes last in its
    transaction, and `by` None is the operator's command line. Raises NameRefused, AddressRefused, FilterRefused.
    """
    name, url = name.strip(), url.strip()
    taken = select(Subscription.id).where(Subscription.name == name)
    if not 1 <= len(name) <= 100 or not name.isprintable() or session.scalar(taken) is not None:
        raise NameRefused
    if len(url) > 500 or not webhooks.may_go_to(url):
        raise AddressRefused
    if not set(kinds) <= set(SHOWN) or not set(districts) <= set(DISTRICTS):
        raise FilterRefused
    secret = webhooks.new_secret()
    subscription = Subscription(
        name=name,
        url=url,
        secret=seal(name, secret),
        kinds=_in_order(kinds, SHOWN),
        districts=_in_order(districts, DISTRICTS),
        cursor=ledger.size(session) - 1 if from_now else -1,
        state="active",
        tries=0,
        created_at=db.now(),
    )
    session.add(subscription)
    session.flush()
    details = {"kinds": " ".join(subscription.kinds), "districts": " ".join(subscription.districts)}
    _wake(session, subscription)
    _keep(session, "add", subscription, by, {"host": host(subscription), **details})
    return subscription, secret


def _in_order(chosen: Collection[str], known: Collection[str]) -> list[str]:
    return [code for code in known if code in chosen]


def resume(session: Session, subscription_id: int, *, by: Officer | None) -> None:
    """Let a subscription go on at once from where it stopped: paused, given up, or waiting for its next attempt."""
    subscription = _get(session, subscription_id)
    details = {"before": subscription.state, "cursor": str(subscription.cursor)}
    subscription.state, subscription.tries, subscription.next_attempt_at = "active", 0, None
    _wake(session, subscription)
    _keep(session, "resume", subscription, by, details)


def pause(session: Session, subscription_id: int, *, by: Officer | None) -> None:
    """Send nothing more until it is resumed. What is being sent this moment still counts."""
    subscription = _get(session, subscription_id)
    subscription.state = "paused"
    _keep(session, "pause", subscription, by, {"cursor": str(subscription.cursor)})


def rewind(session: Session, subscription_id: int, first: int, *, by: Officer | None) -> None:
    """Send again from entry `first` on, once it is active. Raises NotThatFar: nothing is ever skipped."""
    subscription = _get(session, subscription_id)
    if not 0 <= first <= subscription.cursor:
        raise NotThatFar(next=subscription.cursor + 1)
    details = {"from": str(subscription.cursor), "to": str(first - 1)}
    subscription.cursor, subscription.tries = first - 1, 0
    _wake(session, subscription)
    _keep(session, "rewind", subscription, by, details)


def change_secret(session: Session, subscription_id: int, *, by: Officer | None) -> tuple[Subscription, str]:
    """Make a new secret, which is not shown again. The old one signs too for OVERLAP.

    Done again within that time, it is the new one that is replaced: the old one is what the receiver surely has.
    """
    subscription = _get(session, subscription_id)
    _, still_used = secrets_of(subscription)
    if still_used is None:
        subscription.old_secret, subscription.old_secret_until = subscription.secret, db.now() + OVERLAP
    secret = webhooks.new_secret()
    subscription.secret = seal(subscription.name, secret)
    _keep(session, "secret", subscription, by)
    return subscription, secret


def remove(session: Session, subscription_id: int, *, by: Officer | None) -> None:
    """Forget a subscription and its secrets."""
    subscription = _get(session, subscription_id)
    session.delete(subscription)
    session.flush()
    _keep(session, "remove", subscription, by, {"host": host(subscription), "cursor": str(subscription.cursor)})


def _get(session: Session, subscription_id: int) -> Subscription:
    found = session.get(Subscription, subscription_id, with_for_update=True)
    if found is None:
        raise NotFound
    return found


def _wake(session: Session, subscription: Subscription) -> None:
    if subscription.state == "active":
        jobs.add(session, DELIVER, [subscription.id])


def _keep(
    session: Session, verb: str, subscription: Subscription, by: Officer | None, details: dict[str, str] | None = None
) -> None:
    about = f"subscription {subscription.id}"
    acts.keep(
        session, f"subscription_{verb}", about=about, by=by, details={"name": subscription.name, **(details or {})}
    )
