"""OpenRefine and programs like it match their tables with the register: the protocol's shapes, scores, refusals."""

import json
import random
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.kit import db
from record import codes, names
from record.models import Entity, FormerName
from search import index

pytestmark = pytest.mark.usefixtures("filled", "unlimited")

ELSEWHERE = {"Origin": "https://refine.example"}


def entity(*conditions: Any) -> Entity:
    """One of the made-up entities whose name nobody else bears."""
    with db.reading() as session:
        asked = select(Entity).where(Entity.code.startswith("91"), *conditions).order_by(Entity.code)
        for found in session.scalars(asked.options(selectinload(Entity.former_names)).limit(200)):
            others = select(Entity.code).where(Entity.name_key == found.name_key)
            bore = select(FormerName.id).where(FormerName.name_key == found.name_key)
            if len(session.scalars(others).all()) == 1 and not session.scalars(bore).all():
                return found
    raise AssertionError("no such entity among the made-up ones")


def namesake(one: Entity) -> str:
    """Register another entity of the very same name, in another district. Returns its code."""
    other = next(code for code in codes.DISTRICTS if code != one.district)
    with db.writing() as session:
        twin = Entity(
            code=codes.made_up("91", random.Random(5)), name=one.name, name_key=one.name_key, type=one.type,
            status="active",
            district=other, flags=[], source="demo", changed_at=db.now(),
        )  # fmt: skip
        session.add(twin)
    index.rebuild()
    return twin.code


def ask(client: TestClient, *queries: dict[str, Any], language: str = "zh") -> list[list[dict[str, Any]]]:
    """What a client of the protocol sends, and the candidates of each query; each is shaped as the protocol says."""
    sent = {f"q{number}": query for number, query in enumerate(queries)}
    answer = client.post(
        "/reconcile", data={"queries": json.dumps(sent)}, headers={**ELSEWHERE, "Accept-Language": language}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    said = answer.json()
    assert list(said) == list(sent)
    for one in said.values():
        for candidate in one["result"]:
            assert isinstance(candidate["id"], str)
            assert isinstance(candidate["name"], str)
            assert 0 <= candidate["score"] <= 100
            assert isinstance(candidate["match"], bool)
            assert [sorted(kind) for kind in candidate["type"]] == [["id", "name"]] * 2
            assert all(isinstance(feature["value"], bool | int | float) for feature in candidate["features"])
        scores = [candidate["score"] for candidate in one["result"]]
        assert scores == sorted(scores, reverse=True)
    return [one["result"] for one in said.values()]


def features(candidate: dict[str, Any]) -> dict[str, Any]:
    return {one["id"]: one["value"] for one in candidate["features"]}


# ---- the manifest ---------------------------------------------------------------------------------------------------


def test_the_manifest_says_all_that_the_protocol_wants_and_where_everything_is(client: TestClient) -> None:
    answer = client.get("/reconcile", headers=ELSEWHERE)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    said = answer.json()
    assert "0.2" in said["versions"]
    assert said["name"]
    assert said["identifierSpace"].startswith("http")
    assert said["schemaSpace"].startswith("http")
    assert "{{id}}" in said["view"]["url"]
    assert "{{id}}" in said["preview"]["url"]
    assert {type(said["preview"][side]) for side in ("width", "height")} == {int}
    assert said["batchSize"] == 50
    assert said["defaultTypes"][0]["id"] == "/entity"
    for kind in ("entity", "property", "type"):
        place = said["suggest"][kind]
        found = client.get(place["service_url"] + place["service_path"], params={"prefix": ""})
        assert found.status_code == 200
    place = said["extend"]["propose_properties"]
    assert client.get(place["service_url"] + place["service_path"]).json()["properties"]


def test_the_manifest_speaks_the_language_that_is_asked_for(client: TestClient) -> None:
    assert client.get("/reconcile?lang=en").json()["defaultTypes"] == [{"id": "/entity", "name": "Market entity"}]
    assert client.get("/reconcile?lang=zh").json()["defaultTypes"] == [{"id": "/entity", "name": "经营主体"}]


# ---- matching -------------------------------------------------------------------------------------------------------


def test_a_name_in_any_spelling_and_a_code_are_certain_when_one_entity_alone_bears_them(client: TestClient) -> None:
    one = entity()
    spelt = one.name.replace("(", "（").replace(")", "）")
    spaced = f" {one.code[:6]} {one.code[6:].lower()} "
    for result in ask(client, {"query": spelt}, {"query": spaced}, {"query": one.code}):
        first = result[0]
        assert (first["id"], first["name"], first["match"], first["score"]) == (one.code, one.name, True, 100)
        assert first["type"][0]["id"] == "/entity"
        assert first["type"][1]["id"] == one.type


def test_a_former_name_is_certain_too_and_the_features_say_so(client: TestClient) -> None:
    with db.reading() as session:
        bore = session.scalars(
            select(FormerName).where(FormerName.name_key.not_in(select(Entity.name_key))).order_by(FormerName.id)
        ).first()
    assert bore is not None
    [[first, *_]] = ask(client, {"query": bore.name})
    assert (first["id"], first["match"]) == (bore.entity_code, True)
    assert features(first)["former_name"] is True


def test_nobody_is_certain_where_two_bear_the_name_until_something_else_tells_them_apart(client: TestClient) -> None:
    one = entity(Entity.district.is_not(None))
    twin = namesake(one)
    [plain, told, coded] = ask(
        client, {"query": one.name},
        {"query": one.name, "properties": [{"pid": "district", "v": codes.DISTRICTS[one.district or ""][0]}]},
        {"query": twin},
    )  # fmt: skip
    assert {found["id"] for found in plain[:2]} == {one.code, twin}
    assert [found["match"] for found in plain] == [False] * len(plain)
    assert told[0]["id"] == one.code
    assert told[0]["score"] > told[1]["score"]
    assert features(told[0])["district"] is True
    assert features(told[1])["district"] is False
    assert not any(found["match"] for found in told), "the name alone decides what is certain, never a guess"
    assert (coded[0]["id"], coded[0]["match"]) == (twin, True)


def test_what_contradicts_the_register_lowers_the_score_and_takes_the_certainty(client: TestClient) -> None:
    one = entity(Entity.established_on.is_not(None), Entity.industry.is_not(None), Entity.status == "active")
    assert one.established_on is not None
    right = [
        {"pid": "established_on", "v": one.established_on.isoformat()},
        {"pid": "industry", "v": {"id": one.industry}},
        {"pid": "status", "v": ["存续"]},
        {"pid": "type", "v": one.type},
        {"pid": "nobody_knows_this", "v": "x"},
    ]
    [[good, *_], [wrong, *_]] = ask(
        client, {"query": one.name, "properties": right},
        {"query": one.name, "properties": [{"pid": "established_on", "v": "1999-01-02"}]},
    )  # fmt: skip
    assert (good["id"], good["score"], good["match"]) == (one.code, 100, True)
    assert {name: features(good)[name] for name in ("established_on", "industry", "status", "type")} == dict.fromkeys(
        ("established_on", "industry", "status", "type"), True
    )
    assert wrong["id"] == one.code
    assert wrong["score"] == 90
    assert wrong["match"] is False


def test_a_misspelt_name_finds_its_entity_without_being_certain(client: TestClient) -> None:
    one = entity()
    brand = names.parts(one.name).brand
    at = names.fold(one.name).index(brand)
    wrong = one.name[:at] + one.name[at + 1] + one.name[at] + one.name[at + 2 :]
    [found] = ask(client, {"query": wrong, "limit": 3})
    assert len(found) <= 3
    likely = next(candidate for candidate in found if candidate["id"] == one.code)
    assert likely["match"] is False
    assert 50 < features(likely)["name_similarity"] < 100


def test_a_type_is_kept_to_unless_it_only_should_be(client: TestClient) -> None:
    one = entity(Entity.type == "limited_company")
    strict, should, any_, both, entity_ = ask(
        client, {"query": one.name, "type": "partnership"},
        {"query": one.name, "type": ["partnership"], "type_strict": "should"},
        {"query": one.name, "type": ["partnership", "limited_company"], "type_strict": "any"},
        {"query": one.name, "type": ["partnership", "limited_company"], "type_strict": "all"},
        {"query": one.name, "type": "/entity"},
    )  # fmt: skip
    assert all(found["type"][1]["id"] == "partnership" for found in strict)
    assert (should[0]["id"], should[0]["match"]) == (one.code, False)
    assert any_[0]["id"] == entity_[0]["id"] == one.code
    assert both == []


def test_properties_alone_are_a_question_too(client: TestClient) -> None:
    one = entity(Entity.district.is_not(None))
    [found] = ask(client, {"properties": [{"pid": "district", "v": one.district}], "limit": 4})
    assert len(found) == 4
    assert not any(candidate["match"] for candidate in found)


def test_at_most_25_candidates_are_given_however_many_are_asked_for(client: TestClient) -> None:
    [many, usual] = ask(client, {"query": "上海", "limit": 500}, {"query": "上海"})
    assert 5 < len(many) <= 25
    assert len(usual) == 5


def test_a_query_may_come_in_the_address(client: TestClient) -> None:
    one = entity()
    answer = client.get("/reconcile", params={"queries": json.dumps({"a": {"query": one.code}})})
    assert answer.json()["a"]["result"][0]["id"] == one.code


def test_names_are_described_in_the_language_that_is_asked_for(client: TestClient) -> None:
    one = entity(Entity.status == "active", Entity.district.is_not(None))
    [[first, *_]] = ask(client, {"query": one.code}, language="en")
    assert first["description"] == f"{codes.DISTRICTS[one.district or ''][1]} · Active"
    assert first["type"][0]["name"] == "Market entity"


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        5, "鑫诺", {}, {"query": ""}, {"query": 7}, {"query": "x" * 501}, {"query": "鑫诺", "limit": 0},
        {"query": "鑫诺", "limit": "many"}, {"query": "鑫诺", "properties": {}}, {"query": "鑫诺", "type": 3},
        {"query": "鑫诺", "properties": [{"v": 1}]}, {"query": "鑫诺", "type_strict": "perhaps"},
        {"query": "鑫诺", "type": "/people/person"},
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_read_says_what_to_do_and_the_others_are_answered(
    client: TestClient, query: Any
) -> None:
    one = entity()
    sent = {"q0": query, "q1": {"query": one.name}}
    answer = client.post("/reconcile", data={"queries": json.dumps(sent)}, headers={"Accept-Language": "en"})
    assert answer.status_code == 200
    assert answer.json()["q0"]["result"] == []
    assert len(answer.json()["q0"]["error"]) > 40
    assert answer.json()["q1"]["result"][0]["id"] == one.code


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 400), ({"queries": ""}, 400), ({"queries": "{"}, 400), ({"queries": "[1]"}, 400),
        ({"queries": "[" * 90_000}, 400), ({"queries": json.dumps({f"q{n}": {"query": "x"} for n in range(51)})}, 413),
        ({"queries": "x" * 400_001}, 413),
    ],
)  # fmt: skip
def test_a_batch_that_cannot_be_read_is_refused_in_json_that_other_sites_may_read(
    client: TestClient, sent: dict[str, str], status: int
) -> None:
    answer = client.post("/reconcile", data=sent, headers=ELSEWHERE)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["remedy"]


def test_a_browser_may_ask_beforehand_and_is_told_yes(client: TestClient) -> None:
    for path in ("/reconcile", "/reconcile/extend", "/reconcile/suggest/entity", "/reconcile/preview/1"):
        answer = client.options(path, headers={**ELSEWHERE, "Access-Control-Request-Method": "POST"})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "Content-Type" in answer.headers["access-control-allow-headers"]


def test_what_is_not_there_is_said_to_other_sites_too(client: TestClient) -> None:
    for path in ("/reconcile/nothing", "/reconcile/preview/913101990000000000"):
        answer = client.get(path, headers=ELSEWHERE)
        assert answer.status_code == 404
        assert answer.headers["access-control-allow-origin"] == "*"


# ---- suggesting, showing, extending ---------------------------------------------------------------------------------


def test_entities_are_suggested_while_somebody_types_and_further_ones_by_the_cursor(client: TestClient) -> None:
    first = client.get("/reconcile/suggest/entity", params={"prefix": "上海"}, headers=ELSEWHERE)
    assert first.headers["access-control-allow-origin"] == "*"
    found = first.json()["result"]
    assert all({"id", "name", "description", "notable"} == set(one) for one in found)
    further = client.get("/reconcile/suggest/entity", params={"prefix": "上海", "cursor": "5"}).json()["result"]
    assert further[0] == found[5]
    assert client.get("/reconcile/suggest/entity").json() == {"result": []}


def test_properties_and_types_are_suggested_by_either_language(client: TestClient) -> None:
    for prefix, expected in (("登记状态", "status"), ("former", "former_names")):
        found = client.get("/reconcile/suggest/property", params={"prefix": prefix}).json()["result"]
        assert [one["id"] for one in found] == [expected]
    for prefix in ("个体", "Individual"):
        found = client.get("/reconcile/suggest/type", params={"prefix": prefix}).json()["result"]
        assert found == [{"id": "individual", "name": "个体工商户"}]
    assert client.get("/reconcile/suggest/type").json()["result"][0]["id"] == "/entity"


def test_a_preview_may_be_framed_by_any_site_and_runs_nothing(client: TestClient) -> None:
    one = entity()
    page = client.get(f"/reconcile/preview/{one.code}?lang=en")
    assert one.name in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors *" in policy
    assert "script" not in policy
    assert "default-src 'none'" in policy
    assert "<script" not in page.text
    assert "frame-ancestors 'none'" in client.get("/").headers["content-security-policy"]


def test_a_table_is_extended_by_facts_as_names_or_as_codes(client: TestClient) -> None:
    one = entity(Entity.established_on.is_not(None), Entity.district.is_not(None), Entity.status == "active")
    asked = {
        "ids": [one.code, "913101990000000000"],
        "properties": [
            {"id": "status"}, {"id": "district", "settings": {"form": "code"}}, {"id": "established_on"},
            {"id": "flags"},
        ],
    }  # fmt: skip
    answer = client.post(
        "/reconcile/extend", data={"extend": json.dumps(asked)}, headers={**ELSEWHERE, "Accept-Language": "en"}
    )
    assert answer.headers["access-control-allow-origin"] == "*"
    said = answer.json()
    assert [one["id"] for one in said["meta"]] == ["status", "district", "established_on", "flags"]
    row = said["rows"][one.code]
    assert row["status"] == [{"str": "Active"}]
    assert row["district"] == [{"str": one.district}]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00", row["established_on"][0]["date"])
    assert said["rows"]["913101990000000000"] == {name: [] for name in row}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("", 400), ("[]", 400), ('{"ids": "x", "properties": []}', 400), ('{"ids": [1], "properties": []}', 400),
        ('{"ids": [], "properties": [{"id": "owner"}]}', 422), ('{"ids": [], "properties": [7]}', 400),
        ('{"ids": [], "properties": [{"id": []}]}', 400),
        (json.dumps({"ids": [str(n) for n in range(201)], "properties": []}), 400),
    ],
)  # fmt: skip
def test_a_question_for_facts_that_cannot_be_read_says_what_to_do(client: TestClient, sent: str, status: int) -> None:
    answer = client.post("/reconcile/extend", data={"extend": sent}, headers=ELSEWHERE)
    assert answer.status_code == status, answer.text
    assert answer.json()["remedy"]
    assert answer.headers["access-control-allow-origin"] == "*"


def test_properties_are_proposed_for_any_type(client: TestClient) -> None:
    said = client.get("/reconcile/extend/propose", params={"type": "individual", "limit": "3"}).json()
    assert (said["type"], said["limit"], len(said["properties"])) == ("individual", 3, 3)
