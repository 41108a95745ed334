"""Mails to consumers of open data, in their language. Templates: `email/`."""

import secrets

from opendata.consumers import Standing
from opendata.models import Consumer
from portal.kit import i18n, links
from portal.kit.settings import get_settings
from record.letters import Letter, compose, language_of

KEYS = "opendata.keys"
"""What the link is for: the page with a consumer's keys. It holds the consumer's id."""


def link_to_keys(address: str, consumer: Consumer, language: str) -> Letter:
    """The mail that leads to the page with the keys."""
    with i18n.speaking(language_of(language)):
        return compose(
            address,
            i18n.gettext("Your key for open data"),
            "key_link",
            f"{consumer.id} {secrets.token_hex(8)}",
            name=consumer.name,
            address=f"{_home()}/{links.make(KEYS, consumer.id)}?lang={i18n.current()}",
        )


def reminder(address: str, standing: Standing) -> Letter:
    """The mail that says that records are still used which must not be."""
    consumer = standing.consumer
    with i18n.speaking(language_of(consumer.language)):
        return compose(
            address,
            i18n.gettext("You may be using records that are withdrawn"),
            "consumer_behind",
            f"{consumer.id} {consumer.reminded_at}",
            name=consumer.name,
            seq=consumer.acknowledged_seq,
            withdrawals=standing.withdrawals,
            home=_home(),
        )


def _home() -> str:
    return f"{get_settings().base_url}/data/key"
