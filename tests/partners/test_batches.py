"""A partner's system hands in a batch, sees what is wrong, accepts it and takes it back; and nobody else can."""

import csv
import io
from datetime import timedelta

import pytest
import structlog
from fastapi.testclient import TestClient
from sqlalchemy import select

from partners import acceptance
from partners.models import Evaluation
from portal.kit import db, jobs, keys
from portal.kit.accounts import Officer
from record import evaluations, redaction
from tests import members
from tests.partners import batches
from tests.partners.batches import BATCHES, act, as_csv, see, send

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]


@pytest.fixture
def key(filled: str) -> str:
    members.add()
    members.add_scheme()
    return members.key()


def standing(code: str) -> list[dict[str, object]]:
    with db.reading() as session:
        return [dict(one.payload) for one in evaluations.of_entity(session, code)]


def test_a_batch_is_checked_then_accepted_then_stands_in_the_entities_files(client: TestClient, key: str) -> None:
    said = batches.rows(10)
    begun = send(client, key, as_csv(said))
    assert begun.status_code == 202
    batch = begun.json()["id"]
    assert begun.json() == {"id": batch, "status": "checking"}
    assert standing(said[0]["统一社会信用代码"]) == []
    jobs.drain()
    checked = see(client, key, batch)
    assert checked["status"] == "checked"
    assert checked["counts"] == {
        "rows": 10, "new": 10, "changed": 0, "unchanged": 0, "superseded": 0, "rejected": 0, "to_confirm": 0,
    }  # fmt: skip
    assert checked["rejects_url"] is None
    assert act(client, key, batch, "accept").status_code == 200
    jobs.drain()
    assert see(client, key, batch)["status"] == "accepted"
    (entry,) = client.get(
        f"/api/v1/entities/{said[3]['统一社会信用代码']}/entries", params={"kind": "evaluation"}
    ).json()["items"]
    assert entry["payload"]["grade"] == "AA"
    assert entry["payload"]["authority"] == "演示行业协会"
    assert entry["payload"]["valid_until"] == "2029-03-04"
    assert entry["payload"]["version"] == 1


def test_new_changed_unchanged_and_superseded_rows_are_counted_before_anything_is_published(
    client: TestClient, key: str
) -> None:
    one, two, three, four = batches.entities(4)
    batches.published(client, key, [batches.row(one, 1), batches.row(two, 2), batches.row(three, 3)])
    later = batches.row(three, 5, 评价日期="2026-06-01", 证书编号=members.certificate("AA", 7))
    batch = send(client, key, as_csv([
        batches.row(one, 1), batches.row(two, 2, 等级="A", 证书编号=members.certificate("A", 2)), later,
        batches.row(four, 4),
    ])).json()["id"]  # fmt: skip
    jobs.drain()
    counts = see(client, key, batch)["counts"]
    assert counts == {
        "rows": 4, "new": 2, "changed": 1, "unchanged": 1, "superseded": 1, "rejected": 0, "to_confirm": 0,
    }  # fmt: skip
    assert [one["grade"] for one in standing(two[0])] == ["AA"]
    act(client, key, batch, "accept")
    jobs.drain()
    assert [one["grade"] for one in standing(two[0])] == ["A"]
    assert [one["valid_from"] for one in standing(three[0])] == ["2026-06-01", "2026-03-05"], "the history stays"


def test_every_problem_is_told_by_row_column_sentence_and_remedy(client: TestClient, key: str) -> None:
    said = batches.rows(6)
    said[1]["等级"] = "AAAA"
    said[2]["评价日期"] = "今年"
    said[3]["统一社会信用代码"] = "91310199MA0000000X"
    said[3]["证书编号"] = "12"
    said[4]["企业名称"] = "另一家公司有限公司"
    said[5]["证书编号"] = members.certificate("AAA", 1)
    batch = send(client, key, as_csv(said)).json()["id"]
    jobs.drain()
    checked = see(client, key, batch)
    assert checked["counts"]["rejected"] == 5
    answer = client.get(checked["faults_url"], headers={"Authorization": f"Bearer {key}", "Accept-Language": "en"})
    rows = {one["row"]: one["faults"] for one in answer.json()["items"]}
    assert [fault["code"] for fault in rows["3"]] == ["grade_unknown"]
    assert rows["3"][0]["column"] == "等级"
    assert "AAAA" in rows["3"][0]["title"]
    assert "CCC" in rows["3"][0]["remedy"]
    assert [fault["code"] for fault in rows["4"]] == ["day_unreadable"]
    assert [fault["code"] for fault in rows["5"]] == ["code_invalid", "certificate_form"]
    assert [fault["code"] for fault in rows["6"]] == ["name_differs"]
    assert [fault["code"] for fault in rows["7"]] == ["certificate_grade"]
    back = client.get(checked["rejects_url"], headers={"Authorization": f"Bearer {key}"})
    assert back.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(back.content.decode("utf-8-sig"))))
    assert [line["行号"] for line in lines] == ["3", "4", "5", "6", "7"]
    assert all(line["问题与改法"] for line in lines)
    assert lines[0]["等级"] == "AAAA", "their cells as read"


def test_all_or_nothing_publishes_nothing_while_a_row_is_wrong_and_good_rows_publishes_the_rest(
    client: TestClient, key: str
) -> None:
    said = batches.rows(3)
    said[0]["等级"] = "Z"
    batch = send(client, key, as_csv(said)).json()["id"]
    jobs.drain()
    refused = act(client, key, batch, "accept")
    assert refused.status_code == 409
    assert "1" in refused.json()["title"]
    jobs.drain()
    assert standing(said[1]["统一社会信用代码"]) == []
    assert act(client, key, batch, "accept", {"rows": "good"}).status_code == 200
    jobs.drain()
    assert len(standing(said[1]["统一社会信用代码"])) == 1
    assert standing(said[0]["统一社会信用代码"]) == []


def test_a_name_without_a_code_waits_for_a_person_and_is_never_guessed(client: TestClient, key: str) -> None:
    one, two, three = batches.entities(3)
    said = [batches.row(one, 1, 统一社会信用代码=""), batches.row(two, 2, 统一社会信用代码=""), batches.row(three, 3)]
    batch = send(client, key, as_csv(said)).json()["id"]
    jobs.drain()
    checked = see(client, key, batch)
    assert checked["counts"]["to_confirm"] == 2
    assert act(client, key, batch, "accept").status_code == 409
    names = client.get(checked["names_url"], headers={"Authorization": f"Bearer {key}"}).json()["items"]
    assert [name["row"] for name in names] == ["2", "3"]
    assert names[0]["candidates"][0] == {"code": one[0], "name": one[1], "score": 1.0, "exact": True}
    wrong = act(client, key, batch, "names", {"choices": [{"place": 0, "code": "91310199MA00000000"}]})
    assert wrong.status_code == 422
    chosen = act(client, key, batch, "names", {"choices": [{"place": 0, "code": one[0]}, {"place": 1, "code": None}]})
    assert chosen.json()["counts"]["to_confirm"] == 0
    act(client, key, batch, "accept", {"rows": "good"})
    jobs.drain()
    assert standing(one[0])[0]["party_name"] == one[1]
    assert standing(two[0]) == []
    assert len(standing(three[0])) == 1


def test_the_same_idempotency_key_is_one_batch_and_another_file_under_it_is_refused(
    client: TestClient, key: str
) -> None:
    content = as_csv(batches.rows(2))
    first = send(client, key, content, **{"Idempotency-Key": "a-1"})
    again = send(client, key, content, **{"Idempotency-Key": "a-1"})
    assert again.json() == first.json()
    assert again.status_code == 202
    assert again.headers["idempotent-replayed"] == "true"
    other = send(client, key, as_csv(batches.rows(3)), **{"Idempotency-Key": "a-1"})
    assert other.status_code == 422
    mine = client.get(BATCHES, headers={"Authorization": f"Bearer {key}"}).json()["items"]
    assert len(mine) == 1


def test_a_partner_never_sees_or_touches_anothers_batches(client: TestClient, key: str) -> None:
    batch = send(client, key, as_csv(batches.rows(2))).json()["id"]
    jobs.drain()
    members.add("other-agency", type_="rating_agency", name="另一评级机构")
    other = members.key("other-agency")
    bearer = {"Authorization": f"Bearer {other}"}
    for path in ("", "/faults", "/names", "/rejects.csv", "/marked.xlsx"):
        assert client.get(f"{BATCHES}/{batch}{path}", headers=bearer).status_code == 404, path
    for what, said in (("accept", None), ("withdraw", {"reason": "不是我们的"}), ("names", {"choices": []})):
        assert act(client, other, batch, what, said).status_code == 404
    assert client.get(BATCHES, headers=bearer).json()["items"] == []
    assert send(client, other, as_csv(batches.rows(1))).status_code == 404, "nor uses its scheme"


def test_without_a_key_with_another_scope_expired_or_revoked_nothing_is_taken_and_it_is_logged(
    client: TestClient, key: str
) -> None:
    content = as_csv(batches.rows(1))
    expired = members.key(lifetime=timedelta(seconds=-1))
    unscoped = members.key(scopes=["feeds:penalties"])
    with structlog.testing.capture_logs() as logs:
        nobody = client.post(f"{BATCHES}?scheme=demo-credit", content=content, headers={"Content-Type": "text/csv"})
        assert nobody.status_code == 401
        assert send(client, unscoped, content).status_code == 403
        assert send(client, key[:-1] + ("0" if key[-1] != "0" else "1"), content).status_code == 401
        assert send(client, expired, content).json()["type"].endswith("key-ended")
        with db.writing() as session:
            keys.revoke(session, key.split("_")[1])
        assert send(client, key, content).json()["type"].endswith("key-ended")
    refused = [one["because"] for one in logs if one["event"] == "key.refused"]
    assert refused == ["key-missing", "key-scope", "key-unknown", "key-ended", "key-ended"]
    assert key.split("_")[2] not in str(logs)


def test_what_was_withdrawn_is_gone_from_the_file_and_does_not_come_back_with_the_next_batch(
    client: TestClient, key: str
) -> None:
    said = batches.rows(3)
    batch = batches.published(client, key, said)
    code = said[0]["统一社会信用代码"]
    (entry,) = client.get(f"/api/v1/entities/{code}/entries", params={"kind": "evaluation"}).json()["items"]
    bearer = {"Authorization": f"Bearer {key}"}
    one = client.post(f"/api/v1/evaluations/{entry['id']}/withdraw", json={"reason": "等级录入有误"}, headers=bearer)
    assert one.json()["status"] == "withdrawn"
    twice = client.post(f"/api/v1/evaluations/{entry['id']}/withdraw", json={"reason": "等级录入有误"}, headers=bearer)
    assert twice.status_code == 404
    jobs.drain()
    assert standing(code) == []
    again = send(client, key, as_csv(said)).json()["id"]
    jobs.drain()
    assert see(client, key, again)["counts"]["rejected"] == 1
    assert act(client, key, batch, "withdraw", {"reason": "整批数据来源有误"}).status_code == 200
    jobs.drain()
    assert see(client, key, batch)["status"] == "withdrawn"
    assert standing(said[1]["统一社会信用代码"]) == []
    changes = client.get("/api/v1/changes", params={"kind": "evaluation", "limit": 100}).json()["items"]
    assert [one["entry"] for one in changes if one["id"] == entry["id"]] == [None], "a tombstone"
    assert len([one for one in changes if one["data_set"] == "evaluation"]) == 3


def test_a_killed_acceptance_goes_on_where_it_died_and_nothing_is_published_twice(
    client: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "AT_ONCE", 3)
    said = batches.rows(10)
    batch = send(client, key, as_csv(said)).json()["id"]
    jobs.drain()
    act(client, key, batch, "accept")
    append, calls = acceptance._append, []

    def dying(*given: object) -> bool:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return append(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(acceptance, "_append", dying)
    with pytest.raises(KeyboardInterrupt):
        acceptance.publish(batch)
    assert see(client, key, batch)["progress"] == 6
    monkeypatch.setattr(acceptance, "_append", append)
    acceptance.publish(batch)
    assert see(client, key, batch)["status"] == "accepted"
    assert [len(standing(one["统一社会信用代码"])) for one in said] == [1] * 10


def test_a_file_that_is_no_table_is_refused_with_what_to_do(client: TestClient, key: str) -> None:
    bearer = {"Authorization": f"Bearer {key}"}
    at = f"{BATCHES}?scheme=demo-credit"
    assert (
        client.post(at, content=b"%PDF-1.7", headers={**bearer, "Content-Type": "application/pdf"}).status_code == 415
    )
    assert client.post(at, content=b"", headers={**bearer, "Content-Type": "text/csv"}).status_code == 422
    huge = client.post(at, content=b"a", headers={**bearer, "Content-Type": "text/csv", "Content-Length": "2147483648"})
    assert huge.status_code == 413
    batch = send(client, key, "没有表头\n只有文字\n".encode()).json()["id"]
    jobs.drain()
    refused = see(client, key, batch)
    assert refused["status"] == "refused"
    assert refused["problem"]["remedy"]


def test_what_is_redacted_in_the_ledger_is_erased_beside_it_too(client: TestClient, key: str) -> None:
    said = batches.rows(2)
    batches.published(client, key, said)
    with db.reading() as session:
        (entry,) = evaluations.of_entity(session, said[0]["统一社会信用代码"])
    clerk, reviewer = (Officer(number, "王", "市场监管局", None, frozenset(["clerk", "reviewer"])) for number in (1, 2))
    with db.writing() as session:
        number = redaction.ask(session, clerk, entry.seq, "依法应当删除该条评价").id
    with db.writing() as session:
        redaction.grant(session, reviewer, number)
    jobs.drain()
    with db.reading() as session:
        left = list(session.scalars(select(Evaluation.entity_code)))
    assert left == [said[1]["统一社会信用代码"]]
