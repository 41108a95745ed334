"""Files that the portal keeps beside its database: a folder of its own, or S3-compatible object storage.

    storage.put("tips/…/original", sealed)
    storage.get("tips/…/original")

Keys are made by the portal, never by what somebody sent. Which store it is, `PORTAL_STORAGE_URL` says.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

_BLOCK = 1 * 2**20
REQUEST_SECONDS = "30s"
RETRIES = 3


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
def _store(url: str, allow_http: bool, folder: Path) -> ObjectStore:
    if url:
        return from_url(
            url,
            client_options={"timeout": REQUEST_SECONDS, "allow_http": allow_http},
            retry_config={"max_retries": RETRIES},
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


def _folder() -> Path:
    return get_settings().data_dir.absolute() / "files"


def _current() -> ObjectStore:
    settings = get_settings()
    return _store(settings.storage_url, settings.storage_allow_http, _folder())


def put(key: str, data: bytes) -> None:
    """Keep an object, whole or not at all, in place of what was there. Raises StorageAway."""
    try:
        obstore.put(_current(), key, data)
    except BaseError as error:
        raise StorageAway from error
    if not get_settings().storage_url:
        _make_lasting(_folder() / key)


def _make_lasting(path: Path) -> None:
    """Not even a power cut takes what was acknowledged."""
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def put_file(key: str, path: Path) -> None:
    """Keep a file of any size, whole or not at all; it is read in parts. Raises StorageAway."""
    try:
        with path.open("rb") as file:
            obstore.put(_current(), key, file)
    except BaseError as error:
        raise StorageAway from error
    if not get_settings().storage_url:
        _make_lasting(_folder() / key)


def fetch(key: str, path: Path) -> None:
    """Write an object to a file, in parts. Raises ObjectMissing, StorageAway."""
    try:
        with path.open("wb") as file:
            for part in obstore.get(_current(), key).stream():
                file.write(part)
    except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
        raise ObjectMissing from error
    except BaseError as error:
        raise StorageAway from error


def stream(key: str) -> Iterator[bytes]:
    """The object in parts, for an answer that need not hold it. Raises ObjectMissing, StorageAway."""
    try:
        parts = obstore.get(_current(), key).stream()
    except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
        raise ObjectMissing from error
    except BaseError as error:
        raise StorageAway from error
    return (bytes(part) for part in parts)


def get(key: str) -> bytes:
    """The object. Raises ObjectMissing, StorageAway."""
    try:
        return bytes(obstore.get(_current(), key).bytes())
    except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
        raise ObjectMissing from error
    except BaseError as error:
        raise StorageAway from error


def delete(keys: Sequence[str]) -> None:
    """Remove objects; those that are not there are gone already. Raises StorageAway."""
    for key in keys:
        try:
            obstore.delete(_current(), key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            continue
        except BaseError as error:
            raise StorageAway from error


def dated(prefix: str) -> Iterator[tuple[str, datetime]]:
    """The keys below a prefix with when each was last written."""
    for part in obstore.list(_current(), prefix):
        yield from ((str(one["path"]), one["last_modified"]) for one in part)


def stream_range(key: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes `start` to before `end` of an object, in parts. Raises ObjectMissing, StorageAway."""
    try:
        for at in range(start, end, _BLOCK):
            yield bytes(obstore.get_range(_current(), key, start=at, end=min(at + _BLOCK, end)))
    except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
        raise ObjectMissing from error
    except BaseError as error:
        raise StorageAway from error


def keys(prefix: str) -> Iterator[str]:
    """The keys below a prefix, read as they are needed."""
    for part in obstore.list(_current(), prefix):
        yield from (str(one["path"]) for one in part)
