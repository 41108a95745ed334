"""Administrative divisions (GB/T 2260): Shanghai's districts of today and yesterday, and where an address lies.

A credit code keeps the division it was given in; today's district is never read from it.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

PUDONG = "310115"

DISTRICTS: dict[str, tuple[str, str]] = {
    "310101": ("黄浦区", "Huangpu"),
    "310104": ("徐汇区", "Xuhui"),
    "310105": ("长宁区", "Changning"),
    "310106": ("静安区", "Jing'an"),
    "310107": ("普陀区", "Putuo"),
    "310109": ("虹口区", "Hongkou"),
    "310110": ("杨浦区", "Yangpu"),
    "310112": ("闵行区", "Minhang"),
    "310113": ("宝山区", "Baoshan"),
    "310114": ("嘉定区", "Jiading"),
    "310115": ("浦东新区", "Pudong New Area"),
    "310116": ("金山区", "Jinshan"),
    "310117": ("松江区", "Songjiang"),
    "310118": ("青浦区", "Qingpu"),
    "310120": ("奉贤区", "Fengxian"),
    "310151": ("崇明区", "Chongming"),
}


@dataclass(frozen=True, slots=True)
class Abolished:
    """A division that is no more, and the one that its place belongs to now."""

    name: str
    successor: str
    until: date
    """The day on which the State Council's approval was given or took effect."""


ABOLISHED: dict[str, Abolished] = {
    "310102": Abolished("南市区", "310101", date(2000, 6, 13)),
    "310103": Abolished("卢湾区", "310101", date(2011, 5, 20)),
    "310108": Abolished("闸北区", "310106", date(2015, 10, 13)),
    "310111": Abolished("吴淞区", "310113", date(1988, 1, 21)),
    "310119": Abolished("南汇区", "310115", date(2009, 4, 24)),
    "310221": Abolished("上海县", "310112", date(1992, 9, 26)),
    "310222": Abolished("嘉定县", "310114", date(1992, 10, 11)),
    "310223": Abolished("宝山县", "310113", date(1988, 1, 21)),
    "310224": Abolished("川沙县", "310115", date(1992, 10, 11)),
    "310225": Abolished("南汇县", "310115", date(2001, 1, 9)),
    "310226": Abolished("奉贤县", "310120", date(2001, 1, 9)),
    "310227": Abolished("松江县", "310117", date(1998, 2, 27)),
    "310228": Abolished("金山县", "310116", date(1997, 4, 29)),
    "310229": Abolished("青浦县", "310118", date(1999, 9, 16)),
    "310230": Abolished("崇明县", "310151", date(2016, 6, 8)),
}

PROVINCES: dict[str, tuple[str, str]] = {
    "110000": ("北京市", "Beijing"),
    "120000": ("天津市", "Tianjin"),
    "130000": ("河北省", "Hebei"),
    "140000": ("山西省", "Shanxi"),
    "150000": ("内蒙古自治区", "Inner Mongolia"),
    "210000": ("辽宁省", "Liaoning"),
    "220000": ("吉林省", "Jilin"),
    "230000": ("黑龙江省", "Heilongjiang"),
    "310000": ("上海市", "Shanghai"),
    "320000": ("江苏省", "Jiangsu"),
    "330000": ("浙江省", "Zhejiang"),
    "340000": ("安徽省", "Anhui"),
    "350000": ("福建省", "Fujian"),
    "360000": ("江西省", "Jiangxi"),
    "370000": ("山东省", "Shandong"),
    "410000": ("河南省", "Henan"),
    "420000": ("湖北省", "Hubei"),
    "430000": ("湖南省", "Hunan"),
    "440000": ("广东省", "Guangdong"),
    "450000": ("广西壮族自治区", "Guangxi"),
    "460000": ("海南省", "Hainan"),
    "500000": ("重庆市", "Chongqing"),
    "510000": ("四川省", "Sichuan"),
    "520000": ("贵州省", "Guizhou"),
    "530000": ("云南省", "Yunnan"),
    "540000": ("西藏自治区", "Tibet"),
    "610000": ("陕西省", "Shaanxi"),
    "620000": ("甘肃省", "Gansu"),
    "630000": ("青海省", "Qinghai"),
    "640000": ("宁夏回族自治区", "Ningxia"),
    "650000": ("新疆维吾尔自治区", "Xinjiang"),
    "710000": ("台湾省", "Taiwan"),
    "810000": ("香港特别行政区", "Hong Kong"),
    "820000": ("澳门特别行政区", "Macao"),
}
"""The 34 provincial divisions."""

ZONES: dict[str, str | None] = {
    "自贸区": PUDONG,
    "自由贸易试验区": PUDONG,
    "自贸试验区": PUDONG,
    "保税区": PUDONG,
    "外高桥": PUDONG,
    "外高桥保税区": PUDONG,
    "陆家嘴": PUDONG,
    "金桥": PUDONG,
    "张江": PUDONG,
    "张江高科技园区": PUDONG,
    "浦东机场": PUDONG,
    "临港": None,
    "临港新片区": None,
    "临港地区": None,
    "张江高新区": None,
    "洋山": None,
    "洋山保税港区": None,
    "虹桥商务区": None,
    "漕河泾": None,
    "漕河泾开发区": None,
    "市局": None,
    "市辖区": None,
    "市辖县": None,
    "机场": None,
    "长江农场": None,
}
"""Zones (功能区) that registries write where a district belongs. None: it lies in several districts, or nowhere."""

_TOWNS = {
    "310115": "川沙新 川沙 高桥 北蔡 合庆 曹路 高行 高东 张江 三林 惠南 周浦 新场 大团 康桥 航头 祝桥 泥城 宣桥"
    " 书院 万祥 老港"
    " 南汇新城 芦潮港 孙桥 蔡路 顾路 王港 龚路 六团 黄楼 花木 杨思 六灶 三灶 坦直 下沙 瓦屑 横沔 六里 严桥 东沟"
    " 凌桥 施湾"
    " 杨园 唐 申港 沪东新村 潍坊新村 陆家嘴 周家渡 上钢新村 南码头路 金杨新村 东明路 浦兴路",
    "310112": "莘庄 七宝 颛桥 华漕 梅陇 吴泾 马桥 浦江 纪王 诸翟 鲁汇 杜行 陈行 曹行 塘湾 北桥 龙柏 古美路",
    "310113": "罗店 大场 杨行 月浦 罗泾 顾村 高境 庙行 淞南 刘行 盛桥 罗南 张庙 友谊路 吴淞",
    "310114": "南翔 安亭 马陆 徐行 外冈 江桥 黄渡 封浜 娄塘 戬浜 方泰 曹王 朱桥 嘉定 望新 唐行 真新",
    "310116": "朱泾 枫泾 张堰 亭林 吕巷 廊下 金山卫 漕泾 山阳 兴塔 干巷 朱行 松隐 新农 金卫 石化",
    "310117": "泗泾 佘山 车墩 洞泾 九亭 泖港 石湖荡 新浜 叶榭 小昆山 昆山 五厍 张泽 塔汇 李塔汇 茸北 天马 天马山"
    " 永丰 方松",
    "310118": "朱家角 练塘 金泽 赵巷 徐泾 华新 重固 白鹤 赵屯 西岑 商榻 蒸淀 小蒸 凤溪 大盈 香花桥 盈浦 夏阳 莲盛"
    " 沈巷 青浦",
    "310120": "南桥 奉城 庄行 金汇 四团 青村 柘林 海湾 泰日 头桥 胡桥 西渡 邬桥 钱桥 洪庙 江海 齐贤 邵厂 新寺 塘外"
    " 奉新 肖塘",
    "310151": "城桥 堡 新河 庙 竖新 向化 三星 港沿 中兴 陈家 绿华 港西 新海 东平 长兴 横沙 裕安 侯家 新民 合兴 港东",
    "310107": "长征 桃浦 真如 长寿路 曹杨新村 甘泉路 石泉路 宜川路 长风新村",
    "310105": "新泾 北新泾 程家桥 仙霞新村 天山路 周家桥 华阳路 江苏路 新华路",
    "310104": "华泾 漕河泾 龙华 长桥 康健新村 田林 虹梅路 凌云路 斜土路 枫林路 天平路 徐家汇 湖南路",
    "310106": "彭浦 彭浦新村 临汾路 大宁路 共和新路 天目西路 北站 宝山路 芷江西路 江宁路 曹家渡 石门二路 南京西路"
    " 静安寺",
    "310110": "五角场 殷行 延吉新村 长白新村 四平路 控江路 定海路 大桥 江浦路 平凉路 新江湾城",
    "310109": "凉城新村 曲阳路 广中路 嘉兴路 提篮桥 欧阳路 四川北路 北外滩",
    "310101": "外滩 南京东路 豫园 老西门 小东门 半淞园路 打浦桥 瑞金二路 淮海中路 五里桥",
}
"""Towns and subdistricts (镇、乡、街道) of one district only, merged ones included: no 新桥, 虹桥, 江湾, 光明."""


def _short(name: str) -> str:
    return name.removesuffix("新区").rstrip("区县")


def _known_names() -> dict[str, str]:
    names = {code: row.successor for code, row in ABOLISHED.items()}
    for row in ABOLISHED.values():
        names |= {row.name: row.successor, _short(row.name): row.successor}
    del names["上海"]  # alone it is the city, not the county that lay around it until 1992
    for code, (name, english) in DISTRICTS.items():
        names |= {name: code, _short(name): code, code: code}
        names |= {english.lower(): code, f"{english} district".lower(): code}
    return names | {"浦东区": PUDONG, "pudong": PUDONG}


_NAMES = _known_names()
_TODAY = {**{name: code for code, (name, _) in DISTRICTS.items()}, **{_short(n): c for c, (n, _) in DISTRICTS.items()}}
_FULL = {name: code for name, code in _NAMES.items() if name[-1] in "区县" and name != "浦东区"}
_CITY = re.compile(r"^(?:中国)?(?:上海市?)?(?:市辖区|市辖县)?")
_FULL_NAME = re.compile("|".join(sorted(_FULL, key=len, reverse=True)))
_SHORT_START = re.compile(
    "(" + "|".join(sorted({_short(name) for name in _FULL} - {"上海"}, key=len, reverse=True)) + ")"
    "(?![路街弄道大东南西北中一二三])"
)
_TOWN_CODES = {town: code for code, towns in _TOWNS.items() for town in towns.split()}
_TOWN = re.compile(
    "(" + "|".join(sorted(_TOWN_CODES, key=len, reverse=True)) + ")(?:镇|乡|街道|工业区|工业园区|经济小区|经济园区)"
)
_FREE_TRADE_ZONE = re.compile(r"自由贸易试验区|自贸试验区")
# 浙江省舟山市普陀区 is not Shanghai's 普陀; 北京东路 and 江苏路 are roads in Shanghai.
_ELSEWHERE = re.compile(
    "(?:中国)?(?:"
    + "|".join(name for code, (name, _) in PROVINCES.items() if code != "310000")
    + "|(?!上海)[\u4e00-\u9fff]{2,3}市(?![场政民级辖]))"
)


@lru_cache(maxsize=4096)
def of_name(text: str) -> str | None:
    """Today's district that `text` names: 浦东, 浦东新区, 310115, Pudong; an abolished one gives its successor.

    None for a zone, for another city, and for what nobody knows.
    """
    name = unicodedata.normalize("NFKC", text).strip().lower()
    return _NAMES.get(name) or _NAMES.get(_CITY.sub("", name))


@lru_cache(maxsize=4096)
def is_of_today(text: str) -> bool:
    """Whether `text` names a district that still stands, so that no address needs to be asked."""
    name = _CITY.sub("", unicodedata.normalize("NFKC", text).strip())
    return name in _TODAY or name in DISTRICTS


@lru_cache(maxsize=4096)
def of_zone(text: str) -> str | None:
    """The district that the zone `text` lies in, if it lies in one only."""
    name = _CITY.sub("", unicodedata.normalize("NFKC", text).strip()).removeprefix("(上海)")
    return ZONES.get(name)


def of_address(address: str) -> str | None:
    """Today's district of an address in Shanghai, or None where the address does not say.

    In order: the district's own name wherever it stands first; its short name at the beginning (嘉定环城路, but not
    浦东南路, which is a road); a town that only one district has; the free trade zone of 2013 and 2015, which lies in
    Pudong as a whole. Lingang (2019) lies in several districts and says nothing. A road alone is never guessed from.
    """
    text = "".join(unicodedata.normalize("NFKC", address).split())
    if _ELSEWHERE.match(text):
        return None
    if found := _FULL_NAME.search(text):
        return _FULL[found[0]]
    rest = _CITY.sub("", text)
    if found := _SHORT_START.match(rest):
        return _NAMES[found[1]]
    found = _TOWN.search(rest)
    if found and (len(found[1]) > 1 or found.start() == 0):
        return _TOWN_CODES[found[1]]
    if _FREE_TRADE_ZONE.search(rest) and "临港" not in rest and "新片区" not in rest:
        return PUDONG
    return None
