"""What open data measures for whoever keeps the portal running: how old its files are, and what they still show."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from opendata.models import Snapshot
from portal.kit import db
from portal.kit.measured import Measure


def of(session: Session) -> Sequence[Measure]:
    """Age of each data set's files."""
    moment = db.now()
    return [
        Measure(
            "snapshot_age_seconds",
            "Since the files of a data set were made.",
            (moment - made_at).total_seconds(),
            {"data_set": name},
        )
        for name, made_at in session.execute(select(Snapshot.data_set, Snapshot.made_at).order_by(Snapshot.data_set))
    ]
