"""The command line: `portal serve`, `portal import`, …. Heavy libraries load inside the command that needs them."""

import signal
import subprocess
import sys
import threading
import time
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Entry point of the `portal` command."""
    app()


@app.callback()
def portal() -> None:
    """Gongzhi 共治: a public open-data and social co-governance portal for a city's market regulator."""


class WorkerProcess:
    """The Celery worker beside an embedded portal: started again when it dies, stopped with the web."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._child and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        self._thread.join(timeout=15)

    def _keep(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            started = time.monotonic()
            # A terminal's Ctrl-C reaches only the web process, which then stops this one in order.
            self._child = subprocess.Popen([sys.executable, "-m", "portal.worker"], start_new_session=True)
            self._child.wait()
            pause = 1.0 if time.monotonic() - started > 60 else min(pause * 2, 60)
            self._stopping.wait(pause)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Web processes.")] = 1,
) -> None:
    """Bring the database up to date, then serve the portal and run its jobs until Ctrl-C."""
    import uvicorn

    from portal import migrations
    from portal.kit.settings import get_settings

    migrations.upgrade()
    worker = WorkerProcess()
    worker.start()
    try:
        uvicorn.run(
            "portal.app:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=get_settings().trusted_proxies,
        )
    finally:
        worker.stop()
