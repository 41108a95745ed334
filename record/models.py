"""The tables of the register (market entities) and, as they come, of the supervision record."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from portal.kit.db import Base, UtcDateTime


class Hundredths(TypeDecorator[Decimal]):
    """An exact sum with two decimals, stored as a whole number: SQLite knows no decimals and would round."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


class Entity(Base):
    """A market entity (市场主体) as it is registered today.

    Columns that a registry left out are null; what could not be understood is kept, as it came, in `as_received`.
    """

    __tablename__ = "entity"

    code: Mapped[str] = mapped_column(String(18), primary_key=True)
    """Unified social credit code (统一社会信用代码, GB 32100-2015), or for the few that have none the 15-digit
    registration number (工商注册号)."""
    name: Mapped[str] = mapped_column(String(300))
    name_key: Mapped[str] = mapped_column(String(300), index=True)
    """`record.names.fold(name)`: what two spellings of one name have in common."""
    district: Mapped[str | None] = mapped_column(String(6))
    """Today's division (GB/T 2260), six digits, of the place of business."""
    industry: Mapped[str | None] = mapped_column(String(1))
    """Section A to T (GB/T 4754-2017 门类)."""
    industry_division: Mapped[str | None] = mapped_column(String(2))
    """Division 01 to 97 (GB/T 4754-2017 大类)."""
    industry_source: Mapped[str | None] = mapped_column(String(10))
    """`registered`, or `name` when it was read from the trade that the name states; null without an industry."""
    type: Mapped[str] = mapped_column(String(24))
    """One of `record.codes.ENTITY_TYPES`."""
    type_text: Mapped[str | None] = mapped_column(String(100))
    """The type (企业类型) in the registry's own words."""
    status: Mapped[str | None] = mapped_column(String(16))
    """One of `record.codes.ENTITY_STATUSES`; null when the registry does not say."""
    established_on: Mapped[date | None]
    capital_amount: Mapped[Decimal | None] = mapped_column(Hundredths)
    """Registered capital (注册资本) in whole units of `capital_currency`: yuan, not ten thousand yuan."""
    capital_currency: Mapped[str | None] = mapped_column(String(3))
    """ISO 4217, historical codes such as DEM included."""
    scope: Mapped[str | None]
    """Business scope (经营范围)."""
    address: Mapped[str | None] = mapped_column(String(500))
    flags: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Lists the entity stands on today, of `record.codes.LISTS`; what search filters by."""
    as_received: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Values that could not be understood and columns nobody knows, by the registry's own header."""
    source: Mapped[str] = mapped_column(String(16), default="registry")
    """`registry`, or `demo` for made-up entities."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    former_names: Mapped[list["FormerName"]] = relationship(
        back_populates="entity", order_by="FormerName.id", cascade="all, delete-orphan", lazy="raise"
    )


class FormerName(Base):
    """A name (曾用名) that an entity bore before its present one, oldest first."""

    __tablename__ = "former_name"
    __table_args__ = (Index("ix_former_name_entity_code_name", "entity_code", "name", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    entity_code: Mapped[str] = mapped_column(ForeignKey("entity.code", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(300))
    name_key: Mapped[str] = mapped_column(String(300), index=True)
    until: Mapped[date | None]

    entity: Mapped[Entity] = relationship(back_populates="former_names", lazy="raise")


class RegistryImport(Base):
    """One registry file that was read, or is being read: what makes a killed import go on where it stopped."""

    __tablename__ = "registry_import"

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    baseline: Mapped[bool]
    rows_done: Mapped[int] = mapped_column(default=0)
    """Data rows of the file whose outcome is committed, refused ones included."""
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """Also the `changed_at` of every entity that this import added or changed."""
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# ---- the supervision record -----------------------------------------------------------------------------------------

_CURRENT = text("superseded_by IS NULL AND source_ref IS NOT NULL")
_SHOWN = text("shown_until IS NOT NULL AND withdrawn_by IS NULL AND superseded_by IS NULL")


class LedgerEntry(Base):
    """One fact about an entity, as it became known. Written once; `record.ledger` is the only writer.

    What is null although it was known has been redacted. The columns from `superseded_by` on say what is shown of it;
    they are no part of what the ledger proves.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ix_ledger_entry_entity_code_kind_seq", "entity_code", "kind", "seq"),
        Index("ix_ledger_entry_kind_occurred_on_seq", "kind", "occurred_on", "seq"),
        Index("ix_ledger_entry_kind_authority_occurred_on_seq", "kind", "authority", "occurred_on", "seq"),
        Index("ix_ledger_entry_kind_act_occurred_on_seq", "kind", "act", "occurred_on", "seq"),
        Index(
            "uq_ledger_entry_current_fact", "source_ref", "kind", "source", unique=True,
            sqlite_where=_CURRENT, postgresql_where=_CURRENT,
        ),
        Index("ix_ledger_entry_shown_until", "shown_until", sqlite_where=_SHOWN, postgresql_where=_SHOWN),
    )  # fmt: skip

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """From 0, without a gap, in the order of commits."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    """UUIDv7 (RFC 9562): what the outside knows the entry by."""
    kind: Mapped[str] = mapped_column(String(24))
    """One of `record.kinds.KINDS`."""
    entity_code: Mapped[str | None] = mapped_column(String(18))
    """Null when the party is not, or not yet, known by a code."""
    source: Mapped[str] = mapped_column(String(64))
    """Whose fact it is: the feed or department that sent it."""
    source_ref: Mapped[str | None] = mapped_column(String(400))
    """Which of that source's facts of this kind: document, party, item."""
    occurred_on: Mapped[date | None]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    salt: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 over salt and canonical JSON of everything that says something about anybody."""
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """RFC 6962 leaf over seq, id, kind, recorded_at and digest."""
    supersedes: Mapped[int | None] = mapped_column(BigInteger)
    """`seq` of the entry that said the same fact before."""
    visibility: Mapped[str] = mapped_column(String(8))
    """`public` or `internal`."""

    superseded_by: Mapped[int | None] = mapped_column(BigInteger)
    withdrawn_by: Mapped[int | None] = mapped_column(BigInteger)
    """`seq` of the withdrawal."""
    shown_from: Mapped[date | None]
    shown_until: Mapped[date | None]
    """Last day of publication; null: no end."""
    authority: Mapped[str | None] = mapped_column(String(200))
    """Who decided, and what it is about (`record.kinds.ACTS`): copied out of the payload, to browse by."""
    act: Mapped[str | None] = mapped_column(String(200))


class LedgerNode(Base):
    """Hash of a full subtree of 256**level leaves (C2SP tlog-tiles, 256 wide): what makes heads and proofs cheap."""

    __tablename__ = "ledger_node"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LedgerHead(Base):
    """How many entries there are. Its one row is the lock under which numbers are given, held until the commit."""

    __tablename__ = "ledger_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)


class SignedHead(Base):
    """The newest head that the officers' side signed: all that a public side without private keys can show of it."""

    __tablename__ = "signed_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1: there is one row."""
    size: Mapped[int] = mapped_column(BigInteger)
    checkpoint: Mapped[str] = mapped_column(String(200))
    signature: Mapped[str] = mapped_column(String(100))
    public_key: Mapped[str] = mapped_column(String(60))


class RedactedFact(Base):
    """A fact that was redacted must not come back with the next delivery: SHA-256 of what named it."""

    __tablename__ = "redacted_fact"

    name_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)


class FeedImport(Base):
    """One delivery of official data: what it brought, for the desk."""

    __tablename__ = "feed_import"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    source: Mapped[str] = mapped_column(String(64))
    file_name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    unmatched: Mapped[int] = mapped_column(default=0)
    refused: Mapped[list[tuple[int, str]] | None] = mapped_column(JSON)
    """Of what was refused the first: place among the items or rows, from 0, and reason (`feeds.REASONS`)."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """Of an upload: when it was handed in."""
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    uploaded_by: Mapped[int | None]
    """Account of the officer who handed the file in; null for what came another way."""
    district: Mapped[str | None] = mapped_column(String(6))
    """Of an upload: the only district whose entities it may be about; null: the whole city."""
    stored_as: Mapped[str | None] = mapped_column(String(64))
    """Of an upload: name of the file in `imports/` until it is read; its rejects lie beside it."""
    problem: Mapped[str | None] = mapped_column(String(40))
    """`slug` of the refusal when the file could not be read as a whole."""


class Unmatched(Base):
    """An entry whose party the register does not know yet; it is joined when the entity arrives."""

    __tablename__ = "unmatched"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entity_code: Mapped[str | None] = mapped_column(String(18), index=True)
    """The party's code, where the feed gave one."""
    name_key: Mapped[str] = mapped_column(String(300), index=True)
    """`record.names.fold` of the party's name."""


class Subscription(Base):
    """An outside platform to which the public steps of the ledger are delivered, and how far it has come."""

    __tablename__ = "subscription"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    url: Mapped[str] = mapped_column(String(500))
    """May carry the receiver's own token: shown and logged by its host alone."""
    secret: Mapped[str] = mapped_column(String(200))
    """What deliveries are signed with, sealed: whoever reads a copy of the database can sign nothing."""
    old_secret: Mapped[str | None] = mapped_column(String(200))
    """While the secret is being changed: the one before, sealed; signs too until `old_secret_until`."""
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    kinds: Mapped[list[str]] = mapped_column(JSON)
    """Of `record.kinds.SHOWN`; empty: all."""
    districts: Mapped[list[str]] = mapped_column(JSON)
    """Of `record.codes.DISTRICTS`; empty: all."""
    cursor: Mapped[int] = mapped_column(BigInteger)
    """`seq` of the last step that was taken by the platform or is none of its; -1 before the first."""
    state: Mapped[str] = mapped_column(String(8))
    """`active`; `paused` by an officer; `dead`: given up at the step behind the cursor until an officer resumes it."""
    tries: Mapped[int]
    """Failed attempts at the step behind the cursor."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Null: at once."""
    last_error: Mapped[str | None] = mapped_column(String(16))
    """A `portal.kit.webhooks.Reason`; null once a delivery was taken."""
    last_delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    owner: Mapped[str | None] = mapped_column(String(84), index=True)
    """Of a watch: the owner of the keys that made it. Null: a platform, which is told of everything."""
    run: Mapped[str | None] = mapped_column(String(16))
    """The one run that may send now, until `leased_until`."""
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Watched(Base):
    """An entity that a watch is told about."""

    __tablename__ = "watched"
    __table_args__ = (Index("ix_watched_code", "code"),)

    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(String(18), primary_key=True)


class KindSwitch(Base):
    """Whether this portal shows a kind, from a day on: some sectors' records may not be shown by others."""

    __tablename__ = "kind_switch"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    since: Mapped[date] = mapped_column(primary_key=True)
    public_here: Mapped[bool]
    because: Mapped[str] = mapped_column(String(200))
    """Law and article, or the decision."""


# ---- followers ------------------------------------------------------------------------------------------------------

_DUE = text("due_at IS NOT NULL")


class FollowAddress(Base):
    """A mail address that follows something, or was given to a form that asks for it. Gone with its last `Follow`."""

    __tablename__ = "follow_address"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random, for links: it tells nobody anything."""
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """HMAC-SHA256 under a key of the keyring: knows the address again without knowing it."""
    sealed: Mapped[bytes] = mapped_column(LargeBinary(400))
    """AES-256-GCM under another: whoever reads a copy of the database has nobody's address."""
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When somebody last gave it to a form."""
    counted_from: Mapped[datetime] = mapped_column(UtcDateTime)
    mails: Mapped[int]
    """Mails that were sent since `counted_from` because somebody gave the address to a form."""


class Follow(Base):
    """One address follows one entity, or will once its reader says so."""

    __tablename__ = "follow"
    __table_args__ = (
        Index("ix_follow_address_id_entity_code", "address_id", "entity_code", unique=True),
        # Only of those that are due: else SQLite would look for those that are not with it, and find nearly everybody.
        Index("ix_follow_due_at", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random, for links."""
    address_id: Mapped[str] = mapped_column(ForeignKey("follow_address.id", ondelete="CASCADE"))
    entity_code: Mapped[str] = mapped_column(String(18), index=True)
    language: Mapped[str] = mapped_column(String(2))
    """`zh` or `en`: what the reader's mails are written in."""
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Null: nobody has opened the link yet, and nothing is sent but the link."""
    told: Mapped[int] = mapped_column(BigInteger, default=-1)
    """`seq` of the last entry of the ledger that was looked at for this reader."""
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When to look at what came since, and to send it; null: nothing has come."""
    quiet_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """No second mail before that."""
    tries: Mapped[int] = mapped_column(default=0)
    """How often the next mail was begun."""


class FollowProgress(Base):
    """How far in the ledger followers were noted, and who sends just now. One row."""

    __tablename__ = "follow_progress"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    """Every follower whom an entry up to this one concerns has a `due_at`, or was looked after."""
    sender: Mapped[str | None] = mapped_column(String(32))
    sender_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The lease of the one who sends: after that another may."""
