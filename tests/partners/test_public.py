"""What anybody sees of partners: who rates by which method, how well it is kept, ratings side by side, and the past."""

import io
import json
from datetime import UTC, datetime, timedelta
from zipfile import ZipFile

import pytest
from fastapi.testclient import TestClient

from partners import disputes, scorecard
from portal.kit import db, jobs
from record import ledger, publication
from record.ledger import Fact
from record.publication import months_after
from tests import members
from tests.partners import batches

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]

SERVICE = {"grades": [{"code": code, "meaning": f"{code}级"} for code in "ABCD"], "certificate": None}


@pytest.fixture
def key(filled: str) -> str:
    members.add(about="评价会员企业", number="沪民社登0001")
    members.add_scheme()
    return members.key()


def penalise(code: str, day: object, reference: str) -> int:
    said = {
        "party_name": "演示",
        "act": "虚假宣传",
        "content": "罚款一千元",
        "gravity": "general",
        "categories": ["罚款"],
    }
    with db.writing() as session:
        fact = publication.with_term(Fact("penalty", "test", reference, said, code, str(day)))
        return ledger.append(session, [ledger.seal(fact)]).seqs[0]


def test_the_list_the_partner_and_the_scheme_are_public_and_applicants_and_businesses_are_not(
    client: TestClient, key: str
) -> None:
    code, name = batches.entities(1)[0]
    members.add("some-business", type_="entity", name=name, entity_code=code)
    listed = client.get("/partners").text
    assert "演示行业协会" in listed
    assert name not in listed
    page = client.get("/partners/demo-association").text
    assert "沪民社登0001" in page
    assert "评价会员企业" in page
    assert client.get("/partners/some-business").status_code == 404
    assert client.get("/api/v1/partners/some-business").status_code == 404
    scheme = client.get("/partners/schemes/demo-credit").text
    assert "信用AAA" in scheme
    assert "111" in scheme
    assert client.get("/partners/schemes/demo-credit?version=9").status_code == 404
    items = client.get("/api/v1/partners").json()["items"]
    assert [one["id"] for one in items] == ["demo-association"]
    definition = client.get("/api/v1/partners/schemes/demo-credit").json()["definition"]
    assert [grade["code"] for grade in definition["grades"]] == list(members.GRADES)


def test_a_template_holds_the_columns_and_the_code_lists_and_can_be_handed_in_once_filled(
    client: TestClient, key: str
) -> None:
    answer = client.get("/partners/schemes/demo-credit/template.csv")
    text = answer.content.decode("utf-8-sig")
    assert ",".join(batches.HEADER) in text
    assert "AAA（信用AAA）" in text, "the code list stands inside"
    book = ZipFile(io.BytesIO(client.get("/partners/schemes/demo-credit/template.xlsx").content))
    assert "AAA" in book.read("xl/sharedStrings.xml").decode()
    assert "dataValidation" in book.read("xl/worksheets/sheet1.xml").decode()
    lines = client.get("/partners/schemes/demo-credit/template.jsonl")
    assert json.loads(lines.text.splitlines()[0])["等级"] == "AAA"
    assert "AAA（信用AAA）" in lines.text
    own = ",".join(batches.row(batches.entities(1)[0], 1).values())
    batch = batches.send(client, key, f"{text}{own}\n".encode()).json()["id"]
    jobs.drain()
    counts = batches.see(client, key, batch)["counts"]
    assert (counts["rows"], counts["new"]) == (1, 1), "what explains and the example are passed over"
    assert client.get("/partners/schemes/demo-credit/template.exe").status_code == 422


def test_ratings_of_two_raters_stand_side_by_side_with_method_term_and_history(client: TestClient, key: str) -> None:
    entity = batches.entities(1)[0]
    before = batches.row(
        entity, 1, 评价日期="2022-01-10", 有效期至="2025-01-09", 等级="B", 证书编号=members.certificate("B", 1, 2022)
    )
    batches.published(client, key, [before, batches.row(entity, 2)])
    members.add("demo-agency", type_="rating_agency", name="演示评级公司")
    members.add_scheme("demo-agency", "demo-service", **SERVICE)
    batches.published(
        client, members.key("demo-agency"), [batches.row(entity, 1, 等级="D", 证书编号="")], scheme="demo-service"
    )
    page = client.get(f"/entities/{entity[0]}").text
    assert "第 2 级，共 9 级" in page
    assert "第 4 级，共 4 级" in page
    assert "/partners/schemes/demo-credit?version=1" in page
    assert page.count('class="grade"') == 2
    assert "已到期" in page
    english = client.get(f"/entities/{entity[0]}?lang=en").text
    assert "never averaged" in english


def test_what_was_known_on_a_day_is_told_as_it_was_said_then_and_without_what_was_withdrawn_since(
    client: TestClient, key: str
) -> None:
    one, two = batches.entities(2)
    batches.published(client, key, [batches.row(one, 1), batches.row(two, 2)])
    with db.writing() as session:
        past = (datetime.now(UTC) - timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S.%f")
        session.connection().exec_driver_sql(
            f"UPDATE ledger_entry SET recorded_at = '{past}' WHERE kind = 'evaluation'"
        )
    batches.published(client, key, [batches.row(one, 1, 等级="A", 证书编号=members.certificate("A", 1))])
    yesterday = (publication.today() - timedelta(days=1)).isoformat()
    address = f"/api/v1/entities/{one[0]}/evaluations"
    assert [x["payload"]["grade"] for x in client.get(address).json()["items"]] == ["A"]
    assert [x["payload"]["grade"] for x in client.get(address, params={"on": yesterday}).json()["items"]] == ["AA"]
    long_ago = (publication.today() - timedelta(days=9)).isoformat()
    assert client.get(address, params={"on": long_ago}).json()["items"] == []
    assert "AA" in client.get(f"/entities/{one[0]}/evaluations?on={yesterday}").text
    (entry,) = client.get(f"/api/v1/entities/{two[0]}/entries", params={"kind": "evaluation"}).json()["items"]
    client.post(
        f"/api/v1/evaluations/{entry['id']}/withdraw",
        json={"reason": "等级录入有误"},
        headers={"Authorization": f"Bearer {key}"},
    )
    jobs.drain()
    gone = client.get(f"/api/v1/entities/{two[0]}/evaluations", params={"on": yesterday})
    assert gone.json()["items"] == []


def test_the_scorecard_counts_rows_disputes_and_the_penalties_of_the_twelve_months_after(
    client: TestClient, key: str
) -> None:
    found = batches.entities(5)
    day = months_after(publication.today(), -14)
    said = [
        batches.row(
            entity, number, 评价日期=day.isoformat(), 有效期至="", 证书编号=members.certificate("AA", number, day.year)
        )
        for number, entity in enumerate(found)
    ]
    batches.published(client, key, said)
    penalise(found[0][0], day + timedelta(days=1), "p-after")
    penalise(found[1][0], day, "p-on-the-day")
    penalise(found[2][0], months_after(day, 12), "p-last-day")
    penalise(found[3][0], months_after(day, 12) + timedelta(days=1), "p-too-late")
    withdrawn = penalise(found[4][0], day + timedelta(days=9), "p-repaired")
    with db.writing() as session:
        publication.withdraw(session, [withdrawn], "repaired")
    with db.reading() as session:
        figures = scorecard.compute(session, "demo-credit")
    assert (figures.rows, figures.rejected, figures.published) == (5, 0, 5)
    followed = {one.grade: (one.rated, one.penalised) for one in figures.followed}
    assert followed["AA"] == (5, 2), "the first and the third: after the day, up to twelve months later, not repaired"
    members.add("rated-business", type_="entity", name=found[0][1], entity_code=found[0][0])
    seq = client.get(f"/api/v1/entities/{found[0][0]}/entries", params={"kind": "evaluation"}).json()["items"][0]["seq"]
    with db.writing() as session:
        number = disputes.open_(session, "rated-business", seq, "等级与评价报告不一致，请更正。").id
    with db.writing() as session:
        disputes.concede(session, "demo-association", number, "录入有误，撤回该评价。")
    jobs.drain()
    scorecard.compute_all()
    card = client.get("/api/v1/partners/demo-association").json()["scorecards"][0]
    assert (card["figures"]["disputes"], card["figures"]["lost"], card["figures"]["published"]) == (1, 1, 4)
    page = client.get("/partners/demo-association").text
    assert "<svg" in page
    assert "AAA" in page
