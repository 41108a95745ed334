"""Looking for malware: whatever clamd does, a file is clean only when it says so."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db, jobs, scanner
from reporting import files, vault
from reporting.models import TipFile
from tests.conftest import free_port, use_settings
from tests.reporting.telling import photo, status, tell


class Clamd:
    """A daemon on loopback that speaks INSTREAM as ClamAV's does, and answers as it is told."""

    def __init__(self, address: str) -> None:
        self.answer: bytes | None = b"stream: OK\0"
        self.seen: list[bytes] = []
        if address.startswith("/"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(address)
        else:
            self._socket = socket.create_server(("127.0.0.1", int(address)))
        self._socket.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        command = reader.read(10)
        content = b""
        while size := struct.unpack("!L", reader.read(4))[0]:
            content += reader.read(size)
            if self.answer and b"size limit" in self.answer:
                break
        self.seen.append(command + content)
        if self.answer is not None:
            with suppress(OSError):
                connection.sendall(self.answer)

    def stop(self) -> None:
        self._socket.close()


@pytest.fixture(params=["unix", "tcp"])
def clamd(
    request: pytest.FixtureRequest, open_portal: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Clamd]:
    address = str(tmp_path / "clamd") if request.param == "unix" else str(free_port())
    made = Clamd(address)
    url = f"unix:{address}" if request.param == "unix" else f"tcp://127.0.0.1:{address}"
    use_settings(monkeypatch, clamd_url=url)
    yield made
    made.stop()


@pytest.fixture
def open_portal(embedded: Path) -> None:
    vault.ready()


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"stream: OK\0", "clean"),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", "infected"),
        (b"INSTREAM size limit exceeded. ERROR\0", "silent"),
        (b"UNKNOWN COMMAND\0", "silent"),
        (b"", "silent"),
        (None, "silent"),
        (b"stream: OK of something else\0", "silent"),
    ],
)
def test_only_a_clear_answer_counts(clamd: Clamd, answer: bytes | None, verdict: str) -> None:
    clamd.answer = answer
    assert scanner.scan(b"x" * 700_000) == verdict


def test_the_whole_file_arrives(clamd: Clamd) -> None:
    content = bytes(range(256)) * 3_000
    scanner.scan(content)
    assert clamd.seen == [b"zINSTREAM\0" + content]


def test_a_daemon_that_is_away_or_slow_is_silent(open_portal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, clamd_url=f"tcp://127.0.0.1:{free_port()}")
    assert scanner.scan(b"x") == "silent"
    use_settings(monkeypatch, clamd_url="unix:/nowhere/clamd")
    assert scanner.scan(b"x") == "silent"


@pytest.mark.usefixtures("unlimited")
def test_infected_files_and_those_nobody_could_look_at_go_to_quarantine_and_are_looked_at_again(
    clamd: Clamd, client: TestClient
) -> None:
    from tests.officers import add_officer, sign_in

    def states() -> list[str]:
        with db.reading() as session:
            return list(session.scalars(select(TipFile.state).order_by(TipFile.staged_at)))

    clamd.answer = b"stream: Win.Test.EICAR_HDB-1 FOUND\0"
    receipt = tell(client, files=[("a.jpg", photo())])
    jobs.drain()
    assert states() == ["quarantined"]
    sign_in(client, add_officer())
    number = status(client, receipt)["case_number"]
    assert "已隔离" in client.get(f"/desk/tips/{number}").text
    with db.reading() as session:
        file_id = session.scalars(select(TipFile.id)).one()
    assert client.get(f"/desk/tips/{number}/files/{file_id}").status_code == 403
    clamd.answer = b""
    tell(client, files=[("b.jpg", photo())])
    jobs.drain()
    assert states() == ["quarantined", "quarantined"]
    clamd.answer = b"stream: OK\0"
    assert files.scan_again() == 2
    jobs.drain()
    assert states() == ["clean", "clean"]
    assert client.get(f"/desk/tips/{number}/files/{file_id}").status_code == 200


@pytest.mark.usefixtures("unlimited")
def test_without_a_scanner_files_are_marked_as_not_looked_at(open_portal: None, client: TestClient) -> None:
    receipt = tell(client, files=[("a.jpg", photo())])
    jobs.drain()
    from tests.officers import add_officer, sign_in

    sign_in(client, add_officer())
    assert "未作病毒检查" in client.get(f"/desk/tips/{status(client, receipt)['case_number']}").text
