"""The tables of lists that visitors have matched with the register. They live for a week."""

from datetime import datetime
from typing import Literal

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.db import Base, UtcDateTime

RowState = Literal["waiting", "sure", "chosen", "likely", "none"]
"""`sure`: exactly one entity bears the very name or code; `chosen`, and `none` too, may be the visitor's own word."""


class MatchList(Base):
    """A table that somebody sent to have it matched. Whoever has its address has it; nobody else finds it."""

    __tablename__ = "match_list"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the key in its address: a copy of the database opens nobody's list."""
    file_name: Mapped[str] = mapped_column(String(200))
    header: Mapped[list[str]] = mapped_column(JSON)
    name_column: Mapped[int | None]
    code_column: Mapped[int | None]
    rows: Mapped[int]
    matched: Mapped[int] = mapped_column(default=0)
    """How many rows have been looked at; the rest waits."""
    run: Mapped[str | None] = mapped_column(String(16))
    """The run that may match now: choosing other columns begins another. Null: no column is chosen yet."""
    size: Mapped[int]
    """Characters of all its cells."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class MatchRow(Base):
    """One row of such a table, and whom it means."""

    __tablename__ = "match_row"

    list_id: Mapped[str] = mapped_column(ForeignKey("match_list.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1, in the file's order."""
    cells: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[RowState] = mapped_column(String(8))
    code: Mapped[str | None] = mapped_column(String(18))
    """Whom it means, or while nobody is sure the likeliest."""
    score: Mapped[float | None]
    candidates: Mapped[list[tuple[str, float]]] = mapped_column(JSON)
    """Codes and scores, the best first."""
