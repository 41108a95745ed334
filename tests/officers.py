"""Officers for tests: `officer = add_officer(roles=["reviewer"])`, then `sign_in(client, officer)`."""

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pyotp
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import accounts, db, passwords
from portal.kit.accounts import Account, Role

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Someone:
    """An officer of a test, with what they know and hold."""

    id: int
    login: str
    secret: str

    def code(self) -> str:
        """A code that was not used yet: three fit within any half minute."""
        with db.reading() as session:
            used = session.scalar(select(Account.totp_step).where(Account.id == self.id))
        # The step before still counts, unless it ends before the code arrives.
        oldest = int(time.time() - 25) // 30
        return pyotp.TOTP(self.secret).generate_otp(max(oldest, (used or 0) + 1))


def add_officer(
    login: str = "li.wei",
    *,
    name: str = "李伟",
    department: str = "市场监督管理局",
    district: str | None = None,
    roles: Collection[Role] = ("clerk",),
) -> Someone:
    password_hash = passwords.hashed(PASSWORD)
    with db.writing() as session:
        enrolment = accounts.add_officer(
            session,
            login=login,
            name=name,
            department=department,
            district=district,
            roles=roles,
            password_hash=password_hash,
        )
    return Someone(enrolment.account_id, enrolment.login, parse_qs(urlsplit(enrolment.otpauth).query)["secret"][0])


def sign_in(client: TestClient, officer: Someone) -> None:
    """Sign in through the front door."""
    form = {"login": officer.login, "password": PASSWORD, "code": officer.code()}
    answer = client.post("/desk/login", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text


def form_token(client: TestClient, path: str = "/desk") -> str:
    """The token of a form on one of the desk's pages, to send back as `form_token`."""
    found = re.search(r'name="form_token" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found.group(1)
