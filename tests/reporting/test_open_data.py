"""Statistics of tip-offs as a data set: the numbers of the public page, and nothing finer."""

import csv
import io

import pytest
from fastapi.testclient import TestClient

from opendata import datastore, snapshots
from reporting import statistics
from tests.reporting.telling import tell
from tests.reporting.test_after_the_end import closed, entity_of


@pytest.mark.usefixtures("unlimited")
def test_the_file_says_what_the_page_says_one_grouping_at_a_time_and_nothing_about_whom(
    filled: str, client: TestClient
) -> None:
    entity = entity_of()
    closed(client, entity_code=entity.code, district="310104")
    tell(client, service="price", kind="report")
    snapshots.make_all(["tip-statistics"])
    statistics.forget()
    said = client.get("/api/v1/statistics/tips").json()
    rows = list(csv.DictReader(io.StringIO(client.get("/data/tip-statistics.csv").text)))
    year = str(said["year"])
    expected = {(f"{year}/whole", said["whole"]["received"])}
    expected |= {(f"{year}/month/{one['month']:02}", one["received"]) for one in said["by_month"]}
    expected |= {(f"{year}/kind/{one['kind']}", one["received"]) for one in said["by_kind"]}
    expected |= {(f"{year}/district/{one['district'] or 'none'}", one["received"]) for one in said["by_district"]}
    expected |= {(f"{year}/matter/{one['service']}", one["received"]) for one in said["by_service"]}
    assert {(row["id"], int(row["received"])) for row in rows} == expected
    assert entity.code not in client.get("/data/tip-statistics.csv").text
    whole = next(row for row in rows if row["grouping"] == "whole")
    numbers = ("received", "verified", "pursued", "violations", "closed", "late")
    assert [int(whole[name]) for name in numbers] == [said["whole"][name] for name in numbers]
    assert "tip-statistics" in client.get("/api/3/action/package_list").json()["result"]
    for language, title in (("zh", "投诉举报统计"), ("en", "Statistics of reports and complaints")):
        assert title in client.get(f"/data/tip-statistics?lang={language}").text
    datastore.forget()


@pytest.mark.usefixtures("unlimited")
def test_a_portal_without_tips_has_an_empty_data_set(filled: str, client: TestClient) -> None:
    snapshots.make_all(["tip-statistics"])
    assert client.get("/data/tip-statistics.csv").text.count("\n") == 1
    assert client.get("/data/tip-statistics").status_code == 200
    datastore.forget()
