"""What the record brings to the portal."""

from portal.kit.area import Area
from record import api, applications_desk, desk, entries_desk, imports_desk, tasks, views

__all__ = ["AREA", "tasks"]

AREA = Area(
    name="record",
    pages=(views.router,),
    api=(api.router,),
    desk=(desk.router, applications_desk.router, entries_desk.router, imports_desk.router),
    queues=desk.queues,
    figures=desk.figures,
)
