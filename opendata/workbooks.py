"""A small data set as a workbook that people open: titles, frozen; real days and numbers; codes and texts as text.

The same rows are the same bytes, on any day and any machine.
"""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from opendata.handing_back import harmless
from portal.kit.datasets import DataSet, Type

_MADE = datetime(2026, 1, 1)  # noqa: DTZ001  the format knows no zones; one moment for all, so that bytes are the same
_LONGEST_TEXT = 32_767
_EARLIEST_YEAR = 1900
"""The format's calendar begins here: what is older is written as text."""
_WIDTHS: dict[Type, int] = {"text": 24, "int": 12, "numeric": 16, "date": 12, "timestamp": 20, "bool": 8}


def write(path: Path, data_set: DataSet, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write a workbook: the rows under Chinese titles, then what each column and code means, in both languages."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(path, options) as book:
        book.set_properties({"title": data_set.titles[0], "created": _MADE})
        bold = book.add_format({"bold": True})
        days = {kind: book.add_format({"num_format": form}) for kind, form in (
            ("date", "yyyy-mm-dd"), ("timestamp", "yyyy-mm-dd hh:mm:ss"),
        )}  # fmt: skip
        sheet = book.add_worksheet("数据")
        for number, column in enumerate(data_set.columns):
            sheet.set_column(number, number, _WIDTHS[column.type])
        _titles(sheet, bold, [column.titles[0] for column in data_set.columns])
        formats = [days.get(column.type) for column in data_set.columns]
        for place, row in enumerate(rows, start=1):
            for number, (value, form) in enumerate(zip(row, formats, strict=True)):
                _write(sheet, place, number, value, form)
        _legend(book, bold, data_set)


def _titles(sheet: Worksheet, bold: Format, titles: Iterable[str]) -> None:
    sheet.freeze_panes(1, 0)
    for number, title in enumerate(titles):
        sheet.write_string(0, number, title, bold)


def _write(sheet: Worksheet, row: int, column: int, value: Any, form: Format | None) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, date) and value.year >= _EARLIEST_YEAR:
        sheet.write_datetime(row, column, value, form)
    elif isinstance(value, int | Decimal):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, harmless(str(value))[:_LONGEST_TEXT])


def _legend(book: Workbook, bold: Format, data_set: DataSet) -> None:
    """What the columns are called by programs and in English, what they mean, and what their codes stand for."""
    columns = book.add_worksheet("栏目 Columns")
    columns.set_column(0, 5, _WIDTHS["text"])
    _titles(columns, bold, ("栏目", "Column", "Name", "Type", "说明", "Meaning"))
    for place, one in enumerate(data_set.columns, start=1):
        for number, text in enumerate((*one.titles, one.name, one.type, *one.meaning)):
            columns.write_string(place, number, text)
    coded = [(one.name, code, *names) for one in data_set.columns for code, names in (one.codes or {}).items()]
    if coded:
        codes = book.add_worksheet("代码 Codes")
        codes.set_column(0, 3, _WIDTHS["text"])
        _titles(codes, bold, ("Column", "代码 Code", "名称", "Name"))
        for place, texts in enumerate(coded, start=1):
            for number, text in enumerate(texts):
                codes.write_string(place, number, text)
