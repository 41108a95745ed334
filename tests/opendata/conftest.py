"""Data sets written from a portal of made-up entities, and copies that are closed with their test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opendata import datastore, snapshots
from portal import worker
from tests.conftest import Original, fill, free_port, served, use_settings

assert worker, "every area offers its data sets, whichever test runs first"


@pytest.fixture(params=["sqlite", "postgresql"])
def written(
    request: pytest.FixtureRequest,
    originals: Callable[..., Original],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """A portal with 300 made-up entities whose data sets are written, on each database. Yields the database's kind."""
    with originals(request.param, _fill_and_write).copy(monkeypatch, tmp_path):
        yield request.param
        datastore.forget()


def _fill_and_write() -> None:
    fill()
    snapshots.make_all()
    datastore.forget()


@pytest.fixture(scope="session")
def address(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served portal whose data sets are written."""
    folder = tmp_path_factory.mktemp("ckan")
    shutil.copytree(demo_data.parent, folder / "portal", ignore=shutil.ignore_patterns("*-queue", "*-turn"))
    port = free_port()
    settings = {"PORTAL_RATE_LIMITS_ENABLED": "false", "PORTAL_BASE_URL": f"http://127.0.0.1:{port}"}
    with pytest.MonkeyPatch.context() as patch:
        data_dir = folder / "portal" / "var"
        use_settings(patch, data_dir=data_dir, database_url="", base_url=settings["PORTAL_BASE_URL"])
        snapshots.make_all()
        datastore.forget()
    with served(data_dir, port=port, **settings) as url:
        yield url
