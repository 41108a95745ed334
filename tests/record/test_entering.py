"""Records typed in at the desk: checked at the field, previewed as the public will see them, published, corrected."""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db
from record import kinds, publication, verification
from record.codes import DISTRICTS
from record.models import Entity, KindSwitch, LedgerEntry
from tests.officers import Someone, add_officer, form_token, sign_in

DEPARTMENT = "上海市黄浦区市场监督管理局"
SOURCE = f"department:{DEPARTMENT}"
PENALTY = {
    "document": "沪市监黄处〔2026〕1号", "authority": DEPARTMENT, "act": "发布奇观异想广告",
    "categories": "警告、罚款", "content": "罚款二万元，联系人手机13812341234", "fine": "2万元", "gravity": "general",
}  # fmt: skip
OTHERS = {
    "permit": {"document": "沪食许2026001", "content": "食品经营", "valid_until": "长期", "state": "valid"},
    "inspection": {"subject": "奇观异想抽查", "method": "双随机", "result": "未发现问题"},
    "abnormal_listing": {"ground": "通过登记的住所无法联系", "authority": DEPARTMENT},
    "serious_violation": {"ground": "实施虚假登记", "document": "沪列2026001"},
    "judgment_debtor": {"case_number": "（2026）沪0101执1号", "court": "黄浦区人民法院", "duty": "支付货款"},
    "commendation": {"title": "守合同重信用企业", "year": "2026", "valid_until": "2030年1月1日"},
}


@pytest.fixture
def entity(filled: str) -> Entity:
    with db.reading() as session:
        chosen = select(Entity).where(Entity.district == "310115", Entity.code.startswith("91"))
        return session.scalars(chosen.order_by(Entity.code)).first()  # type: ignore[return-value]


@pytest.fixture
def clerk(filled: str) -> Someone:
    return add_officer(department=DEPARTMENT, roles=["clerk"])


@pytest.fixture
def desk(client: TestClient, clerk: Someone) -> TestClient:
    """A client in English that follows no redirects, with a clerk signed in."""
    client.headers["Accept-Language"] = "en"
    client.follow_redirects = False
    sign_in(client, clerk)
    return client


def today(**changes: str) -> dict[str, str]:
    return {"occurred_on": publication.today().isoformat(), **changes}


def post(desk: TestClient, step: str, party: str, kind: str = "penalty", **fields: str) -> Any:
    sent = {"form_token": form_token(desk), "step": step, "party": party, **today(), **fields}
    return desk.post(f"/desk/entries/new/{kind}", data=sent)


def correct(desk: TestClient, seq: int, step: str = "publish", **fields: str) -> Any:
    sent = {"form_token": form_token(desk), "step": step, **today(), **PENALTY, "reason": "文书号录入有误。", **fields}
    return desk.post(f"/desk/entries/{seq}/edit", data=sent)


def entered(answer: Any) -> int:
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rsplit("/", 1)[1])


def rows(**wanted: Any) -> list[LedgerEntry]:
    with db.reading() as session:
        return list(session.scalars(select(LedgerEntry).filter_by(**wanted).order_by(LedgerEntry.seq)))


def acts() -> list[dict[str, Any]]:
    return [entry.payload or {} for entry in rows(kind="desk_action")]


def fault(page: str, field: str) -> str:
    found = re.search(rf'id="{field}-fault">([^<]*)<', page)
    return html.unescape(found.group(1)) if found else ""


# ---- yours ----------------------------------------------------------------------------------------------------------


def test_a_penalty_is_previewed_with_hidden_numbers_and_its_term_and_published_once(
    desk: TestClient, entity: Entity, clerk: Someone
) -> None:
    before = len(rows())
    preview = post(desk, "preview", entity.name, **PENALTY)
    assert preview.status_code == 200
    card = preview.text.split("<article")[1].split("</article>")[0]
    for shown in ("发布奇观异想广告", "20000", "138****1234", "警告、罚款", "Shown until", "Repair may be applied"):
        assert shown in card
    assert "13812341234" not in card
    assert len(rows()) == before, "a preview stores nothing"

    seq = entered(post(desk, "publish", entity.code, **PENALTY))
    assert entered(post(desk, "publish", entity.code, **PENALTY)) == seq, "sent twice, entered once"
    (entry,) = rows(source=SOURCE)
    assert (entry.seq, entry.entity_code, entry.payload["fine"]) == (seq, entity.code, "20000")  # type: ignore[index]
    assert entry.payload["reported_by"] == DEPARTMENT  # type: ignore[index]
    assert "13812341234" not in str([one.payload for one in rows()])
    (act,) = acts()
    assert (act["action"], act["about"], act["officer"]) == ("enter", entry.id, str(clerk.id))
    done = desk.get(f"/desk/entries/{seq}").text
    assert f"/entities/{entity.code}" in done
    assert f"/ledger/{seq}" in done
    public = desk.get(f"/entities/{entity.code}").text
    assert "发布奇观异想广告" in public
    assert "138****1234" in public
    assert verification.verify().holds


def test_every_kind_has_a_form_whose_entry_the_public_sees(desk: TestClient, entity: Entity) -> None:
    for kind, fields in OTHERS.items():
        page = desk.get(f"/desk/entries/new/{kind}?code={entity.code}").text
        assert f'value="{entity.code}"' in page
        assert f'value="{DEPARTMENT}"' in page, "the authority is proposed"
        assert post(desk, "preview", entity.code, kind, **fields).status_code == 200
        seq = entered(post(desk, "publish", entity.code, kind, **fields))
        headline = fields[kinds.HEADLINES[kind]]
        assert headline in desk.get(f"/entities/{entity.code}/records/{kind}").text
        assert rows(seq=seq)[0].payload[kinds.HEADLINES[kind]] == headline  # type: ignore[index]
    assert set(OTHERS) | {"penalty"} == {kind.name for kind in kinds.FED}
    flags = desk.get(f"/api/v1/entities/{entity.code}").json()["flags"]
    assert flags == ["abnormal_listing", "serious_violation", "judgment_debtor"]


def test_the_preview_says_what_the_view_will_do(desk: TestClient, entity: Entity) -> None:
    with db.writing() as session:
        session.add(KindSwitch(kind="inspection", since=date(2026, 1, 1), public_here=False, because="行业规定"))
    years_ago = publication.months_after(publication.today(), -200).isoformat()
    cases = [
        ("penalty", PENALTY, True),
        ("penalty", PENALTY | {"document": "二号", "gravity": "minor"}, False),
        ("penalty", PENALTY | {"document": "三号", "occurred_on": years_ago}, False),
        ("abnormal_listing", OTHERS["abnormal_listing"], True),
        ("inspection", OTHERS["inspection"], False),
    ]
    for kind, fields, shown in cases:
        preview = post(desk, "preview", entity.code, kind, **fields).text
        assert ("It will be kept, but not shown" not in preview) == shown, fields
        seq = entered(post(desk, "publish", entity.code, kind, **fields))
        with db.reading() as session:
            assert (publication.get(session, seq) is not None) == shown, fields
        assert ("It is published." in desk.get(f"/desk/entries/{seq}").text) == shown


def test_going_back_from_the_preview_loses_nothing(desk: TestClient, entity: Entity) -> None:
    preview = post(desk, "preview", entity.name, **PENALTY, remark="一行\n二行").text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', preview))
    assert hidden["content"] == PENALTY["content"]
    back = desk.post("/desk/entries/new/penalty", data=hidden | {"step": "change"})
    assert back.status_code == 200
    for typed in (*PENALTY.values(), "一行\n二行"):
        if typed != "general":
            assert typed in back.text
    assert re.search(r'value="general"\s+selected', back.text)


def test_two_clerks_at_once_enter_one_entry(desk: TestClient, entity: Entity) -> None:
    sent = {"form_token": form_token(desk), "step": "publish", "party": entity.code, **today(), **PENALTY}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: desk.post("/desk/entries/new/penalty", data=sent), range(4)))
    assert len({entered(answer) for answer in answers}) == 1
    assert len(rows(source=SOURCE)) == len(acts()) == 1


# ---- wrong input ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(desk: TestClient, entity: Entity) -> None:
    before = len(rows())
    for step in ("preview", "publish"):
        answer = post(
            desk, step, entity.code, **PENALTY | {"fine": "很多", "gravity": "", "valid_until": "明年", "act": "奇观<>"}
        )
        assert answer.status_code == 422
        assert "A required column is empty" in fault(answer.text, "gravity")
        assert "sum cannot be understood" in fault(answer.text, "fine")
        for typed in ("很多", "明年", "奇观&lt;&gt;", PENALTY["content"]):
            assert typed in answer.text
    nothing = post(desk, "preview", "", document="", occurred_on="", fine="很多", valid_until="明年")
    assert "sum cannot be understood" in fault(nothing.text, "fine"), "everything in one look"
    assert "No date" in fault(nothing.text, "valid_until")
    for field in ("party", "document", "occurred_on", "act", "content", "gravity"):
        assert "required" in fault(nothing.text, field), field
    soon = (publication.today() + timedelta(days=9)).isoformat()
    ahead = post(desk, "preview", entity.code, **PENALTY | {"occurred_on": soon})
    assert "The day has not come yet" in fault(ahead.text, "occurred_on")
    crossed = post(
        desk,
        "preview",
        entity.code,
        "permit",
        **OTHERS["permit"] | {"valid_from": "2026-05-01", "valid_until": "2026.4.1"},
    )
    assert "The end lies before the beginning" in fault(crossed.text, "valid_until")
    assert "credit code" in fault(
        post(desk, "preview", entity.code, **PENALTY, authority_code="12").text, "authority_code"
    )
    assert len(rows()) == before


def test_the_party_is_found_by_code_or_exact_name_and_never_guessed(desk: TestClient, entity: Entity) -> None:
    spaced = f"{entity.code[:2]} {entity.code[2:8].lower()} {entity.code[8:]}"
    for written in (spaced, f" {entity.name} "):
        assert f'name="party" value="{entity.code}"' in post(desk, "preview", written, **PENALTY).text
    assert "No entity of exactly this name" in fault(post(desk, "preview", entity.name[:-2], **PENALTY).text, "party")
    assert "No entity with this code" in fault(post(desk, "preview", "91310000000000000X", **PENALTY).text, "party")
    with db.writing() as session:
        twin = session.scalars(select(Entity).where(Entity.code != entity.code)).first()
        assert twin is not None
        twin.name, twin.name_key = entity.name, entity.name_key
    shared = fault(post(desk, "preview", entity.name, **PENALTY).text, "party")
    assert entity.code in shared
    assert twin.code in shared
    assert desk.get("/desk/entries/new/registration").status_code == 404


def test_the_same_document_in_other_words_is_a_correction(desk: TestClient, entity: Entity) -> None:
    seq = entered(post(desk, "publish", entity.code, **PENALTY))
    for step in ("preview", "publish"):
        answer = post(desk, step, entity.code, **PENALTY | {"content": "罚款五万元"})
        assert answer.status_code == 409
        assert f"/desk/entries/{seq}/edit" in answer.text
        assert "罚款五万元" in answer.text
    entered(correct(desk, seq, document="沪市监黄处〔2026〕2号"))
    late = post(desk, "publish", entity.code, **PENALTY)
    assert late.status_code == 409, "the first form again, after its correction"
    assert post(desk, "publish", entity.code, **PENALTY | {"document": "沪市监黄处〔2026〕2号"}).status_code == 409
    assert len(rows(source=SOURCE)) == 2


# ---- not yours ------------------------------------------------------------------------------------------------------


def test_who_may_not_enter_leaves_no_trace(client: TestClient, entity: Entity, clerk: Someone) -> None:
    client.follow_redirects = False
    before = len(rows())
    assert client.post("/desk/entries/new/penalty", data={"step": "publish"} | PENALTY).status_code == 303
    sign_in(client, add_officer("admin", department=DEPARTMENT, roles=["administrator"]))
    assert client.get("/desk/entries").status_code == 403
    assert post(client, "publish", entity.code, **PENALTY).status_code == 403
    client.cookies.clear()
    sign_in(client, add_officer("far.away", department=DEPARTMENT, district="310101"))
    client.headers["Accept-Language"] = "en"
    refused = post(client, "publish", entity.code, **PENALTY)
    assert refused.status_code == 403
    assert "another district" in fault(refused.text, "party")
    assert PENALTY["content"] in refused.text
    assert entity.district in DISTRICTS
    assert len(rows()) == before


def test_only_the_department_that_entered_it_corrects_it(desk: TestClient, entity: Entity) -> None:
    seq = entered(post(desk, "publish", entity.code, **PENALTY))
    desk.cookies.clear()
    sign_in(desk, add_officer("other", department="应急管理局", roles=["clerk", "reviewer"]))
    for path in (f"/desk/entries/{seq}", f"/desk/entries/{seq}/edit", "/desk/entries/999999"):
        assert desk.get(path).status_code == 404
    assert correct(desk, seq).status_code == 404
    assert f"/desk/entries/{seq}/edit" not in desk.get(f"/desk/record?code={entity.code}").text
    desk.cookies.clear()
    sign_in(desk, add_officer("far.away", department=DEPARTMENT, district="310101"))
    assert correct(desk, seq).status_code == 403
    assert len(rows(source=SOURCE)) == 1


# ---- corrections ----------------------------------------------------------------------------------------------------


def test_a_correction_is_prefilled_supersedes_the_same_fact_and_keeps_its_reason(
    desk: TestClient, entity: Entity
) -> None:
    seq = entered(post(desk, "publish", entity.code, **PENALTY))
    assert f"/desk/entries/{seq}/edit" in desk.get(f"/desk/record?code={entity.code}").text
    form = desk.get(f"/desk/entries/{seq}/edit").text
    for typed in ("警告、罚款", "20000", PENALTY["document"], "138****1234"):
        assert typed in form
    assert "required" in fault(correct(desk, seq, reason="错").text, "reason")
    changed = {"document": "沪市监黄处〔2026〕9号", "fine": "30000", "reason": "文书号有误，电话13812341234。"}
    assert correct(desk, seq, "preview", **changed).status_code == 200
    new = entered(correct(desk, seq, **changed))
    assert entered(correct(desk, seq, **changed)) == new, "sent twice, corrected once"
    old, current = rows(source=SOURCE)
    assert (current.seq, current.supersedes, old.superseded_by) == (new, seq, new)
    assert (current.source_ref, current.entity_code) == (old.source_ref, old.entity_code)
    assert [act["action"] for act in acts()] == ["enter", "correct"]
    assert acts()[1]["reason"] == "文书号有误，电话138****1234。"
    public = desk.get(f"/entities/{entity.code}").text
    assert "30000" in public
    assert "〔2026〕1号" not in public
    assert desk.get(f"/desk/entries/{seq}/edit").headers["location"] == f"/desk/entries/{new}/edit"
    late = correct(desk, seq, fine="40000")
    assert late.status_code == 409, "somebody corrected it meanwhile"
    assert "40000" in late.text
    assert verification.verify().holds


def test_what_was_withdrawn_is_not_shown_again_by_a_correction(desk: TestClient, entity: Entity) -> None:
    seq = entered(post(desk, "publish", entity.code, **PENALTY))
    with db.writing() as session:
        publication.withdraw(session, [seq], "annulled")
    assert desk.get(f"/desk/entries/{seq}/edit").status_code == 404
    assert correct(desk, seq, fine="30000").status_code == 404
    assert entered(post(desk, "publish", entity.code, **PENALTY)) == seq
    assert "not shown to the public" in desk.get(f"/desk/entries/{seq}").text
    assert "奇观异想" not in desk.get(f"/entities/{entity.code}").text


def test_a_department_with_a_very_long_name_has_a_source_of_its_own(client: TestClient, entity: Entity) -> None:
    client.follow_redirects = False
    for number, letter in enumerate("甲乙"):
        sign_in(client, add_officer(f"long.{number}", department="上海市市场监督管理局执法总队" * 6 + letter))
        entered(post(client, "publish", entity.code, **PENALTY | {"authority": "市局"}))
        client.cookies.clear()
    sources = {entry.source for entry in rows(kind="penalty", entity_code=entity.code) if entry.source != "demo"}
    assert len([source for source in sources if source.startswith("department:")]) == 2
