"""What open data brings to the portal."""

from opendata import (
    ckan,
    consumers_api,
    consumers_desk,
    consumers_views,
    datastore,
    dcat_views,
    deltas_views,
    described,
    desk,
    lists_views,
    measures,
    reconcile_views,
    tasks,
    usage,
    views,
    watches_api,
)
from portal.kit.area import Area

__all__ = ["AREA", "tasks"]

AREA = Area(
    name="opendata",
    pages=(
        lists_views.router,
        reconcile_views.router,
        consumers_views.router,
        deltas_views.router,
        views.router,
        ckan.router,
        dcat_views.router,
    ),
    api=(consumers_api.router, watches_api.router),
    described=described.paths,
    freshness=views.freshness,
    running=usage.written_down,
    desk=(desk.router, consumers_desk.router),
    queues=desk.queues,
    measures=measures.of,
    warm=datastore.prepare,
)
