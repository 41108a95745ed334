"""Daily changes as files: gapless, the same as the changes themselves, and silent about what is shown no longer."""

import gzip
import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select

from opendata import deltas
from portal.kit import db, jobs
from portal.kit.settings import get_settings
from record import ledger, publication
from record.ledger import Fact
from record.models import Entity, KindSwitch

ACT = "发布奇观异想广告"
SINCE = date(2026, 1, 1)
pytestmark = pytest.mark.usefixtures("filled", "unlimited")


@pytest.fixture
def later() -> Iterator[time_machine.Traveller]:
    """The same portal an hour after the next midnight; `shift` goes on from there."""
    with time_machine.travel(db.now(), tick=False) as clock:
        go_to_next_day(clock)
        yield clock


def go_to_next_day(clock: time_machine.Traveller) -> None:
    tomorrow = publication.today() + timedelta(days=1)
    clock.move_to(deltas.midnight(tomorrow) + timedelta(hours=1))


def append(number: int, subject: str = ACT) -> int:
    """An inspection of an entity that is registered; the same number again is a correction."""
    said = {"party_name": "甲", "subject": subject, "result": "丙"}
    with db.writing() as session:
        code = session.scalar(select(Entity.code).order_by(Entity.code).limit(1))
        fact = ledger.seal(Fact("inspection", "desk", f"delta-{number}", said, code, "2026-03-05"))
        return ledger.append(session, [fact]).seqs[0]


def run_nightly_job() -> None:
    with db.writing() as session:
        jobs.add(session, "opendata.deltas", [])
    jobs.drain()


def days(client: TestClient) -> list[dict[str, Any]]:
    """Oldest first."""
    answer = client.get("/data/changes.json").json()
    assert answer["next"] is None
    return list(reversed(answer["items"]))


def lines(client: TestClient, day: dict[str, Any]) -> list[str]:
    """A day's lines, whose two files are the same and are what the list says."""
    plain = client.get(f"/data/changes/{day['day']}.jsonl")
    packed = client.get(f"/data/changes/{day['day']}.jsonl.gz")
    assert gzip.decompress(packed.content) == plain.content
    for answer, said in zip((plain, packed), day["files"], strict=True):
        assert hashlib.sha256(answer.content).hexdigest() == said["sha256"]
        assert len(answer.content) == said["size"]
    assert (
        client.get(f"/data/changes/{day['day']}.jsonl", headers={"If-None-Match": plain.headers["etag"]}).status_code
        == 304
    )
    found = plain.text.splitlines()
    assert len(found) == day["rows"]
    return found


def told(client: TestClient) -> list[str]:
    """All that `/api/v1/changes` tells, a line each."""
    found: list[str] = []
    address = "/api/v1/changes?limit=1000"
    while address:
        answer = client.get(address, headers={"Accept": "application/x-ndjson"})
        found += answer.text.splitlines()
        address = answer.links["next"]["url"] + "&limit=1000" if "next" in answer.links else ""
    return found


def test_the_files_of_all_days_together_are_the_changes(client: TestClient, later: time_machine.Traveller) -> None:
    run_nightly_job()
    append(1)
    go_to_next_day(later)
    go_to_next_day(later)  # a day on which nothing happens
    append(2)
    go_to_next_day(later)
    run_nightly_job()
    run_nightly_job()
    found = days(client)
    assert found[0]["first_seq"] == 0
    assert [one["first_seq"] for one in found[1:]] == [one["last_seq"] + 1 for one in found[:-1]]
    assert len(found) >= 3
    assert [line for day in found for line in lines(client, day)] == told(client)
    page = client.get("/data/changes").text
    assert all(one["day"] in page for one in found)


def test_today_has_no_file_before_it_is_over(client: TestClient) -> None:
    append(1)
    run_nightly_job()
    today = publication.today().isoformat()
    assert today not in {one["day"] for one in days(client)}
    assert client.get(f"/data/changes/{today}.jsonl").status_code == 404
    assert client.get("/data/changes/2026-13-41.jsonl").status_code == 422


def test_what_is_withdrawn_becomes_a_tombstone_in_the_file_of_its_day_and_no_other_is_touched(
    client: TestClient, later: time_machine.Traveller
) -> None:
    seq = append(1)
    go_to_next_day(later)
    append(2)
    go_to_next_day(later)
    run_nightly_job()
    before = days(client)
    day = next(one for one in before if one["first_seq"] <= seq <= one["last_seq"])
    assert ACT in "".join(lines(client, day))
    with db.writing() as session:
        publication.withdraw(session, [seq], "repaired")
    jobs.drain()
    later.shift(timedelta(minutes=3))
    jobs.drain()
    after = days(client)
    assert {one["day"] for one in after if one not in before} == {day["day"]}
    changed = next(one for one in after if one["day"] == day["day"])
    assert ACT not in "".join(lines(client, changed))
    assert changed["rows"] == day["rows"]
    stale = {"Range": "bytes=0-99", "If-Range": f'"{day["files"][0]["sha256"][:32]}"'}
    assert client.get(f"/data/changes/{day['day']}.jsonl", headers=stale).status_code == 200
    assert deltas.clean() == 0


def test_a_correction_takes_what_it_corrects_out_of_the_older_file(
    client: TestClient, later: time_machine.Traveller
) -> None:
    run_nightly_job()
    append(1)
    go_to_next_day(later)
    run_nightly_job()
    append(1, "更正之后")
    go_to_next_day(later)
    run_nightly_job()
    text = "".join(line for day in days(client) for line in lines(client, day))
    assert ACT not in text
    assert "更正之后" in text


def test_days_are_kept_as_long_as_the_operator_says_and_their_files_a_day_longer(
    client: TestClient, later: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_nightly_job()
    first = days(client)[0]["day"]
    go_to_next_day(later)
    append(1)
    monkeypatch.setattr(get_settings(), "deltas_days", 2)
    for _ in range(4):
        go_to_next_day(later)
    run_nightly_job()
    assert deltas.purge() >= 1
    assert first not in {one["day"] for one in days(client)}
    assert client.get(f"/data/changes/{first}.jsonl").status_code == 404


def test_a_list_is_read_page_by_page_and_wrong_words_are_refused(
    client: TestClient, later: time_machine.Traveller
) -> None:
    for number in range(3):
        append(number)
        go_to_next_day(later)
    run_nightly_job()
    whole = days(client)
    one = client.get("/data/changes.json", params={"limit": 1}).json()
    following = client.get("/data/changes.json", params={"limit": 1, "before": one["next"]}).json()
    assert [one["items"][0], following["items"][0]] == [whole[-1], whole[-2]]
    for wrong in ({"limit": "0"}, {"limit": "501"}, {"before": "yesterday"}):
        assert client.get("/data/changes.json", params=wrong, headers={"Accept": "application/json"}).status_code == 422


def test_a_kind_that_is_switched_off_is_not_told_and_comes_back_as_it_was(
    client: TestClient, later: time_machine.Traveller
) -> None:
    append(1)
    go_to_next_day(later)
    run_nightly_job()
    before = days(client)
    day = before[-1]
    assert ACT in "".join(lines(client, day))
    with db.writing() as session:
        session.add(KindSwitch(kind="inspection", since=SINCE, public_here=False, because="测试"))
    assert client.get(f"/data/changes/{day['day']}.jsonl").status_code == 503
    run_nightly_job()
    assert ACT not in "".join(line for one in days(client) for line in lines(client, one))
    with db.writing() as session:
        session.delete(session.get_one(KindSwitch, ("inspection", SINCE)))
    run_nightly_job()
    assert [one["files"] for one in days(client)] == [one["files"] for one in before]
