"""What an operator asks first stands at /metrics: for this machine or with a token, naming nobody."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from opendata import snapshots
from portal import measures
from portal.kit import db, jobs
from portal.kit.jobs import Job
from portal.kit.measured import Measure
from record import measures as record_measures
from record import subscriptions
from record.models import Entity
from search import engine, index
from tests.conftest import use_settings

ROOT = Path(__file__).parents[1]
TOKEN = "a-token-of-an-operator"
AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def watched(filled: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A portal whose figures are measured anew each time. Returns the database's kind."""
    monkeypatch.setenv("PORTAL_METRICS_TOKEN", TOKEN)
    use_settings(monkeypatch)
    monkeypatch.setattr(measures, "KEPT_SECONDS", 0.0)
    return filled


def figures(client: TestClient) -> Figures:
    """Every sample, by its name and labels."""
    answer = client.get("/metrics", headers=AUTHORISED)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(found: Figures, name: str, **labels: str) -> float:
    return found[f"portal_{name}", tuple(sorted(labels.items()))]


def test_strangers_find_nothing_there(watched: str, client: TestClient) -> None:
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer another-token-of-mine"}).status_code == 404
    local = TestClient(client.app, client=("127.0.0.1", 50_000))
    assert local.get("/metrics").status_code == 200
    assert TestClient(client.app, client=("203.0.113.9", 50_000)).get("/metrics").status_code == 404


def test_a_job_that_waits_one_that_was_given_up_and_an_index_that_lags_are_seen(
    watched: str, client: TestClient
) -> None:
    with db.writing() as session:
        session.execute(delete(Job))
        jobs.add(session, "search.follow", ["x"])
        jobs.add(session, "record.deliver", [])
        first, second = session.scalars(select(Job).order_by(Job.id)).all()
        first.created_at = db.now() - timedelta(minutes=20)
        second.state = "failed"
        session.delete(session.scalars(select(Entity).limit(1)).one())
    found = figures(client)
    assert one(found, "jobs_waiting", queue="search") == 1
    assert 1_190 < one(found, "jobs_oldest_seconds", queue="search") < 1_260
    assert one(found, "jobs_waiting", queue="mail") == 0
    assert one(found, "jobs_failed") == 1
    assert one(found, "search_away") == 0
    assert one(found, "index_missing_entities") == 0
    with db.writing() as session:
        session.add(Entity(code="91310199MA1LATE000", name="新", name_key="新", type="company", changed_at=db.now()))
        session.add(Entity(code="91310199MA1LATE001", name="新", name_key="新", type="company", changed_at=db.now()))
    engine.current.cache_clear()
    assert one(figures(client), "index_missing_entities") == 1
    index.rebuild()
    assert one(figures(client), "index_missing_entities") == 0


def test_answers_are_counted_by_route_and_nothing_names_anybody(watched: str, client: TestClient) -> None:
    with db.reading() as session:
        code = session.scalars(select(Entity.code).limit(1)).one()
    labels = {"route": "/api/v1/entities/{code}", "method": "GET", "status": "2xx"}
    before = figures(client).get(("portal_request_seconds_count", tuple(sorted(labels.items()))), 0)
    client.get(f"/api/v1/entities/{code}")
    client.get("/nobody/knows/this/13800000000")
    found = figures(client)
    assert found["portal_request_seconds_count", tuple(sorted(labels.items()))] == before + 1
    text = client.get("/metrics", headers=AUTHORISED).text
    assert code not in text
    assert "13800000000" not in text
    assert "testclient" not in text


def test_figures_that_cannot_be_had_are_told_of_and_the_others_stand(
    watched: str, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_session: Session) -> Sequence[Measure]:
        raise OperationalError("select", {}, Exception("away"))

    monkeypatch.setattr(record_measures.ledger, "size", away)
    found = figures(client)
    assert one(found, "measure_failed", area="record") == 1
    assert one(found, "measure_failed", area="reporting") == 0
    assert one(found, "clocks_waiting", of="tips") == 0


def test_alerts_and_dashboard_ask_for_figures_that_there_are_and_say_what_to_do(
    watched: str, client: TestClient
) -> None:
    with db.writing() as session:
        subscriptions.add(session, name="平台", url="https://platform.example/", by=None)
    snapshots.make_all(["penalties"])
    names = {name.removesuffix("_count").removesuffix("_bucket").removesuffix("_sum") for name, _ in figures(client)}
    rules = yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    panels = json.loads((ROOT / "deploy/monitoring/dashboard.json").read_text("utf-8"))["panels"]
    expressions = [rule["expr"] for rule in rules] + [panel["targets"][0]["expr"] for panel in panels]
    asked = {
        name.removesuffix("_count").removesuffix("_bucket")
        for expression in expressions
        for name in re.findall(r"portal_\w+", expression)
    }
    assert asked <= names
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {rule["annotations"]["runbook"].partition("#")[2] for rule in rules} <= anchors


def test_readiness_names_what_it_asked(watched: str, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "database": "ok", "search": "ok"}

    def count(_engine: object) -> int:
        raise engine.EngineUnavailable("away")

    monkeypatch.setattr(type(engine.current()), "count", count)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["search"]) == (200, "away")
