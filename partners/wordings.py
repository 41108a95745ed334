"""What the codes of partners are called on pages, in both languages: `partner_label("state", "active")`."""

from collections.abc import Mapping

from partners import commissions, disputes, organisations
from portal.kit import i18n, web
from record import codes
from record.codes import Labels

TABLES: Mapping[str, Labels] = {
    "type": organisations.TYPES,
    "state": organisations.STATES,
    "dispute": disputes.STATES,
    "commission": commissions.KINDS,
    "task": commissions.STATES,
    "duty": {"answer": ("评价机构答复", "The rater's answer"), "decide": ("裁定", "The decision")},
    "role": {
        "manager": ("管理成员、密钥和评价办法", "Looks after members, keys and schemes"),
        "submitter": ("报送、答复和异议", "Hands in, answers and disputes"),
    },
    "batch": {
        "checking": ("校验中", "Being checked"),
        "checked": ("已校验，待确认", "Checked, waits for you"),
        "accepting": ("发布中", "Being published"),
        "accepted": ("已发布", "Published"),
        "refused": ("无法读取", "Could not be read"),
        "withdrawing": ("撤回中", "Being withdrawn"),
        "withdrawn": ("已撤回", "Withdrawn"),
    },
    "version": {
        "proposed": ("待审核", "Waits for approval"),
        "approved": ("已批准", "Approved"),
        "refused": ("未通过", "Refused"),
    },
    "column_type": {
        "text": ("文字", "Text"),
        "number": ("数字", "Number"),
        "integer": ("整数", "Whole number"),
        "date": ("日期", "Day"),
        "choice": ("选项", "Choice"),
    },
}


def partner_label(table: str, code: str | None) -> str:
    """What people call `code`, in the visitor's language."""
    return codes.label(TABLES[table], code, i18n.current()) or ""


web.offer_to_templates(partner_label=partner_label)
