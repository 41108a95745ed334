"""Refusals: named facts with a status and what to do next, rendered once, as page or problem document (RFC 9457).

An error's sentences are English source sentences for gettext; values go in by name.
"""

from typing import Any, ClassVar


class PortalError(Exception):
    """A refusal that the person asking can understand and act on."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "This request cannot be answered."
    remedy: ClassVar[str] = "Check what you sent and try again."
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, *, errors: list[dict[str, Any]] | None = None, **values: object) -> None:
        super().__init__(self.title)
        self.values = values
        self.errors = errors or []


class BadRequest(PortalError):
    """The body is not what its Content-Type says."""


class InvalidInput(PortalError):
    status = 422
    slug = "invalid-input"
    title = "Some of what you sent cannot be used."
    remedy = "Correct the fields that are named below and send it again."


class NotFound(PortalError):
    status = 404
    slug = "not-found"
    title = "There is nothing at this address."
    remedy = "Check the address, or start from the search on the home page."


class MethodNotAllowed(PortalError):
    status = 405
    slug = "method-not-allowed"
    title = "This address does not take this kind of request."
    remedy = "See the developers' page for the methods that it takes."


class TooLarge(PortalError):
    status = 413
    slug = "too-large"
    title = "What you sent is too large."
    remedy = "Send at most %(limit)s bytes at a time."


class NotAcceptable(PortalError):
    status = 415
    slug = "unsupported-media-type"
    title = "This kind of content cannot be read here."
    remedy = "Send JSON, with Content-Type: application/json."


class CrossSite(PortalError):
    status = 403
    slug = "cross-site"
    title = "This was sent from another site."
    remedy = "Open the form on this site and send it from there."


class TooManyRequests(PortalError):
    status = 429
    slug = "too-many-requests"
    title = "Too many requests came from your address."
    remedy = "Wait %(seconds)s seconds and try again."


class Unavailable(PortalError):
    status = 503
    slug = "unavailable"
    title = "This part of the site cannot answer just now."
    remedy = "Try again in a minute. Nothing that you sent before is lost."


class Unexpected(PortalError):
    status = 500
    slug = "unexpected"
    title = "Something went wrong on our side."
    remedy = "Try again in a minute. If it happens again, tell us the number below."
