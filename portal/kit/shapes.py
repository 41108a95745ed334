"""Shapes that every part of the JSON API shares: queries that refuse what they do not know, cursors, times."""

import base64
import binascii
import hashlib
import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer

from portal.kit.errors import PortalError


def moment(value: datetime) -> str:
    """A point in time as outside programs read it: UTC, ISO 8601, with `Z`."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


Instant = Annotated[datetime, PlainSerializer(moment, return_type=str)]
"""A point in time: UTC, ISO 8601, with `Z`."""


class Query(BaseModel):
    """Query parameters; an unknown one is refused (422) rather than ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class CursorRefused(PortalError):
    status = 422
    slug = "cursor"
    title = "This cursor does not belong to this list."
    remedy = "Leave the cursor out to begin again, and send it back unchanged with the same parameters."


def _fingerprint(asked: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(asked, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


def cursor(offset: int | None, asked: dict[str, Any]) -> str | None:
    """An opaque cursor to a place in the answer to what was `asked`; None stays None."""
    if offset is None:
        return None
    return base64.urlsafe_b64encode(f"{offset}.{_fingerprint(asked)}".encode()).decode().rstrip("=")


def place(cursor: str | None, asked: dict[str, Any], *, most: int) -> int:
    """The place that `cursor` stands for. Raises CursorRefused for a cursor of another question."""
    if cursor is None:
        return 0
    try:
        offset, fingerprint = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(".")
        found = int(offset)
    except (ValueError, binascii.Error) as error:
        raise CursorRefused from error
    if fingerprint != _fingerprint(asked) or not 0 <= found <= most:
        raise CursorRefused
    return found
