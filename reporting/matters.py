"""What a tip-off may be about: the form's list, which is also Open311's list of services."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """One matter that the market regulator looks after. Names and examples in Chinese and in English."""

    name: tuple[str, str]
    examples: tuple[str, str]
    keywords: tuple[str, ...] = ()


KINDS: Mapping[str, tuple[str, str]] = {"report": ("举报", "Report"), "complaint": ("投诉", "Complaint")}
"""举报: anybody about a suspected violation. 投诉: a consumer's own dispute."""

SERVICES: Mapping[str, Service] = {
    "food": Service(
        ("食品安全", "Food safety"),
        ("过期变质、无证经营、后厨脏乱", "out of date or spoilt food, no licence, a dirty kitchen"),
        ("food", "restaurant"),
    ),
    "medicine": Service(
        ("药品、医疗器械、化妆品", "Medicines, medical devices, cosmetics"),
        ("假药劣药、无证销售、非法添加", "fake or bad medicine, sale without a licence, forbidden additives"),
        ("medicine", "cosmetics"),
    ),
    "quality": Service(
        ("产品质量", "Quality of goods"),
        ("不合格产品、无认证标志", "goods below the standard, no mandatory certification"),
        ("goods", "certification"),
    ),
    "price": Service(
        ("价格与收费", "Prices and fees"),
        ("不明码标价、价格欺诈、乱收费", "no marked prices, false discounts, unlawful fees"),
        ("price", "fee"),
    ),
    "advertising": Service(
        ("广告与宣传", "Advertising"),
        ("虚假广告、夸大功效", "false claims, miracle cures"),
        ("advertisement",),
    ),
    "licence": Service(
        ("无证无照、登记违法", "Trading without a licence, false registration"),
        ("没有营业执照、冒用他人身份登记", "no business licence, registered in somebody else's name"),
        ("licence", "registration"),
    ),
    "competition": Service(
        ("不正当竞争、垄断、传销", "Unfair competition, monopolies, pyramid selling"),
        ("商业贿赂、仿冒混淆、拉人头", "bribes, look-alikes, paying for recruits"),
        ("competition", "monopoly"),
    ),
    "online": Service(
        ("网络交易", "Online trade"),
        ("刷单炒信、平台不公平规则", "fake reviews, unfair rules of a platform"),
        ("online", "platform"),
    ),
    "property": Service(
        ("商标、专利侵权和假冒", "Counterfeits, trade marks, patents"),
        ("假冒名牌、冒充专利", "fake brands, goods falsely marked as patented"),
        ("counterfeit", "trademark"),
    ),
    "equipment": Service(
        ("特种设备", "Lifts and other special equipment"),
        ("电梯未检验、锅炉违规使用", "a lift without inspection, a boiler used against the rules"),
        ("lift", "boiler"),
    ),
    "measurement": Service(
        ("计量", "Weights and measures"),
        ("缺斤短两、作弊秤", "short weight, rigged scales"),
        ("scales", "weight"),
    ),
    "consumer": Service(
        ("消费纠纷", "A purchase of one's own"),
        ("退款、售后、预付卡", "refunds, repairs, prepaid cards"),
        ("refund", "consumer"),
    ),
    "other": Service(("其他", "Something else"), ("以上都不是", "none of the above"), ("other",)),
}
"""Our code -> the service."""
