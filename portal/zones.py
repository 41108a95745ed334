"""The public side's rights in PostgreSQL: what migrations granted the role `gongzhi_public`, and no more."""

from sqlalchemy import text

from portal.kit import db
from portal.kit.errors import PortalError
from record import ledger

PUBLIC_ROLE = "gongzhi_public"
OFFICERS_ALONE = frozenset(
    {
        "feed_import", "follow_progress", "identity_request", "planned_task", "publication_run", "redacted_fact",
        "redaction", "registry_import", "unmatched",
    }
)  # fmt: skip
"""Tables of which the public side sees nothing. A new one belongs here, or a migration grants what is needed of it."""


class TooManyRights(PortalError):
    status = 503
    slug = "too-many-rights"
    title = "The public side's database account reaches what is the officers' alone: %(table)s."
    remedy = (
        "Give the public side an account of its own: CREATE ROLE gongzhi_web LOGIN PASSWORD … IN ROLE gongzhi_public,"
        " and name it in its PORTAL_DATABASE_URL."
    )


def refuse_too_many_rights() -> None:
    """Raises TooManyRights when this process's account sees what is the officers'. SQLite has no accounts."""
    with db.reading_engine().connect() as connection:
        if connection.dialect.name != "postgresql":
            return
        named = "SELECT name FROM unnest(CAST(:names AS text[])) AS name"
        seen = text(f"{named} WHERE has_any_column_privilege(name, 'SELECT') LIMIT 1")
        table = connection.execute(seen, {"names": sorted(OFFICERS_ALONE)}).scalar()
        if table is None and ledger.shows_internal(connection):
            table = "ledger"
        if table is not None:
            raise TooManyRights(table=table)
