"""An association applies and a business claims its file: an officer looks at the proof, and lets them in or not."""

import re

import pyotp
import pytest
from fastapi.testclient import TestClient

from tests import members, officers
from tests.partners import batches
from tests.partners.test_office import plain_pdf

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]

PROOF = ("执照.pdf", plain_pdf(), "application/pdf")


def claim(client: TestClient, **changes: str) -> str:
    code, _ = batches.entities(1)[0]
    typed = {"type": "entity", "entity_code": code, "person": "赵经理", "email": "zhao@example.com", **changes}
    return client.post("/partners/apply", data=typed, files={"proof": PROOF}).text


def seated(client: TestClient, organisation_page: str) -> str:
    """Approve at the desk and take the seat. Returns the organisation's id."""
    found = re.search(r"/desk/partners/([a-z0-9-]+)", organisation_page)
    assert found
    at = f"/desk/partners/{found[1]}"
    page = client.get(at).text
    assert "zhao@example.com" in page
    assert client.get(re.findall(r"/desk/papers/[0-9a-f]{32}", page)[0]).content.startswith(b"%PDF")
    approved = client.post(f"{at}/approve", data={"form_token": members.form_token(page)})
    (token,) = re.findall(r"/account/join/([A-Za-z0-9_-]+)", approved.text)
    joining = client.get(f"/account/join/{token}").text
    (secret,) = re.findall(r'class="code small">([A-Z2-7]+)<', joining)
    typed = {"login": "zhao", "name": "赵经理", "password": members.PASSWORD, "code": pyotp.TOTP(secret).now()}
    assert client.post(f"/account/join/{token}", data=typed, follow_redirects=False).status_code == 303
    return found[1]


def test_a_business_claims_its_file_and_is_let_in_by_an_officer(client: TestClient) -> None:
    assert 'role="status"' in claim(client)
    assert "已有账户" in claim(client) or 'role="alert"' in claim(client), "once is enough"
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    seated(client, client.get("/desk/partners").text)
    members.sign_in(client, "zhao")
    home = client.get("/account").text
    assert batches.entities(1)[0][1] in home
    assert "/account/ratings" in home


def test_nothing_is_taken_without_a_proof_an_address_or_a_file_to_claim(client: TestClient) -> None:
    code, _ = batches.entities(1)[0]
    typed = {"type": "entity", "entity_code": code, "person": "赵经理", "email": "zhao@example.com"}
    assert client.post("/partners/apply", data=typed).status_code == 422
    wrong = {**typed, "entity_code": "91310199MA00000000"}
    answer = client.post("/partners/apply", data=wrong, files={"proof": PROOF})
    assert answer.status_code == 404
    assert "赵经理" in answer.text, "what was typed is kept"
    assert client.post("/partners/apply", data={**typed, "email": "?"}, files={"proof": PROOF}).status_code == 422
    exe = ("a.exe", b"MZ", "application/pdf")
    assert client.post("/partners/apply", data=typed, files={"proof": exe}).status_code == 422


def test_an_association_that_is_refused_learns_nothing_else_and_is_listed_nowhere(client: TestClient) -> None:
    typed = {
        "type": "association", "name": "上海演示行业协会", "number": "沪民社登0001", "person": "赵经理",
        "email": "zhao@example.com",
    }  # fmt: skip
    client.post("/partners/apply", data=typed, files={"proof": PROOF})
    assert "上海演示行业协会" not in client.get("/partners").text
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    (at,) = set(re.findall(r"/desk/partners/partner-[a-z0-9]+", client.get("/desk/partners").text))
    form = members.form_token(client.get(at).text)
    client.post(f"{at}/refuse", data={"form_token": form, "reason": "证书编号查无此号"})
    assert "证书编号查无此号" in client.get(at).text
    assert client.post(f"{at}/approve", data={"form_token": form}).status_code == 409


def test_a_clerk_looks_and_does_not_decide(client: TestClient) -> None:
    claim(client)
    officers.sign_in(client, officers.add_officer(roles=["clerk"]))
    (at,) = set(re.findall(r"/desk/partners/entity-[a-z0-9]+", client.get("/desk/partners").text))
    assert client.get(at).status_code == 200
    form = officers.form_token(client)
    assert client.post(f"{at}/approve", data={"form_token": form}).status_code == 403
