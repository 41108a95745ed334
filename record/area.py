"""What the record brings to the portal."""

from portal.kit import pdf
from portal.kit.area import Area
from record import (
    api,
    applications_desk,
    desk,
    entries_desk,
    feedback_desk,
    feeds_api,
    follow_views,
    imports_desk,
    measures,
    report_views,
    rules_desk,
    tasks,
    views,
)

__all__ = ["AREA", "tasks"]

AREA = Area(
    name="record",
    pages=(views.router, follow_views.router, report_views.router),
    api=(api.router,),
    government_api=(feeds_api.router,),
    desk=(
        desk.router,
        applications_desk.router,
        entries_desk.router,
        imports_desk.router,
        rules_desk.router,
        feedback_desk.router,
    ),
    queues=lambda session, officer: [*desk.queues(session, officer), *feedback_desk.queues(session, officer)],
    figures=desk.figures,
    measures=measures.of,
    freshness=views.freshness,
    warm=pdf.warm,
)
