"""The command line: `portal serve`, `portal import`, …. Heavy libraries load inside the command that needs them.

Long work shows its progress on a terminal; with `--json` the last line is a summary for programs. Exit codes: 0 done,
1 refused input or a failed check, 2 wrong usage.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print a one-line JSON summary as the last line.")]


class ImportKind(StrEnum):
    registry = "registry"


def main() -> None:
    """Entry point of the `portal` command."""
    app()


@app.callback()
def portal() -> None:
    """Gongzhi 共治: a public open-data and social co-governance portal for a city's market regulator."""
    from portal.kit import logs

    logs.configure()


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on a terminal, told `(done, total or None)`; silent elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _finish(summary: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(summary, ensure_ascii=False) if as_json else sentence)


WEB_FIRST_SECONDS = 2.0
"""The worker starts so much later than the web, so that the first page need not wait for it."""


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


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Web processes.")] = 1,
) -> None:
    """Bring the database up to date, then serve the portal and run its jobs until Ctrl-C."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from portal import migrations
    from portal.kit.settings import get_settings
    from portal.ports import SharedPort

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
    migrations.upgrade()
    worker = WorkerProcess()
    worker.start()
    typer.echo(f"Serving on http://{host}:{port} — Ctrl-C stops it.", err=True)
    try:
        if workers > 1:
            Multiprocess(config, sockets=[SharedPort.bound(host, port)]).run()
        else:
            uvicorn.Server(config).run()
    finally:
        worker.stop()


@app.command("import")
def import_(
    kind: ImportKind,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, metavar="FILE…")],
    baseline: Annotated[bool, typer.Option("--baseline", help="The first load of a register, in bulk.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read files of official data. Returns when what they brought is searchable and served.

    CSV, XLSX or JSONL, each also .gz, .xz or .zst. Rows that cannot be used go to FILE.rejects.csv with the reason.
    """
    import search.tasks  # noqa: F401  its jobs follow what is imported
    from portal import migrations
    from record import registry
    from search import index

    migrations.upgrade()
    started = time.monotonic()
    try:
        with _progress("Reading") as told, index.FirstLoad() as first_load:
            summary = registry.import_files(files, baseline=baseline or None, follower=first_load, progress=told)
    except registry.FileRefused as refusal:
        typer.echo(f"{refusal.path}: {refusal.title} {refusal.remedy}", err=True)
        raise typer.Exit(1) from refusal
    with _progress("Indexing") as told:
        index.bring_level(in_bulk=summary.baseline and not first_load.began, progress=told)
    seconds = round(time.monotonic() - started, 2)
    _finish(
        {**summary.as_dict(), "seconds": seconds},
        f"{summary.rows} rows in {seconds} s: {summary.added} added, {summary.changed} changed, "
        f"{summary.unchanged} unchanged, {summary.rejected} rejected.",
        as_json=as_json,
    )


@app.command()
def demo(
    entities: Annotated[int, typer.Option(min=1, max=200_000, help="How many entities to make up.")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Fill an empty portal with made-up entities. Repeating it changes nothing."""
    from portal import migrations
    from record import demo as made_up
    from search import index

    migrations.upgrade()
    with _progress("Making up entities") as told:
        added = made_up.fill(entities, progress=told)
    with _progress("Indexing") as told:
        index.bring_level(in_bulk=added > 0, progress=told)
    _finish({"added": added}, f"{added} made-up entities added.", as_json=as_json)


@app.command()
def reindex(as_json: AsJson = False) -> None:
    """Build the search index anew from the register, beside the one in use."""
    from search import index

    started = time.monotonic()
    with _progress("Indexing") as told:
        size = index.rebuild(told)
    seconds = round(time.monotonic() - started, 2)
    _finish({"entities": size, "seconds": seconds}, f"{size} entities indexed in {seconds} s.", as_json=as_json)


@app.command()
def purge(as_json: AsJson = False) -> None:
    """Apply retention: forget what need not be kept any longer."""
    from portal.kit import jobs

    forgotten = jobs.purge()
    _finish({"jobs": forgotten}, f"{forgotten} finished jobs forgotten.", as_json=as_json)
