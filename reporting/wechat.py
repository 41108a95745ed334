"""The callback of a WeChat official account (微信公众号), in its encrypted mode (安全模式) alone.

    message = received(account, query, body)      # or CallRefused
    reply = reply_to(session, account, message)   # what to answer, if anything
    enveloped(account, message, text)             # as WeChat opens it

A message is answered with a link that opens the form: nothing that somebody tells, and no receipt, travels through a
chat. Neither content nor sender is kept or logged; of a message a keyed hash of its number stays until it would be too
old to be sent again. In which words is answered, `wechat_views` says.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from xml.parsers import expat

import structlog
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from sqlalchemy.orm import Session

from portal.kit.errors import PortalError
from portal.kit.settings import get_settings
from record import codes, entities, names
from reporting import floods

FRESH = timedelta(minutes=5)
"""How far a call's and a message's time may be from ours."""
REMEMBERED = 3 * FRESH
"""How long an answered message is known: longer than from FRESH ahead of us until FRESH behind."""
BLOCK = 32
"""WeChat pads to 32 bytes (PKCS #7)."""
LONGEST = 20_000
"""Bytes of a call."""
_LONGEST_NAME = 200

log = structlog.get_logger()


class CallRefused(PortalError):
    status = 403
    slug = "wechat-call"
    title = "This call does not come from the account that is set up here."
    remedy = "Compare token, key and AppID with the account's console, and use the encrypted mode."


def _refused(reason: str) -> CallRefused:
    """The refusal, which tells the caller nothing more; why stands in the log, for whoever sets the account up."""
    log.info("wechat.refused", reason=reason)
    return CallRefused()


@dataclass(frozen=True, slots=True)
class Account:
    """What the account's console shows."""

    token: str
    key: bytes
    """AES-256, from the 43 characters of EncodingAESKey."""
    app_id: str

    def __repr__(self) -> str:
        return "Account()"


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wrote or did in the chat."""

    sender: str
    """The person's OpenID."""
    receiver: str
    """The account's own name, gh_…"""
    number: str
    """The same however often it is delivered."""
    kind: str
    """text, image, voice, …, or event."""
    event: str
    words: str

    def __repr__(self) -> str:
        return "Message()"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a message is answered with."""

    about: Literal["greeting", "form", "entity", "status", "receipt"]
    english: bool = False
    code: str = ""
    name: str = ""


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
    if not hmac.compare_digest(signature(account, timestamp, nonce, *more).encode(), signed.encode()):
        raise _refused("signature")
    if not _fresh(timestamp):
        raise _refused("time")


def _fresh(timestamp: str) -> bool:
    """Whether these seconds since 1970 are now."""
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12
    return digits and abs(time.time() - int(timestamp)) <= FRESH.total_seconds()


def opened(account: Account, encrypted: str) -> bytes:
    """What was encrypted for this account: 16 random bytes, the length, so much content, the AppID, padding.

    Raises CallRefused.
    """
    try:
        sealed = base64.b64decode(encrypted, validate=True)
        decryptor = Cipher(algorithms.AES(account.key), modes.CBC(account.key[:16])).decryptor()
        plain = decryptor.update(sealed) + decryptor.finalize()
        padding = plain[-1]
        if not 1 <= padding <= BLOCK or plain[-padding:] != bytes([padding]) * padding:
            raise _refused("envelope")
        (size,) = struct.unpack("!L", plain[16:20])
        content, app_id = plain[20 : 20 + size], plain[20 + size : -padding]
    except (ValueError, IndexError, struct.error) as error:
        raise _refused("envelope") from error
    if not hmac.compare_digest(app_id, account.app_id.encode()):
        raise _refused("app_id")
    return content


def _sealed(account: Account, content: bytes) -> str:
    plain = secrets.token_bytes(16) + struct.pack("!L", len(content)) + content + account.app_id.encode()
    padding = BLOCK - len(plain) % BLOCK
    encryptor = Cipher(algorithms.AES(account.key), modes.CBC(account.key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()).decode()


def _fields(xml: bytes) -> dict[str, str]:
    """The fields of a message: one level of elements. Raises CallRefused for anything else, a DOCTYPE included."""
    if len(xml) > LONGEST:
        raise _refused("xml")
    found: dict[str, str] = {}
    path: list[str] = []

    def refuse(*_: object) -> None:
        raise _refused("doctype")

    def end(_: str) -> None:
        path.pop()

    def text(data: str) -> None:
        if len(path) == 2:
            found[path[1]] = found.get(path[1], "") + data

    parser = expat.ParserCreate("utf-8")  # whatever encoding the document claims: expat asks Python for others
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: path.append(name)
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise _refused("xml") from error
    return found


# ---- receiving and answering ----------------------------------------------------------------------------------------


def received(account: Account, query: Mapping[str, str], body: bytes) -> Message:
    """The message in a call, whose address ends in `query`. Raises CallRefused.

    The signature is over values that are joined without a mark between them: an old call whose nonce looks like a time
    could be sent again with the two exchanged. So the time within the envelope has to be fresh as well.
    """
    encrypted = _fields(body).get("Encrypt", "")
    if not encrypted or query.get("encrypt_type") != "aes":
        raise _refused("plain")
    check(account, query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""), encrypted)
    fields = _fields(opened(account, encrypted))
    sender, moment, event = (fields.get(name, "") for name in ("FromUserName", "CreateTime", "Event"))
    if not _fresh(moment):
        raise _refused("time")
    number = fields.get("MsgId") or f"{sender} {moment} {event}"
    words = fields.get("Content", "").strip()
    return Message(sender, fields.get("ToUserName", ""), number, fields.get("MsgType", ""), event, words)


def reply_to(session: Session, account: Account, message: Message) -> Reply | None:
    """What this message is answered with; None for one that was answered before, or needs no answer."""
    number = hmac.digest(account.key, message.number.encode(), "sha256").hex()
    if not floods.spend(session, f"wechat {number}", REMEMBERED):
        return None
    if message.kind == "event":
        return Reply("greeting") if message.event == "subscribe" else None
    return _reply(session, message.words)


_NUMBER_OF_A_RECEIPT = re.compile(r"(?<!\d)\d(?:[\W_]{0,3}\d){15}(?!\d)")
_OF_STATUS = re.compile(r"查询|查进度|进度|进展|回执|处理结果")
_ENGLISH = {"report": "form", "complaint": "form", "status": "status", "progress": "status", "receipt": "status"}
_GREETINGS = {"hello", "hi", "help", "english"}
_LONGEST_QUESTION = 20
"""Characters. What is longer tells of something, whichever words it uses."""


def _reply(session: Session, words: str) -> Reply:
    found = _entity(session, words)
    if found:
        return Reply("entity", code=found[0], name=found[1])
    typed = unicodedata.normalize("NFKC", words)
    if _NUMBER_OF_A_RECEIPT.search(typed) and codes.normalise(words) is None:
        return Reply("receipt")
    word = typed.lower().strip(" .!?")
    if word in _GREETINGS:
        return Reply("greeting", english=True)
    if word in _ENGLISH:
        return Reply("status" if _ENGLISH[word] == "status" else "form", english=True)
    if len(typed) <= _LONGEST_QUESTION and _OF_STATUS.search(typed):
        return Reply("status")
    return Reply("form")


def _entity(session: Session, words: str) -> tuple[str, str] | None:
    """Code and name of the entity whose code or whole name this is, if there is exactly one."""
    if not words or len(words) > _LONGEST_NAME:
        return None
    key = names.fold(words)
    code = codes.normalise(words) or entities.sole_bearers(session, [key]).get(key)
    found = entities.by_codes(session, [code]) if code else []
    return (found[0].code, found[0].name) if found else None


def enveloped(account: Account, message: Message, text: str) -> str:
    """The encrypted and signed answer to a message. WeChat shows 2,048 bytes of text at most."""
    now = str(int(time.time()))
    answer = (
        f"<xml><ToUserName>{_cdata(message.sender)}</ToUserName><FromUserName>{_cdata(message.receiver)}</FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType>{_cdata('text')}</MsgType><Content>{_cdata(text)}</Content></xml>"
    )
    encrypted, nonce = _sealed(account, answer.encode()), secrets.token_hex(8)
    return (
        f"<xml><Encrypt>{_cdata(encrypted)}</Encrypt>"
        f"<MsgSignature>{_cdata(signature(account, now, nonce, encrypted))}</MsgSignature>"
        f"<TimeStamp>{now}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
    )


def _cdata(text: str) -> str:
    """As WeChat writes every text itself."""
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"
