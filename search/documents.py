"""What a search engine is told about one entity, and how it is read from the register."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from record.cleaning import CleanRow
from record.listed import Listed, public_address


class EntityDocument(NamedTuple):
    """One entity as an engine indexes it. Engines answer with codes; what people see is read from `record`."""

    code: str
    name: str
    former_names: tuple[str, ...] = ()
    address: str = ""
    district: str = ""
    """GB/T 2260, six digits, or empty."""
    industry: str = ""
    """GB/T 4754 section A to T, or empty."""
    type: str = ""
    status: str = ""
    lists: tuple[str, ...] = ()
    """Lists the entity stands on, of `record.codes.LISTS`."""


def document(listed: Listed) -> EntityDocument:
    """The document of one entity as the register lists it."""
    return EntityDocument(
        code=listed.code,
        name=listed.name,
        former_names=listed.former_names,
        address=listed.address or "",
        district=listed.district or "",
        industry=listed.industry or "",
        type=listed.type,
        status=listed.status or "",
        lists=tuple(listed.flags),
    )


def document_of_row(row: CleanRow, former_names: Sequence[str]) -> EntityDocument:
    """The document of an entity as a first load stores it: the same that the register will list."""
    return EntityDocument(
        code=row.code,
        name=row.name,
        former_names=tuple(former_names),
        address=public_address(row.code, row.address) or "",
        district=row.district or "",
        industry=row.industry or "",
        type=row.type,
        status=row.status or "",
    )


def prepared_rows(
    prepare: Callable[[EntityDocument], Any], rows: list[CleanRow], former: dict[str, list[str]]
) -> list[Any]:
    """What an engine makes of the documents of rows and of their former names by code."""
    return [prepare(document_of_row(row, former.get(row.code, ()))) for row in rows]
