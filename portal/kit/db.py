"""The database: one declarative base, one engine to write and one that cannot, and the sessions handed to requests.

SQLite and PostgreSQL are equals here: what one of them needs is hidden in this module.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    MetaData,
    String,
    any_,
    create_engine,
    event,
    literal,
    make_url,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from portal.kit.settings import get_settings

BUSY_TIMEOUT_MS = 10_000


class Base(DeclarativeBase):
    """Parent of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, always aware and in UTC. SQLite stores it naive, so the zone is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a point in time needs its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def _sqlite_engine(url: str, *, read_only: bool) -> Engine:
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"check_same_thread": False}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-32000",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    if read_only or not path:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    else:
        _take_turns(engine, Path(path))
    return engine


def _take_turns(engine: Engine, database: Path) -> None:
    """Let write transactions of all processes follow each other in turn.

    SQLite lets a writer that waits sleep up to a tenth of a second at a time, so whoever writes in bulk would take the
    lock again before anybody woke. A writer therefore queues at the one lock until it holds the other. This is manners,
    not safety: after BUSY_TIMEOUT_MS it goes ahead, and SQLite decides.
    """
    queue, turn = (database.with_name(f"{database.name}-{what}") for what in ("queue", "turn"))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        queued = _locked(queue, deadline)
        try:
            connection.info["turn"] = _locked(turn, deadline)
        finally:
            os.close(queued)
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            end(connection)
            raise

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def end(connection: Connection) -> None:
        held = connection.info.pop("turn", None)
        if held is not None:
            os.close(held)


def _locked(path: Path, deadline: float) -> int:
    """A handle that holds the file's lock, if it could be had before the deadline. Closing it gives the lock back."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    while time.monotonic() < deadline:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.001)
        else:
            break
    return handle


def insert_many(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows in the database's own fast way; through SQLAlchemy each would take as long again.

    Values must be what the driver takes: texts, numbers, bytes, None; points in time for PostgreSQL only.
    """
    raw: Any = connection.connection.driver_connection
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608 our own names
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def one_of(session: Session, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """`column IN values`, for hundreds of them: one array on PostgreSQL, where as many parameters take long to send."""
    if session.get_bind().dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(String)))
    return column.in_(values)


def stamp(connection: Connection, moment: datetime) -> datetime | str:
    """A point in time as `insert_many` takes it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if connection.dialect.name == "sqlite" else moment


CONNECT_SECONDS = 5
POOL_SECONDS = 5
PLANNING = {"jit": "off", "random_page_cost": "1.1"}
"""How PostgreSQL plans: compiling costs short statements more than it saves them, and a city's disks do not seek."""
PATIENT = {"lock_timeout": "60s"}
"""How long PostgreSQL lets a command or a worker wait: their work is long, and is tried again."""

_engines: dict[tuple[str, bool], Engine] = {}
_making = threading.Lock()
_patience = dict(PATIENT)


@contextmanager
def hurried() -> Iterator[None]:
    """Within this block the process answers people: a sentence that says so is better than a page that never comes."""
    seconds = f"{get_settings().answer_seconds}s"
    dispose()
    _patience.update(lock_timeout=seconds, statement_timeout=seconds, idle_in_transaction_session_timeout="60s")
    try:
        yield
    finally:
        _patience.clear()
        _patience.update(PATIENT)
        dispose()


def _engine(*, read_only: bool) -> Engine:
    key = (get_settings().resolved_database_url, read_only)
    with _making:
        if key not in _engines:
            _engines[key] = _make_engine(*key)
        return _engines[key]


def dispose() -> None:
    """Close every connection of this process: before it forks, or when its settings change."""
    while _engines:
        _engines.popitem()[1].dispose()


def _make_engine(url: str, read_only: bool) -> Engine:
    if url.startswith("sqlite"):
        return _sqlite_engine(url, read_only=read_only)
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=get_settings().web_threads + 2,
        pool_timeout=POOL_SECONDS,
        pool_recycle=1_800,
        hide_parameters=True,
        execution_options={"postgresql_readonly": True} if read_only else {},
        connect_args={
            "application_name": "gongzhi",
            "connect_timeout": CONNECT_SECONDS,
            # A host that vanished without a word is noticed within a minute.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "options": " ".join(f"-c {name}={value}" for name, value in (PLANNING | _patience).items()),
        },
    )


def is_away(error: DBAPIError) -> bool:
    """Whether it is the database's state that is at fault, which passes, and not what it was asked."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(error, OperationalError) or error.connection_invalidated or _timed_out(error)


def _timed_out(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "25P03"  # idle_in_transaction_session_timeout


def writing_engine() -> Engine:
    """The engine that may write. On SQLite its transactions take the write lock when they begin."""
    return _engine(read_only=False)


def reading_engine() -> Engine:
    """The engine for everything that only looks: the database itself refuses a write through it."""
    return _engine(read_only=True)


@contextmanager
def writing() -> Iterator[Session]:
    """A session that commits at its end, or rolls back on an error."""
    with Session(writing_engine(), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(*, one_moment: bool = False) -> Iterator[Session]:
    """A session that cannot write. `one_moment`: all that it reads is as it was at its first reading."""
    with Session(reading_engine(), expire_on_commit=False) as session:
        if one_moment and session.get_bind().dialect.name == "postgresql":  # SQLite's readers never see it otherwise
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session
