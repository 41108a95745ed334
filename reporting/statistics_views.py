"""Statistics of tip-offs: a page with pictures and tables, and the same as JSON."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query as InQuery
from fastapi import Request, Response
from pydantic import BaseModel, Field

from portal.kit import limits, web
from portal.kit.limits import door
from portal.kit.shapes import Query
from record import publication
from reporting import statistics
from reporting.statistics import Numbers

router = limits.router(include_in_schema=False)
api = limits.router(tags=["Tip-offs"])

FIRST_YEAR = 2020


@router.get("/statistics")
@door(who="anyone", limit="120/minute")
def page(request: Request, session: web.ReadingSession, year: str = "") -> Response:
    this_year = publication.today().year
    wanted = int(year) if year.isascii() and year.isdigit() and FIRST_YEAR <= int(year[:6]) <= this_year else this_year
    found = statistics.of_year(session, wanted)
    most = max((numbers.received for _, numbers in found.by_month), default=0)
    return web.page(
        request, "reporting/statistics.html", found=found, most=most, years=range(this_year, FIRST_YEAR - 1, -1)
    )


class NumbersOut(BaseModel):
    received: int
    verified: int = Field(description="Accepted or not, a case opened or not: the law's first decision is made.")
    pursued: int = Field(description="Accepted (受理), or a case was opened (立案).")
    violations: int
    closed: int
    late: int = Field(description="A duty was done, or is still open, after its last day.")
    average_days: float | None = Field(description="Calendar days from receipt to the law's first decision.")


class MonthOut(NumbersOut):
    month: int


class KindOut(NumbersOut):
    kind: str


class DistrictOut(NumbersOut):
    district: str | None


class ServiceOut(NumbersOut):
    service: str


class StatisticsOut(BaseModel):
    year: int
    overdue_now: int = Field(description="Cases that are past a day that the law sets, whenever they came.")
    whole: NumbersOut
    by_month: list[MonthOut]
    by_kind: list[KindOut]
    by_district: list[DistrictOut]
    by_service: list[ServiceOut]


class YearQuery(Query):
    year: int | None = Field(None, ge=FIRST_YEAR, le=2100, description="Of receipt; left out: this year.")


@api.get("/statistics/tips")
@door(who="anyone", limit="120/minute")
def numbers(request: Request, session: web.ReadingSession, query: Annotated[YearQuery, InQuery()]) -> StatisticsOut:
    """How many tip-offs came in a year and what became of them, by month, kind, district and matter."""
    found = statistics.of_year(session, query.year or publication.today().year)
    return StatisticsOut(
        year=found.year,
        overdue_now=found.overdue_now,
        whole=NumbersOut(**_said(found.whole)),
        by_month=[MonthOut(month=key, **_said(each)) for key, each in found.by_month],
        by_kind=[KindOut(kind=key, **_said(each)) for key, each in found.by_kind],
        by_district=[DistrictOut(district=key, **_said(each)) for key, each in found.by_district],
        by_service=[ServiceOut(service=key, **_said(each)) for key, each in found.by_service],
    )


def _said(numbers: Numbers) -> dict[str, Any]:
    return {**asdict(numbers), "average_days": numbers.average_days}
