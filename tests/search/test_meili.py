"""The engine over Meilisearch: what every engine keeps, over a stand-in always and over a real server where one is
given, and what a server that is slow, gone, refusing or cut short must not break."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from secrets import token_hex

import pytest
from fastapi.testclient import TestClient

from bench import corpus
from bench.search import read_cases
from portal.app import create_app
from portal.kit import db
from portal.kit.settings import get_settings
from record import entities
from search import index
from search.documents import EntityDocument
from search.engine import EngineUnavailable, Filters, current
from search.meili import MeiliEngine
from search.meili import engine as engine_module
from search.meili.server import Refused
from tests.conftest import PORTAL, free_port
from tests.contracts.engine_cases import LAMP, NET, REGISTER, EngineCases, code
from tests.search.meili_server import Index, Meilisearch, running

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


@pytest.fixture(scope="module")
def register(stand_in: tuple[Meilisearch, str]) -> Index:
    """An index of the cases' register, as a rebuild made it, to be copied."""
    state, url = stand_in
    engine = MeiliEngine(url, "all", index="register", timeout=2)
    assert engine.rebuild(iter(REGISTER)) == len(REGISTER)
    return state.indexes.pop("register-v1")


class TestMeiliEngine(EngineCases):
    """The shared cases, over the stand-in."""

    @pytest.fixture
    def filled(self, engine: MeiliEngine, server: Meilisearch, name: str, register: Index) -> MeiliEngine:
        server.indexes[f"{name}-v1"] = deepcopy(register)
        return engine


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


# ---- filling, replacing, changing -----------------------------------------------------------------------------------


def test_a_rebuild_that_is_killed_does_no_harm_and_the_next_one_clears_up(
    engine: MeiliEngine, server: Meilisearch, url: str, name: str
) -> None:
    engine.rebuild(REGISTER)
    script = f"""
        import itertools
        from search.documents import EntityDocument
        from search.meili import MeiliEngine
        from tests.contracts.engine_cases import code
        engine = MeiliEngine({url!r}, "all", index={name!r}, timeout=2)
        with engine.filling() as filling:
            filling.add([filling.prepare(EntityDocument(code(1), "上海半途有限公司"))])
            print("busy", flush=True)
            input()
        """
    builder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "busy\n"
        os.kill(builder.pid, signal.SIGKILL)
    assert len(indexes(server, name)) == 2
    assert engine.count() == len(REGISTER)
    assert engine.rebuild(REGISTER[:3]) == 3
    assert indexes(server, name) == [f"{name}-v1"]
    assert engine.count() == 3


def test_an_index_of_another_version_counts_as_lost_and_goes_with_the_next_rebuild(
    engine: MeiliEngine, server: Meilisearch, name: str
) -> None:
    engine.rebuild(REGISTER)
    server.indexes[f"{name}-v0"] = server.indexes.pop(f"{name}-v1")
    server.indexes[f"{name}-other"] = server.indexes[f"{name}-v0"]
    assert engine.count() == 0
    assert engine.rebuild(REGISTER) == len(REGISTER)
    assert sorted(indexes(server, name)) == [f"{name}-other", f"{name}-v1"]


def test_the_live_index_answers_and_is_written_while_another_grows(engine: MeiliEngine) -> None:
    engine.rebuild(REGISTER[:1])

    def documents() -> Iterator[EntityDocument]:
        engine.write([REGISTER[2]])
        assert found(engine, "东赢网络") == [NET]
        yield from REGISTER

    assert engine.rebuild(documents()) == len(REGISTER)
    assert engine.count() == len(REGISTER)


def test_a_rebuild_whose_index_was_taken_for_a_leftover_does_not_go_live(engine: MeiliEngine) -> None:
    def documents() -> Iterator[EntityDocument]:
        yield from REGISTER[:2]
        assert engine.rebuild(REGISTER) == len(REGISTER)

    with pytest.raises(EngineUnavailable):
        engine.rebuild(documents())
    assert engine.count() == len(REGISTER)


def test_documents_that_fail_leave_the_live_index(engine: MeiliEngine, server: Meilisearch, name: str) -> None:
    engine.rebuild(REGISTER)

    def documents() -> Iterator[EntityDocument]:
        yield EntityDocument(code(970), "上海半途有限公司")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        engine.rebuild(documents())
    with pytest.raises(RuntimeError):
        engine.write(documents(), removed=[LAMP])
    assert indexes(server, name) == [f"{name}-v1"]
    assert found(engine, "半途") == []
    assert found(engine, "栎岚照明")[0] == LAMP


@pytest.mark.parametrize("kind", ["indexCreation", "settingsUpdate", "documentAdditionOrUpdate", "indexSwap"])
def test_a_task_that_fails_is_an_error_with_the_servers_code_and_the_live_index_stays(
    engine: MeiliEngine, server: Meilisearch, kind: str
) -> None:
    engine.rebuild(REGISTER)
    server.fail_tasks = {kind: "no_space_left_on_device"}
    with pytest.raises(Refused, match="no_space_left_on_device"):
        engine.rebuild(REGISTER[:1])
    assert engine.count() == len(REGISTER)


def test_a_write_is_done_when_it_returns_and_fails_when_its_task_does(engine: MeiliEngine, server: Meilisearch) -> None:
    engine.write(REGISTER)
    engine.write([], removed=[NET])
    assert engine.count() == len(REGISTER) - 1
    server.fail_tasks = {"documentAdditionOrUpdate": "internal"}
    with pytest.raises(Refused, match="internal"):
        engine.write([REGISTER[2]])


def test_an_index_whose_making_was_cut_short_counts_as_lost(
    engine: MeiliEngine, server: Meilisearch, name: str
) -> None:
    engine.write(REGISTER)
    server.indexes[f"{name}-v1"].settings = {}
    assert engine.count() == 0
    assert engine.rebuild(REGISTER) == engine.count() == len(REGISTER)


def test_every_document_is_sent_once_in_pieces_of_bounded_size() -> None:
    lines = [f"{number:06d}" + "行" * 300_000 for number in range(30)]
    batches = list(engine_module._batches(lines))
    assert b"\n".join(batches).decode().split("\n") == lines
    assert max(map(len, batches)) <= engine_module._BATCH_BYTES


# ---- a server that is slow, gone, or refuses ------------------------------------------------------------------------


def test_a_search_key_searches_and_can_do_nothing_else(
    engine: MeiliEngine, server: Meilisearch, url: str, name: str
) -> None:
    engine.rebuild(REGISTER)
    server.keys["public"] = {"actions": ["search"], "indexes": [f"{name}*"]}
    public = MeiliEngine(url, "public", index=name, timeout=2)
    assert found(public, "栎岚照明")[0] == LAMP
    assert LAMP in public.suggest("栎", limit=5)
    assert public.count() == len(REGISTER)
    for forbidden in (lambda: public.write([], removed=[LAMP]), lambda: public.rebuild([])):
        with pytest.raises(Refused, match="invalid_api_key"):
            forbidden()
    assert engine.count() == len(REGISTER)


def test_a_wrong_key_makes_the_engine_unavailable_and_is_told_to_nobody(
    url: str, server: Meilisearch, name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = MeiliEngine(url, "a-secret-that-is-wrong", index=name, timeout=2)
    with pytest.raises(EngineUnavailable, match="invalid_api_key") as raised:
        found(wrong, "栎岚")
    told = "".join(traceback.format_exception(raised.value)) + "".join(capsys.readouterr()) + caplog.text
    assert "a-secret" not in told


def test_a_server_that_is_away_is_noticed_at_once_and_its_address_is_told_to_nobody(
    name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    away = MeiliEngine(f"http://127.0.0.1:{port}", "key", index=name, timeout=2)
    for asked in (lambda: found(away, "栎岚"), lambda: away.exact(["栎岚"]), away.count, lambda: away.write(REGISTER)):
        with pytest.raises(EngineUnavailable) as raised:
            asked()
        assert str(port) not in "".join(traceback.format_exception(raised.value))
    assert str(port) not in "".join(capsys.readouterr()) + caplog.text


def test_a_slow_server_costs_one_time_out_and_is_left_alone_for_a_moment(
    engine: MeiliEngine, server: Meilisearch, url: str, name: str
) -> None:
    engine.rebuild(REGISTER)
    hasty = MeiliEngine(url, "all", index=name, timeout=0.1, pause=0.3)
    server.delay = 0.5
    with pytest.raises(EngineUnavailable, match="in time"):
        found(hasty, "栎岚")
    server.delay = 0.0
    asked = len(server.requests)
    with pytest.raises(EngineUnavailable, match="a moment ago"):
        found(hasty, "栎岚")
    assert len(server.requests) == asked
    time.sleep(0.35)
    patient = MeiliEngine(url, "all", index=name, timeout=2)
    assert found(patient, "栎岚照明")[0] == LAMP
    assert hasty.count() == len(REGISTER)


def test_a_server_that_comes_back_is_asked_again(name: str) -> None:
    state, port = Meilisearch(), free_port()
    engine = MeiliEngine(f"http://127.0.0.1:{port}", "all", index=name, timeout=2, pause=0.05)
    with running(state, port):
        engine.rebuild(REGISTER[:1])
    with pytest.raises(EngineUnavailable):
        found(engine, "栎岚")
    time.sleep(0.06)
    with running(state, port):
        assert found(engine, "栎岚") == [LAMP]


@pytest.mark.parametrize(
    "nonsense", [b"<html>", b"", b"[]", b"null", b'{"results": []}', b'{"results": [{"indexUid": "other"}]}']
)
def test_nonsense_is_no_answer(engine: MeiliEngine, server: Meilisearch, nonsense: bytes) -> None:
    engine.rebuild(REGISTER[:1])
    server.answer_with = nonsense
    with pytest.raises(EngineUnavailable):
        found(engine, "栎岚")


@pytest.mark.parametrize("status", [500, 503, 429, 404])
def test_an_error_of_the_server_is_no_answer(engine: MeiliEngine, server: Meilisearch, status: int) -> None:
    server.status = status
    with pytest.raises(EngineUnavailable):
        found(engine, "栎岚")


def test_searches_go_on_in_many_threads_while_the_index_is_replaced(engine: MeiliEngine) -> None:
    engine.rebuild(REGISTER)
    failures: list[BaseException] = []
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            try:
                assert found(engine, "栎岚照明")[0] == LAMP
            except BaseException as failure:
                failures.append(failure)
                return

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2):
        engine.write([EntityDocument(code(800 + number), "上海来来往往有限公司")])
        engine.rebuild(REGISTER)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


# ---- the portal over it ---------------------------------------------------------------------------------------------


def test_the_portal_indexes_searches_and_says_when_the_server_is_away(
    filled: str, server: Meilisearch, url: str, name: str, monkeypatch: pytest.MonkeyPatch, unlimited: None
) -> None:
    for setting, value in (("URL", url), ("KEY", "all"), ("INDEX", name)):
        monkeypatch.setenv(f"PORTAL_SEARCH_{setting}", value)
    get_settings.cache_clear()
    current.cache_clear()
    with TestClient(create_app(), base_url="http://127.0.0.1:8000") as client:
        assert index.rebuild() == current().count() == 300
        with db.reading() as session:
            one, *_ = entities.stream(session)
        for asked in (one.name, one.code):
            assert one.code in [item["code"] for item in client.get(f"/api/v1/entities?q={asked}").json()["items"]]
        server.status = 503
        assert client.get(f"/api/v1/entities?q={one.name}").json()["items"] == []
        assert client.get("/search?q=照明").status_code == 200
        assert [item["code"] for item in client.get(f"/api/v1/entities?q={one.code}").json()["items"]] == [one.code]
        assert client.get(f"/api/v1/suggest?q={one.name[:4]}").json()["items"] == []


def test_reindexing_says_why_it_cannot_and_names_neither_server_nor_key(
    embedded: Path, url: str, server: Meilisearch, name: str
) -> None:
    settings = {"DATA_DIR": str(embedded), "SEARCH_URL": url, "SEARCH_KEY": "a-wrong-key", "SEARCH_INDEX": name}
    done = subprocess.run(
        [PORTAL, "reindex"],
        env={**os.environ, **{f"PORTAL_{setting}": value for setting, value in settings.items()}},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "invalid_api_key" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    assert "a-wrong-key" not in done.stdout + done.stderr
    assert url not in done.stdout + done.stderr


# ---- real names -----------------------------------------------------------------------------------------------------

REGISTRY, CASES = os.environ.get("PORTAL_TEST_REGISTRY", ""), os.environ.get("PORTAL_TEST_SEARCH_CASES", "")


@pytest.mark.skipif(
    not (REGISTRY and CASES), reason="set PORTAL_TEST_REGISTRY and PORTAL_TEST_SEARCH_CASES to a registry and its cases"
)
def test_nine_of_ten_real_queries_find_their_entity_among_the_first_ten(url: str, name: str) -> None:
    engine = MeiliEngine(URL or url, KEY or "all", index=name, timeout=60)
    rows = corpus.read(Path(REGISTRY))
    engine.rebuild(EntityDocument(row[1], row[0], address=row[8], status="active") for row in rows)
    try:
        cases = read_cases(Path(CASES))
        assert sum(case.code in found(engine, case.query) for case in cases) >= 0.9 * len(cases)
    finally:
        engine._server.delete(engine._server.live)
