"""Many writers at once, killed at random, and a follower beside them: nothing acknowledged is lost, nothing skipped.

A short soak here; `make soak` runs it for a minute, with twenty writers on PostgreSQL and twenty kills on either.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from portal.kit import db
from record.models import LedgerEntry
from tests.conftest import PORTAL

ROOT = Path(__file__).parents[2]

WRITER = """
import random, sys
from portal.kit import db
from record import ledger
from record.ledger import Fact
SAID = {"party_name": "甲", "subject": "乙", "result": "丙"}
name, rng = sys.argv[1], random.Random(int(sys.argv[2]))
for piece in range(100_000):
    facts = [
        Fact("inspection", name, f"{piece}-{item}", SAID, None, "2026-03-05")
        for item in range(rng.randrange(1, 40))
    ]
    with db.writing() as session:
        outcome = ledger.append(session, list(map(ledger.seal, facts)))
    print(*(f"{seq}:{name}/{fact.source_ref}" for seq, fact in outcome.written), flush=True)
"""
"""Appends until it is killed. A line says which entries, `seq:source/source_ref`, are committed."""

FOLLOWER = """
import signal, sys, time
from portal.kit import db
from record import ledger
last = []
signal.signal(signal.SIGTERM, lambda *_: last.append(True))
seen = -1
while True:
    ending = bool(last)
    with db.reading() as session:
        read = [entry.seq for entry in ledger.entries(session, after=seen)]
    for seq in read:
        if seq != seen + 1:
            sys.exit(f"{seq} came after {seen}")
        seen = seq
    if ending and not read:
        break
    time.sleep(0 if read else 0.005)
print(seen)
"""
"""Reads what is new, again and again, and ends with an error at the first number that it would have to skip."""


class Soak:
    """Processes that write, one that follows, and what they said."""

    def __init__(self, writers: int, folder: Path) -> None:
        self._folder = folder
        self._rng = random.Random(3)
        self._started = 0
        self._follower = self._begin(FOLLOWER, "followed")
        self._running = {place: self._writer() for place in range(writers)}

    def _begin(self, script: str, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / name).open("wb") as out:
            return subprocess.Popen([sys.executable, "-c", script, *words], stdout=out, stderr=out, cwd=ROOT)

    def _writer(self) -> subprocess.Popen[bytes]:
        self._started += 1
        return self._begin(WRITER, f"said-{self._started}", f"writer-{self._started}", str(self._started))

    def acknowledged(self) -> dict[str, int]:
        """Number of each fact that a writer said was committed; a line that a kill cut short said nothing."""
        lines = [line for path in self._folder.glob("said-*") for line in path.read_text().splitlines(keepends=True)]
        said = [word.split(":", 1) for line in lines if line.endswith("\n") for word in line.split()]
        assert len({name for _, name in said}) == len({seq for seq, _ in said}) == len(said), "said twice"
        return {name: int(seq) for seq, name in said}

    def wait_for_all(self) -> None:
        """Return once everybody writes: starting twenty processes takes its time on two cores."""
        slowly = time.monotonic() + 120
        while not all(path.stat().st_size for path in self._folder.glob("said-*")):
            assert time.monotonic() < slowly, "somebody writes nothing"
            time.sleep(0.1)

    def kill_one(self) -> None:
        place = self._rng.choice(list(self._running))
        assert self._running[place].poll() is None, "a writer ended by itself"
        self._running[place].send_signal(signal.SIGKILL)
        self._running[place].wait()
        self._running[place] = self._writer()

    def end(self) -> int:
        """Kill every writer; returns the last number that the follower read, without skipping one."""
        for process in self._running.values():
            process.kill()
            process.wait()
        self._follower.terminate()
        ended = self._follower.wait(timeout=60)
        followed = (self._folder / "followed").read_text()
        assert ended == 0, followed
        return int(followed)


def in_ledger() -> dict[str, int]:
    """Number of each fact that is in the ledger, once, in numbers without a gap."""
    asked = select(LedgerEntry.seq, LedgerEntry.source, LedgerEntry.source_ref).order_by(LedgerEntry.seq)
    with db.reading() as session:
        rows = session.execute(asked).all()
    assert [row.seq for row in rows] == list(range(len(rows))), "a gap"
    found = {f"{row.source}/{row.source_ref}": row.seq for row in rows}
    assert len(found) == len(rows), Counter((row.source, row.source_ref) for row in rows).most_common(1)
    return found


@pytest.mark.timeout(600)
def test_writers_that_are_killed_leave_no_gap_and_lose_nothing_acknowledged(database: str, tmp_path: Path) -> None:
    long = "SOAK_SECONDS" in os.environ
    seconds, kills = float(os.environ.get("SOAK_SECONDS", "6")), 20 if long else 4
    writers = 20 if long and database == "postgresql" else 4
    soak = Soak(writers, tmp_path)
    soak.wait_for_all()
    started = time.monotonic()
    for kill in range(1, kills + 1):
        time.sleep(max(0.0, started + seconds * kill / (kills + 1) - time.monotonic()))
        soak.kill_one()
    time.sleep(max(0.0, started + seconds - time.monotonic()))
    followed = soak.end()
    entries, acknowledged = in_ledger(), soak.acknowledged()
    assert acknowledged.items() <= entries.items(), "something that was acknowledged is not there as it was"
    # A commit that a kill cut short may come to light only when SQLite opens the database anew; nobody was told of it.
    assert max(acknowledged.values()) <= followed < len(entries), "the follower has not read all"
    verified = subprocess.run([PORTAL, "verify", "--json"], check=False, capture_output=True, text=True)
    report = json.loads(verified.stdout.splitlines()[-1])
    assert (verified.returncode, report["holds"], report["entries"]) == (0, True, len(entries))
    print(  # noqa: T201 what `make soak` is run for
        f"\n{database}: {writers} writers for {seconds:.0f} s, {kills} killed: {len(entries)} entries without a gap, "
        f"all {len(acknowledged)} acknowledged ones there once, followed without skipping one, verified."
    )
