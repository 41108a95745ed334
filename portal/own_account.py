"""Somebody's own account, at the desk and on the members' side: sessions, a new password, signing out elsewhere.

Both changes ask for password and code once more, begin a session with a new token, and end every other one.
"""

from typing import Annotated

import structlog
from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from portal.kit import db, gate, limits, passwords, signin, web
from portal.kit.accounts import Account
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.signin import SignInRefused, TooManySignIns
from record import acts

router = limits.router(include_in_schema=False)
desk = limits.router(include_in_schema=False)

Typed = Annotated[str, Form(max_length=200)]

log = structlog.get_logger()


@desk.get("/desk/own")
@door(who="officer", limit="60/minute")
def desk_page(request: Request, officer: gate.Officer, session: web.ReadingSession, done: str = "") -> Response:
    return _page(request, session, gate.DESK, done=done)


@desk.post("/desk/own")
@door(who="officer", limit="20/minute", body_bytes=8_000)
def desk_change(
    request: Request, officer: gate.Officer, *, password: Typed = "", code: Typed = "", new: Typed = ""
) -> Response:
    return _change(request, gate.DESK, password, code, new)


@router.get("/account/own")
@door(who="member", limit="60/minute")
def members_page(request: Request, member: gate.Member, session: web.ReadingSession, done: str = "") -> Response:
    return _page(request, session, gate.MEMBERS, done=done)


@router.post("/account/own")
@door(who="member", limit="20/minute", body_bytes=8_000)
def members_change(
    request: Request, member: gate.Member, *, password: Typed = "", code: Typed = "", new: Typed = ""
) -> Response:
    return _change(request, gate.MEMBERS, password, code, new)


def _page(
    request: Request, session: Session, zone: gate.Zone, *, done: str = "", refused: PortalError | None = None
) -> Response:
    mine: signin.SignedIn = request.state.signed_in
    page = web.page(
        request, "account/own.html", status=refused.status if refused else 200, zone=zone, mine=mine, done=bool(done),
        refused=web.problem(refused) if refused else None, sessions=signin.sessions(session, mine.account.id),
        frame="desk/_desk.html" if zone is gate.DESK else "account/_account.html",
    )  # fmt: skip
    if refused and "seconds" in refused.values:
        page.headers["Retry-After"] = str(refused.values["seconds"])
    return page


def _change(request: Request, zone: gate.Zone, password: str, code: str, new: str) -> Response:
    """Sign in anew and out everywhere else, with another password where one is given."""
    mine: signin.SignedIn = request.state.signed_in
    account = mine.account
    try:
        if new:
            passwords.check(new, login=account.login)
        token = signin.sign_in(account.login, password, code, caller=limits.caller(request), kind=zone.kind)
    except (passwords.WeakPassword, SignInRefused, TooManySignIns) as refusal:
        with db.reading() as session:
            return _page(request, session, zone, refused=refusal)
    hashed = passwords.hashed(new) if new else None
    with db.writing() as session:
        signin.end_all_but(session, account.id, token)
        if hashed:
            session.get_one(Account, account.id).password_hash = hashed
            log.info("account.password_changed", account=account.id)
        if zone is gate.DESK:
            what = "account_password" if hashed else "account_sign_out"
            acts.keep(session, what, about=f"account {account.id}", by=mine.officer)
    response = RedirectResponse(f"{zone.home}/own?done=1", status_code=303)
    zone.let_in(response, token)
    return response
