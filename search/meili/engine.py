"""The engine over a Meilisearch server: what the portal calls, and how an index is filled, changed and replaced."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from record.names import fold
from search import query as typed
from search.documents import EntityDocument
from search.engine import MAX_HITS, EngineUnavailable, Filling, Filters, Page
from search.meili import asking, schema
from search.meili.asking import Known
from search.meili.searching import Search, likeliest, list_all
from search.meili.server import PAUSE_SECONDS, REBUILD_TASK_SECONDS, Refused, Server

_BATCH_BYTES = 8_000_000
"""The server takes 100 MB at a time; a batch of this size is on the way while the one before is indexed."""
_BATCH_DOCUMENTS = 10_000
_AHEAD = 3
_NAMES_AT_ONCE = 100
_REQUESTS_AT_ONCE = 10


class MeiliEngine:
    """A SearchEngine over a server. `index` tells this portal's indexes apart from others on the same server."""

    def __init__(self, url: str, key: str, *, index: str, timeout: float, pause: float = PAUSE_SECONDS) -> None:
        self._server = Server(url, key, index, timeout=timeout, pause=pause)
        self._known: Known = {}

    def search(self, text: str, filters: Filters, *, limit: int, offset: int = 0) -> Page:
        asked = typed.read(text)
        limit = max(0, min(limit, MAX_HITS - offset))
        if asked.everything:
            return list_all(self._server.ask, filters, limit, offset)
        return Search(self._server.ask, asked, filters, self._known).page(limit, offset)

    def suggest(self, text: str, *, limit: int) -> list[str]:
        try:
            asked = typed.read(text)
        except typed.Refused:
            return []
        if asked.everything or limit < 1:
            return []
        return likeliest(self._server.ask, asked, self._known, limit)

    def exact(self, names: Sequence[str]) -> dict[str, list[str]]:
        folded = {name: fold(name) for name in names}
        wanted = sorted({key for key in folded.values() if key})
        found: dict[str, list[str]] = {}
        batches = [wanted[start : start + _NAMES_AT_ONCE] for start in range(0, len(wanted), _NAMES_AT_ONCE)]
        for start in range(0, len(batches), _REQUESTS_AT_ONCE):
            self._add_exact(batches[start : start + _REQUESTS_AT_ONCE], found)
        return {name: found.get(key, []) for name, key in folded.items()}

    def _add_exact(self, batches: Sequence[Sequence[str]], found: dict[str, list[str]]) -> None:
        clauses = [asking.of_clause(tuple(("name", name) for name in batch)) for batch in batches]
        answers = self._server.ask([asking.cards_asked(only, Filters(), MAX_HITS) for only in clauses])
        for batch, answer in zip(batches, answers, strict=True):
            wanted, cards = set(batch), asking.cards(answer)
            for position in range(max((len(card.names) for card in cards), default=0)):
                for card in cards:
                    name = card.names[position] if position < len(card.names) else ""
                    if name in wanted and card.code not in found.setdefault(name, []):
                        found[name].append(card.code)

    def write(self, documents: Iterable[EntityDocument], removed: Collection[str] = ()) -> None:
        lines = [schema.line(document) for document in {one.code: one for one in documents}.values()]
        server = self._server
        if not server.exists(server.live):
            server.create(server.live)
        if removed:
            gone = ", ".join(f'"{schema.plain(code)}"' for code in removed)
            server.wait(server.remove(server.live, f"code IN [{gone}]"))
        for batch in _batches(lines):
            server.wait(server.add(server.live, batch))

    def rebuild(self, documents: Iterable[EntityDocument]) -> int:
        number = 0
        with self.filling() as filling:
            for document in documents:
                filling.add([filling.prepare(document)])
                number += 1
        return number

    @contextmanager
    def filling(self) -> Iterator[Filling]:
        server = self._server
        server.clean()
        uid = server.beside()
        server.create(uid)
        filling = _Filling(server, uid)
        try:
            yield filling
            filling.finish()
        except BaseException:
            _forget(server, uid)
            raise
        server.swap(uid)
        server.delete(uid)
        self._known.clear()

    def warm(self) -> None:
        """Read the tables of pinyin and places, which the first query would wait half a second for."""
        schema.line(EntityDocument("0" * 18, "上海行（上海）公司", address="上海市黄浦区河南南路1号"))
        try:
            self.search("上海黄浦鑫诺贸易公司", Filters(), limit=1)
        except EngineUnavailable:
            return

    def count(self) -> int:
        try:
            return asking.counted(self._server.ask(asking.counts_asked("", Filters())), Filters())[0]
        except Refused as refusal:
            if not refusal.is_about_the_index:
                raise
            return 0


class _Filling:
    """A Filling over an index that nobody reads yet."""

    prepare = staticmethod(schema.line)

    def __init__(self, server: Server, uid: str) -> None:
        self._server = server
        self._uid = uid
        self._tasks: deque[int] = deque()
        self._lines: list[str] = []
        self._bytes = 0
        self._born = server.born(uid)

    def add(self, prepared: Iterable[Any]) -> None:
        for line in prepared:
            self._lines.append(line)
            self._bytes += 3 * len(line)
            if self._bytes >= _BATCH_BYTES or len(self._lines) >= _BATCH_DOCUMENTS:
                self._send()

    def _send(self) -> None:
        for batch in _batches(self._lines):
            self._tasks.append(self._server.add(self._uid, batch))
        self._lines, self._bytes = [], 0
        while len(self._tasks) > _AHEAD:
            self._server.wait(self._tasks.popleft(), REBUILD_TASK_SECONDS)

    def finish(self) -> None:
        """Return when everything is indexed. Raises Refused when another rebuild took this index for a leftover.

        The server makes an index anew, without settings, when documents come for one that is not there.
        """
        self._send()
        while self._tasks:
            self._server.wait(self._tasks.popleft(), REBUILD_TASK_SECONDS)
        if self._server.born(self._uid) != self._born:
            raise Refused("index_not_ours")


def _batches(lines: Sequence[str]) -> Iterator[bytes]:
    """NDJSON in pieces that the server takes."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        encoded = line.encode("utf-8", "replace")
        if batch and (size + len(encoded) > _BATCH_BYTES or len(batch) == _BATCH_DOCUMENTS):
            yield b"\n".join(batch)
            batch, size = [], 0
        batch.append(encoded)
        size += len(encoded) + 1
    if batch:
        yield b"\n".join(batch)


def _forget(server: Server, uid: str) -> None:
    try:
        server.delete(uid)
    except EngineUnavailable:
        return
