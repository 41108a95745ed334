"""Signed links: what a token says is what the portal wrote, for one purpose and for a limited time.

    token = links.make("alert.confirm", {"alert": 7})
    links.read("alert.confirm", token, timedelta(days=2))   # {"alert": 7}

A token is signed, not hidden: put ids in it, never a name, an address or a receipt. It can be read again until it is
too old; what may happen once only needs a row that says so.
"""

import hashlib
from datetime import timedelta
from typing import Any

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from portal.kit import keyring
from portal.kit.errors import PortalError

MAX_LENGTH = 2_000
"""Longer tokens are refused unread."""


class LinkExpired(PortalError):
    status = 410
    slug = "link-expired"
    title = "This link is too old."
    remedy = "Ask for a new one where you asked for this one."


class LinkRefused(PortalError):
    status = 400
    slug = "link"
    title = "This link is incomplete, or was not made by this site."
    remedy = "Copy the whole link from the message that you received, or ask for a new one."


def make(purpose: str, data: Any) -> str:
    """A token over `data` (JSON), safe in a URL. It can be read for the same `purpose` only."""
    return _serializer(purpose).dumps(data)


def read(purpose: str, token: str, max_age: timedelta) -> Any:
    """What `make` was given. Raises LinkExpired when it is older than `max_age`, LinkRefused when it is not ours."""
    if len(token) > MAX_LENGTH:
        raise LinkRefused
    try:
        return _serializer(purpose).loads(token, max_age=int(max_age.total_seconds()))
    except SignatureExpired as error:
        raise LinkExpired from error
    except BadSignature as error:
        raise LinkRefused from error


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        keyring.secret("links"), salt=f"link:{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )
