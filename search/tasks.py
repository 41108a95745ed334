"""Jobs that keep the search index level with the register."""

from typing import Any

from portal.kit import jobs
from search import index


@jobs.task("search.follow", queue="search", on="entity.changed")
def follow(codes: list[Any]) -> None:
    """Index what changed."""
    index.follow(codes)


@jobs.task(index.MEND, queue="search")
def mend(_items: list[Any]) -> None:
    """Rebuild an index that was lost or has fallen behind."""
    index.mend()
