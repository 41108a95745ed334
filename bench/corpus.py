"""Grows a registry file to any size with made-up entities, so that search and import can be measured at scale.

How: every real row stays. A made-up name takes its trade and form from one real name and its brand from characters
of real brands; its place is drawn from the whole country (GB/T 2260), one in thirty from the registry's own city.

What a case asks for has to stay answerable. Cases are kept where at most five names answer what is left of a query;
so the end of a brand with the beginning of its trade (诺照明电), which is what a fragment tells entities apart by, is
made up at most twice where a real name has it. What grows are the lists that an engine has to walk, the names that
sound alike and the initials that are the same. Codes are well-formed and belong to nobody of the real file.
"""

import csv
import lzma
import random
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from record import names

HEADER = [
    "企业名称",
    "统一社会信用代码",
    "注册日期",
    "企业类型",
    "注册资金",
    "经营范围",
    "所在省份",
    "地区",
    "注册地址",
]
HOME_SHARE = 1 / 30
MOST_ALIKE = 2
SEED = 20260101

_BASE31 = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CODE_WEIGHTS = [pow(3, place, 31) for place in range(17)]
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def read(registry: Path) -> Iterator[list[str]]:
    """Rows of a registry file without its header."""
    with _opened(registry) as file:
        rows = csv.reader(file)
        next(rows)
        yield from rows


def code(division: str, number: int) -> str:
    """A well-formed unified social credit code (GB 32100-2015) for a made-up company; one for each number."""
    body = ""
    scattered = (number * 5_999_993 + 77_777) % 31**6
    for _ in range(6):
        scattered, digit = divmod(scattered, 31)
        body += _BASE31[digit]
    body = "MA" + body
    total = sum(_BASE36.index(char) * weight for char, weight in zip(body, _BODY_WEIGHTS, strict=True))
    check = "0123456789X"[(11 - total % 11) % 11]
    head = f"91{division}{body}{check}"
    total = sum(_BASE31.index(char) * weight for char, weight in zip(head, _CODE_WEIGHTS, strict=True))
    return head + _BASE31[(31 - total % 31) % 31]


def _divisions() -> list[tuple[str, str, str, str]]:
    """(six digits, province, city without rank, district) of every county-level division there is."""
    from stdnum import numdb

    found = []
    for _, _, number, province, children in numdb.get("cn/loc").prefixes:
        city = short_province = province.get("province", "").rstrip("省市").removesuffix("自治区")
        for _, _, local, entry, _ in children:
            county = entry["county"]
            if "[" in county or county in {"市辖区", "县"} or local == "0000":
                continue
            if local.endswith("00"):
                city = county.removesuffix("市").removesuffix("地区").removesuffix("盟")
                continue
            if len(city) < 6 and len(short_province) < 4:
                found.append((number + local, short_province, city, county))
    return found


class _Maker:
    """Makes up rows after the fashion of the real ones."""

    def __init__(self, rows: list[list[str]]) -> None:
        self.random = random.Random(SEED)
        self.rows = rows
        self.parts = [names.parts(row[0]) for row in rows]
        brands = [part.brand for part in self.parts if 2 <= len(part.brand) <= 5 and part.trade]
        self.brands = brands
        self.told_by = {self.fragment(part.brand, part.trade, part.form): 0 for part in self.parts if part.brand}
        self.firsts = [brand[0] for brand in brands]
        # Half as real brands end, half all alike: else frequent trades would use up the frequent ends.
        frequent = [brand[-1] for brand in brands]
        every = sorted(set(frequent))
        self.lasts = frequent + every * (len(frequent) // len(every))
        self.divisions = _divisions()
        self.home = [division for division in self.divisions if division[1] == "上海"]

    @staticmethod
    def fragment(brand: str, trade: str, form: str) -> str:
        return brand[-1] + (trade + form)[:3]

    def fresh_brand(self, trade: str, form: str) -> str:
        """A brand that does not make a real entity's fragment ambiguous."""
        while True:
            brand = self.brand()
            fragment = self.fragment(brand, trade, form)
            if fragment not in self.told_by:
                return brand
            if self.told_by[fragment] < MOST_ALIKE:
                self.told_by[fragment] += 1
                return brand

    def brand(self) -> str:
        draw = self.random
        size = len(draw.choice(self.brands))
        if size == 2:
            return draw.choice(self.firsts) + draw.choice(self.lasts)
        middle = draw.choice(self.brands)[1 : size - 1]
        return draw.choice(self.firsts) + middle + draw.choice(self.lasts)

    def row(self, number: int) -> list[str]:
        draw = self.random
        at = draw.randrange(len(self.rows))
        part, model = self.parts[at], self.rows[at]
        division, province, city, county = draw.choice(self.home if draw.random() < HOME_SHARE else self.divisions)
        form = part.form if "上海" not in part.form and len(part.form) < 9 else "有限公司"
        trade = part.trade or "贸易"
        shape, brand = draw.random(), self.fresh_brand(trade, form)
        if shape < 0.7:
            name = f"{city}{brand}{trade}{form}"
        elif shape < 0.8:
            name = f"{city}{county.removesuffix('区')}{brand}{trade}{form}"
        elif shape < 0.9:
            name = f"{brand}{trade}（{city}）{form}"
        else:
            name = f"{city}市{brand}{trade}{form}"
        street = model[-1].removeprefix("上海市")
        address = f"{city}市{county}{street[:6]}{draw.randrange(1, 2000)}号{draw.randrange(1, 30)}楼"
        return [name, code(division, number), model[2], model[3], model[4], model[5], province, county, address]


def grow(registry: Path, target: Path, size: int) -> None:
    """Write a registry file of `size` entities (CSV, UTF-8): the real ones scattered among made-up ones."""
    real = [row for row in read(registry) if len(row) == len(HEADER)]
    maker = _Maker(real)
    every = max(1, size // len(real))
    waiting = iter(real)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for number in range(size):
            row = next(waiting, None) if number % every == 0 else None
            writer.writerow(row or maker.row(number))
