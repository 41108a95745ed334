"""A portal that can take tip-offs, on either database, and a camera's photo."""

import pytest

from reporting import vault
from tests.reporting import telling


@pytest.fixture
def open_vault(database: str) -> str:
    """An empty portal whose keys are made. Returns the database's kind."""
    vault.ready()
    return database


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A JPEG that says where, when and with what it was taken."""
    return telling.photo()
