"""People for the demonstration: an officer for each role, and something for them to do.

Passwords are made by chance for each portal. They stand, with what an authenticator is set up with, in a file that only
the portal's user may read.
"""

import json
import os
import secrets
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from partners import demo as partners
from portal.kit import accounts, db, passwords
from portal.kit.accounts import Account, Role
from portal.kit.settings import get_settings
from record import acts, applications, publication
from record.applications import Arrival
from record.publication import PUBLISHED
from reporting import demo as tips
from reporting import vault

_PEOPLE: tuple[tuple[str, str, tuple[Role, ...]], ...] = (
    ("demo.clerk", "演示经办员", ("clerk",)),
    ("demo.reviewer", "演示审核员", ("reviewer",)),
    ("demo.admin", "演示管理员", ("administrator",)),
)
_MEMBERS = (
    ("demo.association", "演示协会管理员", partners.ASSOCIATION),
    ("demo.agency", "演示评级机构管理员", partners.AGENCY),
    ("demo.business", "演示企业经办人", partners.BUSINESS),
)
_GROUNDS = "当事人称该记录所涉的违法事实并非其所为（此件为演示所编）。"


def accounts_file() -> Path:
    """Where the demonstration's accounts can be read."""
    return get_settings().data_dir / "demo-accounts.json"


def receipt_file() -> Path:
    """Where a receipt to try can be read."""
    return get_settings().data_dir / "demo-receipt.json"


def add_people() -> int:
    """Add the officers that are not there yet, and an objection to deal with. Returns how many officers were added."""
    with db.reading() as session:
        missing = [one for one in _PEOPLE if accounts.find(session, one[0]) is None]
    if not missing:
        return 0
    made = []
    for login, name, roles in missing:
        password = secrets.token_urlsafe(12)
        hashed = passwords.hashed(password)
        with db.writing() as session:
            enrolment = accounts.add_officer(
                session, login=login, name=name, department=get_settings().department, district=None, roles=roles,
                password_hash=hashed,
            )  # fmt: skip
            acts.keep(session, "account_add", about=f"account {enrolment.account_id}", by=None)
        made.append({"login": login, "password": password, "otpauth": enrolment.otpauth})
    _write(made)
    with db.writing() as session:
        _object(session)
    vault.ready()
    _add_tips()
    _add_partners()
    return len(made)


def _add_partners() -> None:
    """Made-up partners with what they said, and somebody who acts for each of two."""
    with db.reading() as session:
        clerk, reviewer = (accounts.find(session, _PEOPLE[at][0]) for at in (0, 1))
    if clerk is None or reviewer is None:
        return
    if not partners.fill(accounts.officer_of(clerk), accounts.officer_of(reviewer)):
        return
    made = []
    for login, name, organisation in _MEMBERS:
        password = secrets.token_urlsafe(12)
        hashed = passwords.hashed(password)
        with db.writing() as session:
            enrolment = accounts.add_member(
                session, login=login, name=name, organisation=organisation, roles=("manager", "submitter"),
                password_hash=hashed,
            )  # fmt: skip
        made.append({"login": login, "password": password, "otpauth": enrolment.otpauth, "at": "/account"})
    _write(made)


def _add_tips() -> None:
    """Made-up reports and complaints, and the receipt of one of them to try."""
    with db.reading() as session:
        account = accounts.find(session, _PEOPLE[0][0])
    if account is None:
        return
    receipt = tips.fill(accounts.officer_of(account))
    if receipt:
        _write_privately(receipt_file(), {"receipt": receipt, "at": "/report/status"})


def _write(made: list[dict[str, str]]) -> None:
    path = accounts_file()
    before = json.loads(path.read_text("utf-8")) if path.exists() else []
    _write_privately(path, [*before, *made])


def _write_privately(path: Path, content: object) -> None:
    with open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)


def _object(session: Session) -> None:
    """An objection to one made-up listing, if there is one."""
    clerk = session.scalar(select(Account).where(Account.login == _PEOPLE[0][0]))
    seq = session.scalar(
        select(PUBLISHED.c.seq).where(PUBLISHED.c.kind == "abnormal_listing", PUBLISHED.c.source == "demo").limit(1)
    )
    if clerk is None or seq is None:
        return
    officer = accounts.officer_of(clerk)
    arrived = Arrival("objection", seq, publication.today(), "letter", _GROUNDS)
    applications.receive(session, officer, arrived)
