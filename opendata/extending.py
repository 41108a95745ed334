"""Reconciliation 0.2 beyond matching: the manifest, what may be suggested, and facts for entities that were matched."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from opendata import reconcile
from opendata.reconcile import ENTITY, MOST_QUERIES
from portal.kit import i18n
from portal.kit.errors import PortalError
from record import codes, entities
from record.listed import Listed
from search import results

MOST_IDS = 200
MOST_SUGGESTED = 10
_FURTHEST = 50
PREVIEW_WIDTH, PREVIEW_HEIGHT = 420, 260


class ExtendMisshapen(PortalError):
    status = 400
    slug = "reconcile-extend"
    title = "This is no question for facts."
    remedy = (
        'Send {"ids": ["…"], "properties": [{"id": "status"}]} as JSON in the field extend, with at most %(most)s ids.'
    )


class PropertyUnknown(PortalError):
    status = 422
    slug = "reconcile-property"
    title = "There is no property %(property)s here."
    remedy = "Choose from those that /reconcile/extend/propose lists."


@dataclass(frozen=True, slots=True)
class Property:
    """One fact of an entity that a table may be extended with."""

    name: tuple[str, str]
    held: Callable[[Listed], Any]
    labels: codes.Labels | None = None


PROPERTIES: Mapping[str, Property] = {
    "code": Property(("统一社会信用代码", "Credit code"), lambda one: one.code),
    "name": Property(("登记名称", "Registered name"), lambda one: one.name),
    "former_names": Property(("曾用名", "Former names"), lambda one: one.former_names),
    "district": Property(("所在区", "District"), lambda one: one.district, codes.DISTRICTS),
    "industry": Property(("行业门类", "Industry"), lambda one: one.industry, codes.INDUSTRY_SECTIONS),
    "type": Property(("主体类型", "Type"), lambda one: one.type, codes.ENTITY_TYPES),
    "status": Property(("登记状态", "Status"), lambda one: one.status, codes.ENTITY_STATUSES),
    "flags": Property(("列入名单", "Lists that it stands on"), lambda one: one.flags, codes.LISTS),
    "address": Property(("住所", "Address"), lambda one: one.address),
    "established_on": Property(("成立日期", "Established"), lambda one: one.established_on),
}


def manifest(base_url: str, name: str) -> dict[str, Any]:
    """What this service can do, and where."""
    service = {"service_url": base_url}
    return {
        "versions": ["0.2"],
        "name": name,
        "identifierSpace": f"{base_url}/entities/",
        "schemaSpace": f"{base_url}/developers#reconcile",
        "defaultTypes": [reconcile.type_shown(ENTITY)],
        "documentation": f"{base_url}/developers#reconcile",
        "logo": f"{base_url}/static/icon.svg",
        "view": {"url": f"{base_url}/entities/{{{{id}}}}"},
        "preview": {
            "url": f"{base_url}/reconcile/preview/{{{{id}}}}", "width": PREVIEW_WIDTH, "height": PREVIEW_HEIGHT,
        },
        "suggest": {
            kind: {**service, "service_path": f"/reconcile/suggest/{kind}"} for kind in ("entity", "property", "type")
        },
        "extend": {
            "propose_properties": {**service, "service_path": "/reconcile/extend/propose"},
            "property_settings": [_setting()],
        },
        "batchSize": MOST_QUERIES,
    }  # fmt: skip


def _setting() -> dict[str, Any]:
    return {
        "type": "select",
        "name": "form",
        "label": i18n.gettext("How codes are given"),
        "help_text": i18n.gettext("Districts, industries, types, statuses and lists have codes and names."),
        "default": "name",
        "choices": [
            {"value": "name", "name": i18n.gettext("As names")},
            {"value": "code", "name": i18n.gettext("As codes")},
        ],
    }


# ---- suggesting -----------------------------------------------------------------------------------------------------


def suggest_entities(session: Session, prefix: str, skip: int) -> list[dict[str, Any]]:
    """The likeliest entities while somebody is typing; `skip`: how many they have seen already."""
    start = min(max(skip, 0), _FURTHEST)
    found = results.suggest(session, prefix[:100], limit=start + MOST_SUGGESTED)[start:] if prefix.strip() else []
    return [
        {
            "id": one.code,
            "name": one.name,
            "description": reconcile.described(one.district, one.status),
            "notable": reconcile.types_of(one.type),
        }
        for one in found
    ]


def suggest_properties(prefix: str) -> list[dict[str, Any]]:
    return [{"id": name, "name": shown} for name, shown in _named() if _begins(prefix, (name, *PROPERTIES[name].name))]


def suggest_types(prefix: str) -> list[dict[str, Any]]:
    every = [(ENTITY, reconcile.type_shown(ENTITY)["name"], ""), *((k, *v) for k, v in codes.ENTITY_TYPES.items())]
    return [reconcile.type_shown(called[0]) for called in every if _begins(prefix, called)]


def _begins(prefix: str, called: Iterable[str]) -> bool:
    wanted = prefix.strip().lower()
    return not wanted or any(wanted in name.lower() for name in called)


def _named() -> list[tuple[str, str]]:
    english = i18n.current() == "en"
    return [(name, one.name[english]) for name, one in PROPERTIES.items()]


# ---- extending ------------------------------------------------------------------------------------------------------


def propose(kind: str, most: int) -> dict[str, Any]:
    """Properties of entities of a type; all types have the same."""
    offered = [{"id": name, "name": shown} for name, shown in _named()]
    return {"type": kind or ENTITY, "limit": most, "properties": offered[:most]}


def extend(session: Session, text: str | None) -> dict[str, Any]:
    """The facts that are asked for, of the entities that are named. Raises ExtendMisshapen, PropertyUnknown."""
    ids, wanted = _asked(text)
    by_id = {one: codes.normalise(one) or one for one in ids}
    known = {one.code: one for one in entities.by_codes(session, sorted(set(by_id.values())))}
    names = dict(_named())
    return {
        "meta": [{"id": name, "name": names[name]} for name in wanted],
        "rows": {
            given: {
                name: _cells(PROPERTIES[name], known[code], form) if code in known else []
                for name, form in wanted.items()
            }
            for given, code in by_id.items()
        },
    }


def _asked(text: str | None) -> tuple[list[str], dict[str, str]]:
    """Ids, and the properties with the form that codes shall have."""
    try:
        asked = json.loads(text or "")
        ids, properties = asked["ids"], asked["properties"]
        wanted = {one["id"]: dict(one.get("settings") or {}).get("form", "name") for one in properties}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ExtendMisshapen(most=MOST_IDS) from error
    if (
        not isinstance(ids, list)
        or len(ids) > MOST_IDS
        or not all(isinstance(one, str) and len(one) < 100 for one in ids)
    ):
        raise ExtendMisshapen(most=MOST_IDS)
    for name in wanted:
        if name not in PROPERTIES:
            raise PropertyUnknown(property=str(name)[:100])
    return ids, wanted


def _cells(asked: Property, entity: Listed, form: str) -> list[dict[str, Any]]:
    held = asked.held(entity)
    if held is None:
        return []
    if isinstance(held, date):
        return [{"date": f"{held.isoformat()}T00:00:00"}]
    every = [held] if isinstance(held, str) else list(held)
    if asked.labels is not None and form != "code":
        every = [codes.label(asked.labels, one, i18n.current()) or one for one in every]
    return [{"str": one} for one in every]
