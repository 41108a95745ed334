"""The engine over Meilisearch: what every engine keeps, over a stand-in always and over a real server where one is
given, and what a server that is slow, gone, refusing or cut short must not break."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack
from secrets import token_hex

import pytest

from search.documents import EntityDocument
from search.engine import EngineUnavailable, Filters
from search.meili import MeiliEngine
from search.meili.server import Refused
from tests.contracts.engine_cases import LAMP, NET, REGISTER, EngineCases, code
from tests.search.meili_server import Meilisearch, running

URL, KEY = os.environ.get("PORTAL_TEST_MEILISEARCH_URL", ""), os.environ.get("PORTAL_TEST_MEILISEARCH_KEY", "")
REAL = pytest.mark.skipif(
    not (URL and KEY), reason="set PORTAL_TEST_MEILISEARCH_URL and PORTAL_TEST_MEILISEARCH_KEY to a server's"
)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[tuple[Meilisearch, str]]:
    state = Meilisearch()
    with running(state) as url:
        yield state, url


@pytest.fixture
def server(stand_in: tuple[Meilisearch, str]) -> Iterator[Meilisearch]:
    """The stand-in, in order again after each test."""
    state, _ = stand_in
    yield state
    state.delay, state.answer_with, state.status, state.fail_tasks = 0.0, None, 0, {}


@pytest.fixture
def url(stand_in: tuple[Meilisearch, str]) -> str:
    return stand_in[1]


@pytest.fixture
def name() -> str:
    """How the indexes of one test begin, so that tests share a server."""
    return f"test-{token_hex(4)}"


@pytest.fixture
def engine(server: Meilisearch, url: str, name: str) -> MeiliEngine:
    return MeiliEngine(url, "all", index=name, timeout=2, pause=0.2)


class TestMeiliEngine(EngineCases):
    """The shared cases, over the stand-in."""


@REAL
class TestMeiliEngineOverARealServer(EngineCases):
    """The shared cases, over a server that is there."""

    @pytest.fixture
    def engine(self, name: str) -> Iterator[MeiliEngine]:
        made = MeiliEngine(URL, KEY, index=name, timeout=10)
        yield made
        made._server.delete(made._server.live)


def found(engine: MeiliEngine, text: str) -> list[str]:
    return [hit.code for hit in engine.search(text, Filters(), limit=10).hits]


def indexes(server: Meilisearch, name: str) -> list[str]:
    return [uid for uid in server.indexes if uid.startswith(name)]
