"""Workbooks as other programs write them: raw parts in a package, for what no library of ours would write."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>'
)


def cell(place: str, text: str) -> str:
    """A cell with its text inside."""
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'


def row(number: int, *cells: str) -> str:
    """A row of texts from column A on."""
    inside = "".join(cell(f"{chr(65 + at)}{number}", text) for at, text in enumerate(cells) if text)
    return f'<row r="{number}">{inside}</row>'


def sheet(rows: str) -> str:
    """A worksheet of these rows."""
    return f'<?xml version="1.0"?><worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def book(*sheets: str) -> str:
    """The list of sheets of these names."""
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(sheets, start=1)
    )
    return f'<?xml version="1.0"?><workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>'


def relations(count: int) -> str:
    """Where the sheets lie."""
    listed = "".join(
        f'<Relationship Id="rId{at}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, count + 1)
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{listed}</Relationships>'
    )


def write(path: Path, *sheets: str, **parts: str) -> Path:
    """A workbook of these worksheets; `workbook`, `sharedStrings`: other parts of it, in place of the usual ones."""
    root = relations(1).replace("/worksheet", "/officeDocument").replace("worksheets/sheet1.xml", "xl/workbook.xml")
    made: Mapping[str, str] = {
        "_rels/.rels": root,
        "[Content_Types].xml": TYPES,
        "xl/workbook.xml": book(*(f"Sheet{at}" for at in range(1, len(sheets) + 1))),
        "xl/_rels/workbook.xml.rels": relations(len(sheets)),
        **{f"xl/worksheets/sheet{at}.xml": text for at, text in enumerate(sheets, start=1)},
        **{f"xl/{name}.xml": text for name, text in parts.items()},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in made.items():
            archive.writestr(name, text)
    return path
