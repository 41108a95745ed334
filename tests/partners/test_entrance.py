"""Members come in by an invitation, with an authenticator; and nobody else does."""

import re

import pyotp
import pytest
from fastapi.testclient import TestClient

from partners import organisations
from portal.kit import db
from tests import members

pytestmark = [pytest.mark.usefixtures("database", "unlimited")]


def invited(organisation: str = "demo-association") -> str:
    members.add(organisation)
    with db.writing() as session:
        return organisations.invite(session, organisation, "manager")


def secret_on(page: str) -> str:
    found = re.search(r'class="code small">([A-Z2-7]+)<', page)
    assert found
    return found[1]


def test_whoever_is_invited_takes_the_seat_with_an_authenticator_once(client: TestClient) -> None:
    token = invited()
    page = client.get(f"/account/join/{token}")
    assert page.headers["cache-control"] == "no-store"
    typed = {"login": "li.na", "name": "李娜", "password": members.PASSWORD, "code": "000000"}
    wrong = client.post(f"/account/join/{token}", data=typed)
    assert wrong.status_code == 422
    assert "li.na" in wrong.text
    assert members.PASSWORD not in wrong.text
    typed["code"] = pyotp.TOTP(secret_on(page.text)).now()
    assert client.post(f"/account/join/{token}", data=typed, follow_redirects=False).status_code == 303
    assert client.get(f"/account/join/{token}").status_code == 410
    members.sign_in(client, "li.na")
    assert "演示行业协会" in client.get("/account").text


def test_a_member_is_no_officer_and_an_officer_is_no_member(client: TestClient) -> None:
    members.add()
    members.seat(client, "demo-association", "li.na")
    assert client.get("/desk", follow_redirects=False).headers["location"].startswith("/desk/login")
    refused = client.post("/desk/login", data={"login": "li.na", "password": members.PASSWORD, "code": "123456"})
    assert refused.status_code == 403


def test_a_suspended_organisations_members_are_signed_out_and_told_why(client: TestClient) -> None:
    members.add()
    members.seat(client, "demo-association", "li.na")
    with db.writing() as session:
        from portal.kit.accounts import Officer

        officer = Officer(1, "王", "市场监管局", None, frozenset(["reviewer"]))
        organisations.suspend(session, officer, "demo-association", "备案已过期，请更新后联系我们")
    assert client.get("/account", follow_redirects=False).status_code == 303
