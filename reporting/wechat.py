"""The callback of a WeChat official account (微信公众号), in its encrypted mode alone.

A message is answered with a link that opens the form: nothing that somebody tells, and no receipt, travels through a
chat. Neither content nor sender is kept or logged.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
import time
from dataclasses import dataclass
from datetime import timedelta
from xml.parsers import expat
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from sqlalchemy.orm import Session

from portal.kit.errors import PortalError
from portal.kit.i18n import gettext
from portal.kit.settings import get_settings
from record import entities
from record.entities import EntityNotFound
from reporting import floods

FRESH = timedelta(minutes=5)
BLOCK = 32
"""WeChat pads to 32 bytes (PKCS #7)."""
LONGEST = 20_000


class CallRefused(PortalError):
    status = 403
    slug = "wechat-call"
    title = "This call does not come from the account that is set up here."
    remedy = "Compare token, key and AppID with the account's console, and use the encrypted mode."


@dataclass(frozen=True, slots=True)
class Account:
    """What the account's console shows."""

    token: str
    key: bytes
    """AES-256, from the 43 characters of EncodingAESKey."""
    app_id: str

    def __repr__(self) -> str:
        return "Account()"


def account() -> Account | None:
    """The account that is set up, if any."""
    settings = get_settings()
    if not (settings.wechat_token and settings.wechat_aes_key and settings.wechat_app_id):
        return None
    key = base64.b64decode(settings.wechat_aes_key.get_secret_value() + "=")
    return Account(settings.wechat_token.get_secret_value(), key, settings.wechat_app_id)


# ---- envelopes ------------------------------------------------------------------------------------------------------


def signature(account: Account, timestamp: str, nonce: str, *more: str) -> str:
    """SHA-1 over the sorted values, as WeChat signs."""
    return hashlib.sha1("".join(sorted((account.token, timestamp, nonce, *more))).encode()).hexdigest()  # noqa: S324 theirs


def check(account: Account, signed: str, timestamp: str, nonce: str, *more: str) -> None:
    """Raises CallRefused for a wrong signature, or one that is not fresh."""
    right = hmac.compare_digest(signature(account, timestamp, nonce, *more).encode(), signed.encode())
    fresh = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12
    if not right or not fresh or abs(time.time() - int(timestamp)) > FRESH.total_seconds():
        raise CallRefused


def opened(account: Account, encrypted: str) -> bytes:
    """What was encrypted for this account. Raises CallRefused."""
    try:
        sealed = base64.b64decode(encrypted, validate=True)
        decryptor = Cipher(algorithms.AES(account.key), modes.CBC(account.key[:16])).decryptor()
        plain = decryptor.update(sealed) + decryptor.finalize()
        padding = plain[-1]
        if not 1 <= padding <= BLOCK or plain[-padding:] != bytes([padding]) * padding:
            raise CallRefused
        (size,) = struct.unpack("!L", plain[16:20])
        content, app_id = plain[20 : 20 + size], plain[20 + size : -padding]
    except (ValueError, IndexError, struct.error) as error:
        raise CallRefused from error
    if not hmac.compare_digest(app_id, account.app_id.encode()):
        raise CallRefused
    return content


def sealed(account: Account, content: bytes) -> str:
    """A message as WeChat opens it."""
    plain = secrets.token_bytes(16) + struct.pack("!L", len(content)) + content + account.app_id.encode()
    padding = BLOCK - len(plain) % BLOCK
    encryptor = Cipher(algorithms.AES(account.key), modes.CBC(account.key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()).decode()


def read(xml: bytes) -> dict[str, str]:
    """The fields of a message: one level of elements. Raises CallRefused for anything else, a DOCTYPE included."""
    if len(xml) > LONGEST:
        raise CallRefused
    found: dict[str, str] = {}
    path: list[str] = []

    def refuse(*_: object) -> None:
        raise CallRefused

    def end(_: str) -> None:
        path.pop()

    def text(data: str) -> None:
        if len(path) == 2:
            found[path[1]] = found.get(path[1], "") + data

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: path.append(name)
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise CallRefused from error
    return found


# ---- answering ------------------------------------------------------------------------------------------------------


def answer(session: Session, account: Account, message: dict[str, str]) -> str | None:
    """The encrypted answer to a message; None for one that was answered before, or needs no answer.

    Comes with a writing session: each message is answered once, however often it is delivered.
    """
    number = message.get("MsgId") or f"{message.get('FromUserName')}{message.get('CreateTime')}{message.get('Event')}"
    if not floods.spend(session, f"wechat {number}", 2 * FRESH):
        return None
    if message.get("MsgType") == "event" and message.get("Event") != "subscribe":
        return None
    words = message.get("Content", "").strip()
    reply = (
        f"<xml><ToUserName>{escape(message.get('FromUserName', ''))}</ToUserName>"
        f"<FromUserName>{escape(message.get('ToUserName', ''))}</FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType>text</MsgType>"
        f"<Content>{escape(_said(session, words))}</Content></xml>"
    )
    encrypted, timestamp, nonce = sealed(account, reply.encode()), str(int(time.time())), secrets.token_hex(8)
    return (
        f"<xml><Encrypt>{encrypted}</Encrypt>"
        f"<MsgSignature>{signature(account, timestamp, nonce, encrypted)}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{nonce}</Nonce></xml>"
    )


def _said(session: Session, words: str) -> str:
    base = get_settings().base_url
    status = f"{base}/report/status"
    if re.search(r"(?:\d[\s-]?){16}", words) and not _code(session, words):
        return gettext(
            "Never send your receipt through a chat: whoever has it reads the answers. Enter it on this page only:"
            " %(address)s",
            address=status,
        )
    if any(word in words for word in ("查询", "进度", "回执", "结果")):
        return gettext("With your receipt you see here how far it is: %(address)s", address=status)
    code = _code(session, words)
    return gettext(
        "To report a violation or to complain about a purchase, open this form: %(address)s Do not write here what"
        " happened: this chat is not protected.",
        address=f"{base}/report?code={code}" if code else f"{base}/report",
    )


def _code(session: Session, words: str) -> str | None:
    try:
        return entities.get(session, words).code if 15 <= len(words) <= 18 else None
    except EntityNotFound:
        return None
