"""JSON: how far a consumer has come in the ledger."""

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from opendata import consumers
from opendata.consumers import Standing
from portal.kit import limits, web
from portal.kit.keys import ApiKey, key_with
from portal.kit.limits import door
from portal.kit.shapes import Instant

router = limits.router(tags=["Ledger"])

Holder = Annotated[ApiKey, key_with("changes:acknowledge")]


class Acknowledged(BaseModel):
    """What a consumer says it has dealt with."""

    model_config = ConfigDict(extra="forbid")

    seq: int = Field(ge=-1, le=2**53, description="`seq` of the last change that you have dealt with.")


class HowFar(BaseModel):
    """How far a consumer has come."""

    seq: int | None = Field(description="What was acknowledged last; null: nothing yet.")
    acknowledged_at: Instant | None
    behind: int | None = Field(description="Steps of the ledger since.")
    withdrawals: int = Field(description="Withdrawals among them, counted up to 1,000: delete what they name.")


def _said(standing: Standing) -> HowFar:
    consumer = standing.consumer
    return HowFar(
        seq=consumer.acknowledged_seq, acknowledged_at=consumer.acknowledged_at, behind=standing.behind,
        withdrawals=standing.withdrawals,
    )  # fmt: skip


@router.post("/changes/acknowledge")
@door(who="key", limit="600/minute", body_bytes=1_000)
def acknowledge(request: Request, holder: Holder, session: web.WritingSession, said: Acknowledged) -> HowFar:
    """Say up to which change you have dealt with everything; who falls behind withdrawals is reminded by mail."""
    return _said(consumers.acknowledge(session, holder, said.seq))


@router.get("/changes/acknowledge")
@door(who="key", limit="600/minute")
def how_far(request: Request, holder: Holder, session: web.ReadingSession) -> HowFar:
    """How far you said you have come, and what waits."""
    return _said(consumers.standing_of(session, holder))
