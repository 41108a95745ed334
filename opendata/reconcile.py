"""The W3C Reconciliation Service API 0.2: what is asked in it, and what is answered. Pure of the web.

https://www.w3.org/community/reports/reconciliation/CG-FINAL-specs-0.2-20230410/. How candidates are found and scored
is `candidates`'; suggesting and extending are `extending`'s.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from opendata import candidates
from opendata.candidates import Candidate, Wanted
from portal.kit import i18n
from portal.kit.errors import PortalError
from record import codes
from search.check import Busy

ENTITY = "/entity"
"""The type that every entity has; beside it stands its own (`record.codes.ENTITY_TYPES`)."""
MOST_QUERIES = 50
MOST_CANDIDATES = 25
USUAL_CANDIDATES = 5
MOST_TEXT = 500
MOST_PROPERTIES, MOST_VALUES = 20, 10
AT_ONCE, PATIENCE = 3, 10.0
"""Batches that one process works on at once, and seconds that another waits for its turn."""

_places = threading.BoundedSemaphore(AT_ONCE)


# ---- refusals -------------------------------------------------------------------------------------------------------


class NotABatch(PortalError):
    status = 400
    slug = "reconcile-batch"
    title = "This is no batch of queries."
    remedy = 'Send a JSON object of queries in the field queries, such as {"q0": {"query": "鑫诺照明"}}.'


class BatchTooLong(PortalError):
    status = 413
    slug = "reconcile-too-many"
    title = "These are more queries than one batch may hold."
    remedy = "Send at most %(most)s queries at a time."


class QueryMisshapen(PortalError):
    """One query of a batch; the others are answered."""

    status = 422
    slug = "reconcile-query"
    title = "This query cannot be read: %(field)s."
    remedy = (
        "A query is an object with query (at most 500 characters) or properties (each with pid and v), and if you like "
        "type, type_strict (any, all or should) and limit (from 1)."
    )


class TypeUnknown(PortalError):
    status = 422
    slug = "reconcile-type"
    title = "There is no type %(type)s here."
    remedy = "Leave it out, or choose one of those that /reconcile/suggest/type lists."


# ---- reading --------------------------------------------------------------------------------------------------------


def batch_of(text: str | None) -> dict[str, Any]:
    """The queries of a batch, by the names that their sender gave them. Raises NotABatch, BatchTooLong."""
    try:
        queries = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise NotABatch from error
    if not isinstance(queries, dict):
        raise NotABatch
    if len(queries) > MOST_QUERIES:
        raise BatchTooLong(most=MOST_QUERIES)
    return queries


def wanted_of(query: Any) -> Wanted:
    """One query, read. Raises QueryMisshapen, TypeUnknown."""
    if not isinstance(query, dict):
        raise QueryMisshapen(field="{}")
    text, limit, kinds = query.get("query", ""), query.get("limit"), query.get("type")
    if not isinstance(text, str) or len(text) > MOST_TEXT:
        raise QueryMisshapen(field="query")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 1):
        raise QueryMisshapen(field="limit")
    kinds = [kinds] if isinstance(kinds, str) and kinds else kinds or []
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise QueryMisshapen(field="type")
    properties = _properties(query.get("properties"))
    if not text.strip() and not properties:
        raise QueryMisshapen(field="query")
    strict = query.get("type_strict")
    if strict not in (None, "any", "all", "should"):
        raise QueryMisshapen(field="type_strict")
    only = _types(kinds)
    if only and strict == "should":
        properties, only = {"type": sorted(only), **properties}, frozenset()
    elif len(only) > 1 and strict == "all":  # nobody is of two types beside /entity
        only = frozenset({"-"})
    most = MOST_CANDIDATES if limit and limit > MOST_CANDIDATES else int(limit or USUAL_CANDIDATES)
    return Wanted(text, most, properties, only)


def _types(kinds: Iterable[str]) -> frozenset[str]:
    """The types that count; none when any does."""
    kinds = set(kinds)
    for kind in kinds:
        if kind != ENTITY and kind not in codes.ENTITY_TYPES:
            raise TypeUnknown(type=kind[:100])
    return frozenset() if ENTITY in kinds and len(kinds) == 1 else frozenset(kinds - {ENTITY})


def _properties(given: Any) -> dict[str, list[str]]:
    """What is said beside the name; properties that we do not know are passed over, as the protocol wants it."""
    if given is None:
        return {}
    if not isinstance(given, list) or len(given) > MOST_PROPERTIES:
        raise QueryMisshapen(field="properties")
    read: dict[str, list[str]] = {}
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("pid"), str) or "v" not in one:
            raise QueryMisshapen(field="properties")
        said = one["v"] if isinstance(one["v"], list) else [one["v"]]
        texts = [text for value in said[:MOST_VALUES] if (text := _text(value))]
        if one["pid"] in candidates.PROPERTIES and texts:
            read.setdefault(one["pid"], []).extend(texts)
    return read


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("id") or value.get("name")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text.strip()[:MOST_TEXT]


# ---- answering ------------------------------------------------------------------------------------------------------


def answer(session: Session, queries: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to each query, by its name. One that cannot be read gets no candidates, and `error` says what to do.

    Raises search.check.Busy when others ask so much that this one does not come to its turn.
    """
    read: dict[str, Wanted] = {}
    answers: dict[str, Any] = {name: {"result": []} for name in queries}
    for name, query in queries.items():
        try:
            read[name] = wanted_of(query)
        except (QueryMisshapen, TypeUnknown) as refusal:
            said = (i18n.gettext(text, **refusal.values) for text in (refusal.title, refusal.remedy))
            answers[name]["error"] = " ".join(said)
    if not _places.acquire(timeout=PATIENCE):
        raise Busy
    try:
        found = candidates.of(session, list(read.values()))
    finally:
        _places.release()
    for name, likely in zip(read, found, strict=True):
        answers[name]["result"] = [_shown(one) for one in likely]
    return answers


def _shown(one: Candidate) -> dict[str, Any]:
    return {
        "id": one.entity.code,
        "name": one.entity.name,
        "description": described(one.entity.district, one.entity.status),
        "type": types_of(one.entity.type),
        "score": one.score,
        "match": one.sure,
        "features": [{"id": name, "value": value} for name, value in one.features.items()],
    }


def types_of(kind: str) -> list[dict[str, str]]:
    """The types of an entity, the one that everybody has first."""
    return [type_shown(ENTITY), type_shown(kind)]


def type_shown(kind: str) -> dict[str, str]:
    name = i18n.gettext("Market entity") if kind == ENTITY else codes.label(codes.ENTITY_TYPES, kind, i18n.current())
    return {"id": kind, "name": name or kind}


def described(district: str | None, status: str | None) -> str:
    """What tells entities of one name apart, in a few words."""
    language = i18n.current()
    said = (codes.label(codes.DISTRICTS, district, language), codes.label(codes.ENTITY_STATUSES, status, language))
    return " · ".join(part for part in said if part)
