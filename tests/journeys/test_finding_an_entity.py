"""From the home page to an entity's file: without scripts, with the keyboard alone, and on paper."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect


def test_without_scripts_a_citizen_searches_filters_and_reads_a_file(
    entity: dict[str, Any], open_page: Callable[..., Page]
) -> None:
    page = open_page("/", language="zh", java_script_enabled=False)
    page.get_by_role("searchbox").fill(entity["name"][2:4])
    page.get_by_role("button", name="搜索").click()
    assert page.locator(".hit").count() > 0
    district = page.locator('.facet a[href*="district="]').first
    label, count = (text.strip() for text in district.locator("span").all_inner_texts())
    district.click()
    assert page.locator(".chips a").inner_text().endswith(label)
    assert count in page.locator("#tally").inner_text()
    name = page.locator(".hit h3").first.inner_text()
    page.locator(".hit h3 a").first.click()
    assert page.get_by_role("heading", level=1).inner_text() == name
    assert page.locator(".facts-grid").get_by_text(label, exact=True).is_visible()


def test_a_filter_is_taken_back_by_its_chip(addresses: dict[str, str], open_page: Callable[..., Page]) -> None:
    page = open_page(addresses["filtered"], language="en")
    assert page.locator(".chips a").count() == 3
    page.get_by_role("link", name="Remove the filter Active").click()
    assert "status=" not in page.url
    page.locator(".facet a[aria-current]").first.click()
    assert "district=" not in page.url


def test_a_whole_code_in_any_spelling_leads_straight_to_the_file(
    entity: dict[str, Any], open_page: Callable[..., Page]
) -> None:
    code = entity["code"]
    spaced = f"{code[:2]} {code[2:8]} {code[8:17].lower()} {code[17:]}"
    page = open_page("/")
    page.get_by_role("combobox").fill(spaced)
    page.get_by_role("combobox").press("Enter")
    page.wait_for_url(f"**/entities/{code}")
    page.goto(f"/entities/{code.lower()}")
    assert page.url.endswith(code)


def test_suggestions_are_chosen_with_the_keyboard_alone(entity: dict[str, Any], open_page: Callable[..., Page]) -> None:
    page = open_page("/", language="en")
    page.keyboard.press("/")
    box = page.get_by_role("combobox")
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-expanded", "false")
    page.keyboard.insert_text(entity["name"])
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".seek [role=status]")).to_contain_text("suggestion")

    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    expect(box).to_have_value(entity["name"])

    page.keyboard.press("Backspace")
    expect(options.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    chosen = options.first.locator("span").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/entities/*")
    assert page.get_by_role("heading", level=1).inner_text() == chosen


def test_tab_reaches_everything_that_can_be_used(addresses: dict[str, str], open_page: Callable[..., Page]) -> None:
    page = open_page(addresses["search"], language="en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    wanted = page.locator("main :is(a, button, input, summary):visible").count()
    seen = 1
    while page.evaluate("document.activeElement.closest('main') !== null"):
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", page.evaluate("document.activeElement.outerHTML")
        page.keyboard.press("Tab")
        seen += 1
    assert seen - 1 == wanted


def test_a_printed_file_is_the_file_and_nothing_else(addresses: dict[str, str], open_page: Callable[..., Page]) -> None:
    page = open_page(addresses["entity"], language="zh")
    page.emulate_media(media="print", color_scheme="dark")
    for gone in (".masthead nav", ".switch", ".crumbs", ".side", ".foot nav", ".skip", "button"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.get_by_role("heading", level=1).is_visible()
    assert page.locator(".made-up").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    for hidden in page.locator("details.long li").all():
        assert hidden.is_visible()
