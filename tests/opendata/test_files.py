"""Whole data sets as files: what they hold, from any byte on, and never what is withdrawn."""

import base64
import csv
import gzip
import hashlib
import io
import json
from datetime import timedelta

import duckdb
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from opendata import snapshots
from portal.kit import datasets, db, jobs
from portal.kit.storage import _folder
from record import publication
from record.models import Entity, FeedImport
from record.publication import PUBLISHED

pytestmark = [pytest.mark.usefixtures("written", "unlimited")]


def rows(client: TestClient, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(f"/data/{name}.csv").content.decode())))


def test_every_entity_and_every_published_penalty_is_in_the_files_and_in_each_form_the_same(client: TestClient) -> None:
    with db.reading() as session:
        codes = set(session.scalars(select(Entity.code)))
        ids = set(session.scalars(select(PUBLISHED.c.id).where(PUBLISHED.c.kind == "penalty")))
    assert {row["code"] for row in rows(client, "entities")} == codes
    assert {row["id"] for row in rows(client, "penalties")} == ids
    plain = client.get("/data/permits.csv").content
    assert gzip.decompress(client.get("/data/permits.csv.gz").content) == plain
    lines = [json.loads(line) for line in client.get("/data/permits.jsonl").text.splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows(client, "permits")]


def test_parts_as_parquet_are_typed_and_make_up_the_whole(client: TestClient) -> None:
    with db.reading() as session:
        found = snapshots.of(session, "penalties")
    assert found is not None
    total = 0
    for part in found[1].parts:
        path = _folder() / part.files["parquet"].key
        with duckdb.connect() as engine:
            counted = engine.execute(f"SELECT count(*), typeof(any_value(occurred_on)) FROM '{path}'").fetchone()
        assert counted == (part.rows, "DATE")
        answer = client.get(f"/data/penalties/parts/{part.name}.parquet")
        assert hashlib.sha256(answer.content).hexdigest() == part.files["parquet"].sha256
        total += part.rows
    assert total == found[1].rows


def test_a_file_is_served_from_any_byte_with_a_validator_and_a_digest_that_hold(client: TestClient) -> None:
    whole = client.get("/data/entities.csv")
    sha256 = hashlib.sha256(whole.content).digest()
    assert whole.headers["repr-digest"] == f"sha-256=:{base64.b64encode(sha256).decode()}:"
    assert whole.headers["content-length"] == str(len(whole.content))
    size = len(whole.content)
    for start, end in ((0, 0), (5, 200), (100, size - 1), (size - 7, size - 1), (size // 2, size // 2 + 3_000)):
        part = client.get("/data/entities.csv", headers={"Range": f"bytes={start}-{end}"})
        assert part.status_code == 206
        assert part.content == whole.content[start : end + 1]
        assert part.headers["content-range"] == f"bytes {start}-{end}/{size}"
    assert client.get("/data/entities.csv", headers={"Range": "bytes=-9"}).content == whole.content[-9:]
    assert client.get("/data/entities.csv", headers={"Range": f"bytes={size}-"}).status_code == 416
    etag = whole.headers["etag"]
    assert client.get("/data/entities.csv", headers={"If-None-Match": etag}).status_code == 304
    stale = client.get("/data/entities.csv", headers={"Range": "bytes=0-9", "If-Range": '"older"'})
    assert stale.status_code == 200


def test_what_is_withdrawn_is_listed_at_once_and_taken_out_of_the_part_that_held_it_and_of_no_other(
    client: TestClient,
) -> None:
    with db.reading() as session:
        first = session.execute(select(PUBLISHED.c.seq, PUBLISHED.c.id).where(PUBLISHED.c.kind == "permit")).first()
        before = snapshots.of(session, "permits")
    assert first is not None
    assert before is not None
    with db.writing() as session:
        publication.withdraw(session, [first.seq], "repaired")
    assert first.id in client.get("/data/withdrawn.csv").text
    assert snapshots.clean() == 1
    assert first.id not in client.get("/data/permits.csv").text
    assert first.id not in client.get("/data/permits.jsonl").text
    with db.reading() as session:
        after = snapshots.of(session, "permits")
    assert after is not None
    same = {part.name for part in after[1].parts} & {part.name for part in before[1].parts}
    kept = {part.name: part.files for part in before[1].parts}
    changed = [part.name for part in after[1].parts if part.name in same and part.files != kept[part.name]]
    assert len(changed) <= 1
    assert after[1].rows == before[1].rows - 1
    assert snapshots.clean() == 0


def test_a_withdrawal_plans_one_job_for_all_that_come_meanwhile(client: TestClient) -> None:
    for _ in range(3):
        with db.writing() as session:
            seq = session.scalar(select(PUBLISHED.c.seq).where(PUBLISHED.c.kind == "permit").limit(1))
            publication.withdraw(session, [int(seq or 0)], "repaired")
        jobs.drain()
    with db.reading() as session:
        planned = list(session.scalars(select(jobs.Job.id).where(jobs.Job.task == "opendata.clean")))
    assert len(planned) == 1


def test_writing_again_what_did_not_change_writes_the_same_files(client: TestClient) -> None:
    before = client.get("/data/entities.csv").headers["etag"]
    snapshots.make_all()
    assert client.get("/data/entities.csv").headers["etag"] == before


def test_a_data_set_says_how_many_delivered_rows_were_rejected_lately(client: TestClient) -> None:
    with db.writing() as session:
        for started_at, rejected in ((db.now(), 7), (db.now() - timedelta(days=31), 500)):
            said = {"kind": "penalty", "source": "test", "file_name": "x", "sha256": ""}
            session.add(FeedImport(**said, rejected=rejected, started_at=started_at))
    snapshots.make_all(["penalties"])
    shown = client.get("/api/3/action/package_show?id=penalties").json()["result"]
    assert {"key": "rejected_rows_of_30_days", "value": "7"} in shown["extras"]
    assert "Rejected rows, last 30 days" in client.get("/data/penalties?lang=en").text


def test_every_data_set_has_a_page_a_descriptor_and_no_natural_person(client: TestClient) -> None:
    for name, data_set in datasets.offered().items():
        for language, title in zip(("zh", "en"), data_set.titles, strict=True):
            assert title in client.get(f"/data/{name}?lang={language}").text
        descriptor = client.get(f"/data/{name}/datapackage.json").json()
        fields = [field["name"] for field in descriptor["resources"][0]["schema"]["fields"]]
        assert fields == [column.name for column in data_set.columns]
        assert "operator" not in fields
    assert client.get("/data/nothing").status_code == 404
    individuals = [row for row in rows(client, "entities") if row["code"].startswith("92")]
    assert individuals
    assert not [row for row in individuals if any(digit in row["address"] for digit in "0123456789")]
