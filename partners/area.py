"""What partners bring to the portal."""

from partners import entrance, tasks, wordings
from portal.kit.area import Area

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(
    name="partners",
    pages=(entrance.router,),
)
