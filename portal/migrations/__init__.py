"""The database's history (Alembic), and the one way to bring a database to the present."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from portal.kit import db


def config() -> Config:
    """Alembic's configuration for this folder."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    return made


def upgrade() -> None:
    """Bring the database of the present settings to the newest revision; does nothing if it is there."""
    with db.reading_engine().connect() as connection:
        present = revision(connection)
    if present != ScriptDirectory.from_config(config()).get_current_head():
        command.upgrade(config(), "head")


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
