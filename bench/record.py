"""Measures the supervision record: import of penalties, an officer's wait meanwhile, verification, heads and proofs.

    make bench-record [ENTRIES=100000]

On SQLite by default, on PostgreSQL with PORTAL_DATABASE_URL. Everything is made up, in a temporary folder.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HEADER = (
    "行政相对人名称", "行政相对人类别", "统一社会信用代码", "行政处罚决定书文号", "违法行为类型", "违法事实",
    "处罚依据",
    "处罚类别", "处罚内容", "罚款金额(万元)", "处罚决定日期", "处罚机关", "处罚机关统一社会信用代码", "数据来源单位",
)  # fmt: skip
PORTAL = Path(sys.executable).with_name("portal")


def write(path: Path, rows: int) -> None:
    """A file of made-up penalties, about as many parties as penalties."""
    from record.codes import made_up

    rng = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for number in range(rows):
            out.writerow(
                (
                    f"上海虚构{number}号贸易有限公司", "法人及非法人组织", made_up("91", rng),
                    f"沪市监虚罚〔2026〕{number}号",
                    "发布虚假广告", f"经查，当事人于2026年1月在其经营场所发布虚假广告，案号{number}，此案为测量所编。",
                    "《中华人民共和国广告法》第五十五条第一款", "罚款", "罚款人民币贰万元整", "2", "2026-03-05",
                    "上海市黄浦区市场监督管理局", "11310101MB2F30000X", "上海市市场监督管理局",
                )
            )  # fmt: skip


class Officer(threading.Thread):
    """Appends one entry every tenth of a second, and says how long each took, in milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.took: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        from portal.kit import db
        from record import ledger
        from record.ledger import Fact

        number = 0
        while not self.done.wait(0.1):
            number += 1
            said = {"party_name": "甲", "subject": "乙", "result": "丙"}
            fact = ledger.seal(Fact("inspection", "desk", str(number), said, None, "2026-03-05"))
            started = time.perf_counter()
            with db.writing() as session:
                ledger.append(session, [fact])
            self.took.append((time.perf_counter() - started) * 1000)


def best(act: Any, times: int = 20) -> float:
    """Median milliseconds of one call."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        took.append((time.perf_counter() - started) * 1000)
    return round(sorted(took)[times // 2], 2)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    rows = parser.parse_args().entries
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ["PORTAL_DATA_DIR"] = str(Path(folder) / "var")
        os.environ["PORTAL_KEYS_DIR"] = str(Path(folder) / "keys")
        print(json.dumps(measure(Path(folder), rows), ensure_ascii=False, indent=1))


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """Every figure."""
    from portal import migrations
    from portal.kit import db
    from record import ledger, verification

    migrations.upgrade()
    file = folder / "penalties.csv"
    write(file, rows)
    officer = Officer()
    officer.start()
    started = time.perf_counter()
    command = [str(PORTAL), "import", "penalties", str(file), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    officer.done.set()
    officer.join()
    summary = json.loads(done.stdout.splitlines()[-1])
    waits = sorted(officer.took)
    started = time.perf_counter()
    report = verification.verify()
    verified = time.perf_counter() - started
    with db.reading() as session:
        size = ledger.size(session)
        return {
            "database": db.writing_engine().dialect.name,
            "rows": summary["rows"],
            "added": summary["added"],
            "rejected": summary["rejected"],
            "seconds": round(seconds, 1),
            "rows_per_second": round(summary["rows"] / seconds),
            "officer_ms": {"p50": round(waits[len(waits) // 2], 1), "max": round(waits[-1], 1), "commits": len(waits)},
            "verify_seconds": round(verified, 1),
            "verified": report.entries,
            "holds": report.holds,
            "head_ms": best(lambda: ledger.head(session)),
            "inclusion_ms": best(lambda: ledger.inclusion(session, size // 3, size)),
            "consistency_ms": best(lambda: ledger.consistency(session, size // 3, size)),
        }


if __name__ == "__main__":
    main()
