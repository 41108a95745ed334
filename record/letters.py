"""Mails to followers, in the language in which they asked: what there is to say put into words. Templates: `email/`.

Every mail about news says how to stop it, in its text and for mail programs (RFC 8058).
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from portal.kit import i18n, links, mail, web
from portal.kit.i18n import Language
from portal.kit.settings import get_settings
from record import codes, kinds
from record.follow import Following
from record.mailings import Mailing
from record.news import News
from record.publication import Published

CONFIRM, END, ALL, LIST = "follow.confirm", "follow.end", "follow.all", "follow.list"
"""What links in mails are for (`portal.kit.links`): each holds one random id; LIST the list's, the address's and the
language."""
LINKS_WORK = timedelta(days=3650)
"""Mails are kept for years, and whoever finds one must be able to stop the next."""

_LABELS = {kind.name: kind.labels for kind in kinds.KINDS.values()}


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail that is ready to go."""

    to: str
    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict)

    def send(self) -> None:
        """Send it. Raises mail.MailFailed."""
        mail.send(self.to, self.subject, self.text, self.html, self.headers)


def link(following: Following, address: str) -> Letter:
    """The mail with which an address is asked whether it wants to follow, or told that it does already."""
    with i18n.speaking(language_of(following.language)):
        name = following.name
        subject = (
            i18n.gettext("You follow %(name)s already", name=name)
            if following.confirmed_at
            else i18n.gettext("Do you want to follow %(name)s?", name=name)
        )
        return compose(
            address,
            subject,
            "follow_link",
            f"{following.id} {following.asked_at.isoformat()}",
            name=name,
            code=following.code,
            confirmed=following.confirmed_at is not None,
            confirm=_address("confirm", CONFIRM, following.id),
            all=_address("all", ALL, following.address_id),
        )


def link_to_many(address: str, language: str, number: int, about: list[str]) -> Letter:
    """The mail with which an address is asked whether it wants to follow all entities of a list.

    `about` is what the link holds; the page behind it is that of whoever keeps the list.
    """
    with i18n.speaking(language_of(language)):
        return compose(
            address,
            i18n.ngettext("Do you want to follow %(num)s entity?", "Do you want to follow %(num)s entities?", number),
            "follow_link_to_many",
            f"{about} {secrets.token_hex(8)}",
            number=number,
            confirm=_address("list", LIST, about),
        )


def news(mailing: Mailing, found: News) -> Letter:
    """The mail that tells a reader what is new."""
    with i18n.speaking(language_of(mailing.language)):
        end = _address("end", END, mailing.follow_id)
        letter = compose(
            mailing.address,
            i18n.gettext("%(name)s: news in its public file", name=mailing.name),
            "follow_news",
            f"{mailing.follow_id} {mailing.after} {_gist(found)}",
            name=mailing.name,
            code=mailing.code,
            news=found,
            kind=_kind,
            headline=_headline,
            end=end,
            all=_address("all", ALL, mailing.address_id),
        )
    one_click = {"List-Unsubscribe": f"<{end}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    letter.headers.update(one_click)
    return letter


def language_of(text: str) -> Language:
    return "en" if text == "en" else "zh"


def _address(page: str, purpose: str, about: str | list[str]) -> str:
    return f"{get_settings().base_url}/follow/{page}/{links.make(purpose, about)}?lang={i18n.current()}"


def _kind(name: str) -> str:
    return codes.label(_LABELS, name, i18n.current()) or name


def _headline(entry: Published) -> str:
    return str(entry.payload.get(kinds.HEADLINES.get(entry.kind, "")) or "")


def _gist(found: News) -> str:
    """What makes two mails the same one, sent again."""
    return f"{found.published} {found.changed} {found.gone} {[entry.seq for entry in found.newest]}"


def compose(to: str, subject: str, template: str, same: str, **values: Any) -> Letter:
    """Text and HTML from a pair of templates. A mail of the same `same` is the same mail, sent again."""
    said = {**values, "language": i18n.current()}
    text, html = (web.templates().get_template(f"email/{template}.{end}").render(said) for end in ("txt", "html"))
    word = hashlib.sha256(same.encode()).hexdigest()[:32]
    return Letter(to, subject, text, html, {"Message-ID": mail.message_id(word)})
