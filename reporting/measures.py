"""What tip-offs measure for whoever keeps the portal running: cases on the law's clock, files in quarantine."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from portal.kit.measured import Measure
from reporting import queue


def of(session: Session) -> Sequence[Measure]:
    """Open cases, and those past a day that the law sets."""
    return [
        Measure("clocks_waiting", "Cases on a clock.", queue.open_cases(session), {"of": "tips"}),
        Measure(
            "clocks_overdue", "Cases past a day that a rule sets.", queue.overdue_in_public(session), {"of": "tips"}
        ),
    ]
