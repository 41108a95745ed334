"""Made-up supervision records of made-up entities: of every kind, the same every time, and in keeping with the flags.

Days are counted back from the end of 2025, so an old demonstration shows what an old record looks like: terms that
are over.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from portal.kit import db
from record import districts, ledger, publication
from record.ledger import Fact

SOURCE = "demo"
LAST_DAY = date(2025, 12, 31)

_ACTS = (
    ("发布虚假广告", "《中华人民共和国广告法》第五十五条第一款", "罚款", 20_000),
    ("未按规定明码标价", "《中华人民共和国价格法》第四十二条", "罚款", 2_000),
    ("销售不合格产品", "《中华人民共和国产品质量法》第四十九条", "罚款、没收违法所得", 30_000),
    ("使用未经检定的计量器具", "《中华人民共和国计量法实施细则》第四十三条", "罚款", 1_000),
    ("经营超过保质期的食品", "《中华人民共和国食品安全法》第一百二十四条", "罚款、没收非法财物", 50_000),
    ("无照经营", "《无证无照经营查处办法》第十三条", "警告", 0),
    ("伪造产品产地", "《中华人民共和国产品质量法》第五十三条", "吊销许可证件", 100_000),
)
_PERMITS = (
    ("食品经营许可", "核准", "食品经营许可证", "热食类食品制售；预包装食品销售"),
    ("公共场所卫生许可", "核准", "卫生许可证", "公共场所卫生"),
    ("特种设备使用登记", "登记", "特种设备使用登记证", "电梯使用登记"),
    ("广告发布登记", "登记", "广告发布登记证", "广告发布"),
)
_SUBJECTS = (
    "食品经营许可事项检查",
    "广告经营行为检查",
    "计量器具使用检查",
    "公示信息检查",
    "特种设备安全检查",
    "价格行为检查",
)
_RESULTS = (*["未发现问题"] * 7, *["发现问题已责令改正"] * 2, "未按规定公示应当公示的信息")
_HONOURS = ("守合同重信用企业", "诚信经营示范单位", "放心消费示范店", "A级纳税人")
_GROUNDS = {
    "abnormal_listing": (
        "通过登记的住所或者经营场所无法联系",
        "未依照规定的期限公示年度报告",
        "公示企业信息隐瞒真实情况、弄虚作假",
    ),
    "serious_violation": ("被列入经营异常名录届满三年仍未履行公示义务", "实施虚假登记且情节严重"),
}


def facts_of(entity: dict[str, Any]) -> Iterator[Fact]:
    """The records of one made-up entity, by its columns."""
    rng = random.Random(f"records of {entity['code']}")  # noqa: S311  the same every time
    district = entity["district"] or "310101"
    maker = _Maker(rng, entity, f"{districts.DISTRICTS[district][0]}市场监督管理局（虚构）")
    for name in entity["flags"]:
        yield maker.listing(name)
    for _ in range(rng.choices((0, 1, 2, 3), (60, 25, 10, 5))[0]):
        yield maker.permit()
    for _ in range(rng.choices((0, 1, 2, 4), (55, 30, 12, 3))[0]):
        yield maker.inspection()
    for _ in range(rng.choices((0, 1, 2), (90, 8, 2))[0]):
        yield maker.penalty()
    if rng.random() < 0.05:
        yield maker.commendation()


class _Maker:
    """Facts about one entity."""

    def __init__(self, rng: random.Random, entity: dict[str, Any], authority: str) -> None:
        self._rng, self._entity, self._authority = rng, entity, authority
        self._number = 0

    def _fact(self, kind: str, days: int, document: str, **payload: Any) -> Fact:
        self._number += 1
        day = LAST_DAY - timedelta(days=self._rng.randint(1, days))
        number = f"{document}〔{day.year}〕{int(self._entity['code'][9:17], 36) % 90_000 + 10_000}{self._number}号"
        said = {"party_name": self._entity["name"], "document": number, "authority": self._authority} | payload
        reference = f"{number}|{self._entity['code']}"
        fact = Fact(kind, SOURCE, reference, said, self._entity["code"], day.isoformat())
        return publication.with_term(fact)

    def permit(self) -> Fact:
        name, category, certificate, content = self._rng.choice(_PERMITS)
        return self._fact(
            "permit", 1_500, "虚许", document_name=f"{name}决定书", category=category, certificate_name=certificate,
            content=content, state="valid",
        )  # fmt: skip

    def inspection(self) -> Fact:
        return self._fact(
            "inspection", 1_000, "虚检", subject=self._rng.choice(_SUBJECTS), method="双随机抽查",
            result=self._rng.choice(_RESULTS),
        )  # fmt: skip

    def penalty(self) -> Fact:
        act, basis, category, fine = self._rng.choice(_ACTS)
        gravity = "minor" if category == "警告" else "serious" if "吊销" in category else "general"
        sums = {"fine": f"{fine * self._rng.randint(1, 5)}.00"} if fine else {}
        return self._fact(
            "penalty", 900, "虚罚", act=act, basis=basis, categories=category.split("、"), gravity=gravity,
            content=f"{category}（虚构）", facts=f"经查，当事人存在{act}的行为。此案为演示所编，并未发生。", **sums,
        )  # fmt: skip

    def listing(self, name: str) -> Fact:
        if name == "judgment_debtor":
            return self._fact(
                name, 300, "虚执", court="上海市虚构区人民法院", case_number="（虚构案号）", performance="全部未履行",
                circumstances="有履行能力而拒不履行生效法律文书确定义务",
            )  # fmt: skip
        return self._fact(name, 300, "虚列", ground=self._rng.choice(_GROUNDS[name]))

    def commendation(self) -> Fact:
        return self._fact("commendation", 700, "虚荣", title=self._rng.choice(_HONOURS), year="2025")


def fill(made: Sequence[dict[str, Any]]) -> int:
    """Append the records of these made-up entities; repeating it adds nothing. Returns how many were added."""
    added = 0
    for piece in ledger.chunks(ledger.seal(fact) for entity in made for fact in facts_of(entity)):
        with db.writing() as session:
            added += ledger.append(session, piece).added
    return added
