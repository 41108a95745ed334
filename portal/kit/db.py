"""The database: one declarative base, one engine to write and one that cannot, and the sessions handed to requests.

SQLite and PostgreSQL are equals here: what one of them needs is hidden in this module.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.engine import Dialect
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

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


_engines: dict[tuple[str, bool], Engine] = {}
_making = threading.Lock()


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
    options = {"postgresql_readonly": True} if read_only else {}
    return create_engine(url, pool_pre_ping=True, hide_parameters=True, execution_options=options)


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
