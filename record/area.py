"""What the record brings to the portal."""

from portal.kit.area import Area
from record import api, desk, follow_views, tasks, views

__all__ = ["AREA", "tasks"]

AREA = Area(
    name="record",
    pages=(views.router, follow_views.router),
    api=(api.router,),
    desk=(desk.router,),
    figures=desk.figures,
)
