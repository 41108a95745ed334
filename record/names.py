"""Names of market entities: what two spellings of one name have in common, and the legal parts of a name.

Both are deterministic per character, so that an index and a query, or two registers, always agree. How names
are searched for (pinyin, fragments, misspellings) belongs in `search`.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from record.trades import TRADES, places

_BRACKETS = dict.fromkeys("（【〔［｛〖([{﹙﹝", "(") | dict.fromkeys("）】〕］｝〗)]}﹚﹞", ")")
_DOTS = dict.fromkeys("·•・‧∙⋅●・ᆞ", "·")
_DASHES = dict.fromkeys("-‐‑‒–—―−－﹣", "-")
_DROPPED = "《》〈〉「」『』<>\"'`“”‘’„‟＂＇｀´\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"

# OpenCC keeps these because phrases decide what they stand for. A name has to fold the same wherever it stands,
# so both meanings fall together: 乾 (qián in a brand) with 干, 著 (著名) with 着.
_UNDECIDED = {"乾": "干", "著": "着", "瞭": "了", "藉": "借", "徵": "征", "麽": "么", "祇": "只"}
# Variants (异体字) that OpenCC knows only in its tables for Japan or not at all.
_VARIANTS = {"勳": "勋", "邨": "村", "堃": "坤", "菓": "果", "昇": "升", "陞": "升", "脩": "修", "〇": "零", "○": "零"}


def _folded_char(char: str) -> str:
    if char in _BRACKETS:
        return _BRACKETS[char]
    if char in _DOTS:
        return "·"
    if char in _DASHES:
        return "-"
    if char in _DROPPED or char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"}:
        return ""
    wide = unicodedata.normalize("NFKC", char)
    if wide != char:
        return "".join(map(_folded_char, wide))
    return char.lower()


@lru_cache(maxsize=1)
def _width_table() -> dict[int, str]:
    """Every character of the basic plane that `tidy` changes."""
    table = {}
    for point in range(0x10000):
        char = chr(point)
        folded = _folded_char(char)
        if folded != char:
            table[point] = folded
    return table


@lru_cache(maxsize=1)
def _simplified_table() -> dict[int, str]:
    """Traditional and variant characters to their simplified one; always one character to one."""
    from opencc import OpenCC

    points = [*range(0x3400, 0xA000), *range(0x20000, 0x2A6E0)]
    chars = "\n".join(map(chr, points))
    table: dict[int, str] = {}
    for source in ("t2s", "hk2s", "tw2s"):
        simples = OpenCC(source).convert(chars).split("\n")
        table |= {
            point: simple
            for point, simple in zip(points, simples, strict=True)
            if len(simple) == 1 and simple != chr(point)
        }
    table |= {ord(char): simple for char, simple in (_UNDECIDED | _VARIANTS).items()}
    return {point: table.get(ord(simple), simple) for point, simple in table.items()}


def tidy(name: str) -> str:
    """`name` in half width, lower case, one form of bracket, dot and dash, without spaces, quotes and controls.

    Traditional characters stay, for their readings differ: 乾 is qián where 干 is gān.
    `fold(name)` has the same length, character by character.
    """
    tidied = name.translate(_width_table())
    if unicodedata.is_normalized("NFKC", tidied):
        return tidied
    return unicodedata.normalize("NFKC", tidied).translate(_width_table())


def simplify(text: str) -> str:
    """Each traditional or variant character as the simplified one, whatever stands around it."""
    return text.translate(_simplified_table())


def fold(name: str) -> str:
    """What the spellings of one name have in common; `Entity.name_key` is made of it.

    >>> fold("ＡＢＢ（中國） 有限公司")
    'abb(中国)有限公司'
    """
    return simplify(tidy(name))


@dataclass(frozen=True, slots=True)
class NameParts:
    """The parts of a name (企业名称登记管理规定 art. 6), folded; an empty string where there is none."""

    place: str
    """行政区划名称, wherever it stands: 上海, or 上海浦东."""
    brand: str
    """字号. The whole middle of the name where no known trade follows it."""
    trade: str
    """行业或者经营特点."""
    form: str
    """组织形式, with what follows it: 有限公司, (集团)股份有限公司, 有限公司第一分公司."""


_COMPANY = re.compile(r"\(?集团\)?(?=有限|股份|责任|总?公司)|股份有限公司|股份公司|有限责任公司|有限公司|责任公司")
_PLAIN_COMPANY = re.compile(r"集团公司|总公司|分公司|子公司|公司")
_LAST_FORM = re.compile(
    r"(\((特殊)?(普通|有限)合伙\)|合伙企业|个人独资企业|专业合作社|合作联社|合作社|供销社|事务所|办事处|代表处|研究所|研究院|经营部|门市部|服务部"
    r"|经销部|批发部|工作室|服务站|收购站|代销店|便利店|专卖店|连锁店|中心|集团|总厂|分厂|工厂|总店|分店|商店|商行|商场|总社|支行|分行|联合会"
    r"|协会|学会|厂|店|部|行|社|站|场|所|院|馆|坊|铺|屋)+$"
)
_BRACKETED = re.compile(r"\(([^()]*)\)")


def parts(name: str) -> NameParts:
    """`name` taken apart.

    >>> parts("鑫诺照明电器（上海）有限公司")
    NameParts(place='上海', brand='鑫诺', trade='照明电器', form='有限公司')
    """
    folded = fold(name)
    body, form = _split_form(folded)
    place, body = _split_place(body)
    brand, trade = _split_brand(body)
    return NameParts(place, brand, trade, form)


def _split_form(folded: str) -> tuple[str, str]:
    for pattern in (_COMPANY, _PLAIN_COMPANY, _LAST_FORM):
        found = pattern.search(folded)
        if found and found.start() > 1:
            return folded[: found.start()], folded[found.start() :]
    return folded, ""


def _split_place(body: str) -> tuple[str, str]:
    _, alone = places()
    for found in _BRACKETED.finditer(body):
        if found[1] in alone and found.start() > 0:
            return found[1], body[: found.start()] + body[found.end() :]
    end = place_end(body)
    return body[:end], body[end:]


def place_end(folded: str) -> int:
    """How many characters of `folded` its leading place takes: 0 when it begins with none.

    >>> place_end("上海浦东鑫诺贸易有限公司")
    4
    """
    if folded[:2] not in _place_sizes():
        return 0
    return sum(map(len, leading_places(folded)))


def leading_places(folded: str) -> list[str]:
    """The places that `folded` begins with, the largest first: 上海, 浦东. What remains is two characters or more."""
    sizes = _place_sizes()
    within, known = places()
    end, found = 0, []
    while folded[end : end + 2] in sizes:
        step = next((size for size in sizes[folded[end : end + 2]] if folded[end : end + size] in known), 0)
        rest = folded[end + step :]
        if not step or len(rest) < 2 or (end and _trade_at(rest, 0)):
            break
        found.append(folded[end : end + step])
        known = within.get(found[-1], set())
        end += step
    return found


def is_place(folded: str) -> bool:
    """Whether `folded` as a whole is a place that names begin with, or one within it."""
    return folded in _all_places()


@lru_cache(maxsize=1)
def _all_places() -> frozenset[str]:
    within, alone = places()
    return frozenset(alone.union(*within.values()))


@lru_cache(maxsize=1)
def _place_sizes() -> dict[str, list[int]]:
    """How long the places are that begin with these two characters, longest first."""
    within, alone = places()
    sizes: dict[str, set[int]] = {}
    for place in alone.union(*within.values()):
        sizes.setdefault(place[:2], set()).add(len(place))
    return {head: sorted(found, reverse=True) for head, found in sizes.items()}


def _trade_at(body: str, start: int) -> bool:
    return any(body[start : start + size] in TRADES for size in (2, 3, 4))


def _split_brand(body: str) -> tuple[str, str]:
    for end in range(2, len(body) - 1):
        if _trade_at(body, end):
            return body[:end], body[end:]
    return body, ""
