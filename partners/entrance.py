"""Members' pages: signing in and out, taking a seat that one was invited to, and the first page."""

from typing import Annotated

from fastapi import Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from partners import commissions, disputes, organisations, schemes, uploads
from portal.kit import db, gate, limits, passwords, qr, signin, web
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.signin import SignInRefused, TooManySignIns
from record import entities

router = limits.router(include_in_schema=False)

HOME = gate.MEMBERS_HOME
Token = Annotated[str, Path(min_length=20, max_length=60, pattern=r"^[A-Za-z0-9_-]+$")]


def to(address: str) -> Response:
    """A redirect after a form."""
    return RedirectResponse(address, status_code=303)


@router.get(gate.MEMBERS_SIGN_IN)
@door(who="anyone", limit="120/minute")
def login_page(request: Request, next: str = "", ended: str = "", joined: str = "") -> Response:
    if gate.MEMBERS.present(request):
        return to(gate.MEMBERS.way_back(next))
    return web.page(
        request, "account/login.html", next=next, login="", refused=None, ended=bool(ended), joined=bool(joined)
    )


@router.post(gate.MEMBERS_SIGN_IN)
@door(who="anyone", limit="60/minute", body_bytes=8_000)
def login(
    request: Request,
    *,
    login: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    web.refuse_other_sites(request)
    try:
        token = signin.sign_in(
            login,
            password,
            code,
            caller=limits.caller(request),
            kind="member",
            instead_of=request.cookies.get(gate.MEMBERS.cookie),
        )
    except (SignInRefused, TooManySignIns) as refusal:
        page = web.page(
            request, "account/login.html", status=refusal.status, next=next, login=login,
            refused=web.problem(refusal), ended=False, joined=False,
        )  # fmt: skip
        if "seconds" in refusal.values:
            page.headers["Retry-After"] = str(refusal.values["seconds"])
        return page
    response = to(gate.MEMBERS.way_back(next))
    gate.MEMBERS.let_in(response, token)
    return response


@router.post(f"{HOME}/logout")
@door(who="member", limit="60/minute", body_bytes=2_000)
def logout(request: Request, member: gate.Member, session: web.WritingSession) -> Response:
    signin.end(session, request.state.signed_in)
    response = to(f"{gate.MEMBERS_SIGN_IN}?ended=1")
    gate.MEMBERS.let_out(response)
    return response


# ---- taking a seat --------------------------------------------------------------------------------------------------


@router.get(f"{HOME}/join/{{token}}")
@door(who="anyone", limit="30/minute")
def join_page(request: Request, session: web.ReadingSession, token: Token) -> Response:
    return _join(request, organisations.seat(session, token), {}, None)


def _join(request: Request, seat: organisations.Seat, typed: dict[str, str], refusal: PortalError | None) -> Response:
    shown = seat.otpauth(typed.get("login") or seat.organisation.name)
    page = web.page(
        request, "account/join.html", status=refusal.status if refusal else 200, seat=seat, typed=typed,
        refused=web.problem(refusal) if refusal else None, drawn=qr.svg(shown), otpauth=shown,
    )  # fmt: skip
    page.headers["Cache-Control"] = "no-store"
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


@router.post(f"{HOME}/join/{{token}}")
@door(who="anyone", limit="20/minute", body_bytes=8_000)
def join(
    request: Request,
    token: Token,
    *,
    login: Annotated[str, Form(max_length=64)] = "",
    name: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=200)] = "",
    code: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    web.refuse_other_sites(request)
    with db.reading() as session:
        seat = organisations.seat(session, token)
    try:
        if not 3 <= len(login.strip()) <= 64 or not name.strip():
            raise organisations.SeatIncomplete
        passwords.check(password, login=login)
        hashed = passwords.hashed(password)
        with db.writing() as session:
            organisations.take_seat(session, token, login=login, name=name.strip(), password_hash=hashed, code=code)
    except PortalError as refusal:
        if isinstance(refusal, organisations.InvitationSpent):
            raise
        return _join(request, seat, {"login": login, "name": name}, refusal)
    return to(f"{gate.MEMBERS_SIGN_IN}?joined=1")


# ---- the first page -------------------------------------------------------------------------------------------------


@router.get(HOME)
@door(who="member", limit="300/minute")
def home(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    organisation = organisations.get(session, member.organisation)
    entity = (
        entities.get(session, organisation.entity_code)
        if organisation.type == "entity" and organisation.entity_code
        else None
    )
    return web.page(
        request, "account/home.html", organisation=organisation, is_open=organisations.is_open(organisation),
        entity=entity, schemes=schemes.of(session, organisation.id),
        batches=uploads.of(session, organisation, limit=5), disputes=disputes.of(session, organisation.id, limit=5),
        commissions=commissions.of(session, organisation.id, limit=5),
    )  # fmt: skip
