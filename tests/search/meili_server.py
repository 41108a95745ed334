"""A stand-in for Meilisearch on loopback: the routes, parameters and refusals that its API reference (1.41) gives.

It refuses what it does not know, does tasks one after the other in a thread of its own, and answers filters, sorting
and facets exactly; of full text it knows whole words with the documented tolerance of typos.
"""

import fnmatch
import heapq
import json
import queue
import re
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rapidfuzz.distance import OSA

Json = Any
Ids = set[int]

LARGEST_BODY = 100 * 1024 * 1024
LARGEST_VALUE = 468
SETTINGS = {
    "searchableAttributes", "displayedAttributes", "filterableAttributes", "sortableAttributes", "rankingRules",
    "typoTolerance", "localizedAttributes", "proximityPrecision", "prefixSearch", "facetSearch",
    "pagination", "faceting",
    "stopWords", "synonyms", "distinctAttribute", "dictionary", "separatorTokens", "nonSeparatorTokens",
    "searchCutoffMs", "embedders",
}  # fmt: skip
RULES = {"words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "sort", "exactness"}
SEARCH: dict[str, type | tuple[type, ...]] = {
    "indexUid": str, "q": (str, type(None)), "filter": (str, list, type(None)), "sort": (list, type(None)),
    "limit": int, "offset": int, "facets": (list, type(None)), "attributesToRetrieve": (list, type(None)),
    "attributesToSearchOn": (list, type(None)), "matchingStrategy": str, "page": int, "hitsPerPage": int,
    "showRankingScore": bool, "distinct": str, "locales": list,
}  # fmt: skip
LINK = "https://docs.meilisearch.com/errors"


class Refusal(Exception):
    def __init__(self, code: str, status: int = 400, message: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.body = {
            "message": message or code,
            "code": code,
            "type": "auth" if status in {401, 403} else "invalid_request",
            "link": f"{LINK}#{code}",
        }


_BIRTHS = count()


@dataclass
class Index:
    primary_key: str | None = None
    settings: dict[str, Json] = field(default_factory=dict)
    documents: dict[int, dict[str, Json]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    postings: dict[tuple[str, str], Ids] = field(default_factory=dict)
    order: dict[tuple[str, ...], dict[int, int]] = field(default_factory=dict)
    next_number: int = 0
    created_at: str = field(default_factory=lambda: f"2026-01-01T00:00:00.{next(_BIRTHS):09d}Z")

    @property
    def filterable(self) -> list[str]:
        found = []
        for each in self.settings.get("filterableAttributes", []):
            found += [each] if isinstance(each, str) else each["attributePatterns"]
        return found

    def values(self, document: dict[str, Json]) -> Iterator[tuple[str, str]]:
        for name in self.filterable:
            value = document.get(name)
            for one in value if isinstance(value, list) else [] if value is None else [value]:
                if len(str(one).encode()) <= LARGEST_VALUE:
                    yield name, normal(str(one))

    def put(self, document: dict[str, Json]) -> None:
        self.drop(document[self.primary_key or ""])
        number = self.next_number
        self.next_number += 1
        self.documents[number] = document
        self.numbers[document[self.primary_key or ""]] = number
        for posting in self.values(document):
            self.postings.setdefault(posting, set()).add(number)

    def drop(self, name: str) -> None:
        number = self.numbers.pop(name, None)
        if number is not None:
            for posting in self.values(self.documents.pop(number)):
                self.postings[posting].discard(number)

    def settle(self, settings: dict[str, Json]) -> None:
        self.settings |= settings
        documents = list(self.documents.values())
        self.documents, self.numbers, self.postings = {}, {}, {}
        for document in documents:
            self.put(document)


def normal(value: str) -> str:
    return unicodedata.normalize("NFKD", value.strip()).lower()


_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(AND|OR|IN)\b|([()\[\],=])|([A-Za-z_]+))')


class Filter:
    """A filter expression: equality, IN, AND, OR and brackets."""

    def __init__(self, text: str, index: Index) -> None:
        self.tokens = [match[0].strip() for match in _TOKEN.finditer(text)]
        if "".join(self.tokens) != re.sub(r'\s+(?=(?:[^"]*"[^"]*")*[^"]*$)', "", text):
            raise Refusal("invalid_search_filter", message=text[:200])
        self.index = index
        self.at = 0

    def take(self, *expected: str) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if not token or (expected and token not in expected):
            raise Refusal("invalid_search_filter", message=f"expected {expected} at {token!r}")
        self.at += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def whole(self) -> Ids:
        found = self.any()
        if self.peek():
            raise Refusal("invalid_search_filter")
        return found

    def any(self) -> Ids:
        parts = [self.all()]
        while self.peek() == "OR":
            self.take()
            parts.append(self.all())
        return parts[0] if len(parts) == 1 else set().union(*parts)

    def all(self) -> Ids:
        parts = [self.one()]
        while self.peek() == "AND":
            self.take()
            parts.append(self.one())
        parts.sort(key=len)
        return parts[0].intersection(*parts[1:]) if len(parts) > 1 else parts[0]

    def one(self) -> Ids:
        if self.peek() == "(":
            self.take()
            found = self.any()
            self.take(")")
            return found
        name = self.take()
        if name not in self.index.filterable:
            raise Refusal("invalid_search_filter", message=f"Attribute `{name}` is not filterable.")
        if self.take("=", "IN") == "=":
            return self.posting(name, self.take())
        self.take("[")
        parts = [self.posting(name, self.take())]
        while self.take(",", "]") == ",":
            parts.append(self.posting(name, self.take()))
        return parts[0] if len(parts) == 1 else set().union(*parts)

    def posting(self, name: str, quoted: str) -> Ids:
        if not quoted.startswith('"'):
            raise Refusal("invalid_search_filter")
        value = re.sub(r"\\(.)", r"\1", quoted[1:-1])
        return self.index.postings.get((name, normal(value)), set())


def search(index: Index, uid: str, asked: dict[str, Json]) -> dict[str, Json]:
    for name, value in asked.items():
        if name not in SEARCH:
            raise Refusal("bad_request", message=f"Unknown field `{name}`")
        if not isinstance(value, SEARCH[name]) or (SEARCH[name] is int and value < 0):
            snake = re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)
            raise Refusal(f"invalid_search_{snake}")
    found: Ids | None = Filter(asked["filter"], index).whole() if asked.get("filter") else None
    if asked.get("q"):
        found = typed(index, asked, found)
    ids = set(index.documents) if found is None else found
    settings = index.settings
    most = settings.get("pagination", {}).get("maxTotalHits", 1000)
    limit, offset = asked.get("limit", 20), asked.get("offset", 0)
    order = ordered(index, asked.get("sort") or [])
    first = heapq.nsmallest(min(limit + offset, most), ids, key=order.__getitem__) if limit else []
    shown = settings.get("displayedAttributes", ["*"])
    wanted = set(asked.get("attributesToRetrieve") or shown)
    answer: dict[str, Json] = {
        "indexUid": uid,
        "hits": [
            {
                name: value
                for name, value in index.documents[number].items()
                if (name in wanted or "*" in wanted) and (name in shown or "*" in shown)
            }
            for number in first[offset:]
        ],
        "query": asked.get("q") or "",
        "processingTimeMs": 1,
        "limit": limit,
        "offset": offset,
        "estimatedTotalHits": min(len(ids), most),
    }
    if asked.get("facets"):
        answer |= {"facetDistribution": facets(index, ids, asked["facets"]), "facetStats": {}}
    return answer


def typed(index: Index, asked: dict[str, Json], found: Ids | None) -> Ids:
    on = asked.get("attributesToSearchOn") or index.settings["searchableAttributes"]
    if not set(on) <= set(index.settings["searchableAttributes"]):
        raise Refusal("invalid_search_attributes_to_search_on")
    sizes = index.settings["typoTolerance"]["minWordSizeForTypos"]

    def alike(word: str, token: str) -> bool:
        allowed = (len(word) >= sizes["oneTypo"]) + (len(word) >= sizes["twoTypos"])
        distance = OSA.distance(word, token, score_cutoff=2)
        return distance + (distance > 0 and word[:1] != token[:1]) <= allowed

    words = [normal(word) for word in asked["q"].split()[:10]]
    return {
        number
        for number in (index.documents if found is None else found)
        if all(any(alike(word, normal(str(index.documents[number][name]))) for name in on) for word in words)
    }


def ordered(index: Index, sort: list[str]) -> dict[int, int]:
    names = [each.rsplit(":", 1)[0] for each in sort]
    if not set(names) <= set(index.settings.get("sortableAttributes", [])) or any(
        each.rsplit(":", 1)[-1] not in {"asc", "desc"} for each in sort
    ):
        raise Refusal("invalid_search_sort")
    known = index.order.get(tuple(sort))
    if known is None or known.keys() != index.documents.keys():
        by_key = sorted(
            index.documents, key=lambda number: [index.documents[number][name] for name in names] or [number]
        )
        known = index.order[tuple(sort)] = {number: at for at, number in enumerate(by_key)}
    return known


def facets(index: Index, ids: Ids, names: list[str]) -> dict[str, dict[str, int]]:
    most = index.settings.get("faceting", {}).get("maxValuesPerFacet", 100)
    found: dict[str, dict[str, int]] = {}
    for name in names:
        if name not in index.filterable:
            raise Refusal("invalid_search_facets")
        counts: Counter[str] = Counter()
        for number in ids:
            value = index.documents[number].get(name)
            counts.update(map(str, value) if isinstance(value, list) else [] if value is None else [str(value)])
        found[name] = dict(sorted(counts.items())[:most])
    return found


class Meilisearch:
    """The server's state. `keys`: what each key may do, as patterns of actions."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, list[str]]] = {"all": {"actions": ["*"], "indexes": ["*"]}}
        self.indexes: dict[str, Index] = {}
        self.tasks: list[dict[str, Json]] = []
        self.requests: list[tuple[str, str, int]] = []
        self.waiting: queue.Queue[tuple[int, Callable[[], None]]] = queue.Queue()
        self.lock = threading.RLock()
        self.delay = 0.0
        self.answer_with: bytes | None = None
        self.status = 0
        self.fail_tasks: dict[str, str] = {}
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            number, does = self.waiting.get()
            task = self.tasks[number]
            task["status"] = "processing"
            code = self.fail_tasks.get(task["type"], "")
            try:
                if code:
                    raise Refusal(code)
                with self.lock:
                    does()
                task["status"] = "succeeded"
            except Refusal as refusal:
                task |= {"status": "failed", "error": refusal.body}

    def task(self, kind: str, uid: str | None, does: Callable[[], None]) -> tuple[int, Json]:
        with self.lock:
            number = len(self.tasks)
            task = {"uid": number, "indexUid": uid, "status": "enqueued", "type": kind, "error": None}
            self.tasks.append({**task, "enqueuedAt": _now(), "details": {}, "canceledBy": None})
            self.waiting.put((number, does))
        return 202, {
            "taskUid": number,
            "indexUid": uid,
            "status": "enqueued",
            "type": kind,
            "enqueuedAt": _now(),
        }

    def index(self, uid: str) -> Index:
        if uid not in self.indexes:
            raise Refusal("index_not_found", 404)
        return self.indexes[uid]

    # What a request may do, and what does it.

    def answer(self, method: str, path: str, asked: dict[str, list[str]], body: Json, sent: str) -> tuple[int, Json]:
        parts = path.strip("/").split("/")
        uid = parts[1] if len(parts) > 1 else ""
        rest = parts[2:]
        match (method, parts[0], len(parts), rest):
            case ("POST", "multi-search", 1, []):
                return 200, self.multi_search(known(body, {"queries", "federation"}))
            case ("GET", "tasks", 2, []):
                if int(uid) >= len(self.tasks):
                    raise Refusal("task_not_found", 404)
                return 200, dict(self.tasks[int(uid)])
            case ("POST", "swap-indexes", 1, []):
                return self.task("indexSwap", None, lambda: self.swap(body))
            case ("GET", "indexes", 1, []):
                known(asked, {"limit", "offset"})
                return 200, {"results": [{"uid": name} for name in self.indexes], "total": len(self.indexes)}
            case ("POST", "indexes", 1, []):
                made = known(body, {"uid", "primaryKey"})
                if not re.fullmatch("[A-Za-z0-9_-]{1,400}", made["uid"]):
                    raise Refusal("invalid_index_uid")
                return self.task("indexCreation", made["uid"], lambda: self.create(made["uid"], made["primaryKey"]))
            case ("GET", "indexes", 2, []):
                return 200, {
                    "uid": uid,
                    "primaryKey": self.index(uid).primary_key,
                    "createdAt": self.index(uid).created_at,
                }
            case ("DELETE", "indexes", 2, []):
                return self.task("indexDeletion", uid, lambda: self.delete(uid))
            case ("PATCH", "indexes", 3, ["settings"]):
                return self.task("settingsUpdate", uid, self.settling(uid, body))
            case ("POST", "indexes", 3, ["documents"]):
                known(asked, {"primaryKey", "csvDelimiter"})
                if sent != "application/x-ndjson":
                    raise Refusal("invalid_content_type", 415)
                return self.task("documentAdditionOrUpdate", uid, lambda: self.add(uid, body))
            case ("POST", "indexes", 4, ["documents", "delete"]):
                only = known(body, {"filter"})["filter"]
                return self.task("documentDeletion", uid, lambda: self.remove(uid, only))
        raise Refusal("not_found", 404)

    def multi_search(self, body: Json) -> Json:
        with self.lock:
            return {"results": [search(self.index(one["indexUid"]), one["indexUid"], one) for one in body["queries"]]}

    def create(self, uid: str, primary_key: str | None) -> None:
        if uid in self.indexes:
            raise Refusal("index_already_exists", 409)
        self.indexes[uid] = Index(primary_key)

    def delete(self, uid: str) -> None:
        self.index(uid)
        del self.indexes[uid]

    def swap(self, body: Json) -> None:
        for pair in body:
            one, other = known(pair, {"indexes"})["indexes"]
            self.index(one), self.index(other)
            self.indexes[one], self.indexes[other] = self.indexes[other], self.indexes[one]

    def settling(self, uid: str, settings: Json) -> Callable[[], None]:
        known(settings, SETTINGS)
        for each in settings.get("filterableAttributes", []):
            if not isinstance(each, str):
                known(known(each, {"attributePatterns", "features"})["features"], {"facetSearch", "filter"})
                known(each["features"]["filter"], {"equality", "comparison"})
        for rule in settings.get("rankingRules", []):
            if rule not in RULES:
                raise Refusal("invalid_settings_ranking_rules")
        typos = known(
            settings.get("typoTolerance", {}),
            {"enabled", "minWordSizeForTypos", "disableOnWords", "disableOnAttributes", "disableOnNumbers"},
        )
        sizes = {"oneTypo": 5, "twoTypos": 9} | typos.get("minWordSizeForTypos", {})
        if not 0 <= sizes["oneTypo"] <= sizes["twoTypos"] <= 255:
            raise Refusal("invalid_settings_typo_tolerance")
        if settings.get("prefixSearch", "disabled") not in {"indexingTime", "disabled"}:
            raise Refusal("invalid_settings_prefix_search")
        if settings.get("proximityPrecision", "byWord") not in {"byWord", "byAttribute"}:
            raise Refusal("invalid_settings_proximity_precision")
        known(settings.get("pagination", {}), {"maxTotalHits"})
        known(settings.get("faceting", {}), {"maxValuesPerFacet", "sortFacetValuesBy"})
        return lambda: self.indexes.setdefault(uid, Index()).settle(settings)

    def add(self, uid: str, lines: bytes) -> None:
        index = self.indexes.setdefault(uid, Index("code"))
        for line in lines.splitlines():
            document = json.loads(line)
            if not re.fullmatch("[A-Za-z0-9_-]{1,511}", str(document.get(index.primary_key or "", ""))):
                raise Refusal("invalid_document_id")
            index.put(document)

    def remove(self, uid: str, only: str) -> None:
        index = self.index(uid)
        for number in list(Filter(only, index).whole()):
            index.drop(index.documents[number][index.primary_key or ""])


def known(given: Json, names: set[str]) -> Json:
    if not isinstance(given, dict) or set(given) - names:
        raise Refusal("bad_request", message=f"Unknown field in {sorted(given)}")
    return given


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())


ACTIONS = {
    ("POST", "multi-search"): "search", ("GET", "tasks"): "tasks.get", ("POST", "swap-indexes"): "indexes.swap",
    ("POST", "settings"): "settings.update", ("PATCH", "settings"): "settings.update",
    ("POST", "documents"): "documents.add", ("POST", "delete"): "documents.delete", ("GET", "indexes"): "indexes.get",
    ("POST", "indexes"): "indexes.create", ("DELETE", "indexes"): "indexes.delete",
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Meilisearch

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        state = self.state
        time.sleep(state.delay)
        try:
            if state.status:
                raise Refusal("internal", state.status)
            status, answer = self.answered(body)
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body
        state.requests.append((self.command, self.path, status))
        sent = state.answer_with if state.answer_with is not None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def answered(self, body: bytes) -> tuple[int, Json]:
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        if len(body) > LARGEST_BODY:
            raise Refusal("payload_too_large", 413)
        what = parts[2] if len(parts) > 2 else parts[0]
        what = "delete" if parts[3:] == ["delete"] else what
        self.allow(ACTIONS.get((self.command, what), "none"), parts[1] if parts[0] == "indexes" and parts[1:] else "")
        sent = self.headers.get("Content-Type", "")
        if self.command not in {"GET", "DELETE"} and sent not in {"application/json", "application/x-ndjson"}:
            raise Refusal("missing_content_type" if not sent else "invalid_content_type", 415)
        try:
            given = json.loads(body) if body and sent == "application/json" else body
        except ValueError:
            raise Refusal("malformed_payload") from None
        return self.state.answer(self.command, address.path, parse_qs(address.query), given, sent)

    def allow(self, action: str, uid: str) -> None:
        sent = self.headers.get("Authorization", "")
        if not sent:
            raise Refusal("missing_authorization_header", 401)
        key = self.state.keys.get(sent.removeprefix("Bearer "))
        may = key and any(fnmatch.fnmatch(action, pattern) for pattern in key["actions"])
        if not key or not may or (uid and not any(fnmatch.fnmatch(uid, pattern) for pattern in key["indexes"])):
            raise Refusal("invalid_api_key", 403)

    do_GET = do_POST = do_PATCH = do_DELETE = do  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients whose patience ends hang up."""


@contextmanager
def running(state: Meilisearch, port: int = 0) -> Iterator[str]:
    """The server on loopback. Yields its address."""
    handler = type("Bound", (Handler,), {"state": state, "disable_nagle_algorithm": True})
    server = _Listening(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
