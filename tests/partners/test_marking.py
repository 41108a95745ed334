"""A batch comes back as a workbook: their cells as they were read, and beside each row what is wrong and what to do."""

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from partners import marking, organisations, staging, uploads
from partners.models import Batch
from partners.uploads import Arriving, Sender, Sent
from portal.kit import db, storage
from record import demo
from tests import members

pytestmark = pytest.mark.usefixtures("embedded")

TITLES = ("企业名称", "统一社会信用代码", "等级", "评定日期", "有效期")


def handed_in(path: Path) -> Batch:
    """A batch of this file, checked and marked."""
    members.add()
    members.add_scheme(certificate=None)
    arriving = Arriving()
    arriving.write(path.read_bytes())
    arriving.finish()
    sender = Sender("demo-association", "page", "account 1")
    with db.writing() as session:
        sent = Sent(uploads.keep(arriving), path.name, path.suffix[1:], arriving.size, arriving.sha256)
        batch_id = uploads.take(session, sender, "demo-credit", sent).id
    uploads.check(batch_id)
    marking.mark(batch_id)
    with db.reading() as session:
        batch = session.get_one(Batch, batch_id)
        organisations.get(session, batch.organisation_id)
    return batch


def given_back(batch: Batch, folder: Path) -> tuple[list[list[Any]], list[list[str]]]:
    """The rows of both files; the workbook holds no formula and no link."""
    workbook, table = folder / "back.xlsx", folder / "back.csv"
    storage.fetch(staging.key(batch.id, marking.MARKED), workbook)
    storage.fetch(staging.key(batch.id, marking.REJECTS), table)
    with zipfile.ZipFile(workbook) as archive:
        sheets = [archive.read(name) for name in archive.namelist() if "worksheets/" in name]
    assert all(b"<f" not in sheet.replace(b"<formula", b"<x") and b"hyperlink" not in sheet for sheet in sheets)
    rows = CalamineWorkbook.from_path(str(workbook)).get_sheet_by_index(0).to_python()
    return rows, list(csv.reader(io.StringIO(table.read_text(encoding="utf-8-sig"))))


def registered(count: int) -> list[tuple[str, str]]:
    """Names and codes of entities that are in the register now."""
    demo.fill(count)
    return [(str(one.entity["name"]), str(one.entity["code"])) for one in demo.make(count)]


def write(path: Path, lines: Sequence[Sequence[Any]], sheet: str = "名单") -> Path:
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd", "strings_to_formulas": False}) as book:
        page = book.add_worksheet(sheet)
        for number, line in enumerate(lines):
            page.write_row(number, 0, line)
    return path


def test_every_row_comes_back_with_its_cells_and_a_sentence_and_a_remedy_for_each_fault(tmp_path: Path) -> None:
    (name, code), (other, second) = registered(2)
    lines = [
        ("演示行业协会评价结果",),
        TITLES,
        (name, f" {code.lower()}", "ＡＡ", datetime.fromisoformat("2026-03-05"), "3年"),
        (f"{name}某", code, "特级", "昨天", ""),
        ("", "", "", "", ""),
        (other, second[:-1] + ("A" if second[-1] != "A" else "B"), "AA", "2026.3.5", ""),
        (other, "", "AA", "2026.3.5", ""),
    ]
    batch = handed_in(write(tmp_path / "batch.xlsx", lines))
    assert (batch.rows, batch.new, batch.rejected, batch.to_confirm) == (4, 1, 2, 1)
    rows, rejects = given_back(batch, tmp_path)
    assert rows[0] == ["行号", "问题与改法", *TITLES]
    assert rows[1] == ["3", "", name, f" {code.lower()}", "ＡＡ", "2026-03-05", "3年"]
    assert rows[2][0] == "4"
    assert rows[2][2:] == [f"{name}某", code, "特级", "昨天", ""]
    said = rows[2][1].split("\n")
    assert [sentence[: sentence.index("】") + 1] for sentence in said] == ["【等级】", "【评定日期】", "【企业名称】"]
    assert "AAA、AA、A" in said[0]
    assert "2026-03-05" in said[1]
    assert name in said[2]
    assert rows[3][0] == "6"
    assert rows[3][1].startswith("【统一社会信用代码】")
    assert rows[4][:3] == ["7", marking.sentence(marking.Found("", "not_confirmed")), other]
    assert [line[0] for line in rejects[1:]] == ["4", "6", "7"]


EVIL = ("=1+1", "{=1+1}", "+1", "-1", "@SUM(1)", "\t=1", " =1", "http://example.com", "＝1", '=HYPERLINK("x")')


def test_nothing_that_they_wrote_computes_in_what_they_get_back(tmp_path: Path) -> None:
    [(name, code)] = registered(1)
    header = (*TITLES, *EVIL)
    lines = [
        header,
        *((evil, code, "AA", "2026-03-05", evil, *EVIL) for evil in EVIL),
        (name, code, "AA", "2026-03-05", ""),
    ]
    batch = handed_in(write(tmp_path / "batch.xlsx", lines, sheet="=cmd"))
    rows, rejects = given_back(batch, tmp_path)
    assert [tuple(row[7:]) for row in rows[1:-1]] == [tuple(EVIL)] * len(EVIL)
    assert len(rejects) == len(EVIL) + 1
    for line in rejects:
        assert not [cell for cell in line if cell.lstrip().startswith(("=", "+", "-", "@", "＝"))]


def test_rows_of_several_sheets_keep_their_places_beside_their_faults(tmp_path: Path) -> None:
    [(name, code)] = registered(1)
    path = tmp_path / "batch.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for number, sheet in enumerate(("=一月", "二月")):
            page = book.add_worksheet(sheet)
            page.write_row(number, 0, TITLES)
            page.write_row(number + 1, 0, (name, code, "AA", f"202{number + 4}-03-05", ""))
            page.write_row(number + 2, 0, (name, code, "优", "2026-03-05", ""))
    rows, rejects = given_back(handed_in(path), tmp_path)
    assert [(row[0], bool(row[1])) for row in rows[1:]] == [
        ("=一月!2", False), ("=一月!3", True), ("二月!3", False), ("二月!4", True),
    ]  # fmt: skip
    assert [line[0] for line in rejects[1:]] == ["'=一月!3", "二月!4"]
