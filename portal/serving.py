"""The commands that go on until they are stopped: the web with an embedded worker, and workers of their own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from portal.console import refusals_told

if TYPE_CHECKING:
    import uvicorn

WEB_FIRST_SECONDS = 2.0
"""The worker starts so much later than the web, so that the first page need not wait for it."""


class Role(StrEnum):
    all = "all"
    public = "public"
    desk = "desk"


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
        self._stopping.wait(WEB_FIRST_SECONDS)
        while not self._stopping.is_set():
            started = time.monotonic()
            # A terminal's Ctrl-C reaches only the web process, which then stops this one in order.
            command = [sys.executable, "-m", "portal.worker", str(os.getpid())]
            self._child = subprocess.Popen(command, start_new_session=True)  # noqa: S603  our own worker
            self._child.wait()
            pause = 1.0 if time.monotonic() - started > 60 else min(pause * 2, 60)
            self._stopping.wait(pause)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Web processes.")] = 1,
    role: Annotated[
        Role | None, typer.Option(help="public: without the desk and private keys; desk: for officers; all: both.")
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Jobs are run by `portal worker` elsewhere.")] = False,
) -> None:
    """Bring the database up to date, then serve the portal and run its jobs until Ctrl-C."""
    import uvicorn

    from portal import backup, migrations, zones
    from portal.kit.settings import get_settings, serve_as, share_metrics
    from reporting import vault

    if role:
        serve_as(role.value)
    public = get_settings().role == "public"
    config = uvicorn.Config(
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
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        typer.echo(f"{host}:{port} cannot be listened on: {error.strerror}. Choose another with --port.", err=True)
        raise typer.Exit(1) from error
    with refusals_told():
        backup.refuse_half_restored()
        if public:
            migrations.refuse_outdated()
            zones.refuse_too_many_rights()
        else:
            migrations.upgrade()
            vault.ready()
    with tempfile.TemporaryDirectory(prefix="gongzhi-metrics-") as folder:
        if workers > 1:
            share_metrics(folder)
        _serve(config, host, port, workers=workers, no_worker=no_worker or public)


def _serve(config: "uvicorn.Config", host: str, port: int, *, workers: int, no_worker: bool) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from portal.ports import SharedPort

    worker = None if no_worker else WorkerProcess()
    if worker:
        worker.start()
    typer.echo(f"Serving on http://{host}:{port} — Ctrl-C stops it.", err=True)
    try:
        if workers > 1:
            Multiprocess(config, sockets=[SharedPort.bound(host, port)]).run()
        else:
            uvicorn.Server(config).run()
    finally:
        if worker:
            worker.stop()


def worker(
    queues: Annotated[
        str, typer.Option(help="What it works on, of search, deliveries, files, snapshots, mail; left out: all.")
    ] = "",
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Jobs at once.")] = 2,
    name: Annotated[str, typer.Option(help="Tells the workers of one host apart.")] = "portal",
) -> None:
    """Run jobs until Ctrl-C, beside `portal serve --no-worker`: any number of workers, on any number of hosts."""
    from portal import migrations
    from portal import worker as working
    from portal.kit.jobs import QUEUES
    from portal.kit.settings import get_settings

    asked = [one.strip() for one in queues.split(",") if one.strip()]
    chosen = [one for one in QUEUES if one in asked or not asked]
    if len(chosen) != len(set(asked)) and asked:
        raise typer.BadParameter(f"there are {', '.join(QUEUES)}", param_hint="--queues")
    if get_settings().broker_url.startswith("memory:"):
        typer.echo(
            "Without a broker only the worker of `portal serve` runs jobs. Set PORTAL_BROKER_URL, for example to"
            " redis://127.0.0.1:6379/0.",
            err=True,
        )
        raise typer.Exit(1)
    migrations.upgrade()
    working.work(chosen, concurrency=concurrency, name=name)
