"""Industry rules are published by associations, replaced by newer editions, and withdrawn for good."""

import io
import re
from datetime import date, timedelta
from typing import Any

import pikepdf
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select

from partners import papers
from partners.models import CommissionTask, IndustryRule, Paper
from portal.kit import db
from record import publication
from record.models import LedgerEntry
from tests import members, officers

pytestmark = [pytest.mark.usefixtures("database", "unlimited")]

MINE = "/account/rules"
PUBLIC = "/partners/rules"
DESK = "/desk/industry-rules"
TITLE = "演示行业自律公约"


def pdf(**entries: Any) -> bytes:
    """A plain PDF; with `entries`, those stand in its catalog."""
    made, out = pikepdf.new(), io.BytesIO()
    made.add_blank_page()
    for name, value in entries.items():
        made.Root[f"/{name}"] = value
    made.save(out)
    return out.getvalue()


def association(client: TestClient) -> TestClient:
    members.add()
    return members.seat(client, "demo-association", "li.na")


def post(client: TestClient, address: str, **typed: Any) -> Response:
    file = typed.pop("file", None)
    typed["form_token"] = officers.form_token(client, "/desk" if address.startswith("/desk") else "/account")
    return client.post(address, data=typed, files={"file": file} if file else None, follow_redirects=False)


def publish(client: TestClient, title: str = TITLE, **changes: Any) -> Response:
    typed = {"title": title, "number": "演协〔2026〕3号", "in_force_from": "2026-01-01"}
    return post(client, MINE, **typed | {"file": ("公约.pdf", pdf(), "application/pdf")} | changes)


def rule(title: str = TITLE) -> IndustryRule:
    with db.reading() as session:
        return session.scalars(select(IndustryRule).where(IndustryRule.title == title)).one()


def titles(client: TestClient, address: str = PUBLIC) -> list[str]:
    found = re.findall(r"<h3>\s*<span lang=\"zh-CN\">([^<]+)</span>", client.get(address).text)
    return [str(one) for one in found]


def tomorrow() -> str:
    return (publication.today() + timedelta(days=1)).isoformat()


def over(title: str) -> None:
    """Let the day come on which this edition is in force."""
    with db.writing() as session:
        session.get_one(IndustryRule, rule(title).id).in_force_from = publication.today()


def test_what_an_association_publishes_everybody_reads(client: TestClient) -> None:
    association(client)
    assert publish(client).status_code == 303
    client.cookies.clear()
    page = client.get(PUBLIC).text
    assert "演示行业协会" in page
    assert "演协〔2026〕3号" in page
    assert titles(client) == [TITLE]
    assert titles(client, f"{PUBLIC}?organisation=demo-association") == [TITLE]
    link = re.search(r'href="(/partners/papers/[^"]+)"', page)
    assert link
    paper = client.get(link[1])
    assert paper.content.startswith(b"%PDF-")
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.headers["content-security-policy"].startswith("sandbox")
    assert paper.headers["x-content-type-options"] == "nosniff"


def test_a_paper_that_is_not_public_is_not_there(client: TestClient) -> None:
    members.add()
    with db.writing() as session:
        paper = papers.keep(session, "proof.pdf", b"%PDF-1.4", organisation_id="demo-association").id
    assert client.get(f"/partners/papers/{paper}").status_code == 404
    assert client.get(f"/partners/papers/{'0' * 32}").status_code == 404
    assert client.get(f"{PUBLIC}?organisation=nobody").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"file": None},
        {"file": ("公约.docx", b"PK\x03\x04", "application/pdf")},
        {"file": ("公约.pdf", b"%PDF-1.4 broken", "application/pdf")},
        {"file": ("公约.pdf", pdf(OpenAction=pikepdf.Dictionary(S=pikepdf.Name.JavaScript)), "application/pdf")},
        {"in_force_from": ""},
        {"in_force_from": "0001-01-01"},
        {"in_force_from": "2099-01-01"},
        {"number": "号" * 101},
    ],
    ids="-".join,
)
def test_what_cannot_be_published_comes_back_with_what_was_typed(client: TestClient, wrong: dict[str, Any]) -> None:
    association(client)
    answer = publish(client, **wrong)
    assert answer.status_code == 422
    assert TITLE in answer.text
    assert titles(client) == []


def test_a_new_edition_takes_the_place_of_the_older_one_on_its_day(client: TestClient) -> None:
    association(client)
    publish(client)
    assert publish(client, "公约第二版", in_force_from=tomorrow(), replaces=rule().id).status_code == 303
    assert titles(client) == ["公约第二版", TITLE]
    assert "尚未施行" in client.get(PUBLIC).text
    over("公约第二版")
    assert titles(client) == ["公约第二版"]
    assert titles(client, MINE) == ["公约第二版", TITLE]
    assert publish(client, "公约第三版", replaces=rule().id).status_code == 409


def test_an_edition_that_never_was_in_force_leaves_the_older_one_as_it_was(client: TestClient) -> None:
    association(client)
    publish(client)
    publish(client, "公约第二版", in_force_from=tomorrow(), replaces=rule().id)
    publish(client, "公约第三版", in_force_from=tomorrow(), replaces=rule("公约第二版").id)
    assert post(client, f"{MINE}/{rule('公约第三版').id}/withdraw").status_code == 303
    assert rule().replaced_by is None
    assert TITLE in titles(client)


def test_what_was_withdrawn_is_listed_no_longer_and_its_paper_opens_for_nobody(client: TestClient) -> None:
    association(client)
    publish(client)
    paper = f"/partners/papers/{rule().paper_id}"
    assert client.get(paper).status_code == 200
    assert post(client, f"{MINE}/{rule().id}/withdraw").status_code == 303
    assert titles(client) == []
    assert client.get(paper).status_code == 404
    assert "已撤下" in client.get(MINE).text
    assert post(client, f"{MINE}/{rule().id}/withdraw").status_code == 409


def test_nobody_replaces_or_withdraws_another_associations_rules(client: TestClient) -> None:
    association(client)
    publish(client)
    members.add("demo-chamber", type_="chamber", name="演示商会")
    members.seat(client, "demo-chamber", "wang.fang")
    assert titles(client, MINE) == []
    assert post(client, f"{MINE}/{rule().id}/withdraw").status_code == 404
    assert publish(client, "我们的公约", replaces=rule().id).status_code == 404
    assert publish(client, "我们的公约", replaces="x").status_code == 404
    assert titles(client) == [TITLE]
    with db.reading() as session:
        assert len(session.scalars(select(Paper)).all()) == 1


def test_only_associations_and_chambers_publish_and_only_who_manages_them(client: TestClient) -> None:
    members.add("demo-lawyers", type_="law_firm", name="演示律所")
    members.seat(client, "demo-lawyers", "zhou.yi")
    assert publish(client).status_code == 403
    assert "公布行规行约" not in client.get(MINE).text
    members.add()
    members.seat(client, "demo-association", "sun.qi", roles=["submitter"])
    assert publish(client).status_code == 403
    assert "由贵机构在本站的管理人员公布" in client.get(MINE).text
    client.cookies.clear()
    assert client.get(MINE, follow_redirects=False).status_code == 303
    assert titles(client) == []


def test_an_officer_withdraws_with_a_reason_that_the_association_is_told(client: TestClient) -> None:
    association(client)
    publish(client)
    officers.sign_in(client, officers.add_officer("chen.jing", roles=["clerk"]))
    address = f"{DESK}/{rule().id}/withdraw"
    assert post(client, address, reason="第五条限定会员价格，违反反垄断法。").status_code == 403
    officers.sign_in(client, officers.add_officer(roles=["reviewer"]))
    assert TITLE in client.get(DESK).text
    assert post(client, address, reason="不").status_code == 422
    assert post(client, address, reason="第五条限定会员价格，违反反垄断法。").status_code == 303
    assert titles(client) == []
    with db.reading() as session:
        task = session.scalars(select(CommissionTask.id)).one()
        acts = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action")).all()
    told = client.get(f"/account/commissions/{task}").text
    assert "违反反垄断法" in told
    assert TITLE in told
    assert "rule_withdraw" in {(one.payload or {})["action"] for one in acts}
    assert post(client, address, reason="第五条限定会员价格，违反反垄断法。").status_code == 409


def test_the_public_list_is_read_page_by_page(client: TestClient) -> None:
    members.add()
    with db.writing() as session:
        paper = papers.keep(session, "a.pdf", pdf(), organisation_id="demo-association", public=True).id
        session.add_all(
            IndustryRule(
                organisation_id="demo-association",
                title=f"第{turn:02}号公约",
                in_force_from=date(2026, 1, 1),
                paper_id=paper,
                published_at=db.now(),
            )
            for turn in range(51)
        )
    first = titles(client)
    assert (len(first), first[0]) == (50, "第50号公约")
    more = re.search(r'rel="next" href="([^"]+)"', client.get(PUBLIC).text)
    assert more
    assert titles(client, more[1]) == ["第00号公约"]
    assert client.get(f"{PUBLIC}?before=x").status_code == 422


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_whole_in_both_languages(client: TestClient, language: str) -> None:
    association(client)
    publish(client)
    for address in (MINE, PUBLIC):
        page = client.get(address, params={"lang": language})
        assert page.status_code == 200
        assert ("Industry rules" in page.text) == (language == "en")
