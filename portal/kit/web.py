"""The web's plumbing: templates in two languages, pages and problem documents, headers, sessions for handlers."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from slowapi.errors import RateLimitExceeded
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.kit import db, errors, formats, i18n, limits, measured
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

ROOT = Path(__file__).parents[2]
TEMPLATES_DIR = ROOT / "templates"
STATIC_DIR = ROOT / "portal" / "static"
API_PREFIX = "/api/"

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content Security Policy of what is no page: data, files, scripts. It loads nothing and is framed nowhere."""
_OF_A_PAGE = (
    "default-src 'none'; script-src 'nonce-{nonce}'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types proof-worker"
)
_REFUSED_FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid",
    "idle-detection", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get", "screen-wake-lock",
    "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
SECURITY_HEADERS = {
    "Content-Security-Policy": _NOTHING,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _REFUSED_FEATURES),
}
"""What every answer carries, unless its route says something else. Pages: see `content_security_policy`."""

PROGRAMS = ("/api/", "/reconcile", "/open311/", "/wechat", "/data/", "/follow/end/")
"""Beginnings of addresses that other sites' pages may write to, without anybody's cookie: the open interfaces, and the
one click that ends letters in a mail program (RFC 8058). The forms among them refuse other sites themselves
(`refuse_other_sites`)."""
SIGNED_IN = ("/desk/", "/account/")

log = structlog.get_logger()


def _writing_dependency() -> Iterator[Session]:
    with db.writing() as session:
        yield session


def _reading_dependency() -> Iterator[Session]:
    with db.reading() as session:
        yield session


# Function scope commits before the answer leaves: nobody holds a receipt for something that was never saved.
WritingSession = Annotated[Session, Depends(_writing_dependency, scope="function")]
ReadingSession = Annotated[Session, Depends(_reading_dependency, scope="function")]


# ---- pages ----------------------------------------------------------------------------------------------------------


def content_security_policy(nonce: str) -> str:
    """A page's policy: it runs the scripts that carry this answer's nonce and no other, and loads from here alone."""
    return _OF_A_PAGE.format(nonce=nonce)


@lru_cache(maxsize=256)
def static_url(path: str) -> str:
    """Address of a file in `portal/static`, with its content's hash, so that browsers may keep it for a year."""
    digest = hashlib.sha256((STATIC_DIR / path).read_bytes()).hexdigest()[:12]
    return f"/static/{path}?v={digest}"


@pass_context
def _url_with(context: Context, **changes: object) -> str:
    """The present page's address with some query parameters changed; None drops one."""
    request: Request = context["request"]
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in changes]
    added = [(key, str(value)) for key, value in changes.items() if value is not None]
    query = urlencode(kept + added)
    path = quote(request.url.path)
    return f"{path}?{query}" if query else path


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The Jinja environment. Templates are read once; a forgotten variable is an error, not an empty string."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=i18n.gettext, ngettext=i18n.ngettext, newstyle=False
    )
    environment.globals.update(
        static_url=static_url,
        url_with=_url_with,
        languages=i18n.LANGUAGES,
        html_tags=i18n.HTML_TAGS,
        code_parts=formats.code_parts,
        base_url=lambda: get_settings().base_url,
        made_up_data=lambda: False,
    )
    environment.filters.update(
        date=formats.date_text, minute=formats.minute_text, number=formats.number_text, money=formats.money_text
    )
    return environment


def offer_to_templates(**functions: Callable[..., object]) -> None:
    """Functions that any page may call, from a floor that this one may not import. `made_up_data` is one of them."""
    templates().globals.update(functions)


def page(request: Request, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template of `templates/` in the visitor's language."""
    nonce = secrets.token_urlsafe(18)
    html = templates().get_template(template).render(request=request, language=i18n.current(), nonce=nonce, **values)
    return HTMLResponse(html, status_code=status, headers={"Content-Security-Policy": content_security_policy(nonce)})


class HashedStaticFiles(StaticFiles):
    """Static files; those asked for by their hash may be kept for a year."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "public, max-age=300"
        return response


# ---- refusals -------------------------------------------------------------------------------------------------------


def wants_json(request: Request) -> bool:
    """Whether a refusal should be a problem document: everything below /api/, and whoever asks for JSON only."""
    accepted = request.headers.get("accept", "")
    return request.url.path.startswith(API_PREFIX) or ("json" in accepted and "text/html" not in accepted)


def problem(error: PortalError) -> dict[str, Any]:
    """The error as an RFC 9457 problem document, with the portal's `remedy`."""
    document: dict[str, Any] = {
        "type": f"/developers#problem-{error.slug}",
        "title": i18n.gettext(error.title, **error.values),
        "status": error.status,
        "remedy": i18n.gettext(error.remedy, **error.values),
    }
    if error.errors:
        document["errors"] = error.errors
    return document


def refuse(request: Request, error: PortalError, *, headers: dict[str, str] | None = None) -> Response:
    """The one renderer of refusals."""
    headers = {**error.headers, **(headers or {})}
    if error.status in (401, 403, 429):
        route = getattr(request.scope.get("route"), "path", "-")
        log.info("refused", why=error.slug, route=route, number=request.scope.get("state", {}).get("request_number"))
    if wants_json(request):
        return JSONResponse(
            problem(error), status_code=error.status, media_type="application/problem+json", headers=headers
        )
    response = page(request, "error.html", status=error.status, error=error, problem=problem(error))
    response.headers.update(headers)
    return response


def _invalid(error: RequestValidationError) -> PortalError:
    found = [
        {
            "field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]),
            "message": item["msg"],
        }
        for item in error.errors()[:50]
    ]
    return errors.InvalidInput(errors=found)


_BY_STATUS: dict[int, type[PortalError]] = {
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.NotAcceptable,
}


def add_error_handlers(app: FastAPI) -> None:
    """Every way to fail ends in `refuse`."""

    @app.exception_handler(PortalError)
    def named(request: Request, error: PortalError) -> Response:
        return refuse(request, error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return refuse(request, _invalid(error))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, PortalError):  # raised while FastAPI read the body
            return refuse(request, error.__cause__)
        known = _BY_STATUS.get(error.status_code, errors.BadRequest)
        return refuse(request, known(), headers=dict(error.headers or {}))

    @app.exception_handler(DBAPIError)
    @app.exception_handler(PoolTimeout)
    def away(request: Request, error: DBAPIError | PoolTimeout) -> Response:
        """The database is away, starts again, or took too long."""
        if isinstance(error, DBAPIError) and not db.is_away(error):
            raise error
        cause = getattr(error, "orig", None) or error
        log.warning("database.away", error=type(cause).__name__, number=request.state.request_number)
        return refuse(request, errors.Unavailable(), headers={"Retry-After": "10"})

    @app.exception_handler(RateLimitExceeded)
    def limited(request: Request, error: RateLimitExceeded) -> Response:
        item, key = request.state.view_rate_limit
        reset_at, _ = limits.limiter().limiter.get_window_stats(item, *key)
        seconds = max(1, round(reset_at - time.time()))
        return refuse(request, errors.TooManyRequests(seconds=seconds), headers={"Retry-After": str(seconds)})


# ---- around every request -------------------------------------------------------------------------------------------


def _cross_site(request: Request) -> bool:
    """Whether another site's page sends this where it may not: a write, or a look at what is for one person.

    A link from elsewhere may open a page of the desk or of a member, but then the browser keeps the session back
    (`SameSite=Strict`), and so it leads to signing in. Whatever comes with a session all the same is refused, and so is
    what would show such a page in a frame or an image, or read it by script.
    """
    if not from_another_site(request):
        return False
    path = f"{request.url.path}/"
    if path.startswith(SIGNED_IN) and request.method in ("GET", "HEAD"):
        to_be_read = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        alone = request.headers.get("sec-fetch-dest", "document") == "document"
        return not (to_be_read and alone) or _has_session(request)
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return False
    return "cookie" in request.headers or not path.startswith(PROGRAMS)


def _has_session(request: Request) -> bool:
    names = {side.strip("/") for side in SIGNED_IN}
    return any(cookie.removeprefix("__Host-") in names for cookie in request.cookies)


def from_another_site(request: Request) -> bool:
    """Whether a browser says that another site's page sends this (Fetch Metadata; Origin for older browsers)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def refuse_other_sites(request: Request) -> None:
    """Raises CrossSite for a form that another site's page sends in a visitor's name."""
    if from_another_site(request):
        raise errors.CrossSite


class Frame:
    """Language, security headers, rate-limit headers, a request number, and one log line, around every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        language = i18n.choose(request)
        number = secrets.token_hex(6)
        scope.setdefault("state", {})["request_number"] = number
        started = time.perf_counter()
        status = 500

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), request, language, number)
            await send(message)

        with i18n.speaking(language):
            await self._answer(request, receive, framed)
        route = getattr(scope.get("route"), "path", None)
        seconds = time.perf_counter() - started
        measured.answered(scope["path"], route, scope["method"], status, seconds)
        log.info(
            "request",
            method=scope["method"],
            route=route or "-",
            status=status,
            ms=round(seconds * 1000, 1),
            number=number,
        )

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            if _cross_site(request):
                await refuse(request, errors.CrossSite())(request.scope, receive, send)
            else:
                await self.app(request.scope, receive, watched)
        except ClientDisconnect:  # whoever asked has hung up
            log.info("request.given_up", number=request.state.request_number)
        except Exception:
            log.exception("request.crashed", number=request.state.request_number)
            if began:
                raise
            await refuse(request, errors.Unexpected())(request.scope, receive, send)

    @staticmethod
    def _add_headers(headers: MutableHeaders, request: Request, language: str, number: str) -> None:
        if headers.get("Access-Control-Allow-Origin") == "*":
            headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin")
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        over_https = get_settings().base_url.startswith("https://")
        if over_https:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        headers["X-Request-Id"] = number
        limits.add_headers(request.scope["state"], headers)
        if request.url.path.startswith("/static/"):
            return
        headers.setdefault("Content-Language", i18n.HTML_TAGS["en" if language == "en" else "zh"])
        headers.add_vary_header("Accept-Language")
        headers.add_vary_header("Cookie")
        for_one_person = f"{request.url.path}/".startswith(SIGNED_IN)
        headers.setdefault("Cache-Control", "no-store" if for_one_person else "no-cache")
        if request.query_params.get("lang") == language:
            name, secure = (f"__Host-{i18n.COOKIE}", "; Secure") if over_https else (i18n.COOKIE, "")
            said = f"{name}={language}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly{secure}"
            headers.append("Set-Cookie", said)
