"""The API keeps to its own published description, whatever is sent."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from opendata import datastore, snapshots
from portal.app import create_app
from portal.kit import db, web
from record import signed
from tests.conftest import PublicRights, use_settings

MOST_EXAMPLES = {"/api/v1": 40, "/api/3": 20, "/data": 10, "/catalog": 10, "/reconcile": 20, "/datastore": 20}
"""By what the path begins with."""
ON_POSTGRESQL = 4
"""So many times fewer there: the answers are the same code's, and it is the statements that differ."""


def carries_its_headers(context: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """A check of schemathesis: what every answer of the portal carries."""
    missing = [name for name in web.SECURITY_HEADERS if not response.headers.get(name.lower())]
    assert not missing, missing


CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    carries_its_headers,
]  # fmt: skip


@pytest.fixture
def with_files(filled: str) -> Iterator[str]:
    """Yields the database's kind."""
    snapshots.make_all()
    yield filled
    datastore.forget()


@pytest.mark.usefixtures("unlimited")
def test_every_answer_is_one_that_the_description_announces(with_files: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL it is the public side that answers, with the rights that its role has there."""
    if with_files == "postgresql":
        with db.writing() as session:
            signed.keep(session)
        use_settings(monkeypatch, role="public")
    app = create_app()
    app.add_middleware(PublicRights)
    published = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    operations = [result.ok() for result in published.get_all_operations()]
    described = {(path, method.upper()) for path, item in app.openapi()["paths"].items() for method in item}
    assert {(one.path, one.method.upper()) for one in operations} == described
    assert len(described) > 50
    assert ("/api/v1/feeds/{kind}" in {path for path, _ in described}) == (with_files == "sqlite")
    for operation in operations:
        tries = next(tries for start, tries in MOST_EXAMPLES.items() if operation.path.startswith(start))

        if with_files == "postgresql":
            tries = max(3, tries // ON_POSTGRESQL)

        @given(case=operation.as_strategy())
        @settings(
            max_examples=tries, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def keeps_to_it(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        keeps_to_it()
