"""Deliveries at the desk: what was refused, files handed in by officers, and entries whose party is not known yet."""

import csv
import io
import random
import signal
import subprocess
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from portal.kit import db, jobs, keys, storage
from portal.kit.settings import get_settings
from record import feeds, publication, uploads
from record.codes import made_up
from record.models import Entity, FeedImport, LedgerEntry, Unmatched
from tests.conftest import use_settings
from tests.officers import Someone, add_officer, form_token, sign_in

DEPARTMENT = "上海市黄浦区市场监督管理局"
SOURCE = f"department:{DEPARTMENT}"
HEADER = (
    "行政相对人名称",
    "统一社会信用代码",
    "处罚决定书文号",
    "违法行为类型",
    "处罚内容",
    "处罚决定日期",
    "法定代表人",
)


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


def switch_to(client: TestClient, login: str, **who: Any) -> Someone:
    client.cookies.clear()
    officer = add_officer(login, **{"department": DEPARTMENT, **who})
    sign_in(client, officer)
    return officer


def row(name: str, code: str, number: int, day: str = "") -> list[str]:
    decided_on = day or publication.today().isoformat()
    return [name, code, f"沪监罚〔2026〕{number}号", "发布奇观异想广告", "罚款", decided_on, "张三丰"]


def table(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    return text.getvalue().encode()


def hand_in(client: TestClient, content: bytes, name: str = "penalties.csv", kind: str = "penalty") -> Any:
    sent = {"form_token": form_token(client), "kind": kind}
    return client.post("/desk/imports/new", data=sent, files={"file": (name, content)})


def number_of(answer: Any) -> int:
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rsplit("/", 1)[1])


def delivery(number: int) -> FeedImport:
    with db.reading() as session:
        return session.get_one(FeedImport, number)


def count(model: type[Any]) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def acts(action: str) -> list[dict[str, Any]]:
    with db.reading() as session:
        kept = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "desk_action").order_by(LedgerEntry.seq))
        return [entry.payload for entry in kept if entry.payload and entry.payload["action"] == action]


def following(page: str, path: str) -> str | None:
    """The address of a list's next page."""
    query = page.partition('rel="next" href="')[2].partition('"')[0]
    return path + query if query else None


def stored() -> list[Path]:
    return sorted((get_settings().data_dir / "files" / "imports").glob("*"))


# ---- deliveries -----------------------------------------------------------------------------------------------------


def test_what_a_system_sent_and_was_refused_stays_on_the_deliverys_page_without_its_content(
    desk: TestClient, entity: Entity
) -> None:
    with db.writing() as session:
        _, key = keys.create(session, owner_kind="department", owner_id="huangpu", scopes=["feeds:*"])
    items = [dict(zip(HEADER, row(entity.name, entity.code, 1), strict=True))]
    items += [dict(zip(HEADER, row(entity.name, entity.code, n, "昨天奇观"), strict=True)) for n in range(2, 250)]
    sent = desk.post("/api/v1/feeds/penalties", json={"items": items}, headers={"Authorization": f"Bearer {key}"})
    assert (sent.json()["added"], sent.json()["rejected"], len(sent.json()["refused"])) == (1, 248, 248)
    with db.reading() as session:
        record = session.scalars(select(FeedImport).order_by(FeedImport.id.desc())).first()
    assert record is not None
    assert record.refused == [[n, "date_wrong"] for n in range(1, 201)]
    page = desk.get(f"/desk/imports/{record.id}").text
    assert "No date; write 2026-03-05" in page
    assert "The first 200 are listed." in page
    assert "昨天奇观" not in page
    assert f"/desk/imports/{record.id}" in desk.get("/desk/imports").text
    assert desk.get("/desk/imports/999999").status_code == 404


def test_the_list_of_deliveries_is_walked_without_gap_or_repetition(desk: TestClient) -> None:
    before = count(FeedImport)
    with db.writing() as session:
        session.add_all(
            FeedImport(kind="permit", source="test", file_name=f"{n}.csv", sha256="0" * 64, started_at=db.now())
            for n in range(120)
        )
    found: list[str] = []
    url: str | None = "/desk/imports"
    while url:
        page = desk.get(url).text
        found += [part.split('"')[0] for part in page.split('<a href="/desk/imports/')[1:]]
        url = following(page, "/desk/imports")
    numbers = [int(number) for number in found if number.isdigit()]
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) == before + 120


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_by_a_job_and_its_bad_rows_come_back_to_whoever_handed_it_in(
    desk: TestClient, entity: Entity, clerk: Someone
) -> None:
    rows = [row(entity.name, entity.code, 1), row(entity.name, entity.code, 2, "昨天"), row(entity.name, "", 3)]
    number = number_of(hand_in(desk, table(rows)))
    (kept,) = stored()
    assert (get_settings().data_dir / "files").stat().st_mode & 0o077 == 0
    assert "penalties" not in kept.name
    assert "Being read" in desk.get(f"/desk/imports/{number}").text
    assert "奇观异想" not in desk.get(f"/entities/{entity.code}").text
    assert jobs.drain()
    record = delivery(number)
    assert (record.source, record.rows, record.added, record.rejected) == (SOURCE, 3, 2, 1)
    page = desk.get(f"/desk/imports/{number}").text
    for shown in ("Done", "penalties.csv", "No date; write 2026-03-05", f"/desk/imports/{number}/rejects.csv"):
        assert shown in page
    assert "奇观异想" in desk.get(f"/entities/{entity.code}").text
    rejects = desk.get(f"/desk/imports/{number}/rejects.csv")
    assert rejects.headers["content-disposition"].startswith("attachment")
    assert "昨天" in rejects.text
    assert "张三丰" not in rejects.text
    assert not kept.exists(), "the file itself is forgotten"
    (act,) = acts("upload")
    assert (act["about"], act["officer"], act["details"]["sha256"]) == (str(number), str(clerk.id), record.sha256)

    again = number_of(hand_in(desk, table(rows)))
    assert jobs.drain()
    assert (delivery(again).added, delivery(again).unchanged) == (0, 2)
    switch_to(desk, "colleague")
    assert desk.get(f"/desk/imports/{number}").status_code == 200
    assert "rejects.csv" not in desk.get(f"/desk/imports/{number}").text
    assert desk.get(f"/desk/imports/{number}/rejects.csv").status_code == 404


def test_a_file_that_one_host_took_is_read_by_another_also_after_that_was_killed(
    desk: TestClient,
    entity: Entity,
    s3: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_settings(monkeypatch, storage_url=s3)
    monkeypatch.setattr(feeds, "ROWS_AT_ONCE", {"sqlite": 2, "postgresql": 2})
    rows = [row(entity.name, entity.code, n, "昨天" if n % 2 else "2026-03-05") for n in range(8)]
    number = number_of(hand_in(desk, table(rows)))
    stores = feeds._store_piece
    seen: list[object] = []

    def dies(*given: Any) -> None:
        seen.append(given)
        if len(seen) == 3:
            raise KeyboardInterrupt
        stores(*given)

    with monkeypatch.context() as patch:
        patch.setattr(feeds, "_store_piece", dies)
        with pytest.raises(KeyboardInterrupt):
            uploads.read(number)
    assert 0 < delivery(number).rows < 8
    uploads.read(number)
    record = delivery(number)
    assert (record.rows, record.added, record.rejected) == (8, 4, 4)
    assert desk.get(f"/desk/imports/{number}/rejects.csv").text.count("昨天") == 4
    assert list(storage.keys("imports")) == [f"imports/{record.stored_as}.rejects.csv"]
    assert not stored()


def test_rejects_are_forgotten_after_a_month(desk: TestClient, entity: Entity, clerk: Someone) -> None:
    number = number_of(hand_in(desk, table([row(entity.name, entity.code, 1, "昨天")])))
    assert jobs.drain()
    unread = number_of(hand_in(desk, table([row(entity.name, entity.code, 2)])))
    assert uploads.purge() == 0
    with time_machine.travel(time.time() + timedelta(days=31).total_seconds(), tick=False):
        assert uploads.purge() == 2
        assert stored() == []
        sign_in(desk, clerk)
        assert desk.get(f"/desk/imports/{number}/rejects.csv").status_code == 404
        assert "Refused rows as CSV" not in desk.get(f"/desk/imports/{number}").text
        assert "could not be read for a month" in desk.get(f"/desk/imports/{unread}").text


def test_what_cannot_be_read_is_refused_at_the_form_or_on_the_deliverys_page(desk: TestClient, entity: Entity) -> None:
    size = count(FeedImport)
    for name, content, status in (
        ("rows.pdf", b"%PDF", 422),
        ("rows.csv.gz", b"\x1f\x8b", 422),
        ("rows.csv", b"", 422),
        ("rows.csv", b"x" * (uploads.MAX_BYTES + 1), 413),
    ):
        assert hand_in(desk, content, name).status_code == status, name
    assert hand_in(desk, b"x" * (uploads.MAX_BYTES + 50_000), "rows.csv").status_code == 413
    assert hand_in(desk, table([]), kind="registration").status_code == 422
    sent = {"form_token": form_token(desk), "kind": "penalty", "file": "no file"}
    assert desk.post("/desk/imports/new", data=sent).status_code == 422
    assert (count(FeedImport), stored(), acts("upload")) == (size, [], [])

    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * 2**20)
        for part in range(1100):
            archive.filelist.append(archive.filelist[0]) if part else None
    for name, content, said in (
        ("bomb.xlsx", bomb.getvalue(), "unpacks to more than can be read"),
        ("broken.xlsx", b"PK no", "is damaged"),
        ("weather.csv", "天气,温度\n晴,30\n".encode(), "lack columns"),
    ):
        number = number_of(hand_in(desk, content, name))
        assert jobs.drain()
        page = desk.get(f"/desk/imports/{number}").text
        assert "Could not be read" in page
        assert said in page, name
    assert stored() == []


def test_who_may_not_hand_in_leaves_nothing(client: TestClient, entity: Entity) -> None:
    client.follow_redirects = False
    nobody = client.post("/desk/imports/new", data={"kind": "penalty"}, files={"file": ("a.csv", b"x" * 100_000)})
    assert nobody.status_code == 303
    switch_to(client, "admin", roles=["administrator"])
    assert hand_in(client, table([])).status_code == 403
    assert client.get("/desk/imports").status_code == 200
    assert client.get("/desk/unmatched").status_code == 403
    forged = client.post("/desk/imports/new", data={"kind": "penalty"}, files={"file": ("a.csv", table([]))})
    assert forged.status_code == 403
    assert stored() == []


def test_an_officer_of_a_district_hands_in_what_is_about_its_entities_alone(desk: TestClient, entity: Entity) -> None:
    with db.reading() as session:
        other = session.scalars(select(Entity).where(Entity.district == "310101")).first()
    assert other is not None
    switch_to(desk, "pudong", district="310115")
    rows = [
        row(entity.name, entity.code, 1),
        row(other.name, other.code, 2),
        row("上海查无此家有限公司", "", 3),
        row(entity.name, "", 4),
        row(entity.name, entity.code, 5, "昨天"),
    ]
    number = number_of(hand_in(desk, table(rows)))
    assert jobs.drain()
    record = delivery(number)
    assert (record.rows, record.added, record.rejected, record.unmatched) == (5, 2, 3, 0)
    assert record.refused == [[1, "district_other"], [2, "district_other"], [4, "date_wrong"]]
    assert "奇观异想" not in desk.get(f"/entities/{other.code}").text
    assert other.name in desk.get(f"/desk/imports/{number}/rejects.csv").text


def test_a_file_whose_reading_is_killed_is_gone_on_with_and_counted_exactly(desk: TestClient, entity: Entity) -> None:
    rows = [row(entity.name, entity.code, n, "" if n % 10 else "昨天") for n in range(6_000)]
    number = number_of(hand_in(desk, table(rows)))
    reading = subprocess.Popen([sys.executable, "-c", f"from record import uploads; uploads.read({number})"])
    try:
        deadline = time.monotonic() + 60
        while not delivery(number).rows and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        reading.send_signal(signal.SIGKILL)
        reading.wait()
    half = delivery(number)
    assert 0 < half.rows < 6_000
    assert half.finished_at is None
    assert jobs.drain()
    record = delivery(number)
    assert record.finished_at is not None
    assert (record.rows, record.added, record.rejected, record.unchanged) == (6_000, 5_400, 600, 0)
    assert len(desk.get(f"/desk/imports/{number}/rejects.csv").text.splitlines()) == 601


# ---- whose party is not known ---------------------------------------------------------------------------------------


@pytest.fixture
def shared(entity: Entity) -> tuple[str, str]:
    """Codes of two entities of one name: in Pudong and in Huangpu."""
    with db.writing() as session:
        here = session.get_one(Entity, entity.code)
        twin = session.scalars(select(Entity).where(Entity.district == "310101")).first()
        assert twin is not None
        twin.name, twin.name_key = here.name, here.name_key
    return entity.code, twin.code


def wait_for_party(*rows: list[str]) -> list[int]:
    """The numbers under which rows wait."""
    items = [dict(zip(HEADER, cells, strict=True)) for cells in rows]
    with db.writing() as session:
        feeds.take(session, "penalty", items, "department:huangpu")
    with db.reading() as session:
        return list(session.scalars(select(Unmatched.seq).order_by(Unmatched.seq)))


def join(client: TestClient, seq: int, code: str, reason: str = "经核对营业执照，所指为该主体。") -> Any:
    sent = {"form_token": form_token(client), "code": code, "reason": reason}
    return client.post(f"/desk/unmatched/{seq}/join", data=sent)


def test_an_officer_says_which_of_several_is_meant_and_it_stays_so_when_sent_again(
    desk: TestClient, entity: Entity, shared: tuple[str, str], clerk: Someone
) -> None:
    nameless = row(entity.name, "", 1)
    (seq,) = wait_for_party(nameless)
    page = desk.get("/desk/unmatched").text
    assert all(code in page for code in shared)
    joined = join(desk, seq, shared[1])
    assert joined.status_code == 303
    assert "奇观异想" in desk.get(f"/entities/{shared[1]}").text
    assert "奇观异想" not in desk.get(f"/entities/{shared[0]}").text
    (act,) = acts("join")
    assert (act["officer"], act["reason"]) == (str(clerk.id), "经核对营业执照，所指为该主体。")
    assert join(desk, seq, shared[0]).status_code == 409, "decided already"
    assert wait_for_party(nameless) == [], "the source sends it again"
    assert "奇观异想" in desk.get(f"/entities/{shared[1]}").text
    assert "is joined to its entity" in desk.get("/desk/unmatched").text


def test_nothing_is_joined_to_who_does_not_bear_the_name_or_is_elsewhere(
    desk: TestClient, entity: Entity, shared: tuple[str, str]
) -> None:
    by_name, by_code = wait_for_party(
        row(entity.name, "", 1), row("上海未到先闻有限公司", made_up("91", random.Random(7)), 2)
    )
    assert desk.get("/desk/unmatched").text.count('name="code"') == 2
    size = count(LedgerEntry)
    with db.reading() as session:
        stranger = session.scalars(select(Entity.code).where(Entity.code.not_in(shared))).first()
    assert stranger is not None
    assert join(desk, by_name, stranger).status_code == 422
    assert join(desk, by_name, "91310000000000000X").status_code == 404
    assert join(desk, by_name, shared[0], reason="对").status_code == 422
    assert join(desk, by_code, shared[0]).status_code == 409
    switch_to(desk, "huangpu", district="310101")
    page = desk.get("/desk/unmatched").text
    assert f'value="{shared[1]}"' in page
    assert f'value="{shared[0]}"' not in page
    assert join(desk, by_name, shared[0]).status_code == 403
    switch_to(desk, "jingan", district="310106")
    assert "is in another district" in desk.get("/desk/unmatched").text
    assert (count(LedgerEntry), count(Unmatched), acts("join")) == (size, 2, [])


def test_the_unmatched_are_walked_newest_first(desk: TestClient) -> None:
    waiting = wait_for_party(*(row(f"上海查无此家{n}有限公司", "", n) for n in range(110)))
    found: list[int] = []
    url: str | None = "/desk/unmatched"
    while url:
        page = desk.get(url).text
        found += [int(part.split('"')[0]) for part in page.split("/desk/record?number=")[1:]]
        url = following(page, "/desk/unmatched")
    assert found == waiting[::-1]
