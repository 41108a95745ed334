"""Tables of open data: the snapshot of each data set that is in force."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.db import Base, UtcDateTime


class Snapshot(Base):
    """The files of one data set as they are served now."""

    __tablename__ = "snapshot"

    data_set: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    """The last entry of the ledger that it knows; -1 for an empty ledger."""
    cleaned: Mapped[int] = mapped_column(BigInteger)
    """The last entry whose withdrawal its files know: of those behind it, the rows are still in the files."""
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON)
    """An `opendata.snapshots.Manifest`."""
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When its files were last written, be it to take rows out."""
