"""Reading the register: one entity, several in the order asked for, or all of them for whoever builds an index."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from portal.kit.errors import PortalError
from record import codes
from record.models import Entity, FormerName

CHUNK = 5_000
_CODES_AT_ONCE = 1_000


class EntityNotFound(PortalError):
    status = 404
    slug = "entity-not-found"
    title = "No entity with this code is registered here."
    remedy = "Check the code: 18 characters, or 15 digits for an old registration number. Or search for the name."


class Listed(NamedTuple):
    """What an index needs to know of one entity."""

    code: str
    name: str
    former_names: tuple[str, ...]
    address: str | None
    """As the public may see it."""
    district: str | None
    industry: str | None
    type: str
    status: str | None
    flags: list[str]


def get(session: Session, code: str) -> Entity:
    """The entity with this code, in any case, width and spacing, its former names loaded. Raises EntityNotFound."""
    wanted = codes.normalise(code)
    found = by_codes(session, [wanted or code]) if wanted or 0 < len(code) <= 18 else []
    if not found:
        raise EntityNotFound
    return found[0]


def by_codes(session: Session, wanted: Sequence[str]) -> list[Entity]:
    """The entities with these codes, in the order asked for, former names loaded; unknown codes are left out."""
    found: dict[str, Entity] = {}
    for start in range(0, len(wanted), _CODES_AT_ONCE):
        chosen = select(Entity).where(Entity.code.in_(wanted[start : start + _CODES_AT_ONCE]))
        for entity in session.scalars(chosen.options(selectinload(Entity.former_names))):
            found[entity.code] = entity
    return [found[code] for code in dict.fromkeys(wanted) if code in found]


def count(session: Session) -> int:
    """Number of entities in the register."""
    return session.scalar(select(func.count()).select_from(Entity)) or 0


def is_empty(session: Session) -> bool:
    """Whether nothing is registered yet."""
    return session.scalar(select(Entity.code).limit(1)) is None


_LIGHT = (
    Entity.code, Entity.name, Entity.address, Entity.district, Entity.industry, Entity.type, Entity.status, Entity.flags
)  # fmt: skip


def stream(session: Session, *, after: str = "", chunk: int = CHUNK) -> Iterator[Listed]:
    """Every entity in the order of codes, behind `after`, `chunk` rows in memory at a time.

    Former names are read beside them in the same order, so the whole register costs one pass over each table. What is
    committed while it runs may or may not be met: whoever needs it follows the changes as well.
    """
    while True:
        chosen = select(*_LIGHT).where(Entity.code > after).order_by(Entity.code).limit(chunk)
        rows = session.execute(chosen).all()
        if not rows:
            return
        former = _former_between(session, after, rows[-1].code)
        for row in rows:
            yield _listed(row, former)
        after = rows[-1].code


def _former_between(session: Session, after: str, last: str) -> dict[str, list[str]]:
    chosen = (
        select(FormerName.entity_code, FormerName.name)
        .where(FormerName.entity_code > after, FormerName.entity_code <= last)
        .order_by(FormerName.id)
    )
    former: dict[str, list[str]] = {}
    for code, name in session.execute(chosen):
        former.setdefault(code, []).append(name)
    return former


def _listed(row: Any, former: dict[str, list[str]]) -> Listed:
    code, name, address, district, industry, kind, status, flags = row
    return Listed(
        code, name, tuple(former.get(code, ())), _public(code, address), district, industry, kind, status, flags
    )


# ---- what may leave -------------------------------------------------------------------------------------------------

# Where the number of a house begins: a digit, or a Chinese numeral or stem that counts houses, floors or rooms.
_HOUSE_NUMBER = re.compile(
    r"[0-9０-９]|[一二三四五六七八九十百甲乙丙丁]+(?:[-－—至、][一二三四五六七八九十百]+)*"
    r"(?:号|弄|支弄|室|幢|栋|楼|层|单元|组|队|座)"
)
_DANGLING = re.compile(r"[\sA-Za-zＡ-Ｚａ-ｚ第之附临底\-－—#＃(（、,，.·~～]+$")


def public_address(entity: Entity) -> str | None:
    """The address as it may leave in any form.

    Of an individual business (个体工商户, codes from 92), whose operator may live there, only the street or village,
    never the number.
    """
    return _public(entity.code, entity.address)


def _public(code: str, address: str | None) -> str | None:
    if not address or not codes.is_individual(code):
        return address
    number = _HOUSE_NUMBER.search(address)
    street = _DANGLING.sub("", address[: number.start()]) if number else address
    return street or None
