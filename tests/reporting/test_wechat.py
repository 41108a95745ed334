"""WeChat's callback: only calls that are encrypted for this account, fresh and new, and nothing told through a chat."""

import base64
import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import structlog
import time_machine
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import ValidationError
from sqlalchemy import select

from portal.app import create_app
from portal.kit import db, web
from portal.kit.db import Base
from portal.kit.settings import get_settings
from record.models import Entity
from reporting import floods, wechat
from tests.conftest import use_settings

TOKEN, APP_ID, SENDER = "probe-token", "wx1234567890abcdef", "openid-8848"
KEY = base64.b64encode(os.urandom(32)).decode().rstrip("=")


# ---- WeChat's side, written from its documentation -----------------------------------------------------------------


def encrypt(content: bytes, *, app_id: str = APP_ID, pad: int | None = None, size: int | None = None) -> str:
    key = base64.b64decode(KEY + "=")
    plain = os.urandom(16) + struct.pack(">I", len(content) if size is None else size) + content + app_id.encode()
    amount = 32 - len(plain) % 32
    plain += bytes([amount if pad is None else pad]) * amount
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def decrypt(encrypted: str, key: str = KEY) -> bytes:
    secret = base64.b64decode(key + "=")
    decryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).decryptor()
    plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
    (size,) = struct.unpack(">I", plain[16:20])
    return plain[20 : 20 + size]


def sign(*values: str) -> str:
    return hashlib.sha1("".join(sorted((TOKEN, *values))).encode()).hexdigest()


def message(words: str, number: str = "1", *, at: float | None = None) -> bytes:
    return (
        f"<xml><ToUserName><![CDATA[gh_probe]]></ToUserName><FromUserName><![CDATA[{SENDER}]]></FromUserName>"
        f"<CreateTime>{int(at or time.time())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{words}]]></Content><MsgId>{number}</MsgId></xml>"
    ).encode()


def event(name: str) -> bytes:
    return (
        f"<xml><ToUserName>gh_probe</ToUserName><FromUserName>{SENDER}</FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType>event</MsgType><Event>{name}</Event></xml>"
    ).encode()


def query(encrypted: str, *, at: float | None = None, nonce: str = "1320562132") -> dict[str, str]:
    stamp = str(int(at or time.time()))
    signed = sign(stamp, nonce, encrypted)
    return {"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes", "msg_signature": signed, "openid": SENDER}


def call(client: TestClient, content: bytes, *, nonce: str = "1320562132") -> Response:
    return deliver(client, encrypt(content), nonce=nonce)


def deliver(client: TestClient, encrypted: str, *, at: float | None = None, nonce: str = "1320562132") -> Response:
    body = f"<xml><ToUserName>gh_probe</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return client.post("/wechat", params=query(encrypted, at=at, nonce=nonce), content=body.encode())


def said(answer: Response) -> str:
    """What a person reads in the chat, once the answer's signature and envelope were checked."""
    fields = {one.tag: one.text or "" for one in ElementTree.fromstring(answer.content)}
    assert fields["MsgSignature"] == sign(fields["TimeStamp"], fields["Nonce"], fields["Encrypt"])
    inner = ElementTree.fromstring(decrypt(fields["Encrypt"]))
    assert (inner.findtext("ToUserName"), inner.findtext("FromUserName")) == (SENDER, "gh_probe")
    words = inner.findtext("Content") or ""
    assert len(words.encode()) <= 2_048
    return words


def portal(patch: pytest.MonkeyPatch, token: str = TOKEN, key: str = KEY, app_id: str = APP_ID) -> TestClient:
    use_settings(patch, wechat_token=token, wechat_aes_key=key, wechat_app_id=app_id, rate_limits_enabled="false")
    return TestClient(create_app(), base_url="http://127.0.0.1:8000")


@pytest.fixture
def account(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A portal with an account, empty."""
    return portal(monkeypatch)


@pytest.fixture
def on_each(database: str, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The same on each database in turn."""
    return portal(monkeypatch)


# ---- who is believed ------------------------------------------------------------------------------------------------


def test_the_console_proves_that_the_address_is_ours(account: TestClient) -> None:
    stamp, echo = str(int(time.time())), encrypt(b"8848")
    asked = {"timestamp": stamp, "nonce": "n", "echostr": echo, "msg_signature": sign(stamp, "n", echo)}
    assert account.get("/wechat", params=asked).text == "8848"
    plain = {"timestamp": stamp, "nonce": "n", "echostr": "8848", "signature": sign(stamp, "n")}
    assert account.get("/wechat", params=plain).text == "8848"
    refused = [{"signature": "0" * 40}, {"signature": ""}, {"nonce": "m"}, {"echostr": "<p>"}, {"timestamp": "1"}]
    assert [account.get("/wechat", params={**plain, **change}).status_code for change in refused] == [403] * 5
    assert account.get("/wechat", params={**asked, "echostr": encrypt(b"1")}).status_code == 403


def test_the_examples_of_wechats_own_documentation_are_understood(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values that Tencent published with its sample programs (2014)."""
    client = portal(monkeypatch, "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7")
    echo = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    asked = {"timestamp": "1409659589", "nonce": "263014780", "echostr": echo}
    with time_machine.travel(1409659590):
        signed = {**asked, "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"}
        assert client.get("/wechat", params=signed).text == "1616140317555161061"

    key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    client = portal(monkeypatch, "spamtest", key, "wx2c2769f8efd9abc2")
    encrypted = (
        "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrX"
        "pbUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzj"
        "lpKn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI"
        "1BD1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
    )
    asked = {"timestamp": "1409735669", "nonce": "1320562132", "encrypt_type": "aes"}
    asked["msg_signature"] = "5d197aaffba7e9b25a30732f161a50dee96bd5fa"
    with time_machine.travel(1409735670):
        answer = client.post("/wechat", params=asked, content=f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode())
    inner = decrypt(ElementTree.fromstring(answer.content).findtext("Encrypt") or "", key).decode()
    assert "<ToUserName><![CDATA[oyORnuP8q7ou2gfYjqLzSIWZf0rs]]></ToUserName>" in inner
    assert "/report" in inner


@pytest.mark.parametrize(
    "change",
    [
        {"msg_signature": "0" * 40},
        {"msg_signature": ""},
        {"msg_signature": "\u4e00" * 40},
        {"nonce": "another"},
        {"encrypt_type": "raw"},
        {"timestamp": "1"},
        {"timestamp": "x"},
        {"timestamp": ""},
    ],
)
def test_a_call_that_is_not_signed_for_this_moment_is_refused(account: TestClient, change: dict[str, str]) -> None:
    encrypted = encrypt(message("x"))
    right, body = query(encrypted), f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
    assert account.post("/wechat", params={**right, **change}, content=body).status_code == 403
    assert account.post("/wechat", params=right, content=body).status_code == 200


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_call_is_refused_though_its_signature_is_right(account: TestClient, minutes: int) -> None:
    then = time.time() + minutes * 60
    assert deliver(account, encrypt(message("x")), at=then).status_code == 403
    assert deliver(account, encrypt(message("x", at=then))).status_code == 403


def test_an_old_call_is_not_made_new_by_exchanging_its_time_and_its_nonce(account: TestClient) -> None:
    with time_machine.travel("2026-11-23T02:00:00Z", tick=False) as moment:
        later = str(int(time.time()) + 86_400)
        encrypted = encrypt(message("x"))
        captured = query(encrypted, nonce=later)
        moment.shift(86_400)
        floods.purge()
        exchanged = {**captured, "timestamp": later, "nonce": captured["timestamp"]}
        body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
        assert account.post("/wechat", params=exchanged, content=body).status_code == 403


@pytest.mark.parametrize(
    "broken",
    [
        lambda: encrypt(message("x"), app_id="wx-of-somebody"),
        lambda: encrypt(message("x"), app_id=""),
        lambda: encrypt(message("x"), pad=99),
        lambda: encrypt(message("x"), pad=0),
        lambda: encrypt(message("x"), size=2**32 - 1),
        lambda: encrypt(message("x"), size=0),
        lambda: encrypt(b"no xml"),
        lambda: encrypt(b'<!DOCTYPE x [<!ENTITY a "aa">]><xml><MsgId>&a;</MsgId></xml>'),
        lambda: encrypt(message("x"))[:-8],
        lambda: base64.b64encode(bytes(16)).decode(),
        lambda: "%%%",
        lambda: "\u4e00",
    ],
)
def test_an_envelope_of_another_account_or_a_broken_one_is_refused(account: TestClient, broken: Any) -> None:
    assert deliver(account, broken()).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Encrypt>&a;</Encrypt></xml>',
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>',
        b'<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd"><xml><Encrypt>x</Encrypt></xml>',
        b"<xml><Encrypt>",
        b"nonsense",
        b"",
        b"<a>" * 6_000,
        b"<xml><Content>plain mode</Content></xml>",
        b"<xml><deeper><Encrypt>x</Encrypt></deeper></xml>",
        b'<?xml version="1.0" encoding="nonsense"?><xml><Encrypt>x</Encrypt></xml>',
        '<?xml version="1.0" encoding="gb18030"?><xml><Encrypt>\u4e00</Encrypt></xml>'.encode("gb18030"),
        "<xml><Encrypt>x</Encrypt></xml>".encode("utf-16"),
    ],
)
def test_xml_with_tricks_and_plain_messages_are_refused(account: TestClient, body: bytes) -> None:
    asked = {"timestamp": str(int(time.time())), "nonce": "n", "encrypt_type": "aes"}
    assert account.post("/wechat", params=asked, content=body).status_code == 403


def test_what_is_too_long_is_refused_unread(account: TestClient) -> None:
    assert account.post("/wechat", content=b"<xml>" + b" " * 30_000).status_code == 413


# ---- once -----------------------------------------------------------------------------------------------------------


def test_a_message_that_is_delivered_again_is_not_answered_again(on_each: TestClient) -> None:
    told = message("x", "77")
    assert "/report" in said(call(on_each, told))
    again = call(on_each, told, nonce="263014780")
    assert (again.status_code, again.text) == (200, "success")
    assert "/report" in said(call(on_each, message("x", "78")))


def test_of_many_deliveries_at_once_one_is_answered(on_each: TestClient) -> None:
    answers: list[str] = []
    calls = [
        threading.Thread(target=lambda n=n: answers.append(call(on_each, message("x", "88"), nonce=f"{n}").text))  # type: ignore[misc]
        for n in range(5)
    ]
    for one in calls:
        one.start()
    for one in calls:
        one.join()
    assert sorted(text == "success" for text in answers) == [False, True, True, True, True]


def test_whoever_begins_to_follow_is_greeted_once_and_other_events_are_left(account: TestClient) -> None:
    assert call(account, event("unsubscribe")).text == "success"
    hello = event("subscribe")
    greeting = said(call(account, hello))
    assert "/report" in greeting
    assert "/report/status" in greeting
    assert call(account, hello).text == "success"


# ---- what is answered -----------------------------------------------------------------------------------------------


def test_a_message_is_answered_with_a_link_to_the_form(account: TestClient) -> None:
    words = said(call(account, message("附近的饭店用地沟油，检验的处理结果是假的，请查询")))
    assert "http://127.0.0.1:8000/report " in words
    assert "地沟油" not in words


@pytest.mark.parametrize(
    "typed",
    [
        "1234567890123456",
        "我的回执 1234 5678 9012 3456",
        "1234-5678-9012-3456, 2026",
        "１２３４　５６７８　９０１２　３４５６",
        "查询1234.5678.9012.3456",
    ],
)
def test_whoever_sends_a_receipt_is_told_never_to(account: TestClient, typed: str) -> None:
    words = said(call(account, message(typed)))
    assert "不要在聊天里发送回执" in words
    assert "/report/status" in words
    assert "5678" not in words


def test_a_number_that_is_no_receipt_is_not_taken_for_one(account: TestClient) -> None:
    for number, typed in enumerate(["13812345678", "913101011324142057", "9131 0101 1324 1420 57"]):
        assert "不要在聊天里发送回执" not in said(call(account, message(typed, str(number))))


@pytest.mark.parametrize("typed", ["查询", "我想查进度", "progress", "Status?"])
def test_who_asks_how_far_it_is_gets_the_page(account: TestClient, typed: str) -> None:
    assert "/report/status" in said(call(account, message(typed)))


def test_who_writes_english_is_answered_in_english(account: TestClient) -> None:
    assert "open this form: http://127.0.0.1:8000/report?lang=en" in said(call(account, message("Report")))


def test_a_code_or_a_whole_name_fills_the_form_in_and_part_of_a_name_does_not(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = portal(monkeypatch)
    with db.reading() as session:
        entity = session.scalars(select(Entity).where(Entity.name.contains("(")).limit(1)).first()
        entity = entity or session.scalars(select(Entity).limit(1)).one()
    spaced = " ".join(entity.code[start : start + 4] for start in range(0, 18, 4))
    for number, typed in enumerate([entity.code, entity.code.lower(), spaced, entity.name, f" {entity.name} "]):
        words = said(call(client, message(typed, str(number))))
        assert f"http://127.0.0.1:8000/report?code={entity.code}" in words
        assert f"/entities/{entity.code}" in words
    for number, typed in enumerate([entity.name[:-1], f"{entity.name}后厨有老鼠", "%", "' or 1=1 --"]):
        assert "code=" not in said(call(client, message(typed, f"x{number}")))


# ---- what is kept ---------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged meanwhile. A logger that has spoken before keeps its old listener, so they are new ones."""
    for module in (web, wechat):
        monkeypatch.setattr(module, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as entries:
        yield entries


def test_neither_words_nor_sender_nor_signature_are_logged_or_stored(on_each: TestClient, logged: list[Any]) -> None:
    encrypted = encrypt(message("后厨有老鼠", "6054768590064713728"))
    deliver(on_each, encrypted)
    deliver(on_each, encrypted, at=1)
    call(on_each, event("subscribe"))
    told = [entry.get("reason") or entry.get("status") for entry in logged if entry["event"] != "refused"]
    assert told == [200, "time", 403, 200]
    with db.reading() as session:
        rows = [str(session.execute(select(table)).all()) for table in Base.metadata.sorted_tables]
    for words in ("老鼠", SENDER, "6054768590064713728", TOKEN, KEY, query(encrypted)["msg_signature"], encrypted):
        assert words not in str(logged)
        assert words not in str(rows)


def test_an_answered_message_is_forgotten_when_it_could_not_come_again(on_each: TestClient) -> None:
    with time_machine.travel("2026-11-23T02:00:00Z", tick=False) as moment:
        call(on_each, message("x"))
        moment.shift(2 * wechat.FRESH)
        assert floods.purge() == 0
        moment.shift(2 * wechat.FRESH)
        assert floods.purge() == 1


# ---- setting it up --------------------------------------------------------------------------------------------------


def test_without_an_account_there_is_nothing_at_the_address(embedded: Path, client: TestClient) -> None:
    assert client.get("/wechat?echostr=1").status_code == 404
    assert client.post("/wechat", content=b"<xml/>").status_code == 404


def test_the_keys_stand_in_no_text(account: TestClient) -> None:
    for text in (repr(get_settings()), repr(wechat.account())):
        assert TOKEN not in text
        assert KEY not in text


@pytest.mark.parametrize("wrong", [{"key": KEY[:-1]}, {"key": f"{KEY[:-1]}!"}, {"app_id": ""}, {"token": ""}])
def test_an_account_that_is_set_up_by_half_stops_the_start_without_telling_its_keys(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        portal(monkeypatch, **wrong)
    assert "PORTAL_WECHAT" in str(refusal.value)
    assert KEY[:-1] not in str(refusal.value)
    assert TOKEN not in str(refusal.value)
