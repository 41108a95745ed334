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

MOST_EXAMPLES = {"/api/v1": 40, "/api/3": 20, "/data": 10, "/catalog": 10, "/reconcile": 20, "/datastore": 20}
"""By what the path begins with."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def with_files(filled: str) -> Iterator[None]:
    snapshots.make_all()
    yield
    datastore.forget()


@pytest.mark.usefixtures("with_files", "unlimited")
def test_every_answer_is_one_that_the_description_announces() -> None:
    published = schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app())
    operations = [result.ok() for result in published.get_all_operations()]
    assert len(operations) >= 4
    for operation in operations:
        tries = next(tries for start, tries in MOST_EXAMPLES.items() if operation.path.startswith(start))

        @given(case=operation.as_strategy())
        @settings(
            max_examples=tries, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def keeps_to_it(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        keeps_to_it()
