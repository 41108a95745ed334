"""Files of open data from a CDN or the store itself: the same bytes, nothing but them, and gone when they must go."""

import hashlib
import time
import urllib.request
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select

from opendata import deltas, leaving, snapshots
from portal.kit import db, jobs, storage
from record import publication
from record.models import FeedImport
from record.publication import PUBLISHED
from tests.conftest import free_port, use_s3, use_settings
from tests.officers import add_officer, form_token, sign_in

pytestmark = [pytest.mark.usefixtures("written", "unlimited")]

CDN = "https://files.example.cn/portal"


def part() -> snapshots.Part:
    """A part of the penalties."""
    with db.reading() as session:
        found = snapshots.of(session, "penalties")
    assert found is not None
    return found[1].parts[0]


def test_what_lies_in_the_store_as_it_is_served_is_handed_out_by_the_cdn_and_the_rest_here(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = publication.today()
    deltas.write_missing(today + timedelta(days=1))
    use_settings(monkeypatch, files_url=CDN)
    one = part()
    paths = {
        f"/data/penalties/parts/{one.name}.{form}": f"{CDN}/{one.files[form].key}" for form in ("parquet", "csv.gz")
    }
    with db.reading() as session:
        delta = deltas.of(session, today)
    assert delta is not None
    paths[f"/data/changes/{today}.jsonl.gz"] = f"{CDN}/{delta.files['jsonl.gz']['key']}"
    for path, address in paths.items():
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, address)
        assert answer.headers["cache-control"] == "no-cache"
    whole = client.get("/data/penalties.csv", follow_redirects=False)
    assert whole.status_code == 200
    assert len(whole.content) == int(whole.headers["content-length"])


def test_the_store_hands_out_what_it_was_signed_for_and_says_what_it_is(
    client: TestClient, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, storage_url=s3, storage_signed_urls="true")
    snapshots.make_all(["penalties"])
    one = part()
    sent = client.get(f"/data/penalties/parts/{one.name}.parquet", follow_redirects=False)
    address = sent.headers["location"]
    assert (sent.status_code, "X-Amz-Expires=300" in urlsplit(address).query) == (307, True)
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert hashlib.sha256(answer.read()).hexdigest() == one.files["parquet"].sha256
        assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("served", ["here", "elsewhere"])
def test_a_part_that_held_what_was_withdrawn_is_in_the_store_for_minutes_only_where_others_could_fetch_it(
    client: TestClient, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, files_url=CDN if served == "elsewhere" else "")
    before = part().files["parquet"].key
    with db.writing() as session:
        seq = session.scalars(select(PUBLISHED.c.seq).where(PUBLISHED.c.kind == "penalty")).first()
        publication.withdraw(session, [int(seq or 0)], "repaired")
    snapshots.clean()
    now = {one.files["parquet"].key for one in [part()]}
    assert before not in now
    with db.reading() as session:
        assert jobs.is_waiting(session, leaving.DROP) == (served == "elsewhere")
    with time_machine.travel(time.time() + storage.SIGNED_FOR.total_seconds() + 1, tick=True):
        jobs.drain()
    there = set(storage.keys("opendata"))
    assert (before in there) == (served == "here")
    assert now <= there


def test_nothing_but_open_data_has_an_address_of_its_own(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, storage_url=s3, storage_signed_urls="true", files_url=CDN)
    for key in ("tips/a/original", "papers/a", "batches/a/file", "imports/a.csv", "opendata", "../opendata/x"):
        with pytest.raises(ValueError, match="not public"):
            storage.address(key)


def test_a_store_that_is_away_is_told_and_what_needs_it_is_refused_before_anything_is_kept(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "storage" not in client.get("/readyz").json()
    use_s3(monkeypatch, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(storage, "RETRIES", 0)
    use_settings(monkeypatch, storage_url="s3://files/nobody")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["storage"]) == (200, "away")
    for path in ("/data/penalties.csv", f"/data/penalties/parts/{part().name}.parquet"):
        answer = client.get(path, headers={"Accept-Language": "en"})
        assert (answer.status_code, "Files cannot be kept or read just now." in answer.text) == (503, True)
    sign_in(client, add_officer(roles=["clerk"]))
    sent = {"kind": "penalty", "form_token": form_token(client)}
    refused = client.post("/desk/imports/new", data=sent, files={"file": ("a.csv", b"x,y\n1,2\n")})
    assert refused.status_code == 503
    with db.reading() as session:
        assert session.scalars(select(FeedImport)).all() == []
    assert client.get("/search?q=a").status_code == 200
