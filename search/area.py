"""What search brings to the portal."""

from portal.kit.area import Area
from search import api, engine, measures, tasks, views

__all__ = ["AREA", "tasks"]


def _warm() -> None:
    engine.current().warm()


AREA = Area(name="search", pages=(views.router,), api=(api.router,), warm=_warm, measures=measures.of)
