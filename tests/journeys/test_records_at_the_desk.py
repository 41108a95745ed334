"""An officer enters a record and hands in a file: without scripts, on a phone, and with nothing for axe to find."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.conftest import PORTAL, served
from tests.officers import PASSWORD

DEPARTMENT = "黄浦区市场监督管理局"
HEADER = "行政相对人名称,统一社会信用代码,处罚决定书文号,违法行为类型,处罚内容,处罚决定日期\n"
LANGUAGES = ["zh", "en"]


@pytest.fixture(scope="module")
def desk_url(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a demonstration portal, and the authenticator's secret of a clerk for each language."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(demo_data, folder / "var")
    (folder / "password").write_text(PASSWORD)
    environment = {**os.environ, "PORTAL_DATA_DIR": str(folder / "var"), "PORTAL_DATABASE_URL": ""}
    secrets = {}
    for language in LANGUAGES:
        command = ["staff", "add", "--login", f"clerk-{language}", "--name", "李伟", "--department", DEPARTMENT]
        command += ["--role", "clerk", "--password-file", str(folder / "password"), "--json"]
        made = subprocess.run([PORTAL, *command], env=environment, check=True, capture_output=True, text=True)
        secrets[language] = pyotp.parse_uri(json.loads(made.stdout)["otpauth"]).secret
    with served(folder / "var", PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url, secrets


@pytest.fixture(scope="module")
def signed_in(browser: Browser, desk_url: tuple[str, dict[str, str]]) -> Iterator[Callable[..., Page]]:
    """A page of the clerk's: with scripts it stays signed in from test to test."""
    url, secrets = desk_url
    states: dict[str, Any] = {}
    contexts, complaints = [], []

    def opened(language: str, **options: Any) -> Page:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = browser.new_context(base_url=url, locale=locale, storage_state=states.get(language), **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith(url) or complaints.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if language not in states:
            page.goto("/desk/login")
            page.locator("#login").fill(f"clerk-{language}")
            page.locator("#password").fill(PASSWORD)
            page.locator("#code").fill(pyotp.TOTP(secrets[language]).now())
            page.locator("form.fields button").click()
            page.wait_for_url("**/desk")
            states[language] = context.storage_state()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def axe(page: Page) -> None:
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


def fill(page: Page, entity: dict[str, Any], document: str) -> None:
    said = {"party": entity["code"], "document": document, "act": "发布奇观异想广告", "content": "罚款二万元"}
    for name, text in {**said, "occurred_on": "2026年3月5日", "categories": "罚款"}.items():
        page.locator(f"#{name}").fill(text)
    page.locator("#gravity").select_option("general")


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_on_the_way_to_a_published_record_and_its_correction(
    signed_in: Callable[..., Page], entity: dict[str, Any], language: str
) -> None:
    page = signed_in(language)
    page.goto("/desk/entries")
    axe(page)
    page.goto("/desk/entries/new/penalty")
    axe(page)
    page.locator("[name=step]").click()
    expect(page.get_by_role("alert")).to_be_visible()
    axe(page)
    fill(page, entity, f"沪监罚〔2026〕{language}号")
    page.locator("[name=step]").click()
    axe(page)
    page.locator("[value=publish]").click()
    page.wait_for_url(re.compile(r"/desk/entries/\d+$"))
    axe(page)
    page.locator("a[href$='/edit']").click()
    axe(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_on_the_pages_of_deliveries(
    signed_in: Callable[..., Page], entity: dict[str, Any], language: str
) -> None:
    page = signed_in(language)
    rows = [
        f"{entity['name']},{entity['code']},一号{language},广告,罚款,昨天",
        "上海查无此家有限公司,,二号,广告,罚款,2026-03-05",
    ]
    page.goto("/desk/imports/new")
    axe(page)
    content = (HEADER + "\n".join(rows)).encode()
    page.locator("#file").set_input_files({"name": "rows.csv", "mimeType": "text/csv", "buffer": content})
    page.locator("main form button").click()
    page.wait_for_url(re.compile(r"/desk/imports/\d+$"))
    expect(page.locator("#delivery .tag.good")).to_be_visible(timeout=30_000)  # the page looks again by itself
    axe(page)
    for path in ("/desk/imports", "/desk/unmatched"):
        page.goto(path)
        axe(page)


def test_without_scripts_and_on_a_phone_a_clerk_enters_a_record_and_hands_in_a_file(
    signed_in: Callable[..., Page], entity: dict[str, Any]
) -> None:
    signed_in("en")
    page = signed_in("en", java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto("/desk")
    page.get_by_role("link", name="Enter a record").click()
    page.get_by_role("link", name="Penalties").click()
    fill(page, entity, "沪监罚〔2026〕无脚本号")
    page.get_by_label("Fine (yuan)").fill("很多")
    page.get_by_role("button", name="See it as the public will").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be entered as it stands")
    expect(page.get_by_label("Offence")).to_have_value("发布奇观异想广告")
    page.get_by_label("Fine (yuan)").fill("2万元")
    page.get_by_role("button", name="See it as the public will").click()
    expect(page.locator("article")).to_contain_text("20000")
    page.get_by_role("button", name="Go back and change it").click()
    page.get_by_label("Fine (yuan)").fill("3万元")
    page.get_by_role("button", name="See it as the public will").click()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="See it there").click()
    expect(page.locator("main")).to_contain_text("沪监罚〔2026〕无脚本号")

    page.goto("/desk/imports/new")
    content = (HEADER + f"{entity['name']},{entity['code']},三号,广告,罚款,2026-03-05").encode()
    page.get_by_label("File").set_input_files({"name": "rows.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Hand it in").click()
    deadline = time.monotonic() + 30
    while page.get_by_role("link", name="Look again").count() and time.monotonic() < deadline:
        page.get_by_role("link", name="Look again").click()
    expect(page.locator("main")).to_contain_text("Done")
