"""The published description of the JSON API (OpenAPI 3.1): FastAPI's own, with the refusals as they really look."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from portal.kit import errors, idempotency, keys
from portal.kit.errors import PortalError

PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "A refusal (RFC 9457).",
    "required": ["type", "title", "status", "remedy"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "What kind of refusal it is."},
        "title": {"type": "string", "description": "What is wrong, in the language of Accept-Language."},
        "status": {"type": "integer"},
        "remedy": {"type": "string", "description": "What to do next."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def _refusal(error: type[PortalError]) -> dict[str, Any]:
    example = {
        "type": f"/developers#problem-{error.slug}",
        "title": error.title,
        "status": error.status,
        "remedy": error.remedy % {"limit": 8_000_000, "seconds": 30, "scope": "feeds:penalties"},
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": error.title, "content": {"application/problem+json": content}}


def _describe_refusals(path: str, operation: dict[str, Any]) -> None:
    possible = [errors.InvalidInput, errors.TooManyRequests, errors.Unavailable]
    if "{" in path:
        possible.append(errors.NotFound)
    if "requestBody" in operation:
        possible += [errors.TooLarge, errors.BadRequest]
    asked = operation.get("security", [])
    if {keys.SCHEME: []} in asked:
        operation["security"] = [{keys.SCHEME: []}]
        possible += [keys.KeyMissing, keys.ScopeMissing, idempotency.StillRunning]
    elif asked:
        operation["security"] = [{}, {keys.SCHEME: []}]
        possible += [keys.KeyUnknown]
    for error in possible:
        operation["responses"][str(error.status)] = _refusal(error)
    operation["responses"]["429"]["headers"] = {
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    }


def publish(app: FastAPI, *outside: Mapping[str, Any]) -> None:
    """Make `app.openapi()` describe every refusal as the problem document that it is, and paths `outside` /api/v1."""
    generate = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    _describe_refusals(path, operation)
            for described in outside:
                schema["paths"] |= described
            schema["components"]["securitySchemes"].pop(keys.SCHEME_IF_SENT, None)
            schemas = schema["components"]["schemas"]
            schemas["Problem"] = PROBLEM
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return app.openapi_schema or {}

    app.openapi = whole  # type: ignore[method-assign]
