"""What partners bring to the portal."""

from partners import api, applying, desk, entrance, office, organisation_office, ratings_office, tasks, wordings
from portal.kit.area import Area

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(
    name="partners",
    pages=(
        applying.router,
        entrance.router,
        office.router,
        ratings_office.router,
        organisation_office.router,
    ),
    desk=(desk.router,),
    queues=desk.queues,
    api=(api.router,),
)
