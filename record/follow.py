"""Who follows which entity by mail: asking, saying yes to it, ending it. What is sent to them is in `mailings`.

    follow.ask(session, code, "reader@example.com", "zh")   # mails a link; nothing else is sent before it is opened
    follow.confirm(session, follow_id)
    follow.end(session, follow_id)

An address is kept sealed, under a hash, for as long as it follows something, and no longer.
"""

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, exists, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from portal.kit import db, jobs, keyring
from portal.kit.errors import PortalError
from portal.kit.links import LinkExpired
from record import entities, ledger
from record.models import Entity, Follow, FollowAddress

LINK = "record.mail_follow_link"
"""Job: mails one address the link to what it was given for."""
SEND = "record.mail_followers"
"""Job: mails followers what they wait for."""

UNCONFIRMED_KEPT = timedelta(days=2)
MAILS_A_DAY = 5
"""To one address because somebody gave it to a form: whoever gives it need not be its owner."""
ASK_AGAIN = timedelta(minutes=10)
"""No second link for the same entity before that."""

_LONGEST = 254  # RFC 5321, 4.5.3.1.3, less the brackets
_LOCAL = re.compile(r"(?=.{1,64}$)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])")
_INSERT: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

log = structlog.get_logger()


class AddressRefused(PortalError):
    status = 422
    slug = "mail-address"
    title = "This is not an address that mail can be sent to."
    remedy = "Write one address, such as name@example.com."


@dataclass(frozen=True, slots=True)
class Following:
    """One line of what an address follows, or asks to follow."""

    id: str
    address_id: str
    code: str
    name: str
    """The entity's name today."""
    language: str
    asked_at: datetime
    confirmed_at: datetime | None


# ---- addresses ------------------------------------------------------------------------------------------------------


def address_of(text: str) -> str:
    """The address as mail servers take it, an international domain in ASCII (RFC 5890). Raises AddressRefused.

    Only what every server takes: one address, the part before the @ unquoted (RFC 5322 dot-atom) and in ASCII.
    """
    local, _, domain = unicodedata.normalize("NFKC", text[: 2 * _LONGEST]).strip().rpartition("@")
    try:
        host = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise AddressRefused from None
    found = f"{local}@{host}"
    if len(found) > _LONGEST or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(host):
        raise AddressRefused
    return found


def address(session: Session, address_id: str) -> str | None:
    """The address itself, for the one who sends a mail to it; None when it is forgotten."""
    reader = session.get(FollowAddress, address_id)
    return opened(reader) if reader else None


def opened(reader: FollowAddress) -> str:
    """The address of this row."""
    return _seal().decrypt(reader.sealed[:12], reader.sealed[12:], reader.address_hash).decode()


def _seal() -> AESGCM:
    return AESGCM(keyring.secret("follow-addresses"))


def _reader(session: Session, text: str, moment: datetime) -> FollowAddress:
    """The address's row, new or known, nobody else's to change until this transaction ends."""
    known_by = hmac.digest(keyring.secret("follow-hashes"), text.lower().encode(), hashlib.sha256)
    nonce = secrets.token_bytes(12)
    insert = _INSERT[session.get_bind().dialect.name]
    row = insert(FollowAddress).values(
        id=secrets.token_hex(16),
        address_hash=known_by,
        sealed=nonce + _seal().encrypt(nonce, text.encode(), known_by),
        asked_at=moment,
        counted_from=moment,
        mails=0,
    )
    either = row.on_conflict_do_update(index_elements=["address_hash"], set_={"asked_at": moment})
    found: FollowAddress = session.scalars(
        either.returning(FollowAddress), execution_options={"populate_existing": True}
    ).one()
    return found


# ---- following ------------------------------------------------------------------------------------------------------


def ask(session: Session, code: str, given: str, language: str) -> None:
    """Mail this address a link with which it follows the entity, unless it was mailed enough of late.

    What happens is the same for every address, known or not. Raises entities.EntityNotFound, AddressRefused.
    """
    entity, moment = entities.get(session, code), db.now()
    reader = _reader(session, address_of(given), moment)
    if not _may_be_mailed(reader, moment):
        return
    asked = select(Follow).where(Follow.address_id == reader.id, Follow.entity_code == entity.code)
    follow = session.scalar(asked)
    if follow is None:
        follow = Follow(id=secrets.token_hex(16), address_id=reader.id, entity_code=entity.code)
        session.add(follow)
    elif moment - follow.asked_at < ASK_AGAIN:
        log.info("follow.asked_again")
        return
    if follow.confirmed_at is None:
        follow.language = language
    follow.asked_at = moment
    reader.mails += 1
    session.flush()
    jobs.add(session, LINK, [follow.id])
    log.info("follow.asked")


def _may_be_mailed(reader: FollowAddress, moment: datetime) -> bool:
    """Whether the address has had fewer mails today than anybody may have sent to it."""
    if moment - reader.counted_from >= timedelta(days=1):
        reader.counted_from, reader.mails = moment, 0
    if reader.mails < MAILS_A_DAY:
        return True
    log.info("follow.enough_for_today")
    return False


def ask_many(session: Session, given: str) -> str | None:
    """The id of an address that is now to be mailed one link for several entities; None: it was mailed enough of late.

    Nothing but the address is kept before the link is opened. Raises AddressRefused.
    """
    moment = db.now()
    reader = _reader(session, address_of(given), moment)
    if not _may_be_mailed(reader, moment):
        return None
    reader.mails += 1
    log.info("follow.asked_for_many")
    return reader.id


_FOLLOWING = select(
    Follow.id, Follow.address_id, Entity.code, Entity.name, Follow.language, Follow.asked_at, Follow.confirmed_at
).join(Entity, Entity.code == Follow.entity_code)


def find(session: Session, follow_id: str) -> Following | None:
    """What this link is about; None once it has ended, or was not confirmed in time."""
    row = session.execute(_FOLLOWING.where(Follow.id == follow_id)).one_or_none()
    return Following(*row) if row else None


def followed(session: Session, address_id: str, after: str | None = None, *, limit: int = 100) -> Sequence[Following]:
    """What this address follows, by name; `after`: the id of the last one that was seen."""
    asked = _FOLLOWING.where(Follow.address_id == address_id, Follow.confirmed_at.is_not(None))
    last = find(session, after) if after else None
    if last is not None:
        asked = asked.where(tuple_(Entity.name, Follow.id) > tuple_(literal(last.name), literal(last.id)))
    return [Following(*row) for row in session.execute(asked.order_by(Entity.name, Follow.id).limit(limit))]


def is_followed_by(session: Session, address_id: str, follow_id: str) -> bool:
    """Whether this is something that the address follows."""
    found = find(session, follow_id)
    return found is not None and found.address_id == address_id and found.confirmed_at is not None


def confirm(session: Session, follow_id: str) -> str:
    """Follow from now on; once or often. Returns the address's id. Raises LinkExpired when it is no longer waited for.

    The row is due at once: of an entry that commits at this very moment nobody may have noted that it concerns it.
    """
    follow = session.get(Follow, follow_id, with_for_update=True)
    if follow is None:
        raise LinkExpired
    if follow.confirmed_at is None:
        follow.confirmed_at = follow.due_at = db.now()
        follow.told = ledger.size(session) - 1
        session.flush()
        jobs.add(session, SEND, [])
        log.info("follow.confirmed")
    return follow.address_id


def confirm_many(session: Session, address_id: str, codes: Collection[str], language: str) -> None:
    """Follow these entities too from now on; at most a thousand. What the address follows already stays as it is.

    Raises LinkExpired when the address is forgotten.
    """
    if session.get(FollowAddress, address_id, with_for_update=True) is None:
        raise LinkExpired
    moment, told = db.now(), ledger.size(session) - 1
    known = select(Follow).where(Follow.address_id == address_id, Follow.entity_code.in_(codes))
    following = {one.entity_code: one for one in session.scalars(known)}
    registered = select(Entity.code).where(Entity.code.in_(codes)).order_by(Entity.code)
    for code in session.scalars(registered):
        one = following.get(code)
        if one is None:
            one = Follow(
                id=secrets.token_hex(16), address_id=address_id, entity_code=code, language=language, asked_at=moment
            )
            session.add(one)
        if one.confirmed_at is None:
            one.confirmed_at, one.due_at, one.told = moment, moment, told
    session.flush()
    jobs.add(session, SEND, [])
    log.info("follow.confirmed_many")


def end(session: Session, follow_id: str) -> None:
    """Follow no longer. Whatever was kept for it is deleted, the address too when it follows nothing else."""
    address_id = session.scalar(select(Follow.address_id).where(Follow.id == follow_id))
    if address_id is None:
        return
    session.execute(select(FollowAddress.id).where(FollowAddress.id == address_id).with_for_update())
    session.execute(delete(Follow).where(Follow.id == follow_id))
    session.execute(delete(FollowAddress).where(FollowAddress.id == address_id, _follows_nothing()))
    log.info("follow.ended")


def end_all(session: Session, address_id: str) -> None:
    """Forget an address and everything that it follows."""
    session.execute(delete(FollowAddress).where(FollowAddress.id == address_id))
    log.info("follow.ended_all")


def _follows_nothing() -> Any:
    return ~exists().where(Follow.address_id == FollowAddress.id)


def purge() -> int:
    """Delete what nobody confirmed in time, and addresses that are left with nothing. Returns how many were waiting."""
    before = db.now() - UNCONFIRMED_KEPT
    with db.writing() as session:
        gone = session.execute(delete(Follow).where(Follow.confirmed_at.is_(None), Follow.asked_at < before))
        session.execute(delete(FollowAddress).where(FollowAddress.asked_at < before, _follows_nothing()))
        return gone.rowcount if isinstance(gone, CursorResult) else 0
