"""Headers of official feeds: which of the many names of a column means which field of an entry.

The feeds are 双公示 (permits and penalties, edition of 2018/2019, and the codes that it replaced), inspections, the
lists of the market regulator and of the courts, and commendations. What a cell comes to is `record.feed_rows`'
business.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from record import kinds, values

Synonyms = dict[str, str]
"""Field -> headers, those that speak for it best first. Written as `_plain` gives them."""

_PARTY: Synonyms = {
    "party_name": "行政相对人名称 行政相对人 相对人名称 企业名称 企业(机构)名称 单位名称 主体名称 市场主体名称"
    " 经营主体名称 当事人名称 当事人 公司名称 机构名称 名称 name company_name entity_name",
    "party_code": "统一社会信用代码 行政相对人代码_1 行政相对人统一社会信用代码 相对人统一社会信用代码 社会信用代码"
    " 信用代码 统一社会信用代码/注册号 统一社会信用代码(注册号) 注册号/统一社会信用代码"
    " party_code credit_code uscc code unified_social_credit_code",
    "party_number": "工商注册号 工商登记码 工商登记号 营业执照注册号 注册号 registration_number",
    "party_other": "组织机构代码 税务登记号 税务登记证号 纳税人识别号 事业单位证书号 社会组织登记证号",
    "party_kind": "行政相对人类别 相对人类别 行政相对人类型 主体类别 当事人类型 当事人类别 party_kind party_type",
    "party_id_type": "证件类型 行政相对人证件类型 相对人证件类型 自然人证件类型 party_id_type",
    "party_id": "证件号码 居民身份证号 居民身份证号码 身份证号 身份证号码 行政相对人证件号码 自然人证件号码",
    "reported_by": "数据来源单位 信息来源单位 数据来源 报送单位 信息提供部门",
    "reported_by_code": "数据来源单位统一社会信用代码 数据来源单位代码 信息来源单位统一社会信用代码",
    "remark": "备注 bz",
}
# Codes of 双公示 that permits (XK) and penalties (CF) share. 行政相对人代码_2 and _3 mean different numbers in the two
# editions: what stands in the brackets behind them decides.
_CODED: Synonyms = {
    "party_name": "{0}_xdr_mc {0}_xdr {0}_xdrmc",
    "party_code": "{0}_xdr_shxym {0}_shxym",
    "party_number": "{0}_xdr_gszc {0}_xdr_gsdj",
    "party_other": "{0}_xdr_zzjg {0}_xdr_zdm {0}_xdr_swdj {0}_xdr_sydw {0}_xdr_shzz",
    "party_kind": "{0}_xdr_lb",
    "party_id_type": "{0}_xdr_zjlx",
    "party_id": "{0}_xdr_zjhm {0}_xdr_sfz {0}_xdr_sfzh {0}_sfz",
    "document": "{0}_wsh",
    "occurred_on": "{0}_jdrq",
    "state": "{0}_zt",
    "content": "{0}_nr",
    "reported_by": "{0}_sjly {0}_lydw",
    "reported_by_code": "{0}_sjlydm {0}_lydwdm",
}
_LIST: Synonyms = {
    "document": "列入决定书文号 列入决定文书号 列入文号 列入决定文号 文书号 文号",
    "ground": "列入原因 列入事由 列入理由",
    "occurred_on": "列入日期 列入时间 列入决定日期",
    "authority": "作出列入决定机关 列入决定机关 列入机关 作出决定机关(列入) 作出决定机关 决定机关 列入作出决定机关",
    "removed_because": "移出原因 移出事由 移出理由",
    "removed_on": "移出日期 移出时间 移出决定日期",
    "removed_by": "作出移出决定机关 移出决定机关 移出机关 作出决定机关(移出) 移出作出决定机关",
}
_KINDS: Mapping[str, Synonyms] = {
    "permit": {
        "document_name": "行政许可决定文书名称 许可决定文书名称 许可文书名称 项目名称 xk_xkws xk_xmmc",
        "document": "行政许可决定文书号 行政许可决定书文号 许可决定文书号 许可决定书文号 许可文书号 文书号",
        "category": "许可类别 行政许可类别 审批类别 xk_xklb xk_splb",
        "certificate_name": "许可证书名称 许可证名称 证书名称 xk_xkzs",
        "certificate_number": "许可编号 许可证编号 许可证号 许可证书编号 证书编号 xk_xkbh",
        "content": "许可内容 行政许可内容 许可事项 许可项目 许可范围",
        "occurred_on": "许可决定日期 行政许可决定日期 许可日期 发证日期 核发日期 decided_on date",
        "valid_from": "有效期自 许可有效期自 有效期起 有效期开始日期 xk_yxqz",
        "valid_until": "有效期至 许可有效期至 有效期止 许可截止期 许可截止日期 截止期 xk_yxqzi xk_jzq",
        "term": "有效期 有效期限 许可有效期 许可期限",
        "authority": "许可机关 行政许可机关 发证机关 核发机关 许可决定机关 xk_xkjg xk_xzjg",
        "authority_code": "许可机关统一社会信用代码 许可机关代码 xk_xkjgdm",
        "state": "当前状态 许可状态 状态",
    },
    "penalty": {
        "party_name": "被处罚单位 被处罚人 被处罚人名称 被处罚当事人名称",
        "document": "行政处罚决定书文号 行政处罚决定文书号 处罚决定书文号 处罚决定文书号 处罚文号 决定书文号 文书号",
        "act": "违法行为类型 违法行为 cf_wfxw 处罚名称 cf_cfmc 案件名称 cf_ajmc",
        "facts": "违法事实 主要违法事实 cf_sy 处罚事由",
        "basis": "处罚依据 行政处罚依据 cf_yj",
        "categories": "处罚类别 行政处罚类别 处罚种类 行政处罚种类 cf_cflb cf_cflb1 处罚类别1 cf_cflb2 处罚类别2",
        "content": "处罚内容 行政处罚内容 处罚结果 cf_jg",
        "fine": "罚款金额 罚款数额 cf_nr_fk",
        "confiscated": "没收违法所得、没收非法财物的金额 没收违法所得没收非法财物的金额 没收金额"
        " 没收违法所得、没收非法财物金额 cf_nr_wfff",
        "licence": "暂扣或吊销证照名称及编号 暂扣或者吊销证照名称及编号 cf_nr_zkdx",
        "gravity": "失信严重程度 严重程度 失信等级 违法失信严重程度 cf_sxyzcd",
        "occurred_on": "处罚决定日期 行政处罚决定日期 处罚日期 作出处罚决定日期 decided_on date",
        "valid_until": "处罚有效期 处罚有效期至 cf_yxq",
        "authority": "处罚机关 行政处罚机关 处罚决定机关 作出处罚决定机关 cf_cfjg cf_xzjg",
        "authority_code": "处罚机关统一社会信用代码 处罚机关代码 cf_cfjgdm",
        "state": "当前状态 处罚状态",
    },
    "inspection": {
        "party_name": "被检查单位 被检查对象 检查对象 检查对象名称 被检查单位名称 抽查对象 抽查对象名称",
        "document": "检查文书号 检查编号 检查任务编号 抽查任务编号 抽查计划编号 检查计划编号 任务编号",
        "subject": "检查事项 抽查事项 检查内容 检查项目 抽查任务名称 检查任务名称 抽查计划名称",
        "method": "检查类型 检查方式 抽查类型 检查类别",
        "result": "检查结果 抽查结果 检查结论 抽查检查结果",
        "occurred_on": "检查日期 检查时间 抽查日期 抽查时间 检查完成日期 inspected_on date",
        "authority": "检查机关 检查实施机关 抽查机关 检查部门 检查单位 抽查实施机关",
        "authority_code": "检查机关统一社会信用代码 检查机关代码",
    },
    "abnormal_listing": _LIST
    | {
        "ground": f"列入经营异常名录原因 列入异常名录原因 {_LIST['ground']}",
        "removed_because": f"移出经营异常名录原因 移出异常名录原因 {_LIST['removed_because']}",
        "occurred_on": f"列入经营异常名录日期 {_LIST['occurred_on']} listed_on date",
        "removed_on": f"移出经营异常名录日期 {_LIST['removed_on']}",
    },
    "serious_violation": _LIST
    | {
        "ground": "列入严重违法失信名单原因 列入严重违法失信企业名单原因 列入严重违法失信企业名单(黑名单)原因"
        f" 列入严重违法失信企业名单(黑名单原因) {_LIST['ground']}",
        "removed_because": "移出严重违法失信名单原因 移出严重违法失信企业名单原因 移出严重违法失信企业名单(黑名单)原因"
        f" {_LIST['removed_because']}",
        "occurred_on": f"列入严重违法失信名单日期 {_LIST['occurred_on']} listed_on date",
        "removed_on": f"移出严重违法失信名单日期 {_LIST['removed_on']}",
    },
    "judgment_debtor": {
        "party_name": "被执行人姓名/名称 被执行人名称 失信被执行人名称 失信被执行人姓名/名称 失信被执行人 被执行人"
        " 姓名/名称 名称/姓名 失信人名称 姓名 被执行人姓名",
        "party_kind": "失信人类型 失信被执行人类型 被执行人类型 主体类型",
        "party_mixed": "身份证号码/组织机构代码 身份证号/组织机构代码 证件号码/组织机构代码 证件号码/统一社会信用代码"
        " 身份证号码/统一社会信用代码 身份证号/统一社会信用代码 组织机构代码/身份证号码 组织机构代码证号",
        "case_number": "案号 执行案号",
        "court": "执行法院 执行法院名称",
        "province": "省份 所属省份",
        "document": "执行依据文号",
        "authority": "做出执行依据单位 作出执行依据单位 做出执行依据的单位 作出执行依据的单位 作出依据单位",
        "duty": "生效法律文书确定的义务 法律生效文书确定的义务 确定义务",
        "performance": "被执行人的履行情况 履行情况 被执行人履行情况",
        "performed": "已履行部分 已履行",
        "unperformed": "未履行部分 未履行",
        "circumstances": "失信行为具体情形 失信被执行人行为具体情形 失信被执行人具体情形 具体情形",
        "occurred_on": "发布时间 发布日期 公布时间 立案时间 立案日期 listed_on date",
        "removed_on": "移出日期 移出时间 退出日期 退出时间 屏蔽日期 屏蔽时间",
    },
    "commendation": {
        "document": "认定文号 文书号 文号 认定文书号 表彰文号 评定文号",
        "title": "荣誉名称 荣誉称号 称号 守信激励名称 守信名单名称 红名单名称 名单名称 表彰名称 表彰奖励名称 奖项名称"
        " 认定名称 认定事项 认定等级 评定结果 评价结果 评价等级 信用等级 纳税信用等级 纳税信用级别",
        "occurred_on": "认定时间 认定日期 评定时间 评定日期 表彰时间 表彰日期 列入日期 recognised_on date",
        "authority": "认定单位 认定机关 认定部门 评定单位 评价单位 表彰单位 授予单位 列入机关",
        "authority_code": "认定单位统一社会信用代码 认定机关统一社会信用代码",
        "year": "评价年度 评定年度 认定年度 年度",
        "valid_from": "有效期自 有效期起 有效期开始日期",
        "valid_until": "有效期至 有效期止 截止日期 有效期截止日期",
        "term": "有效期限 有效期",
    },
}
_NEEDED: Mapping[str, Sequence[frozenset[str]]] = {
    "permit": (frozenset(["content"]), frozenset(["document", "certificate_number"])),
    "penalty": (
        frozenset(["act", "facts"]), frozenset(["content"]), frozenset(["document"]), frozenset(["occurred_on"])
    ),
    "inspection": (frozenset(["subject"]), frozenset(["result"])),
    "abnormal_listing": (frozenset(["ground"]), frozenset(["occurred_on"])),
    "serious_violation": (frozenset(["ground"]), frozenset(["occurred_on"])),
    "judgment_debtor": (frozenset(["case_number"]), frozenset(["court"]), frozenset(["occurred_on"])),
    "commendation": (frozenset(["title"]), frozenset(["document", "occurred_on", "year"])),
}  # fmt: skip
"""Beside the party's name, one of each set must have a column."""

_PRE_2018 = (
    "xk_xmmc xk_splb xk_xdr xk_xdr_zdm xk_xdr_gsdj xk_xzjg cf_cfmc cf_cflb1 cf_cflb2 cf_jg cf_xdr_zdm cf_xdr_gsdj"
    " cf_xzjg dfbm sjc 审批类别 处罚类别1 处罚类别2 地方编码 数据更新时间戳"
)
# Facts about people, and addresses, which are people's where a natural person or an individual business is the party.
# They are read past. Chinese 法人 alone is a legal representative in these feeds.
_PERSONAL = re.compile(
    r"^(?:xk|cf)_(?:fr(?:db)?(?:_.*)?|.*zjhm|.*sfzh?|.*(?:lxdh|dh|sjh|dz|zz))$|相对人代码_?5"
    r"|法定代表人|法人|负责人|经营者|代表人|投资人|股东|联系人|联系方式|电话|手机|传真|邮箱|邮件|身份证|证件号|护照|姓名|性别|年龄"
    r"|出生|民族|职务|住址|住所|地址|账号|帐号|账户|开户|卡号|检查人员|执法人员|承办人|董事|监事|高管"
    r"|legal_?(?:representative|person)|operator|phone|mobile|\btel|fax|e_?mail|contact|id_?(?:card|no|number)|address"
    r"|birth|\bsex|gender|\bage\b|account|shareholder|owner"
)
_BRACKET = re.compile(r"\(([^()]*)\)$")
_CODE = re.compile(r"(?:xk|cf)_")
_PARTY_CODE = re.compile(r"(?:行政)?相对人代码_?\d?")
_NUMBERING = re.compile(r"^\d{1,2}[.、)]")
_SUMS = ("fine", "confiscated")
_MANY = frozenset(["categories", "party_other"])
"""What all columns of these say counts."""
_ON_LINES = frozenset(["content", "facts", "basis", "duty", "remark"])
"""Fields that may run over lines."""
_PERSONAL_FIELDS = ("party_id", "party_mixed")
"""Only whether they hold something is looked at, and whether that is a credit code."""


@dataclass(frozen=True, slots=True)
class FeedLayout:
    """What each column of one feed means."""

    kind: str
    """One of kinds.KINDS."""
    header: tuple[str, ...]
    single: tuple[tuple[str, int], ...]
    """Field and index of its column, where it has one."""
    several: tuple[tuple[str, tuple[int, ...]], ...]
    """Field and indexes of its columns, where it has more: the one that speaks for it best first."""
    personal: tuple[int, ...]
    """Columns that are read past, and never written anywhere."""
    in_yuan: frozenset[str]
    """Sums whose header says 元. The others are in 万元, which is what 双公示 prescribes."""
    old: bool
    """Codes from before 2018: their states and categories are numbered otherwise. 行政相对人类别 came in that year."""

    def title(self, field: str) -> str:
        """What the file calls the first column of a field; the field itself where it has none."""
        first = {name: indexes[0] for name, indexes in self.several} | dict(self.single)
        return self.header[first[field]].strip()[:100] if field in first else field

    def fields(self, cells: Sequence[str]) -> dict[str, str]:
        """Field -> its cell, tidied; fields whose cell says nothing are absent. There are as many cells as columns."""
        printable = "".join(cells).isprintable()
        if not printable:
            cells = [values.text(cell) for cell in cells]
        nothing = values.NOTHING
        at = {field: cell for field, index in self.single if (cell := cells[index].strip()) not in nothing}
        for field, indexes in self.several:
            if filled := [cell for index in indexes if (cell := cells[index].strip()) not in nothing]:
                at[field] = ";".join(filled) if field in _MANY else filled[0]
        if printable:
            return at
        return {field: cell if field in _ON_LINES else " ".join(cell.split()) for field, cell in at.items()}


def layout_of(kind: str, header: Sequence[str]) -> FeedLayout | None:
    """The layout of a feed of this kind with this header; None when the line is no header of that kind."""
    fields = _fields(kind)
    found: dict[str, list[tuple[int, int]]] = {}
    personal: list[int] = []
    in_yuan: set[str] = set()
    plain = [_plain(written) for written in header]
    for index, name in enumerate(plain):
        field, rank, bracket = _field(fields, name)
        if field and not (field in _SUMS and field in found):  # one unit a sum
            found.setdefault(field, []).append((rank, index))
            if field in _SUMS and _is_yuan(name, bracket):
                in_yuan.add(field)
        if field in _PERSONAL_FIELDS or (field is None and _PERSONAL.search(name)):
            personal.append(index)
    if "party_name" not in found or not all(found.keys() & needed for needed in _NEEDED[kind]):
        return None
    columns = {field: tuple(index for _, index in sorted(places)) for field, places in found.items()}
    return FeedLayout(
        kind,
        tuple(header),
        tuple((field, indexes[0]) for field, indexes in columns.items() if len(indexes) == 1),
        tuple((field, indexes) for field, indexes in columns.items() if len(indexes) > 1),
        tuple(personal),
        frozenset(in_yuan),
        "party_kind" not in found and not set(_PRE_2018.split()).isdisjoint(plain),
    )


def _plain(header: str) -> str:
    plain = unicodedata.normalize("NFKC", header).strip().lower().strip("\"'*: \ufeff")
    plain = re.sub(r"[\s_]+", "_", plain) if plain.isascii() else "".join(plain.split())
    return _NUMBERING.sub("", plain).strip("*: ")


def _field(fields: Mapping[str, tuple[str, int]], name: str) -> tuple[str | None, int, str]:
    """Field of a header, its rank among the field's headers, and what stands in brackets behind it.

    行政相对人名称(必填) and 处罚决定书文号(CF_WSH) are understood, and CF_WSH(处罚决定书文号). What 行政相对人代码_2
    means changed with the edition: there the brackets decide.
    """
    if name in fields:
        return *fields[name], ""
    bracket = _BRACKET.search(name)
    if not bracket:
        return None, 0, ""
    before, within = name[: bracket.start()], bracket[1]
    if _PARTY_CODE.fullmatch(before):
        return *fields.get(within, (None, 0)), within
    found = fields.get(before) or (fields.get(within) if _CODE.match(within) else None)
    return *(found or (None, 0)), within


def _is_yuan(name: str, bracket: str) -> bool:
    """Whether a sum's header says that it counts yuan. Headers in English name a field of the payload: yuan too."""
    unit = bracket if _BRACKET.search(name) else name
    return "万" not in unit and ("元" in unit or "yuan" in unit or name in _SUMS)


@lru_cache(maxsize=16)
def _fields(kind: str) -> dict[str, tuple[str, int]]:
    """Header -> field, and its rank."""
    prefix = {"permit": "xk", "penalty": "cf"}.get(kind)
    tables: list[Synonyms] = [
        {field: field for field in kinds.KINDS[kind].payload.model_fields},
        {"occurred_on": "occurred_on"},
        _KINDS[kind],
        {field: headers.format(prefix) for field, headers in _CODED.items()} if prefix else {},
        _PARTY,
    ]
    fields: dict[str, tuple[str, int]] = {}
    for table in tables:
        for field, headers in table.items():
            for header in headers.split():
                fields.setdefault(header, (field, len(fields)))
    return fields
