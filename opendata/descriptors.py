"""A data set described for programs: Data Package 2.0 with Table Schema."""

from typing import Any

from opendata import files
from opendata.files import File
from opendata.models import Snapshot
from opendata.snapshots import STREAMED, Manifest
from portal.kit.datasets import Column, DataSet
from portal.kit.settings import get_settings
from portal.kit.shapes import moment

LICENCE = {
    "name": "CC-BY-4.0",
    "title": "Creative Commons Attribution 4.0",
    "path": "https://creativecommons.org/licenses/by/4.0/",
}
_FIELD_TYPES = {"text": "string", "int": "integer", "numeric": "number", "date": "date", "timestamp": "datetime",
                "bool": "boolean"}  # fmt: skip


def base() -> str:
    """The portal's address, as others write it."""
    return get_settings().base_url.rstrip("/")


def field(column: Column) -> dict[str, Any]:
    """A column in Table Schema's terms."""
    said: dict[str, Any] = {"name": column.name, "type": _FIELD_TYPES[column.type], "title": column.titles[0]}
    if column.type == "timestamp":
        said["format"] = "%Y-%m-%dT%H:%M:%SZ"
    if column.type == "bool":
        said |= {"trueValues": ["true"], "falseValues": ["false"]}
    meaning = "; ".join(text for text in (column.titles[1], *column.meaning) if text)
    said["description"] = meaning
    if column.codes:
        said["categories"] = [{"value": code, "label": names[0]} for code, names in column.codes.items()]
    return said


def package(data_set: DataSet, snapshot: Snapshot, manifest: Manifest) -> dict[str, Any]:
    """The descriptor of a data set (Data Package 2.0), its parts as further resources."""
    home = f"{base()}/data/{data_set.name}"
    schema = {
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "fields": [field(column) for column in data_set.columns],
        "primaryKey": [data_set.key],
        "missingValues": [""],
    }
    whole = {
        "name": data_set.name, "path": f"{home}.csv", "type": "table", "format": "csv", "mediatype": "text/csv",
        "encoding": "utf-8", "hash": f"sha256:{manifest.whole['csv']}", "bytes": files.whole(manifest, "csv").size,
        "schema": schema,
    }  # fmt: skip
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": data_set.name,
        "title": data_set.titles[0],
        "description": f"{data_set.about[0]} {data_set.about[1]}",
        "homepage": home,
        "created": moment(snapshot.made_at),
        "version": f"{snapshot.seq}.{snapshot.cleaned}",
        "licenses": [LICENCE],
        "resources": [whole],
    }


def downloads(manifest: Manifest) -> dict[str, File]:
    """The forms in which the whole can be taken in one file; Parquet of several parts is taken by them."""
    found = {form: files.of(manifest, form) for form in (*STREAMED, "parquet", "xlsx")}
    return {form: file for form, file in found.items() if file}
