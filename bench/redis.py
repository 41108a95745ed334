"""A Redis server of one's own for benchmarks and tests: Debian's program on a free port of the loopback, without a trace."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from bench.postgres import free_port


@contextmanager
def server(port: int | None = None) -> Iterator["Server"]:
    """A server that keeps nothing on disk. Yields it; stops it at the end."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        running = Server(port or free_port(), Path(folder))
        running.start()
        try:
            yield running
        finally:
            running.stop()


class Server:
    """One Redis server, which may be killed and started again at the same address."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, with the number of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers. Raises TimeoutError after 20 s."""
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "appendonly": "no"}
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            ["redis-server", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if time.monotonic() > deadline:
                        raise TimeoutError("Redis does not answer") from None
                    time.sleep(0.05)
                else:
                    return

    def kill(self) -> None:
        """End it as a power cut would: nothing is kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it."""
        self.kill()
