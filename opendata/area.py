"""What open data brings to the portal."""

from opendata import ckan, tasks, views
from portal.kit.area import Area

__all__ = ["AREA", "tasks"]

AREA = Area(name="opendata", pages=(views.router, ckan.router))
