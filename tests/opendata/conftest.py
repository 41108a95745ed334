"""Data sets written from a portal of made-up entities, and copies that are closed with their test."""

from collections.abc import Iterator

import pytest

from opendata import datastore, snapshots, tasks

assert tasks


@pytest.fixture
def written(filled: str) -> Iterator[str]:
    """A portal with 300 made-up entities whose data sets are written. Yields the database's kind."""
    snapshots.make_all()
    yield filled
    datastore.forget()
