"""What partners bring to the portal."""

from partners import board, board_desk, board_views, entrance, tasks, wordings
from portal.kit.area import Area

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(
    name="partners",
    pages=(entrance.router, board.router, board_views.router),
    desk=(board_desk.router,),
    queues=board_desk.queues,
)
