"""Official data into the ledger: permits, penalties, inspections, lists, commendations, from files or from a system.

    summary = import_file("penalty", Path("penalties.csv"), source="import")

A bad row costs that row. The same file again changes nothing, so a killed import is simply run again. An entity that
the register does not know is kept as unmatched; joining it is `record.joining`'s business.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import structlog
from sqlalchemy import Table, update
from sqlalchemy.orm import Session

from portal.kit import db, keyring, parallel
from portal.kit.errors import PortalError
from record import (
    applications,
    cleaning,
    entities,
    feed_columns,
    feed_rows,
    joining,
    ledger,
    names,
    packing,
    publication,
    tables,
)
from record.cleaning import RawRow
from record.feed_columns import FeedLayout
from record.feed_rows import FeedRow
from record.kinds import KINDS
from record.ledger import Appended, Fact, Sealed
from record.models import FeedImport, Unmatched
from record.packing import FileRefused
from record.rejects import Rejects

__all__ = [
    "REASONS",
    "FeedSummary",
    "FileRefused",
    "LayoutUnknown",
    "Party",
    "TakenOver",
    "import_file",
    "party_of",
    "store",
    "take",
]

REASONS = {
    **cleaning.REASONS,
    **feed_rows.REASONS,
    "district_other": (
        "当事人不在您账号所属的区，或尚未登记；请交由该区或市级人员报送",
        "The party is in another district than your account, or not registered; pass it on to an officer of that "
        "district or of the whole city",
    ),
}
"""Why a row was refused."""
ROWS_AT_ONCE = {"sqlite": 500, "postgresql": 250}
"""Rows of one transaction, by database: as many as an officer can wait for."""
INLINE_ROWS = 3_000
REFUSALS_KEPT = 200
"""Of one delivery, on its page: place and reason, never the content."""

_UNMATCHED = cast(Table, Unmatched.__table__)

Progress = Callable[[int, int | None], None]

log = structlog.get_logger()

parallel.preload(__name__)


class TakenOver(Exception):
    """Another process goes on with this file."""


@dataclass(slots=True)
class FeedSummary:
    """What a delivery came to. Rows = added + changed + unchanged + rejected (+ facts that were redacted before)."""

    kind: str
    file: str
    sha256: str
    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    unmatched: int = 0
    """Of the added and changed: entries whose party the register does not know yet."""
    seconds: float = 0.0
    rejects: str | None = None
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Of a delivery that is no file: place among its items, and reason."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


class Party(NamedTuple):
    """A fact that may still lack its party's code, and the party's name."""

    fact: Fact
    name: str
    sealed: tuple[bytes, bytes] | None
    """Salt and digest; None while the party's code is not known."""


# ---- rows -----------------------------------------------------------------------------------------------------------


def party_of(row: FeedRow, kind: str, source: str, secret: bytes) -> Party:
    """The fact that a row states. A natural person's is kept for the desk alone, and never under their name."""
    key = names.fold(row.party_name).encode()
    named = row.party_code or hashlib.blake2b(key, key=secret, digest_size=12).hexdigest()
    fact = publication.with_term(
        Fact(
            kind,
            source,
            f"{row.reference}|{named}",
            row.payload,
            row.party_code,
            row.occurred_on,
            "internal" if row.natural_person else "public",
        )
    )
    if row.party_code is None and not row.natural_person:
        return Party(fact, row.party_name, None)
    sealed = ledger.seal(fact)
    return Party(fact, row.party_name, (sealed.salt, sealed.digest))


_Setup = tuple[FeedLayout, str, str, bytes]
_Plain = tuple[list[tuple[Any, ...]], list[tuple[int, str]]]


def _read(setup: _Setup, raw: Sequence[RawRow]) -> tuple[list[Party], list[tuple[int, str]]]:
    layout, kind, source, secret = setup
    good: list[Party] = []
    refused: list[tuple[int, str]] = []
    for place, one in enumerate(raw):
        if one.fault:
            refused.append((place, one.fault))
            continue
        try:
            good.append(party_of(feed_rows.clean(layout, one.cells), kind, source, secret))
        except feed_rows.Refused as refusal:
            refused.append((place, refusal.reason))
    return good, refused


def _work(setup: _Setup, sent: tuple[list[list[str]], dict[int, str]]) -> _Plain:
    cells, faults = sent
    good, refused = _read(setup, [RawRow(row, faults.get(place)) for place, row in enumerate(cells)])
    return [(tuple(_plain(party.fact)), party.name, party.sealed) for party in good], refused


def _plain(fact: Fact) -> Iterator[Any]:
    return (value.isoformat() if isinstance(value, date) else value for value in fact)


def _party(plain: tuple[Any, ...]) -> Party:
    fact, name, sealed = plain
    *said, shown_from, shown_until = fact
    days = (date.fromisoformat(day) if day else None for day in (shown_from, shown_until))
    return Party(Fact(*said, *days), name, tuple(sealed) if sealed else None)


Piece = tuple[list[RawRow], list[Party], list[tuple[int, str]]]


def _pieces(setup: _Setup, rows: Iterator[RawRow]) -> Generator[Piece]:
    """Rows read, in pieces, in the file's order: a small file here, a large one in processes beside this one."""
    at_once = ROWS_AT_ONCE[db.writing_engine().dialect.name]
    raws = iter(lambda: list(islice(rows, at_once)), [])
    first = list(islice(raws, INLINE_ROWS // at_once))
    ahead = next(raws, None)
    if ahead is None:
        for raw in first:
            yield raw, *_read(setup, raw)
        return
    rest = (
        (raw, ([row.cells for row in raw], {place: row.fault for place, row in enumerate(raw) if row.fault}))
        for raw in chain([ahead], raws)
    )
    with closing(parallel.ordered(_work, setup, rest)) as answers:
        for raw in first:  # while the processes start
            yield raw, *_read(setup, raw)
        for raw, (good, refused) in answers:
            yield raw, list(map(_party, good)), refused


# ---- storing --------------------------------------------------------------------------------------------------------


def store(session: Session, parties: Sequence[Party]) -> tuple[Appended, int]:
    """Append facts, their parties matched with the register. Returns what became of them, and how many are unmatched.

    Comes last in its transaction; at most ledger.MOST_AT_ONCE facts.
    """
    codes = entities.sole_bearers(session, {names.fold(party.name) for party in parties if party.sealed is None})
    shared = [party.fact for party in parties if party.sealed is None and names.fold(party.name) not in codes]
    joined = joining.given(session, shared)
    sealed = [_sealed(party, codes, joined) for party in parties]
    here = set(entities.districts(session, {one.fact.entity_code for one in sealed if one.fact.entity_code}))
    appended = ledger.append(session, sealed)
    if appended.replaced:
        publication.carry_over(session, appended.replaced)
        applications.follow(session, appended.replaced)
    unmatched = _keep_unmatched(session, appended, here)
    if any(KINDS[party.fact.kind].listing for party in parties):
        publication.told(session, appended.touched)
    return appended, unmatched


def _sealed(party: Party, codes: dict[str, str], joined: dict[str, str]) -> Sealed:
    if party.sealed:
        return Sealed(party.fact, *party.sealed)
    code = codes.get(names.fold(party.name)) or joined.get(party.fact.source_ref)
    return ledger.seal(party.fact._replace(entity_code=code))


def _keep_unmatched(session: Session, appended: Appended, here: set[str]) -> int:
    rows = [
        (seq, fact.entity_code, names.fold(fact.payload["party_name"])[:300])
        for seq, fact in appended.written
        if fact.visibility == "public" and fact.entity_code not in here
    ]
    if rows:
        db.insert_many(session.connection(), "unmatched", ("seq", "entity_code", "name_key"), rows)
    return len(rows)


# ---- files ----------------------------------------------------------------------------------------------------------


def import_file(
    kind: str,
    path: Path,
    *,
    source: str = "import",
    progress: Progress = lambda done, total: None,
    delivery: int | None = None,
    district: str | None = None,
    keep_rejects: Callable[[Path], None] = lambda path: None,
) -> FeedSummary:
    """Read one file of a kind into the ledger. Raises FileRefused for a file that cannot be read as a whole.

    `source` names whose data it is: the same fact from two sources is two facts. `delivery`: number of a FeedImport
    that was made when the file was handed in; reading goes on where it was stopped, and raises TakenOver once somebody
    else reads the same. `district`: rows about entities of other districts are refused. `keep_rejects` is given the
    file of rejects whenever rows were added to it, before what was read with them is committed.
    """
    started = time.monotonic()
    summary = FeedSummary(kind, str(path), packing.sha256(path))
    with closing(tables.read(path, partial(feed_columns.layout_of, kind))) as table:
        record = _begin(summary, source) if delivery is None else _go_on(delivery, summary)
        with closing(Rejects(path, table.layout.header, REASONS, kept=summary.rejected)) as rejects:
            setup = (table.layout, kind, source, keyring.secret("party-names"))
            with closing(_pieces(setup, islice(table.rows, summary.rows, None))) as pieces:
                for piece in pieces:
                    raw, parties, refused = _within(district, piece) if district else piece
                    if refused:
                        rejects.write(
                            [(feed_rows.safe_cells(table.layout, raw[at].cells), reason) for at, reason in refused]
                        )
                        rejects.sync()
                        keep_rejects(rejects.path)
                    _store_piece(record, summary, (raw, parties, refused))
                    progress(summary.rows, round(summary.rows / table.fraction) if table.fraction > 0.001 else None)
            summary.rejects = str(rejects.path) if rejects.written else None
    summary.seconds = round(time.monotonic() - started, 2)
    _finish(record)
    log.info("feed.imported", kind=kind, rows=summary.rows, rejected=summary.rejected, unmatched=summary.unmatched)
    return summary


def _store_piece(number: int, summary: FeedSummary, piece: Piece) -> None:
    """Rows and the count of them in one transaction, so that a killed import is gone on with exactly."""
    raw, parties, refused = piece
    with db.writing() as session:
        record = session.get_one(FeedImport, number, with_for_update=True)
        if record.rows != summary.rows:
            raise TakenOver
        places = [(summary.rows + at, reason) for at, reason in refused]
        appended, unmatched = store(session, parties)
        _count(summary, raw, appended, refused, unmatched)
        record.refused = [*(record.refused or ()), *places][:REFUSALS_KEPT]
        for name, count in _counts(summary).items():
            setattr(record, name, count)


def _within(district: str, piece: Piece) -> Piece:
    """The piece without what is about entities elsewhere, or about nobody who is registered."""
    raw, parties, refused = piece
    without = {at for at, _ in refused}
    places = [at for at in range(len(raw)) if at not in without]
    with db.reading() as session:
        named = entities.sole_bearers(session, {names.fold(party.name) for party in parties if party.sealed is None})
        codes = [party.fact.entity_code or named.get(names.fold(party.name), "") for party in parties]
        known = entities.districts(session, set(codes))
    kept, elsewhere = [], []
    for at, party, code in zip(places, parties, codes, strict=True):
        if party.fact.visibility == "internal" or known.get(code) == district:
            kept.append(party)
        else:
            elsewhere.append((at, "district_other"))
    return raw, kept, sorted([*refused, *elsewhere])


def _count(
    summary: FeedSummary, raw: Sequence[RawRow], appended: Appended, refused: Sequence[object], unmatched: int
) -> None:
    summary.rows += len(raw)
    summary.added += appended.added
    summary.changed += appended.changed
    summary.unchanged += appended.unchanged + appended.redacted
    summary.rejected += len(refused)
    summary.unmatched += unmatched


def _record(session: Session, summary: FeedSummary, source: str, *, finished: bool = True) -> FeedImport:
    record = FeedImport(
        kind=summary.kind, source=source, file_name=Path(summary.file).name[:255], sha256=summary.sha256,
        started_at=db.now(), finished_at=db.now() if finished else None, refused=summary.refused[:REFUSALS_KEPT],
        **_counts(summary),
    )  # fmt: skip
    session.add(record)
    session.flush()
    return record


def _counts(summary: FeedSummary) -> dict[str, int]:
    names_ = ("rows", "added", "changed", "unchanged", "rejected", "unmatched")
    return {name: getattr(summary, name) for name in names_}


def _begin(summary: FeedSummary, source: str) -> int:
    with db.writing() as session:
        return _record(session, summary, source, finished=False).id


def _go_on(number: int, summary: FeedSummary) -> int:
    with db.reading() as session:
        record = session.get_one(FeedImport, number)
        for name in _counts(summary):
            setattr(summary, name, getattr(record, name))
    return number


def _finish(number: int) -> None:
    with db.writing() as session:
        session.execute(update(FeedImport).where(FeedImport.id == number).values(finished_at=db.now()))


# ---- from a department's system -------------------------------------------------------------------------------------

Item = Mapping[str, str | int | None]


class LayoutUnknown(PortalError):
    status = 422
    slug = "feed-columns"
    title = "These items lack columns that this kind of record needs."
    remedy = "Name party, document number, content and date as the 双公示 data standard does, by code or in Chinese."


def take(session: Session, kind: str, items: Sequence[Item], source: str) -> FeedSummary:
    """Append what a department's system sends, at most ledger.MOST_AT_ONCE items, in the caller's transaction.

    The keys of the items are column headers, as in a file. Raises LayoutUnknown. Which items were refused, and why, is
    in the summary's `refused`.
    """
    header = list(dict.fromkeys(key for item in items for key in item))
    layout = feed_columns.layout_of(kind, header)
    if layout is None:
        raise LayoutUnknown
    raw = [RawRow([_cell(item.get(key)) for key in header]) for item in items]
    parties, refused = _read((layout, kind, source, keyring.secret("party-names")), raw)
    summary = FeedSummary(kind, "", hashlib.sha256(repr(items).encode()).hexdigest())
    appended, unmatched = store(session, parties)
    _count(summary, raw, appended, refused, unmatched)
    summary.refused = refused
    _record(session, summary, source)
    return summary


def _cell(value: str | int | None) -> str:
    return "" if value is None else str(value)
