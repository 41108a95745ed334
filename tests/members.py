"""Organisations and their members, for tests: one is added, a member signs in, a scheme is in force."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyotp
from fastapi.testclient import TestClient

from partners import organisations, schemes
from partners.organisations import Wanted
from portal.kit import accounts, db, keyring, keys, passwords
from portal.kit.accounts import MemberRole

PASSWORD = "seven blue lanterns over the quiet river"

GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C")
DIGITS = ("111", "011", "001", "222", "022", "002", "333", "033", "003")
DEFINITION: dict[str, Any] = {
    "grades": [{"code": code, "meaning": f"信用{code}"} for code in GRADES],
    "validity_months": 36,
    "certificate": {
        "pattern": "[0-9]{15}",
        "grade_at": 7,
        "grade_digits": dict(zip(GRADES, DIGITS, strict=True)),
        "year_at": 0,
    },
}


def certificate(grade: str, serial: int, year: int = 2026) -> str:
    """A certificate number of 行业信用评价 that says this grade."""
    return f"{year}001{DIGITS[GRADES.index(grade)]}{serial:05d}"


def add(id_: str = "demo-association", *, type_: str = "association", name: str = "演示行业协会", **wanted: Any) -> str:
    """An organisation that may act. Returns its id."""
    with db.writing() as session:
        organisations.add(session, id_, Wanted(type=type_, name=name, **wanted), by=None)  # type: ignore[arg-type]
    return id_


def add_scheme(organisation: str = "demo-association", id_: str = "demo-credit", **changes: Any) -> str:
    """A scheme of the organisation, in force. Returns its id."""
    definition = schemes.parse({**DEFINITION, **changes})
    with db.writing() as session:
        version = schemes.propose(
            session,
            organisation,
            id_,
            name="演示行业信用评价",
            english_name="Demonstration rating",
            definition=definition,
        )
        schemes.approve(session, None, id_, version.number)
    return id_


def key(
    organisation: str = "demo-association",
    scopes: Sequence[str] = ("evaluations:write",),
    lifetime: timedelta = keys.LIFETIME,
) -> str:
    """The text of an API key of the organisation."""
    with db.writing() as session:
        return keys.create(session, owner_kind="partner", owner_id=organisation, scopes=scopes, lifetime=lifetime)[1]


def seat(
    client: TestClient, organisation: str, login: str, *, roles: Sequence[MemberRole] = ("manager", "submitter")
) -> TestClient:
    """Add a member to an organisation, and sign this client in as them."""
    with db.writing() as session:
        accounts.add_member(
            session,
            login=login,
            name="张会员",
            organisation=organisation,
            roles=roles,
            password_hash=passwords.hashed(PASSWORD),
        )
    return sign_in(client, login)


def sign_in(client: TestClient, login: str) -> TestClient:
    with db.reading() as session:
        account = accounts.find(session, login)
    assert account is not None
    secret = keyring.opened("authenticators", account.totp_secret, about=account.login)
    answer = client.post(
        "/account/login",
        data={"login": login, "password": PASSWORD, "code": pyotp.TOTP(secret).now()},
        follow_redirects=False,
    )
    assert answer.status_code == 303, answer.text
    return client


def form_token(page: str) -> str:
    """The token that a page's forms carry."""
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found, "the page has no form"
    return found[1]
