"""The desk through its front door: who is let in, what its forms need, who sees what."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from portal.kit import db
from portal.kit.accounts import Account, AccountSession, Officer
from portal.kit.area import Area, Figure, Queue
from portal.kit.limits import door_of
from tests.conftest import PORTAL, served, use_settings
from tests.officers import PASSWORD, Someone, add_officer, form_token, sign_in
from tests.test_house_rules import routes

ELSEWHERE = {"Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def desk(database: str, client: TestClient) -> TestClient:
    """A client in English that follows no redirects, over an empty portal on each database."""
    client.headers["Accept-Language"] = "en"
    client.follow_redirects = False
    return client


def knock(desk: TestClient, officer: Someone, **changes: str) -> Any:
    form = {"login": officer.login, "password": PASSWORD, "code": officer.code()}
    return desk.post("/desk/login", data={**form, **changes})


# ---- in and out -----------------------------------------------------------------------------------------------------


def test_an_officer_signs_in_sees_the_desk_and_signs_out(desk: TestClient) -> None:
    officer = add_officer(district="310101")
    answer = knock(desk, officer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("desk=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie

    page = desk.get("/desk")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    for shown in ("李伟", "Huangpu", "Clerk", "Nothing waits for you."):
        assert shown in page.text
    assert "/desk/accounts" not in page.text
    assert desk.get("/desk/login").headers["location"] == "/desk"

    gone = desk.post("/desk/logout", data={"form_token": form_token(desk)})
    assert gone.headers["location"] == "/desk/login?ended=1"
    assert 'desk=""' in gone.headers["set-cookie"]
    desk.cookies.set("desk", cookie.split(";")[0].removeprefix("desk="))
    assert desk.get("/desk").headers["location"] == "/desk/login"
    with db.reading() as session:
        assert session.scalars(select(AccountSession)).all() == []


def test_over_https_the_cookie_belongs_to_this_very_host(desk: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    officer = add_officer()
    monkeypatch.setenv("PORTAL_BASE_URL", "https://portal.example")
    use_settings(monkeypatch)
    cookie = knock(desk, officer).headers["set-cookie"]
    assert cookie.startswith("__Host-desk=")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"code": "000000"}, {"login": "nobody"}, {"code": ""}])
def test_wrong_input_is_refused_in_the_form_with_one_sentence(desk: TestClient, wrong: dict[str, str]) -> None:
    answer = knock(desk, add_officer(), **wrong)
    assert answer.status_code == 403
    assert "the login name, the password or the code is wrong" in answer.text
    assert f'value="{wrong.get("login", "li.wei")}"' in answer.text
    assert PASSWORD not in answer.text
    assert "set-cookie" not in answer.headers
    assert desk.get("/desk").status_code == 303


def test_a_used_code_is_refused(desk: TestClient) -> None:
    officer = add_officer()
    code = officer.code()
    assert knock(desk, officer, code=code).status_code == 303
    assert knock(desk, officer, code=code).status_code == 403


def test_after_too_many_failures_the_page_says_how_long_to_wait(desk: TestClient) -> None:
    officer = add_officer()
    for _ in range(5):
        assert knock(desk, officer, password="wrong").status_code == 403
    answer = knock(desk, officer)
    assert answer.status_code == 429
    assert 25 <= int(answer.headers["retry-after"]) <= 30
    assert re.search(r"Wait \d\d seconds and try again", answer.text)


def test_a_page_that_was_asked_for_comes_after_signing_in_and_no_other_site_does(desk: TestClient) -> None:
    officer = add_officer(roles=["administrator"])
    asked = desk.get("/desk/accounts?page=2").headers["location"]
    assert asked == "/desk/login?next=/desk/accounts%3Fpage%3D2"
    assert 'name="next" value="/desk/accounts?page=2"' in desk.get(asked).text
    assert knock(desk, officer, next="/desk/accounts?page=2").headers["location"] == "/desk/accounts?page=2"
    desk.cookies.clear()
    assert knock(desk, officer, next="//evil.example/desk/").headers["location"] == "/desk"


def test_sessions_end_after_idling_but_not_while_the_desk_is_used(desk: TestClient) -> None:
    with time_machine.travel(time.time(), tick=False) as clock:
        sign_in(desk, add_officer())
        for _ in range(3):
            clock.shift(timedelta(minutes=25))
            assert desk.get("/desk").status_code == 200
        clock.shift(timedelta(minutes=31))
        assert desk.get("/desk").headers["location"] == "/desk/login"


def test_a_disabled_officer_is_out_at_once(desk: TestClient) -> None:
    officer = add_officer()
    sign_in(desk, officer)
    with db.writing() as session:
        session.get_one(Account, officer.id).disabled_at = db.now()
    assert desk.get("/desk").status_code == 303
    assert knock(desk, officer).status_code == 403


def test_a_program_is_told_to_sign_in_rather_than_sent_to_a_page(desk: TestClient) -> None:
    answer = desk.get("/desk", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json()["type"] == "/developers#problem-sign-in-first"


# ---- forms come from this site, this session and the right role ----------------------------------------------------


def test_no_other_site_signs_anybody_in_or_out(desk: TestClient) -> None:
    officer = add_officer()
    form = {"login": officer.login, "password": PASSWORD, "code": officer.code()}
    assert desk.post("/desk/login", data=form, headers=ELSEWHERE).status_code == 403
    sign_in(desk, officer)
    sent = {"form_token": form_token(desk)}
    assert desk.post("/desk/logout", data=sent, headers=ELSEWHERE).status_code == 403
    assert desk.post("/desk/logout", data=sent, headers={"Origin": "https://evil.example"}).status_code == 403
    assert desk.get("/desk").status_code == 200


@pytest.mark.usefixtures("unlimited")
def test_every_write_below_the_desk_needs_a_token_of_this_very_session(desk: TestClient) -> None:
    sign_in(desk, add_officer("other", roles=["administrator"]))
    of_another_session = form_token(desk)
    desk.cookies.clear()
    sign_in(desk, add_officer(roles=["clerk", "reviewer", "administrator"]))
    writes = [
        (method, re.sub(r"\{\w+\}", "1", route.path))
        for route in routes()
        for method in route.methods - {"GET", "HEAD"}
        if (declared := door_of(route.endpoint)) and declared.who == "officer"
    ]
    assert ("POST", "/desk/logout") in writes
    for method, path in writes:
        for sent in ({}, {"form_token": ""}, {"form_token": "ä.é"}, {"form_token": of_another_session}):
            assert desk.request(method, path, data=sent).status_code == 403, path
            assert desk.request(method, path, headers={"x-form-token": "x"}).status_code == 403, path
    assert desk.get("/desk").status_code == 200


def test_a_role_that_is_too_small_is_told_so_and_changes_nothing(desk: TestClient) -> None:
    other = add_officer("other")
    sign_in(desk, add_officer(roles=["clerk", "reviewer"]))
    assert "Your role does not cover this." in desk.get("/desk/accounts").text
    sent = {"form_token": form_token(desk)}
    assert desk.post(f"/desk/accounts/{other.id}/disable", data=sent).status_code == 403
    with db.reading() as session:
        assert session.get_one(Account, other.id).disabled_at is None


# ---- accounts -------------------------------------------------------------------------------------------------------


def test_an_administrator_disables_and_enables_those_of_their_department_and_district(desk: TestClient) -> None:
    own, other_district, whole_city = (
        add_officer("own", district="310101"),
        add_officer("b", district="310104"),
        add_officer("c"),
    )
    other_department = add_officer("d", district="310101", department="应急管理局")
    chief = add_officer("chief", name="陈静", district="310101", roles=["administrator"])
    sign_in(desk, chief)
    page = desk.get("/desk/accounts").text
    assert re.findall(r'<code translate="no">(\w+)</code>', page) == ["chief", "own"]
    sent = {"form_token": form_token(desk)}

    assert desk.post(f"/desk/accounts/{own.id}/disable", data=sent).headers["location"] == "/desk/accounts"
    assert "Disabled" in desk.get("/desk/accounts").text
    for outside in (other_district, whole_city, other_department):
        assert desk.post(f"/desk/accounts/{outside.id}/disable", data=sent).status_code == 404
    assert desk.post("/desk/accounts/999/enable", data=sent).status_code == 404
    refused = desk.post(f"/desk/accounts/{chief.id}/disable", data=sent)
    assert (refused.status_code, "their own account" in refused.text) == (409, True)
    with db.reading() as session:
        disabled = session.scalars(select(Account.id).where(Account.disabled_at.is_not(None))).all()
    assert disabled == [own.id]

    desk.post(f"/desk/accounts/{own.id}/enable", data=sent)
    assert "Disabled" not in desk.get("/desk/accounts").text


# ---- what areas put on the desk -------------------------------------------------------------------------------------


def _queues(_session: object, officer: Officer) -> list[Queue]:
    return [Queue("Tips to accept", "/desk/cases", waiting=1_204, overdue=3)] if officer.may("clerk") else []


@pytest.fixture
def offering(desk: TestClient) -> Iterator[TestClient]:
    """A desk on which a made-up area puts something; the application is shared, so its own areas come back."""
    app: Any = desk.app
    kept = app.state.areas
    made_up = Area("made-up", queues=_queues, figures=lambda *_: [Figure("Cases this year", 31)])
    app.state.areas = (made_up, Area("silent"))
    yield desk
    app.state.areas = kept


def test_the_desk_shows_what_areas_offer_this_officer(offering: TestClient) -> None:
    sign_in(offering, add_officer())
    page = offering.get("/desk").text
    for shown in ('<a href="/desk/cases">Tips to accept</a>', "1,204", "3 overdue", "Cases this year", "31"):
        assert shown in page
    offering.cookies.clear()
    sign_in(offering, add_officer("second", roles=["reviewer"]))
    assert "Nothing waits for you." in offering.get("/desk").text


# ---- as officers meet it --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address of a served portal with one administrator, and the secret of their authenticator."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    about = ["--login", "chen.jing", "--name", "陈静", "--department", "市场监督管理局", "--role", "administrator"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTAL_DATA_DIR", str(folder / "var"))
        patch.setenv("PORTAL_DATABASE_URL", "")
        command = [PORTAL, "staff", "add", *about, "--password-file", folder / "password", "--json"]
        made = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with served(folder / "var", PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url, pyotp.parse_uri(made["otpauth"]).secret
    shutil.rmtree(folder)


_used: list[int] = []


def unused_code(secret: str) -> str:
    """A code of a step that no test of this module used yet; waits for one when all are used."""
    while True:
        present = int(time.time()) // 30
        step = max([present - 1, *(used + 1 for used in _used)])
        if step <= present + 1:
            _used.append(step)
            return pyotp.TOTP(secret).generate_otp(step)
        time.sleep(1)


@pytest.fixture(scope="module")
def officer_page(browser: Browser, desk_url: tuple[str, str]) -> Iterator[Page]:
    """A browser's page whose officer has signed in through the form."""
    url, secret = desk_url
    context = browser.new_context(base_url=url, locale="zh-CN", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("request", lambda request: request.url.startswith(url) or complaints.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/desk/accounts")
    page.get_by_label("登录名").fill("chen.jing")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_label("动态验证码").fill(unused_code(secret))
    page.get_by_role("button", name="登录").click()
    page.wait_for_url("**/desk/accounts")
    yield page
    context.close()
    assert complaints == []


def _axe(page: Page) -> None:
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    again = page.evaluate("axe.run({runOnly: ['color-contrast', 'target-size', 'scrollable-region-focusable']})")
    assert again["violations"] == []
    page.set_viewport_size({"width": 320, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.locator("h1").count() == 1
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", ["/desk", "/desk/accounts"])
def test_axe_finds_nothing_on_the_desk(officer_page: Page, path: str, language: str) -> None:
    officer_page.goto(f"{path}?lang={language}")
    assert officer_page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    _axe(officer_page)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing_on_the_sign_in_page_nor_when_it_refuses(
    browser: Browser, desk_url: tuple[str, str], language: str
) -> None:
    page = browser.new_page(base_url=desk_url[0], locale="zh-CN" if language == "zh" else "en-GB")
    page.goto("/desk/login")
    _axe(page)
    page.locator("#login").fill(f"nobody-{language}")
    page.locator("#password").fill("wrong")
    page.locator("#code").fill("123456")
    page.locator("form.fields button").click()
    assert page.get_by_role("alert").is_visible()
    _axe(page)
    page.close()


def test_without_scripts_an_officer_signs_in_and_out(browser: Browser, desk_url: tuple[str, str]) -> None:
    url, secret = desk_url
    page = browser.new_page(base_url=url, locale="en-GB", java_script_enabled=False)
    page.goto("/desk")
    page.get_by_label("Login name").fill("Chen.Jing")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("One-time code").fill(unused_code(secret))
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Desk"
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_text("You are signed out.").is_visible()
    page.goto("/desk")
    assert page.url.endswith("/desk/login")
    page.close()
