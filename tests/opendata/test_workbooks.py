"""Small data sets as workbooks: what a person finds who opens one, and that nothing in it computes."""

import hashlib
import io
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from python_calamine import CalamineWorkbook
from sqlalchemy import select, update

from opendata import snapshots
from opendata.models import Snapshot
from portal.kit import datasets, db, storage
from portal.kit.datasets import Column, DataSet
from portal.kit.settings import get_settings
from record import publication
from record.models import Entity
from record.publication import PUBLISHED

pytestmark = [pytest.mark.usefixtures("written", "unlimited")]


def sheets(client: TestClient, name: str) -> dict[str, list[list[Any]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(client.get(f"/data/{name}.xlsx").content))
    return {sheet: book.get_sheet_by_name(sheet).to_python() for sheet in book.sheet_names}


def test_a_workbook_holds_the_rows_of_the_csv_under_chinese_titles_with_real_days_and_codes_as_text(
    client: TestClient,
) -> None:
    lines = client.get("/data/penalties.csv").text.splitlines()
    rows = sheets(client, "penalties")["数据"]
    data_set = datasets.offered()["penalties"]
    assert rows[0] == [column.titles[0] for column in data_set.columns]
    assert len(rows) == len(lines)
    place = {column.name: number for number, column in enumerate(data_set.columns)}
    first = rows[1]
    assert first[place["id"]] in lines[1]
    assert isinstance(first[place["entity_code"]], str)
    assert isinstance(first[place["occurred_on"]], date)
    assert isinstance(first[place["seq"]], float)
    assert first[place["disputed"]] is False


@pytest.fixture
def hostile() -> Iterator[list[str]]:
    """A data set of its own whose texts are what spreadsheet programs like to take for something else."""
    texts = ["=1+1", "+861", "-1", "@SUM(1)", "\tx", "＝1", "0012", "91310000123456789X", "123456789012345", "1e5"]
    texts += ["2026-01-02", "TRUE", "http://example.cn", "<b>&", "乙\x01丙", "长" * 20_000]
    days = [date(1899, 12, 31), date(1900, 3, 1), None]
    columns = (Column("id", "text", ("标识", "Id")), Column("day", "date", ("日期", "Day")))
    rows = [(text, days[place % len(days)]) for place, text in enumerate(texts)]
    data_set = DataSet("odd", ("怪", "Odd"), ("怪", "Odd"), columns, lambda session: iter(rows), key="id")
    known = datasets.offered()
    assert isinstance(known, dict)
    datasets.offer(data_set)
    snapshots.make_all([data_set.name])
    yield texts
    del known[data_set.name]


def test_text_stays_the_text_that_it_was_and_only_what_could_compute_gets_a_quote_before_it(
    client: TestClient, hostile: list[str]
) -> None:
    rows = sheets(client, "odd")["数据"][1:]
    cells = [row[0] for row in rows]
    assert all(isinstance(cell, str) for cell in cells)
    assert cells[:6] == [f"'{text}" for text in hostile[:6]]
    assert cells[6:14] == hostile[6:14]
    assert len(cells) == len(hostile)
    assert rows[1][1] == date(1900, 3, 1)
    assert rows[0][1] == "1899-12-31"
    assert rows[2][1] == ""


def test_a_workbook_that_no_snapshot_names_any_longer_goes_after_a_day_and_the_one_in_force_stays(
    client: TestClient,
) -> None:
    def book() -> str:
        with db.reading() as session:
            found = snapshots.of(session, "permits")
        assert found is not None
        assert found[1].workbook is not None
        return found[1].workbook.key

    before = book()
    with db.writing() as session:
        seq = session.scalar(select(PUBLISHED.c.seq).where(PUBLISHED.c.kind == "permit").limit(1))
        publication.withdraw(session, [int(seq or 0)], "repaired")
    snapshots.clean()
    after = book()
    snapshots.forget()
    assert {before, after} <= set(storage.keys("opendata"))
    with time_machine.travel(db.now() + snapshots.KEPT_AFTER + timedelta(hours=1)):
        snapshots.forget()
    kept = set(storage.keys("opendata"))
    assert before not in kept
    assert after in kept
    assert client.get("/data/permits.xlsx").status_code == 200


def test_a_snapshot_from_before_there_were_workbooks_is_served_without_one(client: TestClient) -> None:
    with db.writing() as session:
        kept = session.get_one(Snapshot, "permits")
        kept.manifest = {name: said for name, said in kept.manifest.items() if name != "workbook"}
    assert client.get("/data/permits.xlsx").status_code == 404
    assert client.get("/data/permits.csv").status_code == 200
    assert "/data/permits.xlsx" not in client.get("/data/permits").text


def test_further_sheets_say_what_columns_and_codes_mean_in_both_languages(client: TestClient) -> None:
    found = sheets(client, "entities")
    assert ["所在区", "District", "district", "text", "", ""] in found["栏目 Columns"]
    assert any(row[0] == "district" and row[3] == "Xuhui" for row in found["代码 Codes"])


def test_no_cell_computes_whatever_a_name_begins_with(client: TestClient) -> None:
    with db.writing() as session:
        code = session.scalars(select(Entity.code).order_by(Entity.code).limit(1)).one()
        session.execute(update(Entity).where(Entity.code == code).values(name='=HYPERLINK("http://x")'))
    snapshots.make_all(["entities"])
    row = next(row for row in sheets(client, "entities")["数据"] if row[0] == code)
    assert row[1] == '\'=HYPERLINK("http://x")'


def test_a_workbook_is_served_from_any_byte_and_the_same_rows_are_the_same_bytes(client: TestClient) -> None:
    whole = client.get("/data/permits.xlsx")
    assert whole.headers["content-type"] == snapshots.MEDIA_TYPES["xlsx"]
    assert hashlib.sha256(whole.content).hexdigest()[:32] == whole.headers["etag"].strip('"')
    part = client.get("/data/permits.xlsx", headers={"Range": "bytes=10-99", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[10:100])
    snapshots.make_all(["permits"])
    assert client.get("/data/permits.xlsx").content == whole.content


def test_a_withdrawn_row_leaves_the_workbook_with_the_other_files(client: TestClient) -> None:
    with db.writing() as session:
        first = session.execute(select(PUBLISHED.c.seq, PUBLISHED.c.id).where(PUBLISHED.c.kind == "permit")).first()
        assert first is not None
        publication.withdraw(session, [first.seq], "repaired")
    assert any(row[0] == first.id for row in sheets(client, "permits")["数据"])
    snapshots.clean()
    rows = sheets(client, "permits")["数据"]
    assert len(rows) == len(client.get("/data/permits.csv").text.splitlines())
    assert all(row[0] != first.id for row in rows)


def test_it_is_among_the_downloads_and_large_data_sets_have_none(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "/data/permits.xlsx" in client.get("/data/permits").text
    resources = client.get("/api/3/action/package_show?id=permits").json()["result"]["resources"]
    book = next(one for one in resources if one["format"] == "XLSX")
    whole = client.get("/data/permits.xlsx")
    assert book["hash"] == hashlib.sha256(whole.content).hexdigest()
    assert book["size"] == len(whole.content)
    monkeypatch.setenv("PORTAL_WORKBOOK_ROWS", "5")
    get_settings.cache_clear()
    snapshots.make_all(["permits"])
    assert "/data/permits.xlsx" not in client.get("/data/permits").text
    assert client.get("/data/permits.xlsx").status_code == 404
