"""Limits that hosts share in Redis: counted together, never refusing anybody because Redis is down, telling nobody."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
import redis as client

from bench import redis
from tests.conftest import served

PATH = "/api/v1/entities/check"
ALLOWED = 10
"""A minute, as the door of PATH says; the least of those that need no key."""
VISITOR = "203.0.113.77"


@pytest.fixture(scope="module")
def counting() -> Iterator[redis.Server]:
    with redis.server() as running:
        yield running


@pytest.fixture(scope="module")
def hosts(
    counting: redis.Server, demo_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[str], Path]]:
    """Two hosts over one portal. Yields their addresses and where the first logs."""
    log = tmp_path_factory.mktemp("log") / "web.log"
    settings = {"PORTAL_RATE_LIMITS_URL": counting.url, "PORTAL_LOG_JSON": "true"}
    with served(demo_data, log=log, **settings) as one, served(demo_data, **settings) as other:
        yield [one, other], log


def ask(host: str, visitor: str = VISITOR) -> int:
    """Status of one check of a name."""
    headers = {"Content-Type": "application/json", "X-Forwarded-For": visitor}
    body = json.dumps({"items": ["不存在"]}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(host + PATH, body, headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as refusal:
        return refusal.code


def wait_for_a_fresh_minute() -> None:
    """Counts begin anew each minute: what is counted here must fall into one."""
    left = 60 - time.time() % 60
    if left < 20:
        time.sleep(left + 0.5)


def events(log: Path, name: str) -> int:
    return log.read_text().count(f'"event": "{name}"')


def test_two_hosts_count_together_and_redis_learns_no_address(
    hosts: tuple[list[str], Path], counting: redis.Server
) -> None:
    wait_for_a_fresh_minute()
    (one, other), _ = hosts
    seen = [ask(host) for _ in range(ALLOWED // 2 + 1) for host in (one, other)]
    assert seen == [200] * ALLOWED + [429] * 2
    with client.Redis.from_url(counting.url) as store:
        names = [name.decode() for name in store.scan_iter()]
        kept = [store.get(name) for name in names]
    assert any(name.startswith("gongzhi:limits") for name in names)
    assert not any(VISITOR in f"{name}{value!r}" for name, value in zip(names, kept, strict=True))


def test_without_redis_everybody_is_answered_soon_counted_by_each_host_and_the_alarm_sounds_once(
    hosts: tuple[list[str], Path], counting: redis.Server
) -> None:
    (one, _), log = hosts
    counting.kill()
    try:
        wait_for_a_fresh_minute()
        started = time.monotonic()
        assert [ask(one, "203.0.113.78") for _ in range(ALLOWED + 1)] == [200] * ALLOWED + [429]
        assert time.monotonic() - started < 15
        assert events(log, "limits.away") == 1
    finally:
        counting.start()
    deadline = time.monotonic() + 20
    while not events(log, "limits.back"):
        assert time.monotonic() < deadline, "Redis is not asked again"
        ask(one, "203.0.113.79")
        time.sleep(0.5)
    assert (events(log, "limits.away"), events(log, "limits.back")) == (1, 1)
