"""Talking to a Meilisearch server: time-outs, refusals, tasks, and which index is the live one.

Neither the server's address nor the key is ever in what is raised or logged: a refusal says its code and no more.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import structlog
from meilisearch import Client
from meilisearch.errors import MeilisearchApiError, MeilisearchError, MeilisearchTimeoutError
from meilisearch.models.task import TaskInfo

from search.engine import EngineUnavailable, NoIndex
from search.meili.schema import SETTINGS, VERSION

log = structlog.get_logger()

Answer = dict[str, Any]

PAUSE_SECONDS = 3.0
"""After a failure nobody asks the server for so long: people wait for a time-out once, not with every letter."""
WORK_SECONDS = 60
"""How long a request of a job may take."""
TASK_SECONDS = 600.0
REBUILD_TASK_SECONDS = 3600.0
_LONGEST_WAIT = 0.5


class Refused(EngineUnavailable):
    """The server refused a request, or a task of it failed, for the reason that its own `code` names."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the search server refused: {code}")
        self.code = code

    @property
    def is_about_the_index(self) -> bool:
        """There is none, or it lacks the settings that it should have: its making was cut short."""
        return self.code == "index_not_found" or self.code.startswith("invalid_search_")


class MissingIndex(Refused, NoIndex):
    """There is no index yet, or it was made by another version."""


class Server:
    """One server, and the indexes that belong to this portal there: `{name}-v1`, and others beside it for a time."""

    def __init__(self, url: str, key: str, name: str, *, timeout: float, pause: float = PAUSE_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._pause = pause
        self._asked_again_from = 0.0
        self._clients = threading.local()
        self._name = name
        self.live = f"{name}-v{VERSION}"

    def ask(self, queries: Sequence[Answer]) -> list[Answer]:
        """Answers to searches of the live index, in one request. Raises MissingIndex and EngineUnavailable."""
        if not queries:
            return []
        if time.monotonic() < self._asked_again_from:
            raise EngineUnavailable("the search server failed a moment ago")
        try:
            with self._plainly():
                asked = [{"indexUid": self.live, **query} for query in queries]
                answers = self._client(self._timeout).multi_search(asked)["results"]
                if [answer["indexUid"] for answer in answers] != [self.live] * len(queries):
                    raise ValueError("answers to something else")
                if not all(isinstance(answer["estimatedTotalHits"], int) for answer in answers):
                    raise ValueError("no answers")
                return answers
        except EngineUnavailable as failure:
            if isinstance(failure, Refused) and failure.is_about_the_index:
                raise
            self._asked_again_from = time.monotonic() + self._pause
            log.warning("search.server_failed", reason=str(failure))
            raise

    def _client(self, timeout: float) -> Client:
        """A client for this thread alone: clients change their own headers from request to request."""
        clients: dict[float, Client] = self._clients.__dict__.setdefault("by_timeout", {})
        if timeout not in clients:
            clients[timeout] = Client(self._url, self._key or None, timeout=timeout)  # type: ignore[arg-type]
        return clients[timeout]

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turn whatever the client raises into what engines raise."""
        try:
            yield
        except MeilisearchApiError as error:
            code = error.code or f"http_{error.status_code}"
            raise (MissingIndex if code == "index_not_found" else Refused)(code) from None
        except MeilisearchTimeoutError:
            raise EngineUnavailable("the search server did not answer in time") from None
        except MeilisearchError:
            raise EngineUnavailable("the search server cannot be reached") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise EngineUnavailable("the search server answered nonsense") from None

    # For the side that writes; its key may do more.

    def wait(self, task: int, seconds: float = TASK_SECONDS) -> None:
        """Return when a task has succeeded. Raises Refused with its code when it failed."""
        deadline, pause = time.monotonic() + seconds, 0.005
        while True:
            with self._plainly():
                found = self._client(WORK_SECONDS).get_task(task)
            if found.status == "succeeded":
                return
            if found.status in {"failed", "canceled"}:
                code = str((found.error or {}).get("code", found.status))
                raise (MissingIndex if code == "index_not_found" else Refused)(code)
            if time.monotonic() > deadline:
                raise EngineUnavailable("a task of the search server takes too long")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT)

    def create(self, uid: str) -> None:
        """Make an index with its settings."""
        self._make(uid)
        with self._plainly():
            settled = self._client(WORK_SECONDS).index(uid).update_settings(dict(SETTINGS))
        self.wait(settled.task_uid)

    def _make(self, uid: str) -> None:
        with self._plainly():
            created = self._client(WORK_SECONDS).create_index(uid, {"primaryKey": "code"})
        try:
            self.wait(created.task_uid)
        except Refused as refusal:
            if refusal.code != "index_already_exists":
                raise

    def exists(self, uid: str) -> bool:
        try:
            self.born(uid)
        except MissingIndex:
            return False
        return True

    def born(self, uid: str) -> str:
        """When an index was made: another one of that name was made at another time. Raises MissingIndex."""
        with self._plainly():
            return str(self._client(WORK_SECONDS).get_raw_index(uid)["createdAt"])

    def add(self, uid: str, lines: bytes) -> int:
        """Send documents as NDJSON. Returns the task's number."""
        with self._plainly():
            return int(self._client(WORK_SECONDS).index(uid).add_documents_ndjson(lines).task_uid)

    def remove(self, uid: str, only: str) -> int:
        """Remove what a filter lets through. Returns the task's number."""
        with self._plainly():
            return int(self._client(WORK_SECONDS).index(uid).delete_documents(filter=only).task_uid)

    def beside(self) -> str:
        """A name for an index that grows beside the live one."""
        return f"{self.live}-new-{time.strftime('%Y%m%d%H%M%S')}-{token_hex(4)}"

    def swap(self, uid: str) -> None:
        """Make `uid` the live index, in one step; what was live takes its name."""
        if not self.exists(self.live):
            self._make(self.live)
        with self._plainly():
            task: TaskInfo = self._client(WORK_SECONDS).swap_indexes([{"indexes": [self.live, uid]}])
        self.wait(task.task_uid)

    def delete(self, uid: str) -> None:
        with self._plainly():
            task = self._client(WORK_SECONDS).delete_index(uid)
        try:
            self.wait(task.task_uid)
        except MissingIndex:
            return

    def clean(self) -> None:
        """Delete what killed rebuilds and other versions left."""
        ours = re.compile(rf"{re.escape(self._name)}-v\d+(-new-\d{{14}}-[0-9a-f]{{8}})?")
        with self._plainly():
            listed: Any = self._client(WORK_SECONDS).get_raw_indexes({"limit": 1000})
            found = [str(index["uid"]) for index in listed["results"]]
        for uid in found:
            if uid != self.live and ours.fullmatch(uid):
                self.delete(uid)
