"""What open data brings to the portal."""

from opendata import lists_views, reconcile_views, tasks
from portal.kit.area import Area

__all__ = ["AREA", "tasks"]

AREA = Area(name="opendata", pages=(reconcile_views.router, lists_views.router))
