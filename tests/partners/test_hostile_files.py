"""Files that mean harm, or are no tables, are refused in a sentence: no crash, no hang, no memory without end."""

import contextlib
import json
import os
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partners import examining
from tests.partners import workbook
from tests.partners.test_reading import CODES, DEFINITION, NAMES, TITLES, TODAY, as_csv, faults, refusal, right

MB = 2**20
A_LINE = json.dumps(dict(zip(TITLES, right(0), strict=True)))
HEADER = workbook.row(1, *TITLES) + workbook.row(2, *right(0))


ALONE = """
import resource, sys
from datetime import date
from pathlib import Path

from partners import examining, schemes
from tests import members
from tests.partners.test_reading import TODAY

if __name__ == "__main__":
    path = Path(sys.argv[1])
    try:
        for _ in examining.examine(path, path.suffix[1:], schemes.parse(members.DEFINITION), TODAY):
            pass
    except examining.Unreadable as refusal:
        print(refusal.slug, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def in_the_child(path: Path) -> str:
    """The word by which the child refuses a file; it may take neither half a minute nor a gigabyte.

    A child's largest memory begins with that of the process it was made from, so a small one asks.
    """
    script = path.with_suffix(".py")
    script.write_text(ALONE)
    asked = [sys.executable, str(script), str(path)]
    house = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True, env=house)
    slug, kilobytes = answer.stdout.split()
    assert int(kilobytes) <= MB, "a gigabyte"
    return slug


def with_claim(path: Path, name: str, size: int) -> Path:
    """The package, of which one part claims to unpack to so many bytes."""
    content = bytearray(path.read_bytes())
    for mark, size_at, name_at in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        at = content.find(mark)
        while at >= 0:
            if content[at + name_at :].startswith(name.encode()):
                struct.pack_into("<I", content, at + size_at, size)
            at = content.find(mark, at + 4)
    path.write_bytes(content)
    return path


# ---- packages -------------------------------------------------------------------------------------------------------


def test_a_part_that_claims_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = workbook.write(tmp_path / "claim.xlsx", workbook.sheet(HEADER))
    assert refusal(with_claim(path, "xl/worksheets/sheet1.xml", 2**31)) == "batch-bomb"


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/styles.xml"])
def test_a_bomb_that_claims_to_be_small_is_refused(tmp_path: Path, part: str) -> None:
    path = workbook.write(tmp_path / "bomb.xlsx", workbook.sheet(HEADER))
    kept = {"xl/styles.xml": "<styleSheet>", "xl/worksheets/sheet1.xml": workbook.sheet(HEADER)}[part]
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist() if name != part}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        with archive.open(part, "w", force_zip64=False) as stream:
            stream.write(kept[:-30].encode() if part.endswith("sheet1.xml") else kept.encode())
            for _ in range(120):
                stream.write(b" " * MB)
    assert in_the_child(with_claim(path, part, 2_000)) in {"batch-bomb", "batch-broken"}


def test_a_sheet_without_end_is_refused_for_its_rows(tmp_path: Path) -> None:
    rows = HEADER + '<row r="2000001"><c r="A2000001"><v>1</v></c></row>'
    assert refusal(workbook.write(tmp_path / "long.xlsx", workbook.sheet(rows))) == "batch-too-long"


@pytest.mark.parametrize("place", ["XFD1048576", "ABC2", "ZZZZZZ9"])
def test_a_cell_in_a_far_corner_is_refused(tmp_path: Path, place: str) -> None:
    rows = HEADER + f'<row r="1048576"><c t="n" r="{place}"><v>1</v></c></row>'
    assert refusal(workbook.write(tmp_path / "far.xlsx", workbook.sheet(rows))) == "batch-too-wide"


def test_formats_without_content_in_a_far_corner_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "formats.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number, line in enumerate((TITLES, right(0))):
            sheet.write_row(number, 0, line)
        sheet.write_blank(1, 16_383, None, book.add_format({"bold": True}))
        sheet.write_blank(1_048_575, 3, None, book.add_format({"bold": True}))
    rows = [part for part in examining.examine(path, "xlsx", DEFINITION, TODAY) if isinstance(part, list)]
    assert [(row.code, row.faults) for part in rows for row in part] == [(CODES[0], [])]


def test_a_long_text_between_two_tags_is_refused(tmp_path: Path) -> None:
    strings = f"<sst><si><t>{'a' * 30 * MB}</t></si></sst>"
    rows = HEADER + "".join(f'<row r="{at}"><c r="A{at}" t="s"><v>0</v></c></row>' for at in range(3, 2_000))
    path = workbook.write(tmp_path / "strings.xlsx", workbook.sheet(rows), sharedStrings=strings)
    assert refusal(path) == "batch-bomb"
    inline = workbook.sheet(HEADER + workbook.row(3, "a" * 3 * MB))
    assert refusal(workbook.write(tmp_path / "inline.xlsx", inline)) == "batch-bomb"


def test_a_list_of_a_million_sheets_or_of_three_hundred_is_refused(tmp_path: Path) -> None:
    for count in (300, 1_000_000):
        listed = "".join(f'<sheet name="{at}" sheetId="1" r:id="rId1"/>' for at in range(count))
        book = workbook.book().replace("</sheets>", listed + "</sheets>")
        path = workbook.write(tmp_path / "sheets.xlsx", workbook.sheet(HEADER), workbook=book)
        assert refusal(path) == "batch-bomb"


def test_two_sheets_of_one_name_are_refused_for_nobody_knows_which_is_hidden(tmp_path: Path) -> None:
    book = workbook.book("名单", "名单").replace("<sheet ", '<sheet state="hidden" ', 1)
    path = workbook.write(tmp_path / "twins.xlsx", workbook.sheet(HEADER), workbook.sheet(HEADER), workbook=book)
    assert refusal(path) == "batch-broken"


def test_what_a_sheet_claims_of_its_size_is_not_believed(tmp_path: Path) -> None:
    claim = workbook.sheet(HEADER).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')
    parts = examining.examine(workbook.write(tmp_path / "claim.xlsx", claim), "xlsx", DEFINITION, TODAY)
    assert [row.code for part in parts if isinstance(part, list) for row in part] == [CODES[0]]


def test_a_sheet_that_would_fill_the_memory_ends_the_child_alone(tmp_path: Path) -> None:
    far = workbook.sheet(HEADER + '<row r="1048576"><c r="KM1048576"><v>1</v></c></row>')
    assert in_the_child(workbook.write(tmp_path / "vast.xlsx", far)) == "batch-bomb"


def test_entities_that_multiply_are_not_followed(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10}">' for at in range(1, 12))
    laughs = workbook.book("Sheet1").replace("<workbook", f'<!DOCTYPE w [<!ENTITY e0 "ha">{entities}]><workbook', 1)
    laughs = laughs.replace("</workbook>", "<x>&e11;</x></workbook>")
    path = workbook.write(tmp_path / "laughs.xlsx", workbook.sheet(HEADER), workbook=laughs)
    assert in_the_child(path) == "batch-broken"


def test_cells_that_are_merged_over_and_over_are_refused(tmp_path: Path) -> None:
    ranges = '<mergeCell ref="A2:A9000"/>' * 50_000
    merged = f"</sheetData><mergeCells>{ranges}</mergeCells>"
    sheet = workbook.sheet(HEADER + workbook.row(9_000, "a")).replace("</sheetData>", merged)
    assert refusal(workbook.write(tmp_path / "merged.xlsx", sheet)) == "batch-bomb"


def a_document(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", workbook.TYPES)
        archive.writestr("_rels/.rels", workbook.relations(1).replace("worksheets/sheet1.xml", "word/document.xml"))
        archive.writestr("word/document.xml", "<w:document/>")


def encrypted_entries(path: Path) -> None:
    workbook.write(path, workbook.sheet(HEADER))
    content = bytearray(path.read_bytes())
    for mark, at_flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + at_flags] |= 1
            at = content.find(mark, at + 4)
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    workbook.write(path, workbook.sheet(HEADER * 50))
    path.write_bytes(path.read_bytes()[:-200])


def spoiled(path: Path) -> None:
    workbook.write(path, workbook.sheet(HEADER + "<row r='3'><c r='A3'><v>1</c></row>"))


NO_WORKBOOKS: dict[str, Callable[[Path], object]] = {
    "document": a_document,
    "encrypted entries": encrypted_entries,
    "encrypted workbook": lambda path: path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + b"EncryptedPackage" * 500),
    "picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000)),
    "cut off": cut_off,
    "spoiled": spoiled,
    "text": lambda path: path.write_text(as_csv([TITLES, right(0)])),
    "only an ending": lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
}


@pytest.mark.parametrize("kind", NO_WORKBOOKS)
def test_what_is_no_workbook_is_refused_whatever_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "named.xlsx"
    NO_WORKBOOKS[kind](path)
    assert refusal(path) == "batch-broken"


# ---- text -----------------------------------------------------------------------------------------------------------


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join([*TITLES, *map(str, range(1_000_000))]) + "\n")
    assert refusal(path) == "batch-too-wide"
    path.write_text(as_csv([TITLES, right(0), [*right(1), *["x"] * 1_000_000]]))
    assert refusal(path) == "batch-too-wide"
    path = tmp_path / "wide.jsonl"
    path.write_text(json.dumps({str(key): 1 for key in range(400_000)}))
    assert refusal(path) == "batch-too-wide"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("filling", [b"a", b"\0", b'"'])
def test_a_line_of_two_hundred_megabytes_is_refused_before_it_is_read(
    tmp_path: Path, form: str, filling: bytes
) -> None:
    path = tmp_path / f"line.{form}"
    with path.open("wb") as file:
        rows = as_csv([TITLES, right(0)]) if form == "csv" else A_LINE + "\n"
        file.write(rows.encode() * 3_000)
        if filling == b"\0":
            file.truncate(200 * MB)
        else:
            for _ in range(200):
                file.write(filling * MB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path) == "batch-bomb"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_cells_of_a_hundred_thousand_characters_reject_their_row(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(as_csv([TITLES, (NAMES[0] * 5_000, *right(0)[1:]), right(1)]), encoding="utf-8")
    rows = [
        row for part in examining.examine_here(path, "csv", DEFINITION, TODAY) if isinstance(part, list) for row in part
    ]
    assert faults(rows) == {"2": ["cell_long"]}
    assert len(rows[0].name) <= 200


def test_lists_in_lists_without_end_and_numbers_without_end_reject_their_line(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_text(
        "\n".join([A_LINE, '{"企业名称": ' + "[" * 100_000, '{"企业名称": ' + "9" * 100_000 + "}"]), encoding="utf-8"
    )
    rows = [
        row
        for part in examining.examine_here(path, "jsonl", DEFINITION, TODAY)
        if isinstance(part, list)
        for row in part
    ]
    assert faults(rows) == {"2": ["json"], "3": ["json"]}


PIECES = [
    *TITLES, *CODES[:3], *NAMES[:3], "AA", "2026-03-05", "2026年3月5日", ",", ",", ",",
    "\t", "\n", "\r\n", "\r", '"', "=", "'",
    "\0", "\ufeff", "　", "合计", "注：", "{", "}", ":", "[", "]", "\\ud800", "\x85", "\u2028", "1", "（", "年", "-",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=60),
    st.sampled_from(["utf-8", "gb18030", "utf-16"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_makes_the_reading_fail(tmp_path: Path, pieces: list[str], encoding: str) -> None:
    for form, begun in (("csv", as_csv([TITLES])), ("jsonl", A_LINE + "\n")):
        path = tmp_path / f"any.{form}"
        path.write_bytes((begun + "".join(pieces)).encode(encoding, "replace"))
        with contextlib.suppress(examining.Unreadable):
            for part in examining.examine_here(path, form, DEFINITION, TODAY):
                json.dumps(part, ensure_ascii=False).encode()


def test_bytes_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.csv"
    path.write_bytes(bytes(range(256)) * 4_000)
    assert refusal(path) in {"batch-no-header", "batch-quote"}
    path.write_bytes(b"\0" * MB)
    assert refusal(path) in {"batch-empty", "batch-no-header", "batch-bomb"}
