"""Every public address is asked, and nothing that must not leave is in any answer: personal numbers, people, what was
withdrawn or redacted, and the street number of somebody's home."""

import csv
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db, jobs
from record import feeds, kinds, ledger, outcomes, publication, redaction
from record.models import Entity, LedgerEntry
from record.outcomes import Outcome
from tests import paper
from tests.officers import add_officer

IDENTITY, PHONE, ACCOUNT = "110101199003074514", "13812341234", "6222021234567890128"
SECRETS = {
    "an identity number": IDENTITY,
    "a mobile number": PHONE,
    "a bank account": ACCOUNT,
    "a person's name": "欧阳奇观",
    "what was withdrawn": "已撤回之奇观",
    "what was redacted": "已涂销之奇观",
    "what closed by its term": "已到期之奇观",
    "a minor one": "轻微之奇观",
    "an officer's reason": "内部理由之奇观",
    "what a report led to, without a published penalty": "内部结论之奇观",
    "the number of somebody's house": "8848号",
    "an outcome for officers alone": "未发现之奇观",
    "an outcome whose penalty was repaired": "随之撤回之奇观",
    "the number of a case": "案件之奇观",
}
HEADER = [
    "CF_XDR_MC", "CF_XDR_LB", "CF_XDR_SHXYM", "CF_XDR_ZJHM", "CF_FRDB", "CF_WSH", "CF_WFXW", "CF_SY", "CF_CFLB",
    "CF_NR", "CF_NR_FK", "CF_JDRQ", "CF_CFJG", "失信严重程度",
]  # fmt: skip


def row(entity: Entity | None, number: int, act: str, day: str, gravity: str = "一般") -> list[str]:
    facts = f"当事人联系人手机{PHONE}，身份证号{IDENTITY}，账号{ACCOUNT}。"
    party = [entity.name, "法人及非法人组织", entity.code, ""] if entity else ["欧阳奇观", "自然人", "", IDENTITY]
    return [
        *party, "欧阳奇观" if entity is None else "", f"沪罚〔2026〕{number}号", act, facts, "罚款",
        "罚款", "2", day, "上海市虚构区市场监管局", gravity,
    ]  # fmt: skip


@pytest.fixture
def shop(filled: str, tmp_path: Path) -> Entity:
    """An individual business about which everything is known that must not leave, and one penalty that may."""
    with db.writing() as session:
        entity = session.scalars(select(Entity).where(Entity.code.startswith("92")).order_by(Entity.code)).first()
        assert entity is not None
        entity.address = "上海市徐汇区桂林路8848号"
        code = entity.code
    with db.reading() as session:
        entity = session.get_one(Entity, code)
        session.expunge_all()
    today = publication.today()
    recent = today.isoformat()
    rows = [
        row(entity, 1, "可见之奇观", recent),
        row(entity, 2, "已撤回之奇观", recent),
        row(entity, 3, "已涂销之奇观", recent),
        row(entity, 4, "已到期之奇观", publication.months_after(today, -13).isoformat()),
        row(entity, 5, "轻微之奇观", recent, "轻微"),
        row(None, 6, "自然人之奇观", recent),
    ]
    path = tmp_path / "penalties.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    assert feeds.import_file("penalty", path, source="test").added == len(rows)
    _withdraw_and_redact()
    with db.writing() as session:
        said = Outcome("2026-0000001-5", entity.code, today, "食品安全", "not_proven", "内部结论之奇观", "依据", "部门")
        outcomes.append(session, said)
    jobs.drain()
    return entity


def _withdraw_and_redact() -> None:
    with db.reading() as session:
        said: dict[str, int] = {
            entry.payload["act"]: entry.seq
            for entry in session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "penalty"))
            if entry.payload
        }
    _decide("未发现之奇观", None)
    _decide("随之撤回之奇观", said["已撤回之奇观"])
    _decide("可见结果之奇观", said["可见之奇观"])
    with db.writing() as session:
        publication.withdraw(session, [said["已撤回之奇观"]], "repaired")
    officers = [add_officer(f"officer.{number}", roles=["reviewer"]) for number in (1, 2)]
    asking, granting = (_officer(someone.id) for someone in officers)
    with db.writing() as session:
        asked = redaction.ask(session, asking, said["已涂销之奇观"], "内部理由之奇观").id
    with db.writing() as session:
        redaction.grant(session, granting, asked)


def _decide(measures: str, penalty: int | None) -> None:
    """A report about the shop comes to this."""
    with db.writing() as session:
        code = session.scalars(select(LedgerEntry.entity_code).where(LedgerEntry.source == "test")).first()
        assert code is not None
        outcomes.append(
            session,
            Outcome(
                reference=f"案件之奇观|{measures}", entity_code=code, decided_on=publication.today(), matter="广告宣传",
                finding="violation" if penalty else "no_violation", measures=measures, basis="广告法第五十五条",
                authority="上海市虚构区市场监管局", penalty_seq=penalty,
            ),
        )  # fmt: skip


def _officer(number: int) -> Any:
    from portal.kit.accounts import Account, Officer

    with db.reading() as session:
        account = session.get_one(Account, number)
        return Officer(account.id, account.name, account.department, account.district, frozenset(account.roles))


def addresses(client: TestClient, entity: Entity) -> list[str]:
    """Every public GET route with each value that its path can take here, and what lists can be asked for."""
    with db.reading() as session:
        size = ledger.size(session)
    seqs = range(size)[-20:]  # what the shop's file became, down to the withdrawal and the officers' acts
    values: dict[str, list[str]] = {
        "code": [entity.code],
        "kind": [*kinds.KINDS],
        "seq": [*map(str, seqs)],
        "path": ["site.css"],
        "token": [
            paper.confirming(client.get(f"/entities/{entity.code}/report.pdf").content).rpartition("/")[2],
            "unknown",
        ],
    }
    found: list[str] = []
    for path in sorted(_routes(client)):
        paths = [path]
        for name in re.findall(r"{(\w+)", path):
            paths = [
                re.sub(rf"{{{name}(:\w+)?}}", value, path) for path in paths for value in values.get(name, ["unknown"])
            ]
        found += paths
    kinds_asked = [f"/api/v1/entities/{entity.code}/entries?kind={kind}" for kind in kinds.SHOWN]
    asked = [
        "/search?q=奇观",
        f"/search?q={entity.name}",
        "/search?q=8848",
        "/api/v1/entities?q=奇观",
        "/api/v1/suggest?q=奇观",
    ]
    proofs = [f"/api/v1/ledger/inclusion?seq={seq}&size={size}" for seq in seqs]
    return [
        *found,
        *kinds_asked,
        *asked,
        *proofs,
        "/api/v1/changes?limit=1000",
        "/api/v1/changes?kind=penalty&limit=1000",
        "/api/v1/changes?kind=tip_outcome&limit=1000",
    ]


def _routes(client: TestClient) -> set[str]:
    """Paths of the public GET routes of every area, with what they are mounted below."""
    included = (route for route in client.app.routes if hasattr(route, "effective_route_contexts"))  # type: ignore[attr-defined]
    found = {
        route.path
        for router in included
        for route in router.effective_route_contexts()
        if "GET" in (route.methods or ()) and not route.path.startswith("/desk")
    }
    assert {"/", "/entities/{code}/report.pdf", "/reports/{token}", "/api/v1/entities/{code}"} <= found
    return found


def follow(client: TestClient, first: list[str]) -> dict[str, str]:
    """The answers at these addresses and at all that they link to within the site, a few hundred at most."""
    answers: dict[str, str] = {}
    waiting = list(dict.fromkeys(first))
    while waiting and len(answers) < 600:
        path = waiting.pop(0)
        response = client.get(path)
        assert response.status_code < 500, path
        text = read(response.content, response.headers.get("content-type", ""))
        answers[path] = text
        if "html" in response.headers.get("content-type", ""):
            for link in re.findall(r'href="(/[^"#]*)', text):
                target = unescape(link)
                if target not in answers and target not in waiting and not target.startswith(("/static", "/desk")):
                    waiting.append(target)
    return answers


def read(content: bytes, kind: str) -> str:
    """What an answer says, as text."""
    if kind == "application/pdf":
        return "\n".join([paper.text(content), *paper.links(content)])
    return content.decode("utf-8", "replace")


@pytest.mark.usefixtures("unlimited")
def test_nothing_that_must_not_leave_is_in_any_public_answer(client: TestClient, shop: Entity) -> None:
    answers = follow(client, addresses(client, shop))
    assert any("可见之奇观" in text for text in answers.values()), "what may be seen is seen"
    assert len(answers) > 40
    report = answers[f"/entities/{shop.code}/report.pdf"]
    assert "可见之奇观" in report, "a PDF is read as well"
    assert "可见结果之奇观" in report, "what became of a report may be seen beside its penalty"
    assert any(path.startswith("/reports/") and shop.name in text for path, text in answers.items())
    told = {
        (what, path)
        for path, text in answers.items()
        for what, secret in SECRETS.items()
        if secret in unescape(unquote(text)) and secret not in unquote(path)
    }
    assert told == set()
