"""One entity as lists and indexes show it, and what of its address may leave. Pure."""

import re
from datetime import date
from typing import NamedTuple

from record import codes


class Listed(NamedTuple):
    """One entity as lists and indexes show it: without its scope and without what came along."""

    code: str
    name: str
    former_names: tuple[str, ...]
    """Oldest first."""
    address: str | None
    """As the public may see it."""
    district: str | None
    industry: str | None
    type: str
    status: str | None
    flags: list[str]
    established_on: date | None
    source: str


# Where the number of a house begins: a digit, or a Chinese numeral or stem that counts houses, floors or rooms.
_HOUSE_NUMBER = re.compile(
    r"[0-9０-９]|[一二三四五六七八九十百甲乙丙丁]+(?:[-－—至、][一二三四五六七八九十百]+)*"
    r"(?:号|弄|支弄|室|幢|栋|楼|层|单元|组|队|座)"
)
_DANGLING = re.compile(r"[\sA-Za-zＡ-Ｚａ-ｚ第之附临底甲乙丙丁\-－—#＃(（、,，.·~～]+$")


def public_address(code: str, address: str | None) -> str | None:
    """The address as it may leave in any form.

    Of an individual business (个体工商户, codes from 92), whose operator may live there, only the street or village is
    given, never the number.
    """
    if not address or not codes.is_individual(code):
        return address
    number = _HOUSE_NUMBER.search(address)
    street = _DANGLING.sub("", address[: number.start()]) if number else address
    return street or None
