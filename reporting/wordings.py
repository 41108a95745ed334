"""What the codes of tip-offs are called on pages, in both languages: `tip_label("state", "filed")`."""

from collections.abc import Mapping

from portal.kit import i18n, web
from record import codes
from record.codes import Labels
from reporting import attachments, cases, rules
from reporting.services import SERVICES

TABLES: Mapping[str, Labels] = {
    "state": {state: (one[0], one[1]) for state, one in cases.PUBLIC.items()},
    "state_says": {state: (one[2], one[3]) for state, one in cases.PUBLIC.items()},
    "duty": rules.DUTIES,
    "cause": rules.CAUSES,
    "service": {code: service.name for code, service in SERVICES.items()},
    "betrayed": attachments.BETRAYED,
}


def tip_label(table: str, code: str | None) -> str:
    """What people call `code`, in the visitor's language."""
    return codes.label(TABLES[table], code, i18n.current()) or ""


web.offer_to_templates(tip_label=tip_label)
