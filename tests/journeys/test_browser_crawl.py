"""A browser goes to every kind of page, as a stranger, an officer and a member, and has nothing to complain of."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, Page, Response

from tests.conftest import served
from tests.test_headers import lacking

TELL = "addEventListener('securitypolicyviolation', e => console.error('refused by policy: ' + e.violatedDirective))"
MOST_PAGES = 45
NOT_FOLLOWED = re.compile(
    r"^/(static|api)/|\.(csv|json|jsonl|xlsx|parquet|pdf|atom|ttl|rdf|xml|jsonld|n3|zip|gz|txt)\b|/raw$"
)


@pytest.fixture(scope="module")
def inhabited(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Address of a demonstration portal of its own, and its officers and members."""
    folder = tmp_path_factory.mktemp("crawl")
    shutil.copytree(demo_data, folder / "var")
    shutil.copytree(demo_data.with_name("var-keys"), folder / "var-keys")
    with served(folder / "var", PORTAL_RATE_LIMITS_ENABLED="false") as url:
        yield url, json.loads((folder / "var" / "demo-accounts.json").read_text("utf-8"))


def shape(path: str) -> str:
    """The kind of page that an address leads to: pages that differ in a number or a code alone are alike."""
    parts = urlsplit(path).path.split("/")
    return "/".join("*" if re.search(r"\d|[A-Z]{2}|.{20}", part) else part for part in parts)


def crawl(page: Page, start: str) -> list[str]:
    """Follow links to one page of every kind. Returns what they were; fails on complaints and missing headers."""
    complaints: list[str] = []
    answers: list[Response] = []
    page.add_init_script(TELL)
    page.on("console", lambda said: said.type == "error" and complaints.append(f"{page.url}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))

    def heard(answer: Response) -> None:
        answers.append(answer)

    page.on("response", heard)
    waiting, seen = [start], {shape(start)}
    visited = []
    while waiting and len(visited) < MOST_PAGES:
        path = waiting.pop(0)
        answer = page.goto(path)
        assert answer is not None
        assert answer.status < 500, path
        visited.append(path)
        for link in page.eval_on_selector_all("a[href^='/']", "links => links.map(link => link.getAttribute('href'))"):
            target = link.partition("#")[0]
            if shape(target) not in seen and not NOT_FOLLOWED.search(target) and "lang=" not in target:
                seen.add(shape(target))
                waiting.append(target)
    assert complaints == []
    assert {answer.url: lacking(_Read(answer)) for answer in answers if lacking(_Read(answer))} == {}
    return visited


class _Read:
    """A browser's answer in the form that `lacking` reads."""

    def __init__(self, answer: Response) -> None:
        self.headers = answer.headers
        self.url = urlsplit(answer.url)
        self.content = b""


def sign_in(page: Page, login: str, someone: dict[str, str]) -> None:
    page.goto(login)
    page.locator("#login").fill(someone["login"])
    page.locator("#password").fill(someone["password"])
    page.locator("#code").fill(pyotp.TOTP(pyotp.parse_uri(someone["otpauth"]).secret).now())
    page.locator("form.fields button").click()
    page.wait_for_url(lambda url: not url.endswith("/login"))


@pytest.mark.parametrize("start", ["/", "/desk", "/account"])
def test_a_browser_has_nothing_to_complain_of_on_any_kind_of_page(
    start: str, browser: Browser, inhabited: tuple[str, list[dict[str, Any]]]
) -> None:
    url, people = inhabited
    context = browser.new_context(base_url=url, locale="en-GB")
    page = context.new_page()
    if start != "/":
        sign_in(page, f"{start}/login", [one for one in people if one.get("at", "/desk") == start][-1])
    visited = crawl(page, start)
    assert len([path for path in visited if path.startswith(start)]) >= (20 if start == "/" else 5)
    context.close()


def test_what_was_smuggled_into_a_page_does_not_run(browser: Browser, inhabited: tuple[str, Any]) -> None:
    context = browser.new_context(base_url=inhabited[0])
    page = context.new_page()
    page.add_init_script(
        "refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.violatedDirective))"
    )
    page.goto("/help")
    page.evaluate("""() => {
        const inline = document.createElement('script'); inline.append('ran = 1'); document.body.append(inline);
        const button = document.createElement('button');
        try { button.setAttribute('onclick', 'ran = 2'); } catch { refused.push('handler'); }
        document.body.append(button); button.click();
        try { document.body.insertAdjacentHTML('beforeend', '<img src=x>'); } catch { refused.push('markup'); }
        const frame = document.createElement('iframe'); frame.src = '/help'; document.body.append(frame);
    }""")
    page.wait_for_timeout(300)
    assert page.evaluate("typeof ran") == "undefined"
    assert {"markup", "frame-src"} <= set(page.evaluate("refused"))
    context.close()
