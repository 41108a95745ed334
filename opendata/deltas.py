"""What changed on each day as a file: the steps of the ledger that `/api/v1/changes` tells, a line each.

One file a day of the city's, from where the day before ended, so that nothing is left out between two; a day without a
step has none. What is shown no longer is a tombstone, in the file of the day on which it was published too: that file
is written anew, and no other.
"""

import bisect
import gzip
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from opendata import leaving
from opendata.files import File, Piece
from opendata.models import Delta
from opendata.snapshots import MEDIA_TYPES
from portal.kit import db, storage
from portal.kit.settings import get_settings
from record import ledger, publication, withdrawn
from record.items import ChangeItem, change_item

AT_ONCE = 1_000
PREFIX = "deltas"
FORMS = ("jsonl", "jsonl.gz")
MOST_LISTED = 500

log = structlog.get_logger()


def _media_type(form: str) -> str:
    return MEDIA_TYPES["jsonl"] if form == "jsonl" else "application/gzip"


def write_missing(today: date) -> int:
    """Write the file of each day before today that has none yet. Safe to repeat. Returns how many days."""
    written = 0
    while True:
        with db.reading() as session:
            first = _next_seq(session)
            day = _day_of(session, first)
            if day is None or day >= today:
                return written
            last = ledger.before(session, midnight(day + timedelta(days=1))) - 1
        _write(day, first, max(first, last))
        written += 1


def _next_seq(session: Session) -> int:
    known: int | None = session.scalar(select(func.max(Delta.last_seq)))
    if known is not None:
        return known + 1
    kept_from = publication.today() - timedelta(days=get_settings().deltas_days)
    return ledger.before(session, midnight(kept_from))


def _day_of(session: Session, seq: int) -> date | None:
    recorded = ledger.recorded_at(session, seq)
    return recorded.astimezone(publication.CITY_TIME).date() if recorded else None


def midnight(day: date) -> datetime:
    """When a day of the city begins."""
    return datetime(day.year, day.month, day.day, tzinfo=publication.CITY_TIME)


def _write(day: date, first: int, last: int) -> None:
    """A day's steps as files in the store, then its row."""
    with db.reading() as session:
        known_to = ledger.size(session) - 1
        hidden = _hidden_kinds(session)
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "plain", Path(folder) / "packed"
        digests = {form: hashlib.sha256() for form in FORMS}
        rows = 0
        with plain.open("wb") as file:
            for lines, count in _lines(first, last):
                file.write(lines)
                digests["jsonl"].update(lines)
                rows += count
        with plain.open("rb") as source, packed.open("wb") as target, gzip.GzipFile("", "wb", 6, target, 0) as file:
            while block := source.read(2**20):
                file.write(block)
        with packed.open("rb") as source:
            digests["jsonl.gz"] = hashlib.file_digest(source, "sha256")
        files = {}
        for form, path in zip(FORMS, (plain, packed), strict=True):
            sha256 = digests[form].hexdigest()
            key = f"{PREFIX}/{day}-{sha256[:16]}.{form}"
            files[form] = {"key": key, "size": path.stat().st_size, "sha256": sha256}
            shown_as = leaving.served_as(_media_type(form), f"changes-{day}.{form}")
            storage.put_file(key, path, served_as=shown_as)
    with db.writing() as session:
        kept = session.get(Delta, day, with_for_update=True)
        if kept is None:
            kept = Delta(day=day, first_seq=first, last_seq=last)
            session.add(kept)
        else:
            leaving.plan(session, _keys(kept.files), _keys(files))
        kept.rows, kept.files, kept.changed_at = rows, files, db.now()
        kept.known_to, kept.hidden_kinds = known_to, hidden
    log.info("delta.written", day=day.isoformat(), rows=rows)


def _lines(first: int, last: int) -> Iterator[tuple[bytes, int]]:
    """The steps from `first` to `last`, some hundred lines at a time, each part read in a transaction of its own."""
    after: int | None = first - 1
    while after is not None and after < last:
        with db.reading() as session:
            found, after = publication.changes(session, after=after, limit=min(AT_ONCE, last - after))
        found = [step for step in found if step.seq <= last]
        lines = [ChangeItem.model_validate(change_item(step)).model_dump_json() for step in found]
        yield "".join(line + "\n" for line in lines).encode(), len(lines)


def clean() -> int:
    """Write those days anew that tell of what is shown no longer. Safe to repeat. Returns how many."""
    with db.reading() as session:
        known: int | None = session.scalar(select(func.min(Delta.known_to)))
        if known is None:
            return 0
        seq = ledger.size(session) - 1
        hidden_kinds = _hidden_kinds(session)
        spans = select(Delta.first_seq, Delta.last_seq, Delta.day, Delta.hidden_kinds).order_by(Delta.first_seq)
        found = session.execute(spans).all()
        kept = [(first, last, day) for first, last, day, _ in found]
        days = {
            day: (first, last)
            for hidden in withdrawn.hidden_since(session, known)
            for first, last, day in _holding(kept, hidden)
        }
        days |= {day: (first, last) for first, last, day, before in found if before != hidden_kinds}
    for day, (first, last) in sorted(days.items()):
        _write(day, first, last)
    with db.writing() as session:
        for delta in session.scalars(select(Delta).where(Delta.known_to < seq)):
            delta.known_to = seq
    return len(days)


def _hidden_kinds(session: Session) -> list[str]:
    return sorted(publication.switched_off(session, publication.today()))


def is_fit(session: Session, delta: Delta) -> bool:
    """Whether a day's file tells of no kind that was switched off since it was written."""
    return set(_hidden_kinds(session)) <= set(delta.hidden_kinds)


def _holding(kept: Sequence[tuple[int, int, date]], seqs: Iterable[int]) -> Iterator[tuple[int, int, date]]:
    """Of the days, which lie in the ledger's order, those that hold any of these entries."""
    for seq in seqs:
        place = bisect.bisect_right(kept, seq, key=lambda one: one[0]) - 1
        if place >= 0 and seq <= kept[place][1]:
            yield kept[place]


def _keys(files: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {str(file["key"]) for file in files.values()}


def named(session: Session) -> set[str]:
    """Keys of every file that a day names."""
    return {key for files in session.scalars(select(Delta.files)) for key in _keys(files)}


def purge() -> int:
    """Forget days that are kept no longer, and files that no day names any more. Returns how many days."""
    until = publication.today() - timedelta(days=get_settings().deltas_days)
    with db.writing() as session:
        newest = session.scalar(select(func.max(Delta.day)))
        gone = session.execute(delete(Delta).where(Delta.day < until, Delta.day != newest).returning(Delta.day)).all()
        known = named(session)
    a_day_ago = db.now() - timedelta(hours=24)
    storage.delete([key for key, changed in storage.dated(PREFIX) if key not in known and changed < a_day_ago])
    return len(gone)


# ---- reading --------------------------------------------------------------------------------------------------------


def listed(session: Session, *, before: date | None = None, limit: int = 100) -> list[Delta]:
    """Days that have a file, the newest first; `before`: only older ones."""
    asked = select(Delta).order_by(Delta.day.desc()).limit(min(limit, MOST_LISTED))
    return list(session.scalars(asked.where(Delta.day < before) if before else asked))


def of(session: Session, day: date) -> Delta | None:
    """The file of one day."""
    return session.get(Delta, day)


def file(delta: Delta, form: str) -> File:
    """A day's file in one of FORMS."""
    kept: dict[str, Any] = delta.files[form]
    media_type = _media_type(form)
    return File(media_type, kept["sha256"], [Piece(kept["size"], kept["key"])])
