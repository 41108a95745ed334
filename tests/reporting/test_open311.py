"""Open311 GeoReport v2: the public clients as they come from PyPI, and what of a case anybody may see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import httpx2
import pytest
from civicbot.open311 import Open311Client, Open311Error
from civicbot.registry import Endpoint
from fastapi.testclient import TestClient
from georeport import GeoReport
from sqlalchemy import select

from portal.kit import db, keys
from record.models import Entity
from reporting.models import TipCase
from tests.conftest import served
from tests.reporting.telling import SAID, status, tell_by_api

BASE = "/open311/v2"


def key(scope: str = "tips:write") -> str:
    with db.writing() as session:
        return keys.create(session, owner_kind="city", owner_id="hotline", scopes=[scope])[1]


def sent(**change: str) -> dict[str, str]:
    return {"service_code": "food", "description": SAID, "address_string": "上海市徐汇区桂林路100号", **change}


# ---- the public clients ---------------------------------------------------------------------------------------------


class Portal(NamedTuple):
    url: str
    key: str


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A served portal with one request in it, and a key."""
    folder = tmp_path_factory.mktemp("open311") / "var"
    with served(folder) as url:
        made = Portal(f"{url}{BASE}", _key_of(folder))
        answer = httpx2.post(f"{made.url}/requests.json", data=sent(api_key=made.key, service_code="price"))
        assert answer.status_code == 201
        yield made


def test_civicbot_lists_reads_and_files(portal: Portal) -> None:
    endpoint = Endpoint(id="shanghai", name="Shanghai", base_url=portal.url, write=True)
    client = Open311Client(endpoint)
    services = client.list_services()
    assert {"food", "price"} <= {one["service_code"] for one in services}
    dry = client.create_request("food", description=SAID, address_string="桂林路100号", validate_remote=True)
    assert dry.dry_run
    filed = client.create_request(
        "food", description=SAID, address_string="上海市徐汇区桂林路100号", api_key=portal.key, dry_run=False,
        confirm="SEND", validate_remote=True,
    )  # fmt: skip
    (answer,) = filed.response
    assert len(answer["receipt"]) == 16
    number = answer["service_request_id"]
    assert "token" not in answer
    found = client.get_request(number)
    assert found is not None
    assert (found["service_request_id"], found["status"], found["service_code"]) == (number, "open", "food")
    assert number in [one["service_request_id"] for one in client.list_requests(status="open")]
    assert client.list_requests(service_request_ids=[number, "2020-0000001-0"])[0]["service_request_id"] == number
    with pytest.raises(Exception, match="404"):
        client.get_token("unknown")
    with pytest.raises(Exception, match="403"):
        client.create_request(
            "food", description=SAID, address_string="x", api_key="wrong", dry_run=False, confirm="SEND"
        )
    with pytest.raises(Open311Error):
        client.create_request("nonsense", description=SAID, address_string="x", validate_remote=True)


def _key_of(folder: Path) -> str:
    import json
    import os
    import subprocess

    from tests.conftest import PORTAL

    environment = {**os.environ, "PORTAL_DATA_DIR": str(folder), "PORTAL_DATABASE_URL": ""}
    made = subprocess.run(
        [PORTAL, "keys", "create", "--owner", "city:hotline", "--scope", "tips:write", "--json"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return str(json.loads(made.stdout.splitlines()[-1])["key"])


@pytest.mark.parametrize("form", ["json", "xml"])
def test_georeport_reads(portal: Portal, form: str) -> None:
    client = GeoReport(portal.url, output_format=form)
    services = client.get_service_list()
    assert {"food", "price"} <= {one["service_code"] for one in services}
    definition: Any = client.get_service_definition("food")
    assert "food" in str(definition)
    listed: Any = client.get_service_requests(status="open")
    assert "price" in str(listed)


# ---- the shapes -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unlimited")
def test_a_request_becomes_a_case_and_shows_service_district_and_status_only(
    open_vault: str, client: TestClient
) -> None:
    answer = client.post(f"{BASE}/requests.json", data=sent(api_key=key(), first_name="欧阳", phone="13899990001"))
    assert answer.status_code == 201, answer.text
    (taken,) = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert status(client, taken["receipt"])["status"] == "received"
    with db.reading() as session:
        case = session.scalars(select(TipCase)).one()
    assert (case.via, case.district, case.named) == ("open311", "310104", True)
    (shown,) = client.get(f"{BASE}/requests/{taken['service_request_id']}.json").json()
    assert shown["address"] == "徐汇区"
    assert shown["description"] is None
    assert shown["requested_datetime"].endswith("T00:00:00+08:00")
    for secret in (SAID, "欧阳", "13899990001", taken["receipt"], "桂林路"):
        assert secret not in str(shown)


@pytest.mark.usefixtures("unlimited")
def test_the_hotlines_work_orders_run_on_a_clock_of_their_own(open_vault: str, client: TestClient) -> None:
    with db.writing() as session:
        hotline = keys.create(session, owner_kind="city", owner_id="12345", scopes=["tips:write", "tips:hotline"])[1]
    (taken,) = client.post(f"{BASE}/requests.json", data=sent(api_key=hotline)).json()
    assert {one["duty"] for one in status(client, taken["receipt"])["clocks"]} == {"verify", "answer"}
    assert client.get(f"{BASE}/requests.json").json()[0]["service_request_id"] == taken["service_request_id"]


@pytest.mark.usefixtures("unlimited")
def test_lists_hold_only_what_came_this_way(open_vault: str, client: TestClient) -> None:
    other = tell_by_api(client)["case_number"]
    client.post(f"{BASE}/requests.json", data=sent(api_key=key()))
    listed = client.get(f"{BASE}/requests.json").json()
    assert len(listed) == 1
    assert other not in str(listed)
    assert client.get(f"{BASE}/requests/{other}.json").status_code == 200, "who knows a number may look it up"
    assert client.get(f"{BASE}/requests.json?status=closed").json() == []
    assert client.get(f"{BASE}/requests.json?service_code=price").json() == []
    assert (
        client.get(f"{BASE}/requests.json?start_date=2020-01-01T00:00:00Z&end_date=2020-02-01T00:00:00Z").json() == []
    )


@pytest.mark.usefixtures("unlimited")
def test_a_shop_on_the_internet_has_an_address_and_an_entity_may_be_named_by_its_code(
    filled: str, client: TestClient
) -> None:
    with db.reading() as session:
        entity = session.scalars(select(Entity).limit(1)).one()
    form = {"service_code": "online", "description": SAID, "api_key": key(), "address_id": entity.code}
    assert client.post(f"{BASE}/requests.json", data=form).status_code == 201
    with db.reading() as session:
        assert session.scalars(select(TipCase.entity_code)).one() == entity.code


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"api_key": ""}, 403),
        ({"api_key": "gz_wrong"}, 403),
        ({"service_code": "consumer"}, 404),
        ({"service_code": ""}, 404),
        ({"address_string": ""}, 400),
        ({"description": "短"}, 400),
        ({"description": "长" * 4_001}, 400),
    ],
)
def test_refusals_are_lists_of_code_and_description(
    open_vault: str, client: TestClient, change: dict[str, str], wanted: int
) -> None:
    answer = client.post(f"{BASE}/requests.json", data=sent(**{"api_key": key(), **change}))
    assert answer.status_code == wanted
    (error,) = answer.json()
    assert error["code"] == wanted
    assert error["description"]


@pytest.mark.usefixtures("unlimited")
def test_a_key_for_something_else_files_nothing(open_vault: str, client: TestClient) -> None:
    answer = client.post(f"{BASE}/requests.json", data=sent(api_key=key("feeds:penalties")))
    assert answer.status_code == 403


@pytest.mark.usefixtures("unlimited")
def test_xml_says_the_same_as_json(open_vault: str, client: TestClient) -> None:
    client.post(f"{BASE}/requests.xml", data=sent(api_key=key()))
    for path, root, child in (
        ("services", "services", "service"), ("requests", "service_requests", "request"),
        ("discovery", "discovery", "endpoints"),
    ):  # fmt: skip
        answer = client.get(f"{BASE}/{path}.xml")
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"
        tree = ElementTree.fromstring(answer.content)
        assert tree.tag == root
        assert tree.find(child) is not None
    wrong = client.post(f"{BASE}/requests.xml", data=sent(api_key="x"))
    error = ElementTree.fromstring(wrong.content).find("error")
    assert error is not None
    assert error.findtext("code") == "403"


@pytest.mark.parametrize("path", ["requests/2026-0000001-0", "requests/nonsense", "services/nonsense", "tokens/x"])
def test_what_is_not_there_is_a_404_in_the_format_asked_for(open_vault: str, client: TestClient, path: str) -> None:
    assert client.get(f"{BASE}/{path}.json").status_code == 404
    assert client.get(f"{BASE}/{path}.json").json()[0]["code"] == 404
    assert client.get(f"{BASE}/{path}.xml").status_code == 404


@pytest.mark.parametrize(
    "query", ["start_date=nonsense", "start_date=2026-01-01T00:00:00Z&end_date=2026-12-01T00:00:00Z", "end_date=x"]
)
def test_dates_that_cannot_be_are_refused(open_vault: str, client: TestClient, query: str) -> None:
    assert client.get(f"{BASE}/requests.json?{query}").status_code == 400
