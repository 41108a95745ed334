"""What the codes of tip-offs are called on pages, in both languages: `tip_label("state", "filed")`."""

from collections.abc import Mapping

from portal.kit import i18n, web
from record import codes
from record.codes import Labels
from reporting import attachments, cases, matters, rewards, rules

TABLES: Mapping[str, Labels] = {
    "state": {state: (one[0], one[1]) for state, one in cases.PUBLIC.items()},
    "state_says": {state: (one[2], one[3]) for state, one in cases.PUBLIC.items()},
    "kind": matters.KINDS,
    "step": cases.STEP_LABELS,
    "condition": rewards.CONDITIONS,
    "reply": {
        "more": ("请补充材料", "More is needed"),
        "filed": ("已立案", "A case was opened"),
        "not_filed": ("不予立案", "No case is opened"),
        "accepted": ("已受理", "Accepted"),
        "refused": ("不予受理", "Not accepted"),
        "ended": ("调解终结", "Mediation has ended"),
        "transferred": ("已移送", "Passed on"),
    },
    "request": {
        "asked": ("待决定", "Waits for a decision"),
        "granted": ("已批准", "Granted"),
        "declined": ("未批准", "Declined"),
    },
    "reward": {
        "proposed": ("待审批", "Proposed"),
        "agreeing": ("待财政部门同意", "Waits for the finance bureau"),
        "offered": ("待领取", "To be claimed"),
        "claimed": ("已申领，待发放", "Claimed, to be paid"),
        "paid": ("已发放", "Paid"),
        "declined": ("不予奖励", "Not given"),
    },
    "duty": rules.DUTIES,
    "cause": rules.CAUSES,
    "service": {code: service.name for code, service in matters.SERVICES.items()},
    "betrayed": attachments.BETRAYED,
}


def tip_label(table: str, code: str | None) -> str:
    """What people call `code`, in the visitor's language."""
    return codes.label(TABLES[table], code, i18n.current()) or ""


web.offer_to_templates(tip_label=tip_label)
