"""What partners measure for whoever keeps the portal running: disputes on their clock, refused rows of batches."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from partners import disputes
from partners.models import Batch
from portal.kit import db
from portal.kit.measured import Measure

LATELY = timedelta(days=1)


def of(session: Session) -> Sequence[Measure]:
    """Open disputes and those past their day; rows of the batches of the last day, and the refused ones among them."""
    waiting, overdue = disputes.count(session)
    lately = Batch.created_at >= db.now() - LATELY
    rows, rejected = session.execute(select(func.sum(Batch.rows), func.sum(Batch.rejected)).where(lately)).one()
    return [
        Measure("rows_received", "Rows received within a day.", rows or 0, {"from": "batches"}),
        Measure("rows_rejected", "Rows refused within a day.", rejected or 0, {"from": "batches"}),
        Measure("clocks_waiting", "Cases on a clock.", waiting, {"of": "disputes"}),
        Measure("clocks_overdue", "Cases past a day that a rule sets.", overdue, {"of": "disputes"}),
    ]
