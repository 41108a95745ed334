"""A batch given back as a workbook: their cells as they were read, and a column that says what is wrong.

Also the rejected rows alone, as CSV. No cell of either can make a spreadsheet program compute.
"""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import select

from partners import examining, staging, uploads
from partners.examining import Titles
from partners.faults import FAULTS, Found
from partners.models import Batch, BatchName
from portal.kit import db, i18n, storage

MARKED, REJECTS = "marked.xlsx", "rejects.csv"
PLACE, PROBLEM = "行号", "问题与改法"
"""Titles of the two columns that are added."""
MOST_SHEET_ROWS = 1_048_576
_COMPUTES = frozenset("=+-@＝＋－＠")


def mark(batch_id: str) -> None:
    """Write both files of a batch that was checked. Safe to repeat. Raises StorageAway."""
    with db.reading() as session:
        batch = session.get_one(Batch, batch_id)
        if batch.state not in {"checked", "accepting", "accepted"}:
            return
        rater = uploads.rater_of(session, batch)
        asked = select(BatchName.row).where(BatchName.batch_id == batch_id)
        unnamed = set(session.scalars(asked))
    with staging.local_file(batch) as path, i18n.speaking("zh"):
        wrong = _wrong(batch_id)
        rows = _beside(examining.raw(path, batch.form, rater.definition), wrong, unnamed)
        header = next(rows)
        with tempfile.TemporaryDirectory(prefix="marked-") as folder:
            workbook, table = Path(folder) / MARKED, Path(folder) / REJECTS
            _write(header, rows, workbook, table)
            storage.put_file(staging.key(batch_id, REJECTS), table)
            storage.put_file(staging.key(batch_id, MARKED), workbook)


def is_ready(batch_id: str) -> bool:
    """Whether the workbook is written."""
    return any(key.endswith(MARKED) for key in storage.keys(f"batches/{batch_id}"))


def _wrong(batch_id: str) -> Iterator[tuple[str, list[Found]]]:
    for place, faults in staging.lines(batch_id, "faults"):
        yield place, [Found(*fault) for fault in faults]


def told(fault: Found) -> tuple[str, str]:
    """What is wrong with a cell, and what to do, in the language that is spoken."""
    known = FAULTS[fault.code]
    values = {"value": fault.value, "expected": fault.expected}
    return i18n.gettext(known.title, **values), i18n.gettext(known.remedy, **values)


def sentence(fault: Found) -> str:
    """Both in one line, with the column."""
    said = "".join(told(fault))
    return f"【{fault.column}】{said}" if fault.column else said


def _beside(
    read: Iterable[Titles | list[tuple[str, Sequence[str]]]],
    wrong: Iterator[tuple[str, list[Found]]],
    unnamed: set[str],
) -> Iterator[tuple[str, Sequence[str], str]]:
    """Their rows with what is wrong with each; first the header. Both come in the file's order."""
    ahead = next(wrong, None)
    for part in read:
        if not isinstance(part, list):
            yield PLACE, part.titles, PROBLEM
            continue
        for place, cells in part:
            said = ""
            if ahead and ahead[0] == place:
                said = "\n".join(map(sentence, ahead[1]))
                ahead = next(wrong, None)
            elif place in unnamed:
                said = sentence(Found("", "not_confirmed"))
            yield place, cells, said


def _write(
    header: tuple[str, Sequence[str], str], rows: Iterator[tuple[str, Sequence[str], str]], workbook: Path, table: Path
) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(
        workbook, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    sheet = book.add_worksheet("校验结果")
    bold, bad = book.add_format({"bold": True}), book.add_format({"font_color": "#9c0006", "bg_color": "#ffc7ce"})
    sheet.freeze_panes(1, 0)
    sheet.set_column(1, 1, 60)
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        rejects = csv.writer(file)
        place, titles, problem = header
        for column, title in enumerate((place, problem, *titles)):
            sheet.write_string(0, column, title, bold)
        rejects.writerow([place, problem, *map(harmless, titles)])
        for number, (place, cells, said) in enumerate(rows, start=1):
            if number < MOST_SHEET_ROWS:
                sheet.write_string(number, 0, place)
                if said:
                    sheet.write_string(number, 1, said, bad)
                for column, cell in enumerate(cells, start=2):
                    if cell:
                        sheet.write_string(number, column, cell)
            if said:
                rejects.writerow(map(harmless, (place, said.replace("\n", " "), *cells)))
    book.close()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet program takes for a formula (CWE-1236), whatever blanks stand before it."""
    if not cell or cell[0].isalnum():
        return cell
    bare = cell.strip()
    return f"'{cell}" if cell[0] in "\t\r\n" or (bare and bare[0] in _COMPUTES) else cell
