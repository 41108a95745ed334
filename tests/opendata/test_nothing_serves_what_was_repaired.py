"""After a repair nothing serves the record: every way out that showed it is asked again, caches and old addresses too.

Queries forget it at once; files within the job that follows two minutes later.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
import time_machine
from fastapi.testclient import TestClient
from httpx2 import Response
from python_calamine import CalamineWorkbook
from sqlalchemy import select

from opendata import catalog, datastore, snapshots
from portal.kit import db, jobs
from record import publication
from record.models import Entity, LedgerEntry
from tests import paper
from tests.record.test_record_pages import fact, penalty, store

MARK = "发布奇观异想广告"
SETS = ("penalties", "serious-violations")
FORMS = ("csv", "csv.gz", "jsonl", "parquet", "xlsx")
pytestmark = pytest.mark.usefixtures("filled", "unlimited")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(db.now(), tick=False) as traveller:
        yield traveller
    datastore.forget()


@pytest.fixture
def entity(clock: time_machine.Traveller) -> Entity:
    """An entity with a penalty and a listing, both in the files, in the tables, and in yesterday's changes."""
    with db.reading() as session:
        found = session.scalars(select(Entity).where(Entity.code.startswith("91")).order_by(Entity.code)).first()
    assert found is not None
    listing = fact(found, "serious_violation", 2, publication.today(), ground=MARK)
    store(penalty(found, act=MARK), listing)
    jobs.drain()
    clock.shift(timedelta(days=1))
    work("opendata.snapshot", "opendata.deltas")
    return found


def work(*tasks: str) -> None:
    with db.writing() as session:
        for task in tasks:
            jobs.add(session, task, [])
    jobs.drain()


def marked() -> list[LedgerEntry]:
    """The two entries."""
    with db.reading() as session:
        newest = session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq.desc()).limit(20))
        return [one for one in newest if one.payload and MARK in json.dumps(one.payload, ensure_ascii=False)]


def repair() -> None:
    with db.writing() as session:
        publication.withdraw(session, [one.seq for one in marked()], "repaired")
    jobs.drain()


def said(answer: Response, folder: Path) -> str:
    """What an answer says, as text; nothing where it is a refusal."""
    if answer.status_code >= 400:
        return ""
    media_type = answer.headers["content-type"].partition(";")[0]
    if media_type == "application/gzip":
        return gzip.decompress(answer.content).decode()
    if media_type == "application/pdf":
        return paper.text(answer.content)
    if media_type == "application/vnd.apache.parquet":
        path = folder / "part.parquet"
        path.write_bytes(answer.content)
        return str(duckdb.execute("FROM read_parquet(?)", [str(path)]).fetchall())
    if media_type.startswith("application/vnd.openxmlformats"):
        path = folder / "book.xlsx"
        path.write_bytes(answer.content)
        return str(CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python())
    return answer.text


def queries(code: str) -> Mapping[str, str]:
    """Ways that answer from what is published now."""
    since = min(one.seq for one in marked()) - 1
    found = {
        "file": f"/entities/{code}",
        "file in English": f"/entities/{code}?lang=en",
        "entries of a kind": f"/entities/{code}/records/penalty",
        "list": "/records/penalty",
        "list of listings": "/lists/serious_violation",
        "report": f"/entities/{code}/report.pdf",
        "feed": f"/entities/{code}/feed.atom",
        "API file": f"/api/v1/entities/{code}",
        "API entries": f"/api/v1/entities/{code}/entries?kind=penalty",
        "API changes": f"/api/v1/changes?after={since}",
        "changes of a kind": f"/api/v1/changes?after={since}&kind=serious_violation",
    }
    for name in SETS:
        table = catalog.resource_id(name, "csv")
        act = "act" if name == "penalties" else "ground"
        filters = quote(json.dumps({"entity_code": code}))
        asked = f"/api/3/action/datastore_search?resource_id={table}&limit=100"
        found |= {
            f"{name} by entity": f"{asked}&filters={filters}",
            f"{name} by another path": f"/api/action/datastore_search?resource_id={name}&filters={filters}",
            f"{name} by words": f"{asked}&q={quote(MARK)}",
            f"{name} by words in a column": f"{asked}&q={quote(json.dumps({act: MARK}))}",
            f"{name}, each value once": f"{asked}&fields={act}&distinct=true&filters={filters}",
            f"{name} as lists": f"{asked}&records_format=lists&filters={filters}",
            f"{name} as text": f"{asked}&records_format=csv&filters={filters}",
            f"{name} page": f"/data/{name}",
            **{
                f"{name} dump {form}": f"/datastore/dump/{table}?format={form}"
                for form in ("csv", "tsv", "json", "xml")
            },
        }
    return found


def files(client: TestClient) -> Mapping[str, str]:
    """Every file that holds published rows: whole ones, parts, and each day's changes."""
    found = {}
    for name in SETS:
        with db.reading() as session:
            made = snapshots.of(session, name)
        assert made is not None
        for form in FORMS:
            found[f"{name}.{form}"] = f"/data/{name}.{form}"
            for part in made[1].parts:
                found[f"{name} part {part.name}.{form}"] = f"/data/{name}/parts/{part.name}.{form}"
    for day in client.get("/data/changes.json").json()["items"]:
        found |= {address: address for address in (file["url"].partition("8000")[2] for file in day["files"])}
    return found


def showing(client: TestClient, ways: Mapping[str, str], folder: Path) -> set[str]:
    """Which of these ways say what was done."""
    return {name for name, address in ways.items() if MARK in said(client.get(address), folder)}


def counts(client: TestClient, code: str) -> Mapping[str, int]:
    """Numbers that count the two entries, or the entity because of them."""
    found = {}
    for name in SETS:
        asked = {"resource_id": catalog.resource_id(name, "csv"), "limit": 0}
        found[f"{name} in all"] = client.post("/api/3/action/datastore_search", json=asked).json()["result"]["total"]
        asked["filters"] = {"entity_code": code}
        found[f"{name} here"] = client.post("/api/3/action/datastore_search", json=asked).json()["result"]["total"]
    entities = client.get("/api/v1/entities", params={"listed": "serious_violation"}).json()
    found["listed"] = entities["total"]
    found["flags"] = len(client.get(f"/api/v1/entities/{code}").json()["flags"])
    asked_for = json.dumps({"ids": [code], "properties": [{"id": "flags"}]})
    extended = client.post("/reconcile/extend", data={"extend": asked_for}).json()
    found["flags in tables"] = json.dumps(extended).count("serious_violation") + json.dumps(
        extended, ensure_ascii=False
    ).count("严重违法")
    return found


def test_after_a_repair_no_route_file_delta_count_or_cache_serves_the_record(
    client: TestClient, entity: Entity, clock: time_machine.Traveller, tmp_path: Path
) -> None:
    asked, taken = queries(entity.code), files(client)
    before = counts(client, entity.code)
    assert set(asked) - showing(client, asked, tmp_path) == set()
    kept = showing(client, taken, tmp_path)
    whole = {f"{name}.{form}" for name in SETS for form in ("csv", "csv.gz", "jsonl")}
    assert whole <= kept
    assert any(name.startswith("/data/changes/") for name in kept)
    assert any(name.endswith(".parquet") for name in kept)
    validators = {name: client.get(taken[name]).headers["etag"] for name in kept}

    repair()
    assert showing(client, asked, tmp_path) == set(), "queries, at once"
    after = counts(client, entity.code)
    assert {name: before[name] - after[name] for name in before} == {
        "penalties in all": 1, "penalties here": before["penalties here"] - after["penalties here"],
        "serious-violations in all": 1, "serious-violations here": 1, "listed": 1, "flags": 1, "flags in tables":
        before["flags in tables"],
    }  # fmt: skip
    withdrawn = client.get("/data/withdrawn.csv").text
    assert all(one.id in withdrawn for one in marked())

    clock.shift(timedelta(minutes=3))
    jobs.drain()
    assert showing(client, files(client), tmp_path) == set(), "files, within ten minutes"
    assert showing(client, taken, tmp_path) == set(), "at their old addresses too"
    for name, etag in validators.items():
        for headers in ({"If-None-Match": etag}, {"Range": "bytes=0-99999999", "If-Range": etag}):
            assert client.get(taken[name], headers=headers).status_code in {200, 404}, name
    assert showing(client, asked, tmp_path) == set()
    assert counts(client, entity.code) == after

    work("opendata.snapshot", "opendata.deltas")
    assert showing(client, {**asked, **files(client)}, tmp_path) == set()
