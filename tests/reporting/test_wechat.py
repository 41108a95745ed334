"""WeChat's callback: only calls that are encrypted for this account, fresh and new, and nothing told through a chat."""

import base64
import hashlib
import os
import struct
import threading
import time
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from fastapi.testclient import TestClient

from portal.app import create_app
from reporting import vault
from tests.conftest import use_settings

TOKEN, APP_ID = "probe-token", "wx1234567890abcdef"
KEY = base64.b64encode(os.urandom(32)).decode().rstrip("=")


# ---- WeChat's side, written from its documentation -----------------------------------------------------------------


def encrypt(content: bytes, *, app_id: str = APP_ID, pad: int | None = None) -> str:
    key = base64.b64decode(KEY + "=")
    plain = os.urandom(16) + struct.pack(">I", len(content)) + content + app_id.encode()
    amount = 32 - len(plain) % 32
    plain += bytes([amount if pad is None else pad]) * amount
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def decrypt(encrypted: str) -> bytes:
    key = base64.b64decode(KEY + "=")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
    (size,) = struct.unpack(">I", plain[16:20])
    return plain[20 : 20 + size]


def sign(*values: str) -> str:
    return hashlib.sha1("".join(sorted((TOKEN, *values))).encode()).hexdigest()


def message(words: str, number: str = "1", kind: str = "text") -> bytes:
    return (
        "<xml><ToUserName><![CDATA[gh_probe]]></ToUserName><FromUserName><![CDATA[openid-8848]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>"
        f"<Content><![CDATA[{words}]]></Content><MsgId>{number}</MsgId></xml>"
    ).encode()


def call(client: TestClient, content: bytes, *, at: int | None = None, nonce: str = "n1", **change: str) -> object:
    encrypted = change.pop("encrypted", None) or encrypt(content)
    stamp = str(at or int(time.time()))
    signed = sign(stamp, nonce, encrypted)
    query = {"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes", "msg_signature": signed, **change}
    body = f"<xml><ToUserName>gh_probe</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return client.post("/wechat", params=query, content=body.encode())


def said(answer: object) -> str:
    """What a person reads in the chat, once the answer's signature and envelope were checked."""
    tree = ElementTree.fromstring(answer.content)  # type: ignore[attr-defined]
    fields = {one.tag: one.text or "" for one in tree}
    assert fields["MsgSignature"] == sign(fields["TimeStamp"], fields["Nonce"], fields["Encrypt"])
    inner = ElementTree.fromstring(decrypt(fields["Encrypt"]))
    assert inner.findtext("ToUserName") == "openid-8848"
    return inner.findtext("Content") or ""


@pytest.fixture
def account(open_vault: str, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    use_settings(monkeypatch, wechat_token=TOKEN, wechat_aes_key=KEY, wechat_app_id=APP_ID, rate_limits_enabled="false")
    return TestClient(create_app(), base_url="http://127.0.0.1:8000")


# ---- the callback ---------------------------------------------------------------------------------------------------


def test_the_console_proves_that_the_address_is_ours(account: TestClient) -> None:
    stamp, echo = str(int(time.time())), encrypt(b"8848")
    query = {"timestamp": stamp, "nonce": "n", "echostr": echo, "msg_signature": sign(stamp, "n", echo)}
    assert account.get("/wechat", params=query).text == "8848"
    plain = {"timestamp": stamp, "nonce": "n", "echostr": "8848", "signature": sign(stamp, "n")}
    assert account.get("/wechat", params=plain).text == "8848"
    assert account.get("/wechat", params={**plain, "signature": "0" * 40}).status_code == 403


def test_a_message_is_answered_with_a_link_to_the_form(account: TestClient) -> None:
    words = said(call(account, message("附近的饭店用地沟油")))
    assert "http://127.0.0.1:8000/report" in words
    assert "地沟油" not in words


@pytest.mark.parametrize("typed", ["1234567890123456", "我的回执 1234 5678 9012 3456", "1234-5678-9012-3456"])
def test_whoever_sends_a_receipt_is_told_never_to(account: TestClient, typed: str) -> None:
    words = said(call(account, message(typed)))
    assert "不要在聊天里发送回执" in words
    assert "/report/status" in words
    assert "5678" not in words


def test_who_asks_how_far_it_is_gets_the_page_and_a_code_fills_the_form_in(account: TestClient) -> None:
    assert "/report/status" in said(call(account, message("查询进度")))


@pytest.mark.parametrize(
    "change",
    [
        {"msg_signature": "0" * 40},
        {"nonce": "another"},
        {"encrypt_type": "raw"},
        {"timestamp": "1"},
        {"timestamp": "x"},
    ],
)
def test_a_call_that_is_not_signed_for_this_moment_is_refused(account: TestClient, change: dict[str, str]) -> None:
    stamp = str(int(time.time()))
    encrypted = encrypt(message("x"))
    query = {"timestamp": stamp, "nonce": "n", "encrypt_type": "aes", "msg_signature": sign(stamp, "n", encrypted)}
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
    assert account.post("/wechat", params={**query, **change}, content=body).status_code == 403
    assert account.post("/wechat", params=query, content=body).status_code == 200


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_call_is_refused_though_its_signature_is_right(account: TestClient, minutes: int) -> None:
    assert call(account, message("x"), at=int(time.time()) + minutes * 60).status_code == 403  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "encrypted",
    [encrypt(message("x"), app_id="wx-of-somebody"), encrypt(message("x"), pad=99), encrypt(message("x"))[:-8], "%%%"],
)
def test_an_envelope_of_another_account_or_a_broken_one_is_refused(account: TestClient, encrypted: str) -> None:
    assert call(account, b"", encrypted=encrypted).status_code == 403  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Encrypt>&a;</Encrypt></xml>',
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>',
        b"<xml><Encrypt>",
        b"nonsense",
        b"<xml><Content>plain mode</Content></xml>",
    ],
)
def test_xml_with_tricks_and_plain_messages_are_refused(account: TestClient, body: bytes) -> None:
    query = {"timestamp": str(int(time.time())), "nonce": "n", "encrypt_type": "aes"}
    assert account.post("/wechat", params=query, content=body).status_code == 403


def test_what_is_too_long_is_refused_unread(account: TestClient) -> None:
    assert account.post("/wechat", content=b"<xml>" + b" " * 30_000).status_code == 413


def test_a_message_that_is_delivered_again_is_not_answered_again(account: TestClient) -> None:
    first = call(account, message("x", "77"))
    again = call(account, message("x", "77"), nonce="n2")
    assert "Encrypt" in first.text  # type: ignore[attr-defined]
    assert again.text == "success"  # type: ignore[attr-defined]


def test_of_many_deliveries_at_once_one_is_answered(account: TestClient) -> None:
    answers: list[str] = []
    calls = [
        threading.Thread(target=lambda n=n: answers.append(call(account, message("x", "88"), nonce=f"n{n}").text))  # type: ignore[attr-defined, misc]
        for n in range(5)
    ]
    for one in calls:
        one.start()
    for one in calls:
        one.join()
    assert sorted(text == "success" for text in answers) == [False, True, True, True, True]


def test_without_an_account_there_is_nothing_at_the_address(open_vault: str, client: TestClient) -> None:
    assert client.get("/wechat?echostr=1").status_code == 404
    assert client.post("/wechat", content=b"<xml/>").status_code == 404


def test_an_event_is_greeted_once_and_others_are_left(account: TestClient) -> None:
    event = message("", "5", "event").replace(b"</xml>", b"<Event>unsubscribe</Event></xml>")
    assert call(account, event).text == "success"  # type: ignore[attr-defined]
    hello = message("", "6", "event").replace(b"</xml>", b"<Event>subscribe</Event></xml>")
    assert "/report" in said(call(account, hello))


def test_the_keys_stand_in_no_text(account: TestClient) -> None:
    from portal.kit.settings import get_settings
    from reporting import wechat

    assert TOKEN not in repr(get_settings())
    assert KEY not in repr(get_settings())
    assert TOKEN not in repr(wechat.account())
    vault.ready()
