"""Data sets that areas offer to everybody: declared columns and how their rows are read. `opendata` publishes them.

datasets.offer(DataSet("penalties", …))      # in an area's `open_data` module
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

Type = Literal["text", "int", "numeric", "date", "timestamp", "bool"]
"""CKAN's names. Codes, numbers of documents and telephone numbers are text, whatever they look like."""
Names = tuple[str, str]
"""In Chinese and in English."""


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column."""

    name: str
    type: Type
    titles: Names
    meaning: Names = ("", "")
    codes: Mapping[str, Names] | None = None
    """What its values are called, where it holds codes."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set: no row of it is about a natural person."""

    name: str
    titles: Names
    about: Names
    columns: Sequence[Column]
    rows: Callable[[Session], Iterator[tuple[Any, ...]]]
    """All rows that the public may see, as values of the columns, in one order that stays. Dates as `date`, moments as
    UTC ISO 8601 texts, everything else as text, number or None."""
    key: str
    """The column that names a row."""
    part_of: Callable[[tuple[Any, ...]], str] = lambda row: "all"
    """Into which part of the data set's files a row goes: of few rows, so that a withdrawal rewrites little."""
    kind: str | None = None
    """Kind of the ledger whose entries the rows are: these can be withdrawn."""
    chart: str | None = None
    """A column whose values are worth a picture of how many rows have each."""
    order: tuple[str, Literal["asc", "desc"]] | None = None
    """Column by which people read it first."""

    rejected: Callable[[Session], int] | None = None
    """How many rows of the deliveries of the last 30 days could not be taken in."""

    def column(self, name: str) -> Column | None:
        """The column of this name."""
        return next((one for one in self.columns if one.name == name), None)


_OFFERED: dict[str, DataSet] = {}


def offer(data_set: DataSet) -> DataSet:
    """Make a data set known. The last of one name counts."""
    _OFFERED[data_set.name] = data_set
    return data_set


def offered() -> Mapping[str, DataSet]:
    """Every data set by name, in the order in which they were offered."""
    return _OFFERED
