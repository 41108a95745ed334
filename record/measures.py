"""What the record measures for whoever keeps the portal running: deliveries, feeds, clocks."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.measured import Measure
from record import applications, ledger, subscriptions
from record.models import FeedImport
from record.subscriptions import Standing

LATELY = timedelta(days=1)
MOST_IMPORTS = 1_000
"""So many deliveries are looked at, of however many a day brings."""


def of(session: Session) -> Sequence[Measure]:
    """The ledger's size, how far platforms are behind it, refused rows of feeds, objections and repairs."""
    waiting, overdue = applications.count_all(session)
    rows, rejected = _lately(session)
    return [
        Measure("ledger_entries", "Entries in the ledger.", ledger.size(session)),
        *map(_lag, subscriptions.standings(session)),
        Measure("deliveries_dead", "Platforms given up on until an officer resumes them.", subscriptions.dead(session)),
        Measure("rows_received", "Rows received within a day.", rows, {"from": "feeds"}),
        Measure("rows_rejected", "Rows refused within a day.", rejected, {"from": "feeds"}),
        Measure("clocks_waiting", "Cases on a clock.", waiting, {"of": "applications"}),
        Measure("clocks_overdue", "Cases past a day that a rule sets.", overdue, {"of": "applications"}),
    ]


def _lately(session: Session) -> tuple[int, int]:
    newest = select(FeedImport.rows, FeedImport.rejected, FeedImport.started_at).order_by(FeedImport.id.desc())
    some = newest.limit(MOST_IMPORTS).subquery()
    asked = select(func.sum(some.c.rows), func.sum(some.c.rejected)).where(some.c.started_at >= db.now() - LATELY)
    rows, rejected = session.execute(asked).one()
    return rows or 0, rejected or 0


def _lag(one: Standing) -> Measure:
    about = "Steps of the ledger that a platform has not taken yet."
    return Measure("delivery_lag_entries", about, one.lag, {"platform": one.subscription.name})
