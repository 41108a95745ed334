"""Accounts, passwords, codes and sessions: who gets in, who does not, and what is kept of it."""

import hashlib
import io
import json
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
import segno
import structlog
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from portal.kit import accounts, db, passwords, signin
from portal.kit.accounts import Account, AccountSession, Officer
from portal.kit.signin import SignInRefused, TooManySignIns
from tests.conftest import PORTAL, use_settings
from tests.officers import PASSWORD, Someone, add_officer, sign_in

NOW = datetime(2026, 11, 20, 9, 0, 5, tzinfo=UTC)


def try_in(officer: Someone, *, password: str = PASSWORD, code: str | None = None, caller: str = "somebody") -> str:
    return signin.sign_in(officer.login, password, code or officer.code(), caller=caller)


def holder(token: str) -> Officer | None:
    with db.reading() as session:
        found = signin.read(session, token)
    return found.officer if found else None


# ---- who gets in ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_login_password_and_code_open_a_session_of_which_only_a_hash_is_kept() -> None:
    officer = add_officer(district="310101", roles=["reviewer", "clerk"])
    token = signin.sign_in(" ＬＩ.Wei", PASSWORD, officer.code(), caller="somebody")
    assert holder(token) == Officer(officer.id, "李伟", "市场监督管理局", "310101", frozenset({"clerk", "reviewer"}))
    with db.reading() as session:
        (kept,) = session.scalars(select(AccountSession))
        account = session.get_one(Account, officer.id)
    assert kept.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert account.password_hash.startswith("$argon2id$")
    assert account.login == "li.wei"


@pytest.mark.usefixtures("database")
def test_whatever_is_wrong_the_refusal_is_the_same_and_nothing_is_opened() -> None:
    officer = add_officer()
    nobody = Someone(0, "nobody", officer.secret)
    disabled = add_officer("zhang")
    with db.writing() as session:
        session.get_one(Account, disabled.id).disabled_at = db.now()
    for attempt in (
        lambda: try_in(officer, password="wrong"),
        lambda: try_in(officer, code="000000"),
        lambda: try_in(officer, code="１２３ 4"),
        lambda: try_in(nobody),
        lambda: try_in(disabled),
    ):
        with pytest.raises(SignInRefused):
            attempt()
    with db.reading() as session:
        assert session.scalars(select(AccountSession)).all() == []


@pytest.mark.usefixtures("embedded")
def test_an_unknown_login_is_hashed_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passwords.matches(None, PASSWORD) is False
    use_settings(monkeypatch, argon2_memory_kib=16_384, argon2_passes=4)
    known = passwords.hashed(PASSWORD)
    passwords.matches(None, "warm")

    def seconds(password_hash: str | None) -> float:
        def once() -> float:
            started = time.thread_time()
            passwords.matches(password_hash, "wrong")
            return time.thread_time() - started

        return min(once() for _ in range(5))

    assert 0.5 < seconds(None) / seconds(known) < 2


@pytest.mark.usefixtures("database")
def test_a_code_works_once_and_so_does_none_before_it() -> None:
    officer = add_officer()
    with time_machine.travel(NOW, tick=False):
        totp = pyotp.TOTP(officer.secret)
        earlier, present, later = (totp.at(NOW + timedelta(seconds=30 * i)) for i in (-1, 0, 1))
        assert try_in(officer, code=f"{present[:3]} {present[3:]}")
        for spent in (present, earlier):
            with pytest.raises(SignInRefused):
                try_in(officer, code=spent)
        assert try_in(officer, code=later)
        with pytest.raises(SignInRefused):
            try_in(officer, code=totp.at(NOW + timedelta(seconds=60)))


@pytest.mark.usefixtures("database")
def test_of_many_who_send_one_code_at_once_one_gets_in() -> None:
    officer = add_officer()
    code = officer.code()
    got: list[str] = []

    def attempt() -> None:
        try:
            got.append(try_in(officer, code=code))
        except (SignInRefused, TooManySignIns) as refusal:
            got.append(type(refusal).__name__)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), got.count("SignInRefused")) == (4, 3)


@pytest.mark.usefixtures("database")
def test_a_hash_of_old_parameters_is_made_anew_when_its_owner_signs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    officer = add_officer()
    use_settings(monkeypatch, argon2_passes=2)
    try_in(officer)
    with db.reading() as session:
        assert ",t=2," in session.get_one(Account, officer.id).password_hash
    assert try_in(officer)


# ---- attempts are slowed --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_after_five_failures_a_login_pauses_longer_each_time_even_for_the_right_password() -> None:
    officer = add_officer()
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(5):
            with pytest.raises(SignInRefused):
                try_in(officer, password="wrong", caller="first")
        with pytest.raises(TooManySignIns) as paused:
            try_in(officer, caller="second")
        assert paused.value.values == {"seconds": 30}
        clock.shift(31)
        with pytest.raises(SignInRefused):
            try_in(officer, password="wrong")
        clock.shift(31)
        with pytest.raises(TooManySignIns) as paused:
            try_in(officer)
        assert paused.value.values == {"seconds": 29}
        clock.shift(30)
        assert try_in(officer)
        with pytest.raises(SignInRefused):
            try_in(officer, password="wrong")


@pytest.mark.usefixtures("database")
def test_an_unknown_login_pauses_as_a_known_one_does() -> None:
    nobody = Someone(0, "nobody", pyotp.random_base32())
    for _ in range(5):
        with pytest.raises(SignInRefused):
            try_in(nobody, code="123456")
    with pytest.raises(TooManySignIns):
        try_in(nobody, code="123456")


@pytest.mark.usefixtures("database")
def test_a_caller_who_tries_many_logins_pauses_and_others_do_not() -> None:
    officer = add_officer()
    for number in range(30):
        with pytest.raises(SignInRefused):
            signin.sign_in(f"guess-{number}", PASSWORD, "123456", caller="guesser")
    with pytest.raises(TooManySignIns):
        try_in(officer, caller="guesser")
    assert try_in(officer, caller="colleague")


@pytest.mark.usefixtures("database")
def test_what_is_kept_of_failures_names_nobody_and_is_forgotten() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        with pytest.raises(SignInRefused):
            signin.sign_in("my-secret-by-mistake", "x", "1", caller="0123456789ab")
        with db.reading() as session:
            kept = " ".join(str(row) for row in session.execute(text("select * from sign_in_failure")))
        assert "mistake" not in kept
        clock.shift(timedelta(hours=2))
        with pytest.raises(SignInRefused):
            signin.sign_in("other", "x", "1", caller="other")
        with db.reading() as session:
            assert session.scalar(text("select count(*) from sign_in_failure")) == 2


# ---- sessions end ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_a_session_ends_after_idling_and_at_the_latest_after_its_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, session_idle_minutes=20, session_hours=1)
    officer = add_officer()
    with time_machine.travel(NOW, tick=False) as clock:
        token = try_in(officer)
        for _ in range(3):
            clock.shift(timedelta(minutes=19))
            with db.writing() as session:
                found = signin.read(session, token)
                assert found is not None
                assert signin.is_due(found)
                signin.seen(session, found)
        clock.shift(timedelta(minutes=4))
        assert holder(token) is None
        token = try_in(officer)
        clock.shift(timedelta(minutes=21))
        assert holder(token) is None


@pytest.mark.usefixtures("database")
def test_disabling_an_account_ends_its_sessions_and_enabling_brings_none_back() -> None:
    officer, chief = add_officer(), add_officer("chief", roles=["administrator"])
    token, chiefs = try_in(officer), holder(try_in(chief))
    assert chiefs is not None
    with db.writing() as session:
        accounts.disable(session, officer.id, by=chiefs)
    assert holder(token) is None
    with db.writing() as session:
        accounts.enable(session, officer.id, by=chiefs)
    assert holder(token) is None
    assert holder(try_in(officer)) is not None


def test_an_officer_covers_their_department_within_their_district() -> None:
    of_city = Officer(1, "", "市场监督管理局", None, frozenset({"clerk"}))
    of_huangpu = Officer(2, "", "市场监督管理局", "310101", frozenset({"clerk"}))
    assert of_city.covers(department="市场监督管理局", district="310101")
    assert of_huangpu.covers(department="市场监督管理局", district="310101")
    assert not of_huangpu.covers(department="市场监督管理局", district="310104")
    assert not of_huangpu.covers(department="市场监督管理局", district=None)
    assert not of_city.covers(department="应急管理局", district="310101")
    assert of_city.may("clerk", "reviewer")
    assert not of_city.may("administrator")


# ---- what is said and written down ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_no_log_line_tells_who_signed_in_or_what_was_typed(client: TestClient) -> None:
    officer = add_officer()
    with structlog.testing.capture_logs() as lines:
        sign_in(client, officer)
        client.post("/desk/login", data={"login": officer.login, "password": "my other secret", "code": "123456"})
        client.get("/desk")
    written = json.dumps(lines, ensure_ascii=False, default=str)
    for private in (officer.login, "李伟", "市场监督管理局", PASSWORD, "my other secret", "testclient", officer.secret):
        assert private not in written
    assert client.cookies["desk"] not in written


# ---- the command line -----------------------------------------------------------------------------------------------


def staff(*arguments: str | Path, expect: int = 0) -> str:
    command = [str(PORTAL), "staff", *(str(each) for each in arguments)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ran.returncode == expect, ran.stderr
    return ran.stdout + ran.stderr


def test_staff_add_makes_an_account_that_works_and_prints_its_code_to_scan(embedded: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n", encoding="utf-8")
    about = ["--login", "Wang.Fang", "--name", "王芳", "--department", "市场监督管理局", "--password-file", password]
    made: dict[str, Any] = json.loads(
        staff("add", *about, "--district", "310101", "--role", "clerk", "--role", "administrator", "--json")
    )
    assert made["login"] == "wang.fang"
    secret = pyotp.parse_uri(made["otpauth"]).secret
    assert holder(try_in(Someone(made["account"], made["login"], secret))) == Officer(
        made["account"], "王芳", "市场监督管理局", "310101", frozenset({"clerk", "administrator"})
    )

    assert "in use" in staff("add", *about, "--role", "clerk", expect=1)
    assert "--district" in staff("add", *about, "--role", "clerk", "--district", "999999", expect=2)
    assert "--role" in staff("add", *about, "--role", "king", expect=2)

    renewed = staff("renew", "--login", "wang.fang", "--password-file", password)
    uri = next(line for line in renewed.splitlines() if line.startswith("otpauth://"))
    drawn = io.StringIO()
    segno.make(uri, error="l").terminal(drawn, compact=True)
    assert drawn.getvalue() in renewed
    with pytest.raises(SignInRefused):
        try_in(Someone(made["account"], made["login"], secret))
    assert try_in(Someone(made["account"], made["login"], pyotp.parse_uri(uri).secret))


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("weak", ["short", "aaaaaaaaaaaaaaaa", "wang.fang-wang.fang"])
def test_staff_add_refuses_a_password_that_is_easy_to_guess(weak: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(weak, encoding="utf-8")
    about = ["--login", "wang.fang", "--name", "王芳", "--department", "市场监督管理局", "--role", "clerk"]
    assert "12 characters" in staff("add", *about, "--password-file", password, expect=1)
    with db.reading() as session:
        assert session.scalars(select(Account)).all() == []
