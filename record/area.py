"""What the record brings to the portal."""

from portal.kit.area import Area
from record import api, desk, feedback_desk, tasks, views

__all__ = ["AREA", "tasks"]

AREA = Area(
    name="record",
    pages=(views.router,),
    api=(api.router,),
    desk=(desk.router, feedback_desk.router),
    queues=feedback_desk.queues,
    figures=desk.figures,
)
