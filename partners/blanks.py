"""Templates to fill in: a scheme's columns as CSV, XLSX or JSON lines, with the code lists inside."""

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import date, timedelta

from partners.schemes import TITLES, Certificate, Definition
from record.publication import months_after

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson",
}
NOTE = "说明"
"""Key of a line of JSON that explains."""
ROWS = 10_000
"""Rows of the workbook whose cells offer the code list."""


def titles(definition: Definition) -> list[str]:
    """The columns of the template, in its order."""
    base = [title for field, title in TITLES.items() if _has(definition, field)]
    return base + [column.title for column in definition.columns]


def _has(definition: Definition, field: str) -> bool:
    if field == "grade":
        return definition.kind == "rating"
    if field == "certificate_number":
        return definition.certificate is not None
    return True


_ALL_DIGITS = re.compile(r"(?:\\d|\[0-9\])\{(\d+)\}")
"""A pattern that says no more than how many digits there are."""
EVALUATED = "2026-03-05"


def digits_of(certificate: Certificate) -> int | None:
    """How many digits a certificate number has, where its pattern says just that."""
    found = _ALL_DIGITS.fullmatch(certificate.pattern)
    return int(found[1]) if found else None


def certificate_example(definition: Definition) -> str:
    """A made-up number for the best grade; empty where the pattern asks for more than digits."""
    certificate = definition.certificate
    length = digits_of(certificate) if certificate else None
    if certificate is None or length is None:
        return ""
    number = "0" * (length - 1) + "1" if length else ""
    parts = [(certificate.year_at, EVALUATED[:4])]
    if definition.grades and certificate.grade_digits:
        parts.append((certificate.grade_at, certificate.grade_digits[definition.grades[0].code]))
    for at, text in parts:
        if at is not None:
            number = number[:at] + text + number[at + len(text) :]
    return number if re.fullmatch(certificate.pattern, number) else ""


def example(definition: Definition) -> dict[str, str]:
    """One made-up row: an entity that cannot exist."""
    until = months_after(date.fromisoformat(EVALUATED), definition.validity_months or 12) - timedelta(days=1)
    row = {
        "企业名称": "（示例，请删除）演示贸易有限公司", "统一社会信用代码": "91310199MA00000000",
        "等级": definition.grades[0].code if definition.grades else "", "评价日期": EVALUATED,
        "有效期至": until.isoformat(), "证书编号": certificate_example(definition),
    }  # fmt: skip
    said = {title: row.get(title, "") for title in titles(definition)}
    for column in definition.columns:
        said[column.title] = (
            column.choices[0]
            if column.choices
            else {"number": "1.5", "integer": "1", "date": EVALUATED}.get(column.type, "")
        )
    return said


def _certificate_in_words(definition: Definition) -> str:
    certificate = definition.certificate
    if certificate is None:
        return ""
    length = digits_of(certificate)
    words = [f"{length}位数字" if length else f"格式 {certificate.pattern}"]
    if certificate.year_at is not None:
        words.append(f"第{certificate.year_at + 1}至{certificate.year_at + 4}位为评价年份")
    if certificate.grade_at is not None:
        width = len(next(iter(certificate.grade_digits.values())))
        said = "、".join(f"{grade.code} {certificate.grade_digits[grade.code]}" for grade in definition.grades)
        words.append(f"第{certificate.grade_at + 1}至{certificate.grade_at + width}位为等级代码（{said}）")
    return "，".join(words)


def needed(definition: Definition) -> list[tuple[str, str, str]]:
    """The columns that every scheme has, as far as this one's template has them: field, title, and how it is needed.

    `needed`, `one` (of the two that name the entity) or `optional`.
    """
    certificate = definition.certificate
    how = {"party_name": "one", "entity_code": "one", "grade": "needed", "evaluated_on": "needed"}
    if certificate and certificate.required:
        how["certificate_number"] = "needed"
    return [(field, title, how.get(field, "optional")) for field, title in TITLES.items() if _has(definition, field)]


def explained(definition: Definition) -> list[tuple[str, str, str]]:
    """For each column: its title, whether it is needed, and what it may hold."""
    grades = "、".join(f"{grade.code}（{grade.meaning}）" for grade in definition.grades)
    certificate, months = definition.certificate, definition.validity_months
    base = {
        "企业名称": ("与代码二选一", "登记的全称"),
        "统一社会信用代码": ("与名称二选一", "18位；老注册号15位"),
        "等级": ("必填", grades),
        "评价日期": ("必填", "2026-03-05；也可写 2026.3.5、2026年3月5日"),
        "有效期至": ("选填", f"空白则为{months}个月" if months else "空白则至下次评价"),
        "证书编号": (
            "必填" if certificate and certificate.required else "选填", _certificate_in_words(definition)
        ),
    }  # fmt: skip
    rows = [(title, *base[title]) for title in titles(definition) if title in base]
    kinds = {"text": "文字", "number": "数字", "integer": "整数", "date": "日期", "choice": ""}
    for column in definition.columns:
        holds = "、".join(column.choices) or kinds[column.type]
        shown = holds if column.public else f"{holds}（不公开）"
        rows.append((column.title, "必填" if column.required else "选填", shown))
    return rows


MOST_NOTES = 25
"""Lines above the header: a batch's header is looked for in the first lines of its file (`partners.reading`)."""


def notes(definition: Definition) -> list[str]:
    """The columns and the code lists in words, a line each; a reader of batches passes over them."""
    lines = [f"说明：{title}（{needed}）：{holds}" for title, needed, holds in explained(definition)]
    if len(lines) > MOST_NOTES:
        lines = [*lines[: MOST_NOTES - 1], "；".join(lines[MOST_NOTES - 1 :])]
    return lines


def make(definition: Definition, form: str) -> bytes:
    """The template in one of MEDIA_TYPES. What explains it is passed over when it is handed in filled in."""
    head, row = titles(definition), example(definition)
    if form == "jsonl":
        lines = [row, *({NOTE: line} for line in notes(definition))]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerows([line] for line in notes(definition))
        writer.writerow(head)
        writer.writerow([row[title] for title in head])
        return text.getvalue().encode("utf-8-sig")
    return _workbook(definition, head, row)


def _workbook(definition: Definition, head: Sequence[str], row: dict[str, str]) -> bytes:
    import xlsxwriter
    from xlsxwriter.utility import xl_range_abs

    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
    sheet = book.add_worksheet("填报")
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(head), 22, text)
    sheet.write_row(0, 0, head, bold)
    sheet.write_row(1, 0, [row[title] for title in head], text)
    lists: dict[str, list[str]] = {"等级": [grade.code for grade in definition.grades]}
    lists |= {column.title: list(column.choices) for column in definition.columns if column.choices}
    help_sheet = book.add_worksheet("填写说明")
    help_sheet.set_column(0, 2, 40)
    help_sheet.write_row(0, 0, ["栏目", "是否必填", "填写内容"], bold)
    for number, line in enumerate(explained(definition), start=1):
        help_sheet.write_row(number, 0, line)
    codes = book.add_worksheet("代码表")
    for column, (title, choices) in enumerate((title, choices) for title, choices in lists.items() if choices):
        codes.write_column(0, column, [title, *choices])
        if title in head:
            at = head.index(title)
            source = f"=代码表!{xl_range_abs(1, column, len(choices), column)}"
            sheet.data_validation(1, at, ROWS, at, {"validate": "list", "source": source})
    book.close()
    return made.getvalue()
