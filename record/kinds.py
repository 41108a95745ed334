"""What the supervision record holds: for each kind its payload, its name, where it shows, and what the law calls it.

A new kind is one entry here, and a template. How long an entry is shown is `record.publication`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from record.codes import Labels

Gravity = Literal["minor", "general", "serious"]
"""轻微, 一般, 严重 (NDRC Order 36, in force from 2026-04-01)."""

GRAVITIES: Labels = {
    "minor": ("轻微失信", "Minor"),
    "general": ("一般失信", "General"),
    "serious": ("严重失信", "Serious"),
}

Finding = Literal["violation", "no_violation", "not_proven", "out_of_scope"]

FINDINGS: Labels = {
    "violation": ("存在违法行为", "A violation was found"),
    "no_violation": ("未发现违法行为", "No violation was found"),
    "not_proven": ("证据不足", "It could not be proven"),
    "out_of_scope": ("不属于本部门职责", "It is not for this department"),
}
"""What verifying a report came to."""

Short = Annotated[str, Field(max_length=200)]
Words = Annotated[str, Field(max_length=2_000)]
Long = Annotated[str, Field(max_length=20_000)]
Code = Annotated[str, Field(pattern=r"^[0-9A-Z]{15,18}$")]
Yuan = Annotated[str, Field(pattern=r"^\d{1,15}(\.\d{1,2})?$")]
"""A sum in yuan as a decimal text: JSON's numbers would round it."""


class Payload(BaseModel):
    """What an entry says, beside its party, day and source. Fields that a source left out are absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    party_name: Short
    """As the document names the party (行政相对人名称)."""
    document: Short | None = None
    """Number of the document (文书号)."""
    authority: Short | None = None
    """Who decided (机关)."""
    authority_code: Code | None = None
    reported_by: Short | None = None
    """Who sent the data (数据来源单位)."""
    reported_by_code: Code | None = None
    remark: Words | None = None


class Permit(Payload):
    """行政许可 (双公示, edition of 2018/2019)."""

    document_name: Short | None = None
    category: Short | None = None
    certificate_name: Short | None = None
    certificate_number: Short | None = None
    content: Long
    valid_from: date | None = None
    valid_until: date | None = None
    state: Literal["valid", "invalid"] | None = None


class Penalty(Payload):
    """行政处罚 (双公示, edition of 2018/2019)."""

    act: Words
    """违法行为类型."""
    facts: Long | None = None
    basis: Long | None = None
    categories: list[Short] = Field(default_factory=list)
    """处罚类别: 警告, 罚款, …"""
    content: Long
    fine: Yuan | None = None
    confiscated: Yuan | None = None
    licence: Short | None = None
    """暂扣或吊销证照名称及编号."""
    gravity: Gravity
    valid_until: date | None = None


class Inspection(Payload):
    """监督检查 (双随机 included)."""

    subject: Words
    """What was inspected (检查事项)."""
    method: Short | None = None
    result: Words


class AbnormalListing(Payload):
    """经营异常名录: listed, until it is removed."""

    ground: Words
    """列入原因."""
    removed_on: date | None = None
    removed_because: Words | None = None
    removed_by: Short | None = None


class SeriousViolation(Payload):
    """严重违法失信名单 (SAMR Order 44)."""

    ground: Words
    removed_on: date | None = None
    removed_because: Words | None = None
    removed_by: Short | None = None


class JudgmentDebtor(Payload):
    """失信被执行人."""

    court: Short
    case_number: Short
    duty: Long | None = None
    performance: Words | None = None
    circumstances: Words | None = None
    province: Short | None = None
    removed_on: date | None = None


class Commendation(Payload):
    """守信激励 (once 红名单)."""

    title: Words
    year: Annotated[str, Field(pattern=r"^\d{4}$")] | None = None
    valid_from: date | None = None
    valid_until: date | None = None


class TipOutcome(BaseModel):
    """举报处理结果: what a report led to. Who told, when, how often and in which words is no part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    matter: Short
    """What it was about: one of the intake form's services."""
    finding: Finding
    measures: Words
    """What was done."""
    basis: Words
    """Law and article."""
    authority: Short
    penalty: Short | None = None
    """`id` of the entry of the penalty that it led to."""
    penalty_document: Short | None = None
    """Number of that penalty's document, for people."""


class Evaluation(Payload):
    """行业信用评价: what an association or agency says of an entity by a published method. `authority`: the rater."""

    rater: Short
    """Who answers for it: id of the organisation."""
    scheme: Short
    """Id of the scheme, whose method and scale are at /partners/schemes/{scheme}."""
    scheme_name: Short
    version: Annotated[int, Field(ge=1)]
    """Edition of the scheme by which it was made."""
    grade: Annotated[str, Field(max_length=20)] | None = None
    """等级; absent in process data (过程数据)."""
    grade_meaning: Short | None = None
    valid_from: date
    valid_until: date | None = None
    certificate_number: Short | None = None
    details: dict[Annotated[str, Field(max_length=40)], Short] = Field(default_factory=dict)
    """Further public columns of the scheme, by their titles."""


class DisputeOutcome(BaseModel):
    """评价异议处理结果: what became of an entity's objection to a rating. Internal: the rating shows it, or is gone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    evaluation: Short
    """`id` of the entry that was disputed."""
    scheme: Short
    outcome: Literal["upheld", "rejected", "conceded"]
    """`conceded`: the rater itself withdrew the rating."""
    reason: Words


class Registration(BaseModel):
    """登记: what a registry file changed, column by column, old and new; or the first load's files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    changed: dict[str, tuple[str | None, str | None]] = Field(default_factory=dict)
    files: list[dict[str, str | int]] = Field(default_factory=list)


class Withdrawal(BaseModel):
    """An entry that is shown no longer. To the outside it says no more than this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    withdrawn: str
    """`id` of the entry."""
    data_set: str
    """Kind of the entry."""
    because: Literal["closed", "repaired", "objection", "annulled", "redacted"]
    """For the desk only: the public learns that it is withdrawn, not why."""


class DeskAction(BaseModel):
    """What an officer did, to what, and why (监管留痕). Never public."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Annotated[str, Field(pattern=r"^[a-z]+(_[a-z]+)*$", max_length=40)]
    about: Short
    """What it was done to: `id` of an entry, number of a case, of an account, …"""
    officer: str
    """Number of the account; `console` for the operator's command line."""
    reason: Words | None = None
    details: dict[Annotated[str, Field(max_length=40)], Words] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entry."""

    name: str
    labels: tuple[str, str]
    """In Chinese and in English; of several, as a heading."""
    payload: type[BaseModel]
    command: str | None
    """`portal import …` and `/api/v1/feeds/…`; None for kinds that no feed brings."""
    listing: bool = False
    """An entity stands on it from the entry's day until it is removed: a flag of the entity."""
    adverse: bool = False
    """Says something to the party's disadvantage: has a gravity or a term, can be repaired."""
    beside: str | None = None
    """Of an entry that is shown only while the entry of this other kind is that it names."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("registration", ("登记变更", "Changes of registration"), Registration, None),
        Kind("permit", ("行政许可", "Permits"), Permit, "permits"),
        Kind("penalty", ("行政处罚", "Penalties"), Penalty, "penalties", adverse=True),
        Kind("inspection", ("监督检查", "Inspections"), Inspection, "inspections"),
        Kind(
            "abnormal_listing", ("经营异常名录", "Abnormal operations"), AbnormalListing, "abnormal-listings",
            listing=True, adverse=True,
        ),
        Kind(
            "serious_violation", ("严重违法失信名单", "Serious violations"), SeriousViolation, "serious-violations",
            listing=True, adverse=True,
        ),
        Kind(
            "judgment_debtor", ("失信被执行人", "Judgment debtors"), JudgmentDebtor, "judgment-debtors",
            listing=True, adverse=True,
        ),
        Kind("commendation", ("守信激励", "Commendations"), Commendation, "commendations"),
        Kind("tip_outcome", ("举报处理结果", "Outcomes of reports"), TipOutcome, None, beside="penalty"),
        Kind("evaluation", ("信用评价", "Evaluations"), Evaluation, None),
        Kind("dispute_outcome", ("评价异议处理结果", "Outcomes of disputes"), DisputeOutcome, None),
        Kind("withdrawal", ("停止公示", "Withdrawals"), Withdrawal, None),
        Kind("desk_action", ("监管留痕", "Officers' acts"), DeskAction, None),
    )
}  # fmt: skip

FED: tuple[Kind, ...] = tuple(kind for kind in KINDS.values() if kind.command)
"""Kinds that feeds bring."""

STATES: Labels = {"valid": ("有效", "Valid"), "invalid": ("无效", "Invalid")}
"""State of a permit (当前状态)."""

FIELDS: Labels = {
    "matter": ("举报事项", "Matter"),
    "finding": ("查处结论", "Finding"),
    "measures": ("处理情况", "What was done"),
    "grade": ("等级", "Grade"),
    "grade_meaning": ("等级含义", "Meaning of the grade"),
    "scheme_name": ("评价项目", "Scheme"),
    "version": ("评价办法版次", "Edition of the method"),
    "act": ("违法行为类型", "Offence"),
    "facts": ("违法事实", "Facts"),
    "basis": ("处罚依据", "Legal basis of the decision"),
    "categories": ("处罚类别", "Kind of penalty"),
    "content": ("内容", "Decision"),
    "fine": ("罚款金额（元）", "Fine (yuan)"),
    "confiscated": ("没收金额（元）", "Confiscated (yuan)"),
    "licence": ("暂扣或吊销的证照", "Licence suspended or revoked"),
    "gravity": ("失信程度", "Gravity"),
    "document_name": ("文书名称", "Document"),
    "document": ("文书号", "Document number"),
    "category": ("类别", "Category"),
    "certificate_name": ("证书名称", "Certificate"),
    "certificate_number": ("证书编号", "Certificate number"),
    "valid_from": ("有效期自", "Valid from"),
    "valid_until": ("有效期至", "Valid until"),
    "state": ("当前状态", "State"),
    "subject": ("检查事项", "Subject"),
    "method": ("检查方式", "Method"),
    "result": ("检查结果", "Result"),
    "ground": ("列入原因", "Ground for listing"),
    "removed_on": ("移出日期", "Removed on"),
    "removed_because": ("移出原因", "Ground for removal"),
    "removed_by": ("移出机关", "Removed by"),
    "court": ("执行法院", "Court"),
    "case_number": ("案号", "Case number"),
    "duty": ("确定的义务", "Duty established"),
    "performance": ("履行情况", "Performance"),
    "circumstances": ("具体情形", "Circumstances"),
    "province": ("省份", "Province"),
    "title": ("称号", "Honour"),
    "year": ("评价年度", "Year"),
    "penalty": ("所涉行政处罚", "Penalty"),
    "penalty_document": ("所涉行政处罚文书号", "Document number of the penalty"),
    "authority": ("决定机关", "Authority"),
    "authority_code": ("机关代码", "Code of the authority"),
    "reported_by": ("数据来源单位", "Data from"),
    "reported_by_code": ("数据来源单位代码", "Code of the data's source"),
    "remark": ("备注", "Remark"),
}
"""What each field of a payload is called, in the order in which it is shown."""

DAYS: Labels = {
    "permit": ("许可决定日期", "Day of the decision"),
    "penalty": ("处罚决定日期", "Day of the decision"),
    "inspection": ("检查日期", "Day of the inspection"),
    "abnormal_listing": ("列入日期", "Day of listing"),
    "serious_violation": ("列入日期", "Day of listing"),
    "judgment_debtor": ("发布日期", "Day of publication by the court"),
    "commendation": ("认定日期", "Day of the award"),
    "tip_outcome": ("处理决定日期", "Day of the decision"),
    "evaluation": ("评价日期", "Day of the evaluation"),
}
"""What an entry's day (`occurred_on`) is the day of."""

HEADLINES: Mapping[str, str] = {
    "permit": "content",
    "penalty": "act",
    "inspection": "subject",
    "abnormal_listing": "ground",
    "serious_violation": "ground",
    "judgment_debtor": "case_number",
    "commendation": "title",
    "tip_outcome": "measures",
    "evaluation": "scheme_name",
}
"""The field that says in one line what an entry of a kind is about."""

ACTS: Mapping[str, str] = {
    "permit": "category",
    "penalty": "act",
    "inspection": "subject",
    "abnormal_listing": "ground",
    "serious_violation": "ground",
    "judgment_debtor": "performance",
    "commendation": "title",
    "tip_outcome": "matter",
    "evaluation": "scheme_name",
}
"""The field that says of which type an entry's act is: what a list of a kind can be narrowed to."""

REGISTERED: Labels = {
    "name": ("名称", "Name"),
    "type": ("类型", "Type"),
    "status": ("登记状态", "Status"),
    "established_on": ("成立日期", "Established"),
    "capital": ("注册资本", "Registered capital"),
    "district": ("所在区", "District"),
    "industry": ("行业", "Industry"),
    "address": ("住所", "Address"),
    "scope": ("经营范围", "Business scope"),
}
"""Columns of the register that an entry of kind `registration` tells of."""

SHOWN: Labels = {
    kind.name: kind.labels for kind in (*FED, KINDS["evaluation"], KINDS["tip_outcome"], KINDS["registration"])
}
"""Kinds that have a place on an entity's page and a list of their own."""
