"""CKAN's own clients and harvesters work unchanged, and filters, sorting and paging give what the rows hold."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from opendata import catalog, datastore, snapshots
from opendata.models import Snapshot
from portal.kit import datasets, db
from portal.kit.datasets import Column, DataSet
from record import publication
from record.models import Entity
from record.publication import PUBLISHED

pytestmark = [pytest.mark.usefixtures("unlimited")]

ENTITIES = catalog.resource_id("entities", "csv")
PENALTIES = catalog.resource_id("penalties", "csv")
PERMITS = catalog.resource_id("permits", "csv")


def act(client: TestClient, name: str, **said: Any) -> Any:
    answer = client.post(f"/api/3/action/{name}", json=said)
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    assert answer.json()["help"].endswith(f"/api/3/action/help_show?name={name}")
    return answer.json()["result"]


def refused(client: TestClient, name: str, status: int, **said: Any) -> Any:
    answer = client.post(f"/api/action/{name}", json=said)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


# ---- the envelope ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("written")
def test_errors_have_ckans_statuses_and_types(client: TestClient) -> None:
    unknown = client.get("/api/3/action/nothing_here")
    assert (unknown.status_code, unknown.json()) == (400, "Bad request - Action name not known: nothing_here")
    broken = client.post("/api/3/action/package_list", content=b"{")
    assert broken.status_code == 400
    assert isinstance(broken.json(), str)
    assert refused(client, "package_show", 404, id="x")["__type"] == "Not Found Error"
    assert refused(client, "package_show", 409)["id"] == ["Missing value"]
    assert refused(client, "package_search", 400, sort="nonsense asc")["__type"] == "Search Query Error"
    assert refused(client, "datastore_search_sql", 403, sql="select 1")["__type"] == "Authorization Error"
    assert refused(client, "datastore_search", 409, resource_id=ENTITIES, filters={"no": 1})["__type"] == (
        "Validation Error"
    )
    assert client.get("/api/3").json() == {"version": 3}
    padded = client.get("/api/3/action/package_list?callback=f")
    assert re.fullmatch(r"/\*\*/f\(.*\);", padded.text)
    assert act(client, "package_list", invented="ignored") == sorted(datasets.offered())


@pytest.mark.usefixtures("written")
def test_packages_are_whole_and_the_same_by_every_way(client: TestClient) -> None:
    one = act(client, "package_show", id="penalties")
    assert act(client, "package_show", id=one["id"]) == one
    assert one["num_resources"] == len(one["resources"]) >= 3
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", one["metadata_modified"])
    found = act(client, "package_search", q="行政处罚")
    assert found["results"][0] == one
    (resource,) = [each for each in one["resources"] if each["datastore_active"]]
    assert act(client, "resource_show", id=resource["id"]) == resource
    assert resource["hash"]
    assert client.get(resource["url"].partition("8000")[2]).status_code == 200
    counted = act(client, "package_search", rows=0, **{"facet.field": ["res_format"]})
    assert counted["search_facets"]["res_format"]["items"][0]["count"] == len(datasets.offered())


# ---- searching the catalogue ----------------------------------------------------------------------------------------


@pytest.fixture
def large(database: str) -> Iterator[int]:
    """A catalogue of 2,305 data sets."""
    kept = dict(datasets.offered())
    known = datasets.offered()
    assert isinstance(known, dict)
    known.clear()
    for number in range(2_305):
        name = f"set-{number:04d}"
        column = Column("id", "text", ("标识", "Id"))
        datasets.offer(DataSet(name, (name, name), (name, name), (column,), lambda session: iter(()), key="id"))
    yield 2_305
    known.clear()
    known.update(kept)


def test_a_harvester_finds_every_one_of_2305_data_sets_by_its_own_requests(client: TestClient, large: int) -> None:
    found: list[str] = []
    for start in range(0, 10_000, 100):  # it grows by a hundred whatever came back
        asked = {"rows": 100, "start": start, "sort": "id asc"}
        page = client.get("/api/3/action/package_search", params=asked).json()["result"]
        if not page["results"]:
            break
        found += [one["id"] for one in page["results"]]
    assert len(found) == len(set(found)) == large
    assert found == sorted(found)
    whole: list[str] = []
    while page_ := act(client, "package_search", rows=1000, start=len(whole))["results"]:
        whole += [one["id"] for one in page_]
    assert sorted(whole) == found


@pytest.mark.usefixtures("large")
def test_the_four_filters_of_harvesters_are_understood(client: TestClient) -> None:
    def count(fq: str) -> int:
        return int(client.get("/api/3/action/package_search", params={"fq": fq, "rows": 0}).json()["result"]["count"])

    assert count("organization:market-regulator OR organization:other") == 2_305
    assert count("organization:other") == 0
    assert count("-organization:market-regulator -organization:other") == 0
    assert count("-organization:other") == 2_305
    assert count("groups:a OR groups:b") == 0
    assert count("-groups:a") == 2_305
    assert count("metadata_modified:[2025-01-01T00:00:00.123456Z TO *]") == 2_305
    assert count("metadata_modified:[2027-01-01T00:00:00Z TO *]") == 0
    assert count('name:"set-0007"') == 1


# ---- the datastore --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("written")
def test_filters_ranges_or_and_words_leave_the_rows_that_they_say(client: TestClient) -> None:
    with db.reading() as session:
        rows = session.execute(select(Entity.code, Entity.district, Entity.established_on, Entity.name)).all()
    district = rows[0].district

    def codes(**said: Any) -> set[str]:
        result = act(client, "datastore_search", resource_id=ENTITIES, limit=32_000, fields=["code"], **said)
        assert result["total"] == len(result["records"])
        return {one["code"] for one in result["records"]}

    assert codes() == {row.code for row in rows}
    assert codes(filters={"district": district}) == {row.code for row in rows if row.district == district}
    span = {"established_on": {"gte": "2015-01-01", "lt": "2020-01-01"}}
    assert codes(filters=span) == {
        row.code for row in rows if row.established_on and 2015 <= row.established_on.year < 2020
    }
    either = {"$or": [{"district": district}, {"code": rows[-1].code}]}
    assert codes(filters=either) == codes(filters={"district": district}) | {rows[-1].code}
    assert codes(filters=[{"code": rows[0].code}, {"code": rows[1].code}]) == {rows[0].code, rows[1].code}
    assert codes(filters={"district": [district, {"gte": "999999"}]}) == codes(filters={"district": district})
    assert rows[3].code in codes(q=rows[3].name)
    assert codes(q={"name": rows[3].name}) == {row.code for row in rows if rows[3].name.lower() in row.name.lower()}
    injected = "' OR 1=1 --"
    assert codes(filters={"name": injected}) == set()
    assert codes(q=injected) == set()
    error = refused(client, "datastore_search", 409, resource_id=ENTITIES, filters={'name" OR 1=1': "x"})
    assert "filters" in error
    assert "filters" in refused(client, "datastore_search", 409, resource_id=PENALTIES, filters={"fine": "viel"})


@pytest.mark.usefixtures("written")
def test_pages_by_keyset_are_every_row_once_and_a_deep_offset_is_pointed_there(client: TestClient) -> None:
    found: list[str] = []
    said: dict[str, Any] = {"resource_id": ENTITIES, "limit": 70, "include_next_page": True, "filters": {}}
    while True:
        result = act(client, "datastore_search", **said)
        found += [one["code"] for one in result["records"]]
        if not result["next_page"]:
            break
        said["filters"] = result["next_page"]
    assert len(found) == len(set(found)) == result["total"] + len(found) - len(result["records"])
    error = refused(client, "datastore_search", 409, resource_id=ENTITIES, offset=100_001)
    assert "next_page" in error["offset"][0]


@pytest.mark.usefixtures("written")
def test_sorting_formats_and_types_are_ckans(client: TestClient) -> None:
    result = act(client, "datastore_search", resource_id=PENALTIES, sort="occurred_on desc nulls last, id", limit=5)
    days = [one["occurred_on"] for one in result["records"]]
    assert days == sorted(days, reverse=True)
    assert result["fields"][0] == {"id": "_id", "type": "int"}
    types = {field["id"]: field["type"] for field in result["fields"]}
    assert types["entity_code"] == types["document"] == "text"
    assert types["fine"] == "numeric"
    lists = act(client, "datastore_search", resource_id=PENALTIES, fields="id,act", limit=2, records_format="lists")
    text = act(client, "datastore_search", resource_id=PENALTIES, fields="id,act", limit=2, records_format="csv")
    assert list(csv.reader(io.StringIO(text["records"]))) == lists["records"]
    info = act(client, "datastore_info", id=PENALTIES)
    assert info["meta"]["count"] == result["total"]
    capped = act(client, "datastore_search", resource_id=ENTITIES, limit=10**6)
    assert capped["limit"] == 32_000
    assert "total" not in act(client, "datastore_search", resource_id=ENTITIES, limit=0, include_total="False")


@pytest.mark.usefixtures("written")
def test_a_dump_is_every_row_in_each_form(client: TestClient) -> None:
    total = act(client, "datastore_search", resource_id=PERMITS, limit=0)["total"]
    lines = list(csv.DictReader(io.StringIO(client.get(f"/datastore/dump/{PERMITS}").text)))
    assert len(lines) == total
    told = json.loads(client.get(f"/datastore/dump/{PERMITS}?format=json").text)
    assert [row[0] for row in told["records"]] == [int(line["_id"]) for line in lines]
    assert client.get(f"/datastore/dump/{PERMITS}?format=xml").text.count("<row ") == total
    assert client.get(f"/datastore/dump/{PERMITS}?format=tsv&limit=3&bom=true").text.count("\n") == 4
    assert client.get(f"/datastore/dump/{PERMITS}?format=exe").status_code == 409
    assert client.get("/datastore/dump/unknown").status_code == 404


@pytest.mark.usefixtures("written")
def test_what_is_withdrawn_is_gone_from_every_answer_at_once(client: TestClient) -> None:
    with db.reading() as session:
        entry = session.execute(select(PUBLISHED.c.seq, PUBLISHED.c.id).where(PUBLISHED.c.kind == "permit")).first()
    assert entry is not None
    before = act(client, "datastore_search", resource_id=PERMITS, limit=32_000)
    assert entry.id in {one["id"] for one in before["records"]}
    with db.writing() as session:
        publication.withdraw(session, [entry.seq], "repaired")
    after = act(client, "datastore_search", resource_id=PERMITS, limit=32_000)
    assert entry.id not in {one["id"] for one in after["records"]}
    assert after["total"] == before["total"] - 1
    assert act(client, "datastore_search", resource_id=PERMITS, filters={"id": entry.id})["records"] == []
    assert entry.id not in client.get(f"/datastore/dump/{PERMITS}").text
    assert entry.id not in client.get("/data/permits").text
    snapshots.clean()
    again = act(client, "datastore_search", resource_id=PERMITS, limit=0)
    assert again["total"] == after["total"]


# ---- the client that people have ------------------------------------------------------------------------------------


def ckanapi(address: str, *words: str, cwd: Path | None = None) -> str:
    tool = Path(sys.executable).with_name("ckanapi")
    path = f"{tool.parent}:{os.environ['PATH']}"  # it starts itself by its name
    done = subprocess.run(
        [str(tool), *words, "-r", address], env={**os.environ, "PATH": path}, check=True, capture_output=True,
        text=True, cwd=cwd, timeout=60,
    )  # fmt: skip
    return done.stdout


def test_ckanapi_dumps_searches_and_acts_unchanged(address: str, tmp_path: Path) -> None:
    dumped = [json.loads(line) for line in ckanapi(address, "dump", "datasets", "--all", "-d", "-R").splitlines()]
    assert {one["name"] for one in dumped} == set(datasets.offered())
    active = next(one for one in dumped if one["name"] == "penalties")["resources"][0]
    assert [field["id"] for field in active["datastore_fields"]][:2] == ["_id", "id"]
    searched = ckanapi(address, "search", "datasets", "q=行政处罚").splitlines()
    assert json.loads(searched[0])["name"] == "penalties"
    shown = json.loads(ckanapi(address, "action", "package_show", "id=entities"))
    assert shown["name"] == "entities"
    found = json.loads(ckanapi(address, "action", "datastore_search", f"resource_id={ENTITIES}", "limit:3"))
    assert len(found["records"]) == 3
    by_get = json.loads(ckanapi(address, "action", "package_search", "q=行政处罚", "rows=1", "-g"))
    assert by_get["results"][0]["name"] == "penalties"
    ckanapi(address, "dump", "datasets", "penalties", "-D", str(tmp_path / "packages"))
    assert list((tmp_path / "packages").rglob("*.csv"))


@pytest.mark.usefixtures("written")
def test_while_a_large_copy_is_made_the_one_before_answers_and_without_one_a_query_is_told_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datastore, "LARGE", 0)
    address = f"/api/3/action/datastore_search?resource_id={PENALTIES}&limit=1"
    may_go_on, fill = threading.Event(), datastore._fill

    def slowly(*arguments: Any) -> None:
        may_go_on.wait(20)
        fill(*arguments)

    monkeypatch.setattr(datastore, "_fill", slowly)
    began = time.monotonic()
    told = client.get(address)
    assert told.status_code == 503
    assert time.monotonic() - began < 2
    may_go_on.set()
    wait_for_answer(client, address)
    may_go_on.clear()
    with db.writing() as session:
        session.get_one(Snapshot, "penalties").changed_at = db.now()
    assert client.get(address).status_code == 200
    assert datastore._building
    may_go_on.set()
    while datastore._building:
        time.sleep(0.02)


def wait_for_answer(client: TestClient, address: str) -> None:
    deadline = time.monotonic() + 20
    while client.get(address).status_code != 200:
        assert time.monotonic() < deadline, "the copy was never made"
        time.sleep(0.05)
