"""Fifteen minutes of mixed traffic on the production profile, in which its parts are killed one after the other.

    make load REGISTRY=FILE CASES=FILE [SCALE=3000000] [MINUTES=15]

The registry is grown (bench/corpus.py) and imported into PostgreSQL; two web processes, two workers, Redis. Meanwhile a
receiver hangs, Redis is killed, PostgreSQL restarted, the search index taken away, a worker and a web process killed,
a backup made. At the end everything that was acknowledged is looked for, once and not twice, and the backup is restored
into an empty portal. Ends with 1 when something is missing.
"""

import argparse
import asyncio
import csv
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench import corpus
from bench.postgres import free_port
from bench.production.house import House
from bench.production.receivers import Receiver
from bench.production.visitors import City, Diary, Visitors
from bench.search import read_cases

WANTED_P99_MS = 300
SETTLE_SECONDS = 900
GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C")
PUBLIC_EXCEPT = ("desk", "batch", "feed")
"""Routes whose names begin so are for officers, partners and departments."""


def say(line: str) -> None:
    print(line, flush=True)


# ---- before ---------------------------------------------------------------------------------------------------------


def furnish(house: House, registry: Path, cases: Path, scale: int, receivers: list[Receiver]) -> City:
    """Import everything, and add everybody who will act."""
    house.folder.mkdir(parents=True, exist_ok=True)
    grown = house.folder.with_name(f"registry-{scale}.csv")
    if not grown.exists():
        say(f"growing the registry to {scale:,} entities")
        corpus.grow(registry, grown, scale)
    done = house.portal("import", "registry", "--baseline", str(grown))
    say(f"imported {done['added']:,} entities in {done['seconds']} s")
    password = house.folder / "password"
    password.write_text("a long sentence for the load test\n")
    officer = house.portal(
        "staff", "add", "--login", "load.clerk", "--name", "测量员", "--department", "市场监督管理局",
        "--role", "clerk", "--role", "reviewer", "--password-file", str(password),
    )  # fmt: skip
    house.portal("partner", "add", "load-association", "--name", "测量行业协会")
    definition = house.folder / "scheme.json"
    grades = [{"code": code, "meaning": f"信用{code}"} for code in GRADES]
    definition.write_text(json.dumps({"grades": grades, "validity_months": 36}))
    house.portal(
        "partner", "scheme", "load-association", "load-credit", str(definition), "--name", "测量信用评价",
        "--english-name", "Rating for the load test",
    )  # fmt: skip
    feed = house.portal("keys", "create", "--owner", "department:load", "--scope", "feeds:penalties")
    partner = house.portal("keys", "create", "--partner", "load-association", "--scope", "evaluations:write")
    for receiver in receivers:
        house.portal("subscribers", "add", "--name", receiver.name, "--url", receiver.url)
    first = house.folder / "first.csv"
    entities = _sample(grown)
    _penalties(first, entities)
    house.portal("import", "penalties", str(first))
    say(f"snapshot of everything in {house.portal('snapshot').get('seconds')} s")
    secret = parse_qs(urlsplit(officer["otpauth"]).query)["secret"][0]
    return City(
        house.port, entities, [case.query for case in read_cases(cases)], feed["key"], partner["key"],
        {"login": "load.clerk", "password": password.read_text().strip(), "secret": secret}, _datastore(),
    )  # fmt: skip


def _sample(grown: Path) -> list[tuple[str, str]]:
    """Code and name of ten thousand entities all over the file."""
    rng = random.Random(3)
    with grown.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        found = [(row[1], row[0]) for row in rows if rng.random() < 0.004 and len(row[1]) == 18]
    rng.shuffle(found)
    return found[:10_000]


def _penalties(path: Path, entities: list[tuple[str, str]]) -> None:
    from bench.record import HEADER

    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for number, (code, name) in enumerate(entities):
            out.writerow((
                name, "法人及非法人组织", code, f"沪市监先前〔2026〕{number}号", "发布虚假广告", "此案为测量所编。",
                "《中华人民共和国广告法》第五十五条第一款", "罚款", "罚款人民币贰万元整", "2", "2026-02-05",
                "上海市黄浦区市场监督管理局", "11310101MB2F30000X", "上海市市场监督管理局",
            ))  # fmt: skip


def _datastore() -> str:
    from opendata import catalog

    return catalog.resource_id("entities", catalog.DATASTORE_FORM)


# ---- meanwhile ------------------------------------------------------------------------------------------------------


class Troubles:
    """What is done to the house, when, and how long it lasted: shares of the whole time."""

    def __init__(self, house: House, hanging: Receiver, seconds: float) -> None:
        self.house, self.hanging, self.seconds = house, hanging, seconds
        self.happened: list[tuple[str, float, float]] = []
        self.backup: dict[str, Any] = {}
        self.acknowledged_before: int = 0

    async def all(self, diary: Diary) -> None:
        started = time.monotonic()
        plan: list[tuple[float, str, Callable[[], None]]] = [
            (0.08, "a receiver hangs", self._receiver_hangs),
            (0.20, "Redis is killed", self._redis_away),
            (0.34, "PostgreSQL is restarted", self._database_restarts),
            (0.46, "a worker is killed", self.house.workers["quick"].kill),
            (0.54, "a web process is killed", self._web_killed),
            (0.62, "the search index is away", self._search_away),
            (0.78, "a backup is made", lambda: self._backup(diary)),
        ]
        for share, what, act in plan:
            await asyncio.sleep(max(0.0, started + share * self.seconds - time.monotonic()))
            began = time.monotonic()
            await asyncio.to_thread(act)
            self.happened.append((what, began - started, time.monotonic() - began))
            say(f"{began - started:6.0f} s  {what} ({time.monotonic() - began:.1f} s)")

    def _receiver_hangs(self) -> None:
        self.hanging.hangs.set()
        threading.Timer(self.seconds * 0.2, self.hanging.hangs.clear).start()

    def _redis_away(self) -> None:
        self.house.redis.kill()
        time.sleep(min(30.0, self.seconds / 20))
        self.house.redis.start()

    def _database_restarts(self) -> None:
        self.house.postgres.stop()
        self.house.postgres.start()

    def _web_killed(self) -> None:
        assert self.house.web is not None
        os.kill(self.house.web.children()[0], signal.SIGKILL)

    def _search_away(self) -> None:
        with self.house.without_search():
            time.sleep(min(45.0, self.seconds / 15))

    def _backup(self, diary: Diary) -> None:
        self.acknowledged_before = len(diary.receipts)
        self.backup = self.house.portal("backup", str(self.house.folder / "backup"))


async def traffic(city: City, troubles: Troubles, diary: Diary, seconds: float) -> None:
    """Visitors and troubles together."""
    visitors = Visitors(city, diary, time.monotonic() + seconds)
    await asyncio.gather(visitors.all(), troubles.all(diary))


# ---- after ----------------------------------------------------------------------------------------------------------


def settled(subscribers: int) -> float:
    """Wait until no work is due and every platform has everything. Returns the seconds it took."""
    from sqlalchemy import func, select

    from portal.kit import db
    from portal.kit.jobs import Job
    from record import ledger
    from record.models import Subscription

    started = time.monotonic()
    while time.monotonic() - started < SETTLE_SECONDS:
        with db.reading() as session:
            soon = (Job.state == "running") | ((Job.state == "waiting") & (Job.due_at <= db.now()))
            waiting = session.scalar(select(func.count()).select_from(Job).where(soon)) or 0
            end = ledger.size(session) - 1
            level = session.scalar(select(func.count()).select_from(Subscription).where(Subscription.cursor >= end))
        if not waiting and level == subscribers:
            break
        time.sleep(1)
    return time.monotonic() - started


def missing(diary: Diary) -> list[str]:
    """What was acknowledged and is not there, or is there twice."""
    from sqlalchemy import func, select

    from partners.models import Batch
    from portal.kit import db
    from portal.kit.jobs import Job
    from record.models import LedgerEntry
    from reporting import talk, vault
    from reporting.models import Tip

    found: list[str] = []
    with db.reading() as session:
        if len(set(diary.receipts)) != len(diary.receipts):
            found.append("a receipt was given twice")
        for receipt in diary.receipts:
            try:
                talk.progress(session, vault.receipt(receipt))
            except Exception as error:  # whatever it is, the receipt opens nothing
                found.append(f"a receipt opens nothing: {type(error).__name__}")
        tips = session.scalar(select(func.count()).select_from(Tip)) or 0
        if not len(diary.receipts) <= tips <= len(diary.receipts) + diary.unsure_tips:
            found.append(f"{len(diary.receipts)} tips acknowledged, {diary.unsure_tips} unsure, {tips} there")
        penalties = LedgerEntry.kind == "penalty"
        refs = session.scalars(select(LedgerEntry.payload["document"].as_string()).where(penalties))
        times = Counter(refs)
        found += [f"{number} is there {times[number]} times" for number in diary.penalties if times[number] != 1]
        states = {batch.id: batch.state for batch in session.scalars(select(Batch))}
        found += [f"batch {one} is {states.get(one)}" for one in diary.batches if states.get(one) != "accepted"]
        failed = session.execute(select(Job.task, Job.error).where(Job.state == "failed")).all()
        found += [f"job {task} failed: {error}" for task, error in failed]
    return found


def restored(house: House, backup: Path) -> dict[str, Any]:
    """What came of the backup in an empty portal, and of verifying it there."""
    import psycopg

    with psycopg.connect(house.postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    own = {
        "PORTAL_DATABASE_URL": house.postgres.url.rsplit("/", 1)[0] + "/restored",
        "PORTAL_DATA_DIR": str(house.folder / "restored"),
    }
    done = house.portal("restore", str(backup), **own)
    return {"restore": done, "verify": house.portal("verify", **own)}


def print_routes(diary: Diary) -> bool:
    """The table of latencies. Returns whether every public route keeps to what is wanted."""
    columns = ["route", "answers", "503", "cut", "429", "p50 ms", "p95 ms", f"p99 ms ({WANTED_P99_MS})", "longest ms"]
    say("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    kept = True
    for label, seen in sorted(diary.answers.items()):
        took = sorted(ms for _, status, ms in seen if status not in (0, 429, 503))
        count = Counter(status for _, status, _ in seen)
        at = [took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.95, 0.99)] if took else [0, 0, 0]
        kept &= at[2] < WANTED_P99_MS or label.startswith(PUBLIC_EXCEPT)
        say(
            f"| {label} | {len(took)} | {count[503]} | {count[0]} | {count[429]} | "
            + " | ".join(f"{each:.0f}" for each in at)
            + f" | {took[-1] if took else 0:.0f} |"
        )
    return kept


def print_outages(diary: Diary, started: float) -> None:
    """When nobody was answered, or was told "later": by seconds of the run."""
    bad = sorted(int(at - started) for seen in diary.answers.values() for at, status, _ in seen if status in (0, 503))
    say("\nseconds in which somebody was cut or told to come later: " + ", ".join(map(str, sorted(set(bad)))))


def sizes(house: House) -> dict[str, int]:
    """MiB of everything."""
    from sqlalchemy import text

    from portal.kit import db

    def below(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0

    with db.reading() as session:
        database = session.scalar(text("SELECT pg_database_size(current_database())")) or 0
    found = {
        "database": int(database), "search index": below(house.data / "search"), "files": below(house.data / "files"),
        "backup": below(house.folder / "backup"), "memory of the portal": house.memory(),
    }  # fmt: skip
    return {name: size // 2**20 for name, size in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("registry", type=Path)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--scale", type=int, default=3_000_000)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--folder", type=Path, help="Kept; holds the grown registry for the next time.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as temporary:
        return run(asked, asked.folder or Path(temporary))


def run(asked: argparse.Namespace, folder: Path) -> int:
    house = House(folder / f"run-{free_port()}")
    os.environ.update({name: value for name, value in house.environment.items() if name.startswith("PORTAL_")})
    receivers = [Receiver("steady"), Receiver("hanging")]
    house.folder.mkdir(parents=True, exist_ok=True)
    house.postgres.start()
    house.redis.start()
    try:
        city = furnish(house, asked.registry, asked.cases, asked.scale, receivers)
        say(f"serving after {house.open():.1f} s")
        time.sleep(30)
        diary, seconds = Diary(), asked.minutes * 60
        troubles = Troubles(house, receivers[1], seconds)
        started = time.monotonic()
        asyncio.run(traffic(city, troubles, diary, seconds))
        return judged(house, troubles, diary, receivers, started)
    finally:
        house.close()
        house.redis.stop()
        house.postgres.stop()
        house.postgres.remove()


def judged(house: House, troubles: Troubles, diary: Diary, receivers: list[Receiver], started: float) -> int:
    """Print every figure. Returns 1 when something acknowledged is missing or doubled, or an answer was a fault."""
    say(f"everything had arrived {settled(len(receivers)):.0f} s after the end; {sizes(house)} MiB")
    fast = print_routes(diary)
    print_outages(diary, started)
    house.close()
    problems = missing(diary) + diary.faults
    for receiver in receivers:
        events = len({id_ for _, id_ in receiver.events})
        say(f"{receiver.name}: {events:,} events, {receiver.repeated} came again, in order: {receiver.in_order}")
        if not receiver.in_order:
            problems.append(f"{receiver.name} got events out of order")
    if len({len({id_ for _, id_ in one.events}) for one in receivers}) != 1:
        problems.append("the receivers have not got the same events")
    say(
        f"{len(diary.receipts)} tips, {len(diary.penalties)} penalties, {len(diary.batches)} batches acknowledged; "
        f"backup under load: {troubles.backup}"
    )
    done = restored(house, house.folder / "backup")
    say(f"restored into an empty portal: {done}")
    if not (done["restore"]["holds"] and done["verify"]["holds"]):
        problems.append("the restored portal does not verify")
    for problem, times in Counter(problems).most_common(30):
        say(f"PROBLEM ({times}): {problem}")
    say("every public route is within the limit" if fast else "some public routes are beyond the limit")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
