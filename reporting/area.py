"""What tip-offs bring to the portal."""

from portal.kit.area import Area
from reporting import (
    api,
    case_desk,
    desk,
    measures,
    open311_views,
    statistics_views,
    status_views,
    tasks,
    views,
    wechat_views,
    wordings,
)  # fmt: skip

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(
    name="reporting",
    pages=(views.router, status_views.router, statistics_views.router, open311_views.router, wechat_views.router),
    api=(api.router, statistics_views.api),
    desk=(desk.router, case_desk.router),
    queues=desk.queues,
    figures=desk.figures,
    measures=measures.of,
)
