"""Made-up entities."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyotp
import pytest
from fastapi.testclient import TestClient

from portal import demo as people
from portal.kit import db
from record import codes, demo, entities, names


def test_the_same_entities_come_every_time_whatever_the_hash_seed() -> None:
    script = "from record import demo; print([(m.entity, m.former) for m in demo.make(150)])"
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            cwd=Path(__file__).parents[2],
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_a_smaller_portal_holds_the_first_entities_of_a_larger_one() -> None:
    assert demo.make(60) == demo.make(200)[:60]


def test_no_two_bear_one_name_or_code_and_no_code_can_be_real() -> None:
    made = [one.entity for one in demo.make(3_000)]
    assert len({entity["code"] for entity in made}) == 3_000
    assert len({names.fold(entity["name"]) for entity in made}) == 3_000
    assert all(codes.is_credit_code(entity["code"]) and entity["code"][2:8] == "310199" for entity in made)
    assert {entity["source"] for entity in made} == {"demo"}


def test_they_read_like_a_citys() -> None:
    made = demo.make(3_000)
    entities_ = [one.entity for one in made]
    assert {entity["district"] for entity in entities_} == set(codes.DISTRICTS)
    types = {entity["type"] for entity in entities_}
    assert types >= codes.ENTITY_TYPES.keys() - {"state_owned", "stock_cooperative", "joint_operation"} - {
        "social_organisation",
        "public_institution",
        "other",
    }
    assert {entity["status"] for entity in entities_} >= {"active", "deregistered", "revoked", "suspended"}
    assert {flag for entity in entities_ for flag in entity["flags"]} == set(codes.LISTS)
    assert len({entity["industry"] for entity in entities_}) > 12
    assert any("（" in entity["name"] for entity in entities_)
    assert any(char.isascii() and char.isalpha() for entity in entities_ for char in entity["name"])
    assert sum(bool(one.former) for one in made) > 100


def test_what_they_say_of_themselves_fits_together() -> None:
    for one in demo.make(1_000):
        entity = one.entity
        assert codes.DISTRICTS[entity["district"]][0] in entity["address"]
        assert codes.is_individual(entity["code"]) == (entity["type"] == "individual")
        assert entity["code"].startswith("93") == (entity["type"] == "farmers_cooperative")
        assert all(entity["established_on"] < until <= demo.LAST_DAY for _, until in one.former)
        assert entity["name"] not in [name for name, _ in one.former]


@pytest.mark.usefixtures("database")
def test_filling_twice_adds_nothing_the_second_time() -> None:
    told: list[tuple[int, int | None]] = []
    assert demo.fill(1_200, progress=lambda done, total: told.append((done, total))) == 1_200
    assert told == [(1_000, 1_200), (1_200, 1_200)]
    assert demo.fill(1_200) == 0
    assert demo.fill(1_300) == 100
    with db.reading() as session:
        assert entities.count(session) == 1_300
    assert demo.registered() == 1_300


@pytest.mark.usefixtures("database")
def test_what_was_made_up_is_read_back_whole() -> None:
    demo.fill(300)
    made = demo.make(300)
    with db.reading() as session:
        for one in made:
            entity = entities.get(session, one.entity["code"])
            assert {column: getattr(entity, column) for column in one.entity} == one.entity
            assert [(former.name, former.until) for former in entity.former_names] == one.former


def test_a_demonstration_has_an_officer_for_each_role_who_can_sign_in_and_finds_work(
    client: TestClient, embedded: Path
) -> None:
    demo.fill(300)
    assert people.add_people() == 3
    file = people.accounts_file()
    assert file.stat().st_mode & 0o077 == 0
    assert people.add_people() == 0
    for one in json.loads(file.read_text("utf-8")):
        code = pyotp.parse_uri(one["otpauth"]).now()  # type: ignore[union-attr]
        form = {"login": one["login"], "password": one["password"], "code": code}
        at = one.get("at", "/desk")
        assert client.post(f"{at}/login", data=form, follow_redirects=False).status_code == 303
        if at == "/account":
            assert "演示" in client.get("/account").text
            client.cookies.clear()
            continue
        page = client.get("/desk?lang=zh").text
        assert ("异议与信用修复申请" in page) == (one["login"] != "demo.admin")
        client.cookies.clear()
    assert people.receipt_file().stat().st_mode & 0o077 == 0
    receipt = json.loads(people.receipt_file().read_text("utf-8"))["receipt"]
    assert client.post("/report/status", data={"receipt": receipt}).status_code == 200
    assert client.get("/statistics").status_code == 200
