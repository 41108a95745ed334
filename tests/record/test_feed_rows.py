"""Rows of official feeds: what their headers mean, and what each row comes to."""

import json
import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record import codes, feed_rows, kinds
from record.feed_columns import FeedLayout, layout_of
from record.feed_rows import REASONS, FeedRow, Refused, clean, safe_cells
from tests.record.test_masking import identities, identity, mobiles

RNG = random.Random(36)
CODE, OFFICE = codes.made_up("91", RNG), codes.made_up("11", RNG)
NAME = "上海青禾照明电器有限公司"
BUREAU = "上海市某区市场监督管理局"
PERSON = identity("310199", date(1990, 3, 7), 451)

PENALTY = {
    "CF_XDR_MC": NAME,
    "CF_XDR_LB": "法人及非法人组织",
    "CF_XDR_SHXYM": CODE,
    "CF_XDR_GSZC": "",
    "CF_XDR_ZZJG": "",
    "CF_XDR_SWDJ": "",
    "CF_XDR_SYDW": "",
    "CF_XDR_SHZZ": "",
    "CF_FRDB": "张三丰",
    "CF_FR_ZJLX": "身份证",
    "CF_FR_ZJHM": PERSON,
    "CF_XDR_ZJLX": "",
    "CF_XDR_ZJHM": "",
    "CF_WSH": "沪市监某处〔2026〕152026000123号",
    "CF_WFXW": "发布虚假广告",
    "CF_SY": "当事人在店内\n发布虚假广告",
    "CF_YJ": "《广告法》第五十五条",
    "CF_CFLB": "罚款;没收违法所得",
    "CF_NR": "1. 罚款5万元；2. 没收违法所得1234.5元",
    "CF_NR_FK": "5.000000",
    "CF_NR_WFFF": "0.123450",
    "CF_NR_ZKDX": "",
    "CF_JDRQ": "2026/03/05",
    "CF_YXQ": "2099/12/31",
    "CF_GSJZQ": "2027/03/05",
    "CF_CFJG": BUREAU,
    "CF_CFJGDM": OFFICE,
    "CF_SJLY": BUREAU,
    "CF_SJLYDM": OFFICE,
    "BZ": "",
}
PENALTY_IN_CHINESE = """
    行政相对人名称 行政相对人类别 行政相对人代码_1（统一社会信用代码）
    行政相对人代码_2（工商注册号） 行政相对人代码_3（组织机构代码）
    行政相对人代码_4（税务登记号） 行政相对人代码_5（事业单位证书号）
    行政相对人代码_6（社会组织登记证号） 法定代表人 法定代表人证件类型 法定代表人证件号码
    证件类型 证件号码 行政处罚决定书文号 违法行为类型 违法事实 处罚依据 处罚类别 处罚内容
    罚款金额（万元） 没收违法所得、没收非法财物的金额（万元） 暂扣或吊销证照名称及编号
    处罚决定日期 处罚有效期 公示截止期 处罚机关 处罚机关统一社会信用代码 数据来源单位
    数据来源单位统一社会信用代码 备注
"""
PENALTY_PAYLOAD = {
    "party_name": NAME,
    "document": "沪市监某处〔2026〕152026000123号",
    "authority": BUREAU,
    "authority_code": OFFICE,
    "reported_by": BUREAU,
    "reported_by_code": OFFICE,
    "act": "发布虚假广告",
    "facts": "当事人在店内\n发布虚假广告",
    "basis": "《广告法》第五十五条",
    "categories": ["罚款", "没收违法所得"],
    "content": "1. 罚款5万元；2. 没收违法所得1234.5元",
    "fine": "50000",
    "confiscated": "1234.50",
    "gravity": "general",
}
PERMIT = {
    "XK_XDR_MC": NAME,
    "XK_XDR_LB": "法人及非法人组织",
    "XK_XDR_SHXYM": CODE,
    "XK_XDR_GSZC": "",
    "XK_XDR_ZZJG": "",
    "XK_XDR_SWDJ": "",
    "XK_XDR_SYDW": "",
    "XK_XDR_SHZZ": "",
    "XK_FRDB": "张三丰",
    "XK_FR_ZJLX": "身份证",
    "XK_FR_SFZH": PERSON,
    "XK_XDR_ZJLX": "",
    "XK_XDR_ZJHM": "",
    "XK_XKWS": "食品经营许可证",
    "XK_WSH": "JY13101990000012",
    "XK_XKLB": "普通",
    "XK_XKZS": "食品经营许可证",
    "XK_XKBH": "JY13101990000012",
    "XK_NR": "热食类食品制售",
    "XK_JDRQ": "20260305",
    "XK_YXQZ": "2026年3月5日",
    "XK_YXQZI": "2031.3.4",
    "XK_XKJG": BUREAU,
    "XK_XKJGDM": OFFICE,
    "XK_ZT": "1",
    "XK_LYDW": BUREAU,
    "XK_LYDWDM": OFFICE,
    "BZ": "换证",
}
PERMIT_IN_CHINESE = """
    行政相对人名称 行政相对人类别 行政相对人代码_1(统一社会信用代码)
    行政相对人代码_2(工商注册号) 行政相对人代码_3(组织机构代码)
    行政相对人代码_4(税务登记号) 行政相对人代码_5(事业单位证书号)
    行政相对人代码_6(社会组织登记证号) 法定代表人 法定代表人证件类型 法定代表人证件号码
    证件类型 证件号码 行政许可决定文书名称 行政许可决定文书号 许可类别 许可证书名称 许可编号
    许可内容 许可决定日期 有效期自 有效期至 许可机关 许可机关统一社会信用代码 当前状态
    数据来源单位 数据来源单位统一社会信用代码 备注
"""
INSPECTION = {
    "检查对象名称": NAME,
    "统一社会信用代码": CODE,
    "检查任务编号": "310199202603050012",
    "检查事项": "公示信息检查",
    "检查类型": "双随机抽查",
    "检查机关": BUREAU,
    "检查日期": "2026-03-05",
    "检查结果": "未发现问题",
    "检查人员": "李四",
}
ABNORMAL = {
    "序号": "1",
    "企业名称": NAME,
    "统一社会信用代码/注册号": CODE,
    "列入经营异常名录原因": "通过登记的住所无法联系",
    "列入日期": "2025年7月8日",
    "作出决定机关(列入)": BUREAU,
    "移出经营异常名录原因": "已变更住所",
    "移出日期": "2026-01-09",
    "作出决定机关(移出)": BUREAU,
}
SERIOUS = {
    "企业名称": NAME,
    "统一社会信用代码": CODE,
    "列入原因": "被吊销营业执照",
    "列入日期": "2025-07-08",
    "作出列入决定机关": BUREAU,
    "列入决定书文号": "沪市监严〔2025〕3号",
    "移出原因": "",
    "移出日期": "",
    "移出机关": "",
}
DEBTOR = {
    "被执行人姓名/名称": NAME,
    "性别": "",
    "年龄": "",
    "身份证号码/组织机构代码": CODE,
    "法定代表人或者负责人姓名": "张三丰",
    "执行法院": "上海市某区人民法院",
    "省份": "上海",
    "执行依据文号": "（2025）沪0199民初12号",
    "立案时间": "2025年09月01日",
    "案号": "（2025）沪0199执345号",
    "做出执行依据单位": "上海市某区人民法院",
    "生效法律文书确定的义务": "支付货款100万元",
    "被执行人的履行情况": "部分未履行",
    "已履行部分": "20万元",
    "未履行部分": "80万元",
    "失信被执行人行为具体情形": "违反财产报告制度",
    "发布时间": "2025年11月03日",
}
COMMENDATION = {
    "企业名称": NAME,
    "统一社会信用代码": CODE,
    "认定文号": "沪市监信〔2026〕1号",
    "荣誉名称": "守合同重信用企业",
    "认定时间": "2026-03-05",
    "认定单位": BUREAU,
    "评价年度": "2025年度",
    "有效期限": "2026-03-05至2029-03-04",
}
FILES: dict[str, dict[str, str]] = {
    "permit": PERMIT,
    "penalty": PENALTY,
    "inspection": INSPECTION,
    "abnormal_listing": ABNORMAL,
    "serious_violation": SERIOUS,
    "judgment_debtor": DEBTOR,
    "commendation": COMMENDATION,
}


def layout(kind: str, header: Sequence[str]) -> FeedLayout:
    found = layout_of(kind, header)
    assert found is not None, header
    return found


def read(kind: str, *without: str, **changed: str) -> FeedRow:
    """The entry of the kind's example with some cells changed, or columns left out or added."""
    row = {column: cell for column, cell in (FILES[kind] | changed).items() if column not in without}
    return clean(layout(kind, list(row)), list(row.values()))


def refusal(kind: str, *without: str, **changed: str) -> tuple[str, str | None]:
    with pytest.raises(Refused) as refused:
        read(kind, *without, **changed)
    return refused.value.reason, refused.value.column


def reason_of(found: FeedLayout, cells: list[str]) -> str | None:
    """Why a row is refused; None when it is not."""
    try:
        clean(found, cells)
    except Refused as refused:
        return refused.reason
    return None


# ---- headers --------------------------------------------------------------------------------------------------------


def test_a_penalty_in_the_codes_of_the_standard_is_understood_column_by_column() -> None:
    row = read("penalty")
    assert row.payload == PENALTY_PAYLOAD
    assert row._replace(payload={}) == FeedRow(
        CODE, NAME, False, "沪市监某处〔2026〕152026000123号|发布虚假广告/罚款/没收违法所得", "2026-03-05", {}
    )


def test_a_permit_in_the_codes_of_the_standard_is_understood_column_by_column() -> None:
    row = read("permit")
    assert row.payload == {
        "party_name": NAME,
        "document": "JY13101990000012",
        "authority": BUREAU,
        "authority_code": OFFICE,
        "reported_by": BUREAU,
        "reported_by_code": OFFICE,
        "remark": "换证",
        "document_name": "食品经营许可证",
        "category": "普通",
        "certificate_name": "食品经营许可证",
        "certificate_number": "JY13101990000012",
        "content": "热食类食品制售",
        "valid_from": "2026-03-05",
        "valid_until": "2031-03-04",
        "state": "valid",
    }
    assert (row.party_code, row.occurred_on) == (CODE, "2026-03-05")


@pytest.mark.parametrize(
    ("kind", "header"),
    [("penalty", PENALTY_IN_CHINESE.split()), ("permit", PERMIT_IN_CHINESE.split())],
    ids=["penalty", "permit"],
)
def test_official_chinese_headers_give_the_same_as_the_codes(kind: str, header: list[str]) -> None:
    cells = list(FILES[kind].values())
    assert clean(layout(kind, header), cells) == read(kind)
    both = [f"{title}（{code}）" for title, code in zip(header, FILES[kind], strict=True)]
    marked = [f" *{title} " for title in header]
    assert clean(layout(kind, marked), cells) == read(kind)
    if kind == "penalty":
        plain = [title.split("（")[0] if "代码_" not in title else title for title in header]
        assert clean(layout(kind, plain), cells) == read(kind)
        bracketed = [f"{code}（{title.split('（')[0]}）" for title, code in zip(header, FILES[kind], strict=True)]
        assert clean(layout(kind, bracketed), cells) == read(kind)
    assert clean(layout(kind, [one for one in both if "代码_" not in one] + list(FILES[kind])[2:8]), [
        *(cell for title, cell in zip(header, cells, strict=True) if "代码_" not in title), *cells[2:8]
    ]) == read(kind)  # fmt: skip


@pytest.mark.parametrize("kind", [kind.name for kind in kinds.FED])
def test_headers_in_english_are_the_fields_of_the_payload(kind: str) -> None:
    row = read(kind)
    cells = {"party_code": CODE, "occurred_on": row.occurred_on or ""} | {
        field: ";".join(said) if isinstance(said, list) else said for field, said in row.payload.items()
    }
    again = clean(layout(kind, [field.upper() for field in cells]), list(cells.values()))
    assert again == row


@pytest.mark.parametrize("kind", [kind.name for kind in kinds.FED])
def test_what_a_row_comes_to_is_a_payload_of_its_kind(kind: str) -> None:
    row = read(kind)
    assert kinds.KINDS[kind].payload.model_validate(row.payload).model_dump(mode="json", exclude_none=True).items() >= (
        row.payload.items()
    )
    assert (row.party_code, row.party_name, row.natural_person) == (CODE, NAME, False)
    assert row.occurred_on
    assert PERSON not in json.dumps(row, ensure_ascii=False)
    assert "张三丰" not in json.dumps(row, ensure_ascii=False)


@pytest.mark.parametrize("kind", [kind.name for kind in kinds.FED])
def test_a_header_of_another_kind_a_title_or_a_row_is_no_header(kind: str) -> None:
    for other, file in FILES.items():
        alike = {kind, other} == {"serious_violation", "abnormal_listing"} and other == "serious_violation"
        assert (layout_of(kind, list(file)) is not None) == (kind == other or alike), other
        assert layout_of(kind, list(file.values())) is None
    assert layout_of(kind, ["某区市场监督管理局行政处罚信息公示表（2026年3月）"]) is None
    assert layout_of(kind, []) is None


def test_lists_and_inspections_are_understood() -> None:
    assert read("inspection").payload == {
        "party_name": NAME,
        "document": "310199202603050012",
        "authority": BUREAU,
        "subject": "公示信息检查",
        "method": "双随机抽查",
        "result": "未发现问题",
    }
    assert read("abnormal_listing").payload == {
        "party_name": NAME,
        "authority": BUREAU,
        "ground": "通过登记的住所无法联系",
        "removed_on": "2026-01-09",
        "removed_because": "已变更住所",
        "removed_by": BUREAU,
    }
    assert read("serious_violation").payload == {
        "party_name": NAME,
        "document": "沪市监严〔2025〕3号",
        "authority": BUREAU,
        "ground": "被吊销营业执照",
    }
    assert read("commendation").payload == {
        "party_name": NAME,
        "document": "沪市监信〔2026〕1号",
        "authority": BUREAU,
        "title": "守合同重信用企业",
        "year": "2025",
        "valid_from": "2026-03-05",
        "valid_until": "2029-03-04",
    }


def test_a_judgment_debtor_stands_on_the_list_from_the_day_of_publication() -> None:
    row = read("judgment_debtor")
    assert row.payload == {
        "party_name": NAME,
        "document": "（2025）沪0199民初12号",
        "authority": "上海市某区人民法院",
        "court": "上海市某区人民法院",
        "case_number": "（2025）沪0199执345号",
        "duty": "支付货款100万元",
        "performance": "部分未履行；已履行部分：20万元；未履行部分：80万元",
        "circumstances": "违反财产报告制度",
        "province": "上海",
    }
    assert (row.reference, row.occurred_on) == ("〔2025〕沪0199执345号", "2025-11-03")
    assert read("judgment_debtor", 发布时间="").occurred_on == "2025-09-01"
    person = read("judgment_debtor", **{"被执行人姓名/名称": "李四", "身份证号码/组织机构代码": "3101991990****4517"})
    assert (person.party_code, person.natural_person) == (None, True)
    typed = read("judgment_debtor", 失信人类型="自然人", **{"身份证号码/组织机构代码": ""})
    assert (typed.party_code, typed.natural_person) == (None, True)


OLD_PENALTY = {
    "CF_WSH": "沪工商罚[2017]8号",
    "CF_CFMC": "虚假宣传案",
    "CF_CFLB1": "1",
    "CF_CFLB2": "2",
    "CF_SY": "虚假宣传",
    "CF_YJ": "《反不正当竞争法》",
    "CF_XDR_MC": NAME,
    "CF_XDR_SHXYM": CODE,
    "CF_XDR_ZDM": "",
    "CF_XDR_GSDJ": "",
    "CF_XDR_SWDJ": "",
    "CF_XDR_SFZ": "",
    "CF_FR": "张三丰",
    "CF_JG": "罚款1万元",
    "CF_JDRQ": "42800",
    "CF_XZJG": BUREAU,
    "CF_ZT": "0",
    "DFBM": "310199",
    "SJC": "2017/3/8",
    "BZ": "",
}
OLD_PERMIT = {
    "XK_WSH": "沪许〔2017〕8号",
    "XK_XMMC": "食品经营许可",
    "XK_SPLB": "核准",
    "XK_NR": "准予许可",
    "XK_XDR": NAME,
    "XK_XDR_SHXYM": CODE,
    "XK_XDR_ZDM": "",
    "XK_XDR_GSDJ": "",
    "XK_XDR_SWDJ": "",
    "XK_XDR_SFZ": "",
    "XK_FR": "张三丰",
    "XK_JDRQ": "2017-03-07",
    "XK_JZQ": "2099-12-31",
    "XK_XZJG": BUREAU,
    "XK_ZT": "1",
    "DFBM": "310199",
    "SJC": "",
    "BZ": "",
}


def test_codes_from_before_2018_are_understood_with_their_own_numbering() -> None:
    penalty = clean(layout("penalty", list(OLD_PENALTY)), list(OLD_PENALTY.values()))
    assert penalty.payload == {
        "party_name": NAME,
        "document": "沪工商罚[2017]8号",
        "authority": BUREAU,
        "act": "虚假宣传案",
        "facts": "虚假宣传",
        "basis": "《反不正当竞争法》",
        "categories": ["罚款", "没收违法所得", "没收非法财物"],
        "content": "罚款1万元",
        "gravity": "general",
    }
    assert penalty.reference.startswith("沪工商罚〔2017〕8号|虚假宣传案")
    assert penalty.occurred_on == "2017-03-06"
    permit = clean(layout("permit", list(OLD_PERMIT)), list(OLD_PERMIT.values()))
    assert permit.payload == {
        "party_name": NAME,
        "document": "沪许〔2017〕8号",
        "authority": BUREAU,
        "document_name": "食品经营许可",
        "category": "核准",
        "content": "准予许可",
        "state": "invalid",
    }
    annulled = OLD_PENALTY | {"CF_ZT": "1"}
    with pytest.raises(Refused, match="annulled"):
        clean(layout("penalty", list(annulled)), list(annulled.values()))
    assert refusal("penalty", CF_ZT="1") == ("annulled", "CF_ZT")
    assert read("permit", SJC="2026/3/8", DFBM="310199").payload["state"] == "valid"
    numbered = "行政相对人代码_1 (统一社会信用代码)", "行政相对人代码_3 (工商登记码)", "行政相对人代码_5 (居民身份证号)"
    header = ["行政处罚决定书文号", "处罚名称", "处罚结果", "行政相对人名称", *numbered, "处罚决定日期", "地方编码"]
    cells = ["沪罚1号", "某案", "警告", "李四", "", "", PERSON, "2017/1/2", "310199"]
    old = layout("penalty", header)
    assert clean(old, cells).natural_person
    assert safe_cells(old, cells)[6] == ""


# ---- sums and days --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "cell", "yuan"),
    [
        ("罚款金额(万元)", "0.5", "5000"),
        ("罚款金额（万元）", "1.234567", "12345.67"),
        ("罚款金额", "2", "20000"),
        ("CF_NR_FK", "12.000000", "120000"),
        ("罚款金额（元）", "5000", "5000"),
        ("罚款金额（单位：元）", "5,000.50", "5000.50"),
        ("fine", "5000", "5000"),
        ("罚款金额(万元)", "5000元", "5000"),
        ("罚款金额（元）", "3万元", "30000"),
        ("CF_NR_FK", "0", None),
        ("CF_NR_FK", "0.000000", None),
        ("CF_NR_FK", "无", None),
    ],
)
def test_sums_are_in_yuan_whatever_the_header_counts(header: str, cell: str, yuan: str | None) -> None:
    row = {key: value for key, value in PENALTY.items() if key != "CF_NR_FK"} | {header: cell}
    assert clean(layout("penalty", list(row)), list(row.values())).payload.get("fine") == yuan


def test_yuan_in_a_column_of_ten_thousands_are_noticed_where_the_content_tells() -> None:
    assert refusal("penalty", CF_NR="罚款人民币50,000元", CF_NR_FK="50000") == ("sum_unit", "CF_NR_FK")
    assert refusal("penalty", CF_NR="罚款500.00元整", CF_NR_FK="500") == ("sum_unit", "CF_NR_FK")
    assert read("penalty", CF_NR="罚款500万元", CF_NR_FK="500").payload["fine"] == "5000000"
    assert read("penalty", CF_NR="罚款5000000元", CF_NR_FK="500").payload["fine"] == "5000000"


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2099-12-31", None),
        ("2099/12/31 00:00:00", None),
        ("9999-12-31", None),
        ("长期", None),
        ("永久有效", None),
        ("无", None),
        ("2056年3月4日", "2056-03-04"),
        ("2056.3.4", "2056-03-04"),
        ("20560304", "2056-03-04"),
        ("57043", "2056-03-04"),
        ("73050", None),
        ("2020-01-01", "2020-01-01"),
    ],
)
def test_a_term_may_end_in_a_far_year_or_never(cell: str, day: str | None) -> None:
    assert read("permit", XK_YXQZ="2019-01-01", XK_YXQZI=cell).payload.get("valid_until") == day


@pytest.mark.parametrize(
    ("term", "ends"),
    [
        ("2026-03-05至2029-03-04", ("2026-03-05", "2029-03-04")),
        ("自2026年3月5日起至2029年3月4日止", ("2026-03-05", "2029-03-04")),
        ("2026.3.5 - 2029.3.4", ("2026-03-05", "2029-03-04")),
        ("2026-03-05至长期", ("2026-03-05", None)),
        ("2029-03-04", (None, "2029-03-04")),
        ("长期", (None, None)),
    ],
)
def test_a_term_may_stand_in_one_column(term: str, ends: tuple[str | None, str | None]) -> None:
    payload = read("commendation", 有效期限=term).payload
    assert (payload.get("valid_from"), payload.get("valid_until")) == ends


def test_only_what_is_adverse_needs_a_day() -> None:
    assert read("commendation", 认定时间="").occurred_on is None
    assert read("inspection", 检查日期="").occurred_on is None
    assert read("permit", XK_JDRQ="").occurred_on is None


# ---- gravity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("categories", "content", "gravity"),
    [
        ("警告", "警告", "minor"),
        ("警告、通报批评", "警告", "minor"),
        ("其他-通报批评", "通报批评", "minor"),
        ("警告;罚款", "警告，罚款", "general"),
        ("警告;其他-责令改正", "警告", "general"),
        ("罚款", "罚款", "general"),
        ("", "罚款", "general"),
        ("其他", "吊销", "general"),
        ("吊销许可证件", "吊销", "serious"),
        ("责令停产停业", "停业", "serious"),
        ("罚款|责令关闭", "关闭", "serious"),
        ("限制从业", "五年内不得从业", "serious"),
        ("限制开展生产经营活动", "限制", "serious"),
        ("行政拘留", "拘留五日", "serious"),
        ("暂扣或吊销许可证", "暂扣许可证三个月", "general"),
        ("暂扣或者吊销许可证、暂扣或者吊销执照", "吊销营业执照", "serious"),
    ],
)
def test_gravity_follows_the_categories(categories: str, content: str, gravity: str) -> None:
    row = read("penalty", CF_CFLB=categories, CF_NR=content, CF_NR_FK="", CF_NR_WFFF="")
    assert row.payload["gravity"] == gravity
    assert row.payload.get("categories") != []


def test_a_warning_with_a_fine_is_not_minor() -> None:
    assert read("penalty", CF_CFLB="警告").payload["gravity"] == "general"


@pytest.mark.parametrize(
    ("stated", "gravity"),
    [
        ("轻微", "minor"),
        ("一般失信", "general"),
        ("严重", "serious"),
        ("严重违法失信", "serious"),
        ("Serious", "serious"),
    ],
)
def test_a_stated_gravity_wins(stated: str, gravity: str) -> None:
    assert read("penalty", CF_CFLB="吊销许可证件", 失信严重程度=stated).payload["gravity"] == gravity


# ---- the party ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"CF_XDR_SHXYM": f" {CODE.lower()} "}, CODE),
        ({"CF_XDR_SHXYM": CODE.replace("0", "O")}, CODE),
        ({"CF_XDR_SHXYM": "", "CF_XDR_GSZC": "310199000123456"}, "310199000123456"),
        ({"CF_XDR_SHXYM": "", "CF_XDR_GSZC": "3101151012345"}, None),
        ({"CF_XDR_SHXYM": "", "CF_XDR_ZZJG": "132414205", "CF_XDR_SWDJ": CODE}, CODE),
        ({"CF_XDR_SHXYM": "/"}, None),
        ({"CF_XDR_SHXYM": "000000000000000000"}, None),
    ],
)
def test_the_party_is_named_by_whichever_code_is_there(cells: dict[str, str], code: str | None) -> None:
    assert read("penalty", **cells).party_code == code


@pytest.mark.parametrize(
    ("cells", "natural"),
    [
        ({"CF_XDR_LB": "自然人"}, True),
        ({"CF_XDR_LB": "自然人", "CF_XDR_SHXYM": PERSON}, True),
        ({"CF_XDR_LB": "公民个人"}, True),
        ({"CF_XDR_LB": "个体工商户"}, False),
        ({"CF_XDR_LB": "个人独资企业"}, False),
        ({"CF_XDR_LB": "", "CF_XDR_ZJLX": "身份证"}, True),
        ({"CF_XDR_LB": "", "CF_XDR_ZJHM": PERSON}, True),
        ({"CF_XDR_LB": "", "CF_XDR_ZJLX": "营业执照"}, False),
        ({"CF_XDR_LB": ""}, False),
        ({"CF_XDR_LB": "", "CF_XDR_MC": "好再来店", "CF_XDR_ZJLX": "身份证"}, False),
        ({"CF_XDR_LB": "", "CF_XDR_SHXYM": CODE, "CF_XDR_ZJLX": "身份证"}, False),
    ],
)
def test_a_natural_person_is_told_from_an_organisation(cells: dict[str, str], natural: bool) -> None:
    row = read("penalty", **({"CF_XDR_MC": "李四", "CF_XDR_SHXYM": ""} | cells))
    assert row.natural_person is natural
    assert row.party_code == (CODE if cells.get("CF_XDR_SHXYM") == CODE else None)


@given(identities)
def test_no_identity_number_becomes_a_partys_code(number: str) -> None:
    for category in ("", "法人及非法人组织", "自然人"):
        for column in ("CF_XDR_SHXYM", "CF_XDR_SWDJ", "CF_CFJGDM"):
            cells = {"CF_XDR_SHXYM": "", "CF_XDR_LB": category, column: number}
            if column == "CF_XDR_SHXYM" and category != "自然人":
                assert refusal("penalty", **cells) == ("code_personal", column)
            else:
                assert number not in json.dumps(read("penalty", **cells))


NUMBERS = ("检查任务编号", "列入决定书文号", "执行依据文号", "案号", "认定文号")
"""What stands in a document's number is the document's: eleven digits there are no telephone."""


@given(identities, mobiles, st.data())
def test_no_number_of_a_person_leaves_by_an_entry_or_by_a_rejects_file(number: str, mobile: str, data: Any) -> None:
    kind = data.draw(st.sampled_from(list(FILES)))
    column = data.draw(st.sampled_from([name for name in FILES[kind] if "日期" not in name and "时间" not in name]))
    text = data.draw(st.sampled_from(["{}", "当事人李四（{}）", "身份证号：{}，电话{}", "{}、{}"])).format(
        number, mobile
    )
    row = FILES[kind] | {column: text}
    found = layout(kind, list(row))
    kept = "".join(safe_cells(found, list(row.values())))
    assert number not in kept
    try:
        said = json.dumps(clean(found, list(row.values())), ensure_ascii=False)
    except Refused as refused:
        said = f"{refused!r} {refused} {refused.column} {refused.__cause__}"
    assert number not in said
    assert mobile not in said or "电话" not in text or column in ("CF_WSH", "XK_WSH", "XK_XKBH", *NUMBERS)


@given(st.lists(st.text(max_size=40), max_size=12), st.sampled_from(list(FILES)))
def test_no_row_makes_reading_fail(cells: list[str], kind: str) -> None:
    header = list(FILES[kind])
    filled = list(FILES[kind].values())
    for row in (cells, cells + filled[len(cells) :], filled[: -len(cells)] + cells if cells else filled):
        assert reason_of(layout(kind, header), row) in {None, *REASONS}
        assert len(safe_cells(layout(kind, header), row)) == len(row)


def test_cells_of_people_are_emptied_before_a_row_is_written_anywhere() -> None:
    row = PENALTY | {"联系电话": "021-12345678", "住址": "某路1号", "CF_SY": f"李四（{PERSON}）"}
    found = layout("penalty", list(row))
    kept = dict(zip(row, safe_cells(found, list(row.values())), strict=True))
    assert [name for name in row if row[name] and not kept[name]] == [
        "CF_FRDB", "CF_FR_ZJLX", "CF_FR_ZJHM", "联系电话", "住址",
    ]  # fmt: skip
    assert kept["CF_SY"] == "李四（310199************）"
    assert kept["CF_XDR_SHXYM"] == CODE


def test_where_cells_are_missing_none_that_a_personal_one_may_have_slipped_into_is_kept() -> None:
    found = layout("inspection", ["企业名称", "统一社会信用代码", "联系人", "检查事项", "检查结果"])
    assert safe_cells(found, ["甲", CODE, "张三丰", "乙", "丙"]) == ["甲", CODE, "", "乙", "丙"]
    assert safe_cells(found, ["甲", "张三丰", "乙", "丙"]) == ["甲", "", "", ""]
    assert safe_cells(found, ["甲", CODE, "多", "张三丰", "乙", "丙"]) == ["甲", CODE, "", "", "", ""]
    assert safe_cells(found, ["甲,乙,张三丰"]) == [""]
    nobody = layout("inspection", ["企业名称", "检查事项", "检查结果"])
    assert safe_cells(nobody, [f"甲 {PERSON}"]) == ["甲 310199************"]


# ---- references -----------------------------------------------------------------------------------------------------


def test_several_acts_of_one_document_are_several_entries() -> None:
    references = {
        read("penalty", CF_WFXW=act, CF_CFLB=category).reference
        for act in ("发布虚假广告", "无照经营")
        for category in ("罚款", "警告")
    }
    assert len(references) == 4
    assert len({read("permit", XK_XKBH=number).reference for number in ("1", "2")}) == 2


@pytest.mark.parametrize(
    "written",
    [
        "沪市监罚〔2026〕1号",
        "沪市监罚[2026]1号",
        "沪市监罚(2026)1号",
        "沪市监罚（2026）1号",
        "沪市监罚【2026】 1 号",
        "沪市监罚［２０２６］１号",
    ],
)
def test_a_documents_number_is_one_however_it_is_written(written: str) -> None:
    row = read("penalty", CF_WSH=written)
    assert row.reference == "沪市监罚〔2026〕1号|发布虚假广告/罚款/没收违法所得"
    assert row.payload["document"] == written


def test_a_reference_stays_when_a_listing_ends_and_when_the_party_is_corrected() -> None:
    listed = read("abnormal_listing", 移出日期="", 移出经营异常名录原因="", **{"作出决定机关(移出)": ""})
    assert listed.reference == read("abnormal_listing").reference == "2025-07-08|通过登记的住所无法联系"
    assert "removed_on" not in listed.payload
    serious = read("serious_violation", 移出日期="2026-01-01", 移出原因="期满")
    assert serious.reference == read("serious_violation").reference == "沪市监严〔2025〕3号"
    assert read("penalty", CF_XDR_MC="别的有限公司").reference == read("penalty").reference


def test_without_a_document_the_day_and_the_authority_tell_entries_apart() -> None:
    assert read("inspection", 检查任务编号="").reference == f"2026-03-05|{BUREAU}/公示信息检查"
    assert read("commendation", 认定文号="").reference == f"2026-03-05|{BUREAU}/守合同重信用企业/2025"
    assert read("permit", XK_WSH="").reference.startswith("JY13101990000012|")


def test_a_reference_is_never_longer_than_the_ledger_has_room_for() -> None:
    references = {read("penalty", CF_WSH="㍿" * 200, CF_WFXW="虚假广告" * 400 + end).reference for end in ("甲", "乙")}
    assert len(references) == 2
    assert max(map(len, references)) <= 300


# ---- refusals -------------------------------------------------------------------------------------------------------

SOON = (date.today() + timedelta(days=5)).isoformat()  # noqa: DTZ011
REFUSED: list[tuple[str, str, dict[str, str], str | None]] = [
    ("text_missing", "penalty", {"CF_NR": ""}, "CF_NR"),
    ("text_missing", "judgment_debtor", {"执行法院": "无"}, "执行法院"),
    ("name_missing", "penalty", {"CF_XDR_MC": " "}, "CF_XDR_MC"),
    ("too_long", "penalty", {"CF_WFXW": "违" * 2_001}, "CF_WFXW"),
    ("too_long", "penalty", {"CF_SY": "违" * 20_001}, "CF_SY"),
    ("too_long", "penalty", {"CF_CFLB": "违" * 201}, "CF_CFLB"),
    ("too_long", "permit", {"XK_XDR_MC": "名" * 201}, "XK_XDR_MC"),
    ("code_rounded", "penalty", {"CF_XDR_SHXYM": "9.1310101E+17"}, "CF_XDR_SHXYM"),
    ("code_wrong", "penalty", {"CF_XDR_SHXYM": CODE[:17] + ("1" if CODE[17] != "1" else "2")}, "CF_XDR_SHXYM"),
    ("code_wrong", "penalty", {"CF_XDR_SHXYM": "", "CF_XDR_GSZC": "310199000123457"}, "CF_XDR_GSZC"),
    ("code_personal", "penalty", {"CF_XDR_SHXYM": PERSON}, "CF_XDR_SHXYM"),
    ("document_missing", "penalty", {"CF_WSH": ""}, "CF_WSH"),
    ("document_missing", "permit", {"XK_WSH": "", "XK_XKBH": ""}, "XK_WSH"),
    ("date_missing", "penalty", {"CF_JDRQ": ""}, "CF_JDRQ"),
    ("date_missing", "abnormal_listing", {"列入日期": ""}, "列入日期"),
    ("date_wrong", "penalty", {"CF_JDRQ": "三月五日"}, "CF_JDRQ"),
    ("date_wrong", "permit", {"XK_YXQZI": "2031-02-30"}, "XK_YXQZI"),
    ("date_wrong", "commendation", {"有效期限": "三年"}, "有效期限"),
    ("date_wrong", "abnormal_listing", {"移出日期": "已移出"}, "移出日期"),
    ("date_ahead", "penalty", {"CF_JDRQ": SOON}, "CF_JDRQ"),
    ("date_ahead", "serious_violation", {"移出日期": SOON}, "移出日期"),
    ("dates_crossed", "serious_violation", {"移出日期": "2025-07-07"}, "移出日期"),
    ("dates_crossed", "permit", {"XK_YXQZI": "2026-03-04"}, "XK_YXQZI"),
    ("sum_wrong", "penalty", {"CF_NR_FK": "若干"}, "CF_NR_FK"),
    ("sum_wrong", "penalty", {"CF_NR_FK": "5万美元"}, "CF_NR_FK"),
    ("sum_wrong", "penalty", {"CF_NR_FK": "-5"}, "CF_NR_FK"),
    ("sum_wrong", "penalty", {"CF_NR_FK": "900000000000"}, "CF_NR_FK"),
    ("sum_unit", "penalty", {"CF_NR": "罚款50000元", "CF_NR_FK": "50000"}, "CF_NR_FK"),
    ("gravity_wrong", "penalty", {"失信严重程度": "2"}, "失信严重程度"),
    ("year_wrong", "commendation", {"评价年度": "去年"}, "评价年度"),
    ("annulled", "penalty", {"当前状态": "已撤销"}, "当前状态"),
]


@pytest.mark.parametrize(("reason", "kind", "cells", "column"), REFUSED, ids=[one[0] for one in REFUSED])
def test_what_cannot_be_understood_is_refused_with_its_column(
    reason: str, kind: str, cells: dict[str, str], column: str | None
) -> None:
    assert refusal(kind, **cells) == (reason, column)


@pytest.mark.parametrize("cells", [["甲"], [*PENALTY.values(), "", "多"], []])
def test_a_row_with_other_columns_than_the_header_is_refused(cells: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        clean(layout("penalty", list(PENALTY)), cells)
    assert refused.value.reason == "columns"
    assert clean(layout("penalty", list(PENALTY)), [*PENALTY.values(), " ", ""]) == read("penalty")


def test_every_reason_is_reached_and_says_in_both_languages_what_to_do() -> None:
    assert {one[0] for one in REFUSED} | {"columns"} == set(REASONS)
    for zh, en in REASONS.values():
        assert "；" in zh or "请" in zh
        assert ";" in en or "," in en
        assert not any("a" <= char <= "z" for char in zh)


def test_reading_needs_neither_the_database_nor_the_web() -> None:
    import subprocess
    import sys

    script = "import sys, record.feed_rows; print([m for m in ('sqlalchemy', 'fastapi', 'opencc') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    assert feed_rows.__doc__
