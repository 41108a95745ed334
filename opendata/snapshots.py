"""Data sets as files: each as of one entry of the ledger, in parts, as Parquet, CSV, CSV.gz and JSON lines, and a small
one as a workbook too.

A part's files are named by their content, so an unchanged part is written once and a CDN may keep it for ever. The
whole of a data set is its parts one after another (`opendata.files`); nothing is stored twice. A withdrawal is hidden
by every query at once (`opendata.datastore`), listed in `withdrawn.csv`, and taken out of the parts that hold it soon
after.
"""

import csv
import gc
import gzip
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import structlog
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from opendata import leaving, workbooks
from opendata.models import Snapshot
from portal.kit import datasets, db, storage
from portal.kit.datasets import DataSet
from portal.kit.settings import get_settings
from record import ledger, withdrawn

Form = Literal["csv", "csv.gz", "jsonl", "parquet"]
FORMS: tuple[Form, ...] = ("csv", "csv.gz", "jsonl", "parquet")
STREAMED: tuple[Form, ...] = ("csv", "csv.gz", "jsonl")
"""Forms whose parts make the whole when they are joined."""
MEDIA_TYPES: dict[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "csv.gz": "application/gzip",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
SQL_TYPES = {
    "text": "VARCHAR", "int": "BIGINT", "numeric": "DECIMAL(20,2)", "date": "DATE", "timestamp": "TIMESTAMP",
    "bool": "BOOLEAN",
}  # fmt: skip
KEPT_AFTER = timedelta(hours=24)
"""How long files that no snapshot names any longer are kept, for downloads that are under way."""
_FLUSH = 2**20
_ROWS_AT_ONCE = 2_000

log = structlog.get_logger()


class PartFile(BaseModel):
    """One form of one part."""

    key: str
    """Where it lies in the store: its name is its content's."""
    size: int
    sha256: str


class Part(BaseModel):
    """One part of a data set's rows."""

    name: str
    rows: int
    files: dict[str, PartFile]
    """By form; CSV without its header, which stands before the first part."""


class Manifest(BaseModel):
    """What a snapshot holds."""

    columns: list[str]
    header: str
    """The line of titles that begins the CSV."""
    rows: int
    parts: list[Part]
    whole: dict[str, str]
    """By streamed form: SHA-256 of the parts one after another, the header included."""
    filled: dict[str, float]
    """By column: share of the rows that say something, 0 to 1."""
    newest: str | None
    """The latest day of the column that rows are read by, if that is a day."""
    rejected: int | None = None
    """Rows of the deliveries of the last 30 days that could not be taken in, where rows are delivered."""
    workbook: PartFile | None = None
    """All rows as XLSX; None: there are too many, or the snapshot is older than this form."""

    @property
    def keys(self) -> Iterator[str]:
        """Where its files lie in the store."""
        yield from (file.key for part in self.parts for file in part.files.values())
        if self.workbook:
            yield self.workbook.key


# ---- making ---------------------------------------------------------------------------------------------------------


def make_all(names: Iterable[str] = (), told: Callable[[str, int], None] = lambda name, rows: None) -> dict[str, int]:
    """Write every data set (or these) anew, all as of one entry of the ledger. Returns how many rows each has."""
    wanted = [datasets.offered()[name] for name in (names or datasets.offered())]
    rows: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="snapshot-", dir=_folder()) as folder:
        with db.reading(one_moment=True) as session:
            seq = ledger.size(session) - 1
            written = [(one, _write(session, one, Path(folder) / one.name)) for one in wanted]
            rejected = {one.name: one.rejected(session) if one.rejected else None for one in wanted}
        for one, raw in written:
            manifest = _keep(one, raw).model_copy(update={"rejected": rejected[one.name]})
            rows[one.name] = manifest.rows
            _publish(one.name, seq, manifest)
            told(one.name, manifest.rows)
    forget()
    gc.collect()  # what is left of the engine in cycles would be told of on standard error when the process ends
    return rows


def make_missing(told: Callable[[int, int], None] = lambda done, of: None) -> int:
    """Write the data sets that have no files yet: a new portal need not wait for the night. Returns how many."""
    with db.reading() as session:
        there = set(session.scalars(select(Snapshot.data_set)))
    missing = [name for name in datasets.offered() if name not in there]
    done = 0

    def one_more(_name: str, _rows: int) -> None:
        nonlocal done
        done += 1
        told(done, len(missing))

    if missing:
        make_all(missing, one_more)
    return len(missing)


def _folder() -> Path:
    folder = get_settings().data_dir / "opendata"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _write(session: Session, data_set: DataSet, folder: Path) -> Path:
    """Rows as CSV files, one a part, without titles. Returns the folder."""
    folder.mkdir()
    writers: dict[str, Any] = {}
    files = []
    try:
        for row in data_set.rows(session):
            part = data_set.part_of(row)
            writer = writers.get(part)
            if writer is None:
                file = (folder / f"{part}.raw").open("w", encoding="utf-8", newline="", buffering=_FLUSH)
                files.append(file)
                writer = writers[part] = csv.writer(file, lineterminator="\n").writerow
            writer([value.isoformat() if isinstance(value, date) else value for value in row])
    finally:
        for file in files:
            file.close()
    return folder


def header_of(data_set: DataSet) -> str:
    """The line of titles: the columns' names, as programs know them."""
    return ",".join(column.name for column in data_set.columns) + "\n"


def _keep(data_set: DataSet, folder: Path) -> Manifest:
    """Every form of every part, put into the store."""
    parts = []
    with _engine() as engine:
        for raw in sorted(folder.glob("*.raw")):
            as_written = "header=false, delim=',', quote='\"', escape='\"', nullstr=''"
            read = f"read_csv({_quoted(str(raw))}, {as_written}, columns={_types(data_set)})"
            engine.execute(f"CREATE OR REPLACE TEMP TABLE part AS SELECT * FROM {read}")
            raw.unlink()
            parts.append(_part(engine, data_set, raw.stem, folder))
        return _manifest(engine, data_set, parts)


def _types(data_set: DataSet) -> str:
    return "{" + ", ".join(f"{_quoted(one.name)}: {_quoted(SQL_TYPES[one.type])}" for one in data_set.columns) + "}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _engine() -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(config={"memory_limit": "512MB", "threads": 2, "preserve_insertion_order": True})
    engine.execute("SET timezone='UTC'")
    return engine


def _part(engine: duckdb.DuckDBPyConnection, data_set: DataSet, name: str, folder: Path) -> Part:
    """The forms of the rows in the engine's table `part`, put into the store under their contents' names."""
    rows = _number(engine, "SELECT count(*) FROM part")
    moments = [one.name for one in data_set.columns if one.type == "timestamp"]
    shown = "*" if not moments else "* REPLACE (" + ", ".join(
        f"strftime({one}, '%Y-%m-%dT%H:%M:%SZ') AS {one}" for one in moments
    ) + ")"  # fmt: skip
    paths = {form: folder / f"{name}.{form}" for form in FORMS}
    for form, options in (
        ("csv", "FORMAT csv, HEADER false"),
        ("jsonl", "FORMAT json"),
        ("parquet", "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000"),
    ):
        source = "*" if form == "parquet" else shown
        engine.execute(f"COPY (SELECT {source} FROM part) TO {_quoted(str(paths[form]))} ({options})")  # type: ignore[index]
    _gzip(paths["csv"], paths["csv.gz"])
    files: dict[str, PartFile] = {}
    for form, path in paths.items():
        files[form] = keep_file(path, f"{data_set.name}/{name}", form)
    return Part(name=name, rows=rows, files=files)


def keep_file(path: Path, name: str, form: str) -> PartFile:
    """Put a file into the store under a name that its content is part of, and remove it here."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    kept = PartFile(key=f"opendata/{name}-{sha256[:16]}.{form}", size=path.stat().st_size, sha256=sha256)
    shown_as = leaving.served_as(MEDIA_TYPES[form], f"{name.replace('/', '-')}.{form}")
    storage.put_file(kept.key, path, served_as=shown_as)
    path.unlink()
    return kept


def _number(engine: duckdb.DuckDBPyConnection, query: str) -> int:
    row = engine.execute(query).fetchone()
    return int(row[0]) if row else 0


def _gzip(source: Path, target: Path) -> None:
    """Compressed without a time or a name, so that the same content is the same file."""
    with source.open("rb") as plain, target.open("wb") as file, gzip.GzipFile("", "wb", 5, file, 0) as packed:
        while block := plain.read(_FLUSH):
            packed.write(block)


def gzipped_header(header: str) -> bytes:
    """The titles as a member of their own before the parts' (RFC 1952, 2.2)."""
    return gzip.compress(header.encode(), 9, mtime=0)


def _manifest(engine: duckdb.DuckDBPyConnection, data_set: DataSet, parts: list[Part]) -> Manifest:
    rows = sum(part.rows for part in parts)
    header = header_of(data_set)
    filled, newest = _quality(engine, data_set, parts)
    return Manifest(
        columns=[one.name for one in data_set.columns], header=header, rows=rows, parts=parts,
        whole={form: _whole(form, header, parts) for form in STREAMED}, filled=filled, newest=newest,
        workbook=_workbook(engine, data_set, parts) if rows <= get_settings().workbook_rows else None,
    )  # fmt: skip


def _workbook(engine: duckdb.DuckDBPyConnection, data_set: DataSet, parts: Sequence[Part]) -> PartFile:
    """All rows, read back from the parts as they lie in the store, as XLSX."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for part in parts:
            parquet = Path(folder) / "part.parquet"
            storage.fetch(part.files["parquet"].key, parquet)
            cursor = engine.execute(f"SELECT * FROM read_parquet({_quoted(str(parquet))})")
            while some := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from some

    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        path = Path(folder) / "whole.xlsx"
        workbooks.write(path, data_set, rows())
        return keep_file(path, f"{data_set.name}/whole", "xlsx")


def _quality(
    engine: duckdb.DuckDBPyConnection, data_set: DataSet, parts: Sequence[Part]
) -> tuple[dict[str, float], str | None]:
    """Share filled by column, and the newest day, over the parts as they lie in the store."""
    if not parts:
        return {}, None
    names = [one.name for one in data_set.columns]
    day = data_set.order[0] if data_set.order else None
    column = data_set.column(day) if day else None
    newest = f"max({day})" if column and column.type == "date" else "NULL"
    counts = ", ".join(f"count({name})" for name in names)
    totals, latest, rows = [0] * len(names), None, 0
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        for part in parts:
            path = Path(folder) / "part.parquet"
            storage.fetch(part.files["parquet"].key, path)
            found = engine.execute(f"SELECT {newest}, {counts} FROM read_parquet({_quoted(str(path))})").fetchone()
            assert found is not None
            totals = [total + count for total, count in zip(totals, found[1:], strict=True)]
            latest = max(filter(None, (latest, found[0])), default=None)
            rows += part.rows
    shares = {name: round(total / rows, 4) if rows else 0.0 for name, total in zip(names, totals, strict=True)}
    return shares, latest.isoformat() if isinstance(latest, date) else None


def _whole(form: Form, header: str, parts: Sequence[Part]) -> str:
    digest = hashlib.sha256()
    digest.update(front(form, header))
    for part in parts:
        for block in storage.stream_range(part.files[form].key, 0, part.files[form].size):
            digest.update(block)
    return digest.hexdigest()


def front(form: str, header: str) -> bytes:
    """What stands before the first part."""
    return {"csv": header.encode(), "csv.gz": gzipped_header(header)}.get(form, b"")


def _publish(name: str, seq: int, manifest: Manifest) -> None:
    with db.writing() as session:
        kept = session.get(Snapshot, name, with_for_update=True)
        if kept is None:
            kept = Snapshot(data_set=name)
            session.add(kept)
        else:
            leaving.plan(session, Manifest.model_validate(kept.manifest).keys, manifest.keys)
        kept.seq = kept.cleaned = seq
        kept.manifest = manifest.model_dump(mode="json")
        kept.made_at = kept.changed_at = db.now()
    log.info("snapshot.made", data_set=name, rows=manifest.rows, seq=seq)


# ---- withdrawals ----------------------------------------------------------------------------------------------------


def clean() -> int:
    """Take rows that were withdrawn since out of the files that hold them. Safe to repeat. Returns how many rows."""
    return sum(_clean(data_set) for data_set in datasets.offered().values() if data_set.kind)


def _clean(data_set: DataSet) -> int:
    """Rows that were taken out of one data set's files; begun anew where another process changed them meanwhile."""
    assert data_set.kind
    while True:
        with db.reading() as session:
            snapshot = session.get(Snapshot, data_set.name)
            if snapshot is None:
                return 0
            seq = ledger.size(session) - 1
            gone = withdrawn.gone_since(session, data_set.kind, snapshot.cleaned)
        manifest = Manifest.model_validate(snapshot.manifest)
        cleaned = _without(data_set, manifest, gone) if gone else manifest
        cleaned.rejected = manifest.rejected
        with db.writing() as session:
            kept = session.get_one(Snapshot, data_set.name, with_for_update=True)
            if (kept.seq, kept.cleaned, kept.changed_at) != (snapshot.seq, snapshot.cleaned, snapshot.changed_at):
                continue
            if cleaned is not manifest:
                leaving.plan(session, manifest.keys, cleaned.keys)
                kept.manifest, kept.changed_at = cleaned.model_dump(mode="json"), db.now()
            kept.cleaned = max(kept.cleaned, seq)
        return manifest.rows - cleaned.rows


def _without(data_set: DataSet, manifest: Manifest, gone: set[str]) -> Manifest:
    """The manifest with those parts rewritten that hold any of these rows."""
    parts, touched = [], False
    listed = "(" + ", ".join(_quoted(one) for one in sorted(gone)) + ")"
    with _engine() as engine, tempfile.TemporaryDirectory(dir=_folder()) as folder:
        for part in manifest.parts:
            path = Path(folder) / "part.parquet"
            storage.fetch(part.files["parquet"].key, path)
            read = f"read_parquet({_quoted(str(path))})"
            if not _number(engine, f"SELECT count(*) FROM {read} WHERE {data_set.key} IN {listed}"):
                parts.append(part)
                continue
            touched = True
            engine.execute(
                f"CREATE OR REPLACE TEMP TABLE part AS SELECT * FROM {read} WHERE {data_set.key} NOT IN {listed}"
            )
            kept = _part(engine, data_set, part.name, Path(folder))
            parts += [kept] if kept.rows else []
        return _manifest(engine, data_set, parts) if touched else manifest


def named(session: Session) -> set[str]:
    """Keys of every file that a snapshot names."""
    manifests = map(Manifest.model_validate, session.scalars(select(Snapshot.manifest)))
    return {key for manifest in manifests for key in manifest.keys}


def forget() -> int:
    """Remove files that no snapshot has named for a day. Returns how many."""
    with db.reading() as session:
        known = named(session)
    before = db.now() - KEPT_AFTER
    lone = [key for key, changed in storage.dated("opendata") if key not in known and changed < before]
    storage.delete(lone)
    for path in _folder().glob("snapshot-*"):
        with suppress(FileNotFoundError):  # whoever was still at it has ended meanwhile
            if path.stat().st_mtime < before.timestamp():
                shutil.rmtree(path)  # what a killed process left
    return len(lone)


# ---- reading --------------------------------------------------------------------------------------------------------


def of(session: Session, name: str) -> tuple[Snapshot, Manifest] | None:
    """The snapshot of a data set that is in force, if there is any."""
    snapshot = session.get(Snapshot, name)
    return (snapshot, Manifest.model_validate(snapshot.manifest)) if snapshot else None


def all_of(session: Session) -> dict[str, tuple[Snapshot, Manifest]]:
    """Every snapshot by the name of its data set."""
    return {one.data_set: (one, Manifest.model_validate(one.manifest)) for one in session.scalars(select(Snapshot))}


def last_made(session: Session) -> datetime | None:
    """When the last of the data sets was written whole; None while there is none."""
    return session.scalar(select(func.min(Snapshot.made_at)))
