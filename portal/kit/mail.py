"""Mail: one message to one person, written to a folder (`spool:`) or handed to a server (`smtp://`, `smtps://`).

    mail.send("a@example.com", subject, text, headers={"List-Unsubscribe": "<https://…>"})

Called from jobs, never from a request: a server may be slow, and a job is tried again. Texts are made by the caller.
"""

import secrets
import smtplib
import ssl
from collections.abc import Mapping
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage, Message
from email.policy import SMTP, Policy
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import structlog

from portal.kit import db
from portal.kit.settings import get_settings

TIMEOUT_SECONDS = 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = structlog.get_logger()


class _Whole(UnstructuredHeader, BaseHeader):
    """A header whose address must stand as it is: programs read it, and none of them decodes encoded words there."""

    def fold(self, *, policy: "Policy[Message[str, str]]") -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Whole)
_POLICY = SMTP.clone(header_factory=_HEADERS)


class MailFailed(Exception):
    """The message was not accepted. `reason` is a constant word and never quotes an address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Carrier(Protocol):
    """What takes a finished message."""

    def carry(self, message: EmailMessage) -> None: ...


def send(to: str, subject: str, text: str, html: str | None = None, headers: Mapping[str, str] | None = None) -> None:
    """Send one message. Raises MailFailed, so that the job that called is tried again.

    `headers` are the caller's: `List-Unsubscribe` and `List-Unsubscribe-Post` (RFC 8058) for what people subscribed to;
    `Message-ID` where a job that is killed may send the same again, so that a mailbox can tell.
    A line break in an address, a subject or a header is a ValueError.
    """
    settings = get_settings()
    message = EmailMessage(policy=_POLICY)
    message["From"] = settings.mail_from
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = format_datetime(db.now())
    message["Message-ID"] = message_id(secrets.token_hex(16))
    message["Auto-Submitted"] = "auto-generated"
    for name, value in (headers or {}).items():
        del message[name]
        message[name] = value
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    carrier = _carrier()
    try:
        carrier.carry(message)
    except MailFailed as failure:
        log.warning("mail.failed", carrier=type(carrier).__name__, reason=failure.reason)
        raise
    log.info("mail.sent", carrier=type(carrier).__name__)


def message_id(word: str) -> str:
    """A Message-ID (RFC 5322, 3.6.4) of this portal, made of a word that no other message has."""
    return f"<{word}@{urlsplit(get_settings().base_url).hostname or 'localhost'}>"


def _carrier() -> Carrier:
    url = urlsplit(get_settings().mail_url)
    if url.scheme == "spool":
        return Spool(get_settings().data_dir / "mail")
    if url.scheme in ("smtp", "smtps"):
        return Server(url)
    raise ValueError("PORTAL_MAIL_URL starts with spool:, smtp:// or smtps://")


class Spool:
    """A folder of .eml files, oldest first by name: for trying things out, and for a mail system that picks them up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def carry(self, message: EmailMessage) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{db.now():%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
            unfinished = self._folder / f".{name}"
            unfinished.write_bytes(message.as_bytes())
            unfinished.rename(self._folder / f"{name}.eml")
        except OSError as error:
            raise MailFailed("spool") from error


class Server:
    """A mail server. `smtps://` is TLS from the start; `smtp://` turns to TLS if offered, and must for a password."""

    def __init__(self, url: SplitResult) -> None:
        self._url = url

    def carry(self, message: EmailMessage) -> None:
        try:
            with self._connect() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused:
            raise MailFailed("recipient") from None  # its text quotes the address
        except smtplib.SMTPAuthenticationError:
            raise MailFailed("login") from None
        except ssl.SSLError:
            raise MailFailed("tls") from None
        except (smtplib.SMTPException, OSError):
            raise MailFailed("server") from None

    def _connect(self) -> smtplib.SMTP:
        url, context = self._url, ssl.create_default_context()
        host = url.hostname or "localhost"
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, url.port or 25, timeout=TIMEOUT_SECONDS)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
            elif url.username and host not in _LOOPBACK:
                server.close()
                raise MailFailed("tls")
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        return server
