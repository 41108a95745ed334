"""Somebody's own account: a new password, where they are signed in, and signing out everywhere else."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from portal.kit import accounts, db, passwords
from portal.kit.accounts import Account, AccountSession
from tests import members, officers
from tests.conftest import application, use_settings

NEW = "eleven green umbrellas under a bridge"


@pytest.fixture
def elsewhere() -> TestClient:
    """Another browser of the same person."""
    return TestClient(application(), base_url="http://127.0.0.1:8000", follow_redirects=False)


def held() -> int:
    with db.reading() as session:
        return len(list(session.scalars(select(AccountSession.id))))


def forget_codes() -> None:
    """As if half a minute had gone by: only three codes fit at a time."""
    with db.writing() as session:
        session.execute(update(Account).values(totp_step=None))


@pytest.mark.usefixtures("embedded")
def test_a_new_password_takes_the_present_one_and_a_code_and_ends_every_other_session(
    client: TestClient, elsewhere: TestClient
) -> None:
    officer = officers.add_officer()
    officers.sign_in(client, officer)
    officers.sign_in(elsewhere, officer)
    before = client.cookies["desk"]
    form = {"form_token": officers.form_token(client, "/desk/own"), "password": officers.PASSWORD, "new": NEW}
    assert client.post("/desk/own", data={**form, "code": "000000"}).status_code == 403
    assert client.post("/desk/own", data={**form, "password": NEW, "code": officer.code()}).status_code == 403
    assert elsewhere.get("/desk").status_code == 200, "what was refused changed nothing"

    forget_codes()
    answer = client.post("/desk/own", data={**form, "code": officer.code()}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/own?done=1")
    assert client.cookies["desk"] != before
    assert client.get("/desk/own").text.count('<th scope="row">') == 1
    assert elsewhere.get("/desk").status_code == 303
    assert held() == 1


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("new", ["short", "password1234", "gongzhi2026!!", "1q2w3e4r5t6y", "portal-li.wei-desk"])
def test_a_new_password_that_is_guessed_first_is_refused(client: TestClient, new: str) -> None:
    officer = officers.add_officer()
    officers.sign_in(client, officer)
    form = {"form_token": officers.form_token(client, "/desk/own"), "password": officers.PASSWORD}
    answer = client.post("/desk/own", data={**form, "code": officer.code(), "new": new})
    assert answer.status_code == 422
    assert held() == 1


def test_length_counts_and_characters_do_not() -> None:
    for good in (
        "correct horse battery staple",
        "七盏蓝灯照在静静的河面上",
        "x7" * 2 + "-kqvw zrmb 11 yt",
        "moss tin owl " * 15,
    ):
        passwords.check(good, login="li.wei")


@pytest.mark.usefixtures("embedded")
def test_signing_out_elsewhere_keeps_the_password(client: TestClient, elsewhere: TestClient) -> None:
    members.seat(client, members.add(), "zhang.hui")
    token = members.form_token(client.get("/account/own").text)
    assert elsewhere.post("/account/own", data={"form_token": token}).status_code == 303, (
        "a stranger is led to signing in"
    )
    wrong = client.post("/account/own", data={"form_token": token, "password": "x", "code": "1"})
    assert wrong.status_code == 403


@pytest.mark.usefixtures("embedded")
def test_signing_in_again_ends_the_session_before(client: TestClient) -> None:
    officer = officers.add_officer()
    officers.sign_in(client, officer)
    first = client.cookies["desk"]
    officers.sign_in(client, officer)
    assert client.cookies["desk"] != first
    assert held() == 1


@pytest.mark.usefixtures("embedded")
def test_over_https_signing_out_empties_what_the_browser_keeps(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, base_url="https://portal.example")
    with TestClient(application(), base_url="https://portal.example") as secure:
        officers.sign_in(secure, officers.add_officer())
        token = officers.form_token(secure)
        answer = secure.post("/desk/logout", data={"form_token": token}, follow_redirects=False)
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.usefixtures("embedded")
def test_who_lost_either_factor_gets_both_anew_and_is_signed_out(client: TestClient) -> None:
    officer = officers.add_officer()
    officers.sign_in(client, officer)
    hashed = passwords.hashed(NEW)
    with db.writing() as session:
        accounts.renew(session, officer.login, password_hash=hashed)
    assert held() == 0
    form = {"login": officer.login, "code": officer.code()}
    assert client.post("/desk/login", data={**form, "password": NEW}).status_code == 403, "the old codes open nothing"
