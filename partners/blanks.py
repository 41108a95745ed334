"""Templates to fill in: a scheme's columns as CSV, XLSX or JSON lines, with the code lists inside."""

import csv
import io
import json
from collections.abc import Sequence

from partners.schemes import TITLES, Definition

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson",
}
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


def example(definition: Definition) -> dict[str, str]:
    """One made-up row: an entity that cannot exist."""
    grade = definition.grades[0].code if definition.grades else ""
    certificate = definition.certificate
    number = ""
    if certificate and certificate.grade_at is not None and certificate.pattern in {r"\d{15}", "[0-9]{15}"}:
        number = f"2026001{certificate.grade_digits[grade]}00001"[:15]
    row = {
        "企业名称": "（示例，请删除）演示贸易有限公司", "统一社会信用代码": "91310199MA00000000", "等级": grade,
        "评价日期": "2026-03-05", "有效期至": "2029-03-04", "证书编号": number,
    }  # fmt: skip
    said = {title: row.get(title, "") for title in titles(definition)}
    for column in definition.columns:
        said[column.title] = (
            column.choices[0]
            if column.choices
            else {"number": "1.5", "integer": "1", "date": "2026-03-05"}.get(column.type, "")
        )
    return said


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
            "必填" if certificate and certificate.required else "选填", certificate.pattern if certificate else ""
        ),
    }  # fmt: skip
    rows = [(title, *base[title]) for title in titles(definition) if title in base]
    kinds = {"text": "文字", "number": "数字", "integer": "整数", "date": "日期", "choice": ""}
    for column in definition.columns:
        holds = "、".join(column.choices) or kinds[column.type]
        shown = holds if column.public else f"{holds}（不公开）"
        rows.append((column.title, "必填" if column.required else "选填", shown))
    return rows


def make(definition: Definition, form: str) -> bytes:
    """The template in one of MEDIA_TYPES."""
    head, row = titles(definition), example(definition)
    if form == "jsonl":
        return (json.dumps(row, ensure_ascii=False) + "\n").encode()
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(head)
        writer.writerow([row[title] for title in head])
        return text.getvalue().encode("utf-8-sig")
    return _workbook(definition, head, row)


def _workbook(definition: Definition, head: Sequence[str], row: dict[str, str]) -> bytes:
    import xlsxwriter

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
            letter = chr(ord("A") + column)
            source = f"=代码表!${letter}$2:${letter}${len(choices) + 1}"
            sheet.data_validation(1, at, ROWS, at, {"validate": "list", "source": source})
    book.close()
    return made.getvalue()
