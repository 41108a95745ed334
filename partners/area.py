"""What partners bring to the portal."""

from partners import (
    api,
    applying,
    board,
    board_desk,
    board_views,
    desk,
    entrance,
    measures,
    office,
    organisation_office,
    panel,
    public_api,
    ratings_office,
    tasks,
    views,
    wordings,
)
from portal.kit.area import Area

__all__ = ["AREA", "tasks", "wordings"]

AREA = Area(
    name="partners",
    pages=(
        applying.router,
        board_views.router,
        entrance.router,
        office.router,
        ratings_office.router,
        organisation_office.router,
        board.router,
        views.router,
    ),
    desk=(desk.router, board_desk.router),
    queues=lambda session, officer: [*desk.queues(session, officer), *board_desk.queues(session, officer)],
    api=(api.router, public_api.router),
    panels=panel.of,
    measures=measures.of,
    panelled_kinds=("evaluation",),
)
