"""Consumers: whose programs use open data with a key of their own, and how far behind they are.

    consumers.ask(session, "dev@example.com", "Supplier check", "en")   # mails a link; there is no account
    key = consumers.new_key(session, consumer_id)                       # on the page behind the link

A consumer says how far it has come in the ledger. One that falls behind withdrawals is reminded: it may be serving
records that must not be used any longer.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from opendata.models import Consumer
from portal.kit import db, jobs, keyring, keys
from portal.kit.errors import NotFound, PortalError
from portal.kit.keys import ApiKey
from portal.kit.links import LinkExpired
from portal.kit.settings import get_settings
from record import follow, ledger, withdrawn

KIND = "consumer"
"""The keys' `owner_kind`."""
SCOPES = ("data:read", "changes:acknowledge", "watches:write")
LINK = "opendata.mail_key_link"
REMIND = "opendata.remind"
REMINDER = "opendata.mail_reminder"
LINK_WORKS = timedelta(hours=24)
MAILS_A_DAY = 5
MOST_KEYS = 5
REMINDED_EVERY = timedelta(days=7)
MOST_LISTED = 200
_SEAL = "consumers"

log = structlog.get_logger()


class NameRefused(PortalError):
    status = 422
    slug = "consumer-name"
    title = "A name for your programs is missing."
    remedy = "Say in 1 to 100 characters what uses the data, such as “Supplier check, Example Ltd”."


class EnoughKeys(PortalError):
    status = 409
    slug = "consumer-keys"
    title = "You have as many keys as one consumer may have."
    remedy = "End one that you no longer need, then make a new one."


class NotAConsumer(PortalError):
    status = 403
    slug = "not-a-consumer"
    title = "Only a key of a consumer of open data can acknowledge."
    remedy = "Get one at /data/key."


class NotInLedger(PortalError):
    status = 422
    slug = "acknowledged-too-far"
    title = "The ledger has not come so far."
    remedy = "Acknowledge the number of the last change that you have dealt with; the newest is %(newest)s."


# ---- asking ---------------------------------------------------------------------------------------------------------


def ask(session: Session, given: str, name: str, language: str) -> None:
    """Mail this address the link to its keys, unless it was mailed enough of late.

    What happens is the same for every address, known or not. Raises follow.AddressRefused, NameRefused.
    """
    address, name, moment = follow.address_of(given), " ".join(name.split()), db.now()
    if not 1 <= len(name) <= 100:
        raise NameRefused
    known_by = hmac.digest(keyring.secret("consumer-hashes"), address.lower().encode(), hashlib.sha256).hex()
    found = session.scalar(select(Consumer).where(Consumer.address_hash == known_by).with_for_update())
    if found is None:
        new_id = secrets.token_hex(16)
        found = Consumer(
            id=new_id, name=name, address_hash=known_by, address=keyring.sealed(_SEAL, address, about=new_id),
            language=language, created_at=moment, counted_from=moment, mails=0,
        )  # fmt: skip
        session.add(found)
    if moment - found.counted_from >= timedelta(days=1):
        found.counted_from, found.mails = moment, 0
    if found.mails >= MAILS_A_DAY:
        log.info("consumer.enough_for_today")
        return
    found.mails += 1
    session.flush()
    jobs.add(session, LINK, [[found.id, language]])
    log.info("consumer.asked")


def address_of(consumer: Consumer) -> str:
    """The mail address, for the one who sends a mail to it."""
    return keyring.opened(_SEAL, consumer.address, about=consumer.id)


def get(session: Session, consumer_id: str) -> Consumer:
    """Raises LinkExpired when it is forgotten."""
    found = session.get(Consumer, consumer_id)
    if found is None:
        raise LinkExpired
    return found


# ---- keys -----------------------------------------------------------------------------------------------------------


def keys_of(session: Session, consumer_id: str) -> Sequence[ApiKey]:
    """Keys that still work, the newest first."""
    found = keys.of(session, KIND, consumer_id)
    return [one for one in found if one.revoked_at is None and one.expires_at > db.now()]


def new_key(session: Session, consumer_id: str) -> str:
    """A new key's text, which is known now and never again. Raises LinkExpired, EnoughKeys."""
    consumer = session.get(Consumer, consumer_id, with_for_update=True)
    if consumer is None:
        raise LinkExpired
    if len(keys_of(session, consumer_id)) >= MOST_KEYS:
        raise EnoughKeys
    _, shown_once = keys.create(session, owner_kind=KIND, owner_id=consumer_id, scopes=SCOPES, label=consumer.name)
    consumer.confirmed_at = consumer.confirmed_at or db.now()
    return shown_once


def end_key(session: Session, consumer_id: str, prefix: str) -> None:
    """End a key of this consumer. Raises NotFound for another's."""
    if prefix not in {one.prefix for one in keys.of(session, KIND, consumer_id)}:
        raise NotFound
    keys.revoke(session, prefix)


def end(session: Session, consumer_id: str) -> None:
    """End all keys and forget the consumer, the address included."""
    for one in keys_of(session, consumer_id):
        keys.revoke(session, one.prefix)
    session.execute(delete(Consumer).where(Consumer.id == consumer_id))
    log.info("consumer.ended")


def purge() -> int:
    """Forget who asked and never made a key. Returns how many."""
    with db.writing() as session:
        gone = session.execute(
            delete(Consumer)
            .where(Consumer.confirmed_at.is_(None), Consumer.created_at < db.now() - timedelta(days=2))
            .returning(Consumer.id)
        ).all()
    return len(gone)


# ---- how far they are -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """A consumer and how far behind it is."""

    consumer: Consumer
    behind: int | None
    """Steps of the ledger; None: it never said how far it has come."""
    withdrawals: int
    """Withdrawals among them, as far as they are counted (MOST_COUNTED)."""


MOST_COUNTED = 1_000


def acknowledge(session: Session, holder: ApiKey, seq: int) -> Standing:
    """The consumer has dealt with all changes up to `seq`; going back is allowed. Raises NotAConsumer, NotInLedger."""
    consumer = _of(session, holder)
    newest = ledger.size(session) - 1
    if seq > newest:
        raise NotInLedger(newest=newest)
    consumer.acknowledged_seq, consumer.acknowledged_at = seq, db.now()
    session.flush()
    return standing(session, consumer)


def standing_of(session: Session, holder: ApiKey) -> Standing:
    """How far the holder of this key is. Raises NotAConsumer."""
    return standing(session, _of(session, holder))


def _of(session: Session, holder: ApiKey) -> Consumer:
    found = session.get(Consumer, holder.owner_id) if holder.owner_kind == KIND else None
    if found is None:
        raise NotAConsumer
    return found


def standing(session: Session, consumer: Consumer) -> Standing:
    """How far behind a consumer is."""
    seq = consumer.acknowledged_seq
    if seq is None:
        return Standing(consumer, None, 0)
    withdrawals = withdrawn.count_since(session, seq, most=MOST_COUNTED)
    return Standing(consumer, ledger.size(session) - 1 - seq, withdrawals)


def standings(session: Session) -> list[Standing]:
    """Consumers with a key, those that say how far they are first and of them the furthest behind."""
    asked = select(Consumer).where(Consumer.confirmed_at.is_not(None))
    found = session.scalars(
        asked.order_by(Consumer.acknowledged_seq.is_(None), Consumer.acknowledged_seq).limit(MOST_LISTED)
    )
    return [standing(session, one) for one in found]


def stale(session: Session) -> list[str]:
    """Ids of consumers that have not dealt with a withdrawal for longer than they may, and were not reminded lately."""
    moment = db.now()
    overdue = withdrawn.newest_before(session, moment - timedelta(days=get_settings().consumers_stale_days))
    if overdue is None:
        return []
    reminded = or_(Consumer.reminded_at.is_(None), Consumer.reminded_at < moment - REMINDED_EVERY)
    return list(session.scalars(select(Consumer.id).where(Consumer.acknowledged_seq < overdue, reminded).limit(1_000)))


def remind(session: Session) -> int:
    """Plan a mail to each stale consumer. Returns how many."""
    found = stale(session)
    for consumer_id in found:
        session.get_one(Consumer, consumer_id).reminded_at = db.now()
        jobs.add(session, REMINDER, [consumer_id])
    return len(found)
