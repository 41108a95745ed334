"""The catalogue: each data set as CKAN writes a package, with its resources, and searching among them."""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from opendata import descriptors, snapshots
from opendata.models import Snapshot
from opendata.snapshots import MEDIA_TYPES, Manifest
from portal.kit import datasets
from portal.kit.datasets import DataSet
from portal.kit.errors import NotFound
from portal.kit.settings import get_settings
from record import publication

_SPACE = uuid.UUID("6f1f5a0e-5f6c-5c1e-9b52-1f2f4c1f9d10")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
"""When the catalogue began."""
ORGANISATION = "market-regulator"
DATASTORE_FORM = "csv"
"""The form whose resource can be queried."""
Package = dict[str, Any]


def id_of(name: str) -> str:
    """An id that stays: a UUID (version 5) of what it names."""
    return str(uuid.uuid5(_SPACE, name))


def stamp(moment: datetime) -> str:
    """A moment as CKAN writes it: UTC, of one width, so that texts compare as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def organisation(packages: int) -> Package:
    """The one publisher."""
    return {
        "id": id_of(ORGANISATION), "name": ORGANISATION, "title": get_settings().department, "display_name":
        get_settings().department, "description": "", "type": "organization", "is_organization": True,
        "state": "active", "approval_status": "approved", "image_url": "", "image_display_url": "",
        "created": stamp(BEGINNING), "package_count": packages, "num_followers": 0, "users": [], "groups": [],
        "tags": [], "extras": [],
    }  # fmt: skip


def _brief_organisation() -> Package:
    whole = organisation(0)
    return {key: whole[key] for key in (
        "id", "name", "title", "type", "description", "image_url", "created", "is_organization", "approval_status",
        "state",
    )}  # fmt: skip


def _tags(data_set: DataSet) -> list[Package]:
    found = ["market-supervision", data_set.name, *([data_set.kind] if data_set.kind else [])]
    return [
        {"id": id_of(f"tag/{tag}"), "name": tag, "display_name": tag, "state": "active", "vocabulary_id": None}
        for tag in dict.fromkeys(found)
    ]


def _resources(data_set: DataSet, snapshot: Snapshot, manifest: Manifest) -> list[Package]:
    home = f"{descriptors.base()}/data/{data_set.name}"
    found = []
    for place, (form, file) in enumerate(descriptors.downloads(manifest).items()):
        in_store = form == DATASTORE_FORM
        found.append({
            "id": resource_id(data_set.name, form), "package_id": id_of(data_set.name), "name":
            f"{data_set.titles[0]} ({form})", "description": data_set.about[0], "format": form.upper(),
            "url": f"{home}.{form}", "url_type": None, "mimetype": MEDIA_TYPES[form].partition(";")[0],
            "mimetype_inner": None, "size": file.size, "hash": file.sha256, "resource_type": None,
            "created": stamp(BEGINNING), "last_modified": stamp(snapshot.changed_at), "metadata_modified":
            stamp(snapshot.changed_at), "cache_url": None, "cache_last_updated": None, "datastore_active": in_store,
            "position": place, "state": "active",
        })  # fmt: skip
    return found


def resource_id(name: str, form: str) -> str:
    """Id of a data set's resource in one form."""
    return id_of(f"{name}/{form}")


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def package(data_set: DataSet, made: tuple[Snapshot, Manifest] | None) -> Package:
    """A data set as `package_show` answers."""
    resources = _resources(data_set, *made) if made else []
    tags = _tags(data_set)
    modified = stamp(made[0].changed_at if made else BEGINNING)
    extras = {
        "title_en": data_set.titles[1], "update_frequency": "daily", "ledger_seq": str(made[0].seq) if made else "",
        "rows": str(made[1].rows) if made else "", "newest": (made[1].newest or "") if made else "",
        "rejected_rows_of_30_days": _text(made[1].rejected if made else None), "identifier":
        f"{descriptors.base()}/data/{data_set.name}", "withdrawn": f"{descriptors.base()}/data/withdrawn.csv",
    }  # fmt: skip
    return {
        "id": id_of(data_set.name), "name": data_set.name, "title": data_set.titles[0], "notes":
        f"{data_set.about[0]}\n\n{data_set.about[1]}", "metadata_created": stamp(BEGINNING),
        "metadata_modified": modified, "state": "active", "type": "dataset", "private": False, "isopen": True,
        "license_id": "cc-by", "license_title": "Creative Commons Attribution", "license_url":
        descriptors.LICENCE["path"], "author": get_settings().department, "author_email": None,
        "maintainer": get_settings().department, "maintainer_email": None, "url":
        f"{descriptors.base()}/data/{data_set.name}", "version": str(made[0].seq) if made else None,
        "creator_user_id": None, "owner_org": id_of(ORGANISATION), "organization": _brief_organisation(),
        "groups": [], "tags": tags, "extras": [{"key": key, "value": value} for key, value in extras.items()],
        "num_resources": len(resources), "num_tags": len(tags), "resources": resources, "relationships_as_subject": [],
        "relationships_as_object": [],
    }  # fmt: skip


def shown_sets(session: Session) -> Mapping[str, DataSet]:
    """The data sets that this portal shows today, by name, in the order in which they are offered."""
    off = publication.switched_off(session, publication.today())
    return {name: one for name, one in datasets.offered().items() if one.kind not in off}


def shown(session: Session) -> list[tuple[DataSet, tuple[Snapshot, Manifest] | None]]:
    """The same, each with its snapshot if it is made."""
    made = snapshots.all_of(session)
    return [(one, made.get(name)) for name, one in shown_sets(session).items()]


def shown_one(session: Session, name: str) -> tuple[DataSet, tuple[Snapshot, Manifest] | None]:
    """One data set that is shown today, with its snapshot if it is made. Raises NotFound."""
    found = shown_sets(session).get(name)
    if found is None:
        raise NotFound
    return found, snapshots.of(session, name)


def all_packages(session: Session) -> list[Package]:
    """Every data set that this portal shows today, by name."""
    return sorted((package(*one) for one in shown(session)), key=lambda one: str(one["name"]))


# ---- searching ------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"[+-]?[A-Za-z_]+:\[[^\]]*\]|[+-]?[A-Za-z_]+:\"[^\"]*\"|[+-]?[A-Za-z_]+:\([^)]*\)|\"[^\"]*\"|[^\s()]+"
)
_RANGE = re.compile(r"\[(\S+) TO (\S+)\]")
_FIELDS: Mapping[str, Callable[[Package], Sequence[str]]] = {
    "id": lambda one: [one["id"]],
    "name": lambda one: [one["name"]],
    "title": lambda one: [one["title"]],
    "state": lambda one: [one["state"]],
    "type": lambda one: [one["type"]],
    "dataset_type": lambda one: [one["type"]],
    "private": lambda one: [str(one["private"]).lower()],
    "organization": lambda one: [one["organization"]["name"]],
    "owner_org": lambda one: [one["owner_org"]],
    "groups": lambda one: [group["name"] for group in one["groups"]],
    "tags": lambda one: [tag["name"] for tag in one["tags"]],
    "license_id": lambda one: [one["license_id"]],
    "res_format": lambda one: sorted({resource["format"] for resource in one["resources"]}),
    "metadata_modified": lambda one: [one["metadata_modified"]],
    "metadata_created": lambda one: [one["metadata_created"]],
}
SORTABLE = ("name", "title", "id", "metadata_modified", "metadata_created")
FACETS = ("organization", "groups", "tags", "res_format", "license_id")


class QueryWrong(Exception):
    """A query that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Searched:
    """Packages that answer, the best first."""

    packages: Sequence[Package]


def search(packages: Iterable[Package], q: str, fq: Sequence[str], sort: str) -> list[Package]:
    """The packages that answer a query and its filters (Solr's forms that clients send), sorted. Raises QueryWrong."""
    filters = [_filter(text) for text in fq if text.strip()]
    scored = [(one, _score(one, q)) for one in packages if all(matches(one) for matches in filters)]
    found = [(one, score) for one, score in scored if score > 0]
    for name, descending in reversed(_order(sort)):
        if name == "score":
            found.sort(key=lambda pair: pair[1], reverse=descending)
        else:
            found.sort(key=lambda pair: str(pair[0][name]), reverse=descending)
    return [one for one, _ in found]


def _order(sort: str) -> list[tuple[str, bool]]:
    order = []
    for part in (sort or "score desc, metadata_modified desc").split(","):
        words = part.split()
        name = {"title_string": "title", "": ""}.get(words[0], words[0]) if words else ""
        if not 1 <= len(words) <= 2 or (name not in SORTABLE and name != "score"):
            raise QueryWrong(f"cannot sort by {part.strip()!r}")
        order.append((name, len(words) == 2 and words[1].lower() == "desc"))
    return [*order, ("id", False)]


def _score(one: Package, q: str) -> int:
    text = q.strip()
    if text in {"", "*:*", "*"}:
        return 1
    fielded = [token for token in _TOKEN.findall(text) if ":" in token and token.lstrip("+-").split(":")[0] in _FIELDS]
    if fielded:
        return int(_filter(text)(one))
    where = [(8, one["name"]), (8, one["title"]), (4, " ".join(tag["name"] for tag in one["tags"])), (2, one["notes"]),
             (1, " ".join(extra["value"] for extra in one["extras"]))]  # fmt: skip
    total = 0
    for word in text.lower().replace('"', " ").split():
        best = max((weight for weight, said in where if word.strip("*") in said.lower()), default=0)
        if best == 0:
            return 0
        total += best
    return total


def _filter(text: str) -> Callable[[Package], bool]:
    """`a:x OR a:y`, `-a:x -a:y`, `a:x b:y`, `a:[x TO *]`. Raises QueryWrong."""
    alternatives: list[list[tuple[bool, Callable[[Package], bool]]]] = []
    joined = False
    negated = False
    for token in _TOKEN.findall(text):
        if token.upper() in {"OR", "AND", "NOT"}:
            joined, negated = token.upper() == "OR", token.upper() == "NOT"
            continue
        condition = (not (token.startswith("-") or negated), _condition(token.lstrip("+-")))
        negated = False
        if joined and alternatives:
            alternatives[-1].append(condition)
        else:
            alternatives.append([condition])
        joined = False
    return lambda one: all(any(matches(one) == wanted for wanted, matches in group) for group in alternatives)


def _condition(written: str) -> Callable[[Package], bool]:
    name, colon, value = written.partition(":")
    if written == "*:*":
        return lambda one: True
    if not colon:
        return lambda one: _score(one, written) > 0
    values = _FIELDS.get(name)
    if values is None:
        return lambda one: any(extra["key"] == name and extra["value"] == value for extra in one["extras"])
    span = _RANGE.fullmatch(value)
    if span:
        low, high = (None if end == "*" else end.rstrip("Z") for end in span.groups())
        return lambda one: any((low is None or low <= said) and (high is None or said <= high) for said in values(one))
    if value.startswith("("):
        wanted = {part for part in re.split(r"\s+(?:OR\s+)?", value.strip("()").replace('"', "")) if part}
        return lambda one: not wanted.isdisjoint(values(one))
    bare = value.strip('"')
    if bare in {"*", "[* TO *]"}:
        return lambda one: bool(values(one))
    if bare.endswith("*"):
        return lambda one: any(said.startswith(bare[:-1]) for said in values(one))
    return lambda one: bare in values(one)


def facets(packages: Sequence[Package], wanted: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many packages have each value of these fields."""
    found: dict[str, dict[str, int]] = {}
    for name in wanted:
        values = _FIELDS.get(name)
        counts: dict[str, int] = {}
        for one in packages if values else ():
            for value in values(one) if values else ():
                counts[value] = counts.get(value, 0) + 1
        found[name] = counts
    return found
