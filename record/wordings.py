"""What registries write for an entity's type (企业类型) and status (登记状态), and what a name's form says of it."""

import re
import unicodedata
from functools import lru_cache

_TYPE_WORDS = (
    (r"个体", "individual"),
    (r"农民专业合作|专业合作社", "farmers_cooperative"),
    (r"代表机构|代表处", "representative_office"),
    (r"分支机构|分公司|非法人|办事处|分部|营业单位", "branch"),
    (r"社会团体|社会组织|民办非企业|社会服务机构|基金会", "social_organisation"),
    (r"事业单位|机关", "public_institution"),
    (r"个人独资|独资企业\(个人|独资经营企业", "sole_proprietorship"),
    (r"外商|外资|中外|外国|港.?澳.?台|台港澳|港资|澳资|台资|台商|FOREIGN|WFOE", "foreign_invested"),
    (r"合伙", "partnership"),
    (r"股份合作", "stock_cooperative"),
    (r"股份有限|股份制|上市", "joint_stock_company"),
    (r"有限责任|有限公司|一人有限|LIMITED", "limited_company"),
    (r"集体", "collective"),
    (r"国有|全民", "state_owned"),
    (r"联营", "joint_operation"),
    (r"其他|其它|OTHER", "other"),
)
_TYPES = tuple((re.compile(pattern), code) for pattern, code in _TYPE_WORDS)

_STATUS_WORDS = (
    (r"迁出|迁移", "moved_out"),
    (r"未注销", "revoked"),
    (r"注销|DEREGISTERED|CANCELL?ED|DISSOLVED", "deregistered"),
    (r"吊销|REVOKED", "revoked"),
    (r"撤销|责令关闭|ANNULLED", "annulled"),
    (r"清算|破产|LIQUIDATION|LIQUIDATING", "liquidating"),
    (r"停业|歇业|SUSPENDED", "suspended"),
    (r"存续|在业|开业|在营|在册|正常|迁入|登记成立|确立|ACTIVE|OPERATING|NORMAL", "active"),
)
_STATUSES = tuple((re.compile(pattern), code) for pattern, code in _STATUS_WORDS)

_TRAILING_BRACKET = re.compile(r"[(（][^()（）]*[)）]$")
_BRANCH_ENDS = (
    "分公司", "分店", "分厂", "支行", "分行", "分社", "分所", "分院", "分校", "分部",
    "支局", "支公司", "分理处", "储蓄所", "邮政所", "营业部", "营业所", "营业厅", "办事处", "联络处",
)  # fmt: skip
# 公司 or 合作社 followed by more of a name than a bracket: 长江企业发展合作公司福州路刻字店.
_PARENT_INSIDE = re.compile(r"(?:公司|合作社|联社)(?:[(（][^()（）]*[)）])?[^()（）]{2,}$")
_PARTNERSHIP = re.compile(r"[(（](?:特殊的?)?(?:有限合伙|普通合伙|合伙)[)）]$")
_HEADS = {"92": "individual", "93": "farmers_cooperative"}


@lru_cache(maxsize=4096)
def entity_type(text: str) -> str | None:
    """Our type for a registry's words; None when they are not understood.

    A branch of a collective is a branch; a limited company with foreign capital counts as foreign-invested.
    """
    wanted = unicodedata.normalize("NFKC", text).upper()
    return next((code for pattern, code in _TYPES if pattern.search(wanted)), None)


@lru_cache(maxsize=4096)
def entity_status(text: str) -> str | None:
    """Our status for a registry's words; None when they are not understood. 吊销，未注销 is revoked."""
    wanted = unicodedata.normalize("NFKC", text).upper()
    return next((code for pattern, code in _STATUSES if pattern.search(wanted)), None)


def type_of_name(name: str, code: str) -> str:
    """The type that an entity's code and the form of its name state, `other` where neither does.

    A company's own name says nothing of who holds it, so foreign-invested, collective and state-owned ones are told
    only by the registry.
    """
    if stated := _HEADS.get(code[:2]):
        return stated
    if code[0] == "5":
        return "social_organisation"
    if code[0] == "1" and len(code) == 18:
        return "public_institution"
    return _type_of_form(name)


def _type_of_form(name: str) -> str:
    bare = name
    if name[-1] in ")）":
        if _PARTNERSHIP.search(name):
            return "partnership"
        bare = _TRAILING_BRACKET.sub("", name)
    if bare.endswith(("有限公司", "有限责任公司", "股份公司")):
        return "joint_stock_company" if bare.endswith(("股份有限公司", "股份公司")) else "limited_company"
    if bare.endswith("代表处"):
        return "representative_office"
    if bare.endswith(_BRANCH_ENDS) or _PARENT_INSIDE.search(bare):
        return "branch"
    return "farmers_cooperative" if bare.endswith("专业合作社") else "other"
