"""What OpenAPI says of open data: CKAN's actions, files, tables and reconciliation, which lie outside /api/v1.

Published shapes, beside which the routes are tested: nothing here is made from the code that it describes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "maxLength": 2_000}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_YES_NO: Schema = {"type": "boolean"}
ARGUMENTS: Mapping[str, tuple[Schema, str, Any]] = {
    "id": (_TEXT, "Id or name.", "entities"),
    "resource_id": (_TEXT, "Id of a table, or the name of its data set.", "entities"),
    "name": (_TEXT, "Name of an action.", "package_show"),
    "q": (_TEXT, "Words to look for; at most eight in a table.", None),
    "query": (_TEXT, "Part of what is looked for; of resources `field:text`.", None),
    "fq": (_TEXT, "Filter in Solr's words: `tags:penalties`, `metadata_modified:[2026-01-01T00:00:00Z TO *]`.", None),
    "filters": (_TEXT, "JSON: column and value, list of values, or range; `$or` for alternatives.",
                '{"district":"310104"}'),
    "fields": (_TEXT, "Columns, separated by commas.", None),
    "sort": (_TEXT, "Columns, each with `asc` or `desc`, separated by commas.", None),
    "limit": (_WHOLE, "How many; what is above the cap is brought down to it.", 5),
    "rows": (_WHOLE, "How many; 1,000 at the most.", 5),
    "offset": (_WHOLE, "How many to leave out; in a table 100,000 at the most: further on, follow `next_page`.", None),
    "start": (_WHOLE, "How many to leave out.", None),
    "all_fields": (_YES_NO, "Whole objects instead of names.", None),
    "include_datasets": (_YES_NO, "With the first data sets.", None),
    "facet.field": (_TEXT, "JSON list of fields to count by.", '["tags"]'),
    "facet.limit": (_WHOLE, "How many values of a field.", None),
    "facet.mincount": (_WHOLE, "Leave out what is rarer.", None),
    "distinct": (_YES_NO, "Each different row once.", None),
    "include_total": (_YES_NO, "With the number of all rows that answer.", None),
    "include_next_page": (_YES_NO, "With `next_page`, to be merged into filters for the next page.", None),
    "page": ({"type": "integer", "minimum": 1}, "Which page of 100 data sets.", None),
    "modified_since": (_TEXT, "Only data sets that changed since a day or a moment (ISO 8601).", None),
    "records_format": ({"type": "string"}, "objects, lists, csv or tsv.", None),
}  # fmt: skip
"""What actions take: shape, meaning, an example."""
ACTIONS: Mapping[str, tuple[str, Sequence[str]]] = {
    "package_list": ("Names of the data sets.", ("limit", "offset")),
    "package_show": ("One data set.", ("id",)),
    "current_package_list_with_resources": ("Data sets, the last changed first.", ("limit", "offset")),
    "package_search": (
        "Data sets that answer a query, with counts.",
        ("q", "fq", "sort", "rows", "start", "facet.field", "facet.limit", "facet.mincount"),
    ),
    "package_autocomplete": ("Data sets whose name or title holds a text.", ("q", "limit")),
    "resource_show": ("One file or table of a data set.", ("id",)),
    "resource_search": ("Files by what is said of them.", ("query", "limit", "offset")),
    "resource_view_list": ("Views of a resource: there are none.", ("id",)),
    "organization_list": ("The publisher.", ("all_fields", "q", "offset")),
    "organization_show": ("The publisher.", ("id", "include_datasets")),
    "group_list": ("Groups: there are none.", ()),
    "group_show": ("A group: there are none.", ("id",)),
    "tag_list": ("Tags of the data sets.", ("query", "all_fields")),
    "license_list": ("Licences of the data sets.", ()),
    "status_show": ("What answers here.", ()),
    "help_show": ("What an action does.", ("name",)),
    "datastore_search": (
        "Rows of a table.",
        ("resource_id", "filters", "q", "fields", "sort", "limit", "offset", "distinct", "include_total",
         "include_next_page", "records_format"),
    ),
    "datastore_info": ("What a table holds.", ("id",)),
    "datastore_search_sql": ("Refused: use `datastore_search`, whose filters know ranges and `$or`.", ()),
}  # fmt: skip
_ENVELOPE: Schema = {
    "type": "object",
    "required": ["help", "success"],
    "properties": {
        "help": {"type": "string"},
        "success": {"type": "boolean"},
        "result": {},
        "error": {"type": "object", "required": ["__type"], "properties": {"__type": {"type": "string"}}},
    },
}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}, "text/html": {}}
"""A page for who takes pages."""
_FILES = {
    "csv": "text/csv",
    "csv.gz": "application/gzip",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_RDF = {"ttl": "text/turtle", "rdf": "application/rdf+xml", "jsonld": "application/ld+json"}
_DATA_SET: Schema = {
    "name": "name", "in": "path", "required": True, "description": "Name of a data set.", "example": "penalties",
    "schema": {"type": "string", "pattern": "^[a-z][a-z-]{1,39}$"},
}  # fmt: skip


def paths() -> dict[str, Any]:
    """The paths of open data, as OpenAPI 3.1 has them."""
    described: dict[str, Any] = {f"/api/3/action/{name}": _action(name) for name in ACTIONS}
    described["/datastore/dump/{resource_id}"] = {"get": _dump()}
    for form in _FILES:
        described[f"/data/{{name}}.{form}"] = {"get": _file(form)}
    described["/data/{name}/datapackage.json"] = {"get": _answering(
        "A data set described for programs (Data Package 2.0).", [_DATA_SET],
        {"200": _json({"type": "object"}), "404": _refused(), "503": _refused()},
    )}  # fmt: skip
    described["/data/withdrawn.csv"] = {"get": _answering(
        "Every entry that must not be used any longer, oldest first.",
        [_query("after", {"type": "integer"}, "Behind this entry of the ledger.", None)],
        {"200": {"description": "Rows: seq, id, data_set, withdrawn_on.", "content": {"text/csv": {}}}},
    )}  # fmt: skip
    described["/data/changes.json"] = {"get": _answering(
        "Days that have a file of changes, the newest first.",
        [_query("before", {"type": "string", "format": "date"}, "Only days before this one.", None),
         _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}, "How many days.", None)],
        {"200": _json({"type": "object", "required": ["items", "next"]})},
    )}  # fmt: skip
    for form, media_type in (("jsonl", "application/x-ndjson"), ("jsonl.gz", "application/gzip")):
        day = {"name": "day", "in": "path", "required": True, "description": "A day of the city's calendar.",
               "example": "2026-11-22", "schema": {"type": "string", "format": "date"}}  # fmt: skip
        described[f"/data/changes/{{day}}.{form}"] = {"get": _answering(
            "One day's changes, a step of the ledger a line.", [day],
            {"200": {"description": "The file.", "content": {media_type: {}}}, "404": _refused()},
        )}  # fmt: skip
    for form, media_type in _RDF.items():
        written = {"200": {"description": "One page, with Hydra's links to the others.", "content": {media_type: {}}},
                   "304": {"description": "You have it."}, "404": _refused()}  # fmt: skip
        described[f"/catalog.{form}"] = {"get": _answering(
            f"The catalogue as DCAT-AP 3.0.1 in {media_type}.",
            [_query(one, *ARGUMENTS[one]) for one in ("page", "q", "fq", "modified_since")], written,
        )}  # fmt: skip
        described[f"/dataset/{{name}}.{form}"] = {"get": _answering(
            f"One data set as DCAT-AP 3.0.1 in {media_type}.", [_DATA_SET], written,
        )}  # fmt: skip
    described["/data.json"] = {"get": _answering(
        "The catalogue as DCAT-US.", [], {"200": _json({"type": "object", "required": ["dataset"]})},
    )}  # fmt: skip
    described["/reconcile"] = {"get": _answering(
        "What the reconciliation service can do (W3C 0.2), or the matches of a batch.",
        [_query("queries", _TEXT, "JSON: a batch of queries; a long one is sent as a form by POST.", None)],
        {"200": _json({"type": "object"}), "400": _json({"type": "object"})},
    )}  # fmt: skip
    return described


def _action(name: str) -> Schema:
    said, arguments = ACTIONS[name]
    asked = [_query(one, *ARGUMENTS[one]) for one in arguments]
    refusals = {status: _json(_ENVELOPE) for status in ("400", "403", "404", "409", "503")}
    return {"get": _answering(f"{said} (CKAN)", asked, {"200": _json(_ENVELOPE), **refusals})}


def _dump() -> Schema:
    place = {"name": "resource_id", "in": "path", "required": True, "description": ARGUMENTS["resource_id"][1],
             "example": "penalties", "schema": {"type": "string"}}  # fmt: skip
    forms = {"type": "string", "enum": ["csv", "tsv", "json", "xml"]}
    asked = [place, _query("format", forms, "Form of the answer.", None)]
    asked += [_query(one, *ARGUMENTS[one]) for one in ("filters", "q", "fields", "limit")]
    streamed: dict[str, Any] = {media: {} for media in (
        "text/csv", "text/tab-separated-values", "application/json", "text/xml")}  # fmt: skip
    refusals = {status: _json({"type": "object"}) for status in ("400", "403", "404", "409")}
    answers = {"200": {"description": "Rows, in one stream.", "content": streamed}, **refusals}
    return _answering("All rows of a table, or those that filters leave.", asked, {**answers, "503": _refused()})


def _file(form: str) -> Schema:
    whole = {"description": "The file.", "content": {_FILES[form]: {}}}
    headers = [
        {"name": name, "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
        for name, said in (("Range", "Which bytes."), ("If-None-Match", "The ETag of what you have."))
    ]
    return _answering(
        f"A whole data set as {form}.",
        [_DATA_SET, *headers],
        {"200": whole, "206": {**whole, "description": "The bytes asked for."},
         "304": {"description": "You have it."}, "404": _refused(), "416": _refused(), "503": _refused()},
    )  # fmt: skip


def _answering(said: str, asked: Sequence[Schema], answers: Mapping[str, Any]) -> Schema:
    return {"tags": ["open data"], "summary": said, "parameters": list(asked),
            "responses": {**answers, "422": _refused(), "429": _refused()}}  # fmt: skip


def _query(name: str, schema: Schema, meaning: str, example: Any) -> Schema:
    said: Schema = {"name": name, "in": "query", "required": False, "description": meaning, "schema": schema}
    return said if example is None else {**said, "example": example}


def _json(schema: Schema) -> Schema:
    return {"description": "The answer.", "content": {"application/json": {"schema": schema}}}


def _refused() -> Schema:
    return {"description": "A refusal.", "content": _PROBLEM}
