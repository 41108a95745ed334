"""Files as people send them are read as a person would read them; each is made here and goes through the child."""

import codecs
import csv
import io
import json
import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from partners import examining, schemes
from partners.checking import Checked
from partners.examining import Begun
from record import codes
from tests import members
from tests.partners import workbook

DEFINITION = schemes.parse(members.DEFINITION)
TODAY = date(2026, 11, 23)
TITLES = ("企业名称", "统一社会信用代码", "等级", "评价日期", "有效期至")
CODES = [codes.made_up("91", random.Random(number)) for number in range(40)]
NAMES = [f"上海虚构{number}号贸易有限公司" for number in range(40)]

Line = Sequence[Any]
Read = list[tuple[str, str, str, str, str]]


def right(number: int, grade: str = "AA", day: Any = "2026-03-05", until: str = "") -> tuple[Any, ...]:
    """A row that says what it should."""
    return NAMES[number], CODES[number], grade, day, until


def wanted(*numbers: int, grade: str = "AA", day: str = "2026-03-05", until: str = "2029-03-04") -> Read:
    """What such rows come to."""
    return [(NAMES[number], CODES[number], grade, day, until) for number in numbers]


def examined(path: Path, form: str = "", definition: schemes.Definition = DEFINITION) -> list[Checked]:
    rows: list[Checked] = []
    for part in examining.examine_here(path, form or path.suffix[1:], definition, TODAY):
        if not isinstance(part, Begun):
            rows += part
    return rows


def good(path: Path, form: str = "") -> Read:
    """The rows of a file in which no row is wrong."""
    rows = examined(path, form)
    assert [row.faults for row in rows if row.faults] == []
    return [(row.name, row.code, row.grade, row.day, row.until) for row in rows]


def faults(rows: Iterable[Checked]) -> dict[str, list[str]]:
    """What is wrong, by where it stands."""
    return {row.place: [fault[1] for fault in row.faults] for row in rows if row.faults}


def as_csv(lines: Iterable[Line], separator: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(lines)
    return text.getvalue()


def csv_file(folder: Path, *lines: Line, header: Line = TITLES) -> Path:
    path = folder / "批次.csv"
    path.write_text(as_csv([header, *lines]), encoding="utf-8")
    return path


def fill(sheet: Any, lines: Iterable[Line], *, top: int = 0, left: int = 0) -> None:
    for number, line in enumerate(lines, start=top):
        for column, value in enumerate(line, start=left):
            if value != "":
                sheet.write(number, column, value)


def xlsx_file(folder: Path, *lines: Line, **options: Any) -> Path:
    path = folder / "批次.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy/m/d", **options}) as book:
        fill(book.add_worksheet("名单"), lines)
    return path


# ---- what stands around the rows ------------------------------------------------------------------------------------

TITLE_ROWS = (
    ("附件2", "", "", "", ""),
    ("演示行业协会2026年度企业信用评价结果汇总表", "", "", "", ""),
    ("填报单位：演示行业协会", "", "", "", "单位：家"),
)


def test_titles_above_the_header_and_closing_lines_below_the_rows_are_no_rows(tmp_path: Path) -> None:
    closing = (
        ("合计", "2", "", "", ""), ("", "", "", "", ""), ("注：1. 等级分三等九级。", "", "", "", ""),
        ("2. 有效期三年，自评价之日起计算。", "", "", "", ""),
        ("填表人：张三", "", "审核人：李四", "", "日期：2026年3月6日"),
        ("（盖章）", "", "", "", ""), ("第1页，共1页", "", "", "", ""),
    )  # fmt: skip
    lines = [*TITLE_ROWS, ("", "", "", "", ""), TITLES, right(0), right(1), *closing]
    assert good(csv_file(tmp_path, *lines[1:], header=lines[0])) == wanted(0, 1)
    assert good(xlsx_file(tmp_path, *lines)) == wanted(0, 1)


def test_a_header_of_two_lines_with_merged_cells_is_one_header(tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        plain = book.add_format()
        sheet.merge_range("A1:G1", "评价结果汇总表", plain)
        for column, title in enumerate(("序号", "企业名称", "统一社会信用代码")):
            sheet.merge_range(1, column, 2, column, title, plain)
        sheet.merge_range("D2:E2", "评价结果", plain)
        sheet.merge_range("F2:G2", "有效期", plain)
        fill(sheet, [("等级", "评价日期", "起", "止")], top=2, left=3)
        fill(sheet, [(1, NAMES[0], CODES[0], "AA", "2026-03-05", "2026.3.5", "2028.3.4")], top=3)
    assert good(path) == wanted(0, until="2028-03-04")


def test_a_header_of_two_lines_is_read_from_a_file_without_merged_cells_too(tmp_path: Path) -> None:
    upper, lower = ("企业名称", "统一社会信用代码", "评价信息", "", "有效期", ""), ("", "", "等级", "日期", "起", "止")
    line = (NAMES[0], CODES[0], "AA", "2026-03-05", "2026-03-05", "2028-03-04")
    assert good(csv_file(tmp_path, lower, line, header=upper)) == wanted(0, until="2028-03-04")


def test_a_first_row_without_name_and_code_is_a_row_and_no_second_line_of_the_header(tmp_path: Path) -> None:
    rows = examined(csv_file(tmp_path, ("", "", "AA", "2026-03-05", ""), right(1)))
    assert faults(rows) == {"2": ["nothing_named"]}
    assert len(rows) == 2


def test_a_merged_cell_counts_for_every_row_that_it_covers_wherever_the_table_begins(tmp_path: Path) -> None:
    path = tmp_path / "merged.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        plain = book.add_format()
        fill(sheet, [TITLES], top=4, left=3)
        sheet.merge_range(5, 3, 6, 3, NAMES[0], plain)
        sheet.merge_range(5, 4, 6, 4, CODES[0], plain)
        fill(sheet, [("AA", "2025-03-05"), ("AA", "2026-03-05")], top=5, left=5)
        sheet.merge_range(7, 5, 9, 5, "AA", plain)
        sheet.merge_range(7, 6, 9, 6, "2026-03-05", plain)
        fill(sheet, [(NAMES[at], CODES[at]) for at in (1, 2, 3)], top=7, left=3)
    rows = examined(path)
    assert faults(rows) == {}
    assert [(row.place, row.code, row.day) for row in rows[:2]] == [
        ("6", CODES[0], "2025-03-05"), ("7", CODES[0], "2026-03-05"),
    ]  # fmt: skip
    assert [(row.code, row.grade) for row in rows[2:]] == [(CODES[at], "AA") for at in (1, 2, 3)]


def test_a_repeated_header_and_repeated_titles_are_passed_over(tmp_path: Path) -> None:
    page = ("演示行业协会评价结果", "", "", "", "")
    path = csv_file(tmp_path, TITLES, right(0), page, tuple(f" {title}　" for title in TITLES), right(1), header=page)
    assert good(path) == wanted(0, 1)


def test_what_only_explains_the_columns_is_no_row(tmp_path: Path) -> None:
    english = ("Name", "USCC", "Grade", "Date", "Valid until")
    numbers = ("（1）", "（2）", "（3）", "（4）", "（5）")
    hints = ("填写全称", "18位代码", "AAA至C", "如2026-03-05", "选填")
    example = ("（示例，请删除）演示贸易有限公司", "91310199MA00000000", "AAA", "2026-03-05", "")
    assert good(csv_file(tmp_path, english, numbers, hints, example, right(0))) == wanted(0)


def test_headings_between_and_signatures_below_are_no_rows(tmp_path: Path) -> None:
    lines = [
        ("一、浦东新区会员", "", "", "", ""), right(0), ("二、黄浦区会员", "", "", "", ""), right(1),
        ("以上企业经协会审议通过。", "", "", "", ""),
        ("", "", "", "演示行业协会", ""), ("", "", "", "2026年3月6日", ""),
    ]  # fmt: skip
    assert good(csv_file(tmp_path, *lines)) == wanted(0, 1)


def test_a_second_table_below_may_have_its_columns_in_another_order(tmp_path: Path) -> None:
    again = ("等级", "单位名称", "信用代码", "评定日期", "")
    lines = [right(0), again, ("AA", NAMES[1], CODES[1], "2026-03-05", "")]
    assert good(csv_file(tmp_path, *lines)) == wanted(0, 1)


def test_of_the_grades_of_several_years_the_latest_counts(tmp_path: Path) -> None:
    header = ("企业名称", "统一社会信用代码", "2025年度信用等级", "2026年度信用等级", "评价日期")
    assert good(csv_file(tmp_path, (NAMES[0], CODES[0], "C", "AA", "2026-03-05"), header=header)) == wanted(0)


def test_a_row_with_a_grade_alone_is_said_to_be_wrong(tmp_path: Path) -> None:
    assert list(faults(examined(csv_file(tmp_path, right(0), ("", "", "AA", "", ""), right(1))))) == ["3"]


def test_lines_of_a_form_that_nobody_filled_in_are_no_rows(tmp_path: Path) -> None:
    lines = [(1, *right(0)), (2, *right(1)), (3, "", "", "", "", ""), (4, " ", "　", "", "", "")]
    assert good(xlsx_file(tmp_path, ("序号", *TITLES), *lines)) == wanted(0, 1)


def test_blank_and_foreign_columns_between_are_no_matter_and_rows_are_numbered_as_people_see_them(
    tmp_path: Path,
) -> None:
    header = ("", "企业名称", "", "联系人", "统一社会信用代码", "等级", "", "评价日期")
    lines = [
        ("", NAMES[0], "", "张三", CODES[0], "AA", "", "2026-03-05"),
        ("",) * 8,
        ("", NAMES[1], "", "", "", "", "", ""),
    ]
    rows = examined(xlsx_file(tmp_path, ("", ""), header, *lines))
    assert (rows[0].place, rows[0].code, rows[0].faults) == ("3", CODES[0], [])
    assert faults(rows) == {"5": ["grade_missing", "day_missing"]}


@pytest.mark.parametrize(
    "header",
    [
        ("企业名称（必填）", "*统一社会信用代码\n(18位)", "等级 【AAA-C】", "评价日期*", "有效期至："),
        ("1.企业名称", "2.统一社会信用代码", "3.等级", "4.评价日期", "5.有效期至"),
        ("单位名称", "社会统一信用代码", "信用等级", "评定日期", "有效期（止）"),
        ("企业名称/Company", "统一社会信用代码 USCC", "信用等级 Grade", "评价日期 Date", "有效期至 Valid until"),
        ("Name", "Credit Code", "Rating", "Evaluation date", "Valid until"),
        ("party_name", "entity_code", "grade", "evaluated_on", "valid_until"),
        ("企 业 名 称", "统一社会\r\n信用代码", "等　级", "评价\n日期", "有效期至"),
    ],
)
def test_titles_are_known_whatever_people_add_to_them(tmp_path: Path, header: Line) -> None:
    assert good(csv_file(tmp_path, right(0), header=header)) == wanted(0)


def test_of_two_columns_for_the_validity_the_one_that_ends_it_counts(tmp_path: Path) -> None:
    header = ("企业名称", "统一社会信用代码", "等级", "评价日期", "有效期（起）", "有效期（止）")
    line = (NAMES[0], CODES[0], "AA", "2026-03-05", "2026-03-05", "2028-03-04")
    assert good(csv_file(tmp_path, line, header=header)) == wanted(0, until="2028-03-04")


# ---- sheets ---------------------------------------------------------------------------------------------------------


def test_hidden_sheets_covers_and_instructions_are_none_of_it(tmp_path: Path) -> None:
    path = tmp_path / "sheets.xlsx"
    with xlsxwriter.Workbook(path) as book:
        fill(book.add_worksheet("封面"), [("演示行业协会",), ("2026年度",)])
        fill(
            book.add_worksheet("填写说明"),
            [("栏目", "是否必填", "填写内容"), ("企业名称", "必填", "登记的全称"), ("等级", "必填", "AAA、AA")],
        )
        fill(book.add_worksheet("名单"), [TITLES, right(0)])
        hidden, very = book.add_worksheet("去年"), book.add_worksheet("底稿")
        fill(hidden, [TITLES, right(1)])
        fill(very, [TITLES, right(2)])
        hidden.hide()
        very.very_hidden()
    assert good(path) == wanted(0)
    assert examined(path)[0].place == "2"


def test_several_sheets_are_read_by_what_their_titles_mean(tmp_path: Path) -> None:
    path = tmp_path / "sheets.xlsx"
    with xlsxwriter.Workbook(path) as book:
        fill(book.add_worksheet("一月"), [TITLES, right(0)])
        fill(
            book.add_worksheet("A&B '2' 月"),
            [("备注栏",), ("信用等级", "发证日期", "单位名称", "信用代码"), ("AA", "2026.3.5", NAMES[1], CODES[1])],
        )
        fill(book.add_worksheet("空白"), [])
    assert good(path) == wanted(0, 1)
    assert [row.place for row in examined(path)] == ["一月!2", "A&B '2' 月!3"]


def test_a_hidden_column_counts_only_where_no_visible_one_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "columns.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        fill(sheet, [("等级", *TITLES), ("C", *right(0))])
        sheet.set_column(0, 0, 10, None, {"hidden": True})
        sheet.set_column(2, 2, 10, None, {"hidden": True})
    assert good(path) == wanted(0)


def test_a_workbook_whose_only_table_is_hidden_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "hidden.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("首页").activate()
        sheet = book.add_worksheet("名单")
        fill(sheet, [TITLES, right(0)])
        sheet.hide()
    assert refusal(path) == "batch-empty"


# ---- cells ----------------------------------------------------------------------------------------------------------


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


@pytest.mark.parametrize(
    "written",
    [
        full_width(CODES[0]), CODES[0].lower(), f"'{CODES[0]}", f"’{CODES[0]}",
        f" {CODES[0][:6]} {CODES[0][6:12]}\t{CODES[0][12:]} ",
        f"\u200b{CODES[0]}\ufeff", f"{CODES[0]}\u00a0\u3000", f"{CODES[0][:8]}-{CODES[0][8:]}",
        f"\u202d{CODES[0]}\u202c", f"{CODES[0]}\n",
        f"代码：{CODES[0]}", f"{CODES[0]}(1-1)",
    ],
)  # fmt: skip
def test_a_code_is_read_in_any_width_case_and_spacing(tmp_path: Path, written: str) -> None:
    line = (NAMES[0], written, "AA", "2026-03-05", "")
    assert good(csv_file(tmp_path, line)) == wanted(0)
    assert good(xlsx_file(tmp_path, TITLES, line)) == wanted(0)


@pytest.mark.parametrize("blank", ["　", "\u00a0", " \t", "\u200b", "\r\n"])
def test_blanks_that_nobody_sees_are_no_part_of_a_cell(tmp_path: Path, blank: str) -> None:
    line = tuple(f"{blank}{cell}{blank}" for cell in right(0))
    assert good(xlsx_file(tmp_path, TITLES, line, (blank,) * 5, ("", blank, "", "", ""))) == wanted(0)
    assert good(csv_file(tmp_path, (*line, "", "", blank), (blank,) * 5)) == wanted(0)


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-05", "2026.3.5", "2026/3/5", "2026年3月5日", "2026 年 3 月 5 日", "二〇二六年三月五日",
        "二○二六年三月五日", "二O二六年三月五日",
        "20260305", "20260305.0", "46086", "46086.75", "２０２６．３．５", "2026年03月05号", "2026-03-05 00:00:00",
        "2026-03-05T09:30:00",
        "2026-03-04T16:00:00.000Z", "2026-03-05T00:00:00+08:00", "2026年3月5日 星期四", "2026。3。5", "2026—3—5",
        "5-Mar-2026", "March 5, 2026", "Thu Mar 05 2026", "'2026-03-05", "2026、3、5", "2026 3 5", "贰零贰陆年叁月伍日",
    ],
)  # fmt: skip
def test_a_day_is_read_however_it_is_written(tmp_path: Path, written: str) -> None:
    assert good(csv_file(tmp_path, right(0, day=written))) == wanted(0)


@pytest.mark.parametrize(
    "written",
    ["2026-02-30", "5/3/2026", "2026年3月", "26.3.5", "三月五日", "2026-13-01", "昨天", "202635", "2026-03-055"],
)
def test_what_is_no_day_or_more_than_one_is_not_guessed(tmp_path: Path, written: str) -> None:
    assert faults(examined(csv_file(tmp_path, right(0, day=written)))) == {"2": ["day_unreadable"]}


@pytest.mark.parametrize("old_epoch", [False, True], ids=["1900", "1904"])
def test_days_that_a_workbook_keeps_as_numbers_are_days(tmp_path: Path, old_epoch: bool) -> None:
    serial = (date(2026, 3, 5) - (date(1904, 1, 1) if old_epoch else date(1899, 12, 30))).days
    lines = [
        right(0, day=datetime.fromisoformat("2026-03-05")),
        right(1, day=serial),
        right(2, day=20260305),
        right(3, day=datetime.fromisoformat("2026-03-05T16:30")),
    ]
    assert good(xlsx_file(tmp_path, TITLES, *lines, date_1904=old_epoch)) == wanted(0, 1, 2, 3)


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("2026.3.5-2029.3.4", "2029-03-04"), ("2026-03-05至2028-03-04", "2028-03-04"),
        ("2026-03-05-2028-03-04", "2028-03-04"), ("2026年3月5日—2028年3月4日", "2028-03-04"),
        ("自2026年3月5日起至2028年3月4日止", "2028-03-04"), ("至2028年3月4日止", "2028-03-04"),
        ("20260305-20280304", "2028-03-04"), ("2026/3/5 ~ 2028/3/4", "2028-03-04"),
        ("2026.3.5—2028.3.4（二年）", "2028-03-04"), ("2029年3月5日", "2029-03-05"),
        ("3年", "2029-03-04"), ("三年", "2029-03-04"), ("两年", "2028-03-04"), ("24个月", "2028-03-04"),
        ("/", "2029-03-04"), ("—", "2029-03-04"),
    ],
)  # fmt: skip
def test_the_end_of_a_validity_is_read_however_it_is_written(tmp_path: Path, written: str, end: str) -> None:
    assert good(csv_file(tmp_path, right(0, until=written))) == wanted(0, until=end)


def test_a_validity_without_end_is_too_long_where_the_scheme_has_a_term_and_open_where_it_has_none(
    tmp_path: Path,
) -> None:
    path = csv_file(tmp_path, right(0, until="长期"), right(1, until="2026-03-05至长期"))
    assert faults(examined(path)) == {"2": ["until_long"], "3": ["until_long"]}
    open_ended = schemes.parse({**members.DEFINITION, "validity_months": None})
    assert [(row.until, row.faults) for row in examined(path, definition=open_ended)] == [("", []), ("", [])]


@pytest.mark.parametrize("written", ["AA", "aa", "ＡＡ", "AA级", "AA 级", " A A ", "AA（优良）", "信用AA"])
def test_a_grade_is_read_in_any_width_case_and_dress(tmp_path: Path, written: str) -> None:
    assert good(csv_file(tmp_path, right(0, grade=written))) == wanted(0)


def test_a_code_that_a_spreadsheet_rounded_is_told_apart_from_a_wrong_one(tmp_path: Path) -> None:
    numbered = [
        (NAMES[0], 913101011324142057, "AA", "2026-03-05", ""),
        (NAMES[1], "9.1310E+17", "AA", "2026-03-05", ""),
    ]
    rows = examined(xlsx_file(tmp_path, TITLES, *numbered, (NAMES[2], CODES[2][:-1], "AA", "2026-03-05", "")))
    assert faults(rows) == {"2": ["code_number"], "3": ["code_number"], "4": ["code_invalid"]}


@pytest.mark.parametrize("nothing", ["", "/", "无", "—", "N/A"])
def test_a_name_without_a_code_waits_for_a_person_and_a_row_without_both_is_wrong(tmp_path: Path, nothing: str) -> None:
    lines = [(NAMES[0], nothing, "AA", "2026-03-05", ""), ("", nothing, "AA", "2026-03-05", "")]
    rows = examined(csv_file(tmp_path, *lines))
    assert (rows[0].name, rows[0].code, rows[0].faults) == (NAMES[0], "", [])
    assert faults(rows) == {"3": ["nothing_named"]}


def test_the_same_evaluation_twice_is_found_by_code_and_by_name_and_another_days_is_none(tmp_path: Path) -> None:
    named = (NAMES[2], "", "AA", "2026-03-05", "")
    lines = [
        right(0),
        right(0, day="2026年3月5日"),
        right(0, day="2025-03-05"),
        named,
        (full_width(NAMES[2]), *named[1:]),
    ]
    rows = examined(csv_file(tmp_path, *lines))
    assert faults(rows) == {"3": ["twice"], "6": ["twice"]}
    assert [fault[3] for row in rows for fault in row.faults] == ["2", "5"]


def test_every_fault_of_a_row_is_said_with_its_column(tmp_path: Path) -> None:
    header = ("企业名称", "代码", "信用等级", "评定日期", "有效期")
    rows = examined(csv_file(tmp_path, (NAMES[0], "91", "特级", "昨天", "很久"), header=header))
    assert [tuple(fault[:3]) for fault in rows[0].faults] == [
        ("代码", "code_invalid", "91"), ("信用等级", "grade_unknown", "特级"), ("评定日期", "day_unreadable", "昨天"),
    ]  # fmt: skip


# ---- text files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\r"])
def test_any_encoding_and_any_line_break_is_read(tmp_path: Path, encoding: str, breaks: str) -> None:
    path = tmp_path / "batch.csv"
    path.write_bytes(as_csv([TITLES, right(0), right(1)]).replace("\r\n", breaks).encode(encoding))
    assert good(path) == wanted(0, 1)


def test_big_endian_text_with_its_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "batch.csv"
    path.write_bytes(codecs.BOM_UTF16_BE + as_csv([TITLES, right(0)]).encode("utf-16-be"))
    assert good(path) == wanted(0)


@pytest.mark.parametrize("order", [("gb18030", "utf-8"), ("utf-8", "gb18030")])
def test_a_file_glued_together_of_two_encodings_is_read_line_by_line(tmp_path: Path, order: tuple[str, str]) -> None:
    path = tmp_path / "batch.csv"
    parts = [as_csv([TITLES, right(0), right(1)]), as_csv([right(2), right(3), right(4)])]
    path.write_bytes(b"".join(part.encode(encoding) for part, encoding in zip(parts, order, strict=True)))
    assert good(path) == wanted(0, 1, 2, 3, 4)


def test_an_encoding_that_shows_only_far_down_is_read(tmp_path: Path) -> None:
    rng = random.Random(9)
    plain = "".join(f",{codes.made_up('91', rng)},AA,2026-03-05,\r\n" for _ in range(9_000))
    path = tmp_path / "batch.csv"
    path.write_bytes(("name,code,grade,date,valid_until\r\n" + plain + as_csv([right(0)])).encode("gb18030"))
    assert good(path)[-1] == wanted(0)[0]


def test_a_row_with_bytes_of_no_encoding_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "batch.csv"
    broken = as_csv([right(1)]).encode().replace("虚构".encode(), b"\xff\xfe\xff")
    path.write_bytes(as_csv([TITLES, right(0)]).encode() + broken + as_csv([right(2)]).encode())
    assert faults(examined(path)) == {"3": ["encoding"]}


@pytest.mark.parametrize("separator", [";", "\t", "|", "，"])
def test_other_separators_are_found_by_the_header_even_where_commas_are_more(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "batch.csv"
    remark = "a,b,c,d,e,f,g,h"
    path.write_text(as_csv([(*TITLES, "备注"), (*right(0), remark), (*right(1), remark)], separator), encoding="utf-8")
    assert good(path) == wanted(0, 1)


def test_line_breaks_in_quotations_are_part_of_a_cell_and_rows_are_counted_as_a_spreadsheet_counts(
    tmp_path: Path,
) -> None:
    rows = examined(
        csv_file(tmp_path, (NAMES[0].replace("贸易", "\n贸易"), *right(0)[1:]), ("", "", "AA", "2026-03-05", ""))
    )
    assert rows[0].code == CODES[0]
    assert faults(rows) == {"3": ["nothing_named"]}


def test_nul_bytes_are_no_part_of_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "batch.csv"
    path.write_bytes(as_csv([TITLES, right(0)]).replace("AA", "A\0A\0").encode())
    assert good(path) == wanted(0)


@pytest.mark.parametrize("following", [1, 30])
def test_a_quotation_mark_that_never_closes_is_named_with_its_row(tmp_path: Path, following: int) -> None:
    path = tmp_path / "batch.csv"
    rest = as_csv(right(number) for number in range(2, 2 + following))
    path.write_text(as_csv([TITLES, right(0)]) + f'"{NAMES[1]},{CODES[1]},AA,2026-03-05,\r\n' + rest, encoding="utf-8")
    with pytest.raises(examining.Unreadable) as refused:
        examined(path)
    assert (refused.value.slug, refused.value.values) == ("batch-quote", {"row": 3})


def test_json_lines_are_read_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    said: list[Any] = [
        dict(zip(TITLES, right(0), strict=True)),
        {
            "统一社会信用代码": CODES[1],
            "等级": "AA",
            "评价日期": 20260305,
            "企业名称": NAMES[1],
            "有效期至": None,
            "x": {"y": [1]},
        },
        {"party_name": NAMES[2]},
        ["no object"],
        {"企业名称": "\ud800甲\0公司", "统一社会信用代码": 913101011324142057.5, "等级": ["AA"], "评价日期": True},
    ]
    lines = [json.dumps(one) for one in said]
    path.write_text("\n".join([lines[0], "", lines[1], '{"broken": ', *lines[2:]]), encoding="utf-8")
    rows = examined(path)
    assert [(row.name, row.code, row.day, row.until) for row in rows[:2]] == [
        (NAMES[0], CODES[0], "2026-03-05", "2029-03-04"), (NAMES[1], CODES[1], "2026-03-05", "2029-03-04"),
    ]  # fmt: skip
    wrong = faults(rows)
    assert list(wrong) == ["4", "5", "6", "7"]
    assert (wrong["4"], wrong["6"]) == (["json"], ["json"])
    assert "code_number" in wrong["7"]
    assert "grade_unknown" in wrong["7"]
    "".join(row.name for row in rows).encode()


def test_a_key_that_first_shows_far_down_is_a_column_too(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    rng = random.Random(4)
    first = [{"code": codes.made_up("91", rng), "grade": "AA", "date": "2026-03-05"} for _ in range(1_000)]
    last = {"code": CODES[0], "grade": "AA", "date": "2026-03-05", "valid_until": "2028-03-04"}
    path.write_text("\n".join(json.dumps(one) for one in [*first, last]))
    assert examined(path)[-1].until == "2028-03-04"


@pytest.mark.parametrize(
    ("name", "slug"), [("a.csv", "batch-empty"), ("a.jsonl", "batch-empty"), ("a.xlsx", "batch-broken")]
)
@pytest.mark.parametrize("content", [b"", b"\n\r\n\n", "\ufeff".encode()])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, slug: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name) == slug


def test_a_file_without_header_and_one_without_a_needed_column_are_refused(tmp_path: Path) -> None:
    assert refusal(csv_file(tmp_path, right(1), header=right(0))) == "batch-no-header"
    assert refusal(csv_file(tmp_path, right(0)[:3], header=TITLES[:3])) == "batch-columns-missing"
    assert refusal(xlsx_file(tmp_path, right(0))) == "batch-no-header"


# ---- formulas -------------------------------------------------------------------------------------------------------


def test_a_formula_rejects_its_row_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "formulas.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        fill(sheet, [("=1+1",), TITLES, *(right(number) for number in range(5)), ("合计", "=COUNTA(A3:A7)")])
        sheet.write_formula(3, 2, '="A"&"A"', None, "AA")
        sheet.write_array_formula(5, 2, 5, 2, '{="AA"}', None, "AA")
    assert faults(examined(path)) == {"4": ["formula"], "6": ["formula"]}


FORMULA_CELLS = (
    '<c r="C3" t="str"><f>"A"&amp;"A"</f><v>AA</v></c>',
    '<c t="str" s="0" r="C3"><f t="shared" si="0"/><v>AA</v></c>',
    "<c t='str' r='C3'>\n <f t='array' ref='C3'>A1</f><v>AA</v></c>",
    '<c t="str"  r = "C3" ><v>AA</v><f>A1</f></c>',
    '<c r="C3" t="str"><f/><v>AA</v></c>',
)


@pytest.mark.parametrize("formula", FORMULA_CELLS)
@pytest.mark.parametrize("prefix", ["", "x", "main"])
def test_a_formula_is_found_however_the_sheet_is_written(tmp_path: Path, formula: str, prefix: str) -> None:
    rows = workbook.row(1, *TITLES) + workbook.row(2, *right(0))
    rows += workbook.row(3, *right(1)).replace(workbook.cell("C3", "AA"), formula) + workbook.row(4, *right(2))
    sheet = workbook.sheet(rows)
    if prefix:
        for name in ("worksheet", "sheetData", "row", "c", "f", "v", "is", "t"):
            for before in ("<", "</"):
                for after in (" ", ">", "/"):
                    sheet = sheet.replace(f"{before}{name}{after}", f"{before}{prefix}:{name}{after}")
        sheet = sheet.replace("xmlns=", f"xmlns:{prefix}=")
    assert faults(examined(workbook.write(tmp_path / "prefix.xlsx", sheet))) == {"3": ["formula"]}


def test_a_formula_is_found_in_rows_and_cells_that_are_not_numbered(tmp_path: Path) -> None:
    rows = "".join(workbook.row(number, *line) for number, line in enumerate([TITLES, right(0), right(1)], start=1))
    rows = rows.replace(workbook.cell("C3", "AA"), '<c t="str"><f>A1</f><v>AA</v></c>').replace('<row r="3">', "<row>")
    assert faults(examined(workbook.write(tmp_path / "bare.xlsx", workbook.sheet(rows)))) == {"3": ["formula"]}


def test_a_formula_in_text_files_rejects_its_row(tmp_path: Path) -> None:
    assert faults(examined(csv_file(tmp_path, (*right(0), "=1+1"), right(1)))) == {"2": ["formula"]}
    path = tmp_path / "batch.jsonl"
    path.write_text(
        "\n".join(json.dumps(dict(zip(TITLES, line, strict=True))) for line in [("=A1", *right(0)[1:]), right(1)])
    )
    assert faults(examined(path)) == {"1": ["formula"]}


def refusal(path: Path, form: str = "") -> str:
    """The word of the sentence by which a file is refused."""
    from partners import uploads

    with pytest.raises(examining.Unreadable) as refused:
        examined(path, form)
    problem = uploads.UNREADABLE[refused.value.slug](**refused.value.values)
    assert str(problem.title % refused.value.values)
    return refused.value.slug
