"""Pinyin of names: how characters are read, how joined pinyin is cut, and which syllables people confuse. Pure.

A name is read character by character. Where a character has several readings that names use (行 xing, hang), all
of them count: no dictionary of phrases knows every brand, and people type what they are used to.
"""

import runpy
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

# Readings that names use beside or before the usual one. Rare and literary readings are left out on purpose.
_SEVERAL = """
行 xing hang 长 chang zhang 乐 le yue 重 zhong chong 都 du dou 会 hui kuai 厦 sha xia 和 he huo
调 tiao diao 模 mo mu 莘 xin shen 朝 chao zhao 藏 zang cang 乾 qian gan 单 dan shan 曾 zeng ceng
解 jie xie 查 cha zha 佛 fo fu 便 bian pian 传 chuan zhuan 柏 bai bo 薄 bao bo 卡 ka qia 车 che ju
蔚 wei yu 泊 bo po 娜 na nuo 茜 qian xi 阿 a e 粘 zhan nian 绿 lv lu 率 lv shuai 校 xiao jiao 轧 zha ya
给 gei ji 尉 wei yu 盛 sheng cheng 番 fan pan 翟 zhai di 缪 miao mou 谷 gu yu 圈 quan juan 觉 jue jiao
角 jiao jue 靓 liang jing 露 lu lou 晟 sheng cheng 拓 tuo ta 咖 ka ga 伽 jia ga qie 茄 qie jia
浜 bang bin 巷 xiang hang 圩 wei xu 堡 bao pu bu 隽 jun juan 瞿 qu ju 宿 su xiu 洗 xi xian 劲 jin jing
杉 shan sha 熨 yun yu 纤 xian qian 贾 jia gu 朴 pu piao 塞 sai se 溪 xi qi 屏 ping bing 莎 sha suo
铅 qian yan 蚌 bang beng 仔 zai zi 钥 yao yue 削 xiao xue 色 se shai 什 shi shen 勒 le lei 偲 si cai
咯 ka lo 荨 qian xun 荥 xing ying 参 can shen 省 sheng xing 弹 dan tan 畜 xu chu
"""
_MOST_STEPS = 400
_VOWELS = str.maketrans("āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüńňǹḿ", "aaaaeeeeiiiioooouuuuvvvvvnnnm")
_NUMERALS = "ling yi er san si wu liu qi ba jiu"
_DIGITS = dict(zip("0123456789", _NUMERALS.split(" "), strict=True))


_HEADS = "b p m f d t n l g k h j q x zh ch sh r z c s y w"
_TAILS = (
    "a o e i u v ai ei ui ao ou iu ie ve ue er an en in un vn ang eng ing ong ia ian iang iao iong ua uai uan uang uo"
)


@lru_cache(maxsize=1)
def sounds() -> dict[str, str]:
    """Every syllable there could be, and the one private character that stands for it in an index.

    So names are compared and cut by sound as they are by character. Where a character stands never changes.
    """
    tails = _TAILS.split(" ")
    return {
        head + tail: chr(0xE000 + row * len(tails) + column)
        for row, head in enumerate(("", *_HEADS.split(" ")))
        for column, tail in enumerate(tails)
    }


@lru_cache(maxsize=1)
def readings() -> dict[str, tuple[str, ...]]:
    """Syllables that each character is read as, the usual one first.

    Digits read as numerals, so that 275 and 二七五 sound alike; a Latin letter reads as itself.
    """
    # The package reads its dictionary of phrases when it is imported, a third of a second for what is not asked for.
    package = find_spec("pypinyin")
    assert package is not None
    assert package.origin is not None
    characters = runpy.run_path(str(Path(package.origin).with_name("pinyin_dict.py")))["pinyin_dict"]

    table: dict[str, tuple[str, ...]] = {
        chr(point): (found.split(",", 1)[0].translate(_VOWELS),)
        for point, found in characters.items()
        if 0x3400 <= point < 0xA000
    }
    table = {char: found for char, found in table.items() if found[0] in sounds()}
    char = ""
    for word in _SEVERAL.split():
        if word.isascii():
            table[char] += (word,)
        else:
            char = word
            table[char] = ()
    table |= {digit: (reading,) for digit, reading in _DIGITS.items()}
    return table | {letter: (letter,) for letter in "abcdefghijklmnopqrstuvwxyz"}


@lru_cache(maxsize=1)
def syllables() -> frozenset[str]:
    """Every syllable that some character is read as."""
    return frozenset(
        syllable
        for found in readings().values()
        for syllable in found
        if syllable in sounds() and (len(syllable) > 1 or syllable in "aoe")
    )


def sound(syllable: str) -> str:
    """The private character of a syllable; a Latin letter that is none is itself."""
    return sounds().get(syllable, syllable)


Choices = dict[str, tuple[str, ...]]


@lru_cache(maxsize=1)
def _sounds_of() -> tuple[dict[int, str], Choices]:
    """The sound of each character by its usual reading, and all sounds of those that have several."""
    usual = {ord(char): sound(found[0]) for char, found in readings().items()}
    return usual, {char: tuple(map(sound, found)) for char, found in readings().items() if len(found) > 1}


@lru_cache(maxsize=1)
def _initials_of() -> tuple[dict[int, str], Choices]:
    """The initial of each character by its usual reading, and all initials of those that have several."""
    several = {char: tuple(dict.fromkeys(syllable[0] for syllable in found)) for char, found in readings().items()}
    usual = {ord(char): found[0] for char, found in several.items() if not char.isdigit()}
    return usual, {char: found for char, found in several.items() if len(found) > 1}


def spoken(text: str) -> list[str]:
    """`text` as sounds, one private character each; in as many ways as any two neighbours can be read together."""
    return _read(text, *_sounds_of())


def initials(text: str) -> list[str]:
    """First letters of `text`, in as many ways as any two neighbours can be read; digits and letters as they are."""
    return _read(text, *_initials_of())


# Which reading characters at even and at odd places take. No two neighbours miss a way to be read together.
_TURNS = ((0, 0), (1, 1), (0, 1), (1, 0))
_MORE_TURNS = (*_TURNS, (2, 2), (2, 0), (0, 2))


def _read(text: str, usual: dict[int, str], several: Choices) -> list[str]:
    if several.keys().isdisjoint(text):
        return [text.translate(usual)]
    choices = [(at, several[char]) for at, char in enumerate(text) if char in several]
    turns = _TURNS if all(len(found) == 2 for _, found in choices) else _MORE_TURNS
    ways: dict[str, None] = {}
    letters = list(text.translate(usual))
    for turn in turns:
        for at, found in choices:
            letters[at] = found[min(turn[at % 2], len(found) - 1)]
        ways["".join(letters)] = None
    return list(ways)


@lru_cache(maxsize=1)
def _beginnings() -> frozenset[str]:
    return frozenset(syllable[:size] for syllable in syllables() for size in range(1, len(syllable) + 1))


def cuts(typed: str, known: Callable[[str, str], bool], *, most: int = 4) -> list[tuple[list[str], str]]:
    """Ways to cut joined pinyin into syllables, fewest first: the whole syllables, and a begun one at the end or "".

    An apostrophe is a cut. `known(one, next)` says whether any name has these two syllables in a row: what prunes the
    hundreds of ways in which a long string could be cut.

    >>> cuts("xinnuozh", lambda one, next: True)[0]
    (['xin', 'nuo'], 'zh')
    """
    found: list[tuple[list[str], str]] = []
    steps = 0

    def walk(start: int, taken: list[str]) -> None:
        nonlocal steps
        steps += 1
        if steps > _MOST_STEPS or len(found) >= most * 3:
            return
        if start == len(typed):
            found.append((list(taken), ""))
            return
        for syllable in _next_syllables(typed, start):
            if not taken or known(taken[-1], syllable):
                taken.append(syllable)
                end = start + (1 if typed[start] in _DIGITS else len(syllable))
                walk(end + (typed[end : end + 1] == "'"), taken)
                taken.pop()
        rest = typed[start:]
        if taken and rest in _beginnings() and len(beginning(rest)) > (rest in syllables()):
            found.append((list(taken), rest))

    walk(0, [])
    found.sort(key=lambda cut: len(cut[0]) + bool(cut[1]))
    return found[:most]


def neighbours(typed: str) -> set[tuple[str, str]]:
    """Every two syllables in a row that some cut of joined pinyin could have, the second perhaps only begun.

    >>> sorted(neighbours("xian"))
    [('xi', 'an')]
    """
    letters = typed.replace("'", "")
    found: set[tuple[str, str]] = set()
    starts = {0}
    for start in range(len(letters)):
        if start not in starts:
            continue
        for syllable in _next_syllables(letters, start):
            end = start + (1 if letters[start] in _DIGITS else len(syllable))
            starts.add(end)
            rest = letters[end:]
            following = set(_next_syllables(letters, end)) if rest else set()
            if rest in _beginnings():
                following |= set(beginning(rest))
            found |= {(syllable, other) for other in following}
    return found


def _next_syllables(typed: str, start: int) -> Iterator[str]:
    """Syllables that `typed` goes on with, longest first."""
    if typed[start] in _DIGITS:
        yield _DIGITS[typed[start]]
        return
    for size in range(6, 0, -1):
        if typed[start : start + size] in syllables() and start + size <= len(typed):
            yield typed[start : start + size]


@lru_cache(maxsize=1024)
def beginning(start: str) -> tuple[str, ...]:
    """Syllables that begin with `start`."""
    return tuple(sorted(syllable for syllable in syllables() if syllable.startswith(start)))


def readings_of(tidied: str) -> list[tuple[str, ...]]:
    """Readings of each character; characters that have none (Japanese, rare ones) are left out."""
    table = readings()
    return [table[char] for char in tidied if char in table]


_CONFUSED_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("l", "n"), ("f", "h"), ("r", "l"))
_CONFUSED_FINALS = (("ang", "an"), ("eng", "en"), ("ing", "in"), ("uang", "uan"), ("iang", "ian"), ("v", "u"))


@lru_cache(maxsize=2048)
def alike(syllable: str) -> tuple[str, ...]:
    """Syllables that speakers of some region say or type for `syllable` (模糊音), itself first.

    >>> alike("nin")
    ('nin', 'lin', 'ling', 'ning')
    """
    heads = {syllable}
    for one, other in _CONFUSED_INITIALS:
        for here, there in ((one, other), (other, one)):
            bare = here in {"z", "c", "s"} and syllable[1:2] == "h"
            if syllable.startswith(here) and not bare:
                heads.add(there + syllable[len(here) :])
    found = set(heads)
    for head in heads:
        for one, other in _CONFUSED_FINALS:
            for here, there in ((one, other), (other, one)):
                if head.endswith(here):
                    found.add(head[: -len(here)] + there)
    found.discard(syllable)
    return (syllable, *sorted(found & syllables()))
