"""Tables of open data: the snapshots in force, and lists that visitors have matched, which live for a week."""

from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, Date, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.db import Base, UtcDateTime

RowState = Literal["waiting", "sure", "chosen", "likely", "none"]
"""`sure`: exactly one entity bears the very name or code; `chosen`, and `none` too, may be the visitor's own word."""


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
    score: Mapped[int | None]
    """0 to 100."""
    candidates: Mapped[list[tuple[str, int]]] = mapped_column(JSON)
    """Codes and scores, the best first."""


class Delta(Base):
    """The file of one day's changes."""

    __tablename__ = "delta"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    """Of the city's calendar: that on which the steps were recorded."""
    first_seq: Mapped[int] = mapped_column(BigInteger, unique=True)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    """The next day begins right behind it."""
    rows: Mapped[int] = mapped_column(BigInteger)
    """Lines: the steps that the public may learn of."""
    files: Mapped[dict[str, Any]] = mapped_column(JSON)
    """By form: key in the store, size in bytes, SHA-256."""
    hidden_kinds: Mapped[list[str]] = mapped_column(JSON)
    """Kinds that were switched off when it was written."""
    known_to: Mapped[int] = mapped_column(BigInteger)
    """The last entry whose withdrawals and corrections the file knows."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PublicationRun(Base):
    """How the last publication to another portal went; one row for each such portal."""

    __tablename__ = "publication_run"

    url: Mapped[str] = mapped_column(String(500), primary_key=True)
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Null while it runs, and when it was killed."""
    succeeded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When everything there was last as it is here."""
    sent: Mapped[int] = mapped_column(default=0)
    """How many data sets and files the last run made, changed or deleted there."""
    failures: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """Slugs, values and fields of the refusals that the last run met."""


class Consumer(Base):
    """Somebody whose programs use open data with a key of their own."""

    __tablename__ = "consumer"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random; the keys' `owner_id`."""
    name: Mapped[str] = mapped_column(String(100))
    """What the programs are, in the consumer's words."""
    address_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """HMAC-SHA256 under a key of the keyring: knows the mail address again without knowing it."""
    address: Mapped[str] = mapped_column(String(1_000))
    """Sealed (`portal.kit.keyring`)."""
    language: Mapped[str] = mapped_column(String(2))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a key was first made; who never does is forgotten."""
    counted_from: Mapped[datetime] = mapped_column(UtcDateTime)
    mails: Mapped[int]
    """Links that were mailed since `counted_from`."""
    acknowledged_seq: Mapped[int | None] = mapped_column(BigInteger)
    """The last entry of the ledger that the consumer says it has dealt with."""
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UsageCount(Base):
    """How often something was asked for on a day: by nobody in particular, or with a key."""

    __tablename__ = "usage_count"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    prefix: Mapped[str] = mapped_column(String(8), primary_key=True)
    """Of the key; empty: without one."""
    what: Mapped[str] = mapped_column(String(80), primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
