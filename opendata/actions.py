"""CKAN's read actions: what `ckanapi`, harvesters and scripts ask, with the results that they rely on.

Facts on the wire contract: CKAN 2.13. Unknown arguments are ignored, as CKAN does. Nothing here writes.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from sqlalchemy.orm import Session

from opendata import catalog, datastore, filters, snapshots
from opendata.catalog import Package, QueryWrong
from opendata.datastore import Asked, TooDeep
from opendata.filters import Condition, FilterWrong
from opendata.models import Snapshot
from opendata.snapshots import Manifest
from portal.kit.datasets import DataSet
from portal.kit.settings import get_settings

MOST_PACKAGES = 1_000
MOST_NAMES = 1_000
DEFAULT_ROWS = 10
Arguments = Mapping[str, Any]
VERSION = "2.11.0"


class ActionError(Exception):
    """A refusal in CKAN's own words: `status`, and the `error` object."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(error.get("__type", ""))
        self.status = status
        self.error = error


def not_found(what: str = "") -> ActionError:
    return ActionError(404, {"message": f"Not found: {what}" if what else "Not found", "__type": "Not Found Error"})


def invalid(**fields: str) -> ActionError:
    return ActionError(409, {**{name: [text] for name, text in fields.items()}, "__type": "Validation Error"})


def denied(why: str) -> ActionError:
    return ActionError(403, {"message": f"Access denied: {why}", "__type": "Authorization Error"})


# ---- arguments ------------------------------------------------------------------------------------------------------


def _number(said: Arguments, name: str, default: int, most: int) -> int:
    value = said.get(name)
    if value in (None, ""):
        return min(default, most)
    try:
        number = int(str(value))
    except ValueError as error:
        raise invalid(**{name: "Invalid integer"}) from error
    if number < 0:
        raise invalid(**{name: "Must be a natural number"})
    return min(number, most)


def _flag(said: Arguments, name: str, default: bool = False) -> bool:
    value = said.get(name)
    if value is None:
        return default
    return value if isinstance(value, bool) else str(value).strip().lower() in {"true", "1", "yes", "on", "t"}


def _text(said: Arguments, name: str) -> str:
    value = said.get(name)
    return "" if value is None else str(value)[:2_000]


def _list(said: Arguments, name: str) -> list[str]:
    value = said.get(name)
    if value is None or value == "":
        return []
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(value, name)
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        raise invalid(**{name: "Not a list"})
    return [str(one).strip() for one in value[:500]]


def _json(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise invalid(**{name: "Cannot parse JSON"}) from error


def _needed(said: Arguments, name: str) -> str:
    value = _text(said, name)
    if not value:
        raise invalid(**{name: "Missing value"})
    return value


# ---- packages -------------------------------------------------------------------------------------------------------


def package_list(session: Session, said: Arguments) -> list[str]:
    """Names of the data sets, sorted. limit, offset."""
    names = [one["name"] for one in catalog.all_packages(session)]
    offset = _number(said, "offset", 0, 10**6)
    return names[offset : offset + _number(said, "limit", len(names), len(names))]


def package_show(session: Session, said: Arguments) -> Package:
    """One data set. id: its id or name."""
    wanted = _needed(said, "id")
    for one in catalog.all_packages(session):
        if wanted in {one["id"], one["name"]}:
            return one
    raise not_found()


def current_package_list_with_resources(session: Session, said: Arguments) -> list[Package]:
    """The data sets, the last changed first. limit, offset."""
    found = sorted(catalog.all_packages(session), key=lambda one: (one["metadata_modified"], one["id"]), reverse=True)
    offset = _number(said, "offset", 0, 10**6)
    return found[offset : offset + _number(said, "limit", 100, MOST_PACKAGES)]


def package_search(session: Session, said: Arguments) -> dict[str, Any]:
    """Data sets that answer a query. q, fq, fq_list, sort, rows, start, facet.field, facet.limit, facet.mincount."""
    fq = [_text(said, "fq"), *_list(said, "fq_list")]
    sort = _text(said, "sort")
    try:
        found = catalog.search(catalog.all_packages(session), _text(said, "q"), fq, sort)
    except QueryWrong as error:
        raise ActionError(
            400, {"message": f"Search Query is invalid: {error}", "__type": "Search Query Error"}
        ) from error
    start, rows = _number(said, "start", 0, 10**9), _number(said, "rows", DEFAULT_ROWS, MOST_PACKAGES)
    wanted = _list(said, "facet.field")
    limit, least = _number(said, "facet.limit", 50, 1_000), _number(said, "facet.mincount", 1, 10**6)
    counted = catalog.facets(found, wanted)
    shown = {
        name: dict(sorted(
            ((value, count) for value, count in values.items() if count >= least), key=lambda pair: (-pair[1], pair[0])
        )[:limit])
        for name, values in counted.items()
    }  # fmt: skip
    titles = {catalog.ORGANISATION: get_settings().department}
    return {
        "count": len(found), "sort": sort or "score desc, metadata_modified desc", "facets": shown,
        "results": found[start : start + rows],
        "search_facets": {
            name: {
                "title": name,
                "items": [
                    {"name": value, "display_name": titles.get(value, value), "count": count}
                    for value, count in values.items()
                ],
            }
            for name, values in shown.items()
        },
    }  # fmt: skip


def package_autocomplete(session: Session, said: Arguments) -> list[dict[str, str]]:
    """Data sets whose name or title holds q. q, limit."""
    wanted = _needed(said, "q").lower()
    found = []
    for one in catalog.all_packages(session):
        field = next((name for name in ("name", "title") if wanted in one[name].lower()), None)
        if field:
            found.append(
                {"name": one["name"], "title": one["title"], "match_field": field, "match_displayed": one[field]}
            )
    return found[: _number(said, "limit", 10, 100)]


def _resources(session: Session) -> list[Package]:
    return [resource for one in catalog.all_packages(session) for resource in one["resources"]]


def resource_show(session: Session, said: Arguments) -> Package:
    """One resource. id."""
    wanted = _needed(said, "id")
    for one in _resources(session):
        if one["id"] == wanted:
            return one
    raise not_found()


def resource_search(session: Session, said: Arguments) -> dict[str, Any]:
    """Resources whose fields hold texts. query: `field:text`, may repeat; limit, offset."""
    queries = said.get("query")
    wanted = []
    for query in queries if isinstance(queries, list) else [_needed(said, "query")]:
        name, colon, text = str(query).partition(":")
        if not colon or name not in {"name", "description", "format", "url", "mimetype", "id", "hash"}:
            raise invalid(query="Must be field:text, of name, description, format, url, mimetype, id or hash")
        wanted.append((name, text.strip().lower()))
    found = [one for one in _resources(session) if all(text in str(one[name]).lower() for name, text in wanted)]
    offset = _number(said, "offset", 0, 10**6)
    return {"count": len(found), "results": found[offset : offset + _number(said, "limit", 100, MOST_PACKAGES)]}


def resource_view_list(session: Session, said: Arguments) -> list[Any]:
    """Views of a resource: there are none. id."""
    resource_show(session, said)
    return []


# ---- organisations, tags, licences ----------------------------------------------------------------------------------


def organization_list(session: Session, said: Arguments) -> list[Any]:
    """The publishers. all_fields, q."""
    one = catalog.organisation(len(catalog.all_packages(session)))
    wanted = _text(said, "q").lower()
    if _number(said, "offset", 0, 10**6) or (wanted and wanted not in f"{one['name']} {one['title']}".lower()):
        return []
    return [one if _flag(said, "all_fields") else one["name"]]


def organization_show(session: Session, said: Arguments) -> Package:
    """One publisher. id; include_datasets."""
    packages = catalog.all_packages(session)
    one = catalog.organisation(len(packages))
    if _needed(said, "id") not in {one["id"], one["name"]}:
        raise not_found()
    return {**one, "packages": packages[:DEFAULT_ROWS]} if _flag(said, "include_datasets") else one


def group_list(session: Session, said: Arguments) -> list[Any]:
    """Groups: there are none."""
    return []


def group_show(session: Session, said: Arguments) -> Package:
    """A group: there are none."""
    _needed(said, "id")
    raise not_found()


def tag_list(session: Session, said: Arguments) -> list[Any]:
    """Tags of the data sets. query, all_fields."""
    found: dict[str, Package] = {}
    for one in catalog.all_packages(session):
        found |= {tag["name"]: tag for tag in one["tags"]}
    wanted = _text(said, "query").lower()
    names = sorted(name for name in found if wanted in name.lower())
    return [found[name] for name in names] if _flag(said, "all_fields") else names


def license_list(session: Session, said: Arguments) -> list[Package]:
    """The licences that the data sets bear."""
    return [
        {
            "id": "cc-by", "title": "Creative Commons Attribution", "url":
            "https://creativecommons.org/licenses/by/4.0/", "status": "active", "domain_content": False,
            "domain_data": False, "domain_software": False, "family": "", "is_generic": False, "maintainer": "",
            "od_conformance": "approved", "osd_conformance": "not reviewed",
        }
    ]  # fmt: skip


def status_show(session: Session, said: Arguments) -> dict[str, Any]:
    """What answers here."""
    return {
        "ckan_version": VERSION, "site_url": get_settings().base_url, "site_title": "Gongzhi 共治",
        "site_description": "", "error_emails_to": None, "locale_default": "zh_Hans_CN", "extensions": ["datastore"],
    }  # fmt: skip


def help_show(session: Session, said: Arguments) -> str:
    """What an action does. name."""
    wanted = ACTIONS.get(_needed(said, "name"))
    if wanted is None:
        raise not_found("Action not found")
    return wanted.__doc__ or ""


# ---- the datastore --------------------------------------------------------------------------------------------------


def _store(session: Session, said: Arguments) -> tuple[DataSet, Snapshot, Manifest]:
    wanted = _text(said, "resource_id") or _text(said, "id") or _needed(said, "resource_id")
    for name, data_set in catalog.shown_sets(session).items():
        if wanted in {catalog.resource_id(name, catalog.DATASTORE_FORM), name}:
            made = snapshots.of(session, name)
            if made:
                return data_set, *made
    raise not_found(f'Resource "{wanted[:60]}" was not found.')


def _asked(data_set: DataSet, said: Arguments) -> Asked:
    every = ["_id", *(column.name for column in data_set.columns)]
    fields = _list(said, "fields") or every
    unknown = [name for name in fields if name not in every]
    if unknown:
        raise invalid(fields=f'field "{unknown[0]}" not in table')
    try:
        condition = filters.read(data_set, _json(said.get("filters"), "filters"))
        q = said.get("q")
        if isinstance(q, str) and q.lstrip().startswith("{"):
            q = _json(q, "q")
        condition = condition.and_(filters.words(data_set, q or said.get("full_text")))
    except FilterWrong as error:
        raise invalid(**{error.field: error.message}) from error
    return Asked(
        fields, condition, _sorting(every, said.get("sort")), _number(said, "limit", 100, datastore.MOST_ROWS),
        _number(said, "offset", 0, 10**12), _flag(said, "distinct"), _flag(said, "include_total", True),
    )  # fmt: skip


_Nulls = Literal["first", "last"]


def _sorting(every: Sequence[str], said: Any) -> list[tuple[str, Literal["asc", "desc"], _Nulls]]:
    order: list[tuple[str, Literal["asc", "desc"], _Nulls]] = []
    parts = said if isinstance(said, list) else str(said).split(",") if said else []
    for part in parts:
        words = str(part).split()
        name = words[0].strip('"') if words else ""
        rest = [word.lower() for word in words[1:]]
        way = rest.pop(0) if rest and rest[0] in {"asc", "desc"} else "asc"
        nulls = "first" if way == "desc" else "last"
        if len(rest) == 2 and rest[0] == "nulls" and rest[1] in {"first", "last"}:
            nulls, rest = rest[1], []
        if name not in every or rest:
            raise invalid(sort=f'field "{name}" not in table' if name not in every else "Invalid sort")
        order.append((name, "desc" if way == "desc" else "asc", "first" if nulls == "first" else "last"))
    return order[:8]


def _moment(value: Any) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S}"


def _figure(value: Any) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


_PLAIN: Mapping[str, Callable[[Any], Any]] = {"date": date.isoformat, "timestamp": _moment, "numeric": _figure}
"""By type: how a value is written in JSON, where it is not written as it is."""


def _plain(data_set: DataSet, fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows as JSON has them."""
    types = [filters.column_of(data_set, name) for name in fields]
    written = [(place, _PLAIN[one.type]) for place, one in enumerate(types) if one and one.type in _PLAIN]
    plain = [list(row) for row in rows]
    for row in plain:
        for place, write in written:
            if row[place] is not None:
                row[place] = write(row[place])
    return plain


def datastore_search(session: Session, said: Arguments) -> dict[str, Any]:
    """Rows of a resource.

    resource_id, filters, q, limit, offset, fields, sort, distinct, include_total, records_format,
    include_next_page.
    """
    data_set, snapshot, _ = _store(session, said)
    asked = _asked(data_set, said)
    form = _text(said, "records_format") or "objects"
    if form not in {"objects", "lists", "csv", "tsv"}:
        raise invalid(records_format="Must be objects, lists, csv or tsv")
    keyset = _flag(said, "include_next_page") and not asked.order and not asked.distinct
    fields = list(asked.fields)
    if keyset and "_id" not in fields:
        fields = ["_id", *fields]
    try:
        found = datastore.search(
            data_set, snapshot,
            Asked(fields, asked.condition, asked.order, asked.limit, asked.offset, asked.distinct, asked.total),
        )  # fmt: skip
    except TooDeep as error:
        raise invalid(offset=f"{error.title} {error.remedy}") from error
    rows = _plain(data_set, fields, found.rows)
    next_page = {"_id": {"gt": rows[-1][fields.index("_id")]}} if keyset and len(rows) == asked.limit > 0 else None
    if len(fields) != len(asked.fields):
        rows = [row[1:] for row in rows]
    result: dict[str, Any] = {
        "include_total": asked.total, "limit": asked.limit, "offset": asked.offset, "records_format": form,
        "resource_id": _text(said, "resource_id") or _text(said, "id"), "total_estimation_threshold": None,
        "records": _records(rows, asked.fields, form), "fields": fields_of(data_set, asked.fields),
    }  # fmt: skip
    if asked.total:
        result |= {"total": found.total, "total_was_estimated": False}
    if _flag(said, "include_next_page"):
        result["next_page"] = next_page
    return result


def pages_of(session: Session, said: Arguments, at_once: int) -> Iterator[Any]:
    """For a dump: first the names of the columns, `_id` before them, then all rows, a page at a time, by keyset."""
    data_set, snapshot, _ = _store(session, said)
    asked = _asked(data_set, {key: value for key, value in said.items() if key not in {"limit", "offset", "sort"}})
    names = ["_id", *(name for name in asked.fields if name != "_id")]
    left = _number(said, "limit", 10**12, 10**12)

    def pages() -> Iterator[Any]:
        yield names
        after, todo = 0, left
        while todo > 0:
            size = min(at_once, todo)
            page = asked.condition.and_(Condition("_id > ?", [after]))
            found = datastore.search(data_set, snapshot, Asked(names, page, limit=size, total=False)).rows
            yield _plain(data_set, names, found)
            if len(found) < size:
                return
            after, todo = found[-1][0], todo - size

    return pages()


def fields_of(data_set: DataSet, names: Sequence[str]) -> list[dict[str, Any]]:
    """The `fields` of an answer: id, type and what a column is called."""
    found = []
    for name in names:
        column = filters.column_of(data_set, name)
        assert column is not None
        said: dict[str, Any] = {"id": name, "type": column.type}
        if name != "_id":
            said["info"] = {"label": column.titles[0], "label_en": column.titles[1], "notes": column.meaning[0]}
        found.append(said)
    return found


def _records(rows: Sequence[Sequence[Any]], fields: Sequence[str], form: str) -> Any:
    if form == "objects":
        return [dict(zip(fields, row, strict=True)) for row in rows]
    if form == "lists":
        return list(rows)
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if form == "tsv" else ",", lineterminator="\n").writerows(rows)
    return text.getvalue()


def datastore_info(session: Session, said: Arguments) -> dict[str, Any]:
    """What a resource's table holds. id or resource_id."""
    data_set, snapshot, manifest = _store(session, said)
    shown = datastore.search(data_set, snapshot, Asked(["_id"], filters.EVERYTHING, limit=0)).total
    fields = []
    for one in fields_of(data_set, [column.name for column in data_set.columns]):
        native = snapshots.SQL_TYPES[one["type"]].lower()
        key = one["id"] in {data_set.key, "entity_code"}
        fields.append({
            **one,
            "schema": {"native_type": native, "index_name": None, "is_index": key, "notnull": one["id"] ==
                       data_set.key, "uniquekey": one["id"] == data_set.key},
        })  # fmt: skip
    return {
        "meta": {
            "id": _text(said, "id") or _text(said, "resource_id"), "count": shown, "table_type": "BASE TABLE",
            "aliases": [data_set.name], "size": manifest.parts[0].files["parquet"].size if manifest.parts else 0,
            "idx_size": 0, "db_size": 0,
        },
        "fields": fields,
    }  # fmt: skip


def datastore_search_sql(session: Session, said: Arguments) -> dict[str, Any]:
    """Not offered: use datastore_search, whose filters know ranges and $or."""
    raise denied("datastore_search_sql is disabled; datastore_search takes filters with ranges and $or")


Action = Callable[[Session, Arguments], Any]
ACTIONS: Mapping[str, Action] = {
    action.__name__: action
    for action in (
        package_list, package_show, current_package_list_with_resources, package_search, package_autocomplete,
        resource_show, resource_search, resource_view_list, organization_list, organization_show, group_list,
        group_show, tag_list, license_list, status_show, help_show, datastore_search, datastore_info,
        datastore_search_sql,
    )
}  # fmt: skip
"""Every action that is answered here."""
