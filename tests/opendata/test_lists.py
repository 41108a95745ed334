"""People send a list of their own, see whom it means, correct it, take it back and follow it; nobody else finds it."""

import csv
import io
import re
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
import xlsxwriter
from fastapi.testclient import TestClient
from python_calamine import CalamineWorkbook
from sqlalchemy import func, select, update

from opendata import lists, reading
from opendata.models import MatchList, MatchRow
from portal import retention
from portal.kit import db
from record.models import Entity, Follow, FollowAddress
from tests.opendata.test_reconcile import entity, namesake
from tests.record.test_follow import READER, body, fact, letters, link, store, work

pytestmark = pytest.mark.usefixtures("filled", "unlimited")

HEADER = ["序号", "供应商名称", "统一社会信用代码", "备注"]
NOBODY = "奇观异想星际贸易有限公司"


def as_csv(rows: list[list[str]], encoding: str = "utf-8") -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(encoding)


def as_xlsx(rows: list[list[str]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                sheet.write_string(number, column, cell)
    return out.getvalue()


def send(client: TestClient, content: bytes, name: str = "suppliers.csv") -> str:
    """Hand a list in and let it be matched. Returns the address of its page."""
    answer = client.post("/data/match?lang=en", files={"file": (name, content)}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"
    work()
    return answer.headers["location"]


def downloaded(client: TestClient, place: str) -> list[list[str]]:
    answer = client.get(f"{place}/matches.csv?lang=en")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def some(number: int) -> list[Entity]:
    """Entities whose names nobody else bears."""
    with db.reading() as session:
        alone = select(Entity.name_key).group_by(Entity.name_key).having(func.count() == 1)
        asked = select(Entity).where(
            Entity.name_key.in_(alone), Entity.code.startswith("91"), Entity.status == "active"
        )
        return list(session.scalars(asked.order_by(Entity.code).limit(number)))


# ---- the journey ----------------------------------------------------------------------------------------------------


def test_a_list_is_sent_matched_corrected_taken_back_and_followed(client: TestClient) -> None:
    one = entity(Entity.district.is_not(None))
    twin = namesake(one)
    plain = next(found for found in some(5) if found.code != one.code)
    place = send(client, as_csv([
        ["2026 年供应商清单"], HEADER, ["1", plain.name, "", "重点"], ["2", one.name, "", ""],
        ["3", "", plain.code, ""], ["4", NOBODY, "", "=1+1"],
    ]))  # fmt: skip

    page = client.get(f"{place}?lang=en")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in page.headers["x-robots-tag"]
    assert plain.name in page.text
    assert f'value="{twin}"' in page.text
    assert f'value="{one.code}"' in page.text
    assert one.name not in client.get(f"{place}?show=found").text

    header, *rows = downloaded(client, place)
    assert header == [*HEADER, "Match", "Credit code", "Registered name", "Status", "Lists that it stands on", "Score"]
    assert rows[0] == ["1", plain.name, "", "重点", "Certain", plain.code, plain.name, "Active", rows[0][8], "100"]
    assert [rows[1][4], rows[2][4]] == ["To check", "Certain"]
    assert rows[2][5] == plain.code
    assert rows[3][3] == "'=1+1", "no cell can make a spreadsheet program compute"

    answer = client.post(f"{place}/rows?show=all&after=0", data={"row-2": twin, "row-4": "-"}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{place}?show=all&after=0"
    _, *rows = downloaded(client, place)
    assert [row[4] for row in rows] == ["Certain", "Chosen by you", "Certain", "Nobody"]
    assert rows[1][5] == twin

    asked = client.post(f"{place}/follow", data={"address": READER})
    assert asked.status_code == 200
    work()
    [asking] = letters()
    assert "2" in asking["subject"]
    confirm = link(asking, "list")
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Follow)) == 0, "nothing before it is confirmed"
    assert "<button" in client.get(confirm).text
    seen = client.post(confirm)
    assert plain.name in seen.text
    with db.reading() as session:
        assert set(session.scalars(select(Follow.entity_code))) == {plain.code, twin}
    work()
    store(fact(plain))
    assert len(letters()) == 2
    assert plain.name in body(letters()[-1])

    assert client.post(f"{place}/delete", follow_redirects=False).headers["location"] == "/data/match"
    assert client.get(place).status_code == 404
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(MatchRow)) == 0


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["utf-8", "utf-8-sig", "gb18030", "xlsx", "mislabelled"])
def test_tables_are_read_as_people_have_them(client: TestClient, form: str) -> None:
    rows = [HEADER, *([str(at), one.name, one.code, ""] for at, one in enumerate(some(3)))]
    content = as_xlsx(rows) if form in ("xlsx", "mislabelled") else as_csv(rows, form)
    place = send(client, content, "客户.xlsx" if form == "xlsx" else "客户.csv")
    _, *said = downloaded(client, place)
    assert [(row[4], row[5]) for row in said] == [("Certain", one.code) for one in some(3)]


def test_a_bare_list_of_names_needs_no_header(client: TestClient) -> None:
    names = [one.name for one in some(4)]
    place = send(client, "\n".join(names).encode(), "names.txt")
    header, *rows = downloaded(client, place)
    assert header[0] == "A"
    assert [row[0] for row in rows] == names
    assert {row[1] for row in rows} == {"Certain"}


def test_a_column_that_cannot_be_guessed_is_chosen_by_the_visitor(client: TestClient) -> None:
    one, other = some(2)
    place = send(client, as_csv([["甲", "乙"], ["随便", "x1"], ["什么", "x2"]]))
    assert "Choose it below" in client.get(f"{place}?lang=en").text
    refused = client.post(f"{place}/columns", data={"name": "", "code": ""})
    assert refused.status_code == 422
    assert client.post(f"{place}/columns", data={"name": "7"}).status_code == 422
    place = send(client, as_csv([HEADER, ["1", one.name, other.code, ""]]))
    [row] = downloaded(client, place)[1:]
    assert row[4] == "To check", "the code's entity is called altogether differently"
    client.post(f"{place}/columns", data={"name": "1", "code": ""})
    work()
    [row] = downloaded(client, place)[1:]
    assert (row[4], row[5]) == ("Certain", one.code)


@pytest.mark.parametrize(
    ("content", "name", "status"),
    [
        (b"", "a.csv", 422), (b"\n\n", "a.csv", 422), (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "a.xls", 415),
        (b"%PDF-1.7\n", "a.pdf", 415), (b"PK\x03\x04 and nothing", "a.xlsx", 422), (b"a,b\n", "a.xlsx", 415),
        (b"\x89PNG\r\n\x1a\n\0\0", "a.csv", 415), ("名称\n".encode(), "a.csv", 422),
        (("名称\n" + "某某有限公司\n" * 10_001).encode(), "a.csv", 422),
        ((",".join(["名称"] * 61) + "\n").encode(), "a.csv", 422),
        (b"x" * (reading.MOST_BYTES + 1), "a.csv", 413),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_on_the_same_page_with_what_to_do(
    client: TestClient, content: bytes, name: str, status: int
) -> None:
    answer = client.post("/data/match", files={"file": (name, content)})
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert 'type="file"' in answer.text
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(MatchList)) == 0


def test_a_form_without_a_file_and_one_that_never_ends_are_refused(client: TestClient) -> None:
    assert client.post("/data/match", data={"file": "no file"}).status_code == 422
    assert client.post("/data/match", content=b"x" * (reading.MOST_BYTES + 30_000)).status_code == 413


def test_a_workbook_that_unpacks_to_too_much_is_refused(client: TestClient) -> None:
    rows = [["名称", "备注"], *([NOBODY, "长" * 2_000] for _ in range(9_999))]
    content = as_xlsx(rows)
    assert len(content) < reading.MOST_BYTES
    answer = client.post("/data/match", files={"file": ("a.xlsx", content)})
    assert answer.status_code in (303, 413)
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as entry,
    ):
        for _ in range(1_100):
            entry.write(b" " * 2**20)
    assert client.post("/data/match", files={"file": ("a.xlsx", bomb.getvalue())}).status_code == 422


def test_the_workbook_that_is_given_back_holds_text_alone(client: TestClient, tmp_path: Path) -> None:
    [one] = some(1)
    place = send(client, as_csv([HEADER, ["=HYPERLINK(1)", one.name, "", "+1"]]))
    answer = client.get(f"{place}/matches.xlsx?lang=en")
    path = tmp_path / "matches.xlsx"
    path.write_bytes(answer.content)
    header, row = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    assert header[4] == "Match"
    assert row[:2] == ["=HYPERLINK(1)", one.name]
    with zipfile.ZipFile(path) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


# ---- correcting -----------------------------------------------------------------------------------------------------


def test_a_code_that_is_typed_wins_and_an_unknown_one_is_named_while_the_rest_is_kept(client: TestClient) -> None:
    one, other = some(2)
    place = send(client, as_csv([HEADER, ["1", NOBODY, "", ""], ["2", NOBODY, "", ""]]))
    sent = {"row-1": "-", "code-1": one.code.lower(), "code-2": "913101990000000000"}
    answer = client.post(f"{place}/rows?lang=en", data=sent)
    assert answer.status_code == 422
    assert "the code of row 2" in answer.text
    first, second = downloaded(client, place)[1:]
    assert (first[4], first[5]) == ("Chosen by you", one.code)
    assert second[4] != "Chosen by you"
    client.post(f"{place}/rows", data={"row-1": other.code, "row-999": other.code, "row-x": "1"})
    assert downloaded(client, place)[1][5] == other.code


def test_a_long_list_is_shown_a_hundred_rows_at_a_time(client: TestClient) -> None:
    names = [one.name for one in some(40)]
    place = send(client, "\n".join(["名称", *(names[at % 40] for at in range(250))]).encode())
    first = client.get(place).text
    assert first.count("<fieldset") == 100
    further = re.search(r'rel="next" href="([^"#]+)', first)
    assert further is not None
    second = client.get(further[1].replace("&amp;", "&")).text
    assert second.count("<fieldset") == 100
    last = client.get(f"{place}?after=200").text
    assert last.count("<fieldset") == 50
    assert 'rel="next"' not in last
    assert len(downloaded(client, place)) == 251


def test_while_a_list_is_being_matched_its_page_says_how_far_it_is(client: TestClient) -> None:
    [one] = some(1)
    answer = client.post("/data/match", files={"file": ("a.csv", as_csv([HEADER, ["1", one.name, "", ""]]))})
    assert "data-live" in answer.text
    assert downloaded(client, answer.url.path)[1][4] == "Not looked at yet"
    assert client.post(f"{answer.url.path}/follow", data={"address": READER}).status_code == 422
    work()
    assert "data-live" not in client.get(answer.url.path).text


def test_matching_that_was_cut_off_goes_on_where_it_stopped(client: TestClient) -> None:
    names = [one.name for one in some(40)]
    place = send(client, "\n".join(["名称", *(names[at % 40] for at in range(250))]).encode())
    with db.writing() as session:
        kept = session.scalars(select(MatchList)).one()
        session.execute(update(MatchRow).where(MatchRow.place > 100).values(state="waiting", code=None))
        kept.matched = 100
    lists.match(kept.id, "another run")
    assert {row[1] for row in downloaded(client, place)[101:]} == {"Not looked at yet"}
    assert kept.run is not None
    lists.match(kept.id, kept.run)
    assert {row[1] for row in downloaded(client, place)[1:]} == {"Certain"}


# ---- nobody else's --------------------------------------------------------------------------------------------------


def test_nobody_finds_a_list_without_its_address_and_no_copy_of_the_database_tells_it(client: TestClient) -> None:
    [one] = some(1)
    place = send(client, as_csv([HEADER, ["1", one.name, "", ""]]))
    key = place.rsplit("/", 1)[1]
    assert len(key) == 32
    with db.reading() as session:
        kept = session.scalars(select(MatchList)).one()
        assert key not in (kept.id, kept.file_name)
    for other in (kept.id[:32], "A" * 32):
        for path in ("", "/matches.csv", "/matches.xlsx"):
            assert client.get(f"/data/match/{other}{path}").status_code == 404
        for path in ("/rows", "/columns", "/follow", "/delete"):
            answer = client.post(f"/data/match/{other}{path}", data={"name": "0", "address": READER, "row-1": "-"})
            assert answer.status_code == 404
    assert client.get(f"/data/match/{kept.id}").status_code == 422
    assert key not in client.get("/data/match").text


def test_another_sites_page_can_neither_send_nor_change_nor_follow(client: TestClient) -> None:
    [one] = some(1)
    content = as_csv([HEADER, ["1", one.name, "", ""]])
    place = send(client, content)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/data/match", files={"file": ("a.csv", content)}, headers=elsewhere).status_code == 403
    for path in ("rows", "columns", "follow", "delete"):
        answer = client.post(f"{place}/{path}", data={"name": "0", "address": READER}, headers=elsewhere)
        assert answer.status_code == 403, path
    assert client.get(place).status_code == 200


def test_a_list_is_gone_after_seven_days_with_all_its_rows(client: TestClient) -> None:
    [one] = some(1)
    place = send(client, as_csv([HEADER, ["1", one.name, "", ""]]))
    with time_machine.travel(db.now() + timedelta(days=6, hours=23)):
        assert retention.apply()["matched_lists"] == 0
        assert client.get(place).status_code == 200
    with time_machine.travel(db.now() + timedelta(days=7, hours=1)):
        assert client.get(place).status_code == 404
        assert retention.apply()["matched_lists"] == 1
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(MatchRow)) == 0


def test_when_too_much_is_kept_the_next_list_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_HELD", 100)
    answer = client.post("/data/match", files={"file": ("a.csv", as_csv([HEADER, *[["1", NOBODY, "", ""]] * 20]))})
    assert answer.status_code == 503


# ---- following ------------------------------------------------------------------------------------------------------


def test_a_whole_list_is_followed_in_steps_and_what_is_followed_already_stays(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_FOLLOWED_AT_ONCE", 30)
    every = some(130)
    place = send(client, "\n".join(["名称", *(one.name for one in every), every[0].name]).encode())
    for _ in range(2):
        client.post(f"{place}/follow", data={"address": READER})
        work()
        page = client.post(link(letters()[-1], "list"))
        assert page.status_code == 200
        work()
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Follow)) == 130
        assert session.scalar(select(func.count()).select_from(FollowAddress)) == 1
    page = client.get(page.url.path)
    assert page.text.count('class="hit"') == 100
    further = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert further is not None
    rest = client.get(further[1].replace("&amp;", "&"))
    assert rest.text.count('class="hit"') == 30
    assert len(letters()) == 2, "one mail each time, and no news of nothing"


def test_a_link_is_worth_nothing_once_the_list_or_the_address_is_gone(client: TestClient) -> None:
    [one] = some(1)
    place = send(client, as_csv([HEADER, ["1", one.name, "", ""]]))
    client.post(f"{place}/follow", data={"address": READER})
    work()
    confirm = link(letters()[-1], "list")
    with time_machine.travel(db.now() + timedelta(days=2, hours=1)):
        assert client.post(confirm).status_code == 410
        retention.apply()
    assert client.post(confirm).status_code == 410, "the address was forgotten"
    client.post(f"{place}/follow", data={"address": READER})
    work()
    confirm = link(letters()[-1], "list")
    client.post(f"{place}/delete")
    assert client.get(confirm).status_code == 410
    assert client.get(confirm.replace("/list/", "/list/x")).status_code == 400


def test_an_address_that_is_none_is_refused_and_one_address_gets_few_mails_a_day(client: TestClient) -> None:
    [one] = some(1)
    place = send(client, as_csv([HEADER, ["1", one.name, "", ""]]))
    assert client.post(f"{place}/follow", data={"address": "nobody"}).status_code == 422
    for _ in range(7):
        assert client.post(f"{place}/follow", data={"address": READER}).status_code == 200
        work()
    assert len(letters()) == 5
