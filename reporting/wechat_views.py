"""The address that a WeChat official account calls. Without an account's keys there is nothing at it."""

from anyio.to_thread import run_sync
from fastapi import Request, Response

from portal.kit import db, i18n, limits
from portal.kit.errors import NotFound
from portal.kit.limits import door
from reporting import wechat
from reporting.wechat import Account, CallRefused

router = limits.router(include_in_schema=False)


def _account() -> Account:
    found = wechat.account()
    if found is None:
        raise NotFound
    return found


@router.get("/wechat")
@door(who="anyone", limit="60/minute")
def verify(request: Request) -> Response:
    """WeChat asks once whether this address is ours, when it is entered in the account's console."""
    account, asked = _account(), request.query_params
    timestamp, nonce, echo = (asked.get(name, "")[:1_000] for name in ("timestamp", "nonce", "echostr"))
    if "msg_signature" in asked:
        wechat.check(account, asked["msg_signature"], timestamp, nonce, echo)
        return Response(wechat.opened(account, echo), media_type="text/plain")
    wechat.check(account, asked.get("signature", ""), timestamp, nonce)
    return Response(echo, media_type="text/plain")


@router.post("/wechat")
@door(who="anyone", limit="1200/minute", body_bytes=wechat.LONGEST)
async def receive(request: Request) -> Response:
    """Answer a message. All of WeChat's calls come from a few addresses, so the limit is wide."""
    body = await request.body()
    return await run_sync(_answered, request, body)


def _answered(request: Request, body: bytes) -> Response:
    account, asked = _account(), request.query_params
    encrypted = wechat.read(body).get("Encrypt", "")
    if asked.get("encrypt_type") != "aes" or not encrypted:
        raise CallRefused
    wechat.check(
        account, asked.get("msg_signature", ""), asked.get("timestamp", ""), asked.get("nonce", "")[:200], encrypted
    )
    message = wechat.read(wechat.opened(account, encrypted))
    with i18n.speaking("zh"), db.writing() as session:
        answer = wechat.answer(session, account, message)
    if answer is None:
        return Response("success", media_type="text/plain")
    return Response(answer, media_type="text/xml; charset=utf-8")
