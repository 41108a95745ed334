"""Filters of queries as CKAN 2.12 knows them, turned into conditions whose values are parameters.

{"district": "310104"}                          equal
{"district": ["310104", {"gte": "310115"}]}     any of several
{"occurred_on": {"gte": "2026-01-01", "lt": "2026-02-01"}}
{"$or": [{…}, {…}]}, or a list at the top       any of these
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from opendata.snapshots import SQL_TYPES
from portal.kit.datasets import Column, DataSet

MOST_CONDITIONS = 200
MOST_VALUES = 2_000
LONGEST = 500
_COMPARE = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
ID = Column("_id", "int", ("行号", "Row"))


class FilterWrong(Exception):
    """A filter that cannot be understood; `field` is the argument that it came in."""

    def __init__(self, message: str, field: str = "filters") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and the values of its parameters."""

    text: str
    values: Sequence[Any]

    def sql(self) -> tuple[str, list[Any]]:
        return self.text, list(self.values)

    def and_(self, other: "Condition") -> "Condition":
        """Both."""
        return all_of([self, other])


EVERYTHING = Condition("true", ())


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Every one of these."""
    return _joined(" AND ", conditions) or EVERYTHING


def any_of(conditions: Iterable[Condition]) -> Condition:
    """One of these at least."""
    return _joined(" OR ", conditions) or Condition("false", ())


def _joined(word: str, conditions: Iterable[Condition]) -> Condition | None:
    found = list(conditions)
    if not found:
        return None
    return Condition("(" + word.join(one.text for one in found) + ")", [v for one in found for v in one.values])


class _Reader:
    def __init__(self, data_set: DataSet) -> None:
        self._data_set = data_set
        self._conditions = 0
        self._values = 0

    def read(self, said: Any) -> Condition:
        if isinstance(said, list):
            return any_of([self.read(one) for one in said])
        if not isinstance(said, Mapping):
            raise FilterWrong("filters must be a JSON object, or a list of such")
        return all_of([self._one(name, value) for name, value in said.items()])

    def _one(self, name: str, said: Any) -> Condition:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise FilterWrong(f"at most {MOST_CONDITIONS} conditions can be asked for at a time")
        if name == "$or":
            if not isinstance(said, list):
                raise FilterWrong("$or needs a list of filters")
            return any_of([self.read(one) for one in said])
        name = name[1:] if name.startswith("$$") else name
        column = column_of(self._data_set, name)
        if column is None:
            raise FilterWrong(f'invalid filters: no column is called "{name}"')
        if isinstance(said, list):
            return any_of([self._value(column, one) for one in said])
        return self._value(column, said)

    def _value(self, column: Column, said: Any) -> Condition:
        self._values += 1
        if self._values > MOST_VALUES:
            raise FilterWrong(f"at most {MOST_VALUES} values can be asked for at a time")
        if isinstance(said, Mapping):
            unknown = set(said) - set(_COMPARE)
            if unknown or not said:
                raise FilterWrong(f"a range of {column.name} has eq, gt, gte, lt or lte")
            return all_of([_compared(column, _COMPARE[word], value) for word, value in said.items()])
        return _compared(column, "=", said)


def _compared(column: Column, sign: str, said: Any) -> Condition:
    if said is None:
        return Condition(f'"{column.name}" IS NULL', ())
    value = typed(column, said)
    return Condition(f'"{column.name}" {sign} CAST(? AS {SQL_TYPES[column.type]})', [value])


def typed(column: Column, said: Any) -> Any:
    """A value of a column's type, as a text that the engine casts. Raises FilterWrong."""
    text = str(said).strip() if not isinstance(said, bool) else str(said).lower()
    try:
        if len(text) > LONGEST or isinstance(said, Mapping | list):
            raise ValueError
        if column.type == "int":
            return str(int(text))
        if column.type == "numeric":
            return str(Decimal(text)) if Decimal(text).is_finite() else _bad()
        if column.type == "date":
            return date.fromisoformat(text[:10]).isoformat()
        if column.type == "timestamp":
            return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None).isoformat()
        if column.type == "bool":
            return {"true": "true", "1": "true", "false": "false", "0": "false"}[text.lower()]
    except (ValueError, KeyError, InvalidOperation) as error:
        raise FilterWrong(f'invalid value for {column.name} ({column.type}): "{text[:60]}"') from error
    return text


def _bad() -> str:
    raise ValueError


def column_of(data_set: DataSet, name: str) -> Column | None:
    """A declared column, or the number of the row."""
    return ID if name == "_id" else data_set.column(name)


def read(data_set: DataSet, said: Any) -> Condition:
    """Filters as somebody sent them. Raises FilterWrong."""
    return _Reader(data_set).read(said) if said else EVERYTHING


def words(data_set: DataSet, said: Any) -> Condition:
    """`q`: words that stand somewhere in a row's texts, each of them; or by column. Raises FilterWrong."""
    if not said:
        return EVERYTHING
    if isinstance(said, Mapping):
        found = []
        for name, text in said.items():
            column = data_set.column(name)
            if column is None or column.type != "text":
                raise FilterWrong(f'invalid q: no column of text is called "{name}"', "q")
            found += [_holds([name], word) for word in _split(str(text))]
        return all_of(found)
    texts = [one.name for one in data_set.columns if one.type == "text"]
    return all_of([_holds(texts, word) for word in _split(str(said))])


def _split(text: str) -> list[str]:
    parts = text[:LONGEST].replace(":*", " ").split()
    if len(parts) > 8:
        raise FilterWrong("q holds eight words at the most", "q")
    return parts


def _holds(names: Sequence[str], word: str) -> Condition:
    """Whether a column holds the word. Looking past the case takes five times as long: only for words that have one."""
    cased = word.lower() != word.upper()
    held = 'contains(lower("{}"), lower(?))' if cased else 'contains("{}", ?)'
    return any_of([Condition(held.format(name), [word]) for name in names])
