"""What search brings to the portal."""

from portal.kit.area import Area
from search import api, tasks, views

__all__ = ["AREA", "tasks"]

AREA = Area(name="search", pages=(views.router,), api=(api.router,))
