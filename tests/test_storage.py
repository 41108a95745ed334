"""Files beside the database: the same promises in a folder and in S3-compatible storage."""

from collections.abc import Callable
from pathlib import Path

import pytest

from portal import backup
from portal.kit import archive, storage
from portal.kit.storage import ObjectMissing, StorageAway
from tests.conftest import Original, fill, forget_settings, free_port, use_s3, use_settings


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, embedded: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each store in turn, empty."""
    if request.param == "s3":
        use_settings(monkeypatch, storage_url=f"{request.getfixturevalue('s3')}/own")
    return str(request.param)


def test_what_was_put_is_there_until_it_is_deleted(store: str) -> None:
    storage.put("tips/a/original", b"\x00\x01" * 1_000)
    assert storage.get("tips/a/original") == b"\x00\x01" * 1_000
    storage.put("tips/a/original", b"changed")
    assert storage.get("tips/a/original") == b"changed"
    storage.delete(["tips/a/original", "tips/never/was"])
    with pytest.raises(ObjectMissing):
        storage.get("tips/a/original")


def test_keys_are_listed_by_their_beginning(store: str) -> None:
    for key in ("tips/a/original", "tips/a/cleaned", "tips/b/original", "snapshots/x"):
        storage.put(key, b"x")
    assert sorted(storage.keys("tips")) == ["tips/a/cleaned", "tips/a/original", "tips/b/original"]
    assert list(storage.keys("nothing")) == []


def test_large_objects_come_back_whole(store: str) -> None:
    content = bytes(range(256)) * 50_000
    storage.put("tips/large/original", content)
    assert storage.get("tips/large/original") == content


def test_files_of_the_folder_are_the_portals_alone(embedded: Path) -> None:
    storage.put("tips/a/original", b"x")
    assert (embedded / "files").stat().st_mode & 0o077 == 0


def test_a_store_that_is_away_is_a_named_refusal(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(monkeypatch, f"http://127.0.0.1:{free_port()}")
    use_settings(monkeypatch, storage_url="s3://files/away")
    monkeypatch.setattr(storage, "RETRIES", 0)
    with pytest.raises(StorageAway):
        storage.put("a", b"x")


def test_a_backup_takes_the_folders_files_along(embedded: Path, tmp_path: Path) -> None:
    storage.put("tips/a/original", b"sealed content")
    backup.make(tmp_path / "copy")
    assert any(path.read_bytes() == b"sealed content" for path in (tmp_path / "copy").rglob("original*"))


@pytest.mark.parametrize(("made", "restored"), [("folder", "s3"), ("s3", "folder"), ("s3", "s3")])
def test_a_backup_goes_to_object_storage_and_comes_back_wherever_files_are_kept(
    made: str,
    restored: str,
    s3: str,
    originals: Callable[..., Original],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = bytes(range(256)) * 40_000
    with originals("sqlite", fill).copy(monkeypatch, tmp_path) as data_dir:
        use_settings(monkeypatch, storage_url=f"{s3}/first" if made == "s3" else "")
        storage.put("tips/a/original", content)
        (data_dir / "mail").mkdir(exist_ok=True)
        (data_dir / "mail" / "1.eml").write_text("a letter")
        copy = backup.make(f"{s3}/backup")
        with pytest.raises(archive.FolderTaken):
            backup.make(f"{s3}/backup")
        assert copy.folder == f"{s3}/backup"
        assert copy.files >= 2
    elsewhere = tmp_path / "elsewhere"
    use_settings(
        monkeypatch, data_dir=elsewhere, keys_dir=tmp_path / "keys", database_url="",
        storage_url=f"{s3}/second" if restored == "s3" else "",
    )  # fmt: skip
    again = backup.restore(f"{s3}/backup")
    assert (again.holds, again.rows, again.files, again.root) == (True, copy.rows, copy.files, copy.root)
    assert storage.get("tips/a/original") == content
    assert (elsewhere / "mail" / "1.eml").read_text() == "a letter"
    assert (elsewhere / "files" / "tips" / "a" / "original").exists() == (restored == "folder")
    with pytest.raises(archive.PortalNotEmpty):
        backup.restore(f"{s3}/backup")
    forget_settings()


def test_a_backup_in_object_storage_that_was_stopped_is_none_and_a_damaged_one_is_named(
    s3: str, originals: Callable[..., Original], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with originals("sqlite", fill).copy(monkeypatch, tmp_path):
        storage.put("tips/a/original", b"sealed content")

        def stopped(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(archive, "finish", stopped)
            with pytest.raises(KeyboardInterrupt):
                backup.make(f"{s3}/stopped")
        backup.make(f"{s3}/whole")
    use_settings(monkeypatch, data_dir=tmp_path / "elsewhere", keys_dir=tmp_path / "keys", database_url="")
    with pytest.raises(archive.NotABackup):
        backup.restore(f"{s3}/stopped")
    storage.put("files/files/tips/a/original", b"another content", at=f"{s3}/whole")
    with pytest.raises(archive.BackupDamaged) as damaged:
        backup.restore(f"{s3}/whole")
    assert damaged.value.values["file"] == "files/files/tips/a/original"
    assert not list(storage.keys())
    forget_settings()


@pytest.mark.usefixtures("embedded")
def test_a_backup_goes_nowhere_within_the_portals_own_storage(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, storage_url=f"{s3}/own")
    for place in (f"{s3}/own", f"{s3}/own/backup", s3):
        with pytest.raises(archive.FolderTaken):
            backup.make(place)
