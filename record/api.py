"""JSON: one entity of the register."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from portal.kit import limits
from portal.kit.limits import door
from portal.kit.shapes import Instant
from portal.kit.web import ReadingSession
from record import entities
from record.listed import Listed

router = limits.router(tags=["Entities"])

EXAMPLE: JsonDict = {
    "code": "91310199MA1DEMO018",
    "name": "上海青禾照明电器有限公司",
    "former_names": ["上海青禾灯具厂"],
    "district": "310104",
    "industry": "C",
    "type": "limited_company",
    "status": "active",
    "established_on": "2003-04-18",
    "address": "上海市徐汇区桂林路100号",
    "flags": [],
    "demo": True,
}


class EntityItem(BaseModel):
    """An entity as lists show it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    code: str = Field(description="Unified social credit code (GB 32100-2015).")
    name: str
    former_names: list[str] = Field(description="Oldest first.")
    district: str | None = Field(description="Division (GB/T 2260) of the place of business.")
    industry: str | None = Field(description="Section A to T (GB/T 4754-2017).")
    type: str
    status: str | None = Field(description="Null when the registry does not say.")
    established_on: date | None
    address: str | None = Field(description="For individual businesses (codes from 92) without the street number.")
    flags: list[str] = Field(description="Lists that it stands on today.")
    demo: bool = Field(description="Made up, for demonstration.")


def item(entity: Listed) -> dict[str, Any]:
    """The values of an EntityItem, to be checked once, on their way out."""
    return {**entity._asdict(), "demo": entity.source == "demo"}


class Capital(BaseModel):
    amount: Decimal = Field(description="In whole units of the currency, not in ten thousands.")
    currency: str | None = Field(description="ISO 4217; null when the registry gave a sum without one.")


class Registration(BaseModel):
    type_text: str | None = Field(description="The type in the registry's own words.")
    capital: Capital | None
    scope: str | None
    industry_division: str | None = Field(description="Division 01 to 97 (GB/T 4754-2017).")
    industry_source: str | None = Field(description="`registered`, or `name` when read from the entity's name.")
    changed_at: Instant = Field(description="When this portal last received a difference.")


class EntityFile(EntityItem):
    """An entity's file (一户一档)."""

    registration: Registration


@router.get("/entities/{code}", response_model=EntityFile)
@door(who="anyone", limit="600/minute")
def read_entity(
    request: Request,
    session: ReadingSession,
    code: Annotated[str, Path(max_length=40, description="The code, in any case, with or without spaces.")],
) -> dict[str, Any]:
    """One entity's file."""
    entity = entities.get(session, code)
    capital = (
        Capital(amount=entity.capital_amount, currency=entity.capital_currency)
        if entity.capital_amount is not None
        else None
    )
    registration = Registration(
        type_text=entity.type_text,
        capital=capital,
        scope=entity.scope,
        industry_division=entity.industry_division,
        industry_source=entity.industry_source,
        changed_at=entity.changed_at,
    )
    return {**item(entities.as_listed(entity)), "registration": registration}
