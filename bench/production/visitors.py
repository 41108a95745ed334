"""Who comes: citizens who look, citizens who tell, a department, an association, an officer, programs.

Looking is an open load: so many questions a second, however long the answers take. Whoever writes waits for the answer
and, where none comes or the portal says "later", sends the same again until it is acknowledged, as people do.
"""

import asyncio
import csv
import hashlib
import io
import json
import random
import re
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pyotp

from bench.production.client import Answer, Client, Cut

RATES = {
    "search": 5.0, "search as JSON": 2.0, "suggest": 3.0, "file": 4.0, "file as JSON": 2.0, "file as PDF": 0.1,
    "entries": 0.5, "start page": 1.0, "lists": 0.5, "statistics": 0.3, "catalogue": 0.5, "data set": 0.5,
    "datastore": 1.0, "changes": 1.0, "file of open data": 0.5, "reconcile": 0.5, "partners": 0.3, "tip form": 0.3,
    "ratings": 0.5,
}  # fmt: skip
"""Questions a second, by route."""
TIP_SECONDS, FEED_SECONDS, BATCH_SECONDS, DESK_SECONDS = 3.0, 3.0, 40.0, 2.0
PENALTIES_AT_ONCE, ROWS_A_BATCH = 5, 200
AGAIN_SECONDS = 1.0
_LISTS = ("/records/penalty", "/records/permit", "/lists/abnormal_listing", "/records/penalty?district=310101")
_FEED = {
    "CF_WFXW": "发布虚假广告", "CF_CFLB": "罚款", "CF_NR": "罚款人民币贰万元整", "CF_NR_FK": "2",
    "CF_JDRQ": "2026-03-05",
    "CF_CFJG": "上海市黄浦区市场监督管理局", "CF_WFSS": "经查，当事人发布虚假广告，此案为测量所编。",
    "CF_YJ": "《中华人民共和国广告法》第五十五条第一款",
}  # fmt: skip


@dataclass(slots=True)
class Diary:
    """What was asked and what came of it."""

    answers: dict[str, list[tuple[float, int, float]]] = field(default_factory=lambda: defaultdict(list))
    """By route: when (monotonic seconds), status (0: cut), milliseconds."""
    receipts: list[str] = field(default_factory=list)
    unsure_tips: int = 0
    """Sent once more, because no answer came to the first: it may have been taken."""
    penalties: list[str] = field(default_factory=list)
    """Document numbers of the acknowledged ones."""
    batches: list[str] = field(default_factory=list)
    """Ids of those whose acceptance was acknowledged."""
    faults: list[str] = field(default_factory=list)
    """Answers that nobody should get."""


@dataclass(slots=True)
class City:
    """What visitors know."""

    port: int
    entities: list[tuple[str, str]]
    """Code and name."""
    queries: list[str]
    feed_key: str
    partner_key: str
    officer: dict[str, str]
    """login, password, secret."""
    datastore: str
    """Id of the entities' resource that can be queried."""


class Visitors:
    """All of them, for as long as `until` is ahead."""

    def __init__(self, city: City, diary: Diary, until: float) -> None:
        self.city, self.diary, self.until = city, diary, until
        self.client = Client(city.port)
        self.rng = random.Random(7)
        self._pending: set[asyncio.Task[None]] = set()
        self._after = 0

    async def all(self) -> None:
        """Return when time is up and the last answer has come."""
        looking = [self._often(label, rate, self._looks(label)) for label, rate in RATES.items()]
        await asyncio.gather(*looking, self.tells(), self.department(), self.association(), self.officer())
        if self._pending:
            await asyncio.gather(*self._pending)
        self.client.close()

    # ---- asking -----------------------------------------------------------------------------------------------------

    async def ask(
        self, label: str, path: str, *, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Answer | None:
        """One question, noted; None when it was cut. A page that names what it could not do is an answer too."""
        sent = {
            "Accept-Language": "zh",
            "X-Forwarded-For": f"10.{self.rng.randrange(8)}.{self.rng.randrange(256)}.{self.rng.randrange(1, 255)}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        started = time.monotonic()
        try:
            answer = await self.client.ask(method, path, sent, body)
        except Cut:
            self.diary.answers[label].append((started, 0, (time.monotonic() - started) * 1000))
            return None
        self.diary.answers[label].append((started, answer.status, answer.ms))
        if answer.status >= 500 and answer.status != 503:
            self.diary.faults.append(f"{answer.status} {label} {path[:80]}")
        return answer

    async def insists(self, label: str, path: str, body: bytes, **headers: str) -> tuple[Answer | None, int]:
        """The same again until it is taken or refused for good; the answer, and how often it stayed unanswered."""
        unanswered = 0
        while time.monotonic() < self.until + 120:
            answer = await self.ask(label, path, method="POST", body=body, **headers)
            if answer is not None and answer.status not in (429, 503):
                return answer, unanswered
            unanswered += answer is None
            await asyncio.sleep(AGAIN_SECONDS)
        return None, unanswered

    async def _often(self, label: str, rate: float, look: Callable[[], Awaitable[object]]) -> None:
        async def one() -> None:
            await look()

        while time.monotonic() < self.until:
            await asyncio.sleep(self.rng.expovariate(rate))
            task = asyncio.create_task(one(), name=label)
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    # ---- who looks --------------------------------------------------------------------------------------------------

    def _looks(self, label: str) -> Callable[[], Awaitable[object]]:
        if label == "changes":
            return self._changes
        if label == "reconcile":
            return self._reconcile
        if label == "file of open data":
            return lambda: self.ask(label, "/data/penalties.csv", Range="bytes=0-65535")
        return lambda: self.ask(label, self._path(label))

    def _path(self, label: str) -> str:
        rng, (code, name) = self.rng, self.rng.choice(self.city.entities)
        query = quote(rng.choice(self.city.queries))
        paths = {
            "search": f"/search?q={query}",
            "search as JSON": f"/api/v1/entities?q={query}",
            "suggest": f"/api/v1/suggest?q={quote(name[:4])}",
            "file": f"/entities/{code}",
            "file as JSON": f"/api/v1/entities/{code}",
            "file as PDF": f"/entities/{code}/report.pdf",
            "entries": f"/api/v1/entities/{code}/entries?kind=penalty",
            "ratings": f"/entities/{code}/evaluations",
            "start page": "/",
            "lists": rng.choice(_LISTS),
            "statistics": "/statistics",
            "catalogue": rng.choice(("/data", "/data.json", "/api/3/action/package_list")),
            "data set": "/data/penalties",
            "datastore": f"/api/3/action/datastore_search?{urlencode(self._asked_of_datastore())}",
            "partners": "/partners",
            "tip form": f"/report/new?entity={code}",
        }
        return paths[label]

    def _asked_of_datastore(self) -> dict[str, Any]:
        district = self.rng.choice(("310101", "310104", "310109", "310112", "310115", "310120"))
        return {
            "resource_id": self.city.datastore, "limit": 100, "include_total": "false",
            "filters": json.dumps({"district": district}),
        }  # fmt: skip

    async def _changes(self) -> None:
        answer = await self.ask("changes", f"/api/v1/changes?{urlencode({'after': self._after, 'limit': 100})}")
        if answer is not None and answer.status == 200:
            further = json.loads(answer.body)["next"]
            self._after = int(further) if further is not None else 0

    async def _reconcile(self) -> None:
        body = urlencode({"queries": json.dumps({"q0": {"query": self.rng.choice(self.city.entities)[1]}})}).encode()
        kind = "application/x-www-form-urlencoded"
        await self.ask("reconcile", "/reconcile", method="POST", body=body, Content_Type=kind)

    # ---- who tells --------------------------------------------------------------------------------------------------

    async def tells(self) -> None:
        number = 0
        while time.monotonic() < self.until:
            await asyncio.sleep(TIP_SECONDS)
            number += 1
            code, _ = self.rng.choice(self.city.entities)
            tip: dict[str, Any] = {
                "kind": "report", "entity_code": code,
                "description": f"测量所编第{number}件：店内公示价格与结账价格不一致。",
            }  # fmt: skip
            asked = await self.ask("tip challenge", "/api/v1/tips/challenge")
            if asked is not None and asked.status == 200 and (challenge := json.loads(asked.body)["challenge"]):
                tip["proof_of_work"] = await asyncio.to_thread(_solved, challenge)
            taken, unanswered = await self.insists(
                "tip", "/api/v1/tips", json.dumps(tip).encode(), Content_Type="application/json"
            )
            self.diary.unsure_tips += unanswered
            if taken is None or taken.status != 201:
                if taken is not None and taken.status != 428:
                    self.diary.faults.append(f"{taken.status} tip {taken.body[:200]!r}")
                continue
            self.diary.receipts.append(json.loads(taken.body)["receipt"])
            looked_up = json.dumps({"receipt": self.rng.choice(self.diary.receipts)}).encode()
            seen = await self.ask(
                "tip status", "/api/v1/tips/status", method="POST", body=looked_up, Content_Type="application/json"
            )
            if seen is not None and seen.status == 404:
                self.diary.faults.append("a receipt that opens nothing")

    async def department(self) -> None:
        number = 0
        while time.monotonic() < self.until:
            await asyncio.sleep(FEED_SECONDS)
            items, numbers = [], []
            for _ in range(PENALTIES_AT_ONCE):
                number += 1
                code, name = self.rng.choice(self.city.entities)
                numbers.append(f"沪市监测量〔2026〕{number}号")
                items.append({**_FEED, "CF_WSH": numbers[-1], "CF_XDR_MC": name, "CF_XDR_SHXYM": code})
            taken, _ = await self.insists(
                "feed", "/api/v1/feeds/penalties", json.dumps({"items": items}).encode(),
                Content_Type="application/json", Authorization=f"Bearer {self.city.feed_key}",
            )  # fmt: skip
            if taken is not None and taken.status == 200 and json.loads(taken.body)["rejected"] == 0:
                self.diary.penalties.extend(numbers)
            elif taken is not None:
                self.diary.faults.append(f"{taken.status} feed {taken.body[:200]!r}")

    async def association(self) -> None:
        number = 0
        while time.monotonic() < self.until:
            number += 1
            await self._batch(number)
            await asyncio.sleep(BATCH_SECONDS)

    async def _batch(self, number: int) -> None:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("企业名称", "统一社会信用代码", "等级", "评价日期", "有效期至", "证书编号"))
        start = (number - 1) * ROWS_A_BATCH % (len(self.city.entities) - ROWS_A_BATCH)
        for place, (code, name) in enumerate(self.city.entities[start : start + ROWS_A_BATCH]):
            certificate = f"2026001011{number % 1000:03d}{place % 100:02d}"
            writer.writerow((name, code, "AA", "2026-03-05", "2029-03-04", certificate))
        key = {"Authorization": f"Bearer {self.city.partner_key}"}
        begun, _ = await self.insists(
            "batch", "/api/v1/evaluations/batches?scheme=load-credit", text.getvalue().encode(),
            Content_Type="text/csv", Idempotency_Key=f'"load-{number}"', **key,
        )  # fmt: skip
        if begun is None or begun.status != 202:
            self.diary.faults.append(f"batch {begun and begun.status} {begun and begun.body[:200]!r}")
            return
        batch = json.loads(begun.body)["id"]
        if await self._comes_to(batch, "checked", key):
            done, _ = await self.insists(
                "batch accepted", f"/api/v1/evaluations/batches/{batch}/accept", b'{"rows":"good"}',
                Content_Type="application/json", **key,
            )  # fmt: skip
            if done is not None and done.status in (200, 202, 409):
                self.diary.batches.append(batch)
            else:
                self.diary.faults.append(f"accept {done and done.status} {done and done.body[:200]!r}")

    async def _comes_to(self, batch: str, state: str, key: dict[str, str]) -> bool:
        while time.monotonic() < self.until + 120:
            await asyncio.sleep(1)
            path = f"/api/v1/evaluations/batches/{batch}"
            seen = await self.ask("batch looked at", path, Authorization=key["Authorization"])
            if seen is not None and seen.status == 200 and json.loads(seen.body)["status"] == state:
                return True
        self.diary.faults.append(f"batch {batch} never came to be {state}")
        return False

    # ---- the desk ---------------------------------------------------------------------------------------------------

    async def officer(self) -> None:
        cookie, pages = "", ("/desk", "/desk/tips", "/desk/deliveries")
        while time.monotonic() < self.until:
            await asyncio.sleep(DESK_SECONDS)
            if not cookie:
                cookie = await self._signs_in()
                continue
            page = self.rng.choice(pages)
            seen = await self.ask("desk", page, Cookie=cookie)
            if seen is not None and seen.status == 303:
                cookie = ""
            elif seen is not None and seen.status == 200 and page == "/desk/tips":
                cases = re.findall(r'href="(/desk/tips/[^"?#]+)"', seen.body.decode())
                if cases:
                    await self.ask("desk: a case", self.rng.choice(cases), Cookie=cookie)

    async def _signs_in(self) -> str:
        officer = self.city.officer
        code = pyotp.TOTP(officer["secret"]).now()
        body = urlencode({"login": officer["login"], "password": officer["password"], "code": code}).encode()
        kind = "application/x-www-form-urlencoded"
        answer = await self.ask("desk: sign in", "/desk/login", method="POST", body=body, Content_Type=kind)
        if answer is None or answer.status != 303:
            await asyncio.sleep(30)  # a code counts once
            return ""
        return answer.headers.get("set-cookie", "").partition(";")[0]


def _solved(challenge: dict[str, Any]) -> str:
    """The proof that ALTCHA's challenge asks for."""
    salt, wanted = challenge["salt"].encode(), challenge["challenge"]
    for number in range(challenge["maxnumber"] + 1):
        if hashlib.sha256(salt + str(number).encode()).hexdigest() == wanted:
            proof = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
            return b64encode(json.dumps({**proof, "number": number}).encode()).decode()
    raise ValueError("a challenge without a solution")
