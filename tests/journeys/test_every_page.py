"""What holds for every page, in both languages."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

PAGES = [
    "home",
    "search",
    "filtered",
    "nothing found",
    "refused",
    "entity",
    "file with a record",
    "follow",
    "follow asked",
    "follow confirm",
    "follow end",
    "follow all",
    "entries",
    "penalties",
    "list",
    "proof",
    "report confirmed",
    "telling",
    "report form",
    "complaint form",
    "receipt asked",
    "sign",
    "statistics",
    "help",
    "about",
    "developers",
    "open data",
    "data set",
    "data set of entities",
    "daily changes",
    "matching",
    "key",
    "key asked",
    "no such page",
    "no such entity",
]
ON_A_PHONE = ["target-size", "scrollable-region-focusable"]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_itself_axe_finds_nothing_by_day_and_night_and_nothing_scrolls_sideways(
    name: str, language: str, addresses: dict[str, str], open_page: Callable[..., Page]
) -> None:
    """Colours are the same in both languages: by day on a wide screen in one, by night on a phone in the other."""
    by_day = language == "zh"
    page = open_page(addresses[name], language=language, color_scheme="light" if by_day else "dark")
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    assert page.locator("h1").count() == 1
    assert page.locator("meta[name=description]").get_attribute("content")
    rules = {} if by_day else {"color-contrast": {"enabled": False}}
    found = Axe().run(page, options={"resultTypes": ["violations"], "rules": rules})
    assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 390, "height": 844})
    if page.locator(".filters").count():
        page.locator(".filters > summary").click()
    wanted = ON_A_PHONE if by_day else ["color-contrast", *ON_A_PHONE]
    again = page.evaluate("rules => axe.run({runOnly: rules})", wanted)
    assert again["violations"] == []
    page.set_viewport_size({"width": 320, "height": 900})
    assert page.evaluate(OVERFLOW) == 0
    page.locator("html").evaluate("html => html.style.setProperty('font-size', '200%')")
    page.set_viewport_size({"width": 640, "height": 900})
    assert page.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_has_a_title_of_its_own(
    language: str, addresses: dict[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page("/", language=language)
    titles = []
    for path in addresses.values():
        page.goto(path)
        titles.append(page.title())
    # A refused search is still a search, so only its words tell it from others.
    assert len(set(titles)) == len(titles)


def test_every_page_says_that_its_data_is_made_up(addresses: dict[str, str], open_page: Callable[..., Page]) -> None:
    page = open_page("/", language="en")
    for path in addresses.values():
        page.goto(path)
        assert page.get_by_role("complementary", name="Demonstration").is_visible(), path


def test_the_language_is_switched_in_place_and_remembered(
    addresses: dict[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page(addresses["filtered"], language="zh")
    page.get_by_role("link", name="English").click()
    assert "district=" in page.url
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto("/help")
    assert page.get_by_role("heading", level=1).inner_text() == "Help"
