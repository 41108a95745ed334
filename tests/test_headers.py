"""Every address is asked by everybody: nothing breaks, no header is missing, nobody sees what is not theirs."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.kit import db, limits, web
from portal.kit.errors import Unavailable
from portal.kit.limits import door
from record import kinds
from record.models import Entity
from requirements import audit
from tests import members, officers
from tests.conftest import Original, application, fill, use_settings
from tests.test_house_rules import ROOT

ALWAYS = {
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": web.SECURITY_HEADERS["Permissions-Policy"],
}
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
ENDS_THE_SESSION = {"/desk/logout", "/account/logout"}
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
DRAWN = {"sign.html", "join.html", "receipt.html"}
"""Templates that show a QR code, which the portal itself drew as SVG."""
FRAMED = "/reconcile/preview"
"""What may be shown in a frame: a card that the reconciliation protocol asks for."""


def lacking(answer: object) -> list[str]:
    """What an answer ought to carry and does not."""
    headers = answer.headers  # type: ignore[attr-defined]
    said = [name for name, value in ALWAYS.items() if headers.get(name) != value]
    policy = headers.get("content-security-policy", "")
    wanted = ["default-src 'none'", "base-uri 'none'"] if "sandbox" not in policy else ["default-src 'none'"]
    said += [part for part in wanted if part not in policy]
    path = answer.url.path  # type: ignore[attr-defined]
    if "sandbox" not in policy and not path.startswith(FRAMED) and "frame-ancestors 'none'" not in policy:
        said.append("frame-ancestors")
    if "unsafe" in policy or re.search(r"script-src[^;]*(\*|https?:|'self')", policy):
        said.append("scripts from anywhere")
    if headers.get("referrer-policy") not in ("same-origin", "no-referrer"):
        said.append("referrer-policy")
    if headers.get("cross-origin-resource-policy") not in ("same-origin", "cross-origin"):
        said.append("cross-origin-resource-policy")
    if headers.get("access-control-allow-origin") == "*" and headers.get("access-control-allow-credentials"):
        said.append("credentials for everybody")
    if answer.content and not headers.get("content-type"):  # type: ignore[attr-defined]
        said.append("content-type")
    if headers.get("content-type", "").startswith("text/") and "charset=" not in headers["content-type"]:
        said.append("charset")
    if "x-request-id" not in headers:
        said.append("x-request-id")
    if f"{path}/".startswith(("/desk/", "/account/")) and headers.get("cache-control") != "no-store":
        said.append("no-store")
    return said


def whole_routes() -> dict[str, set[str]]:
    """Every address as it is asked for, prefixes included, with its methods."""
    found: dict[str, set[str]] = {}
    for router in (route for route in application().routes if hasattr(route, "effective_route_contexts")):
        for route in router.effective_route_contexts():
            found.setdefault(route.path, set()).update(route.methods or ())
    assert len(found) > 200
    assert {"/", "/desk/accounts/{account_id}/disable", "/api/v1/tips", "/wechat"} <= set(found)
    return found


def filled_in(path: str, /, **values: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: values.get(found[1], "1"), path)


def asked() -> Iterator[tuple[str, str]]:
    """Every method of every address, with something in the place of its parameters, and methods that it has not."""
    with db.reading() as session:
        code = session.scalars(select(Entity.code).order_by(Entity.code)).first()
    values = {"code": str(code), "kind": next(iter(kinds.SHOWN)), "format": "json", "path": "", "rest": ""}
    for path, methods in sorted(whole_routes().items()):
        for method in sorted({"GET", "POST"} | methods - {"HEAD", "OPTIONS"}):
            if path not in ENDS_THE_SESSION:
                yield method, filled_in(path, **values)


def ask_everything(client: TestClient, **headers: str) -> dict[str, int]:
    """Ask every address; returns the statuses. Fails on a crash and on a missing header."""
    statuses: dict[str, int] = {}
    faults = []
    for method, path in asked():
        answer = client.request(method, path, headers=headers, follow_redirects=False)
        statuses[f"{method} {path}"] = answer.status_code
        if answer.status_code >= 500 and answer.status_code != 503:
            faults.append((method, path, answer.status_code))
        if missing := lacking(answer):
            faults.append((method, path, missing))
    assert faults == []
    assert len(statuses) > 400
    return statuses


@pytest.fixture
def filled_sqlite(
    originals: Callable[..., Original], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    with originals("sqlite", fill).copy(monkeypatch, tmp_path) as data_dir:
        yield data_dir


@pytest.mark.usefixtures("filled", "unlimited")
def test_a_stranger_gets_headers_everywhere_and_pages_of_others_nowhere(client: TestClient) -> None:
    statuses = ask_everything(client)
    seen = {path for path, status in statuses.items() if status == 200}
    open_to_all = {"GET /desk/login", "GET /account/login"}
    assert {path for path in seen if re.match(r"\w+ /(desk|account)\b", path)} <= open_to_all
    assert len(seen) > 50


@pytest.mark.usefixtures("filled_sqlite", "unlimited")
def test_an_officer_in_every_role_breaks_nothing_and_sees_no_members_page(client: TestClient) -> None:
    officers.sign_in(client, officers.add_officer(roles=["clerk", "reviewer", "administrator"]))
    statuses = ask_everything(client, **{"X-Form-Token": officers.form_token(client)})
    assert {statuses[f"GET /desk{path}"] for path in ("", "/accounts", "/record", "/tips")} == {200}
    assert {status for path, status in statuses.items() if path == "GET /account"} == {303}


@pytest.mark.usefixtures("filled", "unlimited")
def test_a_member_breaks_nothing_and_sees_no_officers_page(client: TestClient) -> None:
    members.seat(client, members.add(), "zhang.hui")
    token = members.form_token(client.get("/account").text)
    statuses = ask_everything(client, **{"X-Form-Token": token})
    assert {statuses[f"GET /account{path}"] for path in ("", "/batches", "/organisation")} == {200}
    desk = {status for path, status in statuses.items() if re.match(r"GET /desk(?!/login)", path)}
    assert desk <= {303, 404, 405}


@pytest.mark.usefixtures("embedded")
def test_every_kind_of_answer_carries_the_headers(client: TestClient) -> None:
    kinds_of_answer = {
        200: client.get("/static/site.css"),
        404: client.get("/no-such-page"),
        405: client.delete("/help"),
        413: client.post("/desk/login", headers={"Content-Length": "900000"}, content=b"x" * 900_000),
        422: client.get("/api/v1/entities?no-such=1"),
        303: client.get("/desk", follow_redirects=False),
        401: client.get("/desk", headers={"Accept": "application/json"}),
        403: client.post("/desk/login", headers=ELSEWHERE),
    }
    assert {status: answer.status_code for status, answer in kinds_of_answer.items()} == {
        status: status for status in kinds_of_answer
    }
    assert {status: lacking(answer) for status, answer in kinds_of_answer.items() if lacking(answer)} == {}
    for path in ("/static/no-such.css", "/static/js/report.js", "/static/../portal/app.py", "/static/"):
        assert lacking(client.get(path)) == []


@pytest.mark.usefixtures("embedded")
def test_what_breaks_what_is_away_and_what_comes_too_often_carry_them_too() -> None:
    router = limits.router()

    @router.get("/broken")
    @door(who="anyone", limit="60/minute")
    def broken(request: Request) -> None:
        raise RuntimeError("the secret inside")

    @router.get("/away")
    @door(who="anyone", limit="60/minute")
    def away(request: Request) -> None:
        raise Unavailable

    @router.get("/crowded")
    @door(who="anyone", limit="60/minute")
    def crowded(request: Request) -> None:
        raise PoolTimeout

    @router.get("/seldom")
    @door(who="anyone", limit="1/minute")
    def seldom(request: Request) -> dict[str, str]:
        return {}

    app = FastAPI()
    app.state.limiter = limits.limiter()
    web.add_error_handlers(app)
    app.add_middleware(web.Frame)
    app.include_router(router)
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    client.get("/seldom")
    answers = {path: client.get(path) for path in ("/broken", "/away", "/crowded", "/seldom")}
    assert [answer.status_code for answer in answers.values()] == [500, 503, 503, 429]
    assert {path: lacking(answer) for path, answer in answers.items() if lacking(answer)} == {}
    assert "secret" not in answers["/broken"].text
    assert answers["/seldom"].headers["Retry-After"]


@pytest.mark.usefixtures("embedded")
def test_over_https_every_cookie_belongs_to_this_very_host(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, base_url="https://portal.example")
    with TestClient(application(), base_url="https://portal.example") as secure:
        officers.sign_in(secure, officers.add_officer())
        secure.get("/help?lang=en")
        assert {cookie.name for cookie in secure.cookies.jar} == {"__Host-desk", "__Host-lang"}
        assert all(cookie.secure and cookie.path == "/" for cookie in secure.cookies.jar)
        assert secure.get("/help").headers["content-language"] == "en"


@pytest.mark.usefixtures("embedded")
def test_nobody_may_trace_or_finds_what_is_for_operators(client: TestClient) -> None:
    assert client.request("TRACE", "/").status_code == 405
    for path in ("/metrics", "/docs", "/redoc", "/openapi.json", "/.git/config", "/static/../pyproject.toml", "/.env"):
        assert client.get(path).status_code == 404, path


# ---- scripts --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("embedded")
def test_a_page_runs_the_scripts_of_its_own_answer_and_no_other(client: TestClient) -> None:
    nonces = set()
    for _ in range(3):
        answer = client.get("/help")
        policy = answer.headers["content-security-policy"]
        [nonce] = re.findall(r"script-src 'nonce-([\w-]{20,})';", policy)
        scripts = re.findall(r"<script\b[^>]*>", answer.text)
        assert scripts
        assert all(f'nonce="{nonce}"' in script for script in scripts)
        assert "require-trusted-types-for 'script'; trusted-types proof-worker" in policy
        nonces.add(nonce)
    assert len(nonces) == 3
    assert "script-src" not in client.get("/api/v1/openapi.json").headers["content-security-policy"]


def test_templates_hold_no_code_and_every_script_carries_the_nonce() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        scripts = [tag for tag in re.findall(r"<script\b[^>]*>", text) if "application/ld+json" not in tag]
        assert all('nonce="{{ nonce }}"' in tag and " src=" in tag for tag in scripts), path
        assert not re.search(r"<[^>]+\son[a-z]{4,}\s*=\s*['\"]", text), path
        assert not re.search(r"<style\b|\bstyle=|javascript:", text) or "email" in path.parts, path
        assert not re.search(r"\|\s*safe\b|autoescape false", text) or path.name in DRAWN, path


def test_no_script_makes_text_into_markup_or_code() -> None:
    sinks = (
        r"(inner|outer)HTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|\beval\(|new Function|Timeout\(['\"`]"
    )
    for path in (ROOT / "portal" / "static" / "js").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(sinks, text), path
        assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie", text), path
        assert all("policy." in worker for worker in re.findall(r"new Worker\(.*", text)), path


# ---- other sites ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("embedded", "unlimited")
def test_another_sites_page_writes_nothing_anywhere_but_to_the_open_interfaces(client: TestClient) -> None:
    open_to_programs = []
    writes = [(m, filled_in(p, format="json")) for p, methods in whole_routes().items() for m in methods & WRITES]
    assert len(writes) > 80
    for method, path in writes:
        answer = client.request(method, path, headers=ELSEWHERE, follow_redirects=False)
        if answer.status_code != 403:
            open_to_programs.append(path)
        with_cookie = client.request(method, path, headers={**ELSEWHERE, "Cookie": "any=1"}, follow_redirects=False)
        assert with_cookie.status_code == 403, path
    assert [path for path in open_to_programs if not path.startswith(web.PROGRAMS)] == []
    assert "/api/v1/tips" in open_to_programs


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({}, 200),
        (ELSEWHERE, 403),
        ({**ELSEWHERE, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({**ELSEWHERE, "Sec-Fetch-Dest": "iframe"}, 403),
        ({**ELSEWHERE, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
    ],
)
def test_with_a_session_no_other_site_opens_a_page_of_the_desk(
    client: TestClient, sent: dict[str, str], status: int
) -> None:
    officers.sign_in(client, officers.add_officer())
    assert client.get("/desk", headers=sent).status_code == status


@pytest.mark.usefixtures("embedded")
def test_a_link_from_elsewhere_leads_to_signing_in_and_never_into_a_frame(client: TestClient) -> None:
    answer = client.get("/desk/tips", headers=ELSEWHERE, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/login?next=/desk/tips")
    assert client.get("/desk/login", headers=ELSEWHERE).status_code == 200
    assert client.get("/desk/login", headers={**ELSEWHERE, "Sec-Fetch-Dest": "iframe"}).status_code == 403


# ---- whom to tell ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("embedded")
def test_security_txt_says_whom_to_tell_and_holds_for_less_than_a_year(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/.well-known/security.txt").status_code == 404, "nobody is named by default"
    use_settings(monkeypatch, security_contact="mailto:security@example.gov.cn", base_url="https://portal.example")
    answer = client.get("/.well-known/security.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    said = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert said["Contact"] == "mailto:security@example.gov.cn"
    assert said["Canonical"] == "https://portal.example/.well-known/security.txt"
    expires = datetime.fromisoformat(said["Expires"])
    assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=366)


def test_an_audit_without_an_answer_is_no_clean_one() -> None:
    faulty = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
    clean, unknown = {"name": "b", "version": "1", "vulns": []}, {"name": "c", "skip_reason": "not found"}
    assert audit.judged([clean]) == (["1 packages, no known vulnerability."], 0)
    assert audit.judged([clean, unknown])[1] == 2
    assert audit.judged([clean, unknown, faulty]) == (["a 1: CVE-1, mended in 2"], 1)
