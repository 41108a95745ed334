"""The ledger: every fact of the supervision record, appended under one lock, numbered without a gap, provable.

    appended = append(session, [seal(fact), …])     # last thing in the transaction, at most 1,000 at a time

Numbers are given under a lock that is held until the commit, so nobody ever sees entry 7 before entry 6: `seq` is a
cursor that followers may trust.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from portal.kit import db, jobs
from portal.kit.db import UtcDateTime
from record import merkle
from record.canonical import canonical
from record.kinds import ACTS
from record.models import LedgerEntry, LedgerHead, LedgerNode, RedactedFact

APPENDED = "ledger.appended"
MOST_AT_ONCE = 1_000
"""Entries of one transaction: a bulk import must not keep an officer waiting."""

_ENTRY = cast(Table, LedgerEntry.__table__)
_NODE = cast(Table, LedgerNode.__table__)
_REDACTED = cast(Table, RedactedFact.__table__)
STEP = Table(
    "ledger_step",
    MetaData(),
    Column("seq", BigInteger, primary_key=True),
    Column("id", String(36)),
    Column("kind", String(24)),
    Column("recorded_at", UtcDateTime),
    Column("leaf_hash", LargeBinary(32)),
    Column("supersedes", BigInteger),
    Column("for_the_public", Boolean),
)
"""The view of every entry, internal ones too, without anything that it says of anybody: what a tree of hashes and a
follower need. `for_the_public`: the public may learn of it, be it as a tombstone."""


class Fact(NamedTuple):
    """Something that a source says about an entity."""

    kind: str
    source: str
    source_ref: str
    """Names the fact among those of its source and kind, also when it changes."""
    payload: dict[str, Any]
    entity_code: str | None = None
    occurred_on: str | None = None
    """YYYY-MM-DD."""
    visibility: str = "public"
    shown_from: date | None = None
    shown_until: date | None = None
    """Last day on which it is shown; no part of what the ledger proves."""


class Sealed(NamedTuple):
    """A fact with its salt and digest: what costs time, made before the lock is taken, in any process."""

    fact: Fact
    salt: bytes
    digest: bytes


def said(fact: Fact) -> dict[str, Any]:
    """Everything in an entry that says something about anybody: what `digest` covers."""
    return {
        "entity_code": fact.entity_code,
        "kind": fact.kind,
        "occurred_on": fact.occurred_on,
        "payload": fact.payload,
        "source": fact.source,
        "source_ref": fact.source_ref,
        "visibility": fact.visibility,
    }


def digest(salt: bytes, fact: Fact) -> bytes:
    """SHA-256 over the salt and the canonical JSON of what the fact says."""
    return hashlib.sha256(salt + canonical(said(fact))).digest()


def seal(fact: Fact) -> Sealed:
    """A fact ready to be appended."""
    salt = secrets.token_bytes(16)
    return Sealed(fact, salt, digest(salt, fact))


def instant(moment: datetime) -> str:
    """A moment as a leaf writes it: UTC, microseconds, `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def leaf(seq: int, id_: str, kind: str, recorded_at: str, digest: bytes) -> bytes:
    """RFC 6962 leaf hash of an entry, over canonical JSON; nothing in it says anything about anybody.

    `recorded_at` as `instant` writes it.
    """
    written = f'{{"digest":"{digest.hex()}","id":"{id_}","kind":"{kind}","recorded_at":"{recorded_at}","seq":{seq}}}'
    return merkle.leaf_hash(written.encode("ascii"))


def new_id() -> str:
    """A UUIDv7 (RFC 9562 section 5.7): sorted by the time at which it was made."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


# ---- appending ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Appended:
    """What became of the facts, in numbers, and the entries that were written."""

    added: int = 0
    changed: int = 0
    """Facts that were known and now say something else: the new entry supersedes the old one."""
    unchanged: int = 0
    redacted: int = 0
    """Facts that were redacted before, and stay so."""
    seqs: list[int] = field(default_factory=list)
    written: list[tuple[int, Fact]] = field(default_factory=list)
    """Number and fact of every entry that is the current one of its fact now."""
    replaced: dict[int, int] = field(default_factory=dict)
    """Number of each entry that was superseded -> of what says its fact now."""
    touched: list[str] = field(default_factory=list)
    """Codes of the entities whose file is now another."""


class _Known(NamedTuple):
    seq: int
    said: dict[str, Any]
    shown: tuple[date | None, date | None]


def append(session: Session, facts: Sequence[Sealed]) -> Appended:
    """Append facts that are not in the ledger yet, and what supersedes those that are but say something else now.

    The numbers' lock is held from here to the end of the transaction, so this comes last in it. Raises ValueError for
    more than MOST_AT_ONCE facts.
    """
    if len(facts) > MOST_AT_ONCE:
        raise ValueError(f"at most {MOST_AT_ONCE} facts at a time")
    outcome = Appended()
    if not facts:
        return outcome
    head = lock(session)
    known = _known(session, facts)
    gone = _redacted(session, facts)
    moment = db.now()
    written_at = instant(moment)
    rows: list[_Row] = []
    replaced: dict[int, int] = {}
    touched: dict[str, None] = {}
    for sealed in facts:
        fact = sealed.fact
        name = _name(fact)
        if gone and name_hash(fact) in gone:
            outcome.redacted += 1
            continue
        before, now = known.get(name), said(fact)
        if before and before.said == now:
            outcome.unchanged += 1
            continue
        seq, id_ = head + len(rows), new_id()
        hash_ = leaf(seq, id_, fact.kind, written_at, sealed.digest)
        rows.append(_Row(seq, id_, sealed, hash_, before.seq if before else None))
        if before:
            replaced[before.seq] = seq
            outcome.changed += 1
            touched |= dict.fromkeys(code for code in (before.said["entity_code"],) if code)
        else:
            outcome.added += 1
        known[name] = _Known(seq, now, (fact.shown_from, fact.shown_until))
        touched |= dict.fromkeys(code for code in (fact.entity_code,) if code)
    if rows:
        _write(session, head, rows, replaced, moment)
        outcome.seqs = [row.seq for row in rows]
        outcome.written = [(row.seq, row.sealed.fact) for row in rows if row.seq not in replaced]
        outcome.replaced = {old: _last(replaced, new) for old, new in replaced.items() if old < head}
        outcome.touched = list(touched)
        jobs.nudge(session, APPENDED)
    return outcome


def _last(replaced: dict[int, int], seq: int) -> int:
    while seq in replaced:
        seq = replaced[seq]
    return seq


def lock(session: Session) -> int:
    """The ledger's size, nobody else's to change until this transaction ends.

    Taken by itself by whoever must look before appending: what is read afterwards stays so until the commit.
    """
    locked = select(LedgerHead.size).where(LedgerHead.id == 1).with_for_update()
    return session.execute(locked).scalar_one()


def _name(fact: Fact) -> tuple[str, str, str]:
    return fact.source, fact.kind, fact.source_ref


def name_hash(fact: Fact) -> bytes:
    """What is kept of a redacted fact's name."""
    return hashlib.sha256("\x00".join(_name(fact)).encode()).digest()


_KNOWN = select(
    _ENTRY.c.seq, _ENTRY.c.source, _ENTRY.c.kind, _ENTRY.c.source_ref, _ENTRY.c.entity_code, _ENTRY.c.occurred_on,
    _ENTRY.c.payload, _ENTRY.c.visibility, _ENTRY.c.shown_from, _ENTRY.c.shown_until,
).where(
    _ENTRY.c.superseded_by.is_(None),
    _ENTRY.c.source_ref.is_not(None),
)  # fmt: skip


def _known(session: Session, facts: Sequence[Sealed]) -> dict[tuple[str, str, str], _Known]:
    known = {}
    # The references alone: they are nearly unique, and without statistics PostgreSQL would rather read a whole kind.
    named = db.one_of(session, _ENTRY.c.source_ref, {fact.source_ref for fact, _, _ in facts})
    for row in session.execute(_KNOWN.where(named)):
        day = row.occurred_on.isoformat() if row.occurred_on else None
        fact = Fact(row.kind, row.source, row.source_ref, row.payload, row.entity_code, day, row.visibility)
        known[_name(fact)] = _Known(row.seq, said(fact), (row.shown_from, row.shown_until))
    return known


def _redacted(session: Session, facts: Sequence[Sealed]) -> set[bytes]:
    if session.execute(select(_REDACTED.c.name_hash).limit(1)).first() is None:
        return set()
    hashes = [name_hash(fact) for fact, _, _ in facts]
    return set(session.scalars(select(_REDACTED.c.name_hash).where(_REDACTED.c.name_hash.in_(hashes))))


class _Row(NamedTuple):
    seq: int
    id: str
    sealed: Sealed
    leaf_hash: bytes
    supersedes: int | None


_SUPERSEDE = update(_ENTRY).where(_ENTRY.c.seq == bindparam("old")).values(superseded_by=bindparam("new"))
_COLUMNS = (
    "seq", "id", "kind", "entity_code", "source", "source_ref", "occurred_on", "payload", "salt", "digest", "leaf_hash",
    "supersedes", "visibility", "superseded_by", "shown_from", "shown_until", "authority", "act", "recorded_at",
)  # fmt: skip


def _write(session: Session, head: int, rows: list[_Row], replaced: dict[int, int], moment: datetime) -> None:
    connection = session.connection()
    # First the old ones step back: of one fact only one entry may be the current one.
    in_ledger = [{"old": old, "new": new} for old, new in replaced.items() if old < head]
    if in_ledger:
        connection.execute(_SUPERSEDE, in_ledger)
    recorded_at = db.stamp(connection, moment)
    values = [(*_values(row, replaced.get(row.seq)), recorded_at) for row in rows]
    db.insert_many(connection, "ledger_entry", _COLUMNS, values)
    size = head + len(rows)
    _grow(session, head, size)
    connection.execute(update(LedgerHead).where(LedgerHead.id == 1).values(size=size))


def _values(row: _Row, superseded_by: int | None) -> tuple[Any, ...]:
    """The columns of an entry but the last, as both databases take them."""
    fact = row.sealed.fact
    return (
        row.seq, row.id, fact.kind, fact.entity_code, fact.source, fact.source_ref, fact.occurred_on,
        _JSON.encode(fact.payload), row.sealed.salt, row.sealed.digest, row.leaf_hash, row.supersedes, fact.visibility,
        superseded_by, fact.shown_from and fact.shown_from.isoformat(),
        fact.shown_until and fact.shown_until.isoformat(), *_to_browse_by(fact),
    )  # fmt: skip


def _to_browse_by(fact: Fact) -> tuple[str | None, str | None]:
    """Authority and act, as far as an index can hold them."""
    field = ACTS.get(fact.kind)
    if field is None:
        return None, None
    authority, act = fact.payload.get("authority") or fact.payload.get("court"), fact.payload.get(field)
    return authority and authority[:200], act and act[:200]


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


# ---- redacting ------------------------------------------------------------------------------------------------------

_GONE = dict.fromkeys(("payload", "salt", "entity_code", "occurred_on", "source_ref", "authority", "act"))


def redact(session: Session, seq: int) -> list[int]:
    """Take what the entry's fact says out of the ledger for good, in every entry that says it. Returns their numbers.

    Digests and leaf hashes stay, so everything else still verifies; without the salt nobody can try out what the digest
    was made of. The fact's name stays as a hash, so that the next delivery does not bring it back. Comes last in its
    transaction. Raises ValueError for an entry that is not there or was redacted before.
    """
    lock(session)
    versions = _fact_of(session, seq)
    if not versions or versions[0].source_ref is None:
        raise ValueError("there is nothing to redact")
    if session.connection().dialect.name == "sqlite":
        session.connection().exec_driver_sql("PRAGMA secure_delete=ON")  # freed bytes are overwritten, not only freed
    seqs = sorted(version.seq for version in versions)
    session.execute(update(_ENTRY).where(_ENTRY.c.seq.in_(seqs)).values(**_GONE))
    fact = Fact(versions[0].kind, versions[0].source, versions[0].source_ref, {})
    session.execute(insert(_REDACTED).values(name_hash=name_hash(fact)))
    return seqs


def versions(session: Session, seq: int) -> list[int]:
    """Numbers of all entries that say the same fact as this one, oldest first."""
    return sorted(version.seq for version in _fact_of(session, seq))


def _fact_of(session: Session, seq: int) -> list[Any]:
    columns = (_ENTRY.c.seq, _ENTRY.c.source, _ENTRY.c.kind, _ENTRY.c.source_ref)
    asked = select(*columns, _ENTRY.c.supersedes, _ENTRY.c.superseded_by)
    found: list[Any] = []
    to_read: list[int | None] = [seq]
    while to_read:
        row = session.execute(asked.where(_ENTRY.c.seq == to_read.pop())).one_or_none()
        if row:
            found.append(row)
            known = {one.seq for one in found}
            to_read += [other for other in (row.supersedes, row.superseded_by) if other not in {None, *known}]
    return found


# ---- the tree -------------------------------------------------------------------------------------------------------


def read_tile(session: Session, level: int, number: int) -> list[bytes]:
    """One tile of the tree (record.merkle.Read)."""
    first = number * merkle.WIDTH
    if level == 0:
        asked = select(STEP.c.leaf_hash).where(STEP.c.seq.between(first, first + merkle.WIDTH - 1))
        return list(session.scalars(asked.order_by(STEP.c.seq)))
    asked = select(_NODE.c.hash).where(_NODE.c.level == level, _NODE.c.number.between(first, first + merkle.WIDTH - 1))
    return list(session.scalars(asked.order_by(_NODE.c.number)))


def _grow(session: Session, head: int, size: int) -> None:
    """Store the hash of every subtree of 256, 65,536, … leaves that is full now and was not before."""
    level, unit = 1, merkle.WIDTH
    while size // unit > head // unit:
        nodes = [
            {"level": level, "number": number, "hash": merkle.fold(read_tile(session, level - 1, number))}
            for number in range(head // unit, size // unit)
        ]
        session.connection().execute(insert(_NODE), nodes)
        level, unit = level + 1, unit * merkle.WIDTH


class Head(NamedTuple):
    """The ledger at one moment."""

    size: int
    root: bytes


def size(session: Session) -> int:
    """Number of entries."""
    return session.execute(select(LedgerHead.size).where(LedgerHead.id == 1)).scalar_one()


def shows_internal(connection: Connection) -> bool:
    """Whether this account of PostgreSQL sees internal entries: the public side's does not."""
    return not connection.execute(func.row_security_active(text("'ledger_entry'"))).scalar()


def recorded_at(session: Session, seq: int) -> datetime | None:
    """When an entry was recorded; None where there is none of this number."""
    return session.scalar(select(STEP.c.recorded_at).where(STEP.c.seq == seq))


def before(session: Session, moment: datetime) -> int:
    """How many entries had been recorded before a moment: those of lower numbers, for the ledger is in their order."""
    low, high = 0, size(session)
    while low < high:
        middle = (low + high) // 2
        recorded = recorded_at(session, middle)
        if recorded is not None and recorded < moment:
            low = middle + 1
        else:
            high = middle
    return low


def head(session: Session, at: int | None = None) -> Head:
    """The ledger's head now, or when it had `at` entries. Raises ValueError when it never had so many."""
    wanted = size(session) if at is None else at
    if not 0 <= wanted <= size(session):
        raise ValueError("the ledger has not so many entries")
    return Head(wanted, merkle.root(_reader(session), wanted))


def inclusion(session: Session, seq: int, at: int) -> list[bytes]:
    """Proof that entry `seq` is in the ledger of `at` entries."""
    return merkle.inclusion(_reader(session), seq, at)


def consistency(session: Session, earlier: int, later: int) -> list[bytes]:
    """Proof that the ledger of `later` entries begins with that of `earlier`."""
    return merkle.consistency(_reader(session), earlier, later)


def _reader(session: Session) -> merkle.Read:
    return lambda level, number: read_tile(session, level, number)


# ---- following ------------------------------------------------------------------------------------------------------


def entries(session: Session, *, after: int = -1, most: int = MOST_AT_ONCE) -> Iterator[LedgerEntry]:
    """Entries behind `after`, oldest first: what a follower catches up with."""
    asked = select(LedgerEntry).where(LedgerEntry.seq > after).order_by(LedgerEntry.seq).limit(most)
    yield from session.scalars(asked)


def chunks(facts: Iterable[Sealed]) -> Iterator[list[Sealed]]:
    """Facts in pieces that one transaction may append."""
    piece: list[Sealed] = []
    for sealed in facts:
        piece.append(sealed)
        if len(piece) == MOST_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece
