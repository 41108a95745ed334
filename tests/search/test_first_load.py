"""A register's first load is indexed while it is stored, and ends as a rebuild from the register would."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from portal.kit import db
from record import entities, registry
from record.codes import check_digit
from search import engine, index
from search.engine import Filters, Page

HEADER = ("企业名称", "统一社会信用代码", "曾用名", "地区", "注册地址", "登记状态")


def code(number: int, head: str = "91310199") -> str:
    body = f"{head}MA{number * 7919:07d}"
    return body + check_digit(body)


ROWS = [
    (f"上海{brand}有限公司", code(number), "", "徐汇", f"上海市徐汇区云杉路{number + 1}号", "存续")
    for number, brand in enumerate(("栎岚照明", "枫桦木业", "澄墨印刷", "佰味食品", "远帆船舶", "慧眼软件"))
]
RENAMED = ("上海新砚文化传播有限公司", code(20), "上海墨池图书有限公司", "黄浦", "上海市黄浦区云杉路9号", "注销")
TRADER = ("上海市黄浦区捷旺便利店", code(21, "92310199"), "", "黄浦", "上海市黄浦区云杉路77弄8号", "存续")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def file(folder: Path, name: str, rows: Sequence[Sequence[str]]) -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([HEADER, *rows])
    return path


def load(*paths: Path) -> registry.Summary:
    with index.FirstLoad() as first_load:
        return registry.import_files(paths, follower=first_load)


def answers(*questions: str) -> list[Page]:
    return [engine.current().search(question, Filters(), limit=20) for question in ("", *questions)]


@pytest.mark.usefixtures("database")
def test_a_first_load_is_searchable_just_as_a_rebuild_would_make_it(folder: Path) -> None:
    load(file(folder, "registry.csv", [*ROWS, RENAMED, TRADER]))
    questions = ("栎岚照明", "墨池图书", "xinyan", "云杉路9", "云杉路77", TRADER[1], "云杉路")
    loaded = answers(*questions)
    assert [page.total for page in loaded[:3]] == [8, 1, 1]
    assert loaded[2].hits[0].match == "former_name"
    assert TRADER[1] not in [hit.code for hit in loaded[5].hits if hit.match == "address"], (
        "a trader's house is private"
    )
    index.rebuild()
    assert answers(*questions) == loaded


@pytest.mark.usefixtures("database")
def test_what_comes_twice_in_a_first_load_is_found_as_the_register_has_it(folder: Path) -> None:
    again = ("上海栎岚音响器材有限公司", ROWS[0][1], "", "徐汇", "上海市徐汇区云杉路1号", "存续")
    fresh = ("上海后来居上贸易有限公司", code(40), "", "徐汇", "上海市徐汇区云杉路3号", "存续")
    summary = load(file(folder, "one.csv", [*ROWS, ROWS[1]]), file(folder, "two.csv", [again, fresh]))
    assert (summary.added, summary.changed, summary.unchanged) == (7, 1, 1)
    found = answers("栎岚音响", "栎岚照明", "后来居上")
    assert [page.hits[0].code for page in found[1:]] == [ROWS[0][1], ROWS[0][1], fresh[1]]
    assert found[2].hits[0].match == "former_name"
    with db.reading() as session:
        assert engine.current().count() == entities.count(session) == 7
    index.rebuild()
    assert answers("栎岚音响", "栎岚照明", "后来居上") == found


@pytest.mark.usefixtures("embedded")
def test_a_load_that_fails_leaves_the_index_as_it_was_and_the_next_one_mends_it(embedded: Path, folder: Path) -> None:
    headless = folder / "headless.csv"
    headless.write_text("一,二\n三,四\n", encoding="utf-8")
    with pytest.raises(registry.FileRefused):
        load(file(folder, "one.csv", ROWS), headless)
    assert engine.current().count() == 0
    assert not [path for path in (embedded / "search").iterdir() if path.is_dir()]
    index.mend()
    assert engine.current().count() == len(ROWS)


@pytest.mark.usefixtures("filled")
def test_a_later_file_is_no_first_load(folder: Path) -> None:
    before = engine.current().count()
    with index.FirstLoad() as first_load:
        registry.import_files([file(folder, "more.csv", ROWS)], follower=first_load)
    assert not first_load.began
    assert engine.current().count() == before, "the index follows through the jobs"
