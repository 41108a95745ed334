"""The entity's page, and how a business scope is divided for reading."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db
from record import demo, profile
from record.models import Entity


@pytest.fixture
def filled(embedded: object) -> None:
    demo.fill(120)


def one(prefix: str) -> Entity:
    with db.reading() as session:
        found = session.scalar(select(Entity).where(Entity.code.startswith(prefix), Entity.address.is_not(None)))
    assert found is not None
    return found


def test_a_comma_never_divides_a_scope_for_the_last_words_speak_for_all() -> None:
    scope = profile.parse_scope("五金，建材，灯具的销售。【依法须经批准的项目，经相关部门批准后方可开展经营活动】")
    assert [list(part.items) for part in scope.parts] == [["五金，建材，灯具的销售"]]
    assert scope.parts[0].note == "依法须经批准的项目，经相关部门批准后方可开展经营活动"


def test_a_scope_is_divided_by_heading_and_semicolon_but_not_inside_brackets() -> None:
    scope = profile.parse_scope(
        "许可项目：食品销售（冷藏；冷冻）；餐饮服务。（依法须经批准的项目，经批准后方可经营）一般项目：广告设计；会议服务。（除依法须经批准的项目外，自主开展）"
    )
    assert [(part.heading, list(part.items)) for part in scope.parts] == [
        ("许可项目", ["食品销售（冷藏；冷冻）", "餐饮服务"]),
        ("一般项目", ["广告设计", "会议服务"]),
    ]
    assert [bool(part.note) for part in scope.parts] == [True, True]


def test_a_scope_that_the_registry_cut_says_so() -> None:
    assert profile.parse_scope("附设分支机构...").cut_off
    assert not profile.parse_scope("物业管理。").cut_off


def test_no_character_of_a_scope_is_lost_but_marks_between_items() -> None:
    for made in demo.make(200):
        text = made.entity["scope"]
        if text:
            scope = profile.parse_scope(text)
            shown = "".join(f"{part.heading or ''}{''.join(part.items)}{part.note or ''}" for part in scope.parts)
            marks = str.maketrans("", "", "；;。：:【】（）() ，")
            assert sorted(shown.translate(marks)) == sorted(text.translate(marks))


@pytest.mark.usefixtures("filled")
def test_a_file_is_found_in_any_spelling_of_its_code_at_one_address(client: TestClient) -> None:
    code = one("91").code
    answer = client.get(f"/entities/{code[:8].lower()}%20{code[8:].lower()}?lang=en", follow_redirects=False)
    assert answer.status_code == 301
    assert answer.headers["location"] == f"/entities/{code}?lang=en"


@pytest.mark.usefixtures("filled")
def test_a_file_of_an_individual_business_shows_no_street_number(client: TestClient) -> None:
    entity = one("92")
    page = client.get(f"/entities/{entity.code}").text
    assert entity.name in page
    assert str(entity.address) not in page
    assert "不显示门牌号" in page


@pytest.mark.usefixtures("filled")
def test_an_unknown_code_is_told_so_in_the_visitors_language_with_a_search_box(client: TestClient) -> None:
    answer = client.get("/entities/91310000000000000X", headers={"Accept-Language": "en"})
    assert answer.status_code == 404
    assert "No entity with this code" in answer.text
    assert 'role="search"' in answer.text


@pytest.mark.usefixtures("embedded")
def test_a_portal_without_made_up_entities_does_not_call_itself_a_demonstration(client: TestClient) -> None:
    with db.reading() as session:
        assert not profile.has_made_up(session)
    demo.fill(3)
    with db.reading() as session:
        assert profile.has_made_up(session)
