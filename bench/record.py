"""Measures the supervision record on both databases, in one run and over the same made-up penalties.

    make bench-record [ENTRIES=1000000]

How fast `portal import penalties` takes them in, how long an officer waits meanwhile, how long `portal verify`, heads
and proofs take, the page of an entity with 2,000 entries, a backup and its return. SQLite as it is installed; a
PostgreSQL of its own on loopback, whose commits wait for the disk. Everything happens in a temporary folder.
"""

import argparse
import csv
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from bench import postgres

HEADER = (
    "行政相对人名称", "行政相对人类别", "统一社会信用代码", "行政处罚决定书文号", "违法行为类型", "违法事实",
    "处罚依据",
    "处罚类别", "处罚内容", "罚款金额(万元)", "处罚决定日期", "处罚机关", "处罚机关统一社会信用代码", "数据来源单位",
)  # fmt: skip
PORTAL = Path(sys.executable).with_name("portal")
ON_ONE_PAGE = 2_000
OFFICER_PAUSE = 0.1
"""Seconds between two things that the officer does."""

Figures = dict[str, float]

TABLE = {
    "penalties": ("penalties in the file", ""),
    "rows_per_second": ("penalties imported a second", "5,000"),
    "officer_p50_ms": ("officer's commit meanwhile, p50 ms", ""),
    "officer_p99_ms": ("officer's commit meanwhile, p99 ms", ""),
    "officer_max_ms": ("officer's commit meanwhile, longest ms", "200"),
    "entries": ("entries verified", ""),
    "verify_seconds": ("verification, s", "60 a million"),
    "head_ms": ("head, ms", "20"),
    "inclusion_ms": ("proof of inclusion, ms", "20"),
    "consistency_ms": ("proof of consistency, ms", "20"),
    "page_ms": (f"page of an entity with {ON_ONE_PAGE:,} entries, ms", ""),
    "backup_seconds": ("portal backup, s", ""),
    "backup_rows_per_second": ("rows backed up a second", ""),
    "backup_mb": ("size of the backup, MB", ""),
    "restore_seconds": ("portal restore, index and verification included, s", ""),
    "restore_rows_per_second": ("rows restored a second", ""),
}
"""What is printed: the figure's name, what it is, and what is wanted."""


def write(path: Path, rows: int, *, code: str | None = None) -> None:
    """A file of made-up penalties: of so many parties, or all of them of one."""
    from record.codes import made_up

    rng = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for number in range(rows):
            out.writerow(
                (
                    f"上海虚构{0 if code else number}号贸易有限公司", "法人及非法人组织", code or made_up("91", rng),
                    f"沪市监虚{'页' if code else '罚'}〔2026〕{number}号",
                    "发布虚假广告", f"经查，当事人于2026年1月在其经营场所发布虚假广告，案号{number}，此案为测量所编。",
                    "《中华人民共和国广告法》第五十五条第一款", "罚款", "罚款人民币贰万元整", "2", "2026-03-05",
                    "上海市黄浦区市场监督管理局", "11310101MB2F30000X", "上海市市场监督管理局",
                )
            )  # fmt: skip


class Officer(threading.Thread):
    """Appends an entry every OFFICER_PAUSE seconds, and says how long each took, in milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.took: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        from portal.kit import db
        from record import ledger
        from record.ledger import Fact

        number = 0
        while not self.done.wait(OFFICER_PAUSE):
            number += 1
            said = {"party_name": "甲", "subject": "乙", "result": "丙"}
            fact = ledger.seal(Fact("inspection", "desk", str(number), said, None, "2026-03-05"))
            started = time.perf_counter()
            with db.writing() as session:
                ledger.append(session, [fact])
            self.took.append((time.perf_counter() - started) * 1000)


def at_percent(sorted_: Sequence[float], percent: float) -> float:
    return round(sorted_[min(len(sorted_) - 1, int(len(sorted_) * percent / 100))], 1)


def median_ms(act: Callable[[], object], times: int = 20) -> float:
    """Median milliseconds of one call."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        took.append((time.perf_counter() - started) * 1000)
    return round(sorted(took)[times // 2], 2)


def command(*words: object) -> dict[str, Any]:
    """Run a command of the portal to its end. Returns its summary."""
    done = subprocess.run([str(PORTAL), *map(str, words), "--json"], check=True, stdout=subprocess.PIPE, text=True)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def be_quiet() -> None:
    """Log warnings only."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def turn_to(folder: Path, database_url: str) -> None:
    """Make a portal in this folder that of this process and of its commands."""
    from portal.kit import db
    from portal.kit.settings import get_settings
    from search import engine

    os.environ |= {
        "PORTAL_DATA_DIR": str(folder / "var"),
        "PORTAL_KEYS_DIR": str(folder / "keys"),
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_RATE_LIMITS_ENABLED": "false",
    }
    db.dispose()
    get_settings.cache_clear()
    engine.current.cache_clear()


# ---- what is measured -----------------------------------------------------------------------------------------------


def importing(file: Path) -> Figures:
    """Penalties a second through `portal import`, while an officer works at the desk."""
    officer = Officer()
    officer.start()
    summary = command("import", "penalties", file)
    officer.done.set()
    officer.join()
    waits = sorted(officer.took)
    assert summary["added"] == summary["rows"], summary
    return {
        "penalties": summary["rows"],
        "rows_per_second": round(summary["rows"] / summary["files"][0]["seconds"]),
        "officer_p50_ms": at_percent(waits, 50),
        "officer_p99_ms": at_percent(waits, 99),
        "officer_max_ms": round(waits[-1], 1),
    }


def proving() -> Figures:
    """Verification of all there is, heads and proofs."""
    from portal.kit import db
    from record import ledger, verification

    started = time.perf_counter()
    report = verification.verify()
    verified = time.perf_counter() - started
    assert report.holds, report
    with db.reading() as session:
        size = ledger.size(session)
        return {
            "entries": report.entries,
            "verify_seconds": round(verified, 1),
            "head_ms": median_ms(lambda: ledger.head(session)),
            "inclusion_ms": median_ms(lambda: ledger.inclusion(session, size // 3, size)),
            "consistency_ms": median_ms(lambda: ledger.consistency(session, size // 3, size)),
        }


def showing(code: str) -> Figures:
    """The page of the entity with many entries, in this process, so that no network is measured."""
    from fastapi.testclient import TestClient

    from portal.app import create_app
    from portal.kit import db
    from record import publication

    with db.reading() as session:
        assert publication.counts(session, code)["penalty"] >= ON_ONE_PAGE
    application = create_app()
    be_quiet()
    with TestClient(application, base_url="http://127.0.0.1:8000") as client:
        shown = client.get(f"/entities/{code}")
        assert shown.status_code == 200
        return {"page_ms": median_ms(lambda: client.get(f"/entities/{code}"))}


def backing_up(folder: Path, elsewhere: str) -> Figures:
    """A backup, and its return into a portal elsewhere, to which this process is turned then."""
    made = command("backup", folder / "backup")
    turn_to(folder / "elsewhere", elsewhere)
    restored = command("restore", folder / "backup")
    assert restored["holds"], restored
    return {
        "backup_seconds": made["seconds"],
        "backup_rows_per_second": round(made["rows"] / made["seconds"]),
        "backup_mb": round(made["bytes"] / 1e6, 1),
        "restore_seconds": restored["seconds"],
        "restore_rows_per_second": round(restored["rows"] / restored["seconds"]),
    }


def measure(folder: Path, penalties: int, database_url: str, elsewhere: str) -> Figures:
    """Every figure of TABLE, on one database; a second one takes the backup back."""
    from portal import migrations
    from record import demo

    folder.mkdir()
    turn_to(folder, database_url)
    migrations.upgrade()
    demo.fill(1)
    code = str(demo.make(1)[0].entity["code"])
    for name, rows, party in (("many", penalties, None), ("one", ON_ONE_PAGE, code)):
        write(folder / f"{name}.csv", rows, code=party)
    imported = importing(folder / "many.csv")
    command("import", "penalties", folder / "one.csv")
    return {**imported, **proving(), **showing(code), **backing_up(folder, elsewhere)}


@contextmanager
def on_postgresql() -> Iterator[tuple[str, str]]:
    """Two empty databases of a server of our own: their URLs."""
    import psycopg

    with postgres.server(safe=True) as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE DATABASE measured")
            connection.execute("CREATE DATABASE elsewhere")
        server = url.rpartition("/")[0]
        yield f"{server}/measured", f"{server}/elsewhere"
        turn_to(Path(), "")  # lets go of the server before it stops


def show(figures: dict[str, Figures]) -> None:
    """Print the table."""
    print(f"{'':52}" + "".join(f"{name:>14}" for name in figures) + f"{'wanted':>16}")
    for key, (what, wanted) in TABLE.items():
        print(f"{what:52}" + "".join(f"{of[key]:>14,}" for of in figures.values()) + f"{wanted:>16}")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000, help="Penalties to import.")
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="One of the two databases.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of the table.")
    asked = parser.parse_args()

    be_quiet()
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if asked.only != "postgresql":
            figures["SQLite"] = measure(Path(folder) / "sqlite", asked.entries, "", "")
        if asked.only != "sqlite":
            with on_postgresql() as (measured, elsewhere):
                figures["PostgreSQL"] = measure(Path(folder) / "postgresql", asked.entries, measured, elsewhere)
    print(json.dumps(figures, ensure_ascii=False)) if asked.json else show(figures)


if __name__ == "__main__":
    main()
