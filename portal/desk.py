"""The officers' side: signing in and out, the desk with what every area puts on it, and the accounts."""

from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse

from portal.kit import accounts, gate, limits, signin, web
from portal.kit.area import Area
from portal.kit.limits import door
from portal.kit.signin import SignInRefused, TooManySignIns
from record import acts

router = limits.router(include_in_schema=False)

ACCOUNTS = "/desk/accounts"


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303)


# ---- in and out -----------------------------------------------------------------------------------------------------


@router.get(gate.SIGN_IN)
@door(who="anyone", limit="120/minute")
def login_page(request: Request, next: str = "", ended: str = "") -> Response:
    if gate.DESK.present(request):
        return _to(gate.DESK.way_back(next))
    return web.page(request, "desk/login.html", next=next, login="", refused=None, ended=bool(ended))


@router.post(gate.SIGN_IN)
@door(who="anyone", limit="60/minute", body_bytes=8_000)
def login(
    request: Request,
    login: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    web.refuse_other_sites(request)
    try:
        token = signin.sign_in(
            login, password, code, caller=limits.caller(request), instead_of=request.cookies.get(gate.DESK.cookie)
        )
    except (SignInRefused, TooManySignIns) as refusal:
        problem = web.problem(refusal)
        page = web.page(
            request, "desk/login.html", status=refusal.status, next=next, login=login, refused=problem, ended=False
        )
        if "seconds" in refusal.values:
            page.headers["Retry-After"] = str(refusal.values["seconds"])
        return page
    response = _to(gate.DESK.way_back(next))
    gate.DESK.let_in(response, token)
    return response


@router.post("/desk/logout")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def logout(request: Request, officer: gate.Officer, session: web.WritingSession) -> Response:
    signin.end(session, request.state.signed_in)
    response = _to(f"{gate.SIGN_IN}?ended=1")
    gate.DESK.let_out(response)
    return response


# ---- the desk -------------------------------------------------------------------------------------------------------


@router.get(gate.HOME)
@door(who="officer", limit="300/minute")
def home(request: Request, officer: gate.Officer, session: web.ReadingSession) -> Response:
    areas: tuple[Area, ...] = request.app.state.areas
    return web.page(
        request,
        "desk/home.html",
        queues=[queue for area in areas if area.queues for queue in area.queues(session, officer) if queue.waiting],
        figures=[figure for area in areas if area.figures for figure in area.figures(session, officer)],
    )


# ---- accounts -------------------------------------------------------------------------------------------------------


@router.get(ACCOUNTS)
@door(who="officer", limit="120/minute")
def accounts_page(request: Request, officer: gate.Administrator, session: web.ReadingSession) -> Response:
    return web.page(request, "desk/accounts.html", accounts=accounts.overseen(session, officer))


@router.post(f"{ACCOUNTS}/{{account_id}}/disable")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def disable(request: Request, officer: gate.Administrator, session: web.WritingSession, account_id: int) -> Response:
    accounts.disable(session, account_id, by=officer)
    acts.keep(session, "account_disable", about=f"account {account_id}", by=officer)
    return _to(ACCOUNTS)


@router.post(f"{ACCOUNTS}/{{account_id}}/enable")
@door(who="officer", limit="60/minute", body_bytes=2_000)
def enable(request: Request, officer: gate.Administrator, session: web.WritingSession, account_id: int) -> Response:
    accounts.enable(session, account_id, by=officer)
    acts.keep(session, "account_enable", about=f"account {account_id}", by=officer)
    return _to(ACCOUNTS)
