"""The production profile on one machine: PostgreSQL, Redis, two web processes, workers; each can be taken away."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import redis
from bench.postgres import Server, free_port

PORTAL = Path(sys.executable).with_name("portal")
OPTIONS = (
    "-c shared_buffers=2GB -c effective_cache_size=8GB -c max_wal_size=8GB -c maintenance_work_mem=512MB"
    " -c checkpoint_timeout=15min -c max_connections=200"
)
WORKERS = {"quick": "search,deliveries,mail", "slow": "files,snapshots"}


class Kept:
    """One process of the portal, started again when it ends, as systemd does."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self._stopping = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.ends = 0
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(
                    self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
                self.process.wait()
            self.ends += 1
            self._stopping.wait(1)

    def children(self) -> list[int]:
        """Process ids below it, without Python's resource tracker."""
        found = []
        if self.process is not None:
            for task in Path(f"/proc/{self.process.pid}/task").iterdir():
                for child in (task / "children").read_text().split():
                    with contextlib.suppress(OSError):
                        if "resource_tracker" not in Path(f"/proc/{child}/cmdline").read_text():
                            found.append(int(child))
        return found

    def kill(self) -> None:
        """As the kernel does when memory ends."""
        if self.process is not None:
            self.process.kill()

    def stop(self) -> None:
        self._stopping.set()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self._thread.join(5)


class House:
    """Everything, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.postgres = Server(safe=True, options=OPTIONS)
        self.redis = redis.Server(free_port(), folder)
        self.data = folder / "data"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")},
            "PORTAL_DATA_DIR": str(self.data),
            "PORTAL_DATABASE_URL": self.postgres.url,
            "PORTAL_BROKER_URL": self.redis.url,
            "PORTAL_RATE_LIMITS_URL": f"redis://127.0.0.1:{self.redis.port}/1",
            "PORTAL_BASE_URL": f"http://127.0.0.1:{self.port}",
            "PORTAL_WEBHOOKS_TO_LOOPBACK": "true",
            "PORTAL_LOG_JSON": "true",
        }
        self.web: Kept | None = None
        self.workers: dict[str, Kept] = {}

    def portal(self, *words: str, **settings: str) -> dict[str, Any]:
        """Run a command; its summary. Raises RuntimeError with what it said when it fails."""
        done = subprocess.run(
            [PORTAL, *words, "--json"],
            env={**self.environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"portal {words[0]}: {done.stderr[-2_000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def open(self) -> float:
        """Start the web and the workers. Returns the seconds until the first page came."""
        started = time.monotonic()
        serve = [str(PORTAL), "serve", "--port", str(self.port), "--workers", "2", "--no-worker"]
        self.web = Kept(serve, self.environment, self.folder / "web.log")
        while not self.answers():
            if time.monotonic() - started > 180:
                raise TimeoutError("the web does not answer")
            time.sleep(0.2)
        first = time.monotonic() - started
        for name, queues in WORKERS.items():
            command = ["nice", str(PORTAL), "worker", "--queues", queues, "--concurrency", "2", "--name", name]
            self.workers[name] = Kept(command, self.environment, self.folder / f"{name}.log")
        return first

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @contextlib.contextmanager
    def without_search(self) -> Iterator[None]:
        """The search index is gone within this block, as when its disk is."""
        index, away = self.data / "search", self.data / "search-away"
        index.rename(away)
        try:
            yield
        finally:
            if index.exists():
                index.rename(self.data / f"search-{time.monotonic_ns()}")
            away.rename(index)

    def memory(self) -> int:
        """Bytes that the portal's own processes hold for themselves."""
        total = 0
        for kept in (self.web, *self.workers.values()):
            if kept is not None and kept.process is not None:
                for pid in (kept.process.pid, *kept.children()):
                    with contextlib.suppress(OSError):
                        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                            if line.startswith("RssAnon:"):
                                total += int(line.split()[1]) * 1024
        return total

    def close(self) -> None:
        """Stop everything but the database."""
        for kept in (*self.workers.values(), self.web):
            if kept is not None:
                kept.stop()
