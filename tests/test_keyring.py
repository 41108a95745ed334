"""Private keys are made once, whoever asks first, and nobody else on the machine can read them."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from portal.kit import keyring
from portal.kit.settings import get_settings
from tests.conftest import use_settings


@pytest.fixture
def keys_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_settings(monkeypatch, data_dir=tmp_path / "var", keys_dir=tmp_path / "keys")
    return tmp_path / "keys"


def test_a_secret_is_made_on_first_use_and_stays_the_same(keys_dir: Path) -> None:
    first = keyring.secret("links")
    assert len(first) == 32
    assert keyring.secret("links") == first != keyring.secret("receipts")
    assert keys_dir.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys_dir.iterdir()} == {0o600}


def test_a_signing_key_signs_and_is_the_same_after_a_restart(keys_dir: Path) -> None:
    key = keyring.signing_key("ledger-head")
    key.public_key().verify(key.sign(b"head"), b"head")
    keyring._signing_key.cache_clear()
    again = keyring.signing_key("ledger-head").public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert again == key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.mark.usefixtures("keys_dir")
def test_what_was_sealed_opens_only_with_its_key_and_about_the_same() -> None:
    kept = keyring.sealed("subscriptions", "暗号", about="监管平台")
    assert "暗号".encode() not in base64.b64decode(kept)
    assert keyring.opened("subscriptions", kept, about="监管平台") == "暗号"
    for name, about in (("subscriptions", "信用平台"), ("authenticators", "监管平台")):
        with pytest.raises(InvalidTag):
            keyring.opened(name, kept, about=about)


def test_processes_that_start_at_once_agree_on_one_key(keys_dir: Path) -> None:
    asking = [sys.executable, "-c", "from portal.kit import keyring; print(keyring.secret('links').hex())"]
    children = [subprocess.Popen(asking, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {child.communicate(timeout=60)[0].strip() for child in children} == {keyring.secret("links").hex()}


def test_keys_lie_beside_the_data_folder_when_nothing_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PORTAL_KEYS_DIR", raising=False)
    use_settings(monkeypatch, data_dir=tmp_path / "var")
    assert get_settings().resolved_keys_dir == tmp_path / "var-keys"


def test_a_damaged_key_is_never_replaced_in_silence(keys_dir: Path) -> None:
    keys_dir.mkdir(mode=0o700)
    for name in ("links.key", "ledger-head.pem"):
        (keys_dir / name).write_text("half a k")
    with pytest.raises(keyring.KeyFileDamaged):
        keyring.secret("links")
    with pytest.raises(keyring.KeyFileDamaged):
        keyring.signing_key("ledger-head")
    assert (keys_dir / "links.key").read_text() == "half a k"


def test_a_name_cannot_leave_the_folder(keys_dir: Path) -> None:
    for name in ("../links", "", "a/b", "Links"):
        with pytest.raises(ValueError):
            keyring.secret(name)
