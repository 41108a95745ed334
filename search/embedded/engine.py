"""The embedded engine: runs a query's steps over the live index, and keeps the index."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import tantivy

from portal.kit import parallel
from record.names import fold
from search import query as typed
from search.documents import EntityDocument
from search.embedded import schema
from search.embedded.asking import Index
from search.embedded.folder import Folder, Reader, writing
from search.embedded.searching import Search, add_exact, likeliest, list_all
from search.engine import MAX_HITS, Filling, Filters, NoIndex, Page

_BULK_MEMORY = 560_000_000
_BULK_THREADS = 2
_BATCH_MEMORY = 30_000_000
_EXACT_AT_ONCE = 500
_INLINE = 10_000
_AT_ONCE = 1_000
_REBUILD_SECONDS = 3600.0


class EmbeddedEngine:
    """A SearchEngine over a folder. Any number of threads and processes may search and write at a time."""

    def __init__(self, path: Path) -> None:
        self._folder = Folder(path)
        self._reader = Reader(self._folder)

    def _index(self) -> Index:
        """Raises NoIndex."""
        searcher = self._reader.searcher()
        if searcher is None:
            raise NoIndex("there is no index")
        return Index(searcher)

    def search(self, text: str, filters: Filters, *, limit: int, offset: int = 0) -> Page:
        asked = typed.read(text)
        index = self._index()
        limit = max(0, min(limit, MAX_HITS - offset))
        if asked.everything:
            return list_all(index, filters, limit, offset)
        return Search(index, asked, filters).page(limit, offset)

    def suggest(self, text: str, *, limit: int) -> list[str]:
        try:
            asked = typed.read(text)
        except typed.Refused:
            return []
        index = self._index()
        if asked.everything or limit < 1:
            return []
        return likeliest(index, asked, limit)

    def exact(self, names: Sequence[str]) -> dict[str, list[str]]:
        index = self._index()
        folded = {name: fold(name) for name in names}
        found: dict[str, list[str]] = {}
        terms = sorted({key for key in folded.values() if key})
        for start in range(0, len(terms), _EXACT_AT_ONCE):
            add_exact(index, terms[start : start + _EXACT_AT_ONCE], found)
        return {name: found.get(key, []) for name, key in folded.items()}

    def write(self, documents: Iterable[EntityDocument], removed: Collection[str] = ()) -> None:
        with self._folder.locked("write"):
            live = self._folder.live()
            path = live if live and live.exists() else self._folder.new()
            with writing(path, _BATCH_MEMORY) as writer:
                for code in removed:
                    writer.delete_documents_by_term("code", code)
                for document in documents:
                    writer.delete_documents_by_term("code", document.code)
                    writer.add_document(schema.to_tantivy(document))
            if path != live:
                self._folder.switch(path)

    def rebuild(self, documents: Iterable[EntityDocument]) -> int:
        number = 0
        with self.filling() as filling:
            for made in _made(documents):
                filling.add(made)
                number += len(made)
        return number

    @contextmanager
    def filling(self) -> Iterator[Filling]:
        with self._folder.locked("rebuild", seconds=_REBUILD_SECONDS):
            with self._folder.locked("write"):
                self._folder.clean()
            path = self._folder.new()
            try:
                # Each thread closes a segment when its memory is full; none is merged, which would take as long again.
                with writing(path, _BULK_MEMORY, threads=_BULK_THREADS) as writer:
                    yield _Filling(writer)
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)
                raise
            with self._folder.locked("write"):
                self._folder.switch(path)
                self._folder.clean()

    def warm(self) -> None:
        """Read the tables of pinyin, places and facets, which the first query would wait half a second for."""
        schema.to_tantivy(EntityDocument("0" * 18, "上海行（上海）公司", address="上海市黄浦区河南南路1号"))
        with suppress(NoIndex):
            for text in ("上海黄浦鑫诺贸易公司", "xinnuo zh", "9131010113241", ""):
                self.search(text, Filters(), limit=1)

    def count(self) -> int:
        searcher = self._reader.searcher()
        return int(searcher.num_docs) if searcher else 0


class _Filling:
    """A Filling over Tantivy's writer."""

    prepare = staticmethod(schema.fields)

    def __init__(self, writer: tantivy.IndexWriter) -> None:
        self._writer = writer

    def add(self, prepared: Iterable[Any]) -> None:
        for flat in prepared:
            self._writer.add_document(schema.assembled(flat))


def _made(documents: Iterable[EntityDocument]) -> Iterator[list[list[str]]]:
    """The documents' fields: of the first thousands made here, of a large register in processes beside this one."""
    waiting = iter(documents)
    first = list(islice(waiting, _INLINE))
    batches = iter(lambda: [tuple(document) for document in islice(waiting, _AT_ONCE)], [])
    ahead = next(batches, None)
    if ahead is None:
        yield list(map(schema.fields, first))
        return
    rest = ((None, batch) for batch in chain([ahead], batches))
    with closing(parallel.ordered(_fields, None, rest)) as answers:
        yield list(map(schema.fields, first))  # while the processes start
        for _, made in answers:
            yield made


def _fields(_setup: None, batch: list[tuple[Any, ...]]) -> list[list[str]]:
    return [schema.fields(EntityDocument(*document)) for document in batch]
