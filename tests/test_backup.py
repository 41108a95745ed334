"""Backups: one moment of a running portal, restored whole into an empty one on either database, or not at all."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zstandard
from alembic import command
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from portal import migrations
from portal.backup import make, restore
from portal.kit import archive, db, keyring
from portal.kit.archive import FolderTaken, PortalNotEmpty, RestoreUnfinished
from portal.kit.errors import PortalError
from record import ledger
from record.ledger import Fact
from record.models import Entity, KindSwitch, LedgerEntry, RedactedFact
from search import index
from tests.conftest import PORTAL, application, forget_settings, free_port, new_database, use_settings
from tests.record.test_soak import WRITER

ROOT = Path(__file__).parents[1]
SAID = {
    "party_name": "上海青禾照明电器有限公司",
    "subject": "一行\n两行\r\n\t制表 \\N \\. \\t 反斜杠\\ 引号\"'",
    "result": "😀 \u200b é",
}


def portal(*words: object, code: int = 0) -> dict[str, Any]:
    """Run a command of the portal. Returns its summary; of a refusal, its sentence."""
    done = subprocess.run([PORTAL, *map(str, words)], check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    if code:
        return {"refusal": done.stderr}
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


Elsewhere = Callable[..., contextlib.AbstractContextManager[Path]]


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Elsewhere:
    """Turns this process to another place, where no portal has ever been."""

    @contextlib.contextmanager
    def turn(kind: str, name: str = "elsewhere") -> Iterator[Path]:
        with contextlib.ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            stack.callback(forget_settings)
            url = ""
            if kind == "postgresql":
                url = stack.enter_context(new_database(request.getfixturevalue("postgres")))
            use_settings(patch, data_dir=tmp_path / name, keys_dir=tmp_path / f"{name}-keys", database_url=url)
            yield tmp_path / name
        forget_settings()

    return turn


def every_row() -> dict[str, list[Any]]:
    """What the models read out of every table, in the order of their keys."""
    with db.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in db.Base.metadata.sorted_tables
        }


def add_what_is_hard_to_copy(data_dir: Path) -> None:
    with db.writing() as session:
        session.add(KindSwitch(kind="permit", since=date(2026, 1, 1), public_here=False, because="试\\N"))
        session.add(KindSwitch(kind="permit", since=date(2026, 2, 1), public_here=True, because=""))
        session.add(RedactedFact(name_hash=bytes(range(32))))
        entity = session.scalars(select(Entity).limit(1)).one()
        entity.as_received = {"备注": "a\tb\\"}
        entity.changed_at = entity.changed_at.replace(microsecond=120)
        session.flush()
        ledger.append(session, [ledger.seal(Fact("inspection", "hard", "1", SAID, entity.code, "2026-03-05"))])
    (data_dir / "files" / "a").mkdir(parents=True)
    (data_dir / "files" / "a" / "证据.bin").write_bytes(os.urandom(3_000))


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_backup_comes_back_to_the_last_digit_on_either_database(
    target: str, filled: str, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    add_what_is_hard_to_copy(tmp_path / "var")
    kept, file = every_row(), (tmp_path / "var/files/a/证据.bin").read_bytes()
    made = portal("backup", tmp_path / "backup", "--json")
    assert made["rows"] == sum(map(len, kept.values()))
    with elsewhere(target) as data_dir:
        restored = portal("restore", tmp_path / "backup", "--json")
        assert (restored["holds"], restored["entries"], restored["root"]) == (True, made["entries"], made["root"])
        assert every_row() == kept, f"{filled} into {target}"
        assert (data_dir / "files/a/证据.bin").read_bytes() == file
        with db.writing() as session:  # numbering goes on behind what was copied
            session.execute(text("INSERT INTO job (task, items, state, tries, due_at, created_at) SELECT 'x', '[]', "
                                 "'done', 0, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"))  # fmt: skip
            assert ledger.append(session, [ledger.seal(Fact("inspection", "hard", "1", SAID))]).seqs == [
                made["entries"]
            ]


def test_a_backup_made_while_others_write_is_one_moment_and_is_served(
    filled: str, tmp_path: Path, elsewhere: Elsewhere, unlimited: None
) -> None:
    said = tmp_path / "said"
    with said.open("wb") as out:
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, f"writer-{seed}", str(seed)], stdout=out, cwd=ROOT)
            for seed in (1, 2)
        ]
    try:
        while said.read_bytes().count(b"\n") < 4:
            time.sleep(0.05)
        before = [int(line.split(":")[0]) for line in said.read_text().splitlines(keepends=True) if line.endswith("\n")]
        made = portal("backup", tmp_path / "backup", "--json")
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    with db.reading() as session:
        root = ledger.head(session, made["entries"]).root.hex()
        assert max(before) < made["entries"] < ledger.size(session), "others wrote before, and went on"
        named = session.scalars(select(Entity).order_by(Entity.code).limit(1)).one()
    assert made["root"] == root
    with elsewhere(filled):
        assert portal("restore", tmp_path / "backup", "--json")["holds"]
        assert portal("verify", "--json")["root"] == root
        with db.reading() as session:
            assert session.scalar(select(func.count()).select_from(LedgerEntry)) == made["entries"]
        client = TestClient(application(), base_url="http://127.0.0.1:8000")
        assert named.name in client.get(f"/entities/{named.code}").text
        found = client.get("/api/v1/entities", params={"q": named.name}).json()["items"]
        assert found[0]["code"] == named.code


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small portal, `var`, and its `backup`. Not to be changed."""
    folder = tmp_path_factory.mktemp("backed-up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTAL_DATA_DIR", str(folder / "var"))
        patch.setenv("PORTAL_DATABASE_URL", "")
        patch.delenv("PORTAL_KEYS_DIR", raising=False)
        portal("demo", "--entities", 50, "--json")
        (folder / "var" / "mail").mkdir()
        (folder / "var" / "mail" / "1.eml").write_text("An einen Bürger", encoding="utf-8")
        portal("backup", folder / "backup", "--json")
    return folder


@pytest.fixture
def backup(made_once: Path, tmp_path: Path) -> Path:
    """A backup of a small portal, which a test may spoil."""
    shutil.copytree(made_once / "backup", tmp_path / "backup")
    return tmp_path / "backup"


def nothing_is_there(data_dir: Path) -> bool:
    files = [path.name for path in data_dir.rglob("*") if path.is_file() and not path.name.startswith("portal.sqlite3")]
    with db.reading() as session:
        return not files and session.scalar(text("SELECT count(*) FROM sqlite_master")) == 0


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("tables/ledger_entry.copy.zst", flip),
        ("tables/ledger_head.copy.zst", lambda path: path.unlink()),
        ("files/mail/1.eml", lambda path: path.write_bytes(path.read_bytes()[:-1])),
    ],
)
def test_a_damaged_backup_is_refused_by_the_name_of_its_file_and_nothing_is_restored(
    name: str, spoil: Callable[[Path], object], backup: Path, elsewhere: Elsewhere
) -> None:
    spoil(backup / name)
    with elsewhere("sqlite") as data_dir:
        assert name in portal("restore", backup, "--json", code=1)["refusal"]
        assert nothing_is_there(data_dir)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"files": {"../outside": {"bytes": 0, "sha256": ""}}}, "no finished backup"),
        ({"files": {"/etc/outside": {"bytes": 0, "sha256": ""}}}, "no finished backup"),
        ({"tables": {"../../outside": {"bytes": 0, "sha256": "", "rows": 0, "columns": []}}}, "no finished backup"),
        ({"format": 2}, "newer version"),
        ({"revision": "ffff"}, "newer version"),
    ],
)
def test_a_manifest_that_reaches_outside_or_comes_from_a_newer_portal_is_refused(
    changed: dict[str, Any], refusal: str, backup: Path, elsewhere: Elsewhere
) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    (backup / "manifest.json").write_text(json.dumps(manifest | changed))
    with elsewhere("sqlite") as data_dir:
        with pytest.raises(PortalError) as raised:
            restore(backup)
        assert refusal in raised.value.title
        assert nothing_is_there(data_dir)


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_what_an_older_portal_backed_up_is_brought_to_the_present(
    target: str, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    with elsewhere("sqlite", "older"):
        with db.writing_engine().begin() as connection:
            migrations.upgrade_within(connection, "0005")
            connection.exec_driver_sql(
                ScriptDirectory.from_config(migrations.config()).get_revision("0023").module.STEP
            )  # that version read it off the table
        with db.writing() as session:
            ledger.append(session, [ledger.seal(Fact("inspection", "old", "1", SAID))])
        made = portal("backup", tmp_path / "backup", "--json")
    assert json.loads((tmp_path / "backup" / "manifest.json").read_text())["revision"] == "0005"
    with elsewhere(target):
        restored = portal("restore", tmp_path / "backup", "--json")
        assert (restored["root"], restored["holds"]) == (made["root"], True)
        command.check(migrations.config())
        with db.reading() as session:
            (entry,) = session.scalars(select(LedgerEntry))
            assert entry.payload == SAID


@pytest.mark.usefixtures("filled")
def test_a_portal_that_is_not_empty_is_left_as_it_is(backup: Path, elsewhere: Elsewhere) -> None:
    before = every_row()
    assert "not empty" in portal("restore", backup, "--json", code=1)["refusal"]
    assert every_row() == before
    with elsewhere("sqlite", "with-a-file") as data_dir:
        (data_dir / "mail").mkdir(parents=True)
        (data_dir / "mail" / "2.eml").write_text("")
        with pytest.raises(PortalNotEmpty):
            restore(backup)
    with elsewhere("sqlite", "with-a-table"):
        with db.writing() as session:
            session.execute(text("CREATE TABLE theirs (id INTEGER)"))
        with pytest.raises(PortalNotEmpty):
            restore(backup)


@pytest.mark.usefixtures("database")
def test_a_portal_that_was_only_started_is_empty(backup: Path) -> None:
    restored = portal("restore", backup, "--json")
    kept = json.loads((backup / archive.MANIFEST).read_text("utf-8"))["files"]
    assert (restored["entities"], restored["files"], restored["holds"]) == (50, len(kept), True)
    assert "mail/1.eml" in kept


def test_a_backup_wants_a_folder_of_its_own_and_a_portal(embedded: Path, tmp_path: Path, elsewhere: Elsewhere) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    assert "new or empty" in portal("backup", tmp_path / "taken", "--json", code=1)["refusal"]
    for folder in (tmp_path / "taken" / "file", embedded / "backup"):
        with pytest.raises(FolderTaken):
            make(folder)
    with elsewhere("sqlite"):
        assert "no portal here" in portal("backup", tmp_path / "backup", "--json", code=1)["refusal"]
    assert not (tmp_path / "backup").exists()
    portal("restore", tmp_path / "no such", code=1)


@pytest.mark.parametrize("within", [False, True])
def test_private_keys_and_the_index_are_not_in_a_backup(
    within: bool, embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if within:
        use_settings(monkeypatch, keys_dir=embedded / "keys")
    keyring.secret("links")
    keyring.signing_key("ledger-head")
    index.rebuild()
    (embedded / "files").mkdir()
    (embedded / "files" / "back").symlink_to(embedded)
    (embedded / "note").write_text("")
    portal("backup", tmp_path / "backup", "--json")
    keys = [path.read_bytes().splitlines() for path in (embedded if within else tmp_path).glob("keys/*.*")]
    lines = [line for key in keys for line in key if line and b"-----" not in line]
    assert len(lines) == 2
    for path in (path for path in (tmp_path / "backup").rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().stream_reader(content).read()
        assert not any(line in content for line in lines), path
    assert [path.name for path in (tmp_path / "backup" / "files").rglob("*")] == ["note"]


# ---- killed ---------------------------------------------------------------------------------------------------------


def killed_once(there: Path, *words: object) -> None:
    """Run a command of the portal, and kill it as soon as a file is there."""
    process = subprocess.Popen([PORTAL, *map(str, words)], stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 60
    while not there.exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < ends
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_backup_that_was_killed_is_no_backup(embedded: Path, tmp_path: Path) -> None:
    with (embedded / "large.bin").open("wb") as file:
        file.truncate(100 * 2**20)
    killed_once(tmp_path / "backup/files/large.bin", "backup", tmp_path / "backup")
    assert not (tmp_path / "backup" / "manifest.json").exists()
    assert "no finished backup" in portal("restore", tmp_path / "backup", "--json", code=1)["refusal"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_restore_that_was_killed_is_not_served_and_says_what_to_do(
    database: str, backup: Path, elsewhere: Elsewhere
) -> None:
    with elsewhere(database) as data_dir:
        killed_once(data_dir / "restore-unfinished", "restore", backup)
        for words in (("restore", backup), ("serve", "--port", free_port())):
            assert "Empty the data folder, the storage and the database" in portal(*words, code=1)["refusal"]
        with pytest.raises(RestoreUnfinished):
            make(data_dir.with_name("another"))
        shutil.rmtree(data_dir)
    with elsewhere(database):
        assert portal("restore", backup, "--json")["holds"]
