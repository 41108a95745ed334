"""A delivery is signed, goes only where it may, and never takes longer than it may."""

import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portal.kit import db, webhooks
from portal.kit.webhooks import Delivered, Failed
from tests.conftest import use_settings

SECRET = webhooks.new_secret()
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/record", "type": "entry.withdrawn", "data": {"名": "值"}}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers as the test says and keeps what it was sent."""

    answer: Callable[["Receiver"], None]
    received: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        type(self).answer(self)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, data_dir=tmp_path / "var", webhooks_to_loopback="true")


def listen(handler: type[Receiver], context: ssl.SSLContext | None = None) -> http.server.ThreadingHTTPServer:
    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def receiver() -> Iterator[type[Receiver]]:
    """A receiver on this machine; `receiver.url` is its address."""
    made = type("OneReceiver", (Receiver,), {"received": [], "answer": lambda self: self.reply(204)})
    server = listen(made)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hooks?token=t"  # type: ignore[attr-defined]
    yield made
    server.shutdown()
    server.server_close()


def send(to: Any) -> Delivered | Failed:
    return webhooks.send(to if isinstance(to, str) else to.url, EVENT, SECRET)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if str(host).replace(".", "").isdigit() or ":" in str(host):
            return real(host, port, *args, **options)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


# ---- what arrives ---------------------------------------------------------------------------------------------------


def test_an_event_arrives_signed_as_a_structured_cloudevent(receiver: Any) -> None:
    assert send(receiver) == Delivered(204)
    [(headers, body)] = receiver.received
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert headers["webhook-id"] == "e-1"
    assert webhooks.verify(body, headers, SECRET) == EVENT


def test_while_a_secret_is_changed_both_are_believed(receiver: Any) -> None:
    old = webhooks.new_secret()
    webhooks.send(receiver.url, EVENT, SECRET, old_secret=old)
    [(headers, body)] = receiver.received
    assert webhooks.verify(body, headers, SECRET) == webhooks.verify(body, headers, old) == EVENT


@pytest.mark.parametrize("broken", ["body", "secret", "time", "no signature", "odd signature", "not text"])
def test_a_message_that_was_changed_or_is_old_is_refused(broken: str) -> None:
    body, moment = json.dumps(EVENT).encode(), db.now()
    if broken == "time":
        moment -= timedelta(minutes=6)
    headers = webhooks.sign("e-1", moment, body, webhooks.new_secret() if broken == "secret" else SECRET)
    if broken == "no signature":
        del headers["webhook-signature"]
    if broken == "odd signature":
        headers["webhook-signature"] = "v1"
    changed = {"body": body + b" ", "not text": b"\xff"}.get(broken, body)
    with pytest.raises(webhooks.SignatureRefused):
        webhooks.verify(changed, headers, SECRET)


def test_what_is_no_cloudevent_is_not_sent(receiver: Any) -> None:
    for missing in ("specversion", "id", "source", "type"):
        with pytest.raises(ValueError):
            webhooks.send(receiver.url, {**EVENT, missing: ""}, SECRET)
    assert receiver.received == []


# ---- what the receiver says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Delivered(200)),
        (302, {"Location": "http://169.254.169.254/"}, Failed("redirect", None, 302)),
        (307, {"Location": "/elsewhere"}, Failed("redirect", None, 307)),
        (400, {}, Failed("refused", None, 400)),
        (410, {}, Failed("gone", None, 410)),
        (429, {"Retry_After": "120"}, Failed("refused", timedelta(seconds=120), 429)),
        (503, {"Retry_After": "9" * 30}, Failed("refused", timedelta(days=1), 503)),
        (503, {"Retry_After": "soon"}, Failed("refused", None, 503)),
        (503, {"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, Failed("refused", timedelta(0), 503)),
    ],
)
def test_the_status_decides_and_no_redirect_is_followed(
    receiver: Any, status: int, headers: dict[str, str], outcome: Delivered | Failed
) -> None:
    receiver.answer = lambda self: self.reply(status, **headers)
    assert send(receiver) == outcome
    assert len(receiver.received) == 1


def test_an_endless_answer_is_read_no_further_than_its_bound(receiver: Any) -> None:
    written = []

    def flood(self: Receiver) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(10_000):
            self.wfile.write(b"x" * 65_536)
            written.append(65_536)

    receiver.answer = flood
    assert send(receiver) == Delivered(200)
    assert sum(written) < 100_000_000


def test_a_receiver_that_drips_is_left_at_the_deadline(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(self: Receiver) -> None:
        for _ in range(100):
            self.wfile.write(b"H")
            time.sleep(0.1)

    receiver.answer = drip
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.5)
    started = time.monotonic()
    assert send(receiver) in (Failed("timeout"), Failed("unreachable"))
    assert time.monotonic() - started < 3


def test_a_receiver_that_is_away_is_a_failure(receiver: Any) -> None:
    assert send("http://127.0.0.1:1/") == Failed("unreachable")
    receiver.answer = lambda self: self.connection.close()
    assert send(receiver) == Failed("unreachable")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged meanwhile. A logger that has spoken before keeps its old listener, so it is a new one."""
    monkeypatch.setattr(webhooks, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as entries:
        yield entries


def test_no_secret_address_or_content_reaches_the_log(receiver: Any, logged: list[Any]) -> None:
    send(receiver)
    send("http://127.0.0.1:1/hooks?token=t")
    told = str(logged)
    assert told.count("webhook.sent") == 2
    for hidden in (SECRET, SECRET[6:], "token=t", "127.0.0.1", "值"):
        assert hidden not in told


# ---- where it may go ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/",
        "ftp://receiver.example/",
        "https://",
        "https:///hooks",
        "https://user:password@receiver.example/",
        "https://receiver.example:port/",
        "https://" + "a" * 70 + ".example/",
        "//receiver.example/",
        "https://receiver.example/\r\nX: 1",
        "https://receiver.example/a b",
        "https://receiver.example/é",
        "",
    ],
)
def test_an_address_that_is_not_plain_https_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, webhooks_to_loopback="false")
    resolve_to(monkeypatch, "93.184.215.14")
    assert send(url) == Failed("address")


INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:1::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_with_an_address_inside_is_refused_even_beside_a_public_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, webhooks_to_loopback="false")
    resolve_to(monkeypatch, "93.184.215.14", address)
    assert send("https://receiver.example/") == Failed("address")


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "[::1]", "localhost", "[::ffff:10.0.0.1]"])
def test_no_other_spelling_of_an_inside_address_helps(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, webhooks_to_loopback="false")
    assert send(f"https://{host}/") == Failed("address")


def test_what_may_go_to_this_machine_goes_nowhere_else_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "93.184.215.14")
    assert send("http://receiver.example/") == Failed("address")


def test_a_public_address_is_connected_to_as_it_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    reached = []

    def note(address: Any, *args: Any, **options: Any) -> socket.socket:
        reached.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", note)
    assert send("https://receiver.example/") == Failed("unreachable")
    assert reached == [("93.184.215.14", 443), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443)]


def test_a_resolver_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: time.sleep(5) or [])
    started = time.monotonic()
    assert send("https://receiver.example/") == Failed("unreachable")
    assert time.monotonic() - started < 3


# ---- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for `receiver.example`, and a server's context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(db.now() - timedelta(days=1))
        .not_valid_after(db.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown = tmp_path / "certificate.pem"
    shown.write_bytes(made.public_bytes(Encoding.PEM))
    private = tmp_path / "private.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, private)
    return shown, context


@pytest.mark.parametrize(
    ("host", "trusted", "outcome"),
    [
        ("receiver.example", True, Delivered(204)),
        ("other.example", True, Failed("tls")),
        ("receiver.example", False, Failed("tls")),
    ],
)
def test_the_certificate_is_checked_for_the_name_that_was_asked_for(
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
    outcome: Delivered | Failed,
) -> None:
    shown, context = certificate
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    resolve_to(monkeypatch, "127.0.0.1")
    made = type("TlsReceiver", (Receiver,), {"received": [], "answer": lambda self: self.reply(204)})
    server = listen(made, context)
    try:
        assert send(f"https://{host}:{server.server_address[1]}/hooks") == outcome
    finally:
        server.shutdown()
        server.server_close()
    assert [headers["host"].partition(":")[0] for headers, _ in made.received] == (
        [host] if isinstance(outcome, Delivered) else []
    )
