"""What registry files leave in the ledger: one entry for a first load, one for each real difference afterwards."""

import csv
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db
from record import registry, verification
from record.codes import made_up
from record.models import LedgerEntry

FIRM, OTHER = made_up("91", random.Random(1)), made_up("91", random.Random(2))
SHOP = made_up("92", random.Random(3))
HEADER = ["企业名称", "统一社会信用代码", "经营状态", "地址"]


def registry_file(folder: Path, name: str, rows: list[list[str]]) -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def kept() -> list[LedgerEntry]:
    with db.reading() as session:
        asked = select(LedgerEntry).where(LedgerEntry.kind == "registration").order_by(LedgerEntry.seq)
        return list(session.scalars(asked))


@pytest.fixture
def loaded(database: str, tmp_path: Path) -> Path:
    rows = [
        ["上海青禾照明电器有限公司", FIRM, "存续", "上海市徐汇区桂林路100号"],
        ["徐汇区阿青面馆", SHOP, "存续", "上海市徐汇区桂林路12弄3号"],
    ]
    path = registry_file(tmp_path, "first.csv", rows)
    registry.import_files([path])
    return path


def test_a_first_load_is_one_internal_entry_with_the_files_digest(client: TestClient, loaded: Path) -> None:
    (entry,) = kept()
    assert entry.visibility == "internal"
    said: Any = entry.payload
    (file,) = said["files"]
    assert (file["file"], file["rows"], file["rejected"]) == ("first.csv", 2, 0)
    assert file["sha256"] == hashlib.sha256(loaded.read_bytes()).hexdigest()
    assert client.get("/api/v1/changes").json()["items"] == []


def test_a_later_file_leaves_an_entry_for_each_real_difference_and_none_for_the_rest(
    client: TestClient, loaded: Path, tmp_path: Path
) -> None:
    rows = [
        ["上海青禾照明科技有限公司", FIRM, "存续", "上海市徐汇区桂林路100号"],
        ["徐汇区阿青面馆", SHOP, "存续", "上海市徐汇区桂林路12弄4号"],
        ["上海木棉服饰有限公司", OTHER, "存续", ""],
    ]
    later = registry_file(tmp_path, "later.csv", rows)
    for _ in range(2):
        registry.import_files([later])
    by_code = {entry.entity_code: entry.payload["changed"] for entry in kept()[1:] if entry.payload}
    assert set(by_code) == {FIRM, OTHER}, "the number of somebody's house is no public difference"
    assert by_code[FIRM]["name"] == ["上海青禾照明电器有限公司", "上海青禾照明科技有限公司"]
    assert by_code[OTHER]["name"] == [None, "上海木棉服饰有限公司"]
    page = client.get(f"/entities/{FIRM}?lang=zh").text
    assert "上海青禾照明电器有限公司 → 上海青禾照明科技有限公司" in page
    assert "新设登记" in client.get(f"/entities/{OTHER}?lang=zh").text
    listed = client.get(f"/api/v1/entities/{FIRM}/entries?kind=registration").json()
    assert listed["total"] == 1
    assert "桂林路12弄" not in client.get("/api/v1/changes").text
    assert verification.verify().holds
