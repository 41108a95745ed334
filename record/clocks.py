"""Legal periods as dated data: how long an entry is shown, and how long a duty in a procedure may take.

They stand in `clocks.toml`, each with its source; the operator's own file (`PORTAL_CLOCKS_FILE`) comes before it.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from portal.kit.settings import get_settings


@dataclass(frozen=True, slots=True)
class Publicity:
    """How long entries of a kind, and perhaps of one gravity, are shown."""

    kind: str
    in_force_from: date
    source: str
    """Law, number, and when it came into force."""
    gravity: str | None = None
    shown: bool = True
    minimum_months: int | None = None
    maximum_months: int | None = None


@dataclass(frozen=True, slots=True)
class Procedure:
    """How long one duty in a procedure may take."""

    case: str
    duty: str
    days: int
    in_force_from: date
    source: str
    unit: Literal["working_days"] = "working_days"
    extension: int = 0
    """Days by which it may be extended, once, for a reason."""
    confirmed: bool = True
    """Whether the number was confirmed from an authoritative text."""


@lru_cache(maxsize=4)
def _read(own: Path | None) -> tuple[Sequence[Publicity], Sequence[Procedure]]:
    files = [path for path in (own, Path(__file__).with_name("clocks.toml")) if path]
    read = [tomllib.loads(path.read_text("utf-8")) for path in files]
    publicity = [Publicity(**entry) for one in read for entry in one.get("publicity", ())]
    procedures = [Procedure(**entry) for one in read for entry in one.get("procedure", ())]
    return _newest_first(publicity), _newest_first(procedures)


def _newest_first(rules: list[Any]) -> list[Any]:
    """Of two that are in force from the same day, the operator's stays before ours."""
    return sorted(rules, key=lambda rule: rule.in_force_from, reverse=True)


def publicity(kind: str, gravity: str | None, on: date) -> Publicity | None:
    """The rule in force on a day; None where none limits how long such entries are shown."""
    for rule in _read(get_settings().clocks_file)[0]:
        if rule.kind == kind and rule.gravity in (None, gravity) and rule.in_force_from <= on:
            return rule
    return None


def procedure(case: str, duty: str, on: date) -> Procedure | None:
    """The period for a duty that was in force on a day; None where no law sets one."""
    for rule in _read(get_settings().clocks_file)[1]:
        if rule.case == case and rule.duty == duty and rule.in_force_from <= on:
            return rule
    return None
