"""A matched list given back: the visitor's own columns, and beside them what the register says. CSV and XLSX."""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from opendata.lists import Shown
from portal.kit import i18n
from record import codes

_COMPUTES = frozenset("=+-@＝＋－＠\t\r\n")


def harmless(cell: str) -> str:
    """A cell that no spreadsheet program takes for a formula (CWE-1236), whatever blanks stand before it."""
    return f"'{cell}" if _COMPUTES & {cell[:1], cell.strip()[:1]} else cell


def state_name(state: str) -> str:
    """What the state of a row is called in the language that is spoken."""
    return {
        "waiting": i18n.gettext("Not looked at yet"),
        "sure": i18n.gettext("Certain"),
        "chosen": i18n.gettext("Chosen by you"),
        "likely": i18n.gettext("To check"),
        "none": i18n.gettext("Nobody"),
    }[state]


def titles(header: Sequence[str]) -> list[str]:
    """The columns of the table that is given back."""
    added = (
        i18n.gettext("Match"), i18n.gettext("Credit code"), i18n.gettext("Registered name"), i18n.gettext("Status"),
        i18n.gettext("Lists that it stands on"), i18n.gettext("Score"),
    )  # fmt: skip
    return [*header, *added]


def rows(pages: Iterable[Sequence[Shown]]) -> Iterator[list[str]]:
    """The rows of the table that is given back."""
    language = i18n.current()
    for page in pages:
        for shown in page:
            one = shown.entity
            yield [
                *shown.row.cells, state_name(shown.row.state), one.code if one else "", one.name if one else "",
                codes.label(codes.ENTITY_STATUSES, one.status, language) or "" if one else "",
                "; ".join(codes.label(codes.LISTS, flag, language) or flag for flag in one.flags) if one else "",
                f"{shown.row.score:g}" if one and shown.row.score is not None else "",
            ]  # fmt: skip


def as_csv(header: Sequence[str], pages: Iterable[Sequence[Shown]]) -> Iterator[bytes]:
    """The table as CSV, some hundred rows at a time; with a mark that spreadsheet programs know UTF-8 by."""
    out = io.StringIO("\ufeff")
    out.seek(1)
    table = csv.writer(out)
    table.writerow(map(harmless, titles(header)))
    for page in pages:
        table.writerows(map(harmless, row) for row in rows([page]))
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def as_workbook(header: Sequence[str], pages: Iterable[Sequence[Shown]]) -> Path:
    """The table as a workbook in a file of its own, which whoever asked for it removes. Every cell is text."""
    import xlsxwriter

    with tempfile.NamedTemporaryFile(prefix="matched-", suffix=".xlsx", delete=False) as file:
        path = Path(file.name)
    book = xlsxwriter.Workbook(path, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet, bold = book.add_worksheet(), book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for column, title in enumerate(titles(header)):
        sheet.write_string(0, column, title, bold)
    for number, row in enumerate(rows(pages), start=1):
        for column, cell in enumerate(row):
            if cell:
                sheet.write_string(number, column, cell)
    book.close()
    return path
