"""The search index follows the register: through jobs, through a rebuild, and after it was lost."""

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from portal.kit import db, jobs
from record.models import Entity
from search import engine, index, tasks
from search.engine import Filters, NoIndex

__all__ = ["tasks"]  # importing it subscribes the index to changes


def rename(code: str, name: str) -> None:
    from record.names import fold

    with db.writing() as session:
        entity = session.get_one(Entity, code)
        entity.name, entity.name_key, entity.changed_at = name, fold(name), db.now()
        jobs.after_commit(session, "entity.changed", [code])


def codes_for(text: str) -> list[str]:
    return [hit.code for hit in engine.current().search(text, Filters(), limit=10).hits]


@pytest.fixture
def one(filled: str) -> str:
    """Code of one entity of a small indexed portal."""
    with db.reading() as session:
        return session.query(Entity).order_by(Entity.code).first().code  # type: ignore[union-attr]


def test_a_changed_name_is_found_once_its_job_has_run(one: str) -> None:
    rename(one, "上海奇观异想科技有限公司")
    assert one not in codes_for("奇观异想")
    assert jobs.drain()
    assert codes_for("奇观异想") == [one]


def test_a_removed_entity_is_found_no_longer(one: str) -> None:
    with db.writing() as session:
        name = session.get_one(Entity, one).name
        session.query(Entity).filter(Entity.code == one).delete()
        jobs.after_commit(session, "entity.changed", [one])
    assert jobs.drain()
    assert one not in codes_for(name)


def test_a_change_that_was_made_while_the_index_was_rebuilt_is_in_it(one: str) -> None:
    changed: list[str] = []

    def change_meanwhile(done: int, total: int | None) -> None:
        if not changed:
            changed.append(one)
            rename(one, "上海奇观异想科技有限公司")
            jobs.drain()

    stream_step, index.PROGRESS_EVERY = index.PROGRESS_EVERY, 10
    try:
        index.rebuild(change_meanwhile)
    finally:
        index.PROGRESS_EVERY = stream_step
    assert changed == [one]
    assert codes_for("奇观异想") == [one]


def test_a_lost_index_is_noticed_and_built_anew(one: str, tmp_path: Path) -> None:
    engine.current.cache_clear()
    shutil.rmtree(tmp_path / "var" / "search")
    assert engine.current().count() == 0
    index.mend()
    assert engine.current().count() == 300


def test_a_small_register_is_searchable_again_with_its_next_change(one: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "var" / "search")
    rename(one, "上海奇观异想科技有限公司")
    assert jobs.drain()
    assert codes_for("奇观异想") == [one]
    assert engine.current().count() == 300


def test_a_large_register_waits_whether_its_index_comes_back(
    one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SMALL", 10)
    shutil.move(tmp_path / "var" / "search", tmp_path / "away")
    rename(one, "上海奇观异想科技有限公司")
    assert not jobs.drain()
    with db.reading() as session:
        assert jobs.is_waiting(session, index.MEND)
    with pytest.raises(NoIndex):
        codes_for("奇观异想")
    shutil.rmtree(tmp_path / "var" / "search", ignore_errors=True)
    shutil.move(tmp_path / "away", tmp_path / "var" / "search")
    index.follow([one])
    assert codes_for("奇观异想") == [one]


def test_a_lost_index_is_told_of_and_codes_are_still_found(one: str, client: TestClient, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "var" / "search")
    page = client.get("/search", params={"q": "贸易"}, headers={"Accept-Language": "en"})
    assert page.status_code == 200
    assert "cannot answer just now" in page.text
    assert [item["code"] for item in client.get("/api/v1/entities", params={"q": one}).json()["items"]] == [one]


def test_a_level_index_is_left_alone(one: str, tmp_path: Path) -> None:
    before = sorted(path.name for path in (tmp_path / "var" / "search").rglob("*"))
    index.mend()
    assert sorted(path.name for path in (tmp_path / "var" / "search").rglob("*")) == before
