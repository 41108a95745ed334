"""What a search engine is told about one entity, and how it is read from the register."""

from typing import NamedTuple

from record.entities import Listed


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
