"""Mail reaches the spool or a server whole, and no address reaches the log."""

import email.policy
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from portal.kit import mail
from tests.conftest import use_settings

UNSUBSCRIBE = {
    "List-Unsubscribe": "<https://portal.example/alerts/end?token=t>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}


@pytest.fixture(autouse=True)
def _portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, data_dir=tmp_path / "var", mail_url="spool:", mail_from="共治 <portal@city.example>")


def parsed(content: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(content, policy=email.policy.default))


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged meanwhile. A logger that has spoken before keeps its old listener, so it is a new one."""
    monkeypatch.setattr(mail, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as entries:
        yield entries


def test_a_message_lands_in_the_spool_with_both_bodies_and_its_headers(tmp_path: Path, logged: list[Any]) -> None:
    mail.send("reader@example.com", "新的处罚记录", "正文", "<p>正文</p>", UNSUBSCRIBE)
    [file] = (tmp_path / "var" / "mail").iterdir()
    assert file.suffix == ".eml"
    message = parsed(file.read_bytes())
    assert (message["to"], message["subject"]) == ("reader@example.com", "新的处罚记录")
    assert message["from"].addresses[0].display_name == "共治"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message["auto-submitted"] == "auto-generated"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (plain.get_content().strip(), html.get_content().strip()) == ("正文", "<p>正文</p>")
    assert [entry["event"] for entry in logged] == ["mail.sent"]
    assert "reader" not in str(logged)


def test_programs_can_read_a_long_address_to_unsubscribe_at(tmp_path: Path) -> None:
    address = f"<https://portal.example/alerts/end/{'t' * 90}>"
    mail.send("reader@example.com", "a", "text", headers={"List-Unsubscribe": address, "Message-ID": "<once@here>"})
    [file] = (tmp_path / "var" / "mail").iterdir()
    lines = file.read_bytes().decode().split("\r\n")
    assert f"List-Unsubscribe: {address}" in lines
    assert [line for line in lines if line.startswith("Message-ID")] == ["Message-ID: <once@here>"]


@pytest.mark.parametrize("broken", ["to", "subject", "unsubscribe"])
def test_a_line_break_cannot_smuggle_in_a_header(broken: str, tmp_path: Path) -> None:
    values = {"to": "reader@example.com", "subject": "a", "unsubscribe": "<https://portal.example/>"}
    values[broken] = "x\r\nBcc: everybody@example.com"
    with pytest.raises(ValueError):
        mail.send(values["to"], values["subject"], "text", headers={"List-Unsubscribe": values["unsubscribe"]})
    assert not (tmp_path / "var" / "mail").exists()


class Speaker(socketserver.StreamRequestHandler):
    """As much of an SMTP server as a test needs: it knows one recipient."""

    received: list[bytes] = []

    def handle(self) -> None:
        self.say("220 ready")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.say("354 go on")
                self.received.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.say("250 taken")
            elif verb == b"RCPT" and b"reader@" not in line:
                self.say("550 5.1.1 stranger@example.com unknown")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a mail server on this machine received."""
    monkeypatch.setattr(Speaker, "received", [])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaker) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        use_settings(monkeypatch, mail_url=f"smtp://127.0.0.1:{listening.server_address[1]}")
        yield Speaker.received
        listening.shutdown()


def test_a_message_is_handed_to_a_server(server: list[bytes]) -> None:
    mail.send("reader@example.com", "新的处罚记录", "正文", headers=UNSUBSCRIBE)
    [content] = server
    assert parsed(content)["subject"] == "新的处罚记录"


def test_a_refused_recipient_is_a_failure_that_names_nobody(server: list[bytes], logged: list[Any]) -> None:
    with pytest.raises(mail.MailFailed) as failure:
        mail.send("stranger@example.com", "a", "text")
    assert (failure.value.reason, failure.value.__cause__, server) == ("recipient", None, [])
    assert [entry["event"] for entry in logged] == ["mail.failed"]
    assert "stranger" not in f"{logged}{failure.value}"


def test_a_server_that_is_away_is_a_failure_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, mail_url="smtp://127.0.0.1:1")
    with pytest.raises(mail.MailFailed, match="server"):
        mail.send("reader@example.com", "a", "text")
