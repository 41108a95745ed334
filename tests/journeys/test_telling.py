"""Somebody tells the regulator on a phone without scripts, an officer answers, and axe finds nothing on the way."""

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.conftest import served
from tests.reporting.telling import DEVICE, SAID, photo

LANGUAGES = ["zh", "en"]
PHONE = {"width": 390, "height": 844}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def portal(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and data folder of a demonstration portal with its keys."""
    folder = tmp_path_factory.mktemp("telling")
    shutil.copytree(demo_data, folder / "var")
    shutil.copytree(demo_data.with_name("var-keys"), folder / "var-keys")
    with served(folder / "var", PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url, folder / "var"


@pytest.fixture
def visit(browser: Browser, portal: tuple[str, Path]) -> Iterator[Callable[..., Page]]:
    """Opens a page for somebody; nothing may be asked of another host, and no script may fail."""
    contexts, complaints = [], []
    url, _ = portal

    def opened(path: str, *, language: str = "zh", scripts: bool = True, **options: Any) -> Page:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = browser.new_context(
            base_url=url, locale=locale, java_script_enabled=scripts, **{"viewport": PHONE, **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith(url) or complaints.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def axe(page: Page) -> None:
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate(OVERFLOW) == 0
    page.emulate_media(color_scheme="dark")
    again = page.evaluate("axe.run({runOnly: ['color-contrast', 'target-size', 'scrollable-region-focusable']})")
    assert again["violations"] == []
    page.emulate_media(color_scheme="light")


def fill_in(page: Page, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo())
    page.locator("#entity").fill("上海")
    page.locator("#service").select_option("food")
    page.locator("#description").fill(SAID)
    page.locator("#files").set_input_files(tmp_path / "photo.jpg")


def receipt_on(page: Page) -> str:
    return re.sub(r"\D", "", page.locator(".digits").inner_text())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_way_on_a_phone_without_scripts(visit: Callable[..., Page], tmp_path: Path, language: str) -> None:
    page = visit("/", language=language, scripts=False)
    page.locator('main a[href="/report"]').first.click()
    page.locator('a[href^="/report/new?kind=report"]').click()
    fill_in(page, tmp_path)
    page.locator("form.fields > button").click()
    expect(page.locator("dd.words")).to_have_text(SAID)
    expect(page.get_by_text(DEVICE)).to_be_visible()
    page.locator('input[name="entity_code"]').first.check()
    page.locator("form .actions button").first.click()
    receipt = receipt_on(page)
    assert len(receipt) == 16
    expect(page.locator(".qr svg")).to_be_visible()
    page.goto("/report/status")
    page.locator("#receipt").fill(" ".join(receipt[at : at + 4] for at in range(0, 16, 4)))
    page.locator("form.fields button").click()
    page.locator("#text").fill("今天又看见了")
    page.locator("form.fields button").click()
    expect(page.locator(".talk li").last).to_contain_text("今天又看见了")
    assert receipt not in page.url
    assert not page.context.cookies() or receipt not in str(page.context.cookies())


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_from_the_form_to_the_receipt(
    visit: Callable[..., Page], tmp_path: Path, language: str
) -> None:
    page = visit("/report/new?kind=report", language=language)
    page.locator("#description").evaluate("field => field.removeAttribute('required')")
    page.locator("#service").evaluate("field => field.removeAttribute('required')")
    page.locator("form.fields > button").click()
    expect(page.locator("#refused")).to_be_visible()
    axe(page)
    fill_in(page, tmp_path)
    page.locator("form.fields > button").click()
    expect(page.locator("dd.words")).to_be_visible()
    axe(page)
    page.locator("form .actions button").first.click()
    expect(page.locator(".digits")).to_be_visible()
    axe(page)
    receipt = receipt_on(page)
    page.goto("/report/status")
    page.locator("#receipt").fill("1234567890123456")
    page.locator("form.fields button").click()
    axe(page)
    page.locator("#receipt").fill(receipt)
    page.locator("form.fields button").click()
    expect(page.locator("#text")).to_be_visible()
    axe(page)


def test_an_entity_is_suggested_while_it_is_typed_and_filled_in(visit: Callable[..., Page]) -> None:
    page = visit("/report/new?kind=report")
    box = page.locator("#entity")
    box.press_sequentially("上海")
    expect(page.locator("[role=option]").first).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")
    expect(page).to_have_url(re.compile("/report/new"))
    chosen = box.input_value()
    assert len(page.locator('input[name="entity_code"]').input_value()) == 18
    page.locator("#service").select_option("food")
    page.locator("#description").fill(SAID)
    page.locator("form.fields > button").click()
    expect(page.get_by_text(chosen)).to_be_visible()


def busy(data_dir: Path, arrivals: int) -> None:
    """Make the portal believe that so many tip-offs arrived this minute and the last."""
    minute = int(time.time()) // 60
    with sqlite3.connect(data_dir / "portal.sqlite3") as connection:
        connection.execute("PRAGMA busy_timeout=10000")
        connection.execute("DELETE FROM intake_load")
        if arrivals:
            connection.executemany(
                "INSERT INTO intake_load VALUES (?, ?)", [(each, arrivals) for each in range(minute - 1, minute + 4)]
            )


def test_in_a_flood_a_browser_proves_its_work_and_without_scripts_one_waits(
    visit: Callable[..., Page], portal: tuple[str, Path], tmp_path: Path
) -> None:
    _, data_dir = portal
    busy(data_dir, 40)
    try:
        page = visit("/report/new?kind=report")
        fill_in(page, tmp_path)
        page.locator("form.fields > button").click()
        page.locator("form .actions button").first.click()
        expect(page.locator(".digits")).to_be_visible(timeout=15_000)
        slow = visit("/report/new?kind=report", scripts=False)
        fill_in(slow, tmp_path)
        slow.locator("form.fields > button").click()
        slow.locator("form .actions button").first.click()
        expect(slow.locator("[role=alert]")).to_contain_text("秒")
        expect(slow.locator("dd.words")).to_have_text(SAID)
        time.sleep(21)
        slow.locator("form .actions button").first.click()
        expect(slow.locator(".digits")).to_be_visible()
    finally:
        busy(data_dir, 0)


# ---- the officer ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def officer_state(browser: Browser, portal: tuple[str, Path]) -> Any:
    """What a browser keeps of the demonstration's clerk, signed in."""
    url, data_dir = portal
    known = json.loads((data_dir / "demo-accounts.json").read_text("utf-8"))[0]
    secret = parse_qs(urlsplit(known["otpauth"]).query)["secret"][0]
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/desk/login")
    page.locator("#login").fill(known["login"])
    page.locator("#password").fill(known["password"])
    page.locator("#code").fill(pyotp.TOTP(secret).now())
    page.locator("form.fields button").click()
    page.wait_for_url("**/desk")
    state = context.storage_state()
    context.close()
    return state


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_at_the_desk(visit: Callable[..., Page], officer_state: Any, language: str) -> None:
    page = visit("/desk/tips", language=language, storage_state=officer_state)
    axe(page)
    addresses = [link.get_attribute("href") for link in page.locator("tbody th a").all()]
    for address in addresses[:6]:
        page.goto(str(address))
        for details in page.locator("details.long").all():
            details.evaluate("one => one.open = true")
        axe(page)


def test_the_queue_is_worked_by_keyboard(visit: Callable[..., Page], officer_state: Any) -> None:
    page = visit("/desk/tips", storage_state=officer_state, viewport={"width": 1280, "height": 900})
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    page.keyboard.press("m")
    expect(page.locator("[role=status]")).to_contain_text("2")
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page).to_have_url(re.compile(r"/desk/tips/\d{4}-\d{7}-\d$"))


def test_an_officer_answers_without_scripts_and_the_reporter_reads_it(
    visit: Callable[..., Page], officer_state: Any, portal: tuple[str, Path]
) -> None:
    _, data_dir = portal
    receipt = json.loads((data_dir / "demo-receipt.json").read_text("utf-8"))["receipt"]
    mine = visit("/report/status", scripts=False)
    mine.locator("#receipt").fill(receipt)
    mine.locator("form.fields button").click()
    number = re.findall(r"\d{4}-\d{7}-\d", mine.content())[0]
    desk = visit(f"/desk/tips/{number}?reply=ended", scripts=False, storage_state=officer_state)
    assert "终结" in desk.locator("textarea[name=text]").first.input_value()
    desk.locator("textarea[name=text]").first.fill("材料已收到，下周三见")
    desk.locator('form[action$="/reply"] button').first.click()
    mine.goto("/report/status")
    mine.locator("#receipt").fill(receipt)
    mine.locator("form.fields button").click()
    expect(mine.locator(".talk li.officer").last).to_contain_text("材料已收到，下周三见")
