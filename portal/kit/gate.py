"""Who is let into officers' and members' pages: the cookies, the form tokens, the roles, checked in this one place.

    @router.post("/desk/accounts/{account_id}/disable")
    @door(who="officer", limit="60/minute", body_bytes=2_000)
    def disable(request: Request, officer: gate.Administrator, session: web.WritingSession, account_id: int): ...

Every form in such a page carries `<input type="hidden" name="form_token" value="{{ form_token() }}">`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
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
MEMBERS_HOME = "/account"
MEMBERS_SIGN_IN = "/account/login"
TOKEN_FIELD, TOKEN_HEADER = "form_token", "x-form-token"


class SignInFirst(PortalError):
    status = 401
    slug = "sign-in-first"
    title = "This is open to officers who are signed in."
    remedy = "Sign in at the desk and try again."


class MemberSignInFirst(SignInFirst):
    slug = "member-sign-in-first"
    title = "This is open to members of organisations who are signed in."
    remedy = "Sign in with your organisation's account and try again."


class NotYourPlace(PortalError):
    status = 403
    slug = "not-your-place"
    title = "Your place in the organisation does not cover this."
    remedy = "Ask somebody who manages your organisation's account here."


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


@dataclass(frozen=True, slots=True)
class Zone:
    """One side that people sign in to, with a cookie of its own."""

    kind: str
    """Of the accounts that it lets in."""
    home: str
    sign_in: str
    refusal: type[SignInFirst]

    @property
    def cookie(self) -> str:
        """The cookie's name. Browsers take a `__Host-` cookie only over HTTPS and from this very host."""
        name = self.home.strip("/")
        return f"__Host-{name}" if _is_https() else name

    def let_in(self, response: Response, token: str) -> None:
        """Give the browser its session, until it is closed or the session ends."""
        response.set_cookie(self.cookie, token, path="/", secure=_is_https(), httponly=True, samesite="strict")

    def let_out(self, response: Response) -> None:
        """Take the session from the browser."""
        response.delete_cookie(self.cookie, path="/", secure=_is_https(), httponly=True, samesite="strict")
        if _is_https():
            response.headers["Clear-Site-Data"] = '"cache", "storage"'

    def present(self, request: Request) -> signin.SignedIn | None:
        """The session that this request comes with, if it still holds."""
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        with db.reading() as session:
            return signin.read(session, token, kind=self.kind)

    def signed_in(self, request: Request) -> signin.SignedIn:
        """Raises SignInFirst. What a stranger sends is not even taken apart."""
        found = self.present(request)
        if found is None:
            raise self.refusal
        return found

    def way_back(self, wanted: str) -> str:
        """Where to go after signing in: the page that was asked for, or the first; never another site."""
        own = wanted.startswith(f"{self.home}/") and "\\" not in wanted and wanted.isprintable()
        return wanted if own else self.home


DESK = Zone("officer", HOME, SIGN_IN, SignInFirst)
MEMBERS = Zone("member", MEMBERS_HOME, MEMBERS_SIGN_IN, MemberSignInFirst)


async def _token_of(request: Request) -> AsyncIterator[str | None]:
    if request.method in ("GET", "HEAD"):
        yield None
    elif TOKEN_HEADER in request.headers:
        yield request.headers[TOKEN_HEADER]
    else:
        async with request.form() as form:  # closes the files of a form that is refused
            sent = form.get(TOKEN_FIELD)
            yield sent if isinstance(sent, str) else None


async def _officers_token(
    request: Request, _: Annotated[signin.SignedIn, Depends(DESK.signed_in)]
) -> AsyncIterator[str | None]:
    async for sent in _token_of(request):
        yield sent


async def _members_token(
    request: Request, _: Annotated[signin.SignedIn, Depends(MEMBERS.signed_in)]
) -> AsyncIterator[str | None]:
    async for sent in _token_of(request):
        yield sent


def _admit(request: Request, found: signin.SignedIn, sent: str | None) -> None:
    """Raises FormExpired when a write does not come from a form of this session."""
    if request.method not in ("GET", "HEAD") and not (sent and found.is_own(sent)):
        raise FormExpired
    if signin.is_due(found):
        with db.writing() as session:
            signin.seen(session, found)
    request.state.signed_in = found


def _officer(
    request: Request,
    found: Annotated[signin.SignedIn, Depends(DESK.signed_in)],
    sent: Annotated[str | None, Depends(_officers_token)],
) -> accounts.Officer:
    """Raises SignInFirst without a session, FormExpired."""
    _admit(request, found, sent)
    if request.method == "GET":
        _note(request, found.officer)
    return found.officer


def _member(
    request: Request,
    found: Annotated[signin.SignedIn, Depends(MEMBERS.signed_in)],
    sent: Annotated[str | None, Depends(_members_token)],
) -> accounts.Member:
    """Raises MemberSignInFirst without a session, FormExpired."""
    _admit(request, found, sent)
    return found.member


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


Member = Annotated[accounts.Member, Depends(_member)]
"""A member of an organisation, in any role."""


def _manager(member: Member) -> accounts.Member:
    if not member.may("manager"):
        raise NotYourPlace
    return member


Manager = Annotated[accounts.Member, Depends(_manager)]
"""Whoever looks after an organisation's members, keys and schemes. Raises NotYourPlace for others."""

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


def add_error_handler(app: FastAPI) -> None:
    """A page that needs a session leads to the sign-in page; a program is refused."""

    @app.exception_handler(SignInFirst)
    def first(request: Request, error: SignInFirst) -> Response:
        if web.wants_json(request):
            return web.refuse(request, error)
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        zone = MEMBERS if isinstance(error, MemberSignInFirst) else DESK
        asked = f"?next={quote(address)}" if request.method == "GET" and address != zone.home else ""
        return RedirectResponse(f"{zone.sign_in}{asked}", status_code=303)
