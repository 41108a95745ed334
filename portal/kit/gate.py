"""Who is let into officers' pages: the cookie, the form tokens, the roles, checked in this one place.

    @router.post("/desk/accounts/{account_id}/disable")
    @door(who="officer", limit="60/minute", body_bytes=2_000)
    def disable(request: Request, officer: gate.Administrator, session: web.WritingSession, account_id: int): ...

Every form in such a page carries `<input type="hidden" name="form_token" value="{{ form_token() }}">`.
"""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from jinja2 import pass_context
from jinja2.runtime import Context

from portal.kit import access, accounts, db, signin, web
from portal.kit.accounts import Role
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

HOME = "/desk"
SIGN_IN = "/desk/login"
TOKEN_FIELD, TOKEN_HEADER = "form_token", "x-form-token"


class SignInFirst(PortalError):
    status = 401
    slug = "sign-in-first"
    title = "This is open to officers who are signed in."
    remedy = "Sign in at the desk and try again."


class FormExpired(PortalError):
    status = 403
    slug = "form-expired"
    title = "This form is no longer valid."
    remedy = "Open the page again and send the form from there."


class NotYourRole(PortalError):
    status = 403
    slug = "not-your-role"
    title = "Your role does not cover this."
    remedy = "Ask an administrator of your department whether it should."


def _is_https() -> bool:
    return get_settings().base_url.startswith("https://")


def _cookie() -> str:
    """The cookie's name. Browsers take a `__Host-` cookie only over HTTPS and from this very host."""
    return "__Host-desk" if _is_https() else "desk"


def let_in(response: Response, token: str) -> None:
    """Give the browser its session, until it is closed or the session ends."""
    response.set_cookie(_cookie(), token, path="/", secure=_is_https(), httponly=True, samesite="strict")


def let_out(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(_cookie(), path="/", secure=_is_https(), httponly=True, samesite="strict")


def present(request: Request) -> signin.SignedIn | None:
    """The session that this request comes with, if it still holds."""
    token = request.cookies.get(_cookie())
    if not token:
        return None
    with db.reading() as session:
        return signin.read(session, token)


def _signed_in(request: Request) -> signin.SignedIn:
    """Raises SignInFirst. What a stranger sends is not even taken apart."""
    found = present(request)
    if found is None:
        raise SignInFirst
    return found


async def _sent_token(
    request: Request, _: Annotated[signin.SignedIn, Depends(_signed_in)]
) -> AsyncIterator[str | None]:
    if request.method in ("GET", "HEAD"):
        yield None
    elif TOKEN_HEADER in request.headers:
        yield request.headers[TOKEN_HEADER]
    else:
        async with request.form() as form:  # closes the files of a form that is refused
            sent = form.get(TOKEN_FIELD)
            yield sent if isinstance(sent, str) else None


def _officer(
    request: Request,
    found: Annotated[signin.SignedIn, Depends(_signed_in)],
    sent: Annotated[str | None, Depends(_sent_token)],
) -> accounts.Officer:
    """Raises SignInFirst without a session, FormExpired when a write does not come from a form of this session."""
    if request.method not in ("GET", "HEAD") and not (sent and found.is_own(sent)):
        raise FormExpired
    if request.method == "GET":
        _note(request, found.officer)
    if signin.is_due(found):
        with db.writing() as session:
            signin.seen(session, found)
    request.state.signed_in = found
    return found.officer


def _note(request: Request, officer: accounts.Officer) -> None:
    looked_at = {name: str(value) for name, value in request.path_params.items()}
    if code := request.query_params.get("code"):
        looked_at["code"] = code[:40]
    access.opened(officer.id, request.scope["route"].path, looked_at)


Officer = Annotated[accounts.Officer, Depends(_officer)]
"""An officer in any role."""


class Holding:
    """A dependency: an officer who holds one of these roles. Raises NotYourRole for others."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    def __call__(self, officer: Officer) -> accounts.Officer:
        if not officer.may(*self.roles):
            raise NotYourRole
        return officer


Clerk = Annotated[accounts.Officer, Depends(Holding("clerk"))]
Reviewer = Annotated[accounts.Officer, Depends(Holding("reviewer"))]
CaseOfficer = Annotated[accounts.Officer, Depends(Holding("clerk", "reviewer"))]
"""Whoever deals with cases, in the one role or the other."""
Administrator = Annotated[accounts.Officer, Depends(Holding("administrator"))]


@pass_context
def _form_token(context: Context) -> str:
    signed_in: signin.SignedIn = context["request"].state.signed_in
    return signed_in.form_token()


web.offer_to_templates(form_token=_form_token)


def way_back(wanted: str) -> str:
    """Where to go after signing in: the desk's page that was asked for, or the desk; never another site."""
    return wanted if wanted.startswith(f"{HOME}/") and "\\" not in wanted and wanted.isprintable() else HOME


def add_error_handler(app: FastAPI) -> None:
    """A page that needs a session leads to the sign-in page; a program is refused."""

    @app.exception_handler(SignInFirst)
    def first(request: Request, error: SignInFirst) -> Response:
        if web.wants_json(request):
            return web.refuse(request, error)
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        asked = f"?next={quote(address)}" if request.method == "GET" and address != HOME else ""
        return RedirectResponse(f"{SIGN_IN}{asked}", status_code=303)
