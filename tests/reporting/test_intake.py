"""Telling of something: by the pages without JavaScript, and by the API; what is refused, and what comes back."""

import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from portal.kit import db, jobs, limits
from record.models import Entity
from reporting import files, vault
from reporting.models import Tip, TipCase, TipFile
from tests.reporting.telling import DEVICE, SAID, digits, hidden, preview, status, tell, tell_by_api, words

pytestmark = pytest.mark.usefixtures("unlimited")


def counted(table: type[Tip | TipCase | TipFile]) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_question_comes_first_and_both_ways_lead_to_their_form(open_vault: str, client: TestClient) -> None:
    start = client.get("/report").text
    assert {"/report/new?kind=report", "/report/new?kind=complaint"} <= set(re.findall(r'href="([^"]+)"', start))
    assert "投诉本人的消费纠纷" in client.get("/report/new?kind=complaint").text


def test_a_receipt_opens_what_was_told_and_is_shown_once(open_vault: str, client: TestClient, photo: bytes) -> None:
    seen = preview(client, files=[("后厨.jpg", photo)], place="桂林路100号")
    assert SAID in seen.text
    assert "后厨.jpg" in seen.text
    assert DEVICE in seen.text, "the reporter is shown what the photo would have told"
    assert seen.headers["cache-control"] == "no-store"
    sent = client.post("/report/send", data=hidden(seen.text))
    receipt = digits(sent.text)
    assert len(receipt) == 16
    assert sent.headers["cache-control"] == "no-store"
    assert receipt not in str(sent.headers)
    page = client.post("/report/status", data={"receipt": receipt})
    assert "已收到" in page.text
    assert receipt not in page.text
    assert "第十八条" in page.text, "the reporter sees the clock with its article"


def test_the_same_form_sent_again_gives_the_same_receipt_and_no_second_case(
    open_vault: str, client: TestClient
) -> None:
    form = hidden(preview(client).text)
    first, second = (client.post("/report/send", data=form).text for _ in range(2))
    assert digits(first) == digits(second)
    assert "此前已经收到" in second
    assert counted(Tip) == counted(TipCase) == 1


def test_the_preview_leads_back_to_the_form_with_everything_in_it(
    open_vault: str, client: TestClient, photo: bytes
) -> None:
    seen = hidden(preview(client, files=[("a.jpg", photo)], place="桂林路").text)
    again = client.post("/report/edit", data=seen).text
    assert SAID in again
    assert "a.jpg" in again
    assert 'value="桂林路"' in again
    without = client.post(
        "/report/preview", data={**hidden(again), "service": "food", "description": SAID, "without1": "1"}
    )
    assert "a.jpg" not in without.text
    assert counted(TipFile) == 0, "a file that was taken out is forgotten"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"description": "太短"}, "至少10个字"),
        ({"description": "长" * 4_001}, "最多4000个字"),
        ({"service": "nonsense"}, "请选择事项"),
        ({"district": "999999"}, "请选择列表中的区"),
        ({"happened_on": "2099-01-01"}, "还没有到"),
        ({"happened_on": "昨天"}, "年-月-日"),
        ({"named": "yes"}, "请填写姓名"),
        ({"named": "yes", "name": "王", "phone": "abc"}, "电话请用数字"),
        ({"named": "yes", "name": "王", "email": "wang"}, "请完整填写邮箱"),
        ({"word": "短"}, "4至40个字"),
        ({"description": "我的回执是 1234 5678 9012 3456 请查"}, "回执号码"),
        ({"place": "桂" * 301}, "最多300个字"),
        ({"description": "有\x00控制符号在里面的一段文字"}, "无法显示的字符"),
    ],
)
def test_what_cannot_be_used_is_said_where_it_stands_and_nothing_is_lost(
    embedded: object, client: TestClient, fields: dict[str, str], sentence: str
) -> None:
    vault.ready()
    answer = preview(client, **{"place": "原来写的地点", **fields})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert fields.get("place", "原来写的地点") in answer.text
    assert counted(Tip) == 0


def test_a_complaint_needs_a_name_and_both_answers(open_vault: str, client: TestClient) -> None:
    lacking = preview(client, kind="complaint", service="consumer")
    assert lacking.status_code == 422
    for sentence in ("请填写姓名", "电话和邮箱", "法定表格要求填写"):
        assert sentence in lacking.text
    receipt = tell(
        client, kind="complaint", service="consumer", name="王小明", phone="13800000000", publish="no", mediation="yes"
    )
    assert status(client, receipt)["status"] == "received"


def test_an_entity_is_chosen_by_its_reporter_and_never_guessed(filled: str, client: TestClient) -> None:
    with db.reading() as session:
        entity = session.scalars(select(Entity).limit(1)).one()
    seen = preview(client, entity=entity.name)
    assert f'value="{entity.code}"' in seen.text
    form = hidden(seen.text)
    client.post("/report/send", data={**form, "entity_code": "none"})
    other = hidden(preview(client, entity=entity.name).text)
    client.post("/report/send", data={**other, "entity_code": entity.code})
    with db.reading() as session:
        cases = list(session.scalars(select(TipCase).order_by(TipCase.id)))
    assert [case.entity_code for case in cases] == [None, entity.code]
    assert cases[1].district == entity.district


def test_a_qr_code_at_the_door_fills_the_entity_in(filled: str, client: TestClient) -> None:
    with db.reading() as session:
        entity = session.scalars(select(Entity).limit(1)).one()
    sign = client.get(f"/report/sign?code={entity.code}").text
    assert f"/report?code={entity.code}" in sign
    start = client.get(f"/report?code={entity.code}").text
    assert entity.name in start
    assert f"/report/new?kind=report&amp;code={entity.code}" in start or f"code={entity.code}" in start
    form = client.get(f"/report/new?kind=report&code={entity.code}").text
    assert entity.name in form


def test_a_code_that_nobody_has_is_refused_by_name(open_vault: str, client: TestClient) -> None:
    answer = client.post(
        "/api/v1/tips", json={"kind": "report", "description": SAID, "entity_code": "91310199MA1NOBODY0"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "entity_code"
    assert counted(Tip) == 0


def test_programs_tell_with_files_and_read_answers(open_vault: str, client: TestClient, photo: bytes) -> None:
    form = {"kind": "complaint", "description": SAID, "reporter": '{"name": "王", "phone": "13800000000"}'}
    form |= {"consent_to_publish": "true", "consent_to_mediation": "false"}
    answer = client.post("/api/v1/tips", data=form, files=[("files", ("a.jpg", photo))])
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["status_url"] == "/report/status"
    assert "place" in told["files"][0]["removed"]
    assert (
        client.post("/api/v1/tips/messages", json={"receipt": told["receipt"], "text": "补充一句"}).status_code == 201
    )
    found = status(client, told["receipt"])
    assert [(one["by"], one["text"]) for one in found["messages"]] == [("reporter", "补充一句")]
    assert found["clocks"][0]["duty"] == "accept"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"kind": "report"}, 422),
        ({"kind": "gossip", "description": SAID}, 422),
        ({"kind": "report", "description": SAID, "unknown": 1}, 422),
        ({"kind": "complaint", "description": SAID}, 422),
        ({"kind": "report", "description": SAID, "reporter": {"phone": "1"}}, 422),
        ({"kind": "report", "description": SAID, "happened_on": "2026-13-01"}, 422),
    ],
)
def test_a_program_is_told_which_field_is_wrong(
    embedded: object, client: TestClient, body: dict[str, object], wanted: int
) -> None:
    vault.ready()
    answer = client.post("/api/v1/tips", json=body)
    assert answer.status_code == wanted
    assert answer.json()["errors"]
    assert answer.json()["remedy"]


def test_a_body_of_another_kind_is_refused(embedded: object, client: TestClient) -> None:
    assert client.post("/api/v1/tips", content=b"a=1", headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post("/api/v1/tips", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_files_that_waited_too_long_are_asked_for_again_and_words_are_kept(
    open_vault: str, client: TestClient, photo: bytes
) -> None:
    form = hidden(preview(client, files=[("a.jpg", photo)]).text)
    files.unstage(form["file1"])
    answer = client.post("/report/send", data=form)
    assert answer.status_code == 410
    assert SAID in answer.text
    again = client.post("/report/send", data=hidden(answer.text))
    assert len(digits(again.text)) == 16


def test_nobody_takes_files_that_wait_for_somebody_elses_form(
    open_vault: str, client: TestClient, photo: bytes
) -> None:
    mine = hidden(preview(client, files=[("a.jpg", photo)]).text)
    client.post("/report/send", data=mine)
    theirs = hidden(preview(client).text)
    answer = client.post("/report/send", data={**theirs, "file1": mine["file1"], "filename1": "b.jpg"})
    assert answer.status_code == 410
    assert counted(Tip) == 1


def test_files_of_forms_that_were_never_sent_are_forgotten(
    open_vault: str, client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview(client, files=[("a.jpg", photo)])
    assert files.purge() == 0
    monkeypatch.setattr(files, "STAGED_KEPT", files.STAGED_KEPT * -1)
    assert files.purge() == 1
    jobs.drain()
    from portal.kit import storage

    assert list(storage.keys("tips/")) == []


def test_another_sites_page_cannot_send_in_somebodys_name(open_vault: str, client: TestClient) -> None:
    form = hidden(preview(client).text)
    for path in ("/report/send", "/report/preview", "/report/status", "/report/status/message"):
        answer = client.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
    assert counted(Tip) == 0


def test_without_keys_nothing_is_taken_and_the_sentence_says_so(embedded: object, client: TestClient) -> None:
    answer = client.post("/api/v1/tips", json={"kind": "report", "description": SAID})
    assert answer.status_code == 503
    assert "12345" in answer.json()["remedy"]
    assert counted(Tip) == 0


def test_receipts_that_are_none_or_nobodys_are_refused_alike_politely(open_vault: str, client: TestClient) -> None:
    for typed, wanted in (("12", 422), ("1" * 16, 404), ("", 422)):
        page = client.post("/report/status", data={"receipt": typed})
        assert page.status_code == wanted
        assert "notice bad" in page.text
    assert client.get("/report/status?receipt=1234567890123456").status_code == 200, "an address holds no receipt"


def test_evidence_is_added_behind_the_receipt(open_vault: str, client: TestClient, photo: bytes) -> None:
    receipt = tell(client)
    page = client.post("/report/status", data={"receipt": receipt})
    more = client.post(
        "/report/status/message",
        data={**hidden(page.text), "text": "今天又看见了"},
        files=[("files", ("c.jpg", photo))],
    )
    assert "今天又看见了" in more.text
    assert DEVICE in more.text
    refused = client.post(
        "/report/status/message",
        data={**hidden(more.text), "text": "还有这个"},
        files=[("files", ("c.exe", b"MZ" * 99))],
    )
    assert "不接收这种后缀" in refused.text
    assert "还有这个" in refused.text, "what was written is still there"


def test_a_page_that_was_open_too_long_asks_for_the_receipt_and_keeps_the_words(
    open_vault: str, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reporting import talk

    receipt = tell(client)
    monkeypatch.setattr(talk, "PASS_HOLDS", talk.PASS_HOLDS * -1)
    page = client.post("/report/status", data={"receipt": receipt})
    late = client.post("/report/status/message", data={**hidden(page.text), "text": "我写了很久"})
    assert late.status_code == 403
    kept = hidden(late.text)
    assert kept["text"] == "我写了很久"
    monkeypatch.undo()
    assert "我写了很久" in client.post("/report/status", data={**kept, "receipt": receipt}).text


def test_who_sends_too_much_is_slowed_down_and_others_are_not(open_vault: str, client: TestClient) -> None:
    limits.limiter().enabled = True
    body = {"kind": "report", "description": SAID}
    codes = [client.post("/api/v1/tips", json=body).status_code for _ in range(12)]
    assert codes == [201] * 10 + [429] * 2
    assert "Retry-After" in client.post("/api/v1/tips", json=body).headers


def test_a_name_is_kept_apart_and_the_case_says_only_that_there_is_one(open_vault: str, client: TestClient) -> None:
    tell_by_api(client, reporter={"name": "王小明", "phone": "13800000000"})
    tell_by_api(client)
    with db.reading() as session:
        assert list(session.scalars(select(TipCase.named).order_by(TipCase.id))) == [True, False]


def test_the_page_is_complete_in_english(open_vault: str, client: TestClient) -> None:
    page = words(client.get("/report?lang=en").text)
    assert "Do you want something back for yourself?" in page
    form = client.get("/report/new?kind=report", headers={"Accept-Language": "en"})
    assert "What happened?" in form.text
