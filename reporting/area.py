"""What tip-offs bring to the portal."""

from portal.kit.area import Area
from reporting import api, status_views, tasks, views, wordings

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(name="reporting", pages=(views.router, status_views.router), api=(api.router,))
