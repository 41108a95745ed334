"""Alembic's environment: migrates the database of this process's settings."""

from alembic import context

import portal.kit.accounts
import portal.kit.idempotency
import portal.kit.jobs
import portal.kit.keys
import portal.kit.signin
import record.applications
import record.models
import record.redaction
import record.workdays
from portal.kit import db

__all__ = ["portal", "record"]


def run() -> None:
    with db.writing_engine().connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
            user_module_prefix="db.",
        )
        with context.begin_transaction():
            context.run_migrations()


run()
