"""Files beside the database: the same promises in a folder and in S3-compatible storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from portal.kit import storage
from portal.kit.storage import ObjectMissing, StorageAway
from tests.conftest import free_port, use_settings


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 service on loopback, with one bucket."""
    import urllib.request

    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/files", method="PUT")).close()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, embedded: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each store in turn, empty."""
    if request.param == "s3":
        address = request.getfixturevalue("s3")
        for name, value in {
            "AWS_ACCESS_KEY_ID": "probe", "AWS_SECRET_ACCESS_KEY": "probe", "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT": address,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        use_settings(
            monkeypatch,
            storage_url=f"s3://files/{request.node.name.replace('[', '-').rstrip(']')}",
            storage_allow_http="true",
        )
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
    for name, value in {
        "AWS_ACCESS_KEY_ID": "probe", "AWS_SECRET_ACCESS_KEY": "probe", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    use_settings(monkeypatch, storage_url="s3://files/away", storage_allow_http="true")
    monkeypatch.setattr(storage, "RETRIES", 0)
    with pytest.raises(StorageAway):
        storage.put("a", b"x")


def test_a_backup_takes_the_folders_files_along(embedded: Path, tmp_path: Path) -> None:
    from portal import backup

    storage.put("tips/a/original", b"sealed content")
    backup.make(tmp_path / "copy")
    assert any(path.read_bytes() == b"sealed content" for path in (tmp_path / "copy").rglob("original*"))
