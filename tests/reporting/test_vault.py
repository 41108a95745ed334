"""The vault: with everything but the private keys in hand nothing opens, and only its receipt opens a reply."""

import io
import threading
import time
from pathlib import Path

import pyrage
import pytest
from pyrage import x25519
from sqlalchemy import text

from portal.kit import db
from portal.kit.settings import get_settings
from reporting import vault
from reporting.vault import NotForUs, ReceiptUnreadable, VaultClosed

DEPARTMENT, OTHER = "市场监督管理局", "应急管理局"
SAID = "仓库里藏有过期奶粉".encode()


@pytest.fixture
def keys(database: str) -> None:
    with db.writing() as session:
        vault.prepare(session, [DEPARTMENT, OTHER])


def sealed(department: str | None = DEPARTMENT) -> bytes:
    with db.reading() as session:
        return vault.seal(session, SAID, department)


def opened(content: bytes) -> bytes:
    with db.reading() as session:
        return vault.open_sealed(session, content)


def take_keys_away() -> list[tuple[Path, bytes]]:
    kept = [(path, path.read_bytes()) for path in get_settings().resolved_keys_dir.glob("*.age")]
    for path, _ in kept:
        path.unlink()
    return kept


def test_the_desk_opens_what_was_sealed_and_nobody_else_can(keys: None) -> None:
    content = sealed()
    assert SAID not in content
    assert opened(content) == SAID
    kept = take_keys_away()
    assert kept
    with pytest.raises(NotForUs):
        opened(content)
    with db.reading() as session:
        rows = str(session.execute(text("SELECT * FROM vault_recipient")).all())
        again = vault.seal(session, SAID, DEPARTMENT)
    assert "AGE-SECRET-KEY" not in rows
    assert SAID not in again, "the public side seals without any private key"


def test_a_departments_key_alone_opens_its_own_and_not_anothers(keys: None) -> None:
    mine, theirs = sealed(), sealed(OTHER)
    with db.reading() as session:
        rows = session.execute(text("SELECT key_name, department FROM vault_recipient")).all()
    own = {department: name for name, department in rows}
    for path, content in take_keys_away():
        if path.stem == own[DEPARTMENT]:
            path.write_bytes(content)
    assert opened(mine) == SAID
    with pytest.raises(NotForUs):
        opened(theirs)


def test_intake_opens_what_no_department_has_a_key_for(keys: None) -> None:
    assert opened(sealed(None)) == SAID
    assert opened(sealed("没有密钥的部门")) == SAID


def test_who_the_reporter_is_opens_with_the_custodians_key_only(keys: None) -> None:
    with db.reading() as session:
        content = vault.seal_identity(session, SAID)
        with pytest.raises(NotForUs):
            vault.open_sealed(session, content)
        assert vault.open_identity(session, content) == SAID


def test_an_officers_own_key_opens_with_ages_own_format_and_never_came_here(keys: None) -> None:
    officer = x25519.Identity.generate()
    with db.writing() as session:
        vault.add_recipient(session, DEPARTMENT, f" {officer.to_public()} \n")
        with pytest.raises(ValueError, match="age1"):
            vault.add_recipient(session, DEPARTMENT, "ssh-ed25519 AAAA")
    content = sealed()
    assert content.startswith(b"age-encryption.org/v1\n")
    assert pyrage.decrypt(content, [officer]) == SAID
    assert opened(content) == SAID


def test_after_a_change_of_keys_old_content_stays_readable_and_new_goes_to_the_new_key(keys: None) -> None:
    before = sealed()
    with db.writing() as session:
        public = vault.renew(session, "department", DEPARTMENT)
    after = sealed()
    assert opened(before) == opened(after) == SAID
    with db.reading() as session:
        moved = vault.reseal(session, before, OTHER)
        assert public in vault._current(session, "department", DEPARTMENT)
    assert opened(moved) == SAID


def test_without_keys_nothing_is_taken_rather_than_kept_in_clear(database: str) -> None:
    with pytest.raises(VaultClosed):
        sealed()


def test_preparing_again_makes_no_second_key(keys: None) -> None:
    with db.writing() as session:
        vault.prepare(session, [DEPARTMENT])
        assert len(vault._current(session, "department", DEPARTMENT)) == 1


def test_content_that_was_changed_on_its_way_does_not_open(keys: None) -> None:
    content = bytearray(sealed())
    content[-3] ^= 1
    with pytest.raises(NotForUs):
        opened(bytes(content))


# ---- receipts -------------------------------------------------------------------------------------------------------


def test_a_receipt_finds_and_opens_its_own_replies_however_it_is_typed(embedded: Path) -> None:
    digits = vault.new_digits()
    made = vault.receipt(digits)
    reply = vault.seal_to(made.public_key, SAID)
    full_width = digits.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    for typed in (vault.grouped(digits), f" {digits} ", full_width, "-".join((digits[:8], digits[8:]))):
        again = vault.receipt(typed)
        assert again.lookup == made.lookup
        assert again.open(reply) == SAID
    assert digits not in repr(made)
    assert made.identity not in repr(made)


def test_another_receipt_opens_nothing_and_what_is_none_is_refused(embedded: Path) -> None:
    first, second = vault.receipt("1234567890123456"), vault.receipt("1234567890123457")
    assert first.lookup != second.lookup
    with pytest.raises(NotForUs):
        second.open(vault.seal_to(first.public_key, SAID))
    for typed in (
        "",
        "123456789012345",
        "12345678901234567",
        "123456789012345x",
        "一二三四五六七八九十一二三四五六",
        "9" * 5_000,
    ):
        with pytest.raises(ReceiptUnreadable):
            vault.receipt(typed)


def test_receipts_are_by_chance_and_keep_their_noughts() -> None:
    made = {vault.new_digits() for _ in range(2_000)}
    assert len(made) == 2_000
    assert all(len(digits) == 16 and digits.isdigit() for digits in made)
    assert any(digits.startswith("0") for digits in made)


def test_never_more_than_two_receipts_are_worked_on_at_once(embedded: Path) -> None:
    vault.receipt("1234567890123456")
    started = time.perf_counter()
    vault.receipt("1234567890123456")
    alone = time.perf_counter() - started
    most, lock = 0, threading.Lock()
    done: list[bytes] = []

    def watch() -> None:
        nonlocal most
        while len(done) < 10:
            with lock:
                most = max(most, vault.AT_ONCE - vault._working._value)
            time.sleep(alone / 20)

    watching = threading.Thread(target=watch)
    working = [
        threading.Thread(target=lambda: done.append(vault.receipt("1234567890123456").lookup)) for _ in range(10)
    ]
    for thread in (watching, *working):
        thread.start()
    for thread in (*working, watching):
        thread.join()
    assert most == 2
    assert len(set(done)) == 1


def test_nothing_of_a_sealed_file_is_larger_than_it_must_be(keys: None) -> None:
    large = io.BytesIO(b"\x00" * 5_000_000).getvalue()
    with db.reading() as session:
        content = vault.seal(session, large, DEPARTMENT)
    assert len(content) < len(large) + 10_000
    assert opened(content) == large


def test_the_operator_sees_renews_and_adds_keys(embedded: Path) -> None:
    from typer.testing import CliRunner

    from portal.cli import app

    vault.ready()
    run = CliRunner()
    officer = x25519.Identity.generate()
    before = sealed()
    assert run.invoke(app, ["vault", "renew", "department", "--department", DEPARTMENT]).exit_code == 0
    assert run.invoke(app, ["vault", "add", DEPARTMENT, str(officer.to_public())]).exit_code == 0
    after = sealed()
    assert opened(before) == opened(after) == SAID
    assert pyrage.decrypt(after, [officer]) == SAID
    listed = run.invoke(app, ["vault", "list"]).output
    assert "retired" in listed
    assert "apart" in listed
    assert "AGE-SECRET-KEY" not in listed
    assert run.invoke(app, ["vault", "renew", "department"]).exit_code == 2
    assert run.invoke(app, ["vault", "add", DEPARTMENT, "nonsense"]).exit_code == 2
