"""The address that a WeChat official account calls. Without an account's keys there is nothing at it."""

import re

from anyio.to_thread import run_sync
from fastapi import Request, Response

from portal.kit import db, i18n, limits
from portal.kit.errors import NotFound
from portal.kit.i18n import gettext
from portal.kit.limits import door
from portal.kit.settings import get_settings
from reporting import wechat
from reporting.wechat import Account, CallRefused, Reply

router = limits.router(include_in_schema=False)

_PLAIN_ECHO = re.compile(r"[\w-]{1,64}", re.ASCII)


def _account() -> Account:
    found = wechat.account()
    if found is None:
        raise NotFound
    return found


def _answer(content: str | bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-store"})


@router.get("/wechat")
@door(who="anyone", limit="60/minute")
def verify(request: Request) -> Response:
    """WeChat asks once whether this address is ours, when it is entered in the account's console."""
    account, asked = _account(), request.query_params
    timestamp, nonce, echo = (asked.get(name, "") for name in ("timestamp", "nonce", "echostr"))
    if "msg_signature" in asked:
        wechat.check(account, asked["msg_signature"], timestamp, nonce, echo)
        return _answer(wechat.opened(account, echo), "text/plain")
    wechat.check(account, asked.get("signature", ""), timestamp, nonce)
    if not _PLAIN_ECHO.fullmatch(echo):  # nothing signs it
        raise CallRefused
    return _answer(echo, "text/plain")


@router.post("/wechat")
@door(who="anyone", limit="6000/minute", body_bytes=wechat.LONGEST)
async def receive(request: Request) -> Response:
    """Answer a message. All of WeChat's calls come from a few addresses, so the limit is wide."""
    body = await request.body()
    return await run_sync(_answered, request, body)


def _answered(request: Request, body: bytes) -> Response:
    account = _account()
    message = wechat.received(account, request.query_params, body)
    with db.writing() as session:
        reply = wechat.reply_to(session, account, message)
    if reply is None:
        return _answer("success", "text/plain")
    with i18n.speaking("en" if reply.english else "zh"):
        return _answer(wechat.enveloped(account, message, _said(reply)), "text/xml")


def _said(reply: Reply) -> str:
    """A reply in words. A chat has no markup: an address stands alone, so that it can be touched."""
    base = get_settings().base_url
    language = "?lang=en" if reply.english else ""
    form, status = f"{base}/report{language}", f"{base}/report/status{language}"
    if reply.about == "receipt":
        return gettext(
            "Never send your receipt through a chat: whoever has it reads the answers. Enter it on this page only:"
            " %(address)s",
            address=status,
        )
    if reply.about == "status":
        return gettext("With your receipt you see here how far it is: %(address)s", address=status)
    if reply.about == "entity":
        return gettext(
            "What is public about %(name)s: %(file)s To report a violation by it, open this form: %(form)s",
            name=reply.name,
            file=f"{base}/entities/{reply.code}",
            form=f"{base}/report?code={reply.code}",
        )
    told = gettext(
        "To report a violation or to complain about a purchase, open this form: %(address)s Do not write here what"
        " happened: this chat is not protected.",
        address=form,
    )
    if reply.about == "greeting":
        return told + "\n" + gettext("With your receipt you see here how far it is: %(address)s", address=status)
    return told
