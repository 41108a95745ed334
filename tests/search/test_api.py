"""The JSON API as programs meet it: search, suggest, one entity, checking a list, and every way to be refused."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.usefixtures("filled")


@pytest.fixture
def some(client: TestClient) -> dict[str, Any]:
    """An entity with a former name."""
    items = client.get("/api/v1/entities", params={"limit": 100}).json()["items"]
    return next(item for item in items if item["former_names"])


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a refusal, after a look at what every one of them must have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["title"]
    assert document["remedy"]
    return document


def test_a_name_finds_its_entity_first_with_every_promised_field(client: TestClient, some: dict[str, Any]) -> None:
    answer = client.get("/api/v1/entities", params={"q": some["name"]}).json()
    first = answer["items"][0]
    assert first["code"] == some["code"]
    assert first["match"] == "name"
    promised = "code name former_names district industry type status established_on address flags"
    assert set(promised.split()) <= set(first)
    assert set(answer) == {"items", "total", "next", "facets"}


def test_a_former_name_finds_the_entity_of_today(client: TestClient, some: dict[str, Any]) -> None:
    answer = client.get("/api/v1/entities", params={"q": some["former_names"][0]}).json()
    assert some["code"] in [item["code"] for item in answer["items"]]


def test_filters_and_facets_agree(client: TestClient) -> None:
    everything = client.get("/api/v1/entities").json()
    assert everything["total"] == 300
    for facet, counts in everything["facets"].items():
        for value, count in counts.items():
            filtered = client.get("/api/v1/entities", params={facet: value}).json()
            assert filtered["total"] == count, (facet, value)


def test_following_the_cursor_reaches_everything_once(client: TestClient) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 70, **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/v1/entities", params=params).json()
        seen += [item["code"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 300


def test_a_cursor_of_another_question_is_refused(client: TestClient) -> None:
    cursor = client.get("/api/v1/entities", params={"limit": 5}).json()["next"]
    problem(client.get("/api/v1/entities", params={"q": "公司", "cursor": cursor}), 422)
    problem(client.get("/api/v1/entities", params={"cursor": "nonsense"}), 422)


@pytest.mark.parametrize(
    "bad", [{"page": "2"}, {"limit": "0"}, {"limit": "101"}, {"district": "上海"}, {"q": "长" * 501}]
)
def test_a_parameter_that_cannot_be_used_is_named(client: TestClient, bad: dict[str, str]) -> None:
    document = problem(client.get("/api/v1/entities", params=bad), 422)
    assert [item["field"] for item in document["errors"]] == list(bad)


HOSTILE = [
    "",
    " ",
    "の",
    "🐉",
    "？！。",
    "*",
    "a",
    "name:foo AND (bar",
    "\x00",
    "长" * 500,
    "%",
    "'; drop table entity;--",
    "(" * 200,
    "\\",
    "../../etc/passwd",
    "ａ" * 40,
    "1" * 400,
    "AND",
    "\u202e公司",
    "\ud83d\ude00" * 50,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_typed_gets_an_answer_or_a_clear_refusal(client: TestClient, text: str) -> None:
    for path in ("/api/v1/entities", "/api/v1/suggest"):
        response = client.get(path, params={"q": text.encode("utf-8", "surrogatepass")})
        assert response.status_code in (200, 422), (path, text)
        if response.status_code == 422:
            problem(response, 422)


def test_suggestions_begin_with_what_is_typed(client: TestClient, some: dict[str, Any]) -> None:
    items = client.get("/api/v1/suggest", params={"q": some["name"][:4]}).json()["items"]
    assert items
    assert set(items[0]) == {"code", "name", "district"}
    assert items[0]["name"].startswith(some["name"][:4])


def test_one_entity_is_read_by_its_code_however_it_is_typed(client: TestClient, some: dict[str, Any]) -> None:
    code = some["code"]
    for typed in (code, code.lower(), f"{code[:8]} {code[8:]}"):
        answer = client.get(f"/api/v1/entities/{typed}")
        assert answer.status_code == 200
        assert answer.json()["code"] == code
    registration = answer.json()["registration"]
    assert registration["changed_at"].endswith("Z")


def test_an_unknown_code_is_not_found_and_says_what_to_do(client: TestClient) -> None:
    problem(client.get("/api/v1/entities/91310199MA1XXXXX0X"), 404)


def test_checking_a_list_answers_each_line_in_order(client: TestClient, some: dict[str, Any]) -> None:
    lines = [
        some["code"],
        some["name"],
        some["name"].replace("有限公司", "有线公司"),
        "绝无此名的一家店铺甲乙丙",
        some["name"],
    ]
    answer = client.post("/api/v1/entities/check", json={"items": lines}).json()
    assert [item["query"] for item in answer["items"]] == lines
    by_code, by_name, misspelt, unknown, again = answer["items"]
    assert by_code["match"]["code"] == by_name["match"]["code"] == misspelt["match"]["code"] == some["code"]
    assert by_code["exact"]
    assert (by_name["exact"], by_name["score"]) == (True, 1)
    assert not misspelt["exact"]
    assert 0.5 < misspelt["score"] < 1
    assert not unknown["exact"]
    assert again == by_name


def test_a_list_too_long_or_too_large_is_refused_before_it_is_searched(client: TestClient) -> None:
    problem(client.post("/api/v1/entities/check", json={"items": ["甲"] * 10_001}), 422)
    problem(client.post("/api/v1/entities/check", content=b"x" * 8_000_001), 413)
    problem(client.post("/api/v1/entities/check", content=b"{", headers={"content-type": "application/json"}), 422)


def test_a_body_that_lies_about_its_length_is_cut_off(client: TestClient) -> None:
    def endless() -> Any:
        for _ in range(200):
            yield b"x" * 100_000

    response = client.post("/api/v1/entities/check", content=endless(), headers={"content-type": "application/json"})
    problem(response, 413)


def test_the_limit_is_announced_and_then_kept(client: TestClient) -> None:
    for left in range(9, -1, -1):
        response = client.post("/api/v1/entities/check", json={"items": ["甲"]})
        assert response.status_code == 200
        assert response.headers["ratelimit-policy"] == '"default";q=10;w=60'
        assert response.headers["ratelimit-remaining"] == str(left)
    refused = client.post("/api/v1/entities/check", json={"items": ["甲"]})
    problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61


def test_refusals_speak_the_readers_language(client: TestClient) -> None:
    chinese = problem(client.get("/api/v1/nothing", headers={"accept-language": "zh-CN"}), 404)
    english = problem(client.get("/api/v1/nothing", headers={"accept-language": "en"}), 404)
    assert chinese["title"] != english["title"]
    assert english["title"].isascii()


def test_the_published_description_is_openapi_3_1_with_examples(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {
        "/api/v1/entities",
        "/api/v1/suggest",
        "/api/v1/entities/{code}",
        "/api/v1/entities/check",
    }
    assert "example" in json.dumps(described)
    refusals = described["paths"]["/api/v1/entities"]["get"]["responses"]
    assert "application/problem+json" in refusals["422"]["content"]
