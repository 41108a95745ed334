"""The desk of tip-offs, through its pages: the queue, the case, what one officer may do and what needs two."""

import re
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from portal.kit import db, jobs, storage
from portal.kit.accounts import Account, officer_of
from portal.kit.errors import PortalError
from record.models import LedgerEntry
from reporting import cases, files, queue
from reporting.models import CaseStep, TipCase
from reporting.queue import Asked
from tests.conftest import application
from tests.officers import add_officer, form_token, sign_in
from tests.reporting.telling import OWNER, SAID, SERIAL, digits, hidden, preview, status, tell, tell_by_api, words

pytestmark = pytest.mark.usefixtures("unlimited")


@pytest.fixture
def desk(open_vault: str, client: TestClient) -> TestClient:
    """A client of its own, signed in as 李伟, clerk and reviewer."""
    return seat("li.wei")


def seat(login: str, *, roles: Any = ("clerk", "reviewer"), **account: Any) -> TestClient:
    made = TestClient(application(), base_url="http://127.0.0.1:8000")
    sign_in(made, add_officer(login, roles=roles, **account))
    return made


def do(desk: TestClient, number: str, action: str, **fields: Any) -> str:
    """Take one step by the case's page. Returns the page that comes back."""
    sent = {"form_token": form_token(desk, "/desk/tips"), **fields}
    answer = desk.post(f"/desk/tips/{number}/{action}", data=sent)
    return words(answer.text)


def state(number: str) -> str:
    with db.reading() as session:
        case = cases.by_number(session, number)
        assert case is not None
        return case.state


def acts(action: str) -> list[dict[str, Any]]:
    with db.reading() as session:
        rows = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action").order_by(LedgerEntry.seq))
        return [row.payload for row in rows if row.payload and row.payload["action"] == action]


# ---- from receipt to the end ----------------------------------------------------------------------------------------


def test_a_report_goes_its_way_and_its_reporter_sees_every_step(desk: TestClient, client: TestClient) -> None:
    told = tell_by_api(client, reporter={"name": "王小明", "phone": "13800000000"})
    number, receipt = told["case_number"], told["receipt"]
    assert SAID in desk.get(f"/desk/tips/{number}").text
    for action, wanted in (("verify", "verifying"), ("file", "filed")):
        do(desk, number, action)
        assert status(client, receipt)["status"] == wanted
    do(desk, number, "decide", choice="violation", measures="责令改正并罚款", basis="食品安全法第一百二十四条")
    assert status(client, receipt)["status"] == "decided"
    refused = do(desk, number, "close")
    assert "尚未告知举报人" in refused, "a case does not close over somebody whom the law has told"
    with db.reading() as session:
        tip = cases.tips_of(session, session.get_one(TipCase, 1))[0].id
    do(desk, number, "reply", tip=tip, text="已经立案并作出处罚")
    do(desk, number, "tell")
    do(desk, number, "close")
    found = status(client, receipt)
    assert found["status"] == "closed"
    assert [(one["by"], one["text"]) for one in found["messages"]] == [("officer", "已经立案并作出处罚")]
    assert {one["state"] for one in found["clocks"]} == {"met"}
    assert [one["action"] for one in [*acts("tip_verify"), *acts("tip_decide"), *acts("tip_close")]] == [
        "tip_verify", "tip_decide", "tip_close",
    ]  # fmt: skip
    assert "王小明" not in str([*acts("tip_decide"), *acts("tip_reply")])


def test_a_complaint_goes_its_own_way(desk: TestClient, client: TestClient) -> None:
    told = tell_by_api(
        client, kind="complaint", reporter={"name": "王小明", "phone": "13800000000"}, consent_to_publish=False,
        consent_to_mediation=True,
    )  # fmt: skip
    number = told["case_number"]
    assert "同意" in words(desk.get(f"/desk/tips/{number}").text)
    assert "案件已有进展" in do(desk, number, "file"), "a complaint is not filed"
    for action in ("accept", "mediate", "settle", "tell", "close"):
        do(desk, number, action)
    assert status(client, told["receipt"])["status"] == "closed"


def test_a_refusal_needs_a_reason_and_keeps_what_was_typed(desk: TestClient, client: TestClient) -> None:
    number = tell_by_api(client)["case_number"]
    assert "缺少理由" in do(desk, number, "not_file", reason="短")
    assert state(number) == "received"
    do(desk, number, "not_file", reason="经核查未发现违法事实，电话13812341234")
    assert state(number) == "not_filed"
    page = desk.get(f"/desk/tips/{number}").text
    assert "经核查未发现违法事实" in page
    assert "13812341234" not in page, "personal numbers are hidden in what is kept"
    do(desk, number, "reopen", reason="举报人补充了新的证据")
    assert state(number) == "received"


def test_a_case_is_reached_by_its_department_and_district_alone(open_vault: str, client: TestClient) -> None:
    number = tell_by_api(client, district="310104")["case_number"]
    here = seat("here", district="310104")
    elsewhere = seat("elsewhere", district="310115")
    other = seat("other", department="应急管理局")
    assert here.get(f"/desk/tips/{number}").status_code == 200
    for stranger in (elsewhere, other):
        assert stranger.get(f"/desk/tips/{number}").status_code == 403
        assert number not in stranger.get("/desk/tips").text
        answer = stranger.post(f"/desk/tips/{number}/verify", data={"form_token": form_token(stranger, "/desk/tips")})
        assert answer.status_code == 403
    assert state(number) == "received"
    assert TestClient(application()).get(f"/desk/tips/{number}", follow_redirects=False).status_code == 303
    administrator = seat("admin", roles=["administrator"])
    assert administrator.get(f"/desk/tips/{number}").status_code == 403


def test_a_transfer_takes_the_case_along_sealed_for_the_other_department(
    open_vault: str, client: TestClient, photo: bytes
) -> None:
    receipt = tell(client, files=[("a.jpg", photo)])
    mine, theirs = seat("mine"), seat("theirs", department="应急管理局")
    number = status(client, receipt)["case_number"]
    assert "没有可以接手" in do(mine, number, "transfer", department="不存在的部门", reason="移送给该部门")
    do(mine, number, "transfer", department="应急管理局", reason="属于危险化学品管理职责", day="2026-12-31")
    jobs.drain()
    assert mine.get(f"/desk/tips/{number}").status_code == 403
    page = theirs.get(f"/desk/tips/{number}").text
    assert SAID in page
    assert "危险化学品" in page
    assert status(client, receipt)["status"] == "received", "the receipt goes on"


def test_repeats_are_merged_and_everybody_keeps_their_own(desk: TestClient, client: TestClient) -> None:
    first, second = (tell_by_api(client, district="310104") for _ in range(2))
    page = desk.get(f"/desk/tips/{second['case_number']}").text
    assert first["case_number"] in page, "a similar case is offered"
    do(desk, second["case_number"], "merge", into=first["case_number"])
    do(desk, first["case_number"], "file")
    for told in (first, second):
        assert status(client, told["receipt"])["status"] == "filed"
        assert status(client, told["receipt"])["case_number"] == told["case_number"]
    assert "第2位" in words(client.post("/report/status", data={"receipt": second["receipt"]}).text)
    assert second["case_number"] not in desk.get("/desk/tips").text, "the queue shows the matter once"
    do(desk, second["case_number"], "unmerge")
    assert status(client, second["receipt"])["status"] == "received"
    assert "不能合并" in do(desk, first["case_number"], "merge", into=first["case_number"])


def test_two_officers_at_once_one_goes_first_and_the_other_is_told(desk: TestClient, client: TestClient) -> None:
    tell_by_api(client)
    with db.reading() as session:
        people = [officer_of(one) for one in session.scalars(select(Account))]
    results: list[str] = []

    def go(name: str) -> None:
        try:
            with db.writing() as session:
                cases.take(session, people[0], 1, name)
            results.append(name)
        except PortalError as refusal:
            results.append(refusal.slug)

    both = [threading.Thread(target=go, args=("file",)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(results) == ["case-moved-on", "file"]
    with db.reading() as session:
        steps = session.scalar(select(func.count()).where(CaseStep.step == "file"))
    assert steps == 1


# ---- files ----------------------------------------------------------------------------------------------------------


def test_officers_open_the_cleaned_copy_and_the_original_only_on_purpose(
    desk: TestClient, client: TestClient, photo: bytes
) -> None:
    receipt = tell(client, files=[("门口.jpg", photo)])
    number = status(client, receipt)["case_number"]
    page = desk.get(f"/desk/tips/{number}").text
    addresses = set(re.findall(rf'"(/desk/tips/{number}/files/[^"?]+)', page))
    (address,) = addresses
    cleaned = desk.get(address)
    assert "attachment" in cleaned.headers["content-disposition"]
    assert "%E9%97%A8%E5%8F%A3.jpg" in cleaned.headers["content-disposition"]
    assert SERIAL.encode() not in cleaned.content
    assert OWNER.encode() not in cleaned.content
    assert desk.get(f"{address}?which=original").content == photo
    inline = desk.get(f"{address}?inline=true")
    assert inline.headers["content-type"] == "image/jpeg"
    assert inline.headers["cache-control"] == "no-store"
    assert desk.get(address.replace(address[-6:], "aaaaaa")).status_code == 404
    stranger = seat("stranger", district="310115")
    assert stranger.get(address).status_code == 403
    assert client.get(address, follow_redirects=False).status_code == 303


def test_somebody_who_wants_no_originals_kept_leaves_none(desk: TestClient, client: TestClient, photo: bytes) -> None:
    tell(client, files=[("a.jpg", photo)], originals="drop")
    jobs.drain()
    kept = list(storage.keys("tips/"))
    assert [key.rpartition("/")[2] for key in kept] == ["cleaned"]


def test_no_job_removes_a_file_that_is_still_somebodys(desk: TestClient, client: TestClient, photo: bytes) -> None:
    tell(client, files=[("a.jpg", photo)])
    jobs.drain()
    kept = sorted(storage.keys("tips/"))
    storage.put("papers/aa/aa", b"a member's")
    with db.writing() as session:
        jobs.add(session, files.REMOVE, [*kept, "papers/aa/aa", "tips/nobody/original"])
    assert jobs.drain()
    assert sorted(storage.keys("tips/")) == kept
    assert storage.get("papers/aa/aa")


# ---- two officers ---------------------------------------------------------------------------------------------------


def test_who_told_is_learnt_by_a_reason_and_a_second_officer_and_the_ledger_says_so(
    desk: TestClient, client: TestClient
) -> None:
    told = tell_by_api(client, reporter={"name": "王小明", "phone": "13800000000"})
    number = told["case_number"]
    with db.reading() as session:
        tip = cases.tips_of(session, session.get_one(TipCase, 1))[0].id
    assert "王小明" not in desk.get(f"/desk/tips/{number}").text
    assert "缺少理由" in do(desk, number, "ask-identity", tip=tip, reason="")
    do(desk, number, "ask-identity", tip=tip, reason="需要向举报人核实现场位置")
    assert "不能批准" in do(desk, number, "grant-identity", about=1), "nobody grants their own request"
    assert "没有批准给您" in do(desk, number, "look", about=1)
    second = seat("chen.yu")
    assert number in second.get("/desk/tips-waiting").text
    do(second, number, "grant-identity", about=1)
    assert "没有批准给您" in do(second, number, "look", about=1), "who grants does not look"
    seen = do(desk, number, "look", about=1)
    assert "王小明" in seen
    assert "13800000000" in seen
    assert "王小明" not in desk.get(f"/desk/tips/{number}").text, "it is shown once each time"
    assert [len(acts(name)) for name in ("identity_ask", "identity_grant", "identity_open")] == [1, 1, 1]
    assert acts("identity_ask")[0]["reason"] == "需要向举报人核实现场位置"


def test_a_clerk_alone_grants_nothing(desk: TestClient, client: TestClient) -> None:
    told = tell_by_api(client, reporter={"name": "王小明", "phone": "13800000000"})
    with db.reading() as session:
        tip = cases.tips_of(session, session.get_one(TipCase, 1))[0].id
    do(desk, told["case_number"], "ask-identity", tip=tip, reason="需要向举报人核实现场位置")
    clerk = seat("clerk", roles=["clerk"])
    assert "您的角色" in do(clerk, told["case_number"], "grant-identity", about=1)
    assert clerk.get("/desk/tips-waiting").status_code == 403
    second = seat("chen.yu")
    do(second, told["case_number"], "decline-identity", about=1, reason="可以通过消息询问")
    assert "没有批准给您" in do(desk, told["case_number"], "look", about=1)


# ---- the queue ------------------------------------------------------------------------------------------------------


def test_many_cases_are_given_at_once_and_refusals_are_told_one_by_one(desk: TestClient, client: TestClient) -> None:
    numbers = [tell_by_api(client)["case_number"] for _ in range(3)]
    do(desk, numbers[0], "verify")
    token = form_token(desk, "/desk/tips")
    page = desk.post("/desk/tips/many", data={"form_token": token, "step": "verify", "chosen": ["1", "2", "3", "99"]})
    assert "已更改2个案件" in words(page.text)
    assert words(page.text).count("案件已有进展") == 1
    desk.post("/desk/tips/many", data={"form_token": token, "step": "mine", "chosen": ["1", "2"]})
    mine = desk.get("/desk/tips?who=mine").text
    assert [number in mine for number in numbers] == [True, True, False]
    assert len(acts("tips_verify")) == 1, "one act says it of all"
    assert numbers[1] in acts("tips_verify")[0]["details"]["cases"]


def test_numbers_that_no_table_has_room_for_are_refused_and_break_nothing(desk: TestClient, client: TestClient) -> None:
    number = tell_by_api(client)["case_number"]
    do(desk, number, "file")
    token = form_token(desk, "/desk/tips")
    for chosen in ("99999999999", "9" * 40, "²", "-1"):
        sent = {"form_token": token, "step": "mine", "chosen": [chosen]}
        assert desk.post("/desk/tips/many", data=sent).status_code == 422
        said = {"choice": "violation", "measures": "责令改正并罚款", "basis": "食品安全法", "penalty": chosen[:20]}
        assert "该处罚没有公示" in do(desk, number, "decide", **said)
        assert "没有可以接手" in do(desk, number, "assign", to=chosen[:20])
        assert desk.get(f"/desk/tips?after=2026-11-02.{chosen}&number={chosen}").status_code == 200
    assert desk.get("/desk/tips/2026-9999999999-9").status_code == 404


def test_a_case_is_taken_from_a_colleague_only_by_whoever_saw_that_it_was_theirs(
    desk: TestClient, client: TestClient
) -> None:
    number = tell_by_api(client)["case_number"]
    other = seat("chen.yu")
    do(desk, number, "assign", to="1", about="0")
    assert "已由其他人员办理" in do(other, number, "assign", to="2", about="0"), "the page was open since before"
    assert number in desk.get("/desk/tips?who=mine").text
    page = other.get(f"/desk/tips/{number}").text
    (had,) = re.findall(r'name="about" value="(\d+)">\s*<p class="field">\s*<label for="to">', page)
    do(other, number, "assign", to="2", about=had)
    assert number in other.get("/desk/tips?who=mine").text


def test_the_queue_is_filtered_sorted_by_urgency_and_paged_by_key(desk: TestClient, client: TestClient) -> None:
    receipts = [tell_by_api(client, service=service) for service in ("food", "price", "food")]
    food = desk.get("/desk/tips?service=food").text
    assert [one["case_number"] in food for one in receipts] == [True, False, True]
    assert desk.get("/desk/tips?state=nonsense&after=x.y&district=1").status_code == 200
    with db.reading() as session:
        account = session.scalars(select(Account)).one()
        first = queue.page(session, officer_of(account), Asked(), limit=2)
        last = first[-1]
        rest = queue.page(session, officer_of(account), Asked(), after=(last.urgent_on, last.id), limit=2)
    assert [case.id for case in [*first, *rest]] == [1, 2, 3]
    straight = desk.get(f"/desk/tips?number={receipts[1]['case_number']}", follow_redirects=False)
    assert straight.headers["location"].endswith(receipts[1]["case_number"])


def test_the_desks_first_page_counts_what_waits(desk: TestClient, client: TestClient) -> None:
    tell_by_api(client)
    page = words(desk.get("/desk").text)
    assert "举报和投诉" in page
    assert "本月收到举报投诉" in page


def test_the_daily_mail_holds_counts_only(
    desk: TestClient, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time_machine

    from portal.kit.settings import get_settings
    from reporting import digests

    tell_by_api(client, description=SAID)
    token = form_token(desk, "/desk/tips")
    refused = desk.post("/desk/tips/digest", data={"form_token": token, "address": "nonsense"})
    assert refused.status_code == 422
    desk.post("/desk/tips/digest", data={"form_token": token, "address": "li.wei@example.cn"})
    with time_machine.travel("2026-11-24T08:30:00+08:00"):
        assert digests.send_all() == 1
    with time_machine.travel("2026-11-28T08:30:00+08:00"):
        assert digests.send_all() == 0, "none on a day off"
    (written,) = (get_settings().data_dir / "mail").iterdir()
    from email import message_from_bytes, policy

    mail = message_from_bytes(written.read_bytes(), policy=policy.default)
    body = mail.get_body(("plain",))
    assert body is not None
    said = body.get_content()
    assert "待办：1" in said
    assert SAID[:6] not in said
    assert "2026-0" not in said


def test_one_digit_wrong_is_no_case(desk: TestClient, client: TestClient) -> None:
    number = tell_by_api(client)["case_number"]
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert desk.get(f"/desk/tips/{wrong}").status_code == 404


def test_without_the_desks_keys_the_case_says_so_instead_of_failing(desk: TestClient, client: TestClient) -> None:
    from portal.kit import keyring
    from portal.kit.settings import get_settings

    number = tell_by_api(client)["case_number"]
    for path in get_settings().resolved_keys_dir.glob("vault-*.age"):
        path.unlink()
    keyring._age_identity.cache_clear()
    page = desk.get(f"/desk/tips/{number}")
    assert page.status_code == 200
    assert "没有打开它的密钥" in page.text
    assert SAID not in page.text


def test_a_preview_reaches_nobody(desk: TestClient, client: TestClient) -> None:
    seen = preview(client)
    assert seen.status_code == 200
    assert "待办 0" in words(desk.get("/desk/tips").text)
    assert len(digits(client.post("/report/send", data=hidden(seen.text)).text)) == 16
