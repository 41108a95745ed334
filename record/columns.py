"""Headers of registry files: which of the many names of a column means which fact about an entity."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from record import values

MAX_COLUMNS = 300

_SYNONYMS = {
    "name": "企业名称 名称 单位名称 机构名称 主体名称 市场主体名称 经营主体名称 公司名称 企业(机构)名称 字号名称"
    " 行政相对人名称 商户名称"
    " name entity_name company_name enterprise_name company",
    "code": "统一社会信用代码 社会信用代码 信用代码 统一信用代码 统一代码 统一社会信用代码/注册号"
    " 统一社会信用代码(注册号) 注册号/统一社会信用代码"
    " credit_code code uscc unified_social_credit_code social_credit_code",
    "number": "注册号 工商注册号 营业执照注册号 营业执照号 registration_number reg_no registration_no",
    "established_on": "注册日期 成立日期 成立时间 设立日期 登记日期 注册时间 开业日期 成立年月"
    " established_on established registration_date date_of_establishment founded established_date",
    "type": "企业类型 主体类型 市场主体类型 公司类型 类型 企业(机构)类型 经济性质 企业性质 机构类型 type"
    " entity_type company_type",
    "capital": "注册资金 注册资本 注册资本(金) 注册资本金 认缴注册资本 资金数额 出资额 成员出资总额 capital"
    " registered_capital capital_amount",
    "currency": "币种 注册资本币种 注册资金币种 货币 currency capital_currency",
    "scope": "经营范围 业务范围 经营范围及方式 许可经营项目 经营(业务)范围 scope business_scope",
    "province": "所在省份 省份 所属省份 省 所在省 province",
    "city": "所在城市 城市 所属城市 市 地级市 city",
    "district": "地区 行政区划 区县 所属区 所在区 所属区县 所在区县 所在地区 区域 辖区 行政区划代码 登记机关所在区"
    " district area division region",
    "address": "注册地址 住所 地址 经营场所 住所地 企业地址 注册住址 住所(经营场所) 经营场所地址 主要经营场所"
    " 营业场所 公司地址"
    " address registered_address registered_office",
    "former_names": "曾用名 曾用名称 历史名称 原名称 企业曾用名 former_name former_names previous_names",
    "status": "经营状态 登记状态 企业状态 状态 存续状态 主体状态 市场主体状态 status registration_status",
    "industry": "行业 行业代码 所属行业 行业门类 行业类别 国民经济行业 行业大类 国民经济行业代码 industry"
    " industry_code industry_division",
}
# Facts about people. They are read past: neither stored nor kept as received.
_PERSONAL = re.compile(
    r"法定代表人|法人|负责人|经营者|代表人|投资人|股东|联系人|联系方式|电话|手机|传真|邮箱|邮件|身份证|证件|签字|董事|监事|高管"
    r"|legal_?(?:representative|person)|operator|phone|mobile|tel|fax|e_?mail|contact|id_?(?:card|number)|shareholder|owner"
)
_BRACKET = re.compile(r"\(([^()]*)\)$")

_FACTS = {header: fact for fact, headers in _SYNONYMS.items() for header in headers.split()}


@dataclass(frozen=True, slots=True)
class Layout:
    """What each column of one file means."""

    header: tuple[str, ...]
    facts: dict[str, int]
    """Fact -> index of its column. A fact named twice is taken from the first; the other counts as unknown."""
    unknown: tuple[tuple[int, str], ...]
    """Index and header of the columns that nobody knows, to be kept as they came."""
    unit: str = ""
    """Unit of the capital column when its header states one: 万."""
    currency: str | None = None
    """ISO 4217 of the capital column when its header states it."""


def title(header: str) -> str:
    """The header as `as_received` names a column."""
    return header.strip()[:100]


def _plain(header: str) -> str:
    plain = unicodedata.normalize("NFKC", header).strip().lower().strip("\"'*: \ufeff")
    return re.sub(r"[\s_]+", "_", plain) if plain.isascii() else "".join(plain.split())


def _fact(header: str) -> tuple[str | None, str]:
    """The fact of a header, and what stands behind it in brackets: capital and 万元 for 注册资本（万元）."""
    plain = _plain(header)
    if plain in _FACTS:
        return _FACTS[plain], "元" if plain == "capital_amount" else ""
    bracket = _BRACKET.search(plain)
    return (_FACTS.get(plain[: bracket.start()]), bracket[1]) if bracket else (None, "")


def layout_of(header: Sequence[str]) -> Layout | None:
    """The layout of a file with this header, or None when the line is no header: a name and a code are needed."""
    facts: dict[str, int] = {}
    unknown: list[tuple[int, str]] = []
    remark = ""
    for index, written in enumerate(header):
        fact, stated = _fact(written)
        if fact and fact not in facts:
            facts[fact] = index
            remark = stated if fact == "capital" else remark
        elif written.strip() and not _PERSONAL.search(_plain(written)):
            unknown.append((index, title(written)))
    if "name" not in facts or not {"code", "number"} & facts.keys():
        return None
    unit = re.search("[万亿千元]", remark)
    stated_sum = values.money(f"1{remark}") if unit and remark != "元" else None
    return Layout(
        tuple(header), facts, tuple(unknown), unit[0] if unit else "", stated_sum.currency if stated_sum else None
    )
