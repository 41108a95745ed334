"""PostgreSQL is far away, is restarted, is locked by others: the site says so, and goes on by itself."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from fastapi.testclient import TestClient

from bench.postgres import Server
from portal import migrations
from portal.kit import db
from tests.conftest import application, forget_settings, new_database, use_settings

CHANGES_A_TABLE = ("0018", "subscription")
"""The revision before one that changes this table."""


@pytest.fixture
def empty(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database without tables, which the settings name. Yields its address for psycopg."""
    with new_database(postgres) as url:
        use_settings(monkeypatch, data_dir=tmp_path / "var", keys_dir=tmp_path / "keys", database_url=url)
        yield url.replace("+psycopg", "")
        forget_settings()


@pytest.mark.usefixtures("unlimited")
def test_while_the_database_is_away_pages_say_so_and_afterwards_they_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(safe=True)
    server.start()
    try:
        use_settings(monkeypatch, data_dir=tmp_path / "var", keys_dir=tmp_path / "keys", database_url=server.url)
        migrations.upgrade()
        with TestClient(application()) as client:
            assert client.get("/lists/serious_violation").status_code == 200
            server.stop()
            for path in ("/lists/serious_violation", "/api/v1/changes", "/readyz"):
                answer = client.get(path)
                assert answer.status_code == 503, path
                assert int(answer.headers["Retry-After"]) > 0
                assert "postgres" not in answer.text
            assert client.get("/healthz").status_code == 200
            server.start()
            assert client.get("/lists/serious_violation").status_code == 200
            assert client.get("/readyz").status_code == 200
    finally:
        forget_settings()
        server.stop()
        server.remove()


@pytest.mark.usefixtures("unlimited")
def test_a_page_does_not_wait_for_a_table_that_somebody_holds(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.upgrade()
    use_settings(monkeypatch, answer_seconds=1)
    with TestClient(application()) as client, psycopg.connect(empty) as other:
        other.execute("LOCK TABLE ledger_entry")
        started = time.monotonic()
        assert client.get("/api/v1/changes").status_code == 503
        assert time.monotonic() - started < 5
        other.rollback()
        assert client.get("/api/v1/changes").status_code == 200


def test_only_a_process_that_answers_people_is_in_a_hurry(empty: str) -> None:
    def longest() -> str:
        with db.reading() as session:
            return str(session.connection().exec_driver_sql("SHOW statement_timeout").scalar())

    assert longest() == "0"
    with db.hurried():
        assert longest() == "10s"
    assert longest() == "0"


def test_hosts_that_start_at_once_bring_the_database_up_to_date_once(empty: str) -> None:
    words = [sys.executable, "-c", "from portal import migrations; migrations.upgrade()"]
    starting = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(3)]
    for process in starting:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    with db.reading_engine().connect() as connection:
        assert migrations.known(migrations.revision(connection) or "")


def test_a_table_that_must_change_is_waited_for_without_holding_up_those_who_read_it(empty: str) -> None:
    before, table = CHANGES_A_TABLE
    command.upgrade(migrations.config(), before)
    with psycopg.connect(empty) as other, psycopg.connect(empty, autocommit=True) as reader:
        other.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        upgrading = threading.Thread(target=migrations.upgrade)
        upgrading.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while reader.execute(waiting).fetchone() == (0,):
            assert upgrading.is_alive(), "nothing was waited for"
            time.sleep(0.05)
        started = time.monotonic()
        reader.execute(f"SELECT count(*) FROM {table}")
        assert time.monotonic() - started < 8
        assert upgrading.is_alive()
        other.rollback()
        upgrading.join(60)
    assert not upgrading.is_alive()
    with db.reading_engine().connect() as connection:
        assert migrations.revision(connection) != before
