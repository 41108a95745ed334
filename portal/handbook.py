"""What the developers' page says of the API, read from the API's own description, so that the two cannot differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from portal.kit.errors import PortalError


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    required: bool
    shape: str
    """Type, range and pattern, as in `integer, 1 to 100`."""
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one address."""

    key: str
    """`GET /api/v1/suggest`."""
    method: str
    path: str
    summary: str
    parameters: Sequence[Parameter]
    example_address: str
    example_body: str | None

    @property
    def anchor(self) -> str:
        return self.key.lower().replace("/api/v1/", "").translate(str.maketrans(" /", "--", "{}"))


@dataclass(frozen=True, slots=True)
class Sample:
    """What the examples ask for: an entity of this register, so that they work when they are copied."""

    code: str = "91310199MA1DEMO018"
    name: str = "上海青禾照明电器有限公司"


def operations(schema: Mapping[str, Any], sample: Sample) -> list[Operation]:
    """Every operation of an OpenAPI document, in its order, with an example to copy."""
    return [
        _operation(method.upper(), path, described, sample)
        for path, methods in schema["paths"].items()
        for method, described in methods.items()
    ]


def _operation(method: str, path: str, described: Mapping[str, Any], sample: Sample) -> Operation:
    parameters = [_parameter(one) for one in described.get("parameters", [])]
    known = {one["name"]: one["example"] for one in described.get("parameters", []) if "example" in one}
    if any(one.name == "q" for one in parameters) and path.startswith("/api/v1/"):
        known |= {"q": sample.name, "limit": 5}
    inside = {"code": sample.code, **known}
    asked = urlencode({name: value for name, value in known.items() if f"{{{name}}}" not in path})
    body = json.dumps({"items": [sample.name, sample.code]}, ensure_ascii=False) if "requestBody" in described else None
    return Operation(
        key=f"{method} {path}",
        method=method,
        path=path,
        summary=described.get("description") or described.get("summary", ""),
        parameters=parameters,
        example_address=_filled(path, inside) + (f"?{asked}" if asked else ""),
        example_body=body,
    )


def _filled(path: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path


def _parameter(described: Mapping[str, Any]) -> Parameter:
    schema = described.get("schema", {})
    shape = next((one for one in schema.get("anyOf", []) if one.get("type") != "null"), schema)
    words = [shape.get("type", "")]
    if "minimum" in shape and "maximum" in shape:
        words.append(f"{shape['minimum']}–{shape['maximum']}")
    if "maxLength" in shape:
        words.append(f"≤ {shape['maxLength']}")
    if schema.get("default") not in (None, ""):
        words.append(f"= {schema['default']}")
    description = described.get("description") or schema.get("description", "")
    return Parameter(described["name"], bool(described.get("required")), ", ".join(words), description)


def problems() -> list[type[PortalError]]:
    """Every kind of refusal, by status and then by name; one that only renames its parent is left out."""
    found: dict[str, type[PortalError]] = {PortalError.slug: PortalError}
    waiting = list(PortalError.__subclasses__())
    while waiting:
        error = waiting.pop()
        found.setdefault(error.slug, error)
        waiting += error.__subclasses__()
    return sorted(found.values(), key=lambda error: (error.status, error.slug))
