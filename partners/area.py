"""What partners bring to the portal."""

from partners import api, entrance, tasks, wordings
from portal.kit.area import Area

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(
    name="partners",
    pages=(entrance.router,),
    api=(api.router,),
)
