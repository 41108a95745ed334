"""Reading the register: one entity, several in the order asked for, or all of them for whoever builds an index."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import JSON, BindParameter, Table, Text, bindparam, case, func, null, select, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session, selectinload

from portal.kit import db
from portal.kit.errors import PortalError
from record import codes
from record.listed import Listed, public_address
from record.models import Entity, FormerName

CHUNK = 2_000
_CODES_AT_ONCE = 1_000


class EntityNotFound(PortalError):
    status = 404
    slug = "entity-not-found"
    title = "No entity with this code is registered here."
    remedy = "Check the code: 18 characters, or 15 digits for an old registration number. Or search for the name."


def get(session: Session, code: str) -> Entity:
    """The entity with this code, in any case, width and spacing, its former names loaded. Raises EntityNotFound."""
    wanted = codes.normalise(code) or (code if code.isascii() and code.isalnum() else None)
    entity = session.get(Entity, wanted, options=[selectinload(Entity.former_names)]) if wanted else None
    if entity is None:
        raise EntityNotFound
    return entity


def by_codes(session: Session, wanted: Sequence[str]) -> list[Listed]:
    """The entities with these codes, in the order asked for; unknown codes are left out."""
    found: dict[str, Listed] = {}
    for start in range(0, len(wanted), _CODES_AT_ONCE):
        some = wanted[start : start + _CODES_AT_ONCE]
        former = _former(session, some)
        for row in session.execute(_BY_CODES, {"codes": some}):
            found[row[0]] = _listed(row, former)
    return [found[code] for code in dict.fromkeys(wanted) if code in found]


def as_listed(entity: Entity) -> Listed:
    """The entity as lists show it. Its former names must be loaded."""
    row = tuple(getattr(entity, column.name) for column in _LIGHT)
    return _listed(row, {entity.code: [former.name for former in entity.former_names]})


def count(session: Session) -> int:
    """Number of entities in the register."""
    return session.scalar(select(func.count()).select_from(Entity)) or 0


def last_changed(session: Session) -> datetime | None:
    """When the register last took in a change; None while it is empty."""
    return session.scalar(select(func.max(Entity.changed_at)))


def is_empty(session: Session) -> bool:
    """Whether nothing is registered yet."""
    return session.scalar(select(Entity.code).limit(1)) is None


# Columns of the table, not of the class: the mapper's part would take as long as the database's. Hardly an entity
# stands on a list, so the empty one is not sent through the JSON decoder three million times.
_TABLE, _NAMES = cast(Table, Entity.__table__), cast(Table, FormerName.__table__)
_FLAGS = case((func.length(sql_cast(_TABLE.c.flags, Text)) > 2, _TABLE.c.flags), else_=null())
_LIGHT = (
    _TABLE.c.code,
    _TABLE.c.name,
    _TABLE.c.address,
    _TABLE.c.district,
    _TABLE.c.industry,
    _TABLE.c.type,
    _TABLE.c.status,
    type_coerce(_FLAGS, JSON).label("flags"),
    _TABLE.c.established_on,
    _TABLE.c.source,
)
# Statements made once: making them anew takes as long as running them.
_CODES: BindParameter[Any] = bindparam("codes", expanding=True)
_BY_CODES = select(*_LIGHT).where(_TABLE.c.code.in_(_CODES))
_FORMER = select(_NAMES.c.entity_code, _NAMES.c.name).where(_NAMES.c.entity_code.in_(_CODES)).order_by(_NAMES.c.id)


def stream(session: Session, *, chunk: int = CHUNK) -> Iterator[Listed]:
    """Every entity, in the order in which the database keeps them, `chunk` rows in memory at a time.

    It is the state of one moment, for as long as the reading lasts. Whoever needs what is committed meanwhile follows
    the changes as well. (In the order of codes the same reading takes five times as long: each row lies elsewhere.)
    """
    for rows in session.execute(select(*_LIGHT), execution_options={"yield_per": chunk}).partitions():
        former = _former(session, [row[0] for row in rows])
        for row in rows:
            yield _listed(row, former)


def _former(session: Session, of: Sequence[str]) -> dict[str, list[str]]:
    former: dict[str, list[str]] = {}
    for code, name in session.execute(_FORMER, {"codes": of}):
        former.setdefault(code, []).append(name)
    return former


def _listed(row: Sequence[Any], former: dict[str, list[str]]) -> Listed:
    code, name, address, district, industry, kind, status, flags, established_on, source = row
    names = tuple(former[code]) if code in former else ()
    shown = public_address(code, address)
    return Listed(code, name, names, shown, district, industry, kind, status, flags or [], established_on, source)


# ---- by name --------------------------------------------------------------------------------------------------------


def bearers(session: Session, keys: Collection[str]) -> dict[str, set[str]]:
    """Codes of the entities that bear each of these names or bore it before; names that nobody bears are left out.

    Names as `names.fold` writes them.
    """
    found: dict[str, set[str]] = {}
    if not keys:
        return found
    for asked in (
        select(_TABLE.c.name_key, _TABLE.c.code).where(_TABLE.c.name_key.in_(keys)),
        select(_NAMES.c.name_key, _NAMES.c.entity_code).where(_NAMES.c.name_key.in_(keys)),
    ):
        for key, code in session.execute(asked):
            found.setdefault(key, set()).add(code)
    return found


def sole_bearers(session: Session, keys: Collection[str]) -> dict[str, str]:
    """The code of each of these names that exactly one entity bears or bore."""
    return {key: codes_.pop() for key, codes_ in bearers(session, keys).items() if len(codes_) == 1}


def districts(session: Session, wanted: Collection[str]) -> dict[str, str | None]:
    """The district of each of these codes that is registered."""
    if not wanted:
        return {}
    asked = select(_TABLE.c.code, _TABLE.c.district).where(db.one_of(session, _TABLE.c.code, wanted))
    return dict(session.execute(asked).all())


class Brief(NamedTuple):
    """What tells one entity from another."""

    name: str
    district: str | None
    industry: str | None
    """Section of GB/T 4754."""


def briefly(session: Session, wanted: Collection[str]) -> dict[str, Brief]:
    """Name, district and industry of each of these codes that is registered; at most a thousand."""
    if not wanted:
        return {}
    asked = select(_TABLE.c.code, _TABLE.c.name, _TABLE.c.district, _TABLE.c.industry)
    rows = session.execute(asked.where(db.one_of(session, _TABLE.c.code, wanted))).all()
    return {code: Brief(name, district, industry) for code, name, district, industry in rows}


def former_names(session: Session, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Names that these entities bore before; at most a thousand."""
    return _former(session, wanted) if wanted else {}
