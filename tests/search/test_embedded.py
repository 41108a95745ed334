"""The embedded engine: what every engine keeps, and what many processes, kills and rebuilds must not break."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.documents import EntityDocument
from search.embedded import EmbeddedEngine
from search.engine import EngineUnavailable, Filters
from tests.contracts.engine_cases import LAMP, NET, REGISTER, EngineCases, code


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(tmp_path / "search")


class TestEmbeddedEngine(EngineCases):
    """The shared cases."""


def found(engine: EmbeddedEngine, text: str) -> list[str]:
    return [hit.code for hit in engine.search(text, Filters(), limit=10).hits]


def run(folder: Path, script: str) -> subprocess.Popen[str]:
    """Another process with an engine over the same folder."""
    prelude = f"""
        import sys, time, itertools
        from pathlib import Path
        from search.documents import EntityDocument
        from search.embedded import EmbeddedEngine
        from search.engine import Filters
        from tests.contracts.engine_cases import REGISTER, code
        engine = EmbeddedEngine(Path({str(folder)!r}))
        """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    code = process.wait(timeout=60)
    process.stdout.close()
    return code


def test_other_processes_see_a_commit_and_a_switch_without_a_restart(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.rebuild(REGISTER[:2])
    reader = run(
        tmp_path / "search",
        """
        for line in sys.stdin:
            print(len(engine.search(line.strip(), Filters(), limit=10).hits), engine.count(), flush=True)
        """,
    )
    assert reader.stdin is not None
    for act, expected in (
        (lambda: None, "0 2"),
        (lambda: engine.write([REGISTER[2]]), "1 3"),
        (lambda: engine.rebuild(REGISTER), f"1 {len(REGISTER)}"),
        (lambda: engine.write([], removed=[NET]), f"0 {len(REGISTER) - 1}"),
    ):
        act()
        reader.stdin.write("东赢网络咨询\n")
        reader.stdin.flush()
        assert said(reader) == expected
    assert ended(reader) == 0


def test_processes_that_write_at_once_lose_nothing(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.rebuild(REGISTER[:1])
    script = """
        first = int(sys.stdin.readline())
        for number in range(first, first + 10):
            engine.write([EntityDocument(code(number), f"上海第{number}号试验有限公司")])
        """
    writers = [run(tmp_path / "search", script) for _ in range(3)]
    for number, writer in enumerate(writers):
        assert writer.stdin is not None
        writer.stdin.write(f"{1000 + number * 100}\n")
        writer.stdin.close()
    assert [ended(writer) for writer in writers] == [0, 0, 0]
    assert engine.count() == 31


def test_a_writer_that_is_killed_leaves_the_last_commit_and_a_free_lock(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.rebuild(REGISTER)
    writer = run(
        tmp_path / "search",
        """
        def endless():
            for number in itertools.count(5000):
                if number == 5200:
                    print("busy", flush=True)
                yield EntityDocument(code(number % 90000), "上海无尽有限公司")
        engine.write(endless())
        """,
    )
    assert said(writer) == "busy"
    os.kill(writer.pid, signal.SIGKILL)
    ended(writer)
    assert found(engine, "栎岚照明")[0] == LAMP
    engine.write([EntityDocument(code(700), "上海后来居上有限公司")])
    assert engine.count() == len(REGISTER) + 1
    assert found(engine, "无尽") == []


def test_a_rebuild_that_is_killed_does_no_harm_and_the_next_one_clears_up(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    engine.rebuild(REGISTER)
    builder = run(
        tmp_path / "search",
        """
        def slow():
            for number in itertools.count(6000):
                if number == 6100:
                    print("busy", flush=True)
                yield EntityDocument(code(number % 90000), "上海半途有限公司")
        engine.rebuild(slow())
        """,
    )
    assert said(builder) == "busy"
    os.kill(builder.pid, signal.SIGKILL)
    ended(builder)
    folders = [path for path in (tmp_path / "search").iterdir() if path.is_dir()]
    assert len(folders) == 2
    assert engine.count() == len(REGISTER)
    assert EmbeddedEngine(tmp_path / "search").rebuild(REGISTER[:3]) == 3
    assert len([path for path in (tmp_path / "search").iterdir() if path.is_dir()]) == 1
    assert engine.count() == 3


def test_the_live_index_can_be_written_while_another_is_built(engine: EmbeddedEngine) -> None:
    engine.rebuild(REGISTER[:1])

    def documents() -> Iterator[EntityDocument]:
        engine.write([REGISTER[2]])
        assert found(engine, "东赢网络") == [NET]
        yield from REGISTER

    assert engine.rebuild(documents()) == len(REGISTER)
    assert engine.count() == len(REGISTER)


def test_a_rebuild_whose_documents_fail_leaves_the_live_index(engine: EmbeddedEngine) -> None:
    engine.rebuild(REGISTER)

    def documents() -> Iterator[EntityDocument]:
        yield REGISTER[0]
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        engine.rebuild(documents())
    assert engine.count() == len(REGISTER)


def test_a_batch_whose_documents_fail_changes_nothing_and_blocks_nobody(engine: EmbeddedEngine) -> None:
    engine.rebuild(REGISTER)

    def documents() -> Iterator[EntityDocument]:
        yield EntityDocument(code(970), "上海半途有限公司")
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        engine.write(documents(), removed=[LAMP])
    assert found(engine, "半途") == []
    assert found(engine, "栎岚照明")[0] == LAMP
    engine.write([EntityDocument(code(971), "上海后来有限公司")])
    assert engine.count() == len(REGISTER) + 1


def test_searches_go_on_while_the_index_is_switched_under_them(engine: EmbeddedEngine) -> None:
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

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(6):
        engine.write([EntityDocument(code(800 + number), "上海来来往往有限公司")])
        engine.rebuild(REGISTER)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_many_small_commits_do_not_pile_up_segments(engine: EmbeddedEngine) -> None:
    engine.rebuild(REGISTER)
    for number in range(40):
        engine.write([EntityDocument(code(900 + number), f"上海滴水{number}号有限公司")])
    searcher = engine._reader.searcher()
    assert searcher is not None
    assert searcher.num_segments <= 10
    assert searcher.num_docs == len(REGISTER) + 40


def test_an_index_of_another_version_counts_as_lost(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.rebuild(REGISTER)
    (tmp_path / "search" / "current").write_text("v0-20200101000000-00000000\n")
    assert engine.count() == 0
    assert engine.rebuild(REGISTER) == len(REGISTER)
    assert engine.count() == len(REGISTER)


def test_a_removed_folder_is_noticed_and_can_be_built_again(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.rebuild(REGISTER)
    assert engine.count() == len(REGISTER)
    shutil.rmtree(tmp_path / "search")
    assert engine.count() == 0
    engine.write(REGISTER[:1])
    assert engine.count() == 1


def test_a_damaged_index_is_reported_and_not_answered_from(engine: EmbeddedEngine, tmp_path: Path) -> None:
    engine.rebuild(REGISTER)
    live = next(path for path in (tmp_path / "search").iterdir() if path.is_dir())
    (live / "meta.json").write_text("{")
    with pytest.raises(EngineUnavailable):
        engine.search("栎岚", Filters(), limit=10)
    assert engine.rebuild(REGISTER) == len(REGISTER)
    assert found(engine, "栎岚照明")[0] == LAMP


def test_one_change_is_searchable_at_once(engine: EmbeddedEngine) -> None:
    engine.rebuild(REGISTER)
    started = time.perf_counter()
    engine.write([EntityDocument(code(950), "上海闪电快照有限公司")])
    assert found(engine, "闪电快照") == [code(950)]
    assert time.perf_counter() - started < 2


def test_names_from_the_index_stay_within_one_order_whatever_they_hold(engine: EmbeddedEngine) -> None:
    odd = EntityDocument(
        code(960), "上海\t怪\n名|有限公司", ("a\tb",), "地\t址", "3101\t01", "A|B", "t\n", "act ive", ("x,y",)
    )
    engine.rebuild([odd, *REGISTER])
    assert found(engine, "怪名") == [odd.code]
    assert engine.search("", Filters(), limit=50).total == len(REGISTER) + 1
