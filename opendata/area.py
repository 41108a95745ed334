"""What open data brings to the portal."""

from opendata import ckan, dcat_views, deltas_views, described, desk, lists_views, reconcile_views, tasks, views
from portal.kit.area import Area

__all__ = ["AREA", "tasks"]

AREA = Area(
    name="opendata",
    pages=(
        lists_views.router,
        reconcile_views.router,
        deltas_views.router,
        views.router,
        ckan.router,
        dcat_views.router,
    ),
    described=described.paths,
    freshness=views.freshness,
    desk=(desk.router,),
    queues=desk.queues,
)
