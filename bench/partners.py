"""Measures the check of partners' batches: rows of XLSX and CSV against the register, beside `frictionless validate`.

    make bench-partners [ROWS=1000000]

A portal of its own on SQLite with 100,000 made-up entities, everything in a temporary folder and with fixed seeds.
Each file is checked as the worker does it (`uploads.check`), in a process of its own; its memory is that process's
and the reading child's at their peaks together. frictionless checks the same CSV against an equivalent Table Schema.
"""

import argparse
import contextlib
import csv
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bench.record import be_quiet, turn_to

ENTITIES = 100_000
XLSX_ROWS = 100_000
HEADER = ("企业名称", "统一社会信用代码", "等级", "评价日期", "有效期至", "证书编号")
GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C")
DIGITS = ("111", "011", "001", "222", "022", "002", "333", "033", "003")
DEFINITION: dict[str, Any] = {
    "grades": [{"code": code, "meaning": f"信用{code}"} for code in GRADES],
    "validity_months": 36,
    "certificate": {
        "pattern": "[0-9]{15}", "grade_at": 7, "grade_digits": dict(zip(GRADES, DIGITS, strict=True)), "year_at": 0,
    },
}  # fmt: skip
TABLE_SCHEMA = {
    "fields": [
        {"name": HEADER[0], "type": "string", "constraints": {"required": True, "maxLength": 200}},
        {"name": HEADER[1], "type": "string", "constraints": {"required": True, "pattern": "[0-9A-HJ-NPQRTUWXY]{18}"}},
        {"name": HEADER[2], "type": "string", "constraints": {"required": True, "enum": list(GRADES)}},
        {"name": HEADER[3], "type": "date", "constraints": {"required": True, "minimum": "1990-01-01"}},
        {"name": HEADER[4], "type": "date"},
        {"name": HEADER[5], "type": "string", "constraints": {"pattern": "[0-9]{15}"}},
    ],
    "primaryKey": [HEADER[1], HEADER[3]],
}
MB = 2**20
Row = Sequence[str]


# ---- what is checked ------------------------------------------------------------------------------------------------


def rows(count: int, entities: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """Evaluations of so many entities, one a year, none twice."""
    rng = random.Random(1)
    for number in range(count):
        name, code = entities[number % len(entities)]
        begun = date(2025 - number // len(entities), rng.randint(1, 12), rng.randint(1, 28))
        grade = rng.randrange(len(GRADES))
        certificate = f"{begun.year}001{DIGITS[grade]}{number % 100_000:05d}"
        yield name, code, GRADES[grade], begun.isoformat(), begun.replace(year=begun.year + 3).isoformat(), certificate


def half_wrong(good: Iterator[Row]) -> Iterator[Row]:
    """Every second row with one to three faults of different kinds."""
    for number, (name, code, grade, begun, until, certificate) in enumerate(good):
        if number % 2 == 0:
            yield name, code, grade, begun, until, certificate
        elif number % 3 == 0:
            yield name, code[:-1] + ("0" if code[-1] != "0" else "1"), "特级", "昨天", until, certificate
        elif number % 3 == 1:
            yield f"{name}某某", code, grade, begun, until, "12"
        else:
            yield name, code, grade, "2099.1.1", until, certificate


def write_xlsx(path: Path, lines: Iterator[Row]) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(path, {"constant_memory": False, "strings_to_formulas": False})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, HEADER)
    for number, line in enumerate(lines, start=1):
        sheet.write_row(number, 0, line)
    book.close()


def write_csv(path: Path, lines: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        out.writerows(lines)


def registered() -> list[tuple[str, str]]:
    """Names and codes of made-up entities, which are put into the register."""
    from sqlalchemy import insert

    from portal.kit import db
    from record import demo
    from record.models import Entity

    made = [one.entity for one in demo.make(ENTITIES)]
    with db.writing() as session:
        for start in range(0, len(made), 5_000):
            session.execute(insert(Entity), made[start : start + 5_000])
    return [(str(one["name"]), str(one["code"])) for one in made]


def an_organisation() -> None:
    """One that may evaluate everybody, with a scheme in force."""
    from partners import organisations, schemes
    from partners.organisations import Wanted
    from portal.kit import db

    with db.writing() as session:
        organisations.add(session, "measured", Wanted(type="association", name="测量协会"), by=None)
        definition = schemes.parse(DEFINITION)
        version = schemes.propose(
            session, "measured", "measured", name="测量", english_name="Measured", definition=definition
        )
        schemes.approve(session, None, "measured", version.number)


# ---- measuring ------------------------------------------------------------------------------------------------------


def peak(process: int) -> int:
    """The most memory (RSS) that a process has had so far, in kilobytes."""
    with contextlib.suppress(OSError, StopIteration):
        status = Path(f"/proc/{process}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmHWM:")).split()[1])
    return 0


def check(path: Path) -> dict[str, Any]:
    """What one check takes in this process, which has the portal's settings already."""
    from partners import uploads
    from partners.models import Batch
    from partners.uploads import Arriving, Sender, Sent
    from portal.kit import db

    be_quiet()
    arriving = Arriving()
    with path.open("rb") as file:
        while block := file.read(MB):
            arriving.write(block)
    arriving.finish()
    with db.writing() as session:
        sender = Sender("measured", "page", "account 1")
        sent = Sent(uploads.keep(arriving), path.name, path.suffix[1:], arriving.size, arriving.sha256)
        batch_id = uploads.take(session, sender, "measured", sent).id
    seen: dict[int, float] = {}
    done = threading.Event()
    started = time.perf_counter()

    peaks: dict[int, int] = {}

    def watch() -> None:
        while not done.wait(0.1):
            for process in [os.getpid(), *(child.pid or 0 for child in multiprocessing.active_children())]:
                peaks[process] = max(peaks.get(process, 0), peak(process))
            with db.reading() as session:
                seen.setdefault(session.get_one(Batch, batch_id).progress, time.perf_counter() - started)

    watcher = threading.Thread(target=watch)
    watcher.start()
    uploads.check(batch_id)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    with db.reading() as session:
        batch = session.get_one(Batch, batch_id)
        assert batch.state == "checked", batch.problem
        return {
            "rows": batch.rows, "rejected": batch.rejected, "seconds": round(seconds, 1),
            "megabytes": round(sum(peaks.values()) / 1024), "of_the_child": round(peaks[max(peaks)] / 1024),
            "first_progress_seconds": round(min((at for rows, at in seen.items() if rows), default=seconds), 1),
            "progress_steps": len(seen), "batch": batch_id,
        }  # fmt: skip


def mark(batch_id: str) -> float:
    """Seconds that the workbook back takes."""
    from partners import marking

    started = time.perf_counter()
    marking.mark(batch_id)
    return round(time.perf_counter() - started, 1)


def apart(*words: str) -> dict[str, Any]:
    """Run a part of this measurement in a process of its own."""
    command = [sys.executable, "-m", "bench.partners", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def frictionless(path: Path) -> float:
    """Seconds of `frictionless validate` over a CSV file."""
    schema = path.with_suffix(".schema.json")
    schema.write_text(json.dumps(TABLE_SCHEMA, ensure_ascii=False), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("frictionless")), "validate", path.name, "--schema", schema.name]
    started = time.perf_counter()
    done = subprocess.run([*command, "--json"], cwd=path.parent, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - started
    report = json.loads(done.stdout)
    assert report["valid"], report["stats"]
    return round(seconds, 1)


def measure(folder: Path, csv_rows: int) -> dict[str, Any]:
    """Every figure, in the order in which it is printed."""
    from portal import migrations

    turn_to(folder, "")
    migrations.upgrade()
    entities = registered()
    an_organisation()
    good, wrong, large = folder / "good.xlsx", folder / "wrong.xlsx", folder / "large.csv"
    write_xlsx(good, rows(XLSX_ROWS, entities))
    write_xlsx(wrong, half_wrong(rows(XLSX_ROWS, entities)))
    write_csv(large, rows(csv_rows, entities))
    figures: dict[str, Any] = {path.name: apart("--check", str(path)) for path in (good, wrong, large)}
    figures["mark"] = apart("--mark", figures["wrong.xlsx"]["batch"])["seconds"]
    figures["frictionless"] = frictionless(large)
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    good, wrong, large = (figures[name] for name in ("good.xlsx", "wrong.xlsx", "large.csv"))
    most = 60 * max(large["rows"], 1) / 1_000_000
    lines = [
        (f"{good['rows']:,} rows of XLSX, all right, s", good["seconds"], 20),
        ("    memory, MB", good["megabytes"], 400),
        (f"{wrong['rows']:,} rows of XLSX, {wrong['rejected']:,} wrong, s", wrong["seconds"], 20),
        ("    memory, MB", wrong["megabytes"], 400),
        ("    progress is first seen after, s", wrong["first_progress_seconds"], wrong["seconds"]),
        ("    workbook back with every fault, s", figures["mark"], None),
        (f"{large['rows']:,} rows of CSV, s", large["seconds"], round(most, 1)),
        ("    memory, MB", large["megabytes"], None),
        (f"    progress moved {large['progress_steps']} times, first after, s", large["first_progress_seconds"], None),
        ("frictionless validate of the same CSV, s", figures["frictionless"], None),
        ("check ÷ frictionless", round(large["seconds"] / figures["frictionless"], 2), 1),
    ]
    for what, measured, wanted in lines:
        verdict = "" if wanted is None else f"{wanted:>10,}  {'reached' if measured <= wanted else 'NOT REACHED'}"
        print(f"{what:58}{measured:>10,}{verdict}")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="Rows of the CSV file; at most a million.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of the table.")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mark", help=argparse.SUPPRESS)
    asked = parser.parse_args()

    be_quiet()
    if asked.check:
        print(json.dumps(check(asked.check)))
    elif asked.mark:
        print(json.dumps({"seconds": mark(asked.mark)}))
    else:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            figures = measure(Path(folder), asked.rows)
        print(json.dumps(figures, ensure_ascii=False)) if asked.json else show(figures)


if __name__ == "__main__":
    main()
