"""Forms with files stay in memory: no file on any disk ever holds what somebody sent."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from portal.kit import limits, web
from portal.kit.limits import door
from portal.kit.multipart import Sent, reading

_OPENED: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _OPENED is not None and event in {"open", "tempfile.mkstemp"}:
        mode = arguments[1] if event == "open" and len(arguments) > 1 else "w"
        if event == "tempfile.mkstemp" or (isinstance(mode, str) and any(sign in mode for sign in "wax+")):
            _OPENED.append(f"{event} {arguments[0]}")


sys.addaudithook(_watch)


@contextmanager
def opened() -> Iterator[list[str]]:
    """Files that are opened for writing meanwhile."""
    global _OPENED  # noqa: PLW0603  an audit hook cannot be taken out again
    _OPENED = []
    try:
        yield _OPENED
    finally:
        _OPENED = None


def application() -> TestClient:
    app = FastAPI()
    app.state.limiter = limits.limiter()
    router = limits.router()

    @router.post("/send")
    @door(who="anyone", limit="1000/minute", body_bytes=8_000_000)
    def send(request: Request, sent: Annotated[Sent, reading(files=3)]) -> dict[str, Any]:
        return {"fields": sent.fields, "files": [[one.name, len(one.data)] for one in sent.files], "repr": repr(sent)}

    app.include_router(router)
    web.add_error_handlers(app)
    return TestClient(app, raise_server_exceptions=False)


def test_large_files_are_read_without_touching_a_disk() -> None:
    client = application()
    files = [("photo", ("门口.jpg", b"\xff" * 3_000_000)), ("photo", ("b.jpg", b"x" * 2_000_000))]
    with opened() as written:
        answer = client.post("/send", data={"words": "看见"}, files=files).json()
    assert answer["fields"] == {"words": "看见"}
    assert answer["files"] == [["门口.jpg", 3_000_000], ["b.jpg", 2_000_000]]
    assert written == []
    assert "门口" not in answer["repr"]


def test_a_form_without_files_and_one_with_an_empty_file_field_are_forms_too() -> None:
    client = application()
    assert client.post("/send", data={"words": "看见"}).json()["fields"] == {"words": "看见"}
    assert client.post("/send", files={"photo": ("", b"")}).json()["files"] == []


def test_what_is_too_much_or_no_form_is_refused_with_a_sentence() -> None:
    client = application()
    many = [("photo", (f"{number}.jpg", b"x")) for number in range(4)]
    assert client.post("/send", files=many).status_code == 413
    assert client.post("/send", files={"photo": ("a.jpg", b"x" * 8_000_001)}).status_code == 413
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/send", content=b"--y nonsense", headers=broken).status_code == 400
    assert client.post("/send", content=b"", headers={"content-type": "multipart/form-data"}).status_code in {400, 422}
