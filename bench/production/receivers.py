"""Platforms that take deliveries on loopback: one always does, one is made to hang for a while."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HUNG_SECONDS = 20.0
"""Longer than the portal waits for an answer."""


class Receiver:
    """One platform. Keeps the id of every event in the order of arrival."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hangs = threading.Event()
        self.events: list[tuple[int, str]] = []
        """Sequence and id of each event that was taken."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.hangs.is_set():
                    threading.Event().wait(HUNG_SECONDS)
                    self.close_connection = True
                    return
                receiver.events.append((int(event["sequence"]), event["id"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def repeated(self) -> int:
        """Events that came again, as their ids tell: the portal was stopped between the delivery and its note."""
        return len(self.events) - len({id_ for _, id_ in self.events})

    @property
    def in_order(self) -> bool:
        """Whether no event came before an earlier one had come."""
        furthest = -1
        seen: set[str] = set()
        for sequence, id_ in self.events:
            if id_ not in seen and sequence < furthest:
                return False
            furthest = max(furthest, sequence)
            seen.add(id_)
        return True

    def stop(self) -> None:
        self._server.shutdown()
