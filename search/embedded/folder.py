"""Where the index lives, who may write it, and how readers keep up. Nothing here knows what is in it.

    search/current       one line: the name of the live index's folder; replaced in one step
    search/v1-…/         an index; another beside it while a rebuild runs, or after one was killed
    search/*.lock        held through flock, which a killed process gives back

A folder may be removed while other processes read it: they hold its files mapped, and move on at the next search.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import tantivy

from search.embedded import schema
from search.engine import EngineUnavailable

LOCK_SECONDS = 60.0
_POINTER = "current"
_PREFIX = f"v{schema.VERSION}-"

Stamp = tuple[int, int, int]


class Folder:
    """One engine's folder of indexes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def live(self) -> Path | None:
        """The live index's folder; None before the first one, or when it was made by another version."""
        try:
            name = (self.root / _POINTER).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return self.root / name if name.startswith(_PREFIX) else None

    def new(self) -> Path:
        """A fresh empty folder that nobody reads yet."""
        path = self.root / f"{_PREFIX}{time.strftime('%Y%m%d%H%M%S')}-{token_hex(4)}"
        path.mkdir(parents=True)
        return path

    def switch(self, path: Path) -> None:
        """Make `path` the live index, for good: the pointer is on the disk when this returns."""
        beside = self.root / f"{_POINTER}.{token_hex(4)}"
        with beside.open("w", encoding="ascii") as file:
            file.write(path.name + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.root / _POINTER)
        directory = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def clean(self) -> None:
        """Remove what killed rebuilds and earlier switches left. Only under both locks."""
        live = self.live()
        for path in self.root.iterdir():
            if path.is_dir() and path != live:
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith(f"{_POINTER}."):
                path.unlink(missing_ok=True)

    @contextmanager
    def locked(self, name: str, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold one lock among all threads and processes; EngineUnavailable when it is not free in time."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f"{name}.lock").open("a") as file:
            deadline = time.monotonic() + seconds
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise EngineUnavailable(f"{name} is locked") from None
                    time.sleep(0.01)
            yield


@contextmanager
def writing(path: Path, memory: int, *, threads: int = 1) -> Iterator[tantivy.IndexWriter]:
    """A writer for the index in `path`, which is made when there is none. Commits at the end, or nothing at all.

    Merges are waited for: a writer that is dropped gives them up, and segments would pile up.
    """
    index = tantivy.Index(schema.SCHEMA, str(path))
    schema.register(index)
    writer = index.writer(memory, threads)
    try:
        yield writer
        writer.commit()
    except BaseException:
        writer.rollback()
        raise
    finally:
        writer.wait_merging_threads()


class Reader:
    """The live index as this process sees it: reopened after a switch, reloaded after a commit.

    Two stats a search tell; nothing watches in the background.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._index: tantivy.Index | None = None
        self._seen: tuple[Stamp | None, Stamp | None] = (None, None)
        self._searcher: tantivy.Searcher | None = None

    def searcher(self) -> tantivy.Searcher | None:
        """A searcher over the newest commit; None while there is no index."""
        if self._state() != self._seen:
            with self._lock:
                self._refresh()
        return self._searcher

    def _state(self) -> tuple[Stamp | None, Stamp | None]:
        meta = _stamp(self._path / "meta.json") if self._path else None
        return _stamp(self._folder.root / _POINTER), meta

    def _refresh(self) -> None:
        for attempt in range(5):
            pointer = _stamp(self._folder.root / _POINTER)
            path = self._folder.live()
            if path is None:
                self._path = self._index = self._searcher = None
                self._seen = (pointer, None)
                return
            meta = _stamp(path / "meta.json")
            if (pointer, meta) == self._seen:
                return
            try:
                if path != self._path or self._index is None or meta is None:
                    self._index = _existing(path)
                self._index.reload()
                self._searcher = self._index.searcher()
            except (ValueError, OSError):
                # The folder was removed, or a merge took a file away, between two looks: look again.
                self._index = None
                time.sleep(0.02 * attempt)
                continue
            self._path, self._seen = path, (pointer, meta)
            return
        raise EngineUnavailable("the index cannot be opened")


def _existing(path: Path) -> tantivy.Index:
    index = tantivy.Index.open(str(path))
    schema.register(index)
    index.config_reader("manual", 0)
    return index


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
