"""What the law says of tip-offs, as dated data: periods, what pauses them, how long content is kept, rewards.

It stands in `clocks.toml`, each rule with law and article; the operator's own file (`PORTAL_CLOCKS_FILE`) comes before
it. A case keeps the rule set that was in force when it came.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from portal.kit.settings import get_settings
from record.codes import Labels
from reporting.models import Kind

Unit = Literal["working_days", "days", "months"]
Duty = Literal["accept", "mediate", "tell_end", "verify", "tell_filing", "decide", "answer"]
DUTIES: Labels = {
    "accept": ("决定是否受理并告知", "Accept or refuse the complaint, and say so"),
    "mediate": ("终结调解", "End the mediation"),
    "tell_end": ("告知调解终结", "Tell the parties that mediation has ended"),
    "verify": ("核查并决定是否立案", "Verify, and decide on filing"),
    "tell_filing": ("告知实名举报人是否立案", "Tell the reporter whether a case was filed"),
    "decide": ("作出处理决定", "Decide the case"),
    "answer": ("办理并答复12345工单", "Answer the hotline's work order"),
}
CAUSES: Labels = {
    "testing": ("检验、检测、检疫", "Testing"),
    "appraisal": ("鉴定、权利人辨认", "Appraisal, or identification by the owner of a right"),
    "hearing": ("听证", "Hearing"),
    "announcement": ("公告", "Announcement"),
    "stay": ("中止", "Stay of the proceedings"),
}
"""Why days may not count."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The period that the law gives for one duty."""

    kind: Kind
    duty: Duty
    law: str
    article: str
    unit: Unit
    number: int
    in_force_from: date
    in_force_until: date | None = None
    rule_set: str | None = None
    """Whose rule it is; None: whatever the set, for the duty is from another law."""
    via: str | None = None
    """Only for what came this way."""
    named_only: bool = False
    """Owed only to somebody whose real name is known."""
    extension: int = 0
    """By how much, in the same unit, it may be extended once, for a reason that another officer approves."""
    extension_confirmed: bool = True
    paused_by: tuple[str, ...] = ()
    """Of CAUSES."""
    confirmed: bool = True
    """Whether the number was confirmed from an authoritative text."""

    def __post_init__(self) -> None:
        """Raises ValueError for what no clock could run by: found when the file is read, not when a day is missed."""
        known = self.duty in DUTIES and self.unit in get_args(Unit) and set(self.paused_by) <= set(CAUSES)
        if not known or self.number < 1 or self.extension < 0:
            raise ValueError(f"the rule for {self.kind} {self.duty} from {self.in_force_from} cannot be used")

    def covers(self, day: date) -> bool:
        """Whether it was in force on that day."""
        return self.in_force_from <= day and (self.in_force_until is None or day <= self.in_force_until)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long after a case was closed what its reporters sent is kept."""

    months: int
    in_force_from: date
    source: str
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Grade:
    """One grade of reward (奖励等级)."""

    grade: int
    percent: int
    """Of fine and confiscated sum."""
    minimum: Decimal
    """In yuan; also where there was no fine."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """What may be given for a tip."""

    grades: Mapping[int, Grade]
    most: Decimal
    """For one case, in yuan."""
    agreement_from: Decimal
    """From this sum on the finance bureau must agree."""
    claim_working_days: int
    in_force_from: date
    source: str
    claim_confirmed: bool = True


@dataclass(frozen=True, slots=True)
class _Book:
    rules: Sequence[Rule]
    retentions: Sequence[Retention]
    rewards: Sequence[Rewards]


@lru_cache(maxsize=4)
def _read(own: Path | None) -> _Book:
    files = [path for path in (own, Path(__file__).with_name("clocks.toml")) if path]
    read = [tomllib.loads(path.read_text("utf-8")) for path in files]
    return _Book(
        _newest_first([_rule(entry) for one in read for entry in one.get("tip", ())]),
        _newest_first([Retention(**entry) for one in read for entry in one.get("tip_retention", ())]),
        _newest_first([_rewards(entry) for one in read for entry in one.get("tip_reward", ())]),
    )


def _newest_first(rules: list[Any]) -> list[Any]:
    """Of two that are in force from the same day, the operator's stays before ours."""
    return sorted(rules, key=lambda rule: rule.in_force_from, reverse=True)


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(**{**entry, "paused_by": tuple(entry.get("paused_by", ()))})


def _rewards(entry: Mapping[str, Any]) -> Rewards:
    grades = [Grade(one["grade"], one["percent"], Decimal(one["minimum"])) for one in entry["grades"]]
    sums = {name: Decimal(entry[name]) for name in ("most", "agreement_from")}
    return Rewards(**{**entry, **sums, "grades": {one.grade: one for one in grades}})


def _book() -> _Book:
    return _read(get_settings().clocks_file)


def rule_set(on: date) -> str:
    """Whose rules a tip of that day runs by (投诉举报处理办法): `order-20`, `order-121`."""
    return next((rule.rule_set for rule in _book().rules if rule.rule_set and rule.covers(on)), "none")


def rule(kind: Kind, duty: Duty, *, rule_set: str, received_on: date, via: str) -> Rule | None:
    """The period for a duty in a case of that rule set, received on that day; None where no law sets one."""
    for one in _book().rules:
        if (one.kind, one.duty) != (kind, duty) or one.via not in (None, via):
            continue
        if one.rule_set == rule_set or (one.rule_set is None and one.covers(received_on)):
            return one
    return None


def retention(on: date) -> Retention | None:
    """How long content is kept, by the rule in force on a day; None where it is never erased."""
    return next((one for one in _book().retentions if one.in_force_from <= on), None)


def rewards(on: date) -> Rewards | None:
    """What may be given for a tip by the rule in force on a day; None where there is none."""
    return next((one for one in _book().rewards if one.in_force_from <= on), None)
