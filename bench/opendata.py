"""Measures open data at the size of a city, beside Datasette on the same rows in the same run.

    make bench-data [SCALE=3000000]

A portal of its own on SQLite with so many made-up entities and a tenth as many made-up penalties, everything in a
temporary folder and on loopback. What is measured: how long a snapshot of everything takes, filtered pages of
`datastore_search` (first ones and by keyset at any depth), and the whole CSV on one connection with the memory of the
server meanwhile. Datasette serves the same CSV from a SQLite table whose filtered columns are indexed.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench import load
from bench.record import be_quiet, command, turn_to, write
from bench.search import _free_port, _resident, _tree, serving

DATASETTE = Path(__file__).parents[1] / ".venv-datasette/bin/datasette"
AT_ONCE = 10_000
PAGE_SECONDS = 15.0
CONNECTIONS = 4
PAGE = 100
STREAM_SECONDS = 40.0
"""A stream is measured for so long at the most."""
MB = 1_000_000

TABLE = {
    "entities": ("rows of the largest data set", ""),
    "snapshot_seconds": ("snapshot of everything, s", "180"),
    "copy_seconds": ("first query after it, s", ""),
    "csv_mb": ("the whole CSV, MB", ""),
    "csv_mb_per_second": ("the whole CSV on one connection, MB/s", "200"),
    "csv_memory_mb": ("memory of the server more meanwhile, MB", ""),
    "page_p50_ms": ("filtered page of 100, p50 ms", ""),
    "page_p95_ms": ("filtered page of 100, p95 ms", "100"),
    "page_p99_ms": ("filtered page of 100, p99 ms", ""),
    "deep_p95_ms": ("filtered page by keyset anywhere in the table, p95 ms", "100"),
    "pages_per_second": ("filtered pages a second", ""),
    "datasette_pages_per_second": ("the same, Datasette", ""),
    "times_pages": ("times Datasette's pages", "10"),
    "datasette_bare_pages_per_second": ("Datasette told not to suggest facets, pages a second", ""),
    "datasette_csv_mb_per_second": ("its CSV stream, MB/s", ""),
    "times_csv": ("times Datasette's stream", "20"),
}


# ---- rows -----------------------------------------------------------------------------------------------------------


def fill(count: int) -> None:
    """Made-up entities straight into the register: how they come in is measured elsewhere."""
    from sqlalchemy import insert

    from portal.kit import db
    from record.models import Entity

    rows = entities(count)
    with db.writing_engine().begin() as connection:
        while part := [row for row, _ in zip(rows, range(AT_ONCE), strict=False)]:
            connection.execute(insert(Entity.__table__), part)  # type: ignore[arg-type]


def entities(count: int) -> Iterator[dict[str, Any]]:
    """Entities as a register of a city has them: names, addresses and scopes of usual lengths."""
    from bench.corpus import code
    from portal.kit import db
    from record import codes, names

    rng = random.Random(1)
    districts, sections = sorted(codes.DISTRICTS), sorted(codes.INDUSTRY_SECTIONS)
    trades = ("贸易", "餐饮管理", "信息科技", "建筑工程", "物流", "医疗器械", "文化传播", "食品", "服装", "机械设备")
    scope = "许可项目:食品销售;货物进出口;一般项目:技术服务、技术开发、技术咨询、技术转让,日用百货销售,会议及展览服务"
    begun, now = date(1995, 1, 1), db.now()
    for number in range(count):
        trade = trades[rng.randrange(10)]
        name = f"上海虚构{chr(0x4E00 + rng.randrange(5_000))}{chr(0x4E00 + rng.randrange(5_000))}{trade}有限公司"
        yield {
            "code": code("310199", number), "name": name, "name_key": names.fold(name),
            "district": districts[min(rng.randrange(16), rng.randrange(16)) % len(districts)],
            "industry": sections[rng.randrange(len(sections))], "industry_division": f"{rng.randrange(1, 97):02d}",
            "industry_source": "registered", "type": "company", "status": rng.choice(("active", "active", "revoked")),
            "established_on": begun + timedelta(days=rng.randrange(11_000)),
            "capital_amount": Decimal(rng.randrange(1, 1_000) * 10_000), "capital_currency": "CNY",
            "scope": scope[: rng.randrange(30, len(scope))],
            "address": f"上海市虚构路{rng.randrange(2_000)}号{rng.randrange(30)}幢{rng.randrange(900)}室",
            "flags": [], "source": "demo", "changed_at": now,
        }  # fmt: skip


# ---- asking ---------------------------------------------------------------------------------------------------------


def filters(count: int) -> Iterator[tuple[str, str, int]]:
    """A district, a section of industry, and a row behind which the page begins."""
    from record import codes

    rng = random.Random(2)
    districts, sections = sorted(codes.DISTRICTS), sorted(codes.INDUSTRY_SECTIONS)
    for _ in range(500):
        yield rng.choice(districts), rng.choice(sections), rng.randrange(int(count * 0.95))


def our_pages(count: int, *, deep: bool) -> list[str]:
    """Addresses of filtered pages here."""
    from opendata import catalog

    resource = catalog.resource_id("entities", "csv")
    return [
        "/api/3/action/datastore_search?"
        + urlencode({
            "resource_id": resource, "limit": PAGE, "include_total": "false" if deep else "true",
            "filters": json.dumps(
                {"district": district, "industry": section} | ({"_id": {"gt": after}} if deep else {})
            ),
        })
        for district, section, after in filters(count)
    ]  # fmt: skip


def its_pages(count: int, without_suggestions: str = "") -> list[str]:
    """The same filtered pages at Datasette's addresses, with its total as ours has one."""
    return [
        "/rows/entities.json?"
        + urlencode(
            {
                "district": district,
                "industry": section,
                "_size": PAGE,
                "_shape": "objects",
                "_nosuggest": without_suggestions,
            }
        )
        for district, section, _ in filters(count)
    ]


def stream(url: str, pid: int) -> tuple[float, float, float]:
    """Take an address on one connection. Returns MB, MB a second, and by how many MB the server grew meanwhile."""
    address = urlsplit(url)
    before = peak = sum(map(_resident, _tree(pid)))
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, sum(map(_resident, _tree(pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    received, room = 0, bytearray(2**20)
    with socket.create_connection((address.hostname, address.port)) as connection:
        asked = f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(asked.encode())
        started = time.perf_counter()
        while (count := connection.recv_into(room)) and time.perf_counter() - started < STREAM_SECONDS:
            received += count
        seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return received / MB, received / MB / seconds, (peak - before) / MB


# ---- Datasette ------------------------------------------------------------------------------------------------------


def its_rows(source: Path, path: Path) -> None:
    """The CSV as a table of SQLite, its filtered columns indexed."""
    with source.open(encoding="utf-8", newline="") as file, sqlite3.connect(path) as connection:
        rows = csv.reader(file)
        header = next(rows)
        connection.execute(f"CREATE TABLE entities ({', '.join(header)}, PRIMARY KEY (code))")
        connection.executemany(f"INSERT INTO entities VALUES ({', '.join('?' * len(header))})", rows)
        connection.execute("CREATE INDEX by_district_and_industry ON entities (district, industry)")
    connection.close()


@contextlib.contextmanager
def datasette(path: Path) -> Iterator[tuple[str, int]]:
    """Datasette with its limits lifted. Yields its address and its process."""
    port = _free_port()
    asked = ["serve", str(path), "--host", "127.0.0.1", "--port", str(port), "--setting", "max_csv_mb", "0",
             "--setting", "sql_time_limit_ms", "60000", "--setting", "facet_time_limit_ms", "60000"]  # fmt: skip
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([DATASETTE, *asked], **quiet) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until_answered(url)
            yield url, process.pid
        finally:
            process.terminate()


def until_answered(url: str) -> None:
    for _ in range(1_200):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60):
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} did not answer")


# ---- the whole ------------------------------------------------------------------------------------------------------


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return round(time.perf_counter() - started, 2)


def measure(count: int, folder: Path) -> dict[str, float]:
    """All figures."""
    from portal import migrations

    migrations.upgrade()
    fill(count)
    write(folder / "penalties.csv", count // 10)
    command("import", "penalties", folder / "penalties.csv")
    figures: dict[str, float] = {"entities": count, "snapshot_seconds": timed(lambda: command("snapshot"))}
    with serving(dict(os.environ)) as (url, _, pid):
        figures |= served(url, pid, count)
        whole = folder / "entities.csv"
        urllib.request.urlretrieve(f"{url}/data/entities.csv", whole)
    its_rows(whole, folder / "rows.db")
    with datasette(folder / "rows.db") as (url, pid):
        load.run(url, its_pages(count), seconds=3)
        done = load.run(url, its_pages(count), connections=CONNECTIONS, seconds=PAGE_SECONDS)
        bare = load.run(url, its_pages(count, "1"), connections=CONNECTIONS, seconds=PAGE_SECONDS)
        figures["datasette_pages_per_second"] = round(done.per_second, 1)
        figures["datasette_bare_pages_per_second"] = round(bare.per_second, 1)
        figures["datasette_csv_mb_per_second"] = round(stream(f"{url}/rows/entities.csv?_stream=on", pid)[1], 2)
    figures["times_pages"] = round(figures["pages_per_second"] / figures["datasette_pages_per_second"], 1)
    figures["times_csv"] = round(figures["csv_mb_per_second"] / figures["datasette_csv_mb_per_second"], 1)
    return figures


def served(url: str, pid: int, count: int) -> dict[str, float]:
    """What the portal's own server reaches."""
    first, deep = our_pages(count, deep=False), our_pages(count, deep=True)
    copied = timed(lambda: until_answered(url + first[0]))
    load.run(url, first, seconds=5)
    pages = load.run(url, first, connections=CONNECTIONS, seconds=PAGE_SECONDS)
    anywhere = load.run(url, deep, connections=CONNECTIONS, seconds=PAGE_SECONDS)
    megabytes, speed, grown = stream(f"{url}/data/entities.csv", pid)
    return {
        "copy_seconds": copied, "pages_per_second": round(pages.per_second, 1),
        "page_p50_ms": round(pages.percentile(50), 1), "page_p95_ms": round(pages.percentile(95), 1),
        "page_p99_ms": round(pages.percentile(99), 1), "deep_p95_ms": round(anywhere.percentile(95), 1),
        "csv_mb": round(megabytes), "csv_mb_per_second": round(speed), "csv_memory_mb": round(grown),
    }  # fmt: skip


def report(figures: dict[str, float]) -> Sequence[str]:
    """The figures as a table."""
    return [
        "| what | reached | wanted |", "|---|---|---|",
        *(f"| {said} | {figures[name]:,} | {wanted} |" for name, (said, wanted) in TABLE.items() if name in figures),
    ]  # fmt: skip


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=3_000_000)
    count: int = parser.parse_args().scale
    be_quiet()
    with tempfile.TemporaryDirectory() as folder:
        turn_to(Path(folder), f"sqlite:///{folder}/portal.db")
        print("\n".join(report(measure(count, Path(folder)))))


if __name__ == "__main__":
    main()
