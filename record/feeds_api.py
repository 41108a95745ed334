"""JSON: official data that departments' own systems deliver, over the government network."""

from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portal.kit import i18n, idempotency, keys, limits
from portal.kit.idempotency import Asked
from portal.kit.keys import ApiKey, key_with
from portal.kit.limits import door
from portal.kit.web import WritingSession
from record import feeds, kinds

router = limits.router(tags=["Feeds"], dependencies=[keys.IF_SENT])

FeedName = Literal[
    "permits",
    "penalties",
    "inspections",
    "abnormal-listings",
    "serious-violations",
    "judgment-debtors",
    "commendations",
]
_KIND_OF = {kind.command: kind.name for kind in kinds.FED}
assert set(_KIND_OF) == set(FeedName.__args__)  # type: ignore[attr-defined]
Cell = Annotated[str, Field(max_length=20_000)] | int | None


class FeedItems(BaseModel):
    """Rows of official data: the keys are the columns of the 双公示 data standard, by code or in Chinese."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "CF_XDR_MC": "上海青禾照明电器有限公司", "CF_XDR_SHXYM": "91310199MA1DEMO018",
                            "CF_WSH": "沪市监罚〔2026〕1号", "CF_WFXW": "发布虚假广告", "CF_CFLB": "罚款",
                            "CF_NR": "罚款人民币贰万元整", "CF_NR_FK": "2", "CF_JDRQ": "2026-03-05",
                            "CF_CFJG": "上海市黄浦区市场监督管理局",
                        }
                    ]
                }
            ]
        },
    )  # fmt: skip
    items: list[Annotated[dict[Annotated[str, Field(max_length=100)], Cell], Field(max_length=100)]] = Field(
        min_length=1, max_length=1_000
    )


class RefusedItem(BaseModel):
    index: int = Field(description="Place among the items, from 0.")
    reason: str
    message: str


class FeedAnswer(BaseModel):
    """What became of a delivery. Refused items are not stored; all others are, for good."""

    rows: int
    added: int
    changed: int
    unchanged: int
    rejected: int
    unmatched: int = Field(description="Entries whose party the register does not know yet; joined when it arrives.")
    refused: list[RefusedItem]


@router.post("/feeds/{kind}", response_model=FeedAnswer)
@door(who="key", limit="120/minute", body_bytes=8_000_000)
def take_feed(
    request: Request,
    kind: FeedName,
    body: FeedItems,
    *,
    holder: Annotated[ApiKey, key_with("feeds:{kind}")],
    asked: Asked,
    session: WritingSession,
) -> Response:
    """Official data from a department's own system, up to 1,000 items. Sending the same again changes nothing."""

    def work() -> Response:
        summary = feeds.take(session, _KIND_OF[kind], body.items, holder.owner)
        language = 1 if i18n.current() == "en" else 0
        refused = [
            RefusedItem(index=index, reason=reason, message=feeds.REASONS[reason][language])
            for index, reason in summary.refused
        ]
        counts = {name: getattr(summary, name) for name in FeedAnswer.model_fields if name != "refused"}
        answer = FeedAnswer(**counts, refused=refused)
        return Response(answer.model_dump_json(), media_type="application/json")

    return idempotency.once(session, asked, owner=holder.owner, work=work)
