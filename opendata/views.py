"""Public pages of open data: the data sets, each with a preview, a picture, its columns, downloads and examples."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from sqlalchemy.orm import Session

from opendata import catalog, datastore, descriptors, examples, files, schema_org, snapshots
from opendata.files import File
from opendata.models import Snapshot
from opendata.snapshots import Manifest
from portal.kit import datasets, db, errors, i18n, keys, limits, web
from portal.kit.area import Freshness
from portal.kit.datasets import DataSet
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import ledger, withdrawn

router = limits.router(include_in_schema=False, dependencies=[keys.IF_SENT])

Name = Annotated[str, Path(pattern=r"^[a-z][a-z-]{1,39}$")]
PartName = Annotated[str, Path(pattern=r"^[a-z0-9]{1,20}$")]
WITHDRAWN_AT_ONCE = 5_000


class NotMadeYet(PortalError):
    status = 503
    slug = "snapshot-missing"
    title = "The files of this data set are not written yet."
    remedy = "Try again in a few minutes. Whoever runs the portal can write them at once: portal snapshot."


def current(session: Session, name: str) -> tuple[DataSet, Snapshot, Manifest]:
    """A data set with its snapshot. Raises NotFound, NotMadeYet."""
    data_set, found = catalog.shown_one(session, name)
    if found is None:
        raise NotMadeYet
    return data_set, *found


@router.get("/data")
@door(who="anyone", limit="300/minute")
def catalogue(request: Request, session: web.ReadingSession) -> Response:
    """All data sets."""
    listed = catalog.shown(session)
    return web.page(request, "opendata/catalogue.html", listed=listed, for_machines=schema_org.data_catalogue(listed))


@router.get("/data/withdrawn.csv")
@door(who="anyone", limit="120/minute")
def withdrawn_list(request: Request, after: int = -1) -> Response:
    """Every entry that must not be used any longer, oldest first; `after`: behind that number of the ledger."""
    kinds = {one.kind: one.name for one in datasets.offered().values() if one.kind}

    def lines() -> Iterator[str]:
        yield "seq,id,data_set,withdrawn_on\n"
        at = after
        while True:
            with db.reading() as session:
                size = ledger.size(session)
                found = withdrawn.list_since(session, list(kinds), after=at, limit=WITHDRAWN_AT_ONCE)
            for seq, id_, kind, day in found:
                yield f"{seq},{id_},{kinds[kind]},{day}\n"
            if len(found) < WITHDRAWN_AT_ONCE or at >= size:
                return
            at = found[-1][0]

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get("/data/{name}.csv.gz")
@door(who="anyone", limit="60/minute")
def packed(request: Request, name: Name) -> Response:
    """The whole data set as packed CSV."""
    with db.reading() as session:
        _, snapshot, manifest = current(session, name)
    return serve(request, files.whole(manifest, "csv.gz"), f"{name}.csv.gz", snapshot.seq)


@router.get("/data/{name}.{form}")
@door(who="anyone", limit="60/minute")
def download(request: Request, name: Name, form: Literal["csv", "jsonl", "parquet", "xlsx"]) -> Response:
    """The whole data set in one file, from any byte on; as Parquet where it has one part, as XLSX where it is small."""
    with db.reading() as session:
        _, snapshot, manifest = current(session, name)
    found = files.of(manifest, form)
    if found is None:
        raise errors.NotFound
    return serve(request, found, f"{name}.{form}", snapshot.seq)


@router.get("/data/{name}/parts/{part}.csv.gz")
@door(who="anyone", limit="300/minute")
def packed_part(request: Request, name: Name, part: PartName) -> Response:
    """One part as packed CSV, without titles."""
    return _part(request, name, part, "csv.gz")


@router.get("/data/{name}/parts/{part}.{form}")
@door(who="anyone", limit="300/minute")
def part(
    request: Request,
    name: Name,
    part: PartName,
    form: Literal["csv", "jsonl", "parquet"],
) -> Response:
    """One part of a data set's rows; CSV without titles."""
    return _part(request, name, part, form)


def _part(request: Request, name: str, part: str, form: str) -> Response:
    with db.reading() as session:
        _, snapshot, manifest = current(session, name)
    found = files.part(manifest, part, form)
    if found is None:
        raise errors.NotFound
    return serve(request, found, f"{name}-{part}.{form}", snapshot.seq)


def serve(request: Request, file: File, name: str, seq: int) -> Response:
    """A file with its validators; nothing where the caller has it already, a part where one is asked for.

    Where a CDN or the store hands it out, the caller is sent there.

    `seq`: the last entry of the ledger that it knows.
    """
    headers = {
        "ETag": file.etag,
        "Accept-Ranges": "bytes",
        "Repr-Digest": file.digest,
        "Cache-Control": "public, no-cache",
        "X-Ledger-Seq": str(seq),
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if address := file.address:
        return RedirectResponse(address, 307, {"Cache-Control": "no-cache", "X-Ledger-Seq": str(seq)})
    asked = request.headers.get("range")
    if request.headers.get("if-range") not in (None, file.etag):
        asked = None
    wanted = files.asked_range(asked, file.size)
    if wanted is None:
        headers |= {"Content-Length": str(file.size), "Content-Digest": file.digest}
        return StreamingResponse(_begun(file.stream()), media_type=file.media_type, headers=headers)
    start, end = wanted
    headers |= {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{file.size}"}
    parts = _begun(file.stream(start, end))
    return StreamingResponse(parts, status_code=206, media_type=file.media_type, headers=headers)


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same parts, titles and the first rows read: a store that is away is told, and not by a broken answer."""
    return chain(list(islice(parts, 2)), parts)


@router.get("/data/{name}/datapackage.json")
@door(who="anyone", limit="120/minute")
def datapackage(request: Request, session: web.ReadingSession, name: Name) -> Response:
    """The data set described for programs (Data Package 2.0)."""
    return JSONResponse(descriptors.package(*current(session, name)))


@router.get("/data/{name}")
@door(who="anyone", limit="300/minute")
def data_set(request: Request, session: web.ReadingSession, name: Name) -> Response:
    """One data set for people."""
    found, made = catalog.shown_one(session, name)
    values: dict[str, Any] = {
        "data_set": found, "snapshot": None, "manifest": None, "preview": [], "shares": [],
        "for_machines": schema_org.data_set(found, made),
    }  # fmt: skip
    if made:
        snapshot, manifest = made
        values |= {
            "snapshot": snapshot, "manifest": manifest, "preview": datastore.preview(found, limit=8),
            "shares": datastore.shares(found, i18n.current()), "downloads": descriptors.downloads(manifest),
            "examples": examples.of(found),
        }  # fmt: skip
    return web.page(request, "opendata/dataset.html", **values)


def freshness(session: Session) -> Sequence[Freshness]:
    """How fresh files and tables are."""
    rhythm = i18n.gettext("Every night; what is withdrawn within minutes")
    return (Freshness(i18n.gettext("Files and tables"), snapshots.last_made(session), rhythm),)
