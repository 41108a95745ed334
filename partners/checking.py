"""Whether a row of a batch can be used, by its scheme alone: runs in the child process and knows no database.

Dates, grades and codes are read in the ways in which people write them. What only the register or the ledger knows is
looked at afterwards, in `partners.staging`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from partners.days import day, last_day
from partners.faults import Found
from partners.reading import EPOCH, Row, Sense, folded, tidy
from partners.schemes import ALIASES, TITLES, Column, Definition
from record import codes, masking, names
from record.publication import months_after

LONGEST_CELL = 200
LONGEST_SHOWN = 60
LONGEST_TITLE = 200
OLDEST = date(1990, 1, 1)


class Checked(NamedTuple):
    """One row as far as its scheme can say: plain values, for they cross a process."""

    place: str
    name: str
    code: str
    """Empty: the row names an entity without its code."""
    grade: str
    day: str
    until: str
    certificate: str
    details: str
    """Further public columns, as a JSON object; empty: none."""
    faults: Sequence[Sequence[str]]
    """Of `partners.faults.Found`."""


# ---- columns --------------------------------------------------------------------------------------------------------

_NEEDED = ("party_name", "entity_code")


def _claims(definition: Definition) -> dict[str, tuple[int, str]]:
    """By folded title, the field that it means. A title of the scheme comes before what else people call it."""
    wanted = [(field, [title]) for field, title in TITLES.items()]
    wanted += [(column.field, [column.title, column.english_title, column.field]) for column in definition.columns]
    wanted += [(field, [field, *ALIASES[field]]) for field in TITLES]
    claims: dict[str, tuple[int, str]] = {}
    for field, titles in wanted:
        for name in titles:
            claims.setdefault(folded(name), (len(claims), field))
    return claims


def _found(claims: Mapping[str, tuple[int, str]], header: Sequence[str]) -> dict[str, int]:
    best: dict[str, tuple[int, int, int]] = {}
    for at, title in enumerate(header):
        claim = _claim(claims, title)
        if claim:
            year = _YEAR.match(tidy(title))
            rank = claim[0], -int(year[1]) if year else 0, at
            best[claim[1]] = min(best.get(claim[1], rank), rank)
    return {field: rank[-1] for field, rank in best.items()}


_YEAR = re.compile(r"(\d{4})年")
_LATIN = re.compile(r"[A-Za-z][A-Za-z ]*")


def _claim(claims: Mapping[str, tuple[int, str]], title: str) -> tuple[int, str] | None:
    """What a title means; one in two languages means what its Chinese part does."""
    if not 0 < len(title) <= LONGEST_TITLE:
        return None
    return claims.get(folded(title)) or (None if title.isascii() else claims.get(folded(_LATIN.sub("", tidy(title)))))


def columns_of(definition: Definition, header: Sequence[str]) -> dict[str, int]:
    """Which field stands in which column."""
    return _found(_claims(definition), header)


def sense(definition: Definition) -> Sense:
    """What the scheme knows of titles. A header names whom it is about, and what is said of them."""
    claims = _claims(definition)

    def is_header(cells: Sequence[str]) -> bool:
        found = _found(claims, cells)
        about = any(field in found for field in _NEEDED)
        return about and len(found) >= 2 and ("grade" in found or "evaluated_on" in found)

    def field(title: str) -> str | None:
        claim = _claim(claims, title)
        return claim[1] if claim else None

    return Sense(is_header, field)


# ---- rows -----------------------------------------------------------------------------------------------------------

_BETWEEN = re.compile(r"[\s\-‐‑‒–—―−_.·•'‘’`´\"“”]+")
_INSIDE = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{18}(?![0-9A-Z])")
"""A code with words around it: 代码：…, …(1-1)."""
_ROUNDED = re.compile(r"\d(?:\.\d+)?[eE]\+?\d+")
_GRADE_TAIL = re.compile(r"(?<=[A-Za-z0-9+\-])(级别|等级|级企业|级单位|级|等)$")
_GRADE_ASIDE = re.compile(r"(?<=.)\(.*\)$|^信用(?:等级)?[:]?(?=[A-Za-z])")
_NONE = frozenset(
    {
        "/",
        "\\",
        "-",
        "--",
        "---",
        "—",
        "——",
        "–",
        "无",
        "暂无",
        "N/A",
        "n/a",
        "NA",
        "null",
        "NULL",
        "None",
        "nan",
        "NaN",
        "#N/A",
    }
)
"""What people write where there is nothing."""


class Checker:
    """Checks rows of one file against one edition of a scheme. Keeps what it has read before, for values repeat."""

    def __init__(self, definition: Definition, header: Sequence[str], today: date, epoch: date = EPOCH) -> None:
        self.definition = definition
        self.header = list(header)
        self.columns = columns_of(definition, header)
        self.today = today
        self.epoch = epoch
        self._grades = {self._grade_key(grade.code): grade.code for grade in definition.grades}
        self._all_grades = "、".join(grade.code for grade in definition.grades)
        self._days: dict[str, tuple[str, str]] = {}
        self._ends: dict[tuple[str, str], tuple[str, tuple[str, str, str] | None]] = {}
        self._seen: dict[int, str] = {}
        self._pattern = re.compile(definition.certificate.pattern) if definition.certificate else None
        self._extra = [(column, self.columns.get(column.field)) for column in definition.columns]
        self._at = [self.columns.get(field, -1) for field in TITLES]

    @staticmethod
    def _grade_key(text: str) -> str:
        bare = _GRADE_ASIDE.sub("", "".join(tidy(text).replace("\N{MINUS SIGN}", "-").split()))
        return _GRADE_TAIL.sub("", bare).upper()

    def _title(self, field: str) -> str:
        at = self.columns.get(field)
        return self.header[at] if at is not None else TITLES.get(field, field)

    def check(self, row: Row) -> Checked:
        """The row, and every fault that the scheme finds in it."""
        if row.fault:
            return Checked(row.place, "", "", "", "", "", "", "", [Found("", row.fault)])
        cells = row.cells
        width = len(cells)
        name, code, grade, begun, until, certificate = (
            tidy(cells[at]).lstrip("'‘’`") if -1 < at < width and cells[at] else "" for at in self._at
        )
        faults: list[Found] = []
        if not name.isprintable():
            name = "".join(map(str.strip, name.splitlines()))
        if "\ufffd" in name or "\ufffd" in grade:
            faults.append(Found("", "encoding"))
        for cell in cells:
            if cell[:1] == "=":
                faults.append(Found("", "formula"))
                break
        if code and code not in _NONE:
            code = self._code(code, faults)
        elif not name or name in _NONE:
            code = ""
            faults.append(Found("", "nothing_named"))
        else:
            code = ""
        grade = self._grade(grade, faults)
        evaluated = self._day("" if begun in _NONE else begun, faults)
        until = self._until("" if until in _NONE else until, evaluated, faults)
        if certificate in _NONE:
            certificate = ""
        if certificate or self.definition.certificate:
            certificate = self._certificate(certificate, grade, evaluated, faults)
        details = self._details(cells, faults) if self._extra else ""
        if not faults:
            self._once(row.place, code or names.fold(name), evaluated, faults)
        if len(name) > LONGEST_CELL:
            faults.append(Found(self._title("party_name"), "cell_long"))
        return Checked(row.place, name[:LONGEST_CELL], code, grade, evaluated, until, certificate, details, faults)

    def _code(self, text: str, faults: list[Found]) -> str:
        code = text if len(text) == 18 and text.isalnum() else _BETWEEN.sub("", text)
        code = code.upper()
        if codes.is_valid(code):
            return code
        inside = _INSIDE.findall(text.upper())
        if len(inside) == 1 and codes.is_valid(inside[0]):
            return str(inside[0])
        if _ROUNDED.fullmatch(text) or (len(code) == 18 and code.isdigit() and code.endswith("000")):
            faults.append(Found(self._title("entity_code"), "code_number", text[:LONGEST_SHOWN]))
        elif (like := codes.repaired(code)) is not None:
            faults.append(Found(self._title("entity_code"), "code_like", text[:LONGEST_SHOWN], like))
        else:
            faults.append(Found(self._title("entity_code"), "code_invalid", text[:LONGEST_SHOWN]))
        return code[:18]

    def _grade(self, text: str, faults: list[Found]) -> str:
        if not self._grades:
            return ""
        known = self._grades.get(text)
        if known is not None:
            return known
        if not text:
            faults.append(Found(self._title("grade"), "grade_missing", "", self._all_grades))
            return ""
        known = self._grades.get(self._grade_key(text))
        if known is None:
            faults.append(Found(self._title("grade"), "grade_unknown", text[:LONGEST_SHOWN], self._all_grades))
            return ""
        return known

    def _day(self, text: str, faults: list[Found]) -> str:
        if not text:
            faults.append(Found(self._title("evaluated_on"), "day_missing"))
            return ""
        known = self._days.get(text)
        if known is None:
            known = self._read_day(text)
            if len(self._days) < 20_000:
                self._days[text] = known
        if known[1]:
            faults.append(Found(self._title("evaluated_on"), known[1], text[:LONGEST_SHOWN]))
        return known[0]

    def _read_day(self, text: str) -> tuple[str, str]:
        found = day(text, self.epoch)
        if found is None:
            return "", "day_unreadable"
        if found > self.today:
            return "", "day_ahead"
        return ("", "day_old") if found < OLDEST else (found.isoformat(), "")

    def _until(self, text: str, evaluated: str, faults: list[Found]) -> str:
        if not evaluated:
            return ""
        known = self._ends.get((text, evaluated))
        if known is None:
            known = self._read_until(text, date.fromisoformat(evaluated))
            if len(self._ends) < 50_000:
                self._ends[text, evaluated] = known
        if known[1]:
            faults.append(Found(self._title("valid_until"), *known[1]))
        return known[0]

    def _read_until(self, text: str, evaluated: date) -> tuple[str, tuple[str, str, str] | None]:
        months = self.definition.validity_months
        by_scheme = months_after(evaluated, months) if months else None
        if not text:
            return ((by_scheme - timedelta(days=1)).isoformat() if by_scheme else ""), None
        end, readable = last_day(text, evaluated, self.epoch)
        shown = text[:LONGEST_SHOWN]
        if not readable:
            return "", ("until_unreadable", shown, "")
        if end and end < evaluated:
            return "", ("until_before", shown, "")
        if by_scheme and (end is None or end > by_scheme):  # the same day years later is what certificates say
            return "", ("until_long", shown, by_scheme.isoformat())
        return (end.isoformat() if end else ""), None

    def _certificate(self, text: str, grade: str, evaluated: str, faults: list[Found]) -> str:
        form = self.definition.certificate
        title = self._title("certificate_number")
        number = text.replace(" ", "")
        if not number:
            if form and form.required:
                faults.append(Found(title, "certificate_missing"))
            return ""
        if len(number) > LONGEST_SHOWN:
            faults.append(Found(title, "cell_long"))
            return ""
        if form is None or self._pattern is None:
            return number
        if not self._pattern.fullmatch(number):
            faults.append(Found(title, "certificate_form", number))
            return number
        if form.grade_at is not None and grade:
            digits = form.grade_digits[grade]
            if number[form.grade_at : form.grade_at + len(digits)] != digits:
                faults.append(Found(title, "certificate_grade", number, digits))
        if form.year_at is not None and evaluated and number[form.year_at : form.year_at + 4] != evaluated[:4]:
            faults.append(Found(title, "certificate_year", number, evaluated[:4]))
        return number

    def _details(self, cells: Sequence[str], faults: list[Found]) -> str:
        said: dict[str, Any] = {}
        for column, at in self._extra:
            text = tidy(cells[at]) if at is not None and at < len(cells) else ""
            title = self.header[at] if at is not None else column.title
            value = _extra_value(column, text, title, self.epoch, faults)
            if value and column.public:
                said[column.title] = masking.masked(value) if column.type == "text" else value
        return json.dumps(said, ensure_ascii=False) if said else ""

    def _once(self, place: str, about: str, evaluated: str, faults: list[Found]) -> None:
        key = hash((about, evaluated))
        first = self._seen.setdefault(key, place)
        if first != place:
            faults.append(Found("", "twice", "", first))


_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,6})?")
_WHOLE = re.compile(r"[+-]?\d{1,15}")


def _extra_value(column: Column, text: str, title: str, epoch: date, faults: list[Found]) -> str:
    """What a further column says, as it is published."""
    if not text:
        if column.required:
            faults.append(Found(title, "cell_missing"))
        return ""
    shown = text[:LONGEST_SHOWN]
    if len(text) > LONGEST_CELL:
        faults.append(Found(title, "cell_long", shown))
        return ""
    bare = text.replace(",", "").removesuffix(".0")
    if column.type == "number" and not _NUMBER.fullmatch(bare):
        faults.append(Found(title, "cell_number", shown))
    elif column.type == "integer" and not _WHOLE.fullmatch(bare):
        faults.append(Found(title, "cell_integer", shown))
    elif column.type == "choice" and text not in column.choices:
        faults.append(Found(title, "cell_choice", shown, "、".join(column.choices[:12])))
    elif column.type == "date":
        found = day(text, epoch)
        if found is None:
            faults.append(Found(title, "cell_day", shown))
        return found.isoformat() if found else ""
    return bare if column.type in {"number", "integer"} else text


def unused(definition: Definition, header: Sequence[str]) -> list[str]:
    """Titles of columns that the scheme does not use, for people to see that nothing is missing."""
    used = set(columns_of(definition, header).values())
    return [title for at, title in enumerate(header) if title and at not in used]


def missing(definition: Definition, columns: Mapping[str, int]) -> list[str]:
    """Titles of columns without which no row can be right."""
    wanted = {"evaluated_on": TITLES["evaluated_on"]}
    if definition.kind == "rating":
        wanted["grade"] = TITLES["grade"]
    if definition.certificate and definition.certificate.required:
        wanted["certificate_number"] = TITLES["certificate_number"]
    wanted |= {column.field: column.title for column in definition.columns if column.required}
    return [title for field, title in wanted.items() if field not in columns]
