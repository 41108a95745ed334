"""Looking for malware: ClamAV's daemon (clamd), by its INSTREAM command.

    if scanner.scan(content) != "clean": …       # "infected", or "silent": it could not answer

Where none is set up (`PORTAL_CLAMD_URL`), `is_configured` says so, and nobody asks.
"""

import socket
import struct
from contextlib import closing
from typing import Literal
from urllib.parse import urlsplit

import structlog

from portal.kit.settings import get_settings

Verdict = Literal["clean", "infected", "silent"]
SECONDS = 60.0
CHUNK = 1 << 18

log = structlog.get_logger()


def is_configured() -> bool:
    """Whether there is a scanner to ask."""
    return bool(get_settings().clamd_url)


def scan(content: bytes) -> Verdict:
    """What clamd says. `silent`: no clear answer, for it was too large, or clamd too slow, away, or not understood."""
    try:
        with closing(_connected()) as connection:
            connection.sendall(b"zINSTREAM\0")
            for start in range(0, len(content), CHUNK):
                part = content[start : start + CHUNK]
                connection.sendall(struct.pack("!L", len(part)) + part)
            connection.sendall(struct.pack("!L", 0))
            answer = _answer(connection)
    except OSError as error:
        log.warning("scanner.silent", error=type(error).__name__)
        return "silent"
    if answer == b"stream: OK":
        return "clean"
    if answer.startswith(b"stream: ") and answer.endswith(b" FOUND"):
        return "infected"
    log.warning("scanner.not_understood")
    return "silent"


def _connected() -> socket.socket:
    address = urlsplit(get_settings().clamd_url)
    if address.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)
        try:
            connection.connect(address.path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((address.hostname or "127.0.0.1", address.port or 3310), timeout=SECONDS)


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"\0") and len(answer) < 4_096:
        part = connection.recv(4_096)
        if not part:
            break
        answer += part
    return answer.rstrip(b"\0").strip()
