"""The web application: the only place where all areas meet."""

import gc
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import anyio.to_thread
import structlog
from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

import opendata.area
import partners.area
import record.area
import reporting.area
import search.area
from opendata.consumers_views import Counting
from portal import desk, measures, own_account, pages
from portal.kit import db, gate, limits, logs, openapi, web
from portal.kit.area import Area
from portal.kit.settings import get_settings

log = structlog.get_logger()

AREAS: tuple[Area, ...] = (
    record.area.AREA,
    search.area.AREA,
    reporting.area.AREA,
    partners.area.AREA,
    opendata.area.AREA,
)

API_DESCRIPTION = """\
The open register of market entities, as this portal's pages show it. Read-only and free; no key is needed.

* Errors are problem documents (RFC 9457) with a `remedy` that says what to do next.
* Lists are `{"items": […], "total": n, "next": cursor or null}`. Send `cursor` back unchanged for the next page.
* Times are UTC, ISO 8601, with `Z`. Unknown query parameters are refused with 422.
* Every answer says in `RateLimit` and `RateLimit-Policy` what is left; a 429 says in `Retry-After` how long to wait.
"""


BETWEEN_SECONDS = 3.0
"""Between getting one area ready and the next: the first visitors go before."""
LAST_SECONDS = 5.0
"""So long a process that ends waits for an area that is still getting ready."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = get_settings().web_threads
    with ExitStack() as stack:
        stack.enter_context(db.hurried())
        stopping = threading.Event()
        warming = threading.Thread(target=_warm, args=(stopping,), name="warm", daemon=True)
        warming.start()
        stack.callback(warming.join, LAST_SECONDS)
        stack.callback(stopping.set)
        for area in AREAS:
            if area.running is not None:
                stack.enter_context(area.running())
        stack.callback(gc.unfreeze)
        yield


def _warm(stopping: threading.Event) -> None:
    """Let every area get ready. A failure here costs the first visitor time, and nothing else."""
    for area in AREAS:
        if area.warm is not None:
            try:
                area.warm()
            except Exception as error:  # the boundary of a thread that nobody waits for
                log.warning("area.not_warm", area=area.name, error=type(error).__name__)
            if stopping.wait(BETWEEN_SECONDS):
                return
    gc.freeze()  # tables that stay: looking through them for garbage would stop every request for a while


def _api_router() -> APIRouter:
    api = limits.router(prefix="/api/v1")
    for area in AREAS:
        own = () if get_settings().role == "public" else area.government_api
        for part in (*area.api, *own):
            api.include_router(part)
    return api


class _Packing(GZipMiddleware):
    """Packs answers, but not files of open data: their digests and ranges are of the bytes as they lie."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/data/") and "." in scope["path"]:
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app() -> FastAPI:
    """The portal's web application with every area's pages and API."""
    logs.configure()
    app = FastAPI(
        title="Gongzhi open API",
        version="1",
        description=API_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.limiter = limits.limiter()
    app.state.areas = AREAS
    web.add_error_handlers(app)
    gate.add_error_handler(app)
    app.add_middleware(_Packing, minimum_size=1_000, compresslevel=5)
    app.add_middleware(web.Frame)
    app.add_middleware(Counting)
    app.mount("/static", web.HashedStaticFiles(directory=web.STATIC_DIR), name="static")
    for router in (pages.router, measures.router, own_account.router, *(part for area in AREAS for part in area.pages)):
        app.include_router(router)
    if get_settings().role != "public":
        for router in (desk.router, own_account.desk, *(part for area in AREAS for part in area.desk)):
            app.include_router(router)
    app.include_router(_api_router())
    openapi.publish(app, *(area.described() for area in AREAS if area.described))
    return app
