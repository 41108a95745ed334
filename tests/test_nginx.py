"""The files of deploy/nginx in Debian's nginx, before a served portal: what passes, what is kept, what is refused."""

import contextlib
import gzip
import http.client
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from portal import desk, pages
from portal.app import AREAS
from portal.kit.limits import door_of
from tests.conftest import free_port, served

DEPLOY = Path(__file__).parents[1] / "deploy" / "nginx"
NGINX = "/usr/sbin/nginx"
PUBLIC, DESK = "portal.example.cn", "desk.example.cn"
FILE = "/data/entities.csv"

AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    gzip on;
    include {folder}/conf.d/*.conf;
}}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        return next(iter(self.every(name)), None)


class ToName(http.client.HTTPSConnection):
    """HTTPS to a name that is not looked up: this machine answers for it, and its certificate is checked."""

    def __init__(self, name: str, port: int, authority: Path, caller: str) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        super().__init__(name, port, timeout=20, context=context)
        self._trusting, self._caller = context, caller

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(self._caller, 0))
        self.sock = self._trusting.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True)
class Site:
    """One nginx, and how to ask it. Every address of the loopback is a caller of its own."""

    folder: Path
    http: int
    public: int
    desk: int

    def connection(self, name: str = PUBLIC, caller: str = "127.0.0.1") -> ToName:
        return ToName(name, self.desk if name == DESK else self.public, self.folder / "ssl" / "public.crt", caller)

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        name: str = PUBLIC,
        caller: str = "127.0.0.1",
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        with contextlib.closing(self.connection(name, caller)) as connection:
            connection.request(method, path, body=body, headers=headers or {})
            found = connection.getresponse()
            return Answer(found.status, found.getheaders(), found.read())


def rendered(folder: Path, changed: dict[str, str]) -> None:
    """The shipped files, with ports and folders of this test's own in them."""
    for file in [*DEPLOY.glob("conf.d/*.conf"), *DEPLOY.glob("gongzhi/**/*")]:
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            for shipped, ours in changed.items():
                text = text.replace(shipped, ours)
            to = folder / file.relative_to(DEPLOY)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(text, encoding="utf-8")


def certificate(folder: Path) -> None:
    """A certificate for both names that vouches for itself."""
    folder.mkdir()
    subprocess.run(
        [
            *shlex.split("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"),
            *("-subj", f"/CN={PUBLIC}", "-addext", f"subjectAltName=DNS:{PUBLIC},DNS:{DESK}"),
            *("-keyout", folder / "public.key", "-out", folder / "public.crt"),
        ],
        check=True,
        capture_output=True,
    )
    for ending in ("key", "crt"):
        (folder / f"desk.{ending}").write_bytes((folder / f"public.{ending}").read_bytes())


@contextlib.contextmanager
def nginx(folder: Path, portal_port: int, **changed: str) -> Iterator[Site]:
    """Debian's nginx with the shipped files in front of a portal on that port."""
    site = Site(folder, free_port(), free_port(), free_port())
    certificate(folder / "ssl")
    rendered(
        folder,
        {
            "listen 80 ": f"listen 127.0.0.1:{site.http} ",
            "listen 443 ": f"listen 127.0.0.1:{site.public} ",
            "listen 8443 ": f"listen 127.0.0.1:{site.desk} ",
            "127.0.0.1:8000": f"127.0.0.1:{portal_port}",
            "127.0.0.1:8001": f"127.0.0.1:{portal_port}",
            "/etc/ssl/gongzhi": f"{folder}/ssl",
            "/etc/nginx/gongzhi": f"{folder}/gongzhi",
            "/var/cache/nginx/gongzhi": f"{folder}/cache",
            "/var/log/nginx": str(folder),
            **changed,
        },
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(user + AROUND.format(folder=folder))
    process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", site.public), timeout=1):
                break
            time.sleep(0.02)
        yield site
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stderr:
            process.stderr.close()


@pytest.fixture(scope="module")
def folder_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return tmp_path_factory.mktemp


@pytest.fixture(scope="module")
def portal(demo_data: Path) -> Iterator[str]:
    """A portal that counts what each caller asks, as it would behind nginx."""
    with served(demo_data, PORTAL_BASE_URL=f"https://{PUBLIC}", PORTAL_TRUSTED_PROXIES="127.0.0.1") as url:
        yield url


@pytest.fixture(scope="module")
def site(portal: str, folder_for: Callable[[str], Path]) -> Iterator[Site]:
    with nginx(folder_for("nginx"), int(portal.rsplit(":", 1)[1])) as made:
        yield made


@pytest.fixture(scope="module")
def lonely(folder_for: Callable[[str], Path]) -> Iterator[Site]:
    """nginx with nobody behind it; heads of requests may take a second instead of ten."""
    with nginx(folder_for("lonely"), free_port(), **{"client_header_timeout 10s": "client_header_timeout 1s"}) as made:
        yield made


# ---- TLS ------------------------------------------------------------------------------------------------------------


def test_pages_come_over_tls_and_plain_http_is_sent_there(site: Site) -> None:
    page = site.ask("/", headers={"Accept-Language": "en"})
    assert page.status == 200
    assert b"Gongzhi" in page.body
    plain = http.client.HTTPConnection("127.0.0.1", site.http, timeout=10)
    plain.request("GET", "/search?q=%E5%B1%B1", headers={"Host": PUBLIC})
    sent = plain.getresponse()
    assert (sent.status, sent.getheader("Location")) == (308, f"https://{PUBLIC}/search?q=%E5%B1%B1")
    plain.close()


def test_hsts_is_said_exactly_once_whoever_answers(site: Site, lonely: Site) -> None:
    answers = [site.ask("/"), site.ask(FILE), site.ask("/metrics"), site.ask("/no-such-page"), lonely.ask("/")]
    assert [one.status for one in answers] == [200, 200, 404, 404, 503]
    for one in answers:
        assert one.every("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains"]


@pytest.mark.parametrize(
    ("version", "taken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_old_tls_is_not_spoken(site: Site, version: ssl.TLSVersion, taken: bool) -> None:
    context = ssl.create_default_context(cafile=str(site.folder / "ssl" / "public.crt"))
    with pytest.warns(DeprecationWarning, match="TLSv1_1") if not taken else contextlib.nullcontext():
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", site.public), timeout=10) as plain:
        refused = contextlib.nullcontext() if taken else pytest.raises(ssl.SSLError)
        with refused, context.wrap_socket(plain, server_hostname=PUBLIC) as spoken:
            assert spoken.version() == version.name.replace("_", ".")


def test_another_name_gets_no_certificate(site: Site) -> None:
    with pytest.raises(ssl.SSLError):
        site.connection("another.example.cn").connect()


# ---- files of open data ---------------------------------------------------------------------------------------------


def test_a_file_is_kept_and_revalidated_by_its_etag(site: Site) -> None:
    first = site.ask(FILE, caller="127.0.0.2", headers={"Accept-Encoding": "gzip"})
    assert first.status == 200
    assert first.header("Content-Encoding") is None
    time.sleep(2.1)  # a second is how long an answer is taken as it is
    second = site.ask(FILE, caller="127.0.0.3")
    third = site.ask(FILE, caller="127.0.0.3")
    assert (second.header("X-Cache"), third.header("X-Cache")) == ("REVALIDATED", "HIT")
    assert first.body == second.body == third.body
    assert first.header("ETag") == second.header("ETag") == third.header("ETag")
    assert third.header("RateLimit") is None
    unchanged = site.ask(FILE, headers={"If-None-Match": first.header("ETag") or ""})
    assert (unchanged.status, unchanged.body) == (304, b"")


@pytest.mark.parametrize("asked", ["bytes=0-99", "bytes=1000-1999", "bytes=-50"])
def test_a_range_brings_the_right_bytes(site: Site, asked: str) -> None:
    whole = site.ask(FILE)
    part = site.ask(FILE, headers={"Range": asked, "If-Range": whole.header("ETag") or ""})
    first, _, last = asked.removeprefix("bytes=").partition("-")
    wanted = whole.body[int(first) : int(last) + 1] if first else whole.body[-int(last) :]
    assert (part.status, part.body) == (206, wanted)
    assert (part.header("Content-Range") or "").endswith(f"/{len(whole.body)}")
    outdated = site.ask(FILE, headers={"Range": asked, "If-Range": '"another"'})
    assert (outdated.status, outdated.body) == (200, whole.body)
    beyond = site.ask(FILE, headers={"Range": f"bytes={len(whole.body)}-"})
    assert beyond.status == 416


def test_neither_pages_nor_lists_of_what_was_withdrawn_are_kept(site: Site) -> None:
    for path in ("/", "/data", "/data/withdrawn.csv", "/data/entities", "/data/entities/datapackage.json"):
        for _ in range(2):
            answer = site.ask(path)
            assert answer.status == 200, path
            assert answer.header("X-Cache") is None, path


def test_pages_are_packed_once(site: Site) -> None:
    page = site.ask("/", headers={"Accept-Encoding": "gzip"})
    assert page.every("Content-Encoding") == ["gzip"]
    assert b"<html" in gzip.decompress(page.body)


# ---- uploads --------------------------------------------------------------------------------------------------------


def doors() -> Iterator[tuple[str, str, int]]:
    """Method, an address, and the most bytes of every door that takes a body."""
    routes = [("", route) for route in (*pages.router.routes, *desk.router.routes)]
    routes += [("", route) for area in AREAS for part in (*area.pages, *area.desk) for route in part.routes]
    api = [part for area in AREAS for part in (*area.api, *area.government_api)]
    routes += [("/api/v1", route) for part in api for route in part.routes]
    for before, route in routes:
        door = door_of(route.endpoint)  # type: ignore[attr-defined]
        if door and door.body_bytes:
            path = before + re.sub(r"\{[^}]*\}", "1", route.path)  # type: ignore[attr-defined]
            for method in route.methods:  # type: ignore[attr-defined]
                yield method, path, door.body_bytes


def let_in(site: Site, method: str, path: str, size: int, caller: str) -> bool:
    """Whether nginx wants the body of so many bytes, which is then not sent."""
    with contextlib.closing(site.connection(DESK if path.startswith("/desk") else PUBLIC, caller)) as connection:
        connection.connect()
        head = f"{method} {path} HTTP/1.1\r\nHost: {connection.host}\r\nContent-Length: {size}\r\n"
        connection.sock.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        status = connection.sock.recv(100).split()[1]
    assert status in (b"100", b"413"), (path, status)
    return status == b"100"


def test_every_door_of_the_portal_can_be_filled_and_hardly_more(site: Site) -> None:
    found = list(doors())
    assert max(size for _, _, size in found) > 250_000_000
    for number, (method, path, size) in enumerate(found):
        caller = f"127.0.1.{number // 40}"
        assert let_in(site, method, path, size, caller), f"{path} takes {size} bytes, nginx does not"
        assert not let_in(site, method, path, max(size * 11 // 10, 2**20) + 1, caller), f"{path} is open too far"


def tip(size: int) -> tuple[bytes, dict[str, str]]:
    """A form of exactly so many bytes that tells of something, in many attachments."""
    edge = "edge-of-a-form"
    head = "".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"kind": "report", "description": "商品过期仍在销售，店家不予理会。"}.items()
    ).encode()
    begin = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="%d.txt"\r\n\r\n'
    tail = f"--{edge}--\r\n".encode()
    left = size - len(head) - len(tail)
    parts = []
    for number in range(5):
        before = (begin % number).encode()
        room = left // (5 - number)
        parts.append(before + b"a" * (room - len(before) - 2) + b"\r\n")
        left -= room
    body = b"".join([head, *parts, tail])
    assert len(body) == size
    return body, {"Content-Type": f"multipart/form-data; boundary={edge}"}


def test_an_upload_as_large_as_the_portal_takes_reaches_it(site: Site) -> None:
    body, headers = tip(64_000_000)
    answer = site.ask("/api/v1/tips", method="POST", body=body, headers=headers)
    assert answer.header("X-Request-Id"), "the portal did not see it"
    assert answer.status == 201, answer.body


def test_a_larger_upload_is_refused_with_a_sentence(site: Site) -> None:
    for path, kind in [("/api/v1/tips", "application/problem+json"), ("/report/preview", "text/html")]:
        with contextlib.closing(site.connection()) as connection:
            connection.putrequest("POST", path)
            connection.putheader("Content-Length", "64000001")
            connection.endheaders()
            answer = connection.getresponse()
            said = answer.read().decode()
        assert answer.status == 413
        assert (answer.getheader("Content-Type") or "").startswith(kind)
        assert "too large" in said
        assert "过大" in said


@pytest.mark.parametrize(
    ("path", "before"), [("/data/key", 1_000), ("/report/send", 1_000), ("/api/v1/tips", 2_000_000)]
)
def test_an_upload_whose_size_was_not_said_is_refused_with_the_same_sentence(
    site: Site, path: str, before: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    with contextlib.closing(site.connection()) as connection:
        connection.connect()
        connection.sock.sendall(f"{head}\r\nConnection: close\r\n\r\n{before:x}\r\n".encode())
        connection.sock.sendall(b" " * before + b"\r\nfffffff0\r\nthe beginning")
        answer = http.client.HTTPResponse(connection.sock, method="POST")
        answer.begin()
        said = answer.read().decode()
    assert (answer.status, "过大" in said) == (413, True)


# ---- what is not for the public -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/%6detrics", "//metrics", "/desk", "/desk/", "/x/../desk"])
def test_metrics_and_the_desk_are_not_there_for_the_public(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert answer.status == 404
    assert answer.header("X-Request-Id") is None, "the portal was asked"
    assert "没有这个页面" in answer.body.decode()


def test_no_door_of_the_desk_is_open_to_the_public(site: Site) -> None:
    found = [(method, path) for method, path, _ in doors() if path.startswith("/desk")]
    assert len(found) > 20
    for number, (method, path) in enumerate(found):
        answer = site.ask(path, method=method, caller=f"127.0.4.{number // 40}")
        assert answer.status == 404, path
        assert answer.header("X-Request-Id") is None, f"the portal was asked for {path}"


def test_the_desk_is_at_its_own_name(site: Site) -> None:
    assert site.ask("/desk/login", name=DESK).status == 200
    assert site.ask("/metrics", name=DESK).status == 404


# ---- who asks, and how often ----------------------------------------------------------------------------------------


def asked_for_a_key(ask: Callable[[dict[str, str]], int]) -> list[int]:
    return [ask({"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": "198.51.100.9"}) for number in range(8)]


def test_a_forged_address_does_not_become_the_callers(site: Site, portal: str) -> None:
    def behind_nginx(headers: dict[str, str]) -> int:
        return site.ask("/data/key", method="POST", caller="127.0.3.1", headers=headers).status

    def directly(headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", int(portal.rsplit(":", 1)[1]), timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", "/data/key", headers=headers)
            return connection.getresponse().status

    assert 429 not in asked_for_a_key(directly), "the portal believes the proxy"
    assert asked_for_a_key(behind_nginx)[5:] == [429, 429, 429]
    assert site.ask("/data/key", method="POST", caller="127.0.3.2").status != 429


def test_a_form_of_our_own_page_is_known_as_one(site: Site) -> None:
    """The portal compares where a form comes from with the host that it is sent to."""

    def sent(origin: str) -> int:
        headers = {"Origin": origin, "Cookie": "lang=en", "Content-Type": "application/x-www-form-urlencoded"}
        return site.ask("/data/key", method="POST", body="", caller="127.0.3.3", headers=headers).status

    assert sent(f"https://{PUBLIC}:{site.public}") != 403
    assert sent("https://another.example.cn") == 403


def test_who_asks_too_often_is_told_so(lonely: Site) -> None:
    connection = lonely.connection(caller="127.0.3.9")
    with contextlib.closing(connection):
        for _ in range(400):
            connection.request("GET", "/help")
            answer = connection.getresponse()
            said = answer.read().decode()
            if answer.status == 429:
                break
    assert answer.status == 429
    assert answer.getheader("Retry-After") == "30"
    assert "请求过于频繁" in said
    assert "You ask too often" in said
    assert lonely.ask("/help", caller="127.0.3.10").status == 503


def test_who_sends_a_head_slowly_is_let_go(lonely: Site) -> None:
    connection = lonely.connection()
    with contextlib.closing(connection):
        connection.connect()
        connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: ")
        started = time.monotonic()
        assert connection.sock.recv(100) == b""
    assert time.monotonic() - started < 5
    shipped = (DEPLOY / "gongzhi" / "timeouts.conf").read_text()
    for name, most in [("client_header_timeout", 10), ("client_body_timeout", 20), ("send_timeout", 20)]:
        [seconds] = re.findall(rf"^{name} (\d+)s;", shipped, re.M)
        assert int(seconds) <= most


def test_the_log_names_neither_callers_nor_what_they_asked(site: Site) -> None:
    site.ask("/search?q=zhang-san", caller="127.0.3.77")
    site.ask("/report/status?receipt=1234123412341234", caller="127.0.3.77")
    time.sleep(0.1)
    kept = "".join(file.read_text() for file in site.folder.glob("*.log"))
    assert " GET /search 200 " in kept
    for private in ("127.0.3.77", "zhang-san", "/report", "1234123412341234"):
        assert private not in kept


# ---- the portal is away ---------------------------------------------------------------------------------------------


def test_while_the_portal_is_away_people_and_programs_are_told(lonely: Site) -> None:
    page = lonely.ask("/entities/91310000000000000X")
    assert page.status == 503
    assert page.header("Retry-After") == "30"
    assert "网站暂时无法访问" in page.body.decode()
    assert "The site is away for the moment" in page.body.decode()
    problem = lonely.ask("/api/v1/entities?q=x")
    assert (problem.status, problem.header("Content-Type")) == (503, "application/problem+json; charset=utf-8")
    assert json.loads(problem.body)["status"] == 503
    assert lonely.ask(FILE).status == 503


# ---- other ways to install ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["public", "desk"])
def test_each_side_stands_alone_in_containers(side: str, tmp_path: Path) -> None:
    certificate(tmp_path / "ssl")
    rendered(tmp_path, {"/etc/ssl/gongzhi": f"{tmp_path}/ssl", "/var/cache/nginx/gongzhi": f"{tmp_path}/cache"})
    (tmp_path / "conf.d" / ("desk.conf" if side == "public" else "public.conf")).unlink()
    (tmp_path / "gongzhi" / "upstreams.conf").write_bytes((DEPLOY / "compose" / "upstreams.conf").read_bytes())
    for file in (tmp_path / "gongzhi" / "server.conf", tmp_path / "conf.d" / f"{side}.conf"):
        text = file.read_text().replace("/var/log/nginx", str(tmp_path))
        file.write_text(re.sub(r"listen (\d+)", lambda _: f"listen 127.0.0.1:{free_port()}", text))
    (tmp_path / "nginx.conf").write_text(AROUND.format(folder=tmp_path))
    done = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
