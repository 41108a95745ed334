"""CKAN's Action API on the wire: `/api/3/action/{name}`, `/api/action/{name}`, and the dump of a table."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any
from xml.sax.saxutils import escape

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from opendata import actions
from opendata.actions import ACTIONS, ActionError
from portal.kit import db, keys, limits
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.settings import get_settings


def _with_a_key(request: Request) -> None:
    """CKAN's clients send a key as it is, in either of two headers. Another portal's key is no reason to refuse."""
    for header in ("authorization", "x-ckan-api-key"):
        sent = request.headers.get(header, "").removeprefix("Bearer ").strip()
        if sent.startswith(keys.BEGINS):
            try:
                keys.recognise(request, sent)
            except PortalError as refusal:
                request.state.key_refused = refusal
            return


router = limits.router(include_in_schema=False, dependencies=[Depends(_with_a_key)])

BODY_BYTES = 1_000_000
DUMP_AT_ONCE = 10_000
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,60}")
_OPEN = {"Access-Control-Allow-Origin": "*"}


@router.get("/api")
@router.get("/api/3")
@door(who="anyone", limit="600/minute")
def version(request: Request) -> Response:
    return _json({"version": 3}, 200)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.get("/api/action/{name}")
@router.get("/api/3/action/{name}")
@door(who="anyone", limit="600/minute")
def asked_for(request: Request, name: str) -> Response:
    """An action with its arguments in the address; a repeated name is a list."""
    said: dict[str, Any] = {}
    for key in request.query_params:
        values = request.query_params.getlist(key)
        said[key] = values if len(values) > 1 else values[0]
    return _answer(request, name, said)


@router.post("/api/action/{name}")
@router.post("/api/3/action/{name}")
@door(who="anyone", limit="600/minute", body_bytes=BODY_BYTES)
def posted(request: Request, name: str, body: Annotated[bytes, Depends(_body)]) -> Response:
    """An action with its arguments as a JSON object."""
    try:
        said = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        return _json("Bad request - JSON Error: Error decoding JSON data.", 400)
    if not isinstance(said, dict):
        return _json("Bad request - JSON Error: Request data JSON decoded to something that is no dictionary", 400)
    return _answer(request, name, said)


def _answer(request: Request, name: str, said: dict[str, Any]) -> Response:
    action = ACTIONS.get(name)
    if action is None:
        return _json(f"Bad request - Action name not known: {name[:100]}", 400)
    help_ = f"{get_settings().base_url.rstrip('/')}/api/3/action/help_show?name={name}"
    try:
        _refuse_a_wrong_key(request)
        with db.reading() as session:
            result = action(session, said)
    except ActionError as error:
        return _json({"help": help_, "success": False, "error": error.error}, error.status)
    except PortalError as error:
        said_why = {"message": f"{error.title} {error.remedy}", "__type": "Internal Server Error"}
        return _json({"help": help_, "success": False, "error": said_why}, error.status)
    return _json({"help": help_, "success": True, "result": result}, 200, request.query_params.get("callback"))


def _refuse_a_wrong_key(request: Request) -> None:
    refusal = getattr(request.state, "key_refused", None)
    if refusal is not None:
        raise actions.denied(f"{refusal.title} {refusal.remedy}")


def _json(content: Any, status: int, callback: str | None = None) -> Response:
    text = to_json(content)
    if callback and _CALLBACK.fullmatch(callback):
        return Response(f"/**/{callback}({text.decode()});", status, _OPEN, "application/javascript; charset=utf-8")
    return Response(text, status, _OPEN, "application/json; charset=utf-8")


# ---- dumps ----------------------------------------------------------------------------------------------------------

_MEDIA = {"csv": "text/csv; charset=utf-8", "tsv": "text/tab-separated-values; charset=utf-8",
          "json": "application/json; charset=utf-8", "xml": "text/xml; charset=utf-8"}  # fmt: skip


@router.get("/datastore/dump/{resource_id}")
@door(who="anyone", limit="60/minute")
def dump(request: Request, resource_id: str) -> Response:
    """All rows of a table, or those that filters leave, in one stream. format, bom, filters, q, fields, limit."""
    said: dict[str, Any] = {**dict(request.query_params), "resource_id": resource_id}
    form = str(said.get("format", "csv"))
    said.pop("format", None)
    try:
        if form not in _MEDIA:
            raise actions.invalid(format="Must be csv, tsv, json or xml")
        _refuse_a_wrong_key(request)
        with db.reading() as session:
            pages = actions.pages_of(session, said, DUMP_AT_ONCE)
            first = next(pages)
    except ActionError as error:
        return _json({"success": False, "error": error.error}, error.status)
    mark = b"\xef\xbb\xbf" if str(said.get("bom", "")).lower() in {"true", "1"} else b""
    headers = {**_OPEN, "Content-Disposition": f'attachment; filename="{resource_id[:40]}.{form}"'}
    return StreamingResponse(_written(form, mark, first, pages), media_type=_MEDIA[form], headers=headers)


def _written(form: str, mark: bytes, first: Any, pages: Iterator[Any]) -> Iterator[bytes]:
    """`first`: the names of the columns; then pages of rows."""
    names = list(first)
    yield mark
    if form in {"csv", "tsv"}:
        yield _separated([names], form)
        for rows in pages:
            yield _separated(rows, form)
        return
    if form == "json":
        yield f'{{"fields": {json.dumps([{"id": name} for name in names])}, "records": ['.encode()
        between = ""
        for rows in pages:
            text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
            if text:
                yield f"{between}{text}".encode()
                between = ",\n"
        yield b"]}\n"
        return
    yield b'<data xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
    for rows in pages:
        yield "".join(_row_in_xml(names, row) for row in rows).encode()
    yield b"</data>\n"


def _separated(rows: Any, form: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if form == "tsv" else ",", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _row_in_xml(names: list[str], row: list[Any]) -> str:
    cells = "".join(
        f"<{name}>{escape(str(value))}</{name}>" if value is not None else f'<{name} xsi:nil="true"/>'
        for name, value in zip(names[1:], row[1:], strict=True)
    )
    return f'<row _id="{row[0]}">{cells}</row>\n'
