"""A PostgreSQL server of one's own, of Debian's package, on a free port of loopback: for tests and measurements."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: list[str]) -> None:
    # initdb refuses to run as root, so root steps down to the user that Debian's package made.
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/")


DURABLE = "-c fsync=on"
FORGETFUL = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0"
    " -c autovacuum=off"
)


class Server:
    """A server that can be taken away and brought back. `safe`: commits wait for the disk, as in production.

    `options`: more of the server's own, such as `-c shared_buffers=2GB`.
    """

    def __init__(self, *, safe: bool, options: str = "") -> None:
        self._binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
        self._home, port = Path(tempfile.mkdtemp()), free_port()
        if os.geteuid() == 0:
            shutil.chown(self._home, "postgres", "postgres")
        self._options = (
            f"-p {port} -k {self._home} -c listen_addresses=127.0.0.1 -c max_connections=50"
            f" {DURABLE if safe else FORGETFUL} {options}"
        )
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        """Of its `postgres` database."""
        self._call("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def _call(self, program: str, *words: str) -> None:
        _run([str(self._binaries / program), "-D", str(self._home / "data"), *words])

    def start(self) -> None:
        self._call("pg_ctl", "-o", self._options, "-l", str(self._home / "log"), "-w", "start")

    def stop(self) -> None:
        """End it at once, as a crash would; what was committed is found again if it is `safe`."""
        self._call("pg_ctl", "-m", "immediate", "stop")

    def remove(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)


@contextmanager
def server(*, safe: bool) -> Iterator[str]:
    """Yields the URL of a server's `postgres` database."""
    made = Server(safe=safe)
    made.start()
    try:
        yield made.url
    finally:
        made.stop()
        made.remove()
