"""Papers on their way: out of a form that a member or an officer sends, and to whoever may read them."""

from collections.abc import AsyncIterator
from datetime import date
from urllib.parse import quote

from fastapi import Request, Response
from starlette.datastructures import FormData, UploadFile

from partners import papers
from partners.models import Paper
from partners.papers import Handed
from portal.kit import gate
from portal.kit.errors import InvalidInput

MOST_BYTES = papers.MOST_BYTES + 60_000
"""Of a form with one paper."""


async def members(request: Request, member: gate.Member) -> AsyncIterator[FormData]:
    """What a member's form with a file brings: the gate has read it already."""
    async with request.form() as form:
        yield form


async def officers(request: Request, officer: gate.CaseOfficer) -> AsyncIterator[FormData]:
    """As `members`, of an officer."""
    async with request.form() as form:
        yield form


def text(form: FormData, name: str) -> str:
    """What was typed."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def day(form: FormData, name: str) -> date | None:
    """The day that was entered. Raises InvalidInput for what is no day."""
    typed = text(form, name).strip()
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError as error:
        raise InvalidInput from error


def number(form: FormData, name: str) -> int | None:
    """The number that was chosen; 0, which nothing has, for what is none of ours."""
    typed = text(form, name).strip()
    return (int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0) if typed else None


def handed(form: FormData, name: str = "file", *, public: bool = False) -> Handed | None:
    """The file that was chosen, looked at. Raises as `papers.looked_at`."""
    sent = form.get(name)
    if not isinstance(sent, UploadFile) or not sent.filename:
        return None
    return papers.looked_at(sent.filename, sent.file.read(papers.MOST_BYTES + 1), public=public)


def download(paper: Paper) -> Response:
    """A paper as a download. Call it when no session is open: the store may be far away."""
    return Response(
        papers.content(paper),
        media_type=paper.media_type,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(paper.name)}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        },
    )
