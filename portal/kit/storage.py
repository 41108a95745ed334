"""Files that the portal keeps beside its database: a folder of its own, or S3-compatible object storage.

    storage.put("tips/…/original", sealed)
    storage.get("tips/…/original")

Keys are made by the portal, never by what somebody sent. Which store it is, `PORTAL_STORAGE_URL` says; `at` names
another one (`s3://bucket/folder`), for backups.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

_BLOCK = 1 * 2**20
REQUEST_SECONDS = "30s"
RETRIES = 3
PUBLIC = ("opendata/", "deltas/")
"""What may be fetched past the portal begins so."""
SIGNED_FOR = timedelta(minutes=5)
LOOKED_AT_EVERY = 5.0
LOOK_SECONDS = "2s"


class StorageAway(PortalError):
    status = 503
    slug = "storage-away"
    title = "Files cannot be kept or read just now."
    remedy = "Try again in a minute. What was kept before is not lost."


class ObjectMissing(PortalError):
    status = 404
    slug = "object-missing"
    title = "This file is no longer there."
    remedy = "It was removed when its time was over, or its store lost it; the case says which."


@lru_cache(maxsize=4)
def _elsewhere(url: str, timeout: str, retries: int) -> ObjectStore:
    options: Any = {"timeout": timeout, "allow_http": get_settings().storage_allow_http}
    return from_url(url, client_options=options, retry_config={"max_retries": retries})


@lru_cache(maxsize=4)
def _here(folder: Path) -> ObjectStore:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


def _folder() -> Path:
    return get_settings().data_dir.absolute() / "files"


def _open(at: str = "") -> ObjectStore:
    url = at or get_settings().storage_url
    return _elsewhere(url, REQUEST_SECONDS, RETRIES) if url else _here(_folder())


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotFoundError) as error:
        raise ObjectMissing from error
    except BaseError as error:
        raise StorageAway from error


def is_elsewhere() -> bool:
    """Whether files are kept in object storage, and not in the data folder."""
    return bool(get_settings().storage_url)


def put(key: str, data: bytes, *, at: str = "") -> None:
    """Keep an object, whole or not at all, in place of what was there. Raises StorageAway."""
    with _refusing():
        obstore.put(_open(at), key, data)
    if not at and not is_elsewhere():
        _make_lasting(_folder() / key)


def _make_lasting(path: Path) -> None:
    """Not even a power cut takes what was acknowledged."""
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def put_file(key: str, path: Path, *, served_as: Mapping[str, str] | None = None, at: str = "") -> None:
    """Keep a file of any size, whole or not at all; it is read in parts. Raises StorageAway.

    `served_as`: headers that object storage sends with it where it is asked directly, such as Content-Type.
    """
    elsewhere = bool(at) or is_elsewhere()
    attributes: Any = dict(served_as) if served_as and elsewhere else None
    with _refusing(), path.open("rb") as file:
        obstore.put(_open(at), key, file, attributes=attributes)
    if not elsewhere:
        _make_lasting(_folder() / key)


def fetch(key: str, path: Path, *, at: str = "") -> None:
    """Write an object to a file, in parts. Raises ObjectMissing, StorageAway."""
    with _refusing():
        parts = obstore.get(_open(at), key).stream()
        with path.open("wb") as file:
            for part in parts:
                file.write(part)


def stream(key: str) -> Iterator[bytes]:
    """The object in parts, for an answer that need not hold it. Raises ObjectMissing, StorageAway."""
    with _refusing():
        parts = obstore.get(_open(), key).stream()
    return (bytes(part) for part in parts)


def get(key: str, *, at: str = "") -> bytes:
    """The object. Raises ObjectMissing, StorageAway."""
    with _refusing():
        return bytes(obstore.get(_open(at), key).bytes())


def delete(keys: Sequence[str]) -> None:
    """Remove objects; those that are not there are gone already. Raises StorageAway."""
    for key in keys:
        with suppress(ObjectMissing), _refusing():
            obstore.delete(_open(), key)


def dated(prefix: str = "", *, at: str = "") -> Iterator[tuple[str, datetime]]:
    """The keys below a prefix with when each was last written, read as they are needed. Raises StorageAway."""
    with _refusing():
        for part in obstore.list(_open(at), prefix or None):
            yield from ((str(one["path"]), one["last_modified"]) for one in part)


def keys(prefix: str = "", *, at: str = "") -> Iterator[str]:
    """The keys below a prefix, read as they are needed. Raises StorageAway."""
    return (key for key, _ in dated(prefix, at=at))


def stream_range(key: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes `start` to before `end` of an object, in parts. Raises ObjectMissing, StorageAway."""
    with _refusing():
        for at in range(start, end, _BLOCK):
            yield bytes(obstore.get_range(_open(), key, start=at, end=min(at + _BLOCK, end)))


def is_served_elsewhere() -> bool:
    """Whether public objects can be fetched without this process."""
    settings = get_settings()
    return bool(settings.files_url) or (settings.storage_signed_urls and settings.storage_url.startswith("s3:"))


def address(key: str) -> str | None:
    """Where anybody can fetch a public object without this process: at the CDN, or signed for SIGNED_FOR.

    None: nowhere, this process hands it out. For open data alone: whatever else is kept is sealed, or somebody's own.
    """
    settings = get_settings()
    if not key.startswith(PUBLIC):
        raise ValueError(f"{key} is not public")
    if settings.files_url:
        return f"{settings.files_url}/{key}"
    if is_served_elsewhere():
        with _refusing():
            return str(obstore.sign(cast(S3Store, _open()), "GET", key, SIGNED_FOR))
    return None


# ---- whether it is there --------------------------------------------------------------------------------------------


class _Seen:
    """What was found last, for all threads."""

    lock = threading.Lock()
    of = ""
    until = float("-inf")
    away = False


def is_away() -> bool:
    """Whether object storage does not answer; looked at every LOOKED_AT_EVERY seconds at most."""
    url = get_settings().storage_url
    if not url:
        return False
    with _Seen.lock:
        if time.monotonic() >= _Seen.until or _Seen.of != url:
            try:
                # Whoever may not list is refused what is not there: that is an answer, too.
                with suppress(ObjectMissing), _refusing(), suppress(PermissionDeniedError):
                    obstore.head(_elsewhere(url, LOOK_SECONDS, 0), "is-anybody-there")
                _Seen.away = False
            except StorageAway:
                _Seen.away = True
            _Seen.of, _Seen.until = url, time.monotonic() + LOOKED_AT_EVERY
        return _Seen.away
