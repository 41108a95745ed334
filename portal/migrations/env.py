"""Alembic's environment: migrates the database of this process's settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection, text

import opendata.models
import partners.models
import portal.kit.accounts
import portal.kit.idempotency
import portal.kit.jobs
import portal.kit.keys
import portal.kit.signin
import portal.kit.timetable
import record.applications
import record.models
import record.redaction
import record.workdays
import reporting.floods
import reporting.models
import reporting.vault
from portal.kit import db

__all__ = ["opendata", "partners", "portal", "record", "reporting"]


@contextmanager
def connected() -> Iterator[Connection]:
    """The connection that the caller is in a transaction with, or one of its own."""
    given = context.config.attributes.get("connection")
    if given is not None:
        yield given
    else:
        with db.writing_engine().connect() as made:
            yield made
            if made.dialect.name == "postgresql":
                made.rollback()
                made.invalidate()  # it keeps no settings of a migration's


def _alone(connection: Connection) -> bool:
    """Whether this is a migration by itself on PostgreSQL, and no part of a greater transaction."""
    return connection.dialect.name == "postgresql" and "connection" not in context.config.attributes


def run() -> None:
    with connected() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
            user_module_prefix="db.",
            transaction_per_migration=_alone(connection),
        )
        if _alone(connection):
            connection.execute(text("SET lock_timeout = '5s'"))
            connection.commit()
        with context.begin_transaction():
            context.run_migrations()


run()
