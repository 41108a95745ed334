"""The supervision record as the public meets it: the entity's file, lists, the API, changes and proofs."""

import base64
import csv
import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db, jobs, keys
from record import browsing, codes, feeds, ledger, merkle, publication
from record.codes import made_up
from record.ledger import Fact
from record.models import Entity, LedgerEntry, Unmatched
from search import engine, index
from search.engine import Filters
from tests.officers import add_officer, form_token, sign_in

AUTHORITY = "上海市黄浦区市场监督管理局"


@pytest.fixture
def entity(filled: str) -> Entity:
    """An entity of a small indexed portal, on no list."""
    with db.reading() as session:
        return session.scalars(select(Entity).where(Entity.district == "310115").order_by(Entity.code)).first()  # type: ignore[return-value]


def fact(entity: Entity, kind: str, number: int, day: date, **said: Any) -> Fact:
    payload = {"party_name": entity.name, "document": f"沪监〔2026〕{number}号", "authority": AUTHORITY} | said
    return publication.with_term(Fact(kind, "test", f"{number}|{entity.code}", payload, entity.code, day.isoformat()))


def penalty(entity: Entity, number: int = 1, act: str = "发布奇观异想广告") -> Fact:
    day = publication.today() - timedelta(days=5)
    return fact(entity, "penalty", number, day, act=act, content="罚款", gravity="general", fine="20000.00")


def store(*facts: Fact) -> ledger.Appended:
    with db.writing() as session:
        parties = [feeds.Party(one, one.payload["party_name"], ledger.seal(one)[1:]) for one in facts]
        return feeds.store(session, parties)[0]


def withdraw(seq: int) -> None:
    with db.writing() as session:
        publication.withdraw(session, [seq], "repaired")


def test_a_penalty_stands_in_the_file_with_its_terms_their_law_and_its_proof(
    client: TestClient, entity: Entity
) -> None:
    (seq,) = store(penalty(entity)).seqs
    page = client.get(f"/entities/{entity.code}?lang=en").text
    for shown in ("发布奇观异想广告", "20000.00", AUTHORITY, "Shown until", "Repair may be applied for from", "第36号"):
        assert shown in page
    assert f"/ledger/{seq}" in page
    proof = client.get(f"/ledger/{seq}").text
    assert client.get("/api/v1/ledger/head").json()["root"] in proof
    file = client.get(f"/api/v1/entities/{entity.code}").json()
    newest = file["record"]["penalty"]["newest"][0]
    assert newest["payload"]["act"] == "发布奇观异想广告"
    assert newest["repair_from"] == publication.months_after(date.fromisoformat(newest["occurred_on"]), 3).isoformat()


def test_a_repaired_penalty_is_gone_from_every_way_out_and_leaves_a_tombstone(
    client: TestClient, entity: Entity
) -> None:
    (seq,) = store(penalty(entity)).seqs
    ways = (
        f"/entities/{entity.code}",
        f"/entities/{entity.code}/records/penalty",
        "/records/penalty",
        f"/entities/{entity.code}/feed.atom",
        f"/api/v1/entities/{entity.code}",
        f"/api/v1/entities/{entity.code}/entries?kind=penalty",
        "/api/v1/changes?after=0&limit=1000",
    )
    before = seq - 1
    ways = (*ways[:-1], f"/api/v1/changes?after={before}")
    assert all("奇观异想" in client.get(way).text for way in ways)
    withdraw(seq)
    assert not any("奇观异想" in client.get(way).text for way in ways)
    original, tombstone = client.get(ways[-1]).json()["items"]
    assert (original["seq"], original["entry"], original["withdrawn"]) == (seq, None, None)
    assert (tombstone["kind"], tombstone["withdrawn"], tombstone["data_set"]) == (
        "withdrawal",
        original["id"],
        "penalty",
    )
    assert "repaired" not in json.dumps(tombstone), "why is nobody's business"


def test_a_file_can_be_followed_as_an_atom_feed(client: TestClient, entity: Entity) -> None:
    store(penalty(entity, act="发布<虚假>广告 & 其他"))
    answer = client.get(f"/entities/{entity.code}/feed.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = ElementTree.fromstring(answer.content)
    atom = {"a": "http://www.w3.org/2005/Atom"}
    assert feed.findtext("a:title", namespaces=atom) == entity.name
    newest = feed.find("a:entry", atom)
    assert newest is not None
    assert "发布<虚假>广告 & 其他" in (newest.findtext("a:title", namespaces=atom) or "")
    assert (newest.findtext("a:id", namespaces=atom) or "").startswith("urn:uuid:")


def test_a_listing_sets_the_flag_that_search_filters_by_and_its_end_lifts_it(
    client: TestClient, entity: Entity
) -> None:
    listing = fact(entity, "serious_violation", 1, publication.today() - timedelta(days=40), ground="实施虚假登记")
    (seq,) = store(listing).seqs
    index.jobs.drain()

    def listed() -> list[str]:
        found = engine.current().search(entity.name, Filters(listed="serious_violation"), limit=5)
        return [hit.code for hit in found.hits]

    assert listed() == [entity.code]
    assert entity.name in client.get("/lists/serious_violation").text
    withdraw(seq)
    index.jobs.drain()
    assert listed() == []
    assert entity.name not in client.get("/lists/serious_violation").text
    assert client.get(f"/api/v1/entities/{entity.code}").json()["flags"] == []


def test_what_is_not_the_publics_is_on_no_way_out(client: TestClient, entity: Entity) -> None:
    hidden = penalty(entity, 1)._replace(visibility="internal")
    minor = publication.with_term(
        penalty(entity, 2)._replace(payload=penalty(entity, 2).payload | {"gravity": "minor"})
    )
    nobody = penalty(entity, 3)._replace(entity_code=None)
    first = store(hidden, minor, nobody).seqs[0]
    for way in (f"/entities/{entity.code}", "/records/penalty", f"/api/v1/changes?after={first - 1}"):
        assert "奇观异想" not in client.get(way).text


def test_lists_are_filtered_by_district_and_day_and_walked_without_gap_or_repetition(
    client: TestClient, entity: Entity
) -> None:
    today = publication.today()
    facts = [
        fact(
            entity,
            "inspection",
            number,
            today - timedelta(days=number // 3),
            subject=f"奇观异想第{number}项",
            result="合格",
        )
        for number in range(45)
    ]
    store(*facts)
    found: list[str] = []
    url: str | None = f"/records/inspection?district=310115&since={today - timedelta(days=30)}"
    while url:
        page = client.get(url).text.split('class="hits"', 1)[1]
        found += [line.split("项")[0] for line in page.split("奇观异想第")[1:]]
        more = page.split('rel="next" href="')
        url = more[1].split('"')[0].replace("&amp;", "&") if len(more) > 1 else None
    assert sorted(found, key=int) == [str(number) for number in range(45)]
    for elsewhere in ("district=310101", f"until={today - timedelta(days=60)}"):
        listed = client.get(f"/records/inspection?{elsewhere}").text.partition('class="hits"')[2]
        assert "奇观异想" not in listed


def test_a_list_says_exactly_how_many_there_are_or_that_there_are_more(
    client: TestClient, entity: Entity, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = publication.today()
    store(*(fact(entity, "inspection", number, today, result="通过") for number in range(5)))
    elsewhere = next(code for code in codes.DISTRICTS if code != entity.district)
    client.headers["Accept-Language"] = "en"

    def said(query: str = "") -> str:
        return client.get(f"/records/inspection{query}").text.split('class="lead"', 1)[1].split("</p>", 1)[0]

    whole = int(said().split("published", 1)[0].strip("> \n"))
    assert whole >= 5
    here = int(said(f"?district={entity.district}").split("published", 1)[0].strip("> \n"))
    assert said(f"?district={elsewhere}&since={today}").split(" ", 1)[0] != "At"
    monkeypatch.setattr(browsing, "COUNTED", 4)
    assert "At least 4 published entries" in said()
    assert "At least 4 published entries" in said(f"?district={entity.district}")
    assert here >= 4
    assert not said(f"?district={elsewhere}&since={today}").strip("> \n")


def test_lists_are_filtered_by_authority_and_type_of_act_and_offer_only_what_is_shown(
    client: TestClient, entity: Entity
) -> None:
    today = publication.today()
    said = {"content": "罚款", "gravity": "general"}
    acts = ["奇观异想甲", "奇观异想乙", "奇观异想丙"]
    facts = [fact(entity, "penalty", number, today, act=act, **said) for number, act in enumerate(acts)]
    facts[1] = facts[1]._replace(payload=facts[1].payload | {"authority": "上海市虚构区应急管理局"})
    seqs = store(*facts).seqs
    listed = client.get("/records/penalty?act=奇观异想甲").text.split('class="hits"', 1)[1]
    assert ("奇观异想甲" in listed, "奇观异想乙" in listed) == (True, False)
    listed = client.get("/records/penalty?authority=上海市虚构区应急管理局").text.split('class="hits"', 1)[1]
    assert ("奇观异想甲" in listed, "奇观异想乙" in listed) == (False, True)
    withdraw(seqs[2])
    page = client.get("/records/penalty").text
    assert '<option value="奇观异想甲">' in page
    assert "奇观异想丙" not in page


def test_a_kind_that_may_not_be_shown_here_is_gone_everywhere_until_it_may(client: TestClient, entity: Entity) -> None:
    listing = fact(entity, "judgment_debtor", 1, publication.today(), court="奇观异想法院", case_number="奇观异想执1号")
    store(listing)
    sign_in(client, add_officer(roles=["administrator"]))
    for public_here, there in (("no", False), ("yes", True)):
        form = {
            "form_token": form_token(client), "kind": "judgment_debtor", "since": publication.today().isoformat(),
            "public_here": public_here, "because": "国办发〔2025〕22号",
        }  # fmt: skip
        assert client.post("/desk/kinds", data=form, follow_redirects=False).status_code == 303
        jobs.drain()
        for path in (
            f"/entities/{entity.code}",
            "/lists/judgment_debtor",
            "/api/v1/changes?limit=1000",
            f"/entities/{entity.code}/feed.atom",
        ):
            assert ("奇观异想" in client.get(path).text) == there, path
        assert (client.get(f"/api/v1/entities/{entity.code}").json()["flags"] == ["judgment_debtor"]) == there


def test_all_of_one_kind_is_paged_in_the_api_and_on_the_page(client: TestClient, entity: Entity) -> None:
    today = publication.today()
    store(*(fact(entity, "inspection", number, today, subject=f"第{number}项", result="合格") for number in range(25)))
    first = client.get(f"/api/v1/entities/{entity.code}/entries?kind=inspection&limit=20").json()
    rest = client.get(f"/api/v1/entities/{entity.code}/entries?kind=inspection&limit=20&cursor={first['next']}").json()
    seqs = [item["seq"] for item in first["items"] + rest["items"]]
    assert seqs == sorted(set(seqs), reverse=True)
    assert len(seqs) == first["total"] >= 25
    page = client.get(f"/entities/{entity.code}/records/inspection").text
    assert 'rel="next"' in page


def test_changes_can_be_followed_as_lines_from_any_place(client: TestClient, entity: Entity) -> None:
    store(*(penalty(entity, number) for number in range(3)))
    size = client.get("/api/v1/ledger/head").json()["size"]
    found: list[int] = []
    after = -1
    while True:
        answer = client.get(f"/api/v1/changes?after={after}&limit=50", headers={"Accept": "application/x-ndjson"})
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        found += [json.loads(line)["seq"] for line in answer.text.splitlines()]
        if "link" not in answer.headers:
            break
        after = int(answer.headers["link"].split("after=")[1].split(">")[0])
    assert found == sorted(set(found))
    assert found[-1] == size - 1


def test_heads_are_signed_and_proofs_hold_for_whoever_computes_them(client: TestClient, entity: Entity) -> None:
    (seq,) = store(penalty(entity)).seqs
    old = client.get("/api/v1/ledger/head").json()
    store(penalty(entity, 2), penalty(entity, 3))
    new = client.get("/api/v1/ledger/head").json()
    for head in (old, new):
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(head["public_key"]))
        key.verify(base64.b64decode(head["signature"]), head["checkpoint"].encode())
        assert head["checkpoint"].splitlines()[1:] == [
            str(head["size"]), base64.b64encode(bytes.fromhex(head["root"])).decode(),
        ]  # fmt: skip
    proof = client.get(f"/api/v1/ledger/inclusion?seq={seq}&size={new['size']}").json()
    path = [bytes.fromhex(step) for step in proof["path"]]
    assert merkle.includes(bytes.fromhex(proof["leaf_hash"]), seq, new["size"], path, bytes.fromhex(new["root"]))
    grown = client.get(f"/api/v1/ledger/consistency?first={old['size']}&second={new['size']}").json()
    steps = [bytes.fromhex(step) for step in grown["path"]]
    assert merkle.extends(old["size"], bytes.fromhex(old["root"]), new["size"], bytes.fromhex(new["root"]), steps)
    for wrong in (
        "inclusion?seq=9999999&size=99999999",
        "inclusion?seq=5&size=2",
        "consistency?first=9&second=2",
        "head?size=99999999",
    ):
        assert client.get(f"/api/v1/ledger/{wrong}").status_code == 422


def test_what_came_before_its_entity_is_joined_when_it_arrives(client: TestClient, entity: Entity) -> None:
    coming = Entity(code=made_up("91", random.Random(99)), name="上海未到先闻科技有限公司", district="310115")
    listing = fact(coming, "serious_violation", 1, publication.today() - timedelta(days=9), ground="实施虚假登记")
    by_name = feeds.Party(penalty(coming, 2)._replace(entity_code=None), coming.name, None)
    with db.writing() as session:
        _, unmatched = feeds.store(session, [feeds.Party(listing, coming.name, ledger.seal(listing)[1:]), by_name])
    assert unmatched == 2
    with db.writing() as session:
        session.add(
            Entity(
                code=coming.code, name=coming.name, name_key=coming.name, district="310115", type="limited_company",
                flags=[], source="registry", changed_at=db.now(),
            )
        )  # fmt: skip
        index.jobs.after_commit(session, "entity.changed", [coming.code])
    index.jobs.drain()
    file = client.get(f"/api/v1/entities/{coming.code}").json()
    assert file["flags"] == ["serious_violation"]
    assert set(file["record"]) == {"serious_violation", "penalty"}
    with db.reading() as session:
        assert session.scalars(select(Unmatched)).all() == []
        joined = session.scalars(select(LedgerEntry).where(LedgerEntry.entity_code == coming.code)).all()
    assert len(joined) == 2


# ---- from a department's own system ---------------------------------------------------------------------------------


def key_for(*scopes: str) -> dict[str, str]:
    with db.writing() as session:
        _, text = keys.create(session, owner_kind="department", owner_id="huangpu", scopes=list(scopes))
    return {"Authorization": f"Bearer {text}"}


def item(entity: Entity, number: int, **cells: str) -> dict[str, str]:
    return {
        "CF_XDR_MC": entity.name, "CF_XDR_SHXYM": entity.code, "CF_WSH": f"沪市监罚〔2026〕{number}号",
        "CF_WFXW": "发布奇观异想广告", "CF_CFLB": "罚款", "CF_NR": "罚款人民币贰万元整", "CF_NR_FK": "2",
        "CF_JDRQ": publication.today().isoformat(), "CF_CFJG": AUTHORITY, "CF_XDR_LB": "法人及非法人组织",
        "CF_FRDB": "张三丰", "CF_FR_ZJHM": "310101199001011234", **cells,
    }  # fmt: skip


def test_a_departments_system_sends_rows_with_its_key_and_is_told_of_each_that_is_refused(
    client: TestClient, entity: Entity
) -> None:
    headers = key_for("feeds:penalties")
    sent = {"items": [item(entity, 1), item(entity, 2, CF_JDRQ="昨天"), item(entity, 3)]}
    first = client.post("/api/v1/feeds/penalties", json=sent, headers=headers)
    assert first.status_code == 200
    answer = first.json()
    assert (answer["rows"], answer["added"], answer["rejected"]) == (3, 2, 1)
    assert answer["refused"][0]["index"] == 1
    again = client.post("/api/v1/feeds/penalties", json=sent, headers=headers).json()
    assert (again["added"], again["unchanged"]) == (0, 2)
    file = client.get(f"/api/v1/entities/{entity.code}").text
    assert "发布奇观异想广告" in file
    assert "20000" in file
    for private in ("张三丰", "310101199001011234"):
        for way in (f"/entities/{entity.code}", f"/api/v1/entities/{entity.code}", "/api/v1/changes?limit=1000"):
            assert private not in client.get(way).text


def test_a_delivery_under_an_idempotency_key_is_taken_once(client: TestClient, entity: Entity) -> None:
    headers = key_for("feeds:*") | {"Idempotency-Key": "delivery-1"}
    sent = {"items": [item(entity, 1)]}
    first = client.post("/api/v1/feeds/penalties", json=sent, headers=headers)
    again = client.post("/api/v1/feeds/penalties", json=sent, headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post("/api/v1/feeds/penalties", json={"items": [item(entity, 2)]}, headers=headers)
    assert other.status_code == 422


def test_without_the_right_key_or_columns_nothing_is_taken(client: TestClient, entity: Entity) -> None:
    sent = {"items": [item(entity, 1)]}
    size = client.get("/api/v1/ledger/head").json()["size"]
    assert client.post("/api/v1/feeds/penalties", json=sent).status_code == 401
    assert client.post("/api/v1/feeds/penalties", json=sent, headers=key_for("feeds:permits")).status_code == 403
    senseless = {"items": [{"天气": "晴"}]}
    assert client.post("/api/v1/feeds/penalties", json=senseless, headers=key_for("feeds:*")).status_code == 422
    many = {"items": [item(entity, number) for number in range(1_001)]}
    assert client.post("/api/v1/feeds/penalties", json=many, headers=key_for("feeds:*")).status_code == 422
    assert client.get("/api/v1/ledger/head").json()["size"] == size


def test_a_file_of_penalties_goes_in_and_bad_rows_come_back_without_anybodys_number(
    client: TestClient, entity: Entity, tmp_path: Path
) -> None:
    rows = [item(entity, 1), item(entity, 2, CF_JDRQ="昨天"), item(entity, 3)]
    path = tmp_path / "penalties.csv"
    with path.open("w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows([rows[0].keys(), *(row.values() for row in rows)])
    summary = feeds.import_file("penalty", path)
    assert (summary.rows, summary.added, summary.rejected, summary.unmatched) == (3, 2, 1, 0)
    rejects = Path(summary.rejects or "").read_text("utf-8-sig")
    assert "310101199001011234" not in rejects
    assert "昨天" in rejects
    assert feeds.import_file("penalty", path).unchanged == 2
    assert "发布奇观异想广告" in client.get(f"/entities/{entity.code}").text
