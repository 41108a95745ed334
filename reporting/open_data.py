"""What /statistics says of tip-offs, as a data set: one grouping at a time, and never two crossed.

A cell of month by district by matter could hold one tip, and whoever knows of it would read from the file what became
of that reporter. What the public page does not show is therefore not in the file either.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.kit.datasets import Column, DataSet, Names, offer
from record import publication
from record.districts import DISTRICTS
from reporting import statistics
from reporting.matters import KINDS, SERVICES
from reporting.models import TipCase
from reporting.statistics import Numbers

GROUPINGS: dict[str, Names] = {
    "whole": ("全年", "The whole year"),
    "month": ("收到月份", "Month of receipt"),
    "kind": ("举报或投诉", "Report or complaint"),
    "district": ("所在区", "District"),
    "matter": ("事项", "Matter"),
}
NOT_STATED = "none"


def _rows(session: Session) -> Iterator[tuple[Any, ...]]:
    first = session.scalar(select(func.min(TipCase.received_on)))
    for year in range(first.year, publication.today().year + 1) if first else ():
        found = statistics.read(session, year)
        groups: dict[str, Iterable[tuple[object, Numbers]]] = {
            "whole": [("", found.whole)], "month": [(f"{month:02}", one) for month, one in found.by_month],
            "kind": found.by_kind, "district": found.by_district, "matter": found.by_service,
        }  # fmt: skip
        for grouping, numbers in groups.items():
            for value, one in numbers:
                said = NOT_STATED if value is None else str(value)
                name = f"{year}/{grouping}/{said}".rstrip("/")
                yield (
                    name, year, grouping, said or None, one.received, one.verified, one.pursued, one.violations,
                    one.closed, one.late, one.average_days,
                )  # fmt: skip


offer(
    DataSet(
        "tip-statistics",
        ("投诉举报统计", "Statistics of reports and complaints"),
        (
            "每年收到的投诉举报及其处理情况，分别按月份、类别、区和事项统计；不涉及任何主体或个人。",
            "How many reports and complaints came in a year and what became of them, by month, kind, district and "
            "matter, each by itself; never about whom or by whom.",
        ),
        (
            Column("id", "text", ("标识", "Id")),
            Column("year", "int", ("收到年份", "Year of receipt")),
            Column("grouping", "text", ("统计口径", "Grouped by"), codes=GROUPINGS),
            Column(
                "value", "text", ("分组", "Group"), ("月份为 01 至 12", "Months are 01 to 12"),
                codes={
                    **KINDS, **DISTRICTS, **{code: one.name for code, one in SERVICES.items()},
                    NOT_STATED: ("未注明", "Not stated"),
                },
            ),
            Column("received", "int", ("收到件数", "Came in")),
            Column(
                "verified", "int", ("已核查件数", "Verified"),
                (
                    "已作出受理、不予受理、立案或不予立案决定",
                    "Accepted or not, a case opened or not: the law's first decision is made",
                ),
            ),
            Column(
                "pursued", "int", ("受理或立案件数", "Pursued"),
                ("投诉已受理，举报已立案", "Accepted, or a case was opened"),
            ),
            Column("violations", "int", ("查实违法件数", "Violations found")),
            Column("closed", "int", ("办结件数", "Finished")),
            Column(
                "late", "int", ("超期件数", "A period missed"),
                ("有一项职责超过法定期限", "A duty was done, or is still open, after its last day"),
            ),
            Column(
                "average_days", "numeric", ("平均核查天数", "Days to verify, on average"),
                ("自然日，自收到之日起", "Calendar days from receipt"),
            ),
        ),
        _rows,
        key="id",
        part_of=lambda row: str(row[1]),
        order=("year", "desc"),
    )
)  # fmt: skip
