"""An entity disputes a rating, the rater answers, an officer decides; the clock runs and the ledger knows."""

import re
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from partners import disputes
from partners.models import Dispute
from portal.kit import db, jobs
from record import evaluations, publication
from record.models import LedgerEntry
from record.workdays import Calendar
from tests import members, officers
from tests.partners import batches
from tests.partners.test_office import plain_pdf

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]

GROUNDS = "等级与评价报告不一致，我司2025年已通过复评。"


@pytest.fixture
def rated(client: TestClient) -> tuple[str, str]:
    """A rating stands in an entity's file, and the entity has a seat. Returns the entity's code and its name."""
    members.add()
    members.add_scheme()
    entity = batches.entities(1)[0]
    batches.published(client, members.key(), [batches.row(entity, 1)])
    members.add("rated-business", type_="entity", name=entity[1], entity_code=entity[0])
    members.seat(client, "rated-business", "zhao")
    return entity


def seq_of(code: str) -> int:
    with db.reading() as session:
        return evaluations.of_entity(session, code)[0].seq


def opened(client: TestClient, code: str) -> int:
    form = members.form_token(client.get("/account/ratings").text)
    answer = client.post(
        f"/account/ratings/{seq_of(code)}/dispute",
        data={"grounds": GROUNDS, "form_token": form},
        files={"file": ("复评.pdf", plain_pdf(), "application/pdf")},
        follow_redirects=False,
    )
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rpartition("/")[2])


def as_rater(client: TestClient) -> TestClient:
    return members.seat(client, "demo-association", "li.na")


def answer(client: TestClient, number: int, step: str = "answer", words: str = "评价报告已复核，等级无误。") -> int:
    form = members.form_token(client.get(f"/account/disputes/{number}").text)
    return client.post(f"/account/disputes/{number}/{step}", data={"words": words, "form_token": form}).status_code


def decide(client: TestClient, number: int, outcome: str) -> int:
    form = officers.form_token(client, f"/desk/disputes/{number}")
    said = {"outcome": outcome, "reason": "经核查评价依据后决定", "form_token": form}
    return client.post(f"/desk/disputes/{number}/decide", data=said).status_code


def test_a_disputed_rating_is_marked_everywhere_and_gone_when_the_entity_is_right(
    client: TestClient, rated: tuple[str, str]
) -> None:
    code, _ = rated
    number = opened(client, code)
    (entry,) = client.get(f"/api/v1/entities/{code}/entries", params={"kind": "evaluation"}).json()["items"]
    assert entry["disputed"] is True
    assert GROUNDS not in client.get(f"/entities/{code}").text
    as_rater(client)
    assert GROUNDS in client.get(f"/account/disputes/{number}").text
    assert client.get(f"/account/disputes/{number}/paper").content.startswith(b"%PDF")
    assert answer(client, number) == 200
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    assert GROUNDS in client.get(f"/desk/disputes/{number}").text
    assert decide(client, number, "upheld") == 200
    assert client.get(f"/api/v1/entities/{code}/entries", params={"kind": "evaluation"}).json()["items"] == []
    with db.reading() as session:
        kinds = session.scalars(select(LedgerEntry.kind).where(LedgerEntry.entity_code == code)).all()
        assert "dispute_outcome" in kinds
    assert decide(client, number, "rejected") == 409


def test_a_rating_that_was_right_stays_and_is_disputed_no_longer(client: TestClient, rated: tuple[str, str]) -> None:
    code, _ = rated
    number = opened(client, code)
    as_rater(client)
    answer(client, number)
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    decide(client, number, "rejected")
    (entry,) = client.get(f"/api/v1/entities/{code}/entries", params={"kind": "evaluation"}).json()["items"]
    assert entry["disputed"] is False


def test_the_rater_has_its_days_before_an_officer_decides_and_the_clock_counts_working_days(
    client: TestClient, rated: tuple[str, str]
) -> None:
    number = opened(client, rated[0])
    with db.reading() as session:
        found = disputes.get(session, number)
        assert found.due_on == Calendar.of(session).after(found.opened_on, 10).day
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    assert decide(client, number, "upheld") == 409
    with db.writing() as session:
        late = session.get_one(Dispute, number)
        late.opened_on, late.due_on = publication.today() - timedelta(days=40), publication.today() - timedelta(days=20)
    assert 'class="tag bad"' in client.get("/desk/disputes").text
    assert decide(client, number, "upheld") == 200


def test_the_rater_may_withdraw_the_rating_itself(client: TestClient, rated: tuple[str, str]) -> None:
    number = opened(client, rated[0])
    as_rater(client)
    assert answer(client, number, "concede", "录入有误，撤回该评价。") == 200
    jobs.drain()
    with db.reading() as session:
        assert disputes.get(session, number).state == "conceded"
        assert evaluations.of_entity(session, rated[0]) == []


def test_an_entity_takes_its_objection_back_and_may_not_open_two_at_once(
    client: TestClient, rated: tuple[str, str]
) -> None:
    code, _ = rated
    number = opened(client, code)
    form = members.form_token(client.get("/account/ratings").text)
    again = client.post(f"/account/ratings/{seq_of(code)}/dispute", data={"grounds": GROUNDS, "form_token": form})
    assert again.status_code == 409
    assert answer(client, number, "take-back", "") == 200
    assert opened(client, code) > number


def test_nobody_disputes_or_answers_what_is_not_theirs(client: TestClient, rated: tuple[str, str]) -> None:
    number = opened(client, rated[0])
    members.add("other-business", type_="entity", name="别家", entity_code=batches.entities(2)[1][0])
    members.seat(client, "other-business", "qian")
    form = members.form_token(client.get("/account/ratings").text)
    seq = seq_of(rated[0])
    theirs = client.post(f"/account/ratings/{seq}/dispute", data={"grounds": GROUNDS, "form_token": form})
    assert theirs.status_code == 403
    assert client.post(f"/account/ratings/{seq}/reply", data={"words": "不对", "form_token": form}).status_code == 403
    assert client.get(f"/account/disputes/{number}").status_code == 404
    assert (
        client.post(
            f"/account/disputes/{number}/answer", data={"words": "我们代为答复此事", "form_token": form}
        ).status_code
        == 404
    )


def test_an_entitys_words_stand_beside_the_rating_without_numbers_of_persons_until_an_officer_hides_them(
    client: TestClient, rated: tuple[str, str]
) -> None:
    code, _ = rated
    number = opened(client, code)
    seq = seq_of(code)
    form = members.form_token(client.get("/account/ratings").text)
    client.post(
        f"/account/ratings/{seq}/reply", data={"words": "我司不同意，请致电13812345678了解。", "form_token": form}
    )
    page = client.get(f"/entities/{code}").text
    if "我司不同意" in page:
        assert "13812345678" not in page
    with db.reading() as session:
        assert "13812345678" not in disputes.replies(session, [seq])[seq].words
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    form = officers.form_token(client, f"/desk/disputes/{number}")
    client.post(f"/desk/replies/{seq}/hide", data={"reason": "含有与评价无关的内容", "form_token": form})
    assert "我司不同意" not in client.get(f"/entities/{code}").text


def test_the_page_of_a_dispute_names_the_rule_of_its_clock(client: TestClient, rated: tuple[str, str]) -> None:
    number = opened(client, rated[0])
    page = client.get(f"/account/disputes/{number}").text
    assert "信用评级业管理暂行办法" in page
    assert re.search(r"<time datetime=", page)
