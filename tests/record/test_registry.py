"""Registry files into the register, through `import_files`."""

import csv
import gzip
import json
import lzma
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import func, inspect, select

from portal.kit import db, jobs
from record import codes, entities, listed, registry
from record.models import Entity, FormerName, RegistryImport

HEADER = [
    "企业名称",
    "统一社会信用代码",
    "注册日期",
    "企业类型",
    "注册资金",
    "经营范围",
    "所在省份",
    "地区",
    "注册地址",
]
RNG = random.Random(20)
CODES = [codes.made_up("91", RNG) for _ in range(60)]
ROOT = Path(__file__).parents[2]


def row(number: int, **cells: str) -> list[str]:
    """A good row; `cells` by header replace some of it."""
    values = {
        "企业名称": f"上海青禾{number}号照明电器有限公司",
        "统一社会信用代码": CODES[number],
        "注册日期": "2003-04-18",
        "企业类型": "有限责任公司",
        "注册资金": "50(万元人民币)",
        "经营范围": "灯具，电器",
        "所在省份": "上海",
        "地区": "徐汇",
        "注册地址": "上海市徐汇区桂林路100号",
    }
    return list((values | cells).values())


def csv_text(rows: Iterable[Sequence[str]], header: Sequence[str] = HEADER) -> str:
    lines: list[str] = []

    class Sink:
        write = lines.append

    csv.writer(Sink()).writerows([header, *rows])
    return "".join(lines)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file and gives its path."""

    def write(content: str | bytes, name: str = "registry.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def stored(code: str) -> Entity:
    with db.reading() as session:
        return entities.get(session, code)


def rejects(path: Path) -> list[list[str]]:
    with path.with_name(path.name + ".rejects.csv").open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.reader(opened))


def reasons(path: Path) -> list[str]:
    return [line[-1].split(":")[0] for line in rejects(path)[1:]]


def counts(summary: registry.Summary) -> tuple[int, int, int, int]:
    return summary.added, summary.changed, summary.unchanged, summary.rejected


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What followers of `entity.changed` were told, and nothing else they do."""
    monkeypatch.setitem(jobs.SUBSCRIBERS, "entity.changed", ["search.follow"])

    def told() -> list[str]:
        with db.reading() as session:
            return [code for items in session.scalars(select(jobs.Job.items).order_by(jobs.Job.id)) for code in items]

    return told


# ---- what a row comes to --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_a_row_becomes_an_entity_that_is_understood_column_by_column(file: Callable[..., Path]) -> None:
    summary = registry.import_files([file(csv_text([row(0)]))])
    assert (summary.baseline, counts(summary)) == (True, (1, 0, 0, 0))
    assert json.loads(json.dumps(summary.as_dict()))["rows"] == 1
    entity = stored(CODES[0])
    assert entity.name == "上海青禾0号照明电器有限公司"
    assert entity.name_key == entity.name
    assert (entity.district, entity.type, entity.type_text) == ("310104", "limited_company", "有限责任公司")
    assert (entity.industry, entity.industry_division, entity.industry_source) == ("C", "38", "name")
    assert (entity.established_on, entity.status) == (date(2003, 4, 18), None)
    assert (entity.capital_amount, entity.capital_currency) == (Decimal("500000"), "CNY")
    assert (entity.scope, entity.address) == ("灯具，电器", "上海市徐汇区桂林路100号")
    assert (entity.as_received, entity.flags, entity.source, entity.former_names) == (None, [], "registry", [])


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ("1,000(万元人民币)", "10000000", "CNY"),
        ("168万人民币", "1680000", "CNY"),
        ("50(万美元)", "500000", "USD"),
        ("5(万德国马克 )", "50000", "DEM"),
        ("3.1000(万)", "31000", None),
        ("9.123456万元人民币", "91234.56", "CNY"),
        ("1,150,170(万元人民币)", "11501700000", "CNY"),
        ("２００（万元人民币）", "2000000", "CNY"),
        ("0", "0", None),
        ("N/A", None, None),
        ("-", None, None),
    ],
)
@pytest.mark.usefixtures("embedded")
def test_money_is_read_with_its_unit_and_currency(
    file: Callable[..., Path], written: str, amount: str | None, currency: str | None
) -> None:
    registry.import_files([file(csv_text([row(0, 注册资金=written)]))])
    entity = stored(CODES[0])
    assert entity.capital_amount == (Decimal(amount) if amount else None)
    assert (entity.capital_currency, entity.as_received) == (currency, None)


@pytest.mark.usefixtures("embedded")
def test_the_headers_unit_counts_for_bare_numbers(file: Callable[..., Path]) -> None:
    header = [title if title != "注册资金" else "注册资本（万元）" for title in HEADER]
    registry.import_files([file(csv_text([row(0, 注册资金="50")], header))])
    assert (stored(CODES[0]).capital_amount, stored(CODES[0]).capital_currency) == (Decimal("500000"), "CNY")


@pytest.mark.parametrize("written", ["2026.3.5", "2026年3月5日", "20260305", "2026/3/5 00:00:00", "2026-03-05"])
@pytest.mark.usefixtures("embedded")
def test_dates_are_read_as_people_write_them(file: Callable[..., Path], written: str) -> None:
    registry.import_files([file(csv_text([row(0, 注册日期=written)]))])
    assert stored(CODES[0]).established_on == date(2026, 3, 5)


@pytest.mark.usefixtures("database")
def test_what_cannot_be_understood_is_kept_as_it_came(file: Callable[..., Path]) -> None:
    cells = row(0, 注册日期="庚子年春", 注册资金="若干", 地区="张江高新区", 注册地址="富盛经济开发区")
    registry.import_files([file(csv_text([[*cells, "吊着", "甲乙"]], [*HEADER, "登记状态", "门类备注"]))])
    entity = stored(CODES[0])
    assert (entity.established_on, entity.capital_amount, entity.district, entity.status) == (None, None, None, None)
    assert entity.as_received == {
        "注册日期": "庚子年春",
        "注册资金": "若干",
        "地区": "张江高新区",
        "登记状态": "吊着",
        "门类备注": "甲乙",
    }


@pytest.mark.usefixtures("embedded")
def test_what_says_anything_about_a_person_is_not_kept(file: Callable[..., Path]) -> None:
    header = [*HEADER, "法定代表人", "联系电话", "备注", "股东名称", "第二经营地址"]
    person = ["张三", "021-55550000", "联系 13812345678", "李四", "桂林路8号"]
    individual = codes.made_up("92", random.Random(1))
    registry.import_files(
        [file(csv_text([[*row(0), *person], [*row(1, 统一社会信用代码=individual), *person]], header))]
    )
    assert stored(CODES[0]).as_received == {"第二经营地址": "桂林路8号"}
    assert stored(individual).as_received is None


@pytest.mark.parametrize(
    ("district", "address", "expected"),
    [
        ("", "上海市杨浦区四平路1239号", "310110"),
        ("N/A", "枫泾镇曹黎路38弄", "310116"),
        ("闸北", "秣陵路50号", "310106"),
        ("卢湾", "上海市浦东新区耀华路", "310115"),
        ("自贸区", "中国（上海）自由贸易试验区富特西一路333号", "310115"),
        ("自贸区", "富特西一路333号", "310115"),
        ("浦东新区", "上海市徐汇区桂林路1号", "310115"),
    ],
)
@pytest.mark.usefixtures("embedded")
def test_the_district_is_todays_from_the_column_or_else_the_address(
    file: Callable[..., Path], district: str, address: str, expected: str
) -> None:
    registry.import_files([file(csv_text([row(0, 地区=district, 注册地址=address)]))])
    assert stored(CODES[0]).district == expected


@pytest.mark.usefixtures("embedded")
def test_a_district_of_the_same_name_elsewhere_is_not_shanghais(file: Callable[..., Path]) -> None:
    registry.import_files([file(csv_text([row(0, 所在省份="浙江省", 地区="普陀区", 注册地址="普陀区东港街道")]))])
    entity = stored(CODES[0])
    assert (entity.district, entity.as_received) == (None, {"所在省份": "浙江省", "地区": "普陀区"})


@pytest.mark.usefixtures("embedded")
def test_english_headers_statuses_industries_and_former_names_are_read(file: Callable[..., Path]) -> None:
    header = [
        "Name",
        "Credit Code",
        "Status",
        "Industry code",
        "Former names",
        "Established on",
        "Capital_amount",
        "Currency",
    ]
    cells = ["Kestrel Lighting (Shanghai) Co., Ltd.", CODES[0].lower(), "Active", "F5191", "Old Kestrel Ltd.;老红隼"]
    registry.import_files([file(csv_text([[*cells, "2010-01-02", "120000", "USD"]], header))])
    entity = stored(CODES[0])
    assert (entity.status, entity.industry_division, entity.industry_source) == ("active", "51", "registered")
    assert [former.name for former in entity.former_names] == ["Old Kestrel Ltd.", "老红隼"]
    assert (entity.capital_amount, entity.capital_currency) == (Decimal("120000"), "USD")


@pytest.mark.usefixtures("embedded")
def test_an_old_registration_number_is_a_code_and_stands_in_for_a_missing_one(file: Callable[..., Path]) -> None:
    rows = [[*row(0, 统一社会信用代码="321084000032743"), ""], [*row(1, 统一社会信用代码="N/A"), "310101000000014"]]
    summary = registry.import_files([file(csv_text(rows, [*HEADER, "注册号"]))])
    assert summary.added + summary.rejected == 2
    assert stored("321084000032743").name.startswith("上海青禾0号")


# ---- what a row costs -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_a_bad_row_costs_that_row_and_is_handed_back_with_the_reason(file: Callable[..., Path]) -> None:
    wrong = CODES[1][:-1] + ("0" if CODES[1][-1] != "0" else "1")
    path = file(
        csv_text(
            [
                row(0),
                row(1, 统一社会信用代码=wrong),
                row(2, 企业名称="N/A"),
                row(3, 统一社会信用代码=""),
                row(4, 企业名称="长" * 301),
                row(5)[:5],
                [*row(6), "多", "余"],
                row(7, 统一社会信用代码="9.13101E+17"),
                row(0, 注册资金="99(万元人民币)"),
                row(0),
                row(8),
            ]
        )
    )
    summary = registry.import_files([path])
    assert counts(summary) == (2, 0, 1, 8)
    assert summary.rows == 11
    assert sorted(reasons(path)) == sorted(
        [
            "code_wrong",
            "name_missing",
            "code_missing",
            "name_too_long",
            "columns",
            "columns",
            "code_rounded",
            "code_repeated",
        ]
    )
    assert rejects(path)[0] == [*HEADER, "原因 reason"]
    assert rejects(path)[1][:-1] == row(1, 统一社会信用代码=wrong)
    assert stored(CODES[0]).capital_amount == Decimal("500000")


@pytest.mark.usefixtures("embedded")
def test_rejects_corrected_and_sent_again_go_in(file: Callable[..., Path]) -> None:
    path = file(csv_text([row(0), row(1, 统一社会信用代码=CODES[1][:-1])]))
    registry.import_files([path])
    corrected = [line[:-1] for line in rejects(path)[1:]]
    corrected[0][1] = CODES[1]
    assert counts(registry.import_files([file(csv_text(corrected), "corrected.csv")])) == (1, 0, 0, 0)


@pytest.mark.usefixtures("embedded")
def test_a_file_without_bad_rows_leaves_no_rejects_behind(file: Callable[..., Path]) -> None:
    path = file(csv_text([row(0, 企业名称="")]))
    registry.import_files([path])
    assert reasons(path) == ["name_missing"]
    path.write_text(csv_text([row(0)]))
    assert registry.import_files([path]).files[0].rejects is None
    assert not path.with_name("registry.csv.rejects.csv").exists()


# ---- how files come -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.usefixtures("embedded")
def test_the_encoding_is_found_out(file: Callable[..., Path], encoding: str) -> None:
    registry.import_files([file(csv_text([row(0, 企业名称="上海𠮷禾（集团）有限公司")]).encode(encoding))])
    assert stored(CODES[0]).name == "上海𠮷禾（集团）有限公司"


@pytest.mark.usefixtures("embedded")
def test_lines_of_another_encoding_are_read_in_theirs_and_broken_ones_cost_themselves(
    file: Callable[..., Path],
) -> None:
    good, other, broken = csv_text([row(0), row(1), row(2)]).splitlines(keepends=True)[1:]
    head = csv_text([]).encode()
    path = file(head + good.encode() + other.encode("gb18030") + b"\xff\xff" + broken.encode() + good.encode())
    assert counts(registry.import_files([path])) == (2, 0, 1, 1)
    assert reasons(path) == ["encoding"]
    assert stored(CODES[1]).name.startswith("上海青禾1号")


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("registry.csv.gz", gzip.compress),
        ("registry.csv.xz", lzma.compress),
        ("registry.csv.zst", zstandard.compress),
        ("REGISTRY.CSV.GZ", lambda data: gzip.compress(data[:70]) + gzip.compress(data[70:])),
    ],
)
@pytest.mark.usefixtures("embedded")
def test_packed_files_are_read(file: Callable[..., Path], name: str, pack: Callable[[bytes], bytes]) -> None:
    assert registry.import_files([file(pack(csv_text([row(0), row(1)]).encode()), name)]).added == 2


@pytest.mark.usefixtures("embedded")
def test_tabs_and_semicolons_divide_cells_too(file: Callable[..., Path]) -> None:
    registry.import_files([file("名称\t统一社会信用代码\n" + f"甲灯\t{CODES[0]}\n")])
    registry.import_files([file("名称;统一社会信用代码\r\n" + f"乙灯;{CODES[1]}\r\n", "b.csv")])
    assert (stored(CODES[0]).name, stored(CODES[1]).name) == ("甲灯", "乙灯")


@pytest.mark.usefixtures("embedded")
def test_json_lines_are_read_and_keys_nobody_knows_are_kept(file: Callable[..., Path]) -> None:
    lines = [
        json.dumps(
            {"name": "甲灯有限公司", "code": CODES[0], "former_names": ["老甲灯", "古甲灯"], "rank": 3},
            ensure_ascii=False,
        ),
        "",
        "not json",
        "[1, 2]",
        json.dumps({"name": "乙灯有限公司", "code": CODES[1], "status": None}, ensure_ascii=False),
        "[" * 100_000,
    ]
    path = file("\n".join(lines), "registry.jsonl")
    assert counts(registry.import_files([path])) == (2, 0, 0, 3)
    assert reasons(path) == ["json", "json", "json"]
    assert stored(CODES[0]).as_received == {"rank": "3"}
    assert [former.name for former in stored(CODES[0]).former_names] == ["老甲灯", "古甲灯"]


@pytest.mark.usefixtures("embedded")
def test_a_key_that_only_a_late_line_has_is_kept_too(file: Callable[..., Path]) -> None:
    lines = [{"name": f"甲灯{n}号", "code": CODES[n % 50]} for n in range(1_000)] + [
        {"name": "晚灯", "code": CODES[55], "late": "yes"}
    ]
    registry.import_files([file("\n".join(json.dumps(line) for line in lines), "registry.jsonl")])
    assert stored(CODES[55]).as_received == {"…": '{"late": "yes"}'}


_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORKBOOK = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="r1" Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_LINKS}"><sheets><sheet name="说明" sheetId="1" r:id="r1"/>'
    '<sheet name="数据" sheetId="2" r:id="r2"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="r1" Type="{_LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{_LINKS}/worksheet" Target="worksheets/sheet2.xml"/>'
    f'<Relationship Id="r3" Type="{_LINKS}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet {_MAIN}><cellXfs count="2">'
    '<xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
    "xl/worksheets/sheet1.xml": f"<worksheet {_MAIN}><sheetData/></worksheet>",
}
SHEET = "xl/worksheets/sheet2.xml"


def workbook(path: Path, rows: Sequence[Sequence[object]], more: str = "") -> Path:
    """A workbook with an empty sheet before the one that holds `rows`; `more` is put behind them as it is."""

    def cell(value: object) -> str:
        if isinstance(value, date):
            return f'<c s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
        if isinstance(value, int):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    lines = "".join(f"<row>{''.join(map(cell, cells))}</row>" for cells in rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _WORKBOOK.items():
            archive.writestr(name, content)
        archive.writestr(SHEET, f"<worksheet {_MAIN}><sheetData>{lines}{more}</sheetData></worksheet>")
    return path


@pytest.mark.usefixtures("embedded")
def test_a_spreadsheet_with_titles_above_its_header_is_read(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["上海市企业名单"],
        [],
        ["制表日期", "2026-01-01"],
        list(HEADER),
        [*row(0)[:2], date(2019, 4, 28), *row(0)[3:]],
        [*row(1)[:2], 43583, *row(1)[3:]],
        [row(2)[0], 913101011324142057, *row(2)[2:]],
    ]
    path = workbook(tmp_path / "registry.xlsx", rows)
    assert counts(registry.import_files([path])) == (2, 0, 0, 1)
    assert stored(CODES[0]).established_on == stored(CODES[1]).established_on == date(2019, 4, 28)
    assert reasons(path)[0] in {"code_rounded", "code_wrong"}


# ---- hostile files --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_nul_bytes_controls_and_huge_cells_cost_at_most_their_row(file: Callable[..., Path]) -> None:
    rows = [
        row(0, 经营范围="灯\x00具\x07", 注册地址="\x00"),
        row(1, 经营范围="长" * 300_000),
        row(2, 经营范围="x" * 2_000_000),
        row(3),
    ]
    path = file(csv_text(rows))
    assert counts(registry.import_files([path])) == (2, 0, 0, 2)
    assert (stored(CODES[0]).scope, stored(CODES[0]).address) == ("灯具", None)
    assert reasons(path) == ["cell_too_long", "line_too_long"]
    assert path.with_name(path.name + ".rejects.csv").stat().st_size < 200_000


@pytest.mark.usefixtures("embedded")
def test_lone_surrogates_from_json_cannot_break_the_database(file: Callable[..., Path]) -> None:
    line = f'{{"name": "甲\\ud800灯", "code": "{CODES[0]}", "x\\udfff": "\\udc00"}}'
    registry.import_files([file(line, "registry.jsonl")])
    assert stored(CODES[0]).name == "甲灯"


@pytest.mark.usefixtures("embedded")
def test_a_quotation_mark_that_is_never_closed_costs_one_line(file: Callable[..., Path]) -> None:
    lines = csv_text([row(number) for number in range(40)]).splitlines(keepends=True)
    lines[3] = lines[3].replace("灯具", '"灯具')
    path = file("".join(lines))
    assert counts(registry.import_files([path])) == (39, 0, 0, 1)
    assert reasons(path) == ["quote_open"]


@pytest.mark.usefixtures("embedded")
def test_two_stray_quotation_marks_cost_two_lines_not_those_between(file: Callable[..., Path]) -> None:
    lines = csv_text([row(number) for number in range(30)]).splitlines(keepends=True)
    for number in (5, 9):
        lines[number] = lines[number].replace("徐汇,", '徐汇,"', 1)
    assert counts(registry.import_files([file("".join(lines))])) == (28, 0, 0, 2)


@pytest.mark.usefixtures("embedded")
def test_a_quoted_cell_may_run_over_lines(file: Callable[..., Path]) -> None:
    registry.import_files([file(csv_text([row(0, 经营范围="灯具\n电器\n电线"), row(1)]))])
    assert stored(CODES[0]).scope == "灯具\n电器\n电线"


@pytest.mark.parametrize(
    ("content", "name", "refusal"),
    [
        (b"", "registry.csv", "file-empty"),
        (b"\n\n\n", "registry.csv", "file-empty"),
        (b"", "registry.jsonl", "file-empty"),
        (b"\n\n", "registry.jsonl", "file-empty"),
        (b"a,b,c\n1,2,3\n", "registry.csv", "no-header"),
        (",".join(f"列{n}" for n in range(100_000)).encode(), "registry.csv", "too-many-columns"),
        (gzip.compress(b"abc" * 1000)[:-20], "registry.csv.gz", "file-broken"),
        (b"not gzip at all", "registry.csv.gz", "file-broken"),
        (b"not xz at all", "registry.csv.xz", "file-broken"),
        (b"not zstd at all", "registry.csv.zst", "file-broken"),
        (b"not a workbook", "registry.xlsx", "file-broken"),
        (gzip.compress(b"\n" * 60_000_000), "registry.csv.gz", "file-too-large"),
        (lzma.compress(b"x" * 100_000_000, preset=0), "registry.csv.xz", "file-too-large"),
        (zstandard.compress(b"x" * 100_000_000), "registry.csv.zst", "file-too-large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("embedded")
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    file: Callable[..., Path], content: bytes, name: str, refusal: str
) -> None:
    with pytest.raises(registry.FileRefused) as refused:
        registry.import_files([file(content, name)])
    assert refused.value.slug == refusal
    with db.reading() as session:
        assert entities.is_empty(session)
        assert session.scalar(select(func.count()).select_from(RegistryImport)) == 0
    assert registry.import_files([file(csv_text([row(0)]))]).baseline


@pytest.mark.usefixtures("embedded")
def test_a_header_without_rows_is_a_file_without_entities(file: Callable[..., Path]) -> None:
    assert counts(registry.import_files([file(csv_text([]))])) == (0, 0, 0, 0)


@pytest.mark.usefixtures("embedded")
def test_a_workbook_that_asks_for_terabytes_is_refused(tmp_path: Path) -> None:
    last = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    path = workbook(tmp_path / "registry.xlsx", [HEADER, row(0)], last)
    with pytest.raises(registry.FileRefused):
        registry.import_files([path])


# ---- again, and later -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_the_same_file_again_changes_nothing(file: Callable[..., Path], events: Callable[[], list[str]]) -> None:
    path = file(csv_text([row(number) for number in range(20)] + [row(3, 注册日期="2001-01-01")]))
    assert counts(registry.import_files([path])) == (20, 0, 0, 1)
    before = stored(CODES[3]).changed_at
    again = registry.import_files([path])
    assert (again.baseline, counts(again)) == (False, (0, 0, 20, 1))
    assert counts(registry.import_files([path], baseline=True)) == (0, 0, 20, 1)
    assert stored(CODES[3]).changed_at == before
    assert events() == []


@pytest.mark.usefixtures("database")
def test_a_later_file_updates_what_differs_and_tells_followers_exactly_that(
    file: Callable[..., Path], events: Callable[[], list[str]]
) -> None:
    registry.import_files([file(csv_text([row(0), row(1), row(2), row(3)]))])
    later = [
        row(0),
        row(1, 注册地址="上海市徐汇区宜山路1号"),
        row(2, 企业名称="上海新禾照明电器有限公司"),
        row(3, 企业名称="上海青禾3号 照明电器有限公司 "),
        row(4),
    ]
    summary = registry.import_files([file(csv_text(later), "later.csv")])
    assert counts(summary) == (1, 3, 1, 0)
    assert sorted(events()) == sorted([CODES[1], CODES[2], CODES[3], CODES[4]])
    assert stored(CODES[1]).address == "上海市徐汇区宜山路1号"
    renamed = stored(CODES[2])
    assert renamed.name == "上海新禾照明电器有限公司"
    assert [(former.name, former.until is not None) for former in renamed.former_names] == [
        ("上海青禾2号照明电器有限公司", True)
    ]
    assert stored(CODES[3]).former_names == []


@pytest.mark.usefixtures("database")
def test_a_name_that_comes_back_is_not_recorded_twice(file: Callable[..., Path]) -> None:
    for number, name in enumerate(["甲灯有限公司", "乙灯有限公司", "甲灯有限公司", "乙灯有限公司"]):
        registry.import_files([file(csv_text([row(0, 企业名称=name)]), f"{number}.csv")])
    assert [former.name for former in stored(CODES[0]).former_names] == ["甲灯有限公司", "乙灯有限公司"]


@pytest.mark.usefixtures("embedded")
def test_a_file_of_states_does_not_empty_the_other_columns(file: Callable[..., Path]) -> None:
    registry.import_files([file(csv_text([[*row(0), "甲"]], [*HEADER, "备注"]))])
    states = csv_text([[row(0)[0], CODES[0], "注销", "乙"]], ["名称", "统一社会信用代码", "登记状态", "另注"])
    assert counts(registry.import_files([file(states, "states.csv")])) == (0, 1, 0, 0)
    entity = stored(CODES[0])
    assert (entity.status, entity.district, entity.type_text) == ("deregistered", "310104", "有限责任公司")
    assert entity.as_received == {"备注": "甲", "另注": "乙"}
    assert entity.address is not None


@pytest.mark.usefixtures("database")
def test_several_files_of_a_first_load_may_tell_of_one_entity_twice(
    file: Callable[..., Path], events: Callable[[], list[str]]
) -> None:
    first = file(csv_text([row(0), row(1)]), "2009.csv")
    second = file(csv_text([row(1, 企业名称="上海新禾照明电器有限公司"), row(2)]), "2019.csv")
    summary = registry.import_files([first, second])
    assert (summary.baseline, counts(summary)) == (True, (3, 1, 0, 0))
    assert [former.name for former in stored(CODES[1]).former_names] == ["上海青禾1号照明电器有限公司"]
    assert events() == []


@pytest.mark.usefixtures("database")
def test_former_names_in_a_later_file_are_added_once(file: Callable[..., Path]) -> None:
    header = [*HEADER, "曾用名"]
    registry.import_files([file(csv_text([[*row(0), ""]], header))])
    later = file(csv_text([[*row(0), "甲灯厂；乙灯厂"]], header), "later.csv")
    assert counts(registry.import_files([later])) == (0, 1, 0, 0)
    assert counts(registry.import_files([later])) == (0, 0, 1, 0)
    assert [former.name for former in stored(CODES[0]).former_names] == ["甲灯厂", "乙灯厂"]


# ---- large, and killed ----------------------------------------------------------------------------------------------

SIZE = 40_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty thousand rows, some of them bad."""
    rng = random.Random(8)
    path = tmp_path_factory.mktemp("large") / "registry.csv"
    with path.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([*HEADER, "曾用名"])
        for number in range(SIZE):
            code = "" if number % 5_000 == 7 else codes.made_up("91", rng)
            former = f"老灯{number}号" if number % 100 == 0 else ""
            writer.writerow([f"上海灯{number}号电器有限公司", code, *row(0)[2:], former])
    return path


BAD = SIZE // 5_000
LARGE_COUNTS = (SIZE - BAD, 0, 0, BAD)


def tally() -> tuple[int, int, int]:
    with db.reading() as session:
        done = session.scalar(select(RegistryImport.rows_done)) or 0
        former = session.scalar(select(func.count()).select_from(FormerName)) or 0
        return entities.count(session), former, done


@pytest.mark.usefixtures("database")
def test_a_large_file_is_cleaned_by_several_processes_and_loses_nothing(large: Path) -> None:
    told: list[tuple[int, int | None]] = []
    summary = registry.import_files([large], progress=lambda done, total: told.append((done, total)))
    assert counts(summary) == LARGE_COUNTS
    assert tally() == (SIZE - BAD, SIZE // 100, SIZE)
    assert len(reasons(large)) == BAD
    assert told[-1] == (SIZE, SIZE)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_killed_first_load_goes_on_where_it_stopped(database: str, large: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from record import registry; registry.import_files([Path(sys.argv[1])])"
    )
    moments = []
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "-c", f"if __name__ == '__main__':\n    {script}", str(large)], cwd=ROOT, env=os.environ
        )
        before = tally()[2]
        deadline = time.monotonic() + 60
        while tally()[2] <= before + 6_000 and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        moments.append(tally())
        assert moments[-1][0] == moments[-1][2] - sum(number % 5_000 == 7 for number in range(moments[-1][2]))
    assert 0 < moments[0][2] < moments[1][2] < SIZE, "the kills came too late to prove anything"
    summary = registry.import_files([large])
    assert (summary.baseline, counts(summary)) == (True, LARGE_COUNTS)
    assert tally() == (SIZE - BAD, SIZE // 100, SIZE)
    assert len(reasons(large)) == BAD
    with db.reading() as session:
        indexes = {index["name"] for index in inspect(session.connection()).get_indexes("entity")}
        assert session.scalar(select(func.count()).select_from(RegistryImport)) == 1
    assert "ix_entity_name_key" in indexes


@pytest.mark.usefixtures("embedded")
def test_no_cleaner_outlives_a_killed_import(large: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from record import registry; registry.import_files([Path(sys.argv[1])])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", f"if __name__ == '__main__':\n    {script}", str(large)],
        cwd=ROOT,
        start_new_session=True,
    )
    while tally()[2] < 20_000:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 10
    while any(path.name.isdigit() and _group(path) == child.pid for path in Path("/proc").iterdir()):
        assert time.monotonic() < deadline, "a cleaner goes on without anyone to clean for"
        time.sleep(0.05)


def _group(process: Path) -> int:
    try:
        state, _, group = (process / "stat").read_text().rsplit(")", 1)[1].split()[:3]
    except OSError:
        return 0
    return 0 if state == "Z" else int(group)


@pytest.mark.usefixtures("embedded")
def test_others_may_write_while_a_first_load_runs(large: Path) -> None:
    waits: list[float] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            started = time.monotonic()
            with db.writing() as session:
                jobs.add(session, "search.follow", ["x"])
            waits.append(time.monotonic() - started)
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        registry.import_files([large])
    finally:
        done.set()
        writer.join()
    assert len(waits) > 20
    assert max(waits) < 2


# ---- what may leave -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("上海市浦东新区惠南镇拱极路200号3楼", "上海市浦东新区惠南镇拱极路"),
        ("金山区朱泾镇待泾村5组12号", "金山区朱泾镇待泾村"),
        ("上海市徐汇区桂林路甲12号", "上海市徐汇区桂林路"),
        ("上海市徐汇区桂林路二十三号底层", "上海市徐汇区桂林路"),
        ("上海市徐汇区第一食品市场Ａ１２摊位", "上海市徐汇区第一食品市场"),
        ("12号", None),
    ],
)
def test_the_number_of_an_individual_businesss_house_never_leaves(address: str, shown: str | None) -> None:
    assert listed.public_address(codes.made_up("92", random.Random(3)), address) == shown
    assert listed.public_address(CODES[0], address) == address


@pytest.mark.usefixtures("database")
def test_the_register_is_read_in_the_order_asked_and_whole_as_a_stream(file: Callable[..., Path]) -> None:
    individual = codes.made_up("92", random.Random(5))
    rows = [row(number) for number in range(25)] + [row(30, 统一社会信用代码=individual)]
    registry.import_files([file(csv_text([[*cells, "老灯厂"] for cells in rows], [*HEADER, "曾用名"]))])
    asked = [CODES[7], CODES[59], CODES[2], CODES[7]]
    with db.reading() as session:
        assert [entity.code for entity in entities.by_codes(session, asked)] == [CODES[7], CODES[2]]
        streamed = list(entities.stream(session, chunk=4))
    assert sorted(one.code for one in streamed) == sorted([*CODES[:25], individual])
    assert {one.former_names for one in streamed} == {("老灯厂",)}
    assert {one.address for one in streamed if one.code == individual} == {"上海市徐汇区桂林路"}


@pytest.mark.parametrize("code", ["", "x", "\x00" * 18, "9" * 5_000, "91310101132414205X", "' OR 1=1 --"])
@pytest.mark.usefixtures("database")
def test_a_code_that_nobody_has_is_not_found(code: str) -> None:
    with db.reading() as session, pytest.raises(entities.EntityNotFound):
        entities.get(session, code)
