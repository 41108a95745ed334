"""The tables of the register (market entities) and, as they come, of the supervision record."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
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
