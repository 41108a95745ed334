"""Filling an empty register in bulk: SQLite and PostgreSQL each in their fastest way that leaves room for others.

Rows go in as a registry states them, without events and without asking what stands there; a row that is there already
makes the whole piece fail, and the caller sorts that piece out (`record.changes`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, cast

import sqlalchemy.exc
from sqlalchemy import Connection, Table, text

from portal.kit import db
from record import names
from record.cleaning import CleanRow
from record.models import Entity

ROWS_AT_ONCE = 2_000
"""Rows of one batch."""
BATCHES_AT_ONCE = 6
"""Batches of one transaction: some tenths of a second, so that others come between."""
_CHECKPOINT_EVERY = 5
"""Transactions between two checkpoints on SQLite. A page that many transactions touched is then written back once."""

_COLUMNS = CleanRow._fields
_FORMER = "INSERT INTO former_name (entity_code, name, name_key) VALUES (:code, :name, :name_key)"


class AlreadyThere(Exception):
    """One of the rows has a code that the register holds, or that came before in the same piece."""


class Bulk(Protocol):
    """One database's way to take in many rows."""

    def insert(self, rows: Sequence[tuple[Any, ...]], moment: datetime) -> None:
        """Store rows in the order of CleanRow's fields, within the open transaction. Raises AlreadyThere."""
        ...

    def settle(self) -> None:
        """After each commit, outside any transaction."""
        ...


@contextmanager
def bulk_connection() -> Iterator[tuple[Connection, Bulk]]:
    """A connection of its own, and the database's way to load over it. Closed for good at the end."""
    engine = db.writing_engine()
    with engine.connect() as connection:
        bulk: Bulk = _Sqlite(connection) if engine.dialect.name == "sqlite" else _Postgres(connection)
        connection.rollback()
        try:
            yield connection, bulk
        finally:
            connection.detach()  # what was set on it must not return to the pool


class _Sqlite:
    """Rows by executemany. WAL with synchronous=NORMAL: a lost power line may cost the last commits, never the file,
    and the register and its `rows_done` go back together."""

    def __init__(self, connection: Connection) -> None:
        self._raw = connection.connection.driver_connection
        for pragma in ("synchronous=NORMAL", "wal_autocheckpoint=0", "cache_size=-64000", "mmap_size=0"):
            self._execute(f"PRAGMA {pragma}")
        self._commits = 0

    def _execute(self, statement: str) -> None:
        assert self._raw is not None
        self._raw.execute(statement)

    def insert(self, rows: Sequence[tuple[Any, ...]], moment: datetime) -> None:
        assert self._raw is not None
        stamp = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        places = ", ".join("?" * len(_COLUMNS))
        statement = (
            f"INSERT INTO entity ({', '.join(_COLUMNS)}, flags, source, changed_at) "  # noqa: S608 our own names
            f"VALUES ({places}, '[]', 'registry', '{stamp}')"
        )
        try:
            self._raw.executemany(statement, rows)
        except self._raw.IntegrityError as error:
            raise AlreadyThere from error

    def settle(self) -> None:
        # Passive: it waits for nobody, and writers do not wait for it.
        self._commits += 1
        if self._commits % _CHECKPOINT_EVERY == 0:
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")


class _Postgres:
    """Rows by COPY."""

    def __init__(self, connection: Connection) -> None:
        self._raw = connection.connection.driver_connection

    def insert(self, rows: Sequence[tuple[Any, ...]], moment: datetime) -> None:
        import psycopg

        assert self._raw is not None
        tail = ("[]", "registry", moment)
        with self._raw.cursor() as cursor:
            try:
                copy_into = f"COPY entity ({', '.join(_COLUMNS)}, flags, source, changed_at) FROM STDIN"
                with cursor.copy(copy_into) as copy:
                    for row in rows:
                        copy.write_row((*row, *tail))
            except psycopg.errors.UniqueViolation as error:
                raise AlreadyThere from error

    def settle(self) -> None:
        """Nothing: PostgreSQL writes back by itself."""


def insert_former(connection: Connection, former: dict[str, list[str]]) -> None:
    """Store the former names of entities that were just stored."""
    rows = [
        {"code": code, "name": name, "name_key": names.fold(name)} for code, older in former.items() for name in older
    ]
    if rows:
        connection.execute(text(_FORMER), rows)


# ---- the index of names ---------------------------------------------------------------------------------------------

_NAME_INDEX = next(index for index in cast(Table, Entity.__table__).indexes if index.name == "ix_entity_name_key")


def drop_name_index() -> None:
    """Before an empty register is filled: names come in no order, and keeping their index would take as long again."""
    with db.writing_engine().begin() as connection:
        _NAME_INDEX.drop(connection, checkfirst=True)


def ensure_name_index() -> None:
    """Build the index of names if it is not there: after a first load, or after one that was killed and left alone.

    Holds the write lock of SQLite for about two seconds for each million entities.
    """
    with db.writing_engine().connect() as connection:
        if any(index["name"] == _NAME_INDEX.name for index in sqlalchemy.inspect(connection).get_indexes("entity")):
            return
    with bulk_connection() as (connection, _), connection.begin():
        _NAME_INDEX.create(connection, checkfirst=True)
