"""Measures import, search and serving over a registry, against SQLite's FTS5 in the same run.

    make bench REGISTRY=FILE CASES=FILE [SCALE=3000000]

REGISTRY is a registry file, CASES a table of class, query and expected code. With a scale the registry is grown first
(bench/corpus.py). Everything happens in a temporary folder and on loopback.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench import corpus, load

PORTAL = Path(sys.executable).with_name("portal")
HTTP_SECONDS = 30.0


class Case(NamedTuple):
    kind: str
    query: str
    code: str


Answer = Callable[[str], Sequence[str]]


def read_cases(path: Path) -> list[Case]:
    """The cases in a shuffled order that is the same every time, so that no class runs with warm caches of its own."""
    with path.open(encoding="utf-8") as file:
        cases = [Case(*line.rstrip("\n").split("\t")[:3]) for line in file if line.strip()]
    random.Random(1).shuffle(cases)
    return cases


# ---- memory of a whole process tree ---------------------------------------------------------------------------------


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _resident(pid: int) -> int:
    """Bytes that this process holds for itself: without file pages, which the system takes back when it wants to."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def run_measured(command: list[str], environment: dict[str, str]) -> tuple[dict[str, Any], float, int]:
    """Run a command. Returns its JSON summary, its seconds, and the peak memory of it and its children together."""
    started = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.2):
                peak = max(peak, sum(map(_resident, _tree(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert process.stdout is not None
        out = process.stdout.read()
        process.wait()
        done.set()
        watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return json.loads(out.splitlines()[-1]), time.perf_counter() - started, peak


# ---- search ---------------------------------------------------------------------------------------------------------


def measure(answer: Answer, cases: Sequence[Case]) -> dict[str, Any]:
    """Recall in the first ten by class, and latencies in milliseconds, one query at a time."""
    hits: dict[str, list[bool]] = defaultdict(list)
    took = []
    for case in cases[:200]:
        answer(case.query)
    for case in cases:
        started = time.perf_counter()
        codes = answer(case.query)
        took.append((time.perf_counter() - started) * 1000)
        hits[case.kind].append(case.code in codes)
    took.sort()
    return {
        "recall": round(sum(map(sum, hits.values())) / len(cases), 4),
        "recall_by_class": {kind: round(sum(found) / len(found), 4) for kind, found in sorted(hits.items())},
        "ms": {
            "p50": round(took[len(took) // 2], 2),
            "p95": round(took[int(len(took) * 0.95)], 2),
            "p99": round(took[int(len(took) * 0.99)], 2),
            "max": round(took[-1], 2),
        },
    }


def engine_answer(data_dir: Path) -> Answer:
    from portal.kit.settings import get_settings
    from search.embedded import EmbeddedEngine
    from search.engine import Filters, current

    engine = current() if get_settings().search_url else EmbeddedEngine(data_dir / "search")

    def answer(query: str) -> list[str]:
        return [hit.code for hit in engine.search(query, Filters(), limit=10).hits]

    return answer


def baseline(registry: Path, folder: Path) -> tuple[Answer, float, int]:
    """SQLite FTS5 with trigrams over the same names: an answer function, seconds to build, bytes."""
    path = folder / "baseline.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIRTUAL TABLE names USING fts5(name, code, tokenize='trigram')")
    started = time.perf_counter()
    with connection:
        connection.executemany("INSERT INTO names VALUES (?, ?)", (row[:2] for row in corpus.read(registry)))
    connection.execute("INSERT INTO names(names) VALUES ('optimize')")
    connection.commit()
    seconds = time.perf_counter() - started

    def answer(query: str) -> list[str]:
        words = " AND ".join('"' + word.replace('"', '""') + '"' for word in query.split())
        found = connection.execute("SELECT code FROM names WHERE names MATCH ? ORDER BY rank LIMIT 10", (words,))
        return [code for (code,) in found]

    return answer, seconds, path.stat().st_size


# ---- over HTTP ------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(environment: dict[str, str]) -> Iterator[tuple[str, float, int]]:
    """`portal serve` with two web processes. Yields its address, seconds to its first start page, and its pid."""
    port = _free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        [PORTAL, "serve", "--port", str(port), "--workers", "2"], env=environment, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(url + "/", timeout=10):
                break
            time.sleep(0.02)
        yield url, time.perf_counter() - started, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def over_http(cases: Sequence[Case], environment: dict[str, str]) -> dict[str, Any]:
    paths = [f"/api/v1/entities?{urlencode({'q': case.query})}" for case in cases]
    with serving(environment) as (url, to_first_page, pid):
        load.run(url, paths, seconds=5)
        done = load.run(url, paths, connections=16, seconds=HTTP_SECONDS)
        memory = sum(map(_resident, _tree(pid)))
    return {
        "start_page_seconds": round(to_first_page, 2),
        "searches_per_second": round(done.per_second),
        "ms": {name: round(done.percentile(at), 1) for name, at in (("p50", 50), ("p95", 95), ("p99", 99))},
        "max_ms": round(done.latencies[-1], 1),
        "refused": done.refused,
        "memory_mb": round(memory / 1e6),
    }


# ---- the whole ------------------------------------------------------------------------------------------------------


def import_registry(registry: Path, environment: dict[str, str], data_dir: Path) -> dict[str, Any]:
    summary, seconds, peak = run_measured([str(PORTAL), "import", "registry", str(registry), "--json"], environment)
    index_bytes = sum(path.stat().st_size for path in (data_dir / "search").rglob("*") if path.is_file())
    again, reindex_seconds, _ = run_measured([str(PORTAL), "reindex", "--json"], environment)
    return {
        "rows": summary["rows"],
        "rejected": summary["rejected"],
        "seconds": round(seconds, 1),
        "rows_per_second": round(summary["rows"] / seconds),
        "peak_memory_mb": round(peak / 1e6),
        "index_documents_per_second": round(again["entities"] / reindex_seconds),
        "index_bytes": index_bytes,
        "database_bytes": (data_dir / "portal.sqlite3").stat().st_size,
    }


def bench(registry: Path, cases: Sequence[Case], folder: Path) -> dict[str, Any]:
    """Every figure, over one registry file."""
    data_dir = folder / "var"
    environment = {
        **os.environ,
        "PORTAL_DATA_DIR": str(data_dir),
        "PORTAL_DATABASE_URL": "",
        "PORTAL_RATE_LIMITS_ENABLED": "false",
        "PORTAL_LOG_JSON": "true",
    }
    imported = import_registry(registry, environment, data_dir)
    found = measure(engine_answer(data_dir), cases)
    answer, baseline_seconds, baseline_bytes = baseline(registry, folder)
    compared = measure(answer, cases)
    return {
        "import": imported,
        "search": found,
        "http": over_http(cases, environment),
        "baseline": {"build_seconds": round(baseline_seconds, 1), "bytes": baseline_bytes, **compared},
        "ratios": {
            "recall": round(found["recall"] / compared["recall"], 2),
            "p95": round(found["ms"]["p95"] / compared["ms"]["p95"], 3),
            "bytes": round(imported["index_bytes"] / baseline_bytes, 2),
        },
    }


def _print(figures: dict[str, Any], *, indent: str = "") -> None:
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{indent}{name.replace('_', ' ')}")
            _print(value, indent=indent + "  ")
        else:
            print(f"{indent}{name.replace('_', ' '):32}{value:>14,}")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("registry", type=Path)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--scale", type=int, help="grow the registry to so many entities first")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep everything in this folder instead of a temporary one")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        registry = asked.registry
        if asked.scale:
            registry = folder / f"registry-{asked.scale}.csv"
            if not registry.exists():
                corpus.grow(asked.registry, registry, asked.scale)
        figures = {"cores": os.cpu_count() or 0, **bench(registry, read_cases(asked.cases), folder)}
        print(json.dumps(figures, ensure_ascii=False)) if asked.json else _print(figures)
    finally:
        if not asked.folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
