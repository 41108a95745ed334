"""Floods and killed processes: honest people are heard, and every receipt that was shown opens its case.

`make soak` runs these as they are meant: 10,000 junk submissions, and a minute of fifteen a second.
"""

import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from altcha.v1 import create_challenge
from sqlalchemy import func, select

from portal.kit import db, keyring
from reporting.models import Tip
from tests.conftest import PORTAL, free_port, use_settings, wait_until_served
from tests.reporting.telling import SAID, digits, hidden

SECONDS = int(os.environ.get("SOAK_SECONDS", "6"))
JUNK = int(os.environ.get("SOAK_JUNK", "600"))
RATE = 15
HONEST = 20
MOST_SECONDS = 15.0


def proof(hashes: int) -> str:
    """A valid proof, made with the portal's own key: an attacker who can afford any number of them."""
    made = create_challenge(
        algorithm="SHA-256", max_number=hashes, salt_length=16, hmac_key=keyring.secret("proof-of-work").hex(), salt="",
        number=random.randrange(hashes), params={"hashes": "2000000", "expires": str(int(time.time()) + 900)},
    )  # fmt: skip
    return solved(vars(made) if hasattr(made, "__dict__") else made, _number_of(made, hashes))


def _number_of(made: Any, hashes: int) -> int:
    for number in range(hashes + 1):
        if sha256(f"{made.salt}{number}".encode()).hexdigest() == made.challenge:
            return number
    raise AssertionError("no solution")


def solved(challenge: Any, number: int) -> str:
    fields = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return base64.b64encode(json.dumps({**fields, "number": number}).encode()).decode()


def solve(challenge: dict[str, Any]) -> str:
    """What an honest sender's machine does."""
    for number in range(challenge["maxnumber"] + 1):
        if sha256(f"{challenge['salt']}{number}".encode()).hexdigest() == challenge["challenge"]:
            return solved(challenge, number)
    raise AssertionError("no solution")


@pytest.fixture
def keys(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an empty portal whose keys this process reads too."""
    use_settings(monkeypatch, data_dir=embedded)
    return embedded


class Portal:
    """A served portal that can be killed and started again."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ, "PORTAL_DATA_DIR": str(data_dir), "PORTAL_DATABASE_URL": "", "PORTAL_TRUSTED_PROXIES": "*",
            **settings,
        }  # fmt: skip
        self.start()

    def start(self) -> None:
        command = [PORTAL, "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=self._environment, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until_served(f"{self.url}/healthz", self.process, seconds=60)

    def kill(self) -> None:
        """Web and worker, without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def portal_at(data_dir: Path, **settings: str) -> Iterator[Portal]:
    made = Portal(data_dir, **settings)
    try:
        yield made
    finally:
        made.stop()


def send(client: httpx2.Client, address: str, **body: Any) -> httpx2.Response:
    said = {"kind": "report", "description": SAID, **body}
    return client.post("/api/v1/tips", json=said, headers={"X-Forwarded-For": address})


def tell_figures(words: str) -> None:
    """For `make soak`, which shows what tests say."""
    sys.stdout.write(f"\n{words}\n")


# ---- a flood --------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    codes: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    """Seconds of honest senders, beside the arithmetic."""
    receipts: list[str] = field(default_factory=list)


def test_in_a_flood_every_honest_sender_is_heard(keys: Path) -> None:
    told = Told()
    with portal_at(keys) as portal, httpx2.Client(base_url=portal.url, timeout=60) as client:
        addresses = [f"127.0.{1 + n // 100}.{1 + n % 100}" for n in range(200)]
        proofs = [proof(1_000) for _ in range(JUNK // 2)]

        def junk(number: int) -> None:
            extra = {"proof_of_work": proofs[number // 2]} if number % 2 else {}
            with_junk = f"垃圾信息{number}" * 3
            told.codes.append(send(client, addresses[number % 200], description=with_junk, **extra).status_code)

        def honest(number: int) -> None:
            time.sleep(number * JUNK / 10_000 * 2)
            address = {"X-Forwarded-For": f"127.9.0.{number + 1}"}
            started, arithmetic = time.perf_counter(), 0.0
            while True:
                asked = client.get("/api/v1/tips/challenge", headers=address).json()["challenge"]
                began = time.perf_counter()
                extra = {"proof_of_work": solve(asked)} if asked else {}
                arithmetic += time.perf_counter() - began
                answer = send(client, address["X-Forwarded-For"], description=f"{SAID}{number}", **extra)
                if answer.status_code == 201:
                    break
                assert answer.status_code == 428, answer.text
            told.took.append(time.perf_counter() - started - arithmetic)
            told.receipts.append(answer.json()["receipt"])

        with ThreadPoolExecutor(16) as flood, ThreadPoolExecutor(4) as people:
            sending = [flood.submit(junk, number) for number in range(JUNK)]
            telling = [people.submit(honest, number) for number in range(HONEST)]
            for one in (*telling, *sending):
                one.result()
        for number, receipt in enumerate(told.receipts):
            answer = client.post(
                "/api/v1/tips/status", json={"receipt": receipt}, headers={"X-Forwarded-For": f"127.8.0.{number + 1}"}
            )
            assert answer.status_code == 200
    counted = {code: told.codes.count(code) for code in sorted(set(told.codes))}
    tell_figures(f"{JUNK} junk: {counted}; honest: {len(told.took)}, slowest {max(told.took):.1f} s beside the proof")
    assert len(told.receipts) == HONEST
    assert max(told.took) < MOST_SECONDS
    assert set(counted) <= {201, 428, 429}, "junk is slowed down, refused, or filed; nothing breaks"


# ---- killed ---------------------------------------------------------------------------------------------------------


def insist(client: httpx2.Client, number: int, proofs: list[str], give_up: float) -> str | None:
    """Send a form until it is answered, as somebody does who presses the button again. Returns the receipt."""
    form: dict[str, str] = {}
    while time.monotonic() < give_up:
        try:
            if not form:
                form = hidden(client.get("/report/new?kind=report").text)
            fields = {**form, "service": "food", "description": f"{SAID}{number}", "named": "no"}
            answer = client.post("/report/send", data={**fields, "proof": proofs[0]})
            if answer.status_code == 200:
                return digits(answer.text)
            if answer.status_code in (422, 428) and len(proofs) > 1:  # it was used by the try that was cut off
                proofs.pop(0)
        except httpx2.HTTPError:
            pass
        time.sleep(1)
    return None


def test_whoever_sends_until_it_is_answered_is_filed_once_however_often_the_portal_is_killed(keys: Path) -> None:
    chance = random.Random(8_848)
    proofs = [[proof(1_000) for _ in range(3)] for _ in range(RATE * SECONDS)]
    with portal_at(keys, PORTAL_RATE_LIMITS_ENABLED="false") as portal:
        stop, kills = threading.Event(), 0

        def killer() -> None:
            nonlocal kills
            while not stop.wait(chance.uniform(2, 4) if SECONDS < 20 else chance.uniform(6, 14)):
                portal.kill()
                kills += 1
                portal.start()

        with httpx2.Client(base_url=portal.url, timeout=30, limits=httpx2.Limits(max_connections=100)) as client:
            began = time.monotonic()

            def tell(number: int) -> str | None:
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))
                return insist(client, number, proofs[number], time.monotonic() + 180)

            killing = threading.Thread(target=killer)
            killing.start()
            with ThreadPoolExecutor(100) as people:
                shown = list(people.map(tell, range(RATE * SECONDS)))
                took = time.monotonic() - began
            stop.set()
            killing.join()
            for receipt in shown:
                answer = client.post("/api/v1/tips/status", json={"receipt": receipt})
                assert answer.status_code == 200, answer.text
                assert answer.json()["status"] == "received"
    with db.reading() as session:
        filed = session.scalar(select(func.count()).select_from(Tip))
    figures = f"{RATE * SECONDS} sent at {RATE}/s, {kills} kills, all answered after {took:.0f} s"
    tell_figures(f"{figures}: {len(set(shown))} receipts shown, {filed} tips filed, every receipt opens its case")
    assert None not in shown
    assert len(set(shown)) == RATE * SECONDS == filed, "nobody is lost, and nobody is filed twice"
    assert kills
