"""A CKAN for tests, on loopback: its envelopes, statuses and habits as CKAN 2.11 has them, its state in memory."""

import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token-that-nobody-else-should-see"
LARGE = 64 * 2**20
Said = dict[str, Any]
WRITING = {"package_create", "package_patch", "package_delete", "resource_create", "resource_patch", "resource_delete"}


class Refusal(Exception):
    def __init__(self, status: int, error: Said) -> None:
        self.status, self.error = status, error


def invalid(**fields: Any) -> Refusal:
    return Refusal(409, {**fields, "__type": "Validation Error"})


def missing() -> Refusal:
    return Refusal(404, {"__type": "Not Found Error", "message": "Not found"})


class StandIn:
    """What it holds, what it was asked, and what it should do wrong."""

    def __init__(self) -> None:
        self.url = ""
        self.organisations = {"regulator": {"id": str(uuid.uuid4()), "name": "regulator", "title": "Regulator"}}
        self.packages: dict[str, Said] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, Said]] = []
        self.before: Callable[[str, Said], None] = lambda action, said: None
        self.answered: Callable[[str], None] = lambda action: None
        self.raw: list[tuple[int, bytes]] = []
        """Answers given instead, one a request."""
        self.drained = 0
        """Bytes of a body too large for a test to keep."""
        self._lock = threading.RLock()

    @property
    def writes(self) -> list[str]:
        return [action for action, _ in self.asked if action in WRITING]

    def named(self, name: str) -> Said:
        (found,) = [one for one in self.packages.values() if one["name"] == name]
        return found

    def shown(self) -> set[str]:
        return {one["name"] for one in self.packages.values() if one["state"] == "active"}

    def add_foreign(self, name: str, **said: Any) -> Said:
        owner = self.organisations["regulator"]["id"]
        one = {"id": str(uuid.uuid4()), "name": name, "owner_org": owner, "state": "active", "extras": [], "tags": [],
               "resources": [], **said}  # fmt: skip
        self.packages[one["id"]] = one
        return one

    def act(self, action: str, said: Said, file: tuple[str, bytes] | None, token: str | None) -> Any:
        with self._lock:
            self.asked.append((action, said))
        self.before(action, said)
        with self._lock:
            if action in WRITING and token != TOKEN:
                raise Refusal(403, {"__type": "Authorization Error", "message": "Access denied"})
            result = getattr(self, f"_{action}")(said, file) if file else getattr(self, f"_{action}")(said)
        self.answered(action)
        return result

    def _organization_show(self, said: Said) -> Said:
        for one in self.organisations.values():
            if said["id"] in (one["id"], one["name"]):
                return one
        raise missing()

    def _find(self, ref: str) -> Said:
        for one in self.packages.values():
            if ref in (one["id"], one["name"]):
                return one
        raise missing()

    def _package_show(self, said: Said) -> Said:
        return self._find(said["id"])

    def _package_search(self, said: Said) -> Said:
        name = said["fq"].partition(":")[2].strip('"')
        owner = self.organisations[name]["id"]
        found = [one for one in self.packages.values() if one["state"] == "active" and one["owner_org"] == owner]
        found.sort(key=lambda one: str(one["id"]))
        return {"count": len(found), "results": found[said["start"] : said["start"] + min(said["rows"], 2)]}

    def _package_create(self, said: Said) -> Said:
        if "id" in said:
            raise invalid(id=["The input field id was not expected."])
        if any(one["name"] == said["name"] for one in self.packages.values()):
            raise invalid(name=["That URL is already in use."])
        one = {"id": str(uuid.uuid4()), "state": "active", "resources": [], "tags": [], **said}
        self.packages[one["id"]] = one
        return one

    def _package_patch(self, said: Said) -> Said:
        one = self._find(said["id"])
        one.update({key: value for key, value in said.items() if key != "id"})
        return one

    def _package_delete(self, said: Said) -> None:
        self._find(said["id"])["state"] = "deleted"

    def _resource(self, id_: str) -> tuple[Said, Said]:
        for package in self.packages.values():
            for one in package["resources"]:
                if one["id"] == id_:
                    return package, one
        raise missing()

    def _resource_create(self, said: Said, file: tuple[str, bytes] | None = None) -> Said:
        package = self._find(said["package_id"])
        if any(one["id"] == said["id"] for each in self.packages.values() for one in each["resources"]):
            raise invalid(id=["Resource id already exists."])
        one = {"url_type": None, **said}
        package["resources"].append(one)
        return self._written(one, file)

    def _resource_patch(self, said: Said, file: tuple[str, bytes] | None = None) -> Said:
        _, one = self._resource(said["id"])
        one.update(said)
        if one.pop("clear_upload", False):
            self.files.pop(one["id"], None)
        return self._written(one, file)

    def _written(self, one: Said, file: tuple[str, bytes] | None) -> Said:
        one["format"] = {"PARQUET": "Parquet"}.get(one["format"], one["format"])
        one["hash"] = "written over by a loader"
        if file:
            one |= {"url_type": "upload", "url": f"{self.url}/download/{file[0]}", "size": len(file[1])}
            self.files[one["id"]] = file[1]
        return one

    def _resource_delete(self, said: Said) -> None:
        package, one = self._resource(said["id"])
        package["resources"].remove(one)


def _handler(ckan: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            if size > LARGE:
                while ckan.drained < size and (block := self.rfile.read(min(2**20, size - ckan.drained))):
                    ckan.drained += len(block)
                size = 0
            body = self.rfile.read(size)
            if ckan.drained:
                status, answer = 200, b'{"success": true, "result": {}}'
            elif ckan.raw:
                status, answer = ckan.raw.pop(0)
            else:
                status, answer = self._answer(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _answer(self, body: bytes) -> tuple[int, bytes]:
            said, file = self._said(body)
            action = self.path.removeprefix("/api/action/")
            try:
                result = ckan.act(action, said, file, self.headers["Authorization"])
            except Refusal as refusal:
                return refusal.status, json.dumps({"success": False, "error": refusal.error}).encode()
            return 200, json.dumps({"success": True, "result": result}).encode()

        def _said(self, body: bytes) -> tuple[Said, tuple[str, bytes] | None]:
            kind = self.headers["Content-Type"]
            if kind == "application/json":
                return json.loads(body), None
            form = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            said: Said = {}
            file = None
            for part in form.iter_parts():
                content = part.get_payload(decode=True)
                if part.get_filename():
                    file = (part.get_filename(), content)
                else:
                    said[part.get_param("name", header="content-disposition")] = content.decode()
            return said, file

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


@contextmanager
def standing(tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    ckan = StandIn()
    server = _Server(("127.0.0.1", 0), _handler(ckan))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    ckan.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield ckan
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
