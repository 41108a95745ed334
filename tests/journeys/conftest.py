"""What journeys share: the address of every kind of page, and pages that tell when something is wrong."""

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from portal.kit import db, links
from record import follow
from record.letters import ALL, CONFIRM, END
from record.models import Follow
from tests import paper
from tests.conftest import forget_settings, use_settings


def ask(url: str) -> dict[str, Any]:
    """A JSON answer of the portal's API."""
    with urllib.request.urlopen(url) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@pytest.fixture(scope="session")
def entity(portal_url: str) -> dict[str, Any]:
    """An entity that bore another name before: its page has the most on it."""
    cursor = ""
    while True:
        answer = ask(f"{portal_url}/api/v1/entities?limit=100{cursor}")
        for item in answer["items"]:
            if item["former_names"] and item["district"] and item["status"] == "active":
                found: dict[str, Any] = item
                return found
        cursor = f"&cursor={answer['next']}"


@pytest.fixture(scope="session")
def follow_links(entity: dict[str, Any], demo_data: Path, portal_url: str) -> dict[str, str]:
    """Links of mails about an entity that somebody follows, by the page that they lead to."""
    with pytest.MonkeyPatch.context() as patch:
        use_settings(patch, data_dir=demo_data)
        with db.writing() as session:
            follow.ask(session, entity["code"], "reader@example.com", "zh")
            [one] = session.scalars(select(Follow))
            follow.confirm(session, one.id)
            pages = (("confirm", CONFIRM, one.id), ("end", END, one.id), ("all", ALL, one.address_id))
            made = {page: f"/follow/{page}/{links.make(purpose, about)}" for page, purpose, about in pages}
    forget_settings()
    return made


def report_of(portal_url: str, code: str) -> str:
    """Where a report of this entity's file, made now, is confirmed."""
    with urllib.request.urlopen(f"{portal_url}/entities/{code}/report.pdf") as answer:
        return paper.confirming(answer.read())


@pytest.fixture(scope="session")
def addresses(entity: dict[str, Any], portal_url: str, follow_links: dict[str, str]) -> dict[str, str]:
    """Every page there is, by what it shows."""
    changes = ask(f"{portal_url}/api/v1/changes?kind=penalty&limit=1000")["items"]
    recorded = next(change["entry"]["entity_code"] for change in changes if change["entry"])
    name = urllib.parse.quote(entity["name"][2:4])
    return {
        "home": "/",
        "search": f"/search?q={name}",
        "filtered": f"/search?district={entity['district']}&status=active",
        "nothing found": f"/search?q={urllib.parse.quote('龘靐齉爩')}",
        "refused": "/search?q=%EF%BC%9F%EF%BC%81",
        "entity": f"/entities/{entity['code']}",
        "file with a record": "/entities/" + recorded,
        "follow": f"/entities/{entity['code']}/follow",
        "follow asked": f"/entities/{entity['code']}/follow?asked=1",
        "follow confirm": follow_links["confirm"],
        "follow end": follow_links["end"],
        "follow all": follow_links["all"],
        "entries": f"/entities/{recorded}/records/inspection",
        "penalties": "/records/penalty",
        "list": "/lists/abnormal_listing",
        "proof": "/ledger/0",
        "report confirmed": report_of(portal_url, recorded),
        "telling": "/report",
        "report form": "/report/new?kind=report",
        "complaint form": f"/report/new?kind=complaint&code={entity['code']}",
        "receipt asked": "/report/status",
        "sign": f"/report/sign?code={entity['code']}",
        "statistics": "/statistics",
        "help": "/help",
        "about": "/about",
        "developers": "/developers",
        "open data": "/data",
        "data set": "/data/penalties",
        "data set of entities": "/data/entities",
        "daily changes": "/data/changes",
        "matching": "/data/match",
        "key": "/data/key",
        "key asked": "/data/key?asked=1",
        "no such page": "/no-such-page",
        "no such entity": "/entities/91310000000000000X",
    }


@pytest.fixture
def open_page(browser: Browser, portal_url: str) -> Iterator[Callable[..., Page]]:
    """Opens a page as a visitor would; at the end, any complaint of the browser or request elsewhere fails the test."""
    contexts, complaints = [], []

    def watch(page: Page) -> None:
        page.on("request", lambda request: request.url.startswith(portal_url) or complaints.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                message.type in ("error", "warning")
                and "status of 4" not in message.text
                and complaints.append(message.text)
            ),
        )

    def opened(path: str, *, language: str = "zh", width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(
            base_url=portal_url,
            locale="zh-CN" if language == "zh" else "en-GB",
            viewport={"width": width, "height": height},
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
