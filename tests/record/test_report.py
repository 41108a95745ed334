"""The report of an entity's file: the PDF, and the page that confirms it."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import structlog
import time_machine
from fastapi.testclient import TestClient
from pypdf import PdfReader
from sqlalchemy import select

from portal.kit import db, jobs, links, pdf
from record import feeds, ledger, publication, report
from record.applications import Application
from record.ledger import Fact
from record.models import Entity
from tests import paper

ACT = "发布奇观异想广告"


@pytest.fixture
def entity(filled: str, unlimited: None) -> Entity:
    """An entity of a small portal, about which nothing is published yet."""
    with db.reading() as session:
        recorded = select(publication.PUBLISHED.c.entity_code)
        found = select(Entity).where(Entity.code.startswith("91"), Entity.code.not_in(recorded)).order_by(Entity.code)
        return session.scalars(found).first()  # type: ignore[return-value]


def fetch(client: TestClient, entity: Entity, language: str = "zh") -> bytes:
    answer = client.get(f"/entities/{entity.code}/report.pdf?lang={language}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return answer.content


def fact(entity: Entity, kind: str, number: int, day: date, **said: Any) -> Fact:
    payload = {"party_name": entity.name, "document": f"沪监〔2026〕{number}号", "authority": "虚构区市场监管局"} | said
    return publication.with_term(Fact(kind, "test", f"{number}|{entity.code}", payload, entity.code, day.isoformat()))


def penalty(entity: Entity, number: int = 1, act: str = ACT) -> Fact:
    day = publication.today() - timedelta(days=5)
    return fact(entity, "penalty", number, day, act=act, content="罚款", gravity="general", fine="20000.00")


def store(*facts: Fact) -> list[int]:
    with db.writing() as session:
        parties = [feeds.Party(one, one.payload["party_name"], ledger.seal(one)[1:]) for one in facts]
        return feeds.store(session, parties)[0].seqs


def withdraw(seq: int) -> None:
    with db.writing() as session:
        publication.withdraw(session, [seq], "repaired")


def rename(entity: Entity, name: str) -> None:
    with db.writing() as session:
        session.get_one(Entity, entity.code).name = name


# ---- what it says ---------------------------------------------------------------------------------------------------


def test_a_report_says_who_it_is_what_is_on_record_and_as_of_which_ledger(client: TestClient, entity: Entity) -> None:
    store(penalty(entity))
    said = paper.text(fetch(client, entity))
    head = client.get("/api/v1/ledger/head").json()
    for shown in (entity.name, entity.code, ACT, "20000.00", "公示至", "可申请信用修复之日", "第36号", head["root"]):
        assert "".join(shown.split()) in said, shown
    assert f"共有{head['size']}条记录" in said
    assert "这是为演示而虚构的主体" in said
    english = paper.text(fetch(client, entity, "en"))
    assert f"{head['size']}entriesundertherootbelow" in english
    assert ACT in english


def test_a_report_is_made_for_screen_readers_and_for_archives(client: TestClient, entity: Entity) -> None:
    store(penalty(entity))
    for language, tag in (("zh", "zh-CN"), ("en", "en-GB")):
        read = PdfReader(BytesIO(fetch(client, entity, language)))
        root = read.trailer["/Root"]
        assert root["/Lang"] == tag
        assert root["/MarkInfo"]["/Marked"]
        assert entity.name in str(read.metadata and read.metadata.title)
        described = root["/Metadata"].get_data().decode()
        assert "<pdfuaid:part>1</pdfuaid:part>" in described
        assert "<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance>" in described
        assert {"H1", "H2", "Table", "TH", "Figure", "Link"} <= _roles(root["/StructTreeRoot"])


def _roles(element: object) -> set[str]:
    """Every role in a document's structure."""
    found, waiting = set(), [element]
    while waiting:
        one = waiting.pop()
        one = one.get_object() if hasattr(one, "get_object") else one
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            found.add(str(one.get("/S", "")).lstrip("/"))
            waiting.append(one.get("/K"))
    return found


def test_of_a_long_record_the_newest_are_listed_and_what_there_are_few_of_is_there_whole(
    client: TestClient, entity: Entity
) -> None:
    day = publication.today() - timedelta(days=30)
    checks = [
        fact(entity, "inspection", n, day + timedelta(days=n // 10), subject=f"奇观第{n:03}项", result="合格")
        for n in range(250)
    ]
    store(penalty(entity))
    store(*checks)
    document = fetch(client, entity)
    said = paper.text(document)
    assert ACT in said
    assert "公示中的记录共251条" in said
    assert "列出其中200条" in said
    assert "此类另有51条记录" in said
    assert any(link.endswith(f"/entities/{entity.code}/records/inspection") for link in paper.links(document))
    assert ("奇观第249项" in said, "奇观第051项" in said, "奇观第050项" in said) == (True, True, False)


def test_what_is_disputed_says_so_and_what_is_withdrawn_is_gone(client: TestClient, entity: Entity) -> None:
    first, second = store(penalty(entity, 1), penalty(entity, 2, "另一件怪事"))
    object_to(entity, first)
    said = paper.text(fetch(client, entity))
    assert "其中1条异议处理中" in said
    assert "另一件怪事" in said
    withdraw(second)
    assert "另一件怪事" not in paper.text(fetch(client, entity))


def object_to(entity: Entity, seq: int) -> None:
    with db.writing() as session:
        session.add(
            Application(
                case="objection", state="received", entry_seq=seq, entity_code=entity.code, via="paper",
                received_on=publication.today(), grounds="不是我们", provisional=False, extended=False, entered_by=1,
                entered_at=db.now(),
            )
        )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        '#set page(width: 1pt) *$x$* \\ ] [ _a_ `b` <c> @d // e /* f " = + - 1.',
        "#sys.inputs #panic(1) ${}{{ }}{% x %}",
        "奇观😀👨‍👩‍👧️科技",
        "上海𠮷祥㐂多龘",
        "上海\u202e限有\u200b公司\u0007",
        "长" * 300,
        "A" * 300,
    ],
)
def test_no_name_breaks_a_report_or_is_taken_for_markup(client: TestClient, entity: Entity, name: str) -> None:
    rename(entity, name)
    document = fetch(client, entity)
    said = paper.text(document)
    for page in PdfReader(BytesIO(document)).pages:
        assert (round(page.mediabox.width), round(page.mediabox.height)) == (595, 842)
    visible = "".join(pdf.with_shapes(name).split())
    assert visible in said.replace("\u200b", "")
    assert ("字体未收录的字符" in said) == ("〔U+" in visible)


def test_an_individual_business_keeps_its_house_number_to_itself(client: TestClient, entity: Entity) -> None:
    with db.writing() as session:
        shop = session.scalars(select(Entity).where(Entity.code.startswith("92")).order_by(Entity.code)).first()
        assert shop is not None
        shop.address = "上海市徐汇区桂林路8848号"
    said = paper.text(fetch(client, shop))
    assert "桂林路" in said
    assert "8848" not in said


# ---- whether it still holds -----------------------------------------------------------------------------------------


def test_a_report_is_confirmed_until_the_file_changes_and_then_it_says_by_how_much_and_not_what(
    client: TestClient, entity: Entity
) -> None:
    first, _ = store(penalty(entity, 1), penalty(entity, 2))
    path = paper.confirming(fetch(client, entity))
    head = client.get("/api/v1/ledger/head").json()
    page = client.get(f"{path}?lang=en").text
    assert "The file still says the same today." in page
    for shown in (entity.name, head["root"], "2 </dd>"):
        assert shown in " ".join(page.split())
    withdraw(first)
    store(penalty(entity, 3, "后来的怪事"))
    jobs.drain()
    page = client.get(f"{path}?lang=en").text
    for shown in ("no longer current", "1 entry was added.", "1 entry is no longer shown.", head["root"]):
        assert shown in page
    assert ACT not in page
    assert "后来的怪事" not in page
    assert "still says the same" in client.get(paper.confirming(fetch(client, entity)) + "?lang=en").text


def test_what_happens_to_others_leaves_a_report_current(client: TestClient, entity: Entity) -> None:
    path = paper.confirming(fetch(client, entity))
    with db.reading() as session:
        other = session.scalars(select(Entity).where(Entity.code != entity.code).order_by(Entity.code)).first()
    assert other is not None
    store(penalty(other))
    assert "档案内容至今没有变化" in client.get(path).text


def test_an_objection_or_a_new_registration_makes_a_report_old(client: TestClient, entity: Entity) -> None:
    (seq,) = store(penalty(entity))
    path = paper.confirming(fetch(client, entity))
    object_to(entity, seq)
    page = client.get(path).text
    assert "登记信息或某条记录的状态有变化" in page
    path = paper.confirming(fetch(client, entity))
    with db.writing() as session:
        session.get_one(Entity, entity.code).changed_at = db.now()
    assert "登记信息或某条记录的状态有变化" in client.get(path).text


def test_only_what_this_portal_signed_is_confirmed_and_only_for_two_years(client: TestClient, entity: Entity) -> None:
    path = paper.confirming(fetch(client, entity))
    changed = "B" if path[-9] == "A" else "A"  # not the last character: some of its bits stand for nothing
    assert client.get(path[:-9] + changed + path[-8:]).status_code == 400
    assert client.get("/reports/unknown").status_code == 400
    ahead = links.make("record.report", [entity.code, 10**9, 1_790_000_000, 0, "x"])
    assert client.get(f"/reports/{ahead}").status_code == 409
    with time_machine.travel(db.now() + timedelta(days=700), tick=False):
        assert client.get(path).status_code == 200
    with time_machine.travel(db.now() + report.CONFIRMED_FOR + timedelta(days=1), tick=False):
        assert client.get(path).status_code == 410


# ---- how it is served -----------------------------------------------------------------------------------------------


def test_a_report_that_would_say_the_same_is_not_made_again_nor_for_somebody_who_asks_for_its_headers(
    client: TestClient, entity: Entity
) -> None:
    path = f"/entities/{entity.code}/report.pdf"
    first = client.get(path)
    known = {"If-None-Match": first.headers["etag"]}
    with structlog.testing.capture_logs() as logs:
        assert client.get(path, headers=known).status_code == 304
        headers = client.head(path)
    assert (headers.status_code, headers.content) == (200, b"")
    assert headers.headers["etag"] == first.headers["etag"]
    assert not [line for line in logs if line["event"].startswith("pdf.")]
    assert first.headers["cache-control"] == "no-cache"
    assert "noindex" in first.headers["x-robots-tag"]
    assert client.get(f"{path}?lang=en", headers=known).status_code == 200
    client.cookies.clear()
    store(penalty(entity))
    assert client.get(path, headers=known).status_code == 200


def test_a_report_is_found_in_any_spelling_of_the_code_and_linked_on_the_page(
    client: TestClient, entity: Entity
) -> None:
    spaced = f"{entity.code[:8].lower()}%20{entity.code[8:]}"
    answer = client.get(f"/entities/{spaced}/report.pdf?lang=en", follow_redirects=False)
    assert answer.headers["location"] == f"/entities/{entity.code}/report.pdf?lang=en"
    assert client.get("/entities/91310000000000000X/report.pdf").status_code == 404
    assert f'href="/entities/{entity.code}/report.pdf"' in client.get(f"/entities/{entity.code}").text


def test_when_many_ask_at_once_some_are_told_to_come_back(client: TestClient, entity: Entity) -> None:
    day = publication.today()
    store(*(fact(entity, "inspection", n, day, subject=f"奇观第{n}项" * 20, result="合格" * 60) for n in range(200)))
    path = f"/entities/{entity.code}/report.pdf"
    with ThreadPoolExecutor(8) as askers:
        answers = list(askers.map(lambda _: client.get(path), range(8)))
    told = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert all(answer.headers["retry-after"] == "5" for answer in told)
    assert client.get(path).status_code == 200, "every turn was given back"


def test_making_reports_again_and_again_keeps_no_memory(client: TestClient, entity: Entity) -> None:
    day = publication.today()
    store(*(fact(entity, "inspection", n, day, subject=f"奇观第{n}项", result="合格") for n in range(25)))

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    for number in range(8):
        rename(entity, f"上海奇观{number}号有限公司")
        fetch(client, entity)
    before = resident()
    for number in range(16):
        rename(entity, f"上海异想{number}号有限公司")
        fetch(client, entity)
    assert resident() - before < 16_000_000
