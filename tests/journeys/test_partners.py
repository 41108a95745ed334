"""An association's batch from the spreadsheet to the entity's page, and the entity's objection, in a browser."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from partners import demo
from portal.kit import db
from record import evaluations
from tests.conftest import served, use_settings
from tests.members import certificate
from tests.partners import batches

LANGUAGES = ["zh", "en"]
PHONE = {"width": 390, "height": 844}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def portal(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and data folder of a demonstration portal with its keys."""
    folder = tmp_path_factory.mktemp("partners")
    shutil.copytree(demo_data, folder / "var")
    shutil.copytree(demo_data.with_name("var-keys"), folder / "var-keys")
    with served(folder / "var", PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url, folder / "var"


@pytest.fixture
def visit(browser: Browser, portal: tuple[str, Path]) -> Iterator[Callable[..., Page]]:
    """Opens a page for somebody; nothing may be asked of another host, and no script may fail."""
    contexts, complaints = [], []
    url, _ = portal

    def opened(path: str, *, language: str = "zh", **options: Any) -> Page:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = browser.new_context(base_url=url, locale=locale, **{"viewport": PHONE, **options})
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


def sign_in(page: Page, folder: Path, login: str, at: str = "/account/login") -> None:
    known = {one["login"]: one for one in json.loads((folder / "demo-accounts.json").read_text("utf-8"))}
    secret = parse_qs(urlsplit(known[login]["otpauth"]).query)["secret"][0]
    page.goto(at)
    page.locator("#login").fill(login)
    page.locator("#password").fill(known[login]["password"])
    page.locator("#code").fill(unused_code(secret, folder))
    page.locator("main button[type=submit]").click()
    expect(page.locator(".deskbar")).to_be_visible()


_spent: dict[tuple[Path, str], int] = {}


def unused_code(secret: str, folder: Path) -> str:
    """A code that no sign-in of this run has used: three fit at any time."""
    import time

    step = max(int(time.time() - 25) // 30, _spent.get((folder, secret), 0) + 1)
    _spent[folder, secret] = step
    return pyotp.TOTP(secret).generate_otp(step)


def business(folder: Path) -> tuple[str, str]:
    """Code and name of the demonstration's business that has a seat."""
    with pytest.MonkeyPatch.context() as patch:
        use_settings(patch, data_dir=folder, database_url="")
        with db.reading() as session:
            from partners import organisations

            found = organisations.get(session, demo.BUSINESS)
            return str(found.entity_code), found.name


def spreadsheet(path: Path, entity: tuple[str, str], grade: str, day: str) -> Path:
    """What an association has: a title above the header, its own way to write days."""
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["2026年会员信用评价结果"])
        writer.writerow(batches.HEADER)
        writer.writerow([entity[1], entity[0], grade, day, "3年", certificate("AA", 77)])
    return path


@pytest.mark.parametrize(("language", "day"), [("zh", "2026年10月15日"), ("en", "2026.10.16")])
def test_upload_errors_mend_accept_rating_dispute_withdrawn(
    visit: Callable[..., Page], portal: tuple[str, Path], tmp_path: Path, language: str, day: str
) -> None:
    _, folder = portal
    entity = business(folder)
    page = visit("/account/login", language=language)
    axe(page)
    sign_in(page, folder, "demo.association")
    axe(page)
    page.goto("/account/batches/new")
    axe(page)
    page.locator("#file").set_input_files(spreadsheet(tmp_path / "会员.csv", entity, "AAAA", day))
    page.locator("form[data-upload] button[type=submit]").click()
    fault = page.locator("table.faults tbody tr")
    expect(fault).to_have_count(1, timeout=20_000)
    expect(fault).to_contain_text("AAAA")
    expect(fault.locator("th")).to_have_text("3")
    axe(page)
    page.get_by_role("link", name="报送修改后的文件" if language == "zh" else "Send the mended file").click()
    page.locator("#file").set_input_files(spreadsheet(tmp_path / "会员改.csv", entity, "AA", day))
    page.locator("form[data-upload] button[type=submit]").click()
    accept = page.get_by_role("button", name="接收并发布" if language == "zh" else "Accept and publish")
    expect(accept).to_be_visible(timeout=20_000)
    axe(page)
    accept.click()
    expect(page.locator(".tag.good")).to_be_visible(timeout=20_000)

    public = visit(f"/entities/{entity[0]}", language=language)
    expect(public.locator("#main")).to_contain_text("演示行业信用评价")
    axe(public)

    owner = visit("/account/login", language=language)
    sign_in(owner, folder, "demo.business")
    owner.goto("/account/ratings")
    axe(owner)
    newest = owner.locator("article.entry", has_text="AA").first
    newest.locator("details").last.locator("summary").click()
    newest.locator("textarea[name=grounds]").fill("等级与评价报告不一致，请更正。")
    newest.locator("form[action$=dispute] button").click()
    expect(owner.locator(".tag").first).to_be_visible()
    number = owner.url.rpartition("/")[2]
    axe(owner)

    page.goto(f"/account/disputes/{number}")
    axe(page)
    page.locator("details summary").last.click()
    page.locator("#concede").fill("经复核录入有误，撤回该评价。")
    page.locator("form[action$=concede] button").click()
    expect(page.locator("p[role=status] .tag")).to_have_text(
        "评价机构撤回" if language == "zh" else "Withdrawn by the rater"
    )
    iso = "2026-10-15" if language == "zh" else "2026-10-16"
    for _ in range(40):  # a job takes it out of the record
        owner.goto("/account/ratings")
        if not owner.locator(f'time[datetime="{iso}"]').count():
            break
        owner.wait_for_timeout(250)
    assert owner.locator(f'time[datetime="{iso}"]').count() == 0
    public.reload()
    assert public.locator(f'time[datetime="{iso}"]').count() == 0


def test_an_officer_decides_a_dispute_and_the_desks_pages_are_sound(
    visit: Callable[..., Page], portal: tuple[str, Path]
) -> None:
    _, folder = portal
    page = visit("/desk/login")
    sign_in(page, folder, "demo.reviewer", "/desk/login")
    for path in ("/desk/partners", "/desk/partners/demo-association", "/desk/disputes", "/desk/schemes/demo-credit/1"):
        page.goto(path)
        axe(page)
    with pytest.MonkeyPatch.context() as patch:
        use_settings(patch, data_dir=folder, database_url="")
        with db.reading() as session:
            assert evaluations.of_entity(session, business(folder)[0]) is not None
