r"""Whole tables out of a database and into one, in one form that both databases read: PostgreSQL's COPY text, zstd.

    for table in tables(connection):
        rows = write(connection, table, folder / f"{table.name}.copy.zst")

A row is a line, tabs part its columns, `\N` is null, bytes are hexadecimal, moments are in UTC. Values pass as they are
stored: JSON keeps its very characters, sums and times their last digit. Tables are read off the database, not off the
models, so that one of an older revision is copied too. What a backup is made of, and when one may be restored, is said
elsewhere.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import zstandard
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
)
from sqlalchemy.types import TypeEngine

NOT_DATA = {"alembic_version"}
LEVEL = 3
"""Of zstd: a quarter of the size remains; higher levels cost more time than they save."""
_BLOCK = 2**20
_ROWS_AT_ONCE = 5_000

Told = Callable[[int], None]
"""Is told how many rows more have been copied."""


def _silent(rows: int) -> None:
    """Tell nobody."""


class UnknownType(TypeError):
    """A column whose values nobody has said how to copy. A programmer's mistake: add its type to `_KINDS`."""


def tables(connection: Connection) -> list[Table]:
    """Every table of the database as it is, each behind those that it refers to."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name not in NOT_DATA]


def snapshot(connection: Connection) -> None:
    """Let this connection, which has done nothing yet, see one moment from here on, whatever others commit."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ")
    connection.execute(select(1))


def write(connection: Connection, table: Table, path: Path, told: Told = _silent) -> int:
    """Copy a table into a new file. Returns its rows. Raises UnknownType."""
    shape = _shape(connection, list(table.columns))
    lines = _of_sqlite if connection.dialect.name == "sqlite" else _of_postgresql
    packer = zstandard.ZstdCompressor(level=LEVEL)
    rows = 0
    with path.open("xb") as file, packer.stream_writer(file, closefd=False) as packed:
        for block, count in lines(connection, shape):
            packed.write(block)
            rows += count
            told(count)
    return rows


def read(connection: Connection, table: Table, columns: Sequence[str], path: Path, told: Told = _silent) -> int:
    """Copy a file into an empty table. Returns its rows. Raises KeyError for a column that the table has not."""
    shape = _shape(connection, [table.columns[name] for name in columns])
    into = _into_sqlite if connection.dialect.name == "sqlite" else _into_postgresql
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as unpacked:
        return into(connection, shape, cast(io.RawIOBase, unpacked), told)


# ---- what a column holds --------------------------------------------------------------------------------------------

_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Boolean, "truth"),
    (Integer, "number"),
    (DateTime, "moment"),
    (Date, "day"),
    (LargeBinary, "bytes"),
    (JSON, "text"),
    (String, "text"),
)


class _Shape(NamedTuple):
    """A table as statements name it, and what each of its columns holds."""

    name: str
    columns: list[str]
    kinds: list[str]


def _shape(connection: Connection, columns: Sequence[Column[Any]]) -> _Shape:
    quote = connection.dialect.identifier_preparer.quote
    return _Shape(quote(columns[0].table.name), [quote(one.name) for one in columns], list(map(_kind, columns)))


def _kind(column: Column[Any]) -> str:
    for type_, kind in _KINDS:
        if isinstance(column.type, type_):
            return kind
    raise UnknownType(f"{column.table.name}.{column.name}: {column.type!r}")


# ---- SQLite ---------------------------------------------------------------------------------------------------------

_WRITTEN = {
    "truth": "iif({0}, 't', 'f')",
    "number": "{0}",
    "moment": "{0} || '+00'",
    "day": "{0}",
    "bytes": r"'\\x' || lower(hex({0}))",
    "text": r"replace(replace(replace(replace({0}, '\', '\\'), char(9), '\t'), char(10), '\n'), char(13), '\r')",
}


def _of_sqlite(connection: Connection, shape: _Shape) -> Iterator[tuple[bytes, int]]:
    """Lines, and how many. SQLite itself puts them together, which takes a fraction of Python's time."""
    fields = [
        rf"CASE WHEN {column} IS NULL THEN '\N' ELSE {_WRITTEN[kind].format(column)} END"
        for column, kind in zip(shape.columns, shape.kinds, strict=True)
    ]
    asked = f"SELECT {' || char(9) || '.join(fields)} || char(10) FROM {shape.name}"  # noqa: S608 its own names
    with connection.exec_driver_sql(asked) as found:
        for rows in found.partitions(_ROWS_AT_ONCE):
            yield "".join([line for (line,) in rows]).encode(), len(rows)


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _text(field: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), field) if "\\" in field else field


def _moment(field: str) -> str:
    """A moment as SQLAlchemy writes it into SQLite: in UTC, without a zone, always with microseconds."""
    whole, _, fraction = field.removesuffix("+00").partition(".")
    return f"{whole}.{fraction:0<6}"


_READ: dict[str, Callable[[str], Any]] = {
    "truth": lambda field: field == "t",
    "number": int,
    "moment": _moment,
    "day": str,
    "bytes": lambda field: bytes.fromhex(field[3:]),
    "text": _text,
}


def _into_sqlite(connection: Connection, shape: _Shape, unpacked: io.RawIOBase, told: Told) -> int:
    makers = [_READ[kind] for kind in shape.kinds]
    lines = io.TextIOWrapper(io.BufferedReader(unpacked, _BLOCK), "utf-8", newline="\n")
    count = 0

    def rows() -> Iterator[list[Any]]:
        nonlocal count
        for line in lines:
            fields = zip(makers, line.removesuffix("\n").split("\t"), strict=True)
            yield [None if field == r"\N" else make(field) for make, field in fields]
            count += 1
            if count % _ROWS_AT_ONCE == 0:
                told(_ROWS_AT_ONCE)

    places = ", ".join("?" * len(shape.columns))
    statement = f"INSERT INTO {shape.name} ({', '.join(shape.columns)}) VALUES ({places})"  # noqa: S608 its own names
    raw: Any = connection.connection.driver_connection
    raw.executemany(statement, rows())
    told(count % _ROWS_AT_ONCE)
    return count


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

_PLAIN = "SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; SET LOCAL bytea_output = 'hex'"


def _of_postgresql(connection: Connection, shape: _Shape) -> Iterator[tuple[bytes, int]]:
    connection.exec_driver_sql(_PLAIN)
    raw: Any = connection.connection.driver_connection
    statement = f"COPY {shape.name} ({', '.join(shape.columns)}) TO STDOUT (ENCODING 'UTF8')"
    block, rows = bytearray(), 0
    with raw.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for row in copy:  # psycopg hands over row by row
                block += row
                rows += 1
                if len(block) > _BLOCK:
                    yield bytes(block), rows
                    block, rows = bytearray(), 0
        yield bytes(block), rows


def _into_postgresql(connection: Connection, shape: _Shape, unpacked: io.RawIOBase, told: Told) -> int:
    connection.exec_driver_sql(_PLAIN)
    raw: Any = connection.connection.driver_connection
    statement = f"COPY {shape.name} ({', '.join(shape.columns)}) FROM STDIN (ENCODING 'UTF8')"
    with raw.cursor() as cursor:
        with cursor.copy(statement) as copy:
            while block := unpacked.read(_BLOCK):
                copy.write(block)
                told(block.count(b"\n"))
        return int(cursor.rowcount)


# ---- around the rows ------------------------------------------------------------------------------------------------

_INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() "
    "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)",
}


@contextmanager
def filling(connection: Connection, into: Sequence[Table]) -> Iterator[None]:
    """Empty these tables and take their indexes away; at the end make the indexes again and let numbering go on.

    All of it happens in the connection's transaction.
    """
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    indexes = connection.exec_driver_sql(_INDEXES[connection.dialect.name]).all()
    quote = connection.dialect.identifier_preparer.quote
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {quote(name)}")
    for table in reversed(into):
        connection.execute(table.delete())
    yield
    for _, statement in indexes:
        connection.exec_driver_sql(statement)
    for table in () if sqlite else into:
        _number_on(connection, table)
        # Until PostgreSQL knows how many rows there are, it reads all of a kind to find one fact.
        connection.exec_driver_sql(f"ANALYZE {quote(table.name)}")


def _number_on(connection: Connection, table: Table) -> None:
    """PostgreSQL gives the next row a number behind those that were copied; SQLite does so by itself."""
    for column in table.primary_key.columns:
        sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
        last = connection.scalar(select(func.max(column))) if sequence else None
        if last is not None:
            connection.execute(select(func.setval(sequence, last)))
