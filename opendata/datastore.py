"""Queries over data sets: DuckDB over a local copy of the snapshot, read-only, without the outside world, bounded.

Values only ever reach the engine as parameters; names of columns only after they were found among the declared ones.
What was withdrawn since the snapshot is hidden from every answer, counts included.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
import structlog

from opendata import filters, snapshots
from opendata.filters import Condition
from opendata.models import Snapshot
from opendata.snapshots import Manifest
from portal.kit import datasets, db, storage
from portal.kit.datasets import DataSet
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings
from record import ledger, publication, withdrawn

log = structlog.get_logger()

SECONDS = 5.0
MEMORY = "256MB"
MOST_ROWS = 32_000
DEEPEST_OFFSET = 100_000
COPIES_KEPT = 2
WAIT_SECONDS = 5.0
"""So long a query waits for a small copy. For a large one it is answered from the one before, or told to come again."""
LARGE = 100_000
"""Rows from which a copy takes long."""
LATER = 10
"""Niceness of the thread that makes a copy."""
TOTALS_KEPT = 2_000


class DataAway(PortalError):
    status = 503
    slug = "data-away"
    title = "This data set cannot be queried just now: its files are being written."
    remedy = "Try again in a minute, or take the whole file."


class QueryTooLong(PortalError):
    status = 503
    slug = "query-too-slow"
    title = "This query takes too long."
    remedy = "Filter by a code, a district or a day, or take the whole file and query it on your side."


class TooDeep(PortalError):
    status = 400
    slug = "offset-too-deep"
    title = "An offset reaches 100,000 rows at the most."
    remedy = "Ask with include_next_page=true and merge the answer's next_page into filters: it goes on at any depth."


# ---- the local copy -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Copy:
    """One data set's rows on this host, open for reading."""

    version: str
    engine: duckdb.DuckDBPyConnection
    gone: set[str] = field(default_factory=set)
    """What is in it and must not be shown; it only grows."""
    seen: int = -1
    """The last step of the ledger that was looked at for withdrawals."""
    totals: dict[tuple[Any, ...], int] = field(default_factory=dict)
    """How many rows answered which query, while as much was hidden as now."""


_copies: dict[tuple[str, str], _Copy] = {}
_building: dict[Path, threading.Event] = {}
_opening = threading.Lock()


def folder() -> Path:
    """Where this host's copies lie: they can be made anew, so no backup needs them."""
    return get_settings().data_dir / "opendata" / "local"


def forget() -> None:
    """Close every copy: for another data folder."""
    with _opening:
        while _copies:
            _copies.popitem()[1].engine.close()


def _copy(data_set: DataSet, snapshot: Snapshot) -> _Copy:
    """The copy of the newest snapshot; while that is made, the one before. Raises DataAway when there is neither."""
    where = (str(get_settings().data_dir), data_set.name)
    version, known = _version(snapshot), _copies.get(where)
    if known and known.version == version:
        return known
    path = folder() / f"{data_set.name}-{version}.duckdb"
    if not path.exists():
        _build_beside(data_set, snapshot, path).wait(WAIT_SECONDS if snapshot.manifest["rows"] < LARGE else 0)
    if path.exists():
        return _open(where, version, path, snapshot)
    if known:
        return known
    raise DataAway


def _version(snapshot: Snapshot) -> str:
    return f"{snapshot.seq}-{int(snapshot.changed_at.timestamp() * 1000)}"


def _open(where: tuple[str, str], version: str, path: Path, snapshot: Snapshot) -> _Copy:
    with _opening:
        known = _copies.get(where)
        if known and known.version == version:
            return known
        engine = duckdb.connect(str(path), read_only=True, config={"memory_limit": MEMORY, "threads": 1})
        engine.execute("SET enable_external_access=false; SET lock_configuration=true")
        made = _Copy(version, engine, seen=snapshot.cleaned)
        _copies[where] = made
        return made


def prepare() -> None:
    """Make the copies before somebody asks, in this thread; the small ones first."""
    with db.reading() as session:
        made = snapshots.all_of(session)
    for name, (snapshot, _) in sorted(made.items(), key=lambda each: each[1][1].rows):
        data_set = datasets.offered().get(name)
        if data_set is not None:
            path = folder() / f"{name}-{_version(snapshot)}.duckdb"
            if not path.exists():
                _build_beside(data_set, snapshot, path).wait()


def _build_beside(data_set: DataSet, snapshot: Snapshot, path: Path) -> threading.Event:
    """Have the copy made by a thread that gives way to those who answer people. Returns what is set at its end."""
    with _opening:
        known = _building.get(path)
        if known:
            return known
        done = _building[path] = threading.Event()
    manifest = Manifest.model_validate(snapshot.manifest)

    def build() -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LATER)
        try:
            folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            _build(data_set, manifest, path)
        except (duckdb.Error, PortalError, OSError) as error:
            log.warning("datastore.not_built", data_set=data_set.name, error=type(error).__name__)
        finally:
            with _opening:
                _building.pop(path, None)
            done.set()

    threading.Thread(target=build, name="datastore", daemon=True).start()
    return done


def _build(data_set: DataSet, manifest: Manifest, path: Path) -> None:
    """Make the copy from the snapshot's parts; of several processes one, the others wait."""
    with _one_at_a_time(path.with_suffix(".lock")):
        if path.exists():
            return
        fresh = path.with_suffix(f".{os.getpid()}.new")
        with suppress(FileNotFoundError):
            fresh.unlink()
        parts = []
        try:
            for number, part in enumerate(manifest.parts):
                parts.append(path.with_suffix(f".{number}.parquet"))
                storage.fetch(part.files["parquet"].key, parts[-1])
            _fill(data_set, fresh, parts)
            fresh.rename(path)
        finally:
            for one in parts:
                one.unlink(missing_ok=True)
    for old in sorted(folder().glob(f"{data_set.name}-[0-9]*.duckdb"), key=os.path.getmtime)[:-COPIES_KEPT]:
        old.unlink(missing_ok=True)


def _fill(data_set: DataSet, path: Path, parts: Sequence[Path]) -> None:
    with duckdb.connect(str(path), config={"memory_limit": "1GB", "threads": 1}) as engine:
        if parts:
            listed = ", ".join("'" + str(part).replace("'", "''") + "'" for part in parts)
            rows = f"SELECT * FROM read_parquet([{listed}])"
        else:
            columns = ", ".join(f"NULL::{snapshots.SQL_TYPES[one.type]} AS {one.name}" for one in data_set.columns)
            rows = f"SELECT {columns} WHERE false"
        by = _ordering(data_set)
        engine.execute(
            f"CREATE TABLE rows AS SELECT row_number() OVER (ORDER BY {by}) AS _id, * FROM ({rows}) ORDER BY _id"
        )
        for name in _indexed(data_set):
            engine.execute(f"CREATE INDEX ix_{name} ON rows ({name})")


def _indexed(data_set: DataSet) -> Sequence[str]:
    return [name for name in ("entity_code", data_set.key) if data_set.column(name)]


def _ordering(data_set: DataSet) -> str:
    """Rows lie as people read them first, so that the first pages are at the front."""
    if data_set.order is None:
        return data_set.key
    name, direction = data_set.order
    return f"{name} {direction} NULLS LAST, {data_set.key}"


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def _up_to_date(copy: _Copy, data_set: DataSet) -> set[str]:
    """Ids that must be hidden now: what was withdrawn or said anew since the snapshot's files were written."""
    if data_set.kind is None:
        return set()
    with db.reading() as session:
        last = ledger.size(session) - 1
        if last > copy.seen:
            copy.gone |= withdrawn.gone_since(session, data_set.kind, copy.seen)
            copy.seen = last
    return copy.gone


# ---- asking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, its columns found among the declared ones."""

    fields: Sequence[str]
    condition: Condition
    order: Sequence[tuple[str, Literal["asc", "desc"], Literal["first", "last"]]] = ()
    limit: int = 100
    offset: int = 0
    distinct: bool = False
    total: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What a query came to."""

    rows: Sequence[tuple[Any, ...]]
    total: int | None


def search(data_set: DataSet, snapshot: Snapshot, asked: Asked) -> Found:
    """Rows that answer a query. Raises TooDeep, QueryTooLong, DataAway."""
    if asked.offset > DEEPEST_OFFSET:
        raise TooDeep
    copy = _ready(data_set, snapshot)
    gone = _up_to_date(copy, data_set)
    where, values = asked.condition.and_(_hidden(data_set, gone)).sql()
    columns = ", ".join(f'"{name}"' for name in asked.fields)
    chosen = f"SELECT {'DISTINCT ' if asked.distinct else ''}{columns} FROM rows WHERE {where}"
    page = f"{chosen} {_sorting(data_set, asked)} LIMIT {asked.limit} OFFSET {asked.offset}"
    rows = _run(copy, page, values)
    total = None
    if asked.total:
        question = chosen if asked.distinct else f"SELECT 1 FROM rows WHERE {where}"
        total = _total(copy, question, values, (question, *asked.condition.values, publication.today(), len(gone)))
    return Found(rows, total)


def _sorting(data_set: DataSet, asked: Asked) -> str:
    """Rows lie in the order of `_id`, which one thread reads them in: only what comes by an index must be sorted."""
    order = [f'"{name}" {way.upper()} NULLS {nulls.upper()}' for name, way, nulls in asked.order]
    by_index = any(f'"{name}"' in asked.condition.text for name in _indexed(data_set))
    if not asked.distinct and (order or by_index):
        order.append("_id")
    return f"ORDER BY {', '.join(order)}" if order else ""


def _total(copy: _Copy, question: str, values: Sequence[Any], known_as: tuple[Any, ...]) -> int:
    known = copy.totals.get(known_as)
    if known is None:
        known = int(_run(copy, f"SELECT count(*) FROM ({question})", values)[0][0])
        if len(copy.totals) >= TOTALS_KEPT:
            copy.totals.clear()
        copy.totals[known_as] = known
    return known


def _ready(data_set: DataSet, snapshot: Snapshot) -> _Copy:
    try:
        return _copy(data_set, snapshot)
    except (duckdb.Error, PortalError) as error:
        raise DataAway from error


def _hidden(data_set: DataSet, gone: set[str]) -> Condition:
    conditions = []
    if gone:
        conditions.append(Condition(f"{data_set.key} NOT IN (SELECT unnest(?::VARCHAR[]))", [sorted(gone)]))
    if data_set.column("published_until"):
        over = "(published_until IS NULL OR published_until >= ?::DATE)"
        conditions.append(Condition(over, [publication.today().isoformat()]))
    return filters.all_of(conditions)


def _run(copy: _Copy, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    cursor = copy.engine.cursor()
    stop = threading.Timer(SECONDS, cursor.interrupt)
    stop.start()
    try:
        return cursor.execute(query, list(values)).fetchall()
    except duckdb.InterruptException as error:
        raise QueryTooLong from error
    finally:
        stop.cancel()
        cursor.close()


def preview(data_set: DataSet, *, limit: int) -> list[Mapping[str, Any]]:
    """The first rows, as people read them; none while there is no snapshot."""
    with db.reading() as session:
        made = snapshots.of(session, data_set.name)
    if made is None:
        return []
    names = [one.name for one in data_set.columns]
    asked = Asked(names, Condition("true", []), limit=limit, total=False)
    return [dict(zip(names, row, strict=True)) for row in search(data_set, made[0], asked).rows]


def shares(data_set: DataSet, language: str) -> list[tuple[str, int]]:
    """How many rows there are by the column that is worth a picture, the most frequent first."""
    column = data_set.column(data_set.chart) if data_set.chart else None
    with db.reading() as session:
        made = snapshots.of(session, data_set.name)
    if column is None or made is None:
        return []
    copy = _ready(data_set, made[0])
    where, values = _hidden(data_set, _up_to_date(copy, data_set)).sql()
    query = f'SELECT "{column.name}", count(*) FROM rows WHERE {where} GROUP BY 1 ORDER BY 2 DESC LIMIT 24'
    named = column.codes or {}
    return [
        (named[value][language == "en"] if value in named else str(value or "—"), int(count))
        for value, count in _run(copy, query, values)
    ]
