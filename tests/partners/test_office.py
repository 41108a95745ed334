"""Members on their pages: a file handed in, mended, accepted; keys, schemes, members; and nobody else's."""

import io
import re

import pytest
from fastapi.testclient import TestClient

from partners import schemes
from portal.kit import db, jobs, keys
from tests import members, officers
from tests.partners import batches
from tests.partners.batches import as_csv

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]


@pytest.fixture
def member(client: TestClient) -> TestClient:
    members.add()
    members.add_scheme()
    return members.seat(client, "demo-association", "li.na")


def token(client: TestClient, path: str = "/account/organisation") -> str:
    return members.form_token(client.get(path).text)


def hand_in(client: TestClient, content: bytes, name: str = "会员.csv") -> str:
    answer = client.post(
        "/account/batches",
        data={"scheme": "demo-credit", "form_token": token(client, "/account/batches/new")},
        files={"file": (name, content)},
        follow_redirects=False,
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_file_is_dropped_its_errors_are_read_its_good_rows_are_published(member: TestClient) -> None:
    said = batches.rows(5)
    said[2]["等级"] = "五星"
    at = hand_in(member, as_csv(said, "gb18030"))
    assert "data-live" in member.get(at).text
    jobs.drain()
    page = member.get(at).text
    assert "data-live" not in page
    assert "五星" in page
    assert "AAA" in page
    english = member.get(f"{at}?lang=en").text
    assert "The scheme has no grade “五星”." in english
    workbook = member.get(f"{at}/marked.xlsx")
    assert workbook.content.startswith(b"PK")
    member.get(f"{at}?lang=zh")
    refused = member.post(f"{at}/accept", data={"rows": "all", "form_token": members.form_token(page)})
    assert refused.status_code == 409
    member.post(f"{at}/accept", data={"rows": "good", "form_token": members.form_token(page)})
    jobs.drain()
    assert "已发布" in member.get(at).text
    code = said[0]["统一社会信用代码"]
    assert "演示行业信用评价" in member.get(f"/entities/{code}/records/evaluation").text


def test_a_name_without_a_code_is_chosen_by_a_person(member: TestClient) -> None:
    one, two, three = batches.entities(3)
    at = hand_in(member, as_csv([
        batches.row(one, 1, 统一社会信用代码=""), batches.row(two, 2, 统一社会信用代码=""),
        batches.row(three, 3, 统一社会信用代码="", 企业名称="从未登记过的某某公司"),
    ]))  # fmt: skip
    jobs.drain()
    page = member.get(at).text
    form = members.form_token(page)
    member.post(f"{at}/sure", data={"form_token": form})
    page = member.get(at).text
    assert "从未登记过的某某公司" in page
    wrong = member.post(f"{at}/names", data={"form_token": form, "code-2": "12345"})
    assert wrong.status_code == 422
    member.post(f"{at}/names", data={"form_token": form, "name-2": "-"})
    member.post(f"{at}/accept", data={"rows": "good", "form_token": form})
    jobs.drain()
    assert "已发布" in member.get(at).text


def test_what_is_no_table_is_refused_on_the_page_with_what_to_do(member: TestClient) -> None:
    answer = member.post(
        "/account/batches",
        data={"scheme": "demo-credit", "form_token": token(member, "/account/batches/new")},
        files={"file": ("报告.pdf", b"%PDF-1.7")},
    )
    assert answer.status_code == 415
    assert 'role="alert"' in answer.text
    assert ".xlsx" in answer.text


def test_a_members_pages_are_no_other_organisations(member: TestClient) -> None:
    at = hand_in(member, as_csv(batches.rows(1)))
    jobs.drain()
    members.add("other-agency", name="另一机构")
    members.seat(member, "other-agency", "wang.wu")
    assert member.get(at).status_code == 404
    form = token(member)
    assert member.post(f"{at}/accept", data={"form_token": form}).status_code == 404
    assert member.post(f"{at}/withdraw", data={"form_token": form, "reason": "这不是我们的批次"}).status_code == 404


def test_a_key_is_shown_once_renewed_and_revoked_and_works_in_between(member: TestClient) -> None:
    made = member.post("/account/organisation/keys", data={"label": "评级系统", "form_token": token(member)})
    (key,) = re.findall(r"gz_[a-z2-7]{8}_[a-z2-7]{52}_[0-9a-f]{8}", made.text)
    assert made.headers["cache-control"] == "no-store"
    assert key not in member.get("/account/organisation").text
    assert batches.send(member, key, as_csv(batches.rows(1))).status_code == 202
    prefix = key.split("_")[1]
    renewed = member.post(f"/account/organisation/keys/{prefix}/rotate", data={"form_token": token(member)})
    (new,) = re.findall(r"gz_[a-z2-7]{8}_[a-z2-7]{52}_[0-9a-f]{8}", renewed.text)
    assert new != key
    member.post(f"/account/organisation/keys/{prefix}/revoke", data={"form_token": token(member)})
    assert batches.send(member, key, as_csv(batches.rows(1))).status_code == 401
    with db.reading() as session:
        assert keys.of(session, "partner", "demo-association")[0].last_used_on is None


def test_a_submitter_does_not_look_after_keys_members_or_schemes(client: TestClient) -> None:
    members.add()
    members.add_scheme()
    members.seat(client, "demo-association", "xiao.chen", roles=["submitter"])
    form = token(client)
    for path, data in (
        ("/account/organisation/keys", {}),
        ("/account/organisation/members", {"role": "manager"}),
        ("/account/organisation/callback", {"url": "https://example.com"}),
        ("/account/schemes", {}),
    ):
        assert client.post(path, data={**data, "form_token": form}).status_code == 403, path


def test_a_scheme_is_proposed_with_its_method_approved_at_the_desk_and_then_used(member: TestClient) -> None:
    page = member.get("/account/schemes").text
    (example,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.S)
    import html

    sent = {
        "id": "green-rating",
        "name": "绿色评价",
        "english_name": "Green rating",
        "definition": html.unescape(example),
        "form_token": members.form_token(page),
    }
    wrong = member.post("/account/schemes", data={**sent, "definition": '{"grades": []}'})
    assert wrong.status_code == 422
    assert "绿色评价" in wrong.text, "what was typed is kept"
    method = ("办法.pdf", plain_pdf(), "application/pdf")
    assert member.post("/account/schemes", data=sent, files={"method": method}).status_code == 200
    with db.reading() as session:
        assert schemes.get(session, "green-rating").current is None
    officer = officers.add_officer(roles=["reviewer"])
    officers.sign_in(member, officer)
    shown = member.get("/desk/schemes/green-rating/1")
    assert "绿色评价" in shown.text
    form = officers.form_token(member, "/desk/schemes/green-rating/1")
    member.post("/desk/schemes/green-rating/1/approve", data={"form_token": form})
    with db.reading() as session:
        assert schemes.get(session, "green-rating").current == 1
    again = member.post("/desk/schemes/green-rating/1/approve", data={"form_token": form})
    assert again.status_code == 409


def plain_pdf() -> bytes:
    import pikepdf

    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(made)
    return made.getvalue()


def test_a_method_that_acts_is_no_public_document(member: TestClient) -> None:
    import pikepdf

    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
        document.save(made)
    page = member.get("/account/schemes").text
    answer = member.post(
        "/account/schemes",
        data={
            "id": "green-rating", "name": "绿色评价", "english_name": "Green", "form_token": members.form_token(page),
            "definition": '{"grades":[{"code":"A","meaning":"好"}]}',
        },
        files={"method": ("办法.pdf", made.getvalue(), "application/pdf")},
    )  # fmt: skip
    assert answer.status_code == 422
    with db.reading() as session:
        assert schemes.of(session, "demo-association")[0].id == "demo-credit"
