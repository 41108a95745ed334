"""Identifiers and code lists of the register: credit codes, and what each of our codes is called in both languages.

Divisions live in `record.districts`, industries in `record.industries`, the registries' own wordings in
`record.wordings`; what the rest of the house needs of them is named here.
"""

import random
import re
import unicodedata
from collections.abc import Mapping
from operator import mul
from typing import Literal

from stdnum.iso7064 import mod_11_10

from record.districts import DISTRICTS, PROVINCES
from record.industries import DIVISIONS as INDUSTRY_DIVISIONS
from record.industries import SECTIONS as INDUSTRY_SECTIONS

Labels = Mapping[str, tuple[str, str]]
"""Our code -> its name in Chinese and in English."""

__all__ = [
    "DISTRICTS",
    "ENTITY_STATUSES",
    "ENTITY_TYPES",
    "INDUSTRY_DIVISIONS",
    "INDUSTRY_SECTIONS",
    "LISTS",
    "PROVINCES",
    "Labels",
    "check_digit",
    "is_credit_code",
    "is_individual",
    "is_registration_number",
    "is_valid",
    "label",
    "made_up",
    "normalise",
    "repaired",
]

ENTITY_TYPES: Labels = {
    "limited_company": ("有限责任公司", "Limited company"),
    "joint_stock_company": ("股份有限公司", "Joint-stock company"),
    "foreign_invested": ("外商及港澳台投资企业", "Foreign-invested company"),
    "sole_proprietorship": ("个人独资企业", "Sole proprietorship"),
    "partnership": ("合伙企业", "Partnership"),
    "state_owned": ("全民所有制企业", "State-owned enterprise"),
    "collective": ("集体所有制企业", "Collective enterprise"),
    "stock_cooperative": ("股份合作制企业", "Stock cooperative enterprise"),
    "joint_operation": ("联营企业", "Joint operation"),
    "individual": ("个体工商户", "Individual business"),
    "farmers_cooperative": ("农民专业合作社", "Farmers' cooperative"),
    "branch": ("分支机构", "Branch"),
    "representative_office": ("外国企业常驻代表机构", "Representative office"),
    "social_organisation": ("社会组织", "Social organisation"),
    "public_institution": ("机关和事业单位", "Public institution"),
    "other": ("其他", "Other"),
}
"""Kinds of market entity (市场主体类型)."""

ENTITY_STATUSES: Labels = {
    "active": ("存续", "Active"),
    "suspended": ("歇业", "Suspended"),
    "moved_out": ("迁出", "Moved out"),
    "liquidating": ("清算", "In liquidation"),
    "revoked": ("吊销", "Licence revoked"),
    "annulled": ("撤销", "Registration annulled"),
    "deregistered": ("注销", "Deregistered"),
}
"""Registration states (登记状态)."""

LISTS: Labels = {
    "abnormal_listing": ("经营异常名录", "List of abnormal operations"),
    "serious_violation": ("严重违法失信名单", "List of serious violations"),
    "judgment_debtor": ("失信被执行人", "Judgment debtors"),
}
"""Public lists that an entity may stand on; `Entity.flags` holds these codes."""

DEMO_DIVISION = "310199"
"""A division that Shanghai does not have: no real entity's code can carry it."""

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
# Each character becomes the byte of its value, so that one check costs a microsecond: three million rows are checked.
_VALUES = str.maketrans({char: chr(value) for value, char in enumerate(_ALPHABET)})
_CREDIT_CODE = re.compile(rf"[{_ALPHABET}]{{2}}[0-9]{{6}}[{_ALPHABET}]{{10}}", re.ASCII)
_REGISTRATION_NUMBER = re.compile(r"[0-9]{15}", re.ASCII)
_LOOK_ALIKES = str.maketrans("OIl", "011")
_BETWEEN = re.compile(r"[\s\-‐‑–—_.·]+")


def label(labels: Labels, code: str | None, language: Literal["zh", "en"]) -> str | None:
    """What people call `code`. None stays None; a code that the table lacks is answered with itself."""
    if code is None:
        return None
    names = labels.get(code)
    return names[language == "en"] if names else code


def check_digit(body: str) -> str:
    """The 18th character that belongs to 17 characters of a credit code (GB 32100-2015, 5.2; ISO 7064 in base 31).

    The arithmetic is that of `stdnum.cn.uscc`, which takes fifteen times as long and knows no code that begins with a
    letter (N1, 农村集体经济组织); a test holds the two together.
    """
    return _ALPHABET[-sum(map(mul, _WEIGHTS, body.translate(_VALUES).encode("latin-1"))) % 31]


def is_credit_code(code: str) -> bool:
    """Whether `code`, in capitals and without spaces, is a unified social credit code (统一社会信用代码)."""
    return _CREDIT_CODE.fullmatch(code) is not None and check_digit(code[:17]) == code[17]


def is_registration_number(code: str) -> bool:
    """Whether `code` is a 15-digit registration number (工商注册号, GS 15-2006: ISO 7064 MOD 11,10)."""
    return _REGISTRATION_NUMBER.fullmatch(code) is not None and bool(mod_11_10.is_valid(code))


def is_valid(code: str) -> bool:
    """Whether `code` names an entity beyond doubt: its form is right and its check digit too."""
    return is_credit_code(code) or is_registration_number(code)


def normalise(text: str) -> str | None:
    """`text` as a code of the register, from any case, width and spacing; None when it is not a valid one.

    >>> normalise("９１３１ 0101 1324 1420 57")
    '913101011324142057'
    """
    if len(text) > 60:
        return None
    code = _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).upper()
    return code if is_valid(code) else None


def repaired(text: str) -> str | None:
    """`text` as a valid code when only O or I, which no code has, stand where 0 or 1 belong; else None."""
    code = _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).translate(_LOOK_ALIKES).upper().translate(_LOOK_ALIKES)
    return code if is_valid(code) else None


def is_individual(code: str) -> bool:
    """Whether the code says 个体工商户 (GB 32100: registered by market regulation, 9, as an individual, 2)."""
    return code.startswith("92")


def made_up(head: str, rng: random.Random) -> str:
    """A valid credit code that no real entity has.

    `head` is its first two characters (91 enterprise, 92 individual, 93 cooperative); `rng` decides the rest.
    """
    body = head + DEMO_DIVISION + "MA" + "".join(rng.choices(_ALPHABET, k=7))
    return body + check_digit(body)
