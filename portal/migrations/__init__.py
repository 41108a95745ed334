"""The database's history (Alembic), and the one way to bring a database to the present.

On PostgreSQL each step is a transaction of its own that waits five seconds at most for a table, so that a portal that
still serves never queues behind a step that waits itself; a step that could not have its table is tried again. Steps
must leave the version before them able to serve: add first, use in the next release, take away in the one after it.
An index of a table that grows is made with `postgresql_concurrently` in an `autocommit_block`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from portal.kit import db
from portal.kit.errors import PortalError

TRIES = 6
PAUSE_SECONDS = 5
LOCK = 0x676F6E67
"""Whoever migrates holds it: PostgreSQL's advisory lock of this number."""

log = structlog.get_logger()


class TableInUse(PortalError):
    status = 503
    slug = "table-in-use"
    title = "The database could not be brought up to date: a table that has to change was in use all the time."
    remedy = "Stop what runs for long (imports, backups, queries by hand), then start again. Nothing was changed."


def config() -> Config:
    """Alembic's configuration for this folder."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    return made


def upgrade() -> None:
    """Bring the database of the present settings to the newest revision; does nothing if it is there.

    Raises TableInUse when PostgreSQL would not give a table in time.
    """
    with db.reading_engine().connect() as connection:
        present = revision(connection)
    if present == ScriptDirectory.from_config(config()).get_current_head():
        return
    if db.writing_engine().dialect.name == "sqlite":
        command.upgrade(config(), "head")
        return
    with _alone():
        for left in reversed(range(TRIES)):
            try:
                command.upgrade(config(), "head")
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                    raise
                if not left:
                    raise TableInUse from error
                log.warning("migration.waits", tries_left=left)
                time.sleep(PAUSE_SECONDS)
            else:
                return


class RoleMissing(PortalError):
    status = 503
    slug = "role-missing"
    title = "PostgreSQL has no role gongzhi_public, and this account may not create it."
    remedy = "Have PostgreSQL's administrator run: CREATE ROLE gongzhi_public NOLOGIN. Then start again."


class NotUpToDate(PortalError):
    status = 503
    slug = "not-up-to-date"
    title = "The database is not at this version's state, and the public side does not change it."
    remedy = "Start the officers' side of this version first: `portal serve --role desk`."


def refuse_outdated() -> None:
    """Raises NotUpToDate when the database is at another revision than this code."""
    with db.reading_engine().connect() as connection:
        if revision(connection) != ScriptDirectory.from_config(config()).get_current_head():
            raise NotUpToDate


@contextmanager
def _alone() -> Iterator[None]:
    """Within this block no other process migrates this database; it ends with the connection that holds the lock."""
    with db.writing_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            yield
        finally:
            connection.invalidate()


def revision(connection: Connection) -> str | None:
    """The revision of a database's tables; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def known(wanted: str) -> bool:
    """Whether this version of the portal knows that revision."""
    return wanted in {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}


def upgrade_within(connection: Connection, to: str = "head") -> None:
    """Bring a database to a revision as part of the connection's transaction."""
    inside = config()
    inside.attributes["connection"] = connection
    command.upgrade(inside, to)
