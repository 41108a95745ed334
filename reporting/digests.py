"""A mail on every working day to officers who want it: how many cases wait and how many are late, and nothing else."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import accounts, db, i18n, keyring, mail
from portal.kit.accounts import Account, Officer
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings
from record import publication
from record.workdays import Calendar
from reporting import queue

AT_ONCE = 200


class AddressRefused(PortalError):
    status = 422
    slug = "digest-address"
    title = "This is not a mail address."
    remedy = "Write it in full, such as name@example.cn, or leave it empty to get no mail."


def address_of(session: Session, officer: Officer) -> str:
    """Where this officer's mail goes; empty: nowhere."""
    account = session.get(Account, officer.id)
    return keyring.opened("staff-mail", account.mail, about=account.login) if account and account.mail else ""


def set_address(session: Session, officer: Officer, address: str) -> None:
    """Send the daily mail there, or no more where it is empty. Raises AddressRefused."""
    address = address.strip()
    name, at, host = address.partition("@")
    if address and (not name or not at or "." not in host or len(address) > 254 or not address.isprintable()):
        raise AddressRefused
    account = session.get_one(Account, officer.id)
    account.mail = keyring.sealed("staff-mail", address, about=account.login) if address else None


def send_all() -> int:
    """Mail everybody who asked for it, on working days. Returns how many mails were sent."""
    sent, after = 0, 0
    with db.reading() as session:
        if not Calendar.of(session).is_working(publication.today())[0]:
            return 0
    while batch := _some(after):
        for officer, address in batch:
            after = officer.id
            with db.reading() as session:
                counts = queue.counts(session, officer)
            if counts.waiting:
                _send(address, counts)
                sent += 1
    return sent


def _some(after: int) -> list[tuple[Officer, str]]:
    with db.reading() as session:
        wanted = select(Account).where(Account.mail.is_not(None), Account.disabled_at.is_(None), Account.id > after)
        found = list(session.scalars(wanted.order_by(Account.id).limit(AT_ONCE)))
    return [(accounts.officer_of(one), keyring.opened("staff-mail", str(one.mail), about=one.login)) for one in found]


def _send(address: str, counts: queue.Counts) -> None:
    with i18n.speaking("zh"):
        subject = i18n.gettext("Tip-offs: %(waiting)s wait, %(overdue)s overdue", waiting=counts.waiting,
                               overdue=counts.overdue)  # fmt: skip
        text = i18n.gettext(
            "Waiting: %(waiting)s\nOverdue: %(overdue)s\nAssigned to you: %(mine)s\nAssigned to nobody: %(nobodys)s",
            waiting=counts.waiting, overdue=counts.overdue, mine=counts.mine, nobodys=counts.nobodys,
        )  # fmt: skip
    mail.send(address, subject, f"{text}\n\n{get_settings().base_url}/desk/tips\n")
