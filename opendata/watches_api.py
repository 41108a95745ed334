"""JSON: watches, by which programs are told of the entities on a list of theirs."""

from typing import Annotated, Literal

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portal.kit import limits, web
from portal.kit.keys import ApiKey, key_with
from portal.kit.limits import door
from portal.kit.shapes import Instant
from record import watches
from record.api import KindName
from record.watches import Watch

router = limits.router(tags=["Watches"])

Holder = Annotated[ApiKey, key_with("watches:write")]
Name = Annotated[str, Path(pattern=r"^watch-[0-9a-f]{24}$")]
Code = Annotated[str, Field(pattern=r"^[0-9A-Z]{15,18}$")]


class Codes(BaseModel):
    """The entities of a watch."""

    model_config = ConfigDict(extra="forbid")

    codes: list[Code] = Field(
        min_length=1, max_length=watches.MOST_CODES,
        description="Credit codes; one that nobody bears yet is watched too.",
    )  # fmt: skip


class NewWatch(Codes):
    """A watch that is asked for."""

    url: str = Field(max_length=500, description="Where deliveries go: https, and no private address.")
    kinds: list[KindName] = Field(default=[], max_length=20, description="Only these kinds, and withdrawals of them.")


class WatchItem(BaseModel):
    """A watch and how far it has come."""

    id: str
    host: str = Field(description="Where deliveries go; the rest of the address may be your secret.")
    kinds: list[str]
    codes: int = Field(description="How many entities it watches.")
    state: Literal["active", "paused", "dead"] = Field(
        description="`dead`: given up after failures, or because the receiver said 410, until it is resumed."
    )
    cursor: int = Field(description="Last step of the ledger that was delivered or did not concern it.")
    behind: int = Field(description="Steps of the ledger since, most of which will not concern it.")
    tries: int = Field(description="Failed attempts at the step that is next.")
    last_error: str | None
    last_delivered_at: Instant | None


class MadeWatch(WatchItem):
    """A watch that was just made."""

    secret: str = Field(description="What deliveries are signed with (Standard Webhooks); shown this once.")


class WatchList(BaseModel):
    items: list[WatchItem]
    total: int
    next: None = None


def _item(watch: Watch) -> dict[str, object]:
    from record import subscriptions

    kept = watch.subscription
    return {
        "id": watch.id, "host": subscriptions.host(kept), "kinds": kept.kinds, "codes": watch.codes,
        "state": kept.state, "cursor": kept.cursor, "behind": watch.behind, "tries": kept.tries,
        "last_error": kept.last_error, "last_delivered_at": kept.last_delivered_at,
    }  # fmt: skip


@router.post("/watches", status_code=201, response_model=MadeWatch)
@door(who="key", limit="30/minute", body_bytes=400_000)
def make(request: Request, holder: Holder, session: web.WritingSession, asked: NewWatch) -> dict[str, object]:
    """Be told by signed webhooks when something about one of these entities is published, corrected or withdrawn."""
    made, secret = watches.add(session, owner=holder.owner, url=asked.url, codes=asked.codes, kinds=asked.kinds)
    return {**_item(made), "secret": secret}


@router.get("/watches", response_model=WatchList)
@door(who="key", limit="300/minute")
def mine(request: Request, holder: Holder, session: web.ReadingSession) -> dict[str, object]:
    """Your watches."""
    found = [_item(one) for one in watches.of(session, holder.owner)]
    return {"items": found, "total": len(found), "next": None}


@router.get("/watches/{name}", response_model=WatchItem)
@door(who="key", limit="300/minute")
def one(request: Request, holder: Holder, session: web.ReadingSession, name: Name) -> dict[str, object]:
    """One watch and how far it has come."""
    return _item(watches.get(session, holder.owner, name))


@router.put("/watches/{name}/codes", response_model=WatchItem)
@door(who="key", limit="60/minute", body_bytes=400_000)
def change(
    request: Request, holder: Holder, session: web.WritingSession, name: Name, asked: Codes
) -> dict[str, object]:
    """Watch these entities from now on and no others."""
    return _item(watches.watch_instead(session, holder.owner, name, asked.codes))


@router.post("/watches/{name}/resume", response_model=WatchItem)
@door(who="key", limit="60/minute", body_bytes=1_000)
def resume(request: Request, holder: Holder, session: web.WritingSession, name: Name) -> dict[str, object]:
    """Go on at once from where deliveries stopped."""
    return _item(watches.resume(session, holder.owner, name))


@router.delete("/watches/{name}", status_code=204)
@door(who="key", limit="60/minute")
def remove(request: Request, holder: Holder, session: web.WritingSession, name: Name) -> Response:
    """End a watch."""
    watches.remove(session, holder.owner, name)
    return Response(status_code=204)
