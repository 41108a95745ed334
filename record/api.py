"""JSON: one entity and its file, the ledger's changes, and proofs."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy.orm import Session

from portal.kit import keys, limits
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.shapes import Instant, Query
from portal.kit.web import ReadingSession
from record import entities, kinds, ledger, publication, signed
from record.items import ChangeItem, Entry, change_item, entry_item
from record.listed import Listed

router = limits.router(tags=["Entities"], dependencies=[keys.IF_SENT])

MOST_SEQ = 2**53 - 1

EXAMPLE: JsonDict = {
    "code": "91310199MA1DEMO018",
    "name": "上海青禾照明电器有限公司",
    "former_names": ["上海青禾灯具厂"],
    "district": "310104",
    "industry": "C",
    "type": "limited_company",
    "status": "active",
    "established_on": "2003-04-18",
    "address": "上海市徐汇区桂林路100号",
    "flags": [],
    "demo": True,
}


class EntityItem(BaseModel):
    """An entity as lists show it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    code: str = Field(description="Unified social credit code (GB 32100-2015).")
    name: str
    former_names: list[str] = Field(description="Oldest first.")
    district: str | None = Field(description="Division (GB/T 2260) of the place of business.")
    industry: str | None = Field(description="Section A to T (GB/T 4754-2017).")
    type: str
    status: str | None = Field(description="Null when the registry does not say.")
    established_on: date | None
    address: str | None = Field(description="For individual businesses (codes from 92) without the street number.")
    flags: list[str] = Field(description="Lists that it stands on today.")
    demo: bool = Field(description="Made up, for demonstration.")


def item(entity: Listed) -> dict[str, Any]:
    """The values of an EntityItem, to be checked once, on their way out."""
    return {**entity._asdict(), "demo": entity.source == "demo"}


class Capital(BaseModel):
    amount: Decimal = Field(description="In whole units of the currency, not in ten thousands.")
    currency: str | None = Field(description="ISO 4217; null when the registry gave a sum without one.")


class Registration(BaseModel):
    type_text: str | None = Field(description="The type in the registry's own words.")
    capital: Capital | None
    scope: str | None
    industry_division: str | None = Field(description="Division 01 to 97 (GB/T 4754-2017).")
    industry_source: str | None = Field(description="`registered`, or `name` when read from the entity's name.")
    changed_at: Instant = Field(description="When this portal last received a difference.")


KindName = Literal[
    "permit",
    "penalty",
    "inspection",
    "abnormal_listing",
    "serious_violation",
    "judgment_debtor",
    "commendation",
    "evaluation",
    "tip_outcome",
    "registration",
]
assert set(kinds.SHOWN) == set(KindName.__args__)  # type: ignore[attr-defined]


class RecordPart(BaseModel):
    """An entity's entries of one kind."""

    count: int
    newest: list[Entry]


class EntityFile(EntityItem):
    """An entity's file (一户一档)."""

    registration: Registration
    record: dict[str, RecordPart] = Field(description="By kind; kinds without entries are left out.")


class EntriesQuery(Query):
    kind: KindName
    limit: int = Field(20, ge=1, le=100)
    cursor: int | None = Field(None, ge=0, le=MOST_SEQ, description="`next` of the page before.")


class EntryPage(BaseModel):
    items: list[Entry]
    total: int
    next: str | None


@router.get("/entities/{code}", response_model=EntityFile)
@door(who="anyone", limit="600/minute")
def read_entity(
    request: Request,
    session: ReadingSession,
    code: Annotated[str, Path(max_length=40, description="The code, in any case, with or without spaces.")],
) -> dict[str, Any]:
    """One entity's file."""
    entity = entities.get(session, code)
    capital = (
        Capital(amount=entity.capital_amount, currency=entity.capital_currency)
        if entity.capital_amount is not None
        else None
    )
    registration = Registration(
        type_text=entity.type_text,
        capital=capital,
        scope=entity.scope,
        industry_division=entity.industry_division,
        industry_source=entity.industry_source,
        changed_at=entity.changed_at,
    )
    record = {
        part.kind: {"count": part.count, "newest": list(map(entry_item, part.newest))}
        for part in publication.parts(session, entity.code)
    }
    return {**item(entities.as_listed(entity)), "registration": registration, "record": record}


@router.get("/entities/{code}/entries", response_model=EntryPage)
@door(who="anyone", limit="600/minute")
def read_entries(
    request: Request,
    session: ReadingSession,
    code: Annotated[str, Path(max_length=40, description="The code, in any case, with or without spaces.")],
    query: Annotated[EntriesQuery, InQuery()],
) -> dict[str, Any]:
    """All published entries of one kind about an entity, the newest first."""
    known = entities.get(session, code).code
    found = publication.of_entity(session, known, query.kind, before=query.cursor, limit=query.limit)
    return {
        "items": list(map(entry_item, found)),
        "total": publication.counts(session, known).get(query.kind, 0),
        "next": str(found[-1].seq) if len(found) == query.limit else None,
    }


# ---- changes --------------------------------------------------------------------------------------------------------


class ChangesQuery(Query):
    after: int = Field(
        -1, ge=-1, le=MOST_SEQ, description="`seq` of the last step that you have; left out: from the beginning."
    )
    limit: int = Field(100, ge=1, le=1_000)
    kind: KindName | None = Field(None, description="Only this kind, and withdrawals of it.")


class ChangePage(BaseModel):
    items: list[ChangeItem]
    total: int = Field(description="Steps in the whole ledger, those that are not public included.")
    next: str | None = Field(description="What to send as `after` for the next page; null at the end.")


@router.get("/changes", response_model=ChangePage, tags=["Ledger"])
@door(who="anyone", limit="300/minute")
def read_changes(
    request: Request, session: ReadingSession, query: Annotated[ChangesQuery, InQuery()]
) -> Mapping[str, Any] | Response:
    """What changed, in the ledger's order. `Accept: application/x-ndjson` gives one step a line."""
    wanted = (query.kind,) if query.kind else ()
    found, after = publication.changes(session, after=query.after, limit=query.limit, kinds=wanted)
    items = list(map(change_item, found))
    if "application/x-ndjson" in request.headers.get("accept", ""):
        lines = "".join(ChangeItem.model_validate(one).model_dump_json() + "\n" for one in items)
        headers = {"Link": f'</api/v1/changes?after={after}>; rel="next"'} if after is not None else {}
        return Response(lines, media_type="application/x-ndjson", headers=headers)
    return {"items": items, "total": ledger.size(session), "next": str(after) if after is not None else None}


# ---- proofs ---------------------------------------------------------------------------------------------------------


class NotInLedger(PortalError):
    status = 422
    slug = "not-in-ledger"
    title = "The ledger has no such entry, or not so many entries."
    remedy = "Ask for /api/v1/ledger/head first; numbers begin with 0 and end below its size."


class LedgerHead(BaseModel):
    """The ledger at one moment, signed (C2SP checkpoint)."""

    size: int
    root: str = Field(description="Merkle tree hash (RFC 6962) over the leaves, hexadecimal.")
    checkpoint: str = Field(description="Origin, size and root in base64, a line each: what is signed.")
    signature: str = Field(description="Ed25519 (RFC 8032) over the checkpoint's bytes, base64.")
    public_key: str = Field(description="Ed25519 public key, base64.")


class Proof(BaseModel):
    path: list[str] = Field(description="Hashes from the leaf upward (RFC 6962), hexadecimal.")
    root: str
    leaf_hash: str | None = Field(None, description="Of the entry, for a proof of inclusion.")


class HeadQuery(Query):
    size: int | None = Field(None, ge=0, le=MOST_SEQ, description="The head when the ledger had so many entries.")


class InclusionQuery(Query):
    seq: int = Field(ge=0, le=MOST_SEQ)
    size: int = Field(ge=1, le=MOST_SEQ)


class ConsistencyQuery(Query):
    first: int = Field(ge=1, le=MOST_SEQ)
    second: int = Field(ge=1, le=MOST_SEQ)


@router.get("/ledger/head", response_model=LedgerHead, tags=["Ledger"])
@door(who="anyone", limit="300/minute")
def read_head(request: Request, session: ReadingSession, query: Annotated[HeadQuery, InQuery()]) -> dict[str, Any]:
    """The ledger's signed head, now or at an earlier size."""
    _head(session, query.size)
    found = signed.head(session, query.size)
    return {**found._asdict(), "root": found.root.hex()}


@router.get("/ledger/inclusion", response_model=Proof, tags=["Ledger"])
@door(who="anyone", limit="300/minute")
def prove_inclusion(
    request: Request, session: ReadingSession, query: Annotated[InclusionQuery, InQuery()]
) -> dict[str, Any]:
    """Proof that an entry is in the ledger."""
    if query.seq >= query.size:
        raise NotInLedger
    head = _head(session, query.size)
    leaf = ledger.read_tile(session, 0, query.seq // 256)[query.seq % 256]
    path = ledger.inclusion(session, query.seq, query.size)
    return {"path": [step.hex() for step in path], "root": head.root.hex(), "leaf_hash": leaf.hex()}


@router.get("/ledger/consistency", response_model=Proof, tags=["Ledger"])
@door(who="anyone", limit="300/minute")
def prove_consistency(
    request: Request, session: ReadingSession, query: Annotated[ConsistencyQuery, InQuery()]
) -> dict[str, Any]:
    """Proof that the ledger of `second` entries begins with that of `first`: nothing was changed or left out."""
    if query.first > query.second:
        raise NotInLedger
    head = _head(session, query.second)
    path = ledger.consistency(session, query.first, query.second)
    return {"path": [step.hex() for step in path], "root": head.root.hex()}


def _head(session: Session, size: int | None) -> ledger.Head:
    try:
        return ledger.head(session, size)
    except ValueError as error:
        raise NotInLedger from error
