"""What departments ask of organisations is taken up, delivered and approved; and nobody sees another's task."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select

from partners import organisations
from partners.models import Callback, Commission, CommissionTask
from portal.kit import db
from portal.kit.accounts import Role
from record import publication
from record.models import LedgerEntry
from tests import members, officers

pytestmark = [pytest.mark.usefixtures("database", "unlimited")]

HOME = "/desk/commissions"
MINE = "/account/commissions"
PDF = b"%PDF-1.4\n%%EOF\n"
WORDS = "请对本行业会员企业的信用管理开展评价，并提交报告。"
ANSWER = "已完成评价，报告见附件，共涉及会员企业四十二家。"


def officer(
    client: TestClient, login: str = "li.wei", *, roles: Sequence[Role] = ("clerk", "reviewer"), **where: Any
) -> TestClient:
    officers.sign_in(client, officers.add_officer(login, roles=roles, **where))
    return client


def post(client: TestClient, address: str, **typed: Any) -> Response:
    """Send a form of the page that one is on, as the side's first page gives its token."""
    side = "/desk" if address.startswith("/desk") else "/account"
    file = typed.pop("file", None)
    typed["form_token"] = officers.form_token(client, side)
    return client.post(address, data=typed, files={"file": file} if file else None, follow_redirects=False)


def issue(client: TestClient, **changes: Any) -> int:
    """Issue a commission at the desk. Returns its number."""
    typed = {"kind": "evaluation", "title": "会员企业信用管理评价", "words": WORDS, "type": "association"}
    answer = post(client, f"{HOME}/new", **typed | changes)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rpartition("/")[2])


def task_of(organisation: str = "demo-association") -> CommissionTask:
    with db.reading() as session:
        found = session.scalars(select(CommissionTask).where(CommissionTask.organisation_id == organisation)).all()
    return found[-1]


def kept() -> list[dict[str, Any]]:
    with db.reading() as session:
        acts = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action").order_by(LedgerEntry.seq))
        return [one.payload or {} for one in acts if (one.payload or {})["action"].startswith("commission")]


def both(client: TestClient) -> None:
    """An association with a member and an officer, both signed in in this browser."""
    members.add()
    members.seat(client, "demo-association", "li.na")
    officer(client)


def taken(client: TestClient, **changes: Any) -> tuple[int, int]:
    """A commission that the association has taken up. Returns its number and the task's."""
    both(client)
    number = issue(client, **changes)
    task = task_of().id
    assert post(client, f"{MINE}/{task}/take").status_code == 303
    return number, task


# ---- the whole way --------------------------------------------------------------------------------------------------


def test_a_commission_is_taken_up_delivered_returned_delivered_again_and_approved(client: TestClient) -> None:
    both(client)
    number = issue(client, file=("任务书.pdf", PDF, "application/pdf"))
    task = task_of().id
    assert "会员企业信用管理评价" in client.get(MINE).text
    page = client.get(f"{MINE}/{task}").text
    assert WORDS in page
    assert "任务书.pdf" in page
    assert post(client, f"{MINE}/{task}/take").status_code == 303
    assert post(client, f"{MINE}/{task}/deliver", words=ANSWER).status_code == 303
    assert "1件待审核" in client.get(HOME).text
    assert "待审核的委托成果" in client.get("/desk").text

    judged = f"{HOME}/{number}/tasks/{task}"
    assert ANSWER in client.get(f"{HOME}/{number}").text
    assert post(client, f"{judged}/return", words="缺少会员名单，请补充后再提交。").status_code == 303
    page = client.get(f"{MINE}/{task}").text
    assert "缺少会员名单" in page
    assert ANSWER in page
    report = ("评价报告.docx", b"PK\x03\x04 report", "application/octet-stream")
    assert post(client, f"{MINE}/{task}/deliver", words=ANSWER, file=report).status_code == 303
    assert post(client, f"{judged}/approve").status_code == 303
    assert task_of().state == "approved"
    assert "会员企业信用管理评价" not in client.get(MINE).text
    assert "会员企业信用管理评价" in client.get(f"{MINE}?done=1").text
    assert [one["action"] for one in kept()] == ["commission_issue", "commission_returned", "commission_approved"]


def test_the_files_of_a_commission_leave_as_downloads_in_a_sandbox(client: TestClient) -> None:
    number, task = taken(client, file=("任务书.pdf", PDF, "application/pdf"))
    report = ("评价报告.docx", b"PK\x03\x04 report", "text/html")
    assert post(client, f"{MINE}/{task}/deliver", words=ANSWER, file=report).status_code == 303
    for address, content in (
        (f"{MINE}/{task}/asked", PDF),
        (f"{MINE}/{task}/delivered", b"PK\x03\x04 report"),
        (f"{HOME}/{number}/file", PDF),
        (f"{HOME}/{number}/tasks/{task}/file", b"PK\x03\x04 report"),
    ):
        answer = client.get(address)
        assert answer.content == content
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%E")
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].startswith("application/")


def test_a_notice_is_read_and_nothing_else(client: TestClient) -> None:
    both(client)
    number = issue(client, kind="notice", title="关于开展计量检查的通知")
    task = task_of().id
    assert "确认已阅" in client.get(f"{MINE}/{task}").text
    for step in ("take", "decline"):
        assert post(client, f"{MINE}/{task}/{step}", words="我们不办理这件事情。").status_code == 409
    assert post(client, f"{MINE}/{task}/read").status_code == 303
    assert task_of().state == "read"
    assert "1 / 1" in client.get(HOME).text
    assert "已阅" in client.get(f"{HOME}/{number}").text


def test_a_commission_can_be_declined_with_a_reason_only(client: TestClient) -> None:
    both(client)
    number = issue(client)
    task = task_of().id
    refused = post(client, f"{MINE}/{task}/decline", words="不")
    assert refused.status_code == 422
    assert "太短" in refused.text
    assert post(client, f"{MINE}/{task}/decline", words="本会目前没有具备资质的人员。").status_code == 303
    assert "本会目前没有具备资质的人员" in client.get(f"{HOME}/{number}").text
    assert post(client, f"{MINE}/{task}/take").status_code == 409


def test_steps_come_in_their_order(client: TestClient) -> None:
    both(client)
    number = issue(client)
    task = task_of().id
    assert post(client, f"{MINE}/{task}/deliver", words=ANSWER).status_code == 409
    assert post(client, f"{MINE}/{task}/read").status_code == 409
    assert post(client, f"{HOME}/{number}/tasks/{task}/approve").status_code == 409
    assert post(client, f"{MINE}/{task}/take").status_code == 303
    assert post(client, f"{MINE}/{task}/take").status_code == 409
    assert task_of().state == "taken"


def test_a_file_of_a_wrong_kind_is_refused_and_the_words_are_not_lost(client: TestClient) -> None:
    _, task = taken(client)
    refused = post(client, f"{MINE}/{task}/deliver", words=ANSWER, file=("报告.html", b"<script>", "text/html"))
    assert refused.status_code == 422
    assert ANSWER in refused.text
    assert task_of().state == "taken"


def test_personal_numbers_in_an_answer_are_hidden(client: TestClient) -> None:
    _, task = taken(client)
    assert post(client, f"{MINE}/{task}/deliver", words="联系人电话13812345678，报告随后寄送。").status_code == 303
    assert "13812345678" not in str(task_of().answer)


# ---- who gets it ----------------------------------------------------------------------------------------------------


def test_it_goes_to_whoever_was_chosen_and_may_act_and_to_entities_only_where_they_were_chosen(
    client: TestClient,
) -> None:
    members.add()
    members.add("demo-chamber", type_="chamber", name="演示商会")
    members.add("demo-lawyers", type_="law_firm", name="演示律所")
    members.add("demo-ended", type_="association", name="已终止协会")
    with db.writing() as session:
        organisations.get(session, "demo-ended").state = "ended"
    officer(client)
    number = issue(client, type=["association", "entity"], organisation=["demo-lawyers", "demo-ended", "nobody"])
    with db.reading() as session:
        told = session.scalars(
            select(CommissionTask.organisation_id).where(CommissionTask.commission_id == number)
        ).all()
    assert sorted(told) == ["demo-association", "demo-lawyers"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "chamber"},
        {"kind": "order"},
        {"type": "ministry"},
        {"title": " "},
        {"words": "\x00\x00"},
        {"words": "字" * 4_001},
        {"due_on": "someday"},
        {"due_on": (publication.today() - timedelta(days=1)).isoformat()},
        {"file": ("run.exe", b"MZ", "application/pdf")},
    ],
    ids="-".join,
)
def test_what_cannot_be_issued_comes_back_with_what_was_typed(client: TestClient, wrong: dict[str, Any]) -> None:
    members.add()
    officer(client)
    typed = {"kind": "training", "title": "计量培训", "words": WORDS, "type": "association"} | wrong
    answer = post(client, f"{HOME}/new", **typed)
    assert answer.status_code == 422
    assert "计量培训" in answer.text or "title" in wrong
    with db.reading() as session:
        assert session.scalar(select(Commission.id)) is None


def test_line_ends_as_browsers_send_them_count_once(client: TestClient) -> None:
    members.add()
    officer(client)
    issue(client, words="行\r\n" * 2_000)


def test_the_organisations_own_program_is_told_codes_and_never_what_was_written(client: TestClient) -> None:
    both(client)
    with db.writing() as session:
        organisation = organisations.get(session, "demo-association")
        organisation.callback_url, organisation.callback_secret = "https://example.org/hook", "sealed"
    issue(client)
    with db.reading() as session:
        event = session.scalars(select(Callback.event)).one()
    assert event["type"] == "gongzhi.commission.offered"
    assert event["data"] == {
        "id": task_of().id,
        "kind": "evaluation",
        "status": "offered",
        "due_on": None,
        "closed": False,
    }


# ---- nobody's and somebody else's -----------------------------------------------------------------------------------


def test_nobody_sees_a_commission_without_signing_in(client: TestClient) -> None:
    both(client)
    number, task = issue(client), task_of().id
    client.cookies.clear()
    for address in (MINE, f"{MINE}/{task}", f"{MINE}/{task}/asked", HOME, f"{HOME}/new", f"{HOME}/{number}"):
        assert client.get(address, follow_redirects=False).status_code == 303


def test_an_organisation_sees_no_task_of_another(client: TestClient) -> None:
    both(client)
    issue(client, file=("任务书.pdf", PDF, "application/pdf"))
    task = task_of().id
    members.add("demo-chamber", type_="chamber", name="演示商会")
    members.seat(client, "demo-chamber", "wang.fang")
    assert "会员企业信用管理评价" not in client.get(MINE).text
    assert client.get(f"{MINE}/{task}").status_code == 404
    assert client.get(f"{MINE}/{task}/asked").status_code == 404
    for step in ("take", "decline", "read", "deliver"):
        assert post(client, f"{MINE}/{task}/{step}", words=ANSWER).status_code == 404
    assert task_of().state == "offered"


def test_another_departments_commissions_are_not_there(client: TestClient) -> None:
    number, task = taken(client)
    post(client, f"{MINE}/{task}/deliver", words=ANSWER)
    officer(client, "zhao.min", department="住房和城乡建设局")
    assert "会员企业信用管理评价" not in client.get(HOME).text
    assert client.get(f"{HOME}/{number}").status_code == 404
    assert client.get(f"{HOME}/{number}/tasks/{task}/file").status_code == 404
    assert post(client, f"{HOME}/{number}/tasks/{task}/approve").status_code == 404
    assert post(client, f"{HOME}/{number}/close", reason="这不是我们的委托事项。").status_code == 404
    assert task_of().state == "delivered"


def test_only_a_reviewer_approves(client: TestClient) -> None:
    number, task = taken(client)
    post(client, f"{MINE}/{task}/deliver", words=ANSWER)
    officer(client, "chen.jing", roles=["clerk"])
    assert "成果由审核人员审核" in client.get(f"{HOME}/{number}").text
    assert post(client, f"{HOME}/{number}/tasks/{task}/approve").status_code == 403
    officer(client, "ma.li", roles=["administrator"])
    assert client.get(HOME).status_code == 403


def test_a_suspended_organisation_takes_nothing_up(client: TestClient) -> None:
    both(client)
    issue(client)
    with db.writing() as session:
        organisations.get(session, "demo-association").valid_until = publication.today() - timedelta(days=1)
    assert post(client, f"{MINE}/{task_of().id}/take").status_code == 403
    assert task_of().state == "offered"


# ---- the end --------------------------------------------------------------------------------------------------------


def test_after_its_close_no_step_is_open_and_whoever_was_not_done_reads_why(client: TestClient) -> None:
    number, task = taken(client)
    assert post(client, f"{HOME}/{number}/close", reason="不").status_code == 422
    assert post(client, f"{HOME}/{number}/close", reason="检查计划已调整，不再需要。").status_code == 303
    assert "检查计划已调整" in client.get(f"{MINE}/{task}").text
    assert post(client, f"{MINE}/{task}/deliver", words=ANSWER).status_code == 409
    assert post(client, f"{HOME}/{number}/close", reason="检查计划已调整，不再需要。").status_code == 409
    assert "会员企业信用管理评价" not in client.get(HOME).text
    assert "会员企业信用管理评价" in client.get(f"{HOME}?closed=1").text
    assert kept()[-1]["reason"] == "检查计划已调整，不再需要。"


def test_what_is_late_is_shown_as_late_until_it_is_delivered(client: TestClient) -> None:
    number, task = taken(client, due_on=publication.today().isoformat())
    assert "已超期" not in client.get(f"{MINE}/{task}").text
    with db.writing() as session:
        session.get_one(Commission, number).due_on = publication.today() - timedelta(days=1)
    assert "已超期" in client.get(f"{MINE}/{task}").text
    assert "已超期" in client.get(f"{HOME}/{number}").text
    assert "1 overdue" in client.get(f"{HOME}?lang=en").text
    post(client, f"{MINE}/{task}/deliver", words=ANSWER)
    assert "overdue</span>" not in client.get(f"{MINE}/{task}").text


def test_long_lists_are_read_page_by_page(client: TestClient) -> None:
    both(client)
    for turn in range(51):
        issue(client, title=f"第{turn:02}号委托")
    for home in (MINE, HOME):
        page = client.get(home).text
        assert "第50号委托" in page
        assert "第00号委托" not in page
        more = re.search(r'rel="next" href="([^"]+)"', page)
        assert more
        assert "第00号委托" in client.get(more[1]).text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_whole_in_both_languages(client: TestClient, language: str) -> None:
    number, task = taken(client, due_on=publication.today().isoformat())
    for address in (MINE, f"{MINE}/{task}", HOME, f"{HOME}/new", f"{HOME}/{number}", "/desk/industry-rules"):
        page = client.get(address, params={"lang": language})
        assert page.status_code == 200
        assert ("Kind" in page.text) <= (language == "en")
