"""From the cells of one row of an official feed to an entry of the record, or to the reason why it cannot be one.

A row is refused when it does not say who it is about, what was decided or when: what is published to somebody's
disadvantage is not guessed. Which column means what is `record.feed_columns`' business; who the party is in the
register, and storing, are the caller's.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from record import cleaning, codes, kinds, masking, values
from record.feed_columns import FeedLayout

MAX_CELL = 20_000
MAX_ITEM = 80
"""Characters of the part of a reference that tells several acts of one document apart."""

REASONS: codes.Labels = {
    "columns": (
        "列数与表头不符；含分隔符的单元格请加引号",
        "Not as many columns as the header; quote cells with commas",
    ),
    "too_long": ("内容超过该栏允许的长度；请缩短", "The text is longer than this column may be; shorten it"),
    "text_missing": ("必填的一栏是空的；请补填", "A required column is empty; fill it in"),
    "name_missing": ("没有行政相对人名称；请补填", "The party's name is missing; fill it in"),
    "code_rounded": (
        "代码被电子表格改成数字，末位已丢失；请将该列设为文本后重新导出",
        "A spreadsheet turned the code into a number and lost its last digits; export the column as text",
    ),
    "code_wrong": (
        "代码既不是统一社会信用代码（GB 32100），也不是 15 位注册号；请更正，不知道时请留空",
        "Neither a credit code (GB 32100) nor a 15-digit registration number; correct it, or leave it empty if unknown",
    ),
    "code_personal": (
        "代码一栏填的是身份证号；请留空，并在行政相对人类别中填“自然人”",
        "The code column holds an identity number; leave it empty and write 自然人 as the party's category",
    ),
    "document_missing": (
        "没有文书号；请补填（许可可填许可编号）",
        "The document has no number; fill it in, or the permit's",
    ),
    "date_missing": ("没有决定、列入或发布日期；请补填", "The day of the decision or listing is missing; fill it in"),
    "date_wrong": (
        "日期无法识别；请写成 2026-03-05 或“长期”",
        "No date; write 2026-03-05, or 长期 where there is no end",
    ),
    "date_ahead": ("日期在今天之后；请核对年份", "The day has not come yet; check the year"),
    "dates_crossed": ("结束日期早于开始日期；请核对两个日期", "The end lies before the beginning; check both dates"),
    "sum_wrong": (
        "金额无法识别，或不是人民币；请只填数字，单位见表头（双公示为万元）",
        "The sum cannot be understood, or is not in yuan; write a plain number in the header's unit (万元 in 双公示)",
    ),
    "sum_unit": (
        "金额按万元计与处罚内容不符，填的似乎是元；请换算为万元，或在表头注明“元”",
        "The column counts 万元, but the content states the same number in yuan; convert it, or say 元 in the header",
    ),
    "gravity_wrong": (
        "严重程度请填“轻微”“一般”“严重”或留空",
        "Unknown gravity; write 轻微, 一般 or 严重, or leave it empty",
    ),
    "year_wrong": ("评价年度无法识别；请写成四位年份", "The year cannot be understood; write four digits"),
    "annulled": (
        "该决定已被撤销；请勿报送，已公示的请停止公示",
        "The decision was annulled; withdraw its entry instead",
    ),
}
"""Why a row was refused, and what to do about it. What a line can lack is in `cleaning.REASONS`."""


class Refused(cleaning.Refused):
    """This row cannot be an entry. `reason` is one of REASONS."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.column = column
        """The column that is meant, as the file calls it."""


class FeedRow(NamedTuple):
    """One entry as a feed states it."""

    party_code: str | None
    """Credit code or registration number; None when the row names no organisation's."""
    party_name: str
    natural_person: bool
    """自然人: such entries stay out of open data."""
    reference: str
    """What tells this entry from the party's others of the kind: the document's number and what it decided. Without
    the party, stable when the row is sent again; at most 300 characters."""
    occurred_on: str | None
    """YYYY-MM-DD; never None for an adverse kind."""
    payload: dict[str, Any]
    """As `kinds.KINDS[kind].payload` has it, in JSON's types; what the row leaves out is absent."""


def clean(layout: FeedLayout, cells: list[str]) -> FeedRow:
    """The entry of one row. Raises Refused."""
    at = _fields(layout, cells)
    reader = _READERS[layout.kind]
    if "party_name" not in at:
        raise Refused("name_missing", layout.title("party_name"))
    code, natural = _party(layout, at)
    payload: dict[str, Any] = {field: at[field] for field in reader.texts if field in at}
    _mask(payload)
    for field in ("authority_code", "reported_by_code"):
        if found := _credit_code(at.get(field, "")):
            payload[field] = found
    occurred_on = _occurred_on(layout, at)
    reader.read(layout, at, payload)
    _check_order(layout, payload, occurred_on)
    try:
        dumped = reader.model.model_validate(payload).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        raise _refusal(layout, error) from None
    if dumped.get("categories") == []:
        del dumped["categories"]
    reference = _reference(layout, dumped, occurred_on)
    return FeedRow(code, dumped["party_name"], natural, reference, occurred_on, dumped)


def safe_cells(layout: FeedLayout, cells: list[str]) -> list[str]:
    """The cells as they may be written into a file of rejects: without what says anything about a person.

    Where a row has other columns than the header, nobody knows which cell is which: those that a personal column may
    have slipped into are emptied too.
    """
    kept = [masking.masked(cell) for cell in cells]
    if not layout.personal:
        return kept
    if len(cells) == len(layout.header):
        for index in layout.personal:
            kept[index] = ""
        return kept
    sure = max(0, layout.personal[0] - max(0, len(layout.header) - len(cells)))
    return kept[:sure] + [""] * (len(cells) - sure)


def _fields(layout: FeedLayout, cells: list[str]) -> dict[str, str]:
    width = len(layout.header)
    if len(cells) != width:
        if len(cells) < width or any(map(str.strip, cells[width:])):
            raise Refused("columns")
        cells = cells[:width]
    if max(map(len, cells)) > MAX_CELL:
        longest = cells.index(max(cells, key=len))
        raise Refused("too_long", layout.header[longest].strip()[:100])
    return layout.fields(cells)


_NUMBERS = frozenset(["document", "case_number", "certificate_number"])


def _mask(payload: dict[str, Any]) -> None:
    """Hide personal numbers in texts; the numbers of documents are looked at with more care."""
    for field in _NUMBERS & payload.keys():
        payload[field] = masking.masked_number(payload[field])
    texts = [field for field in payload if field not in _NUMBERS]
    if masking.may_hold_numbers("\n".join([payload[field] for field in texts])):
        payload |= {field: masking.masked(payload[field]) for field in texts}


# ---- the party ------------------------------------------------------------------------------------------------------

_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+?\d{2}", re.ASCII | re.I)
_NO_CODE = re.compile(r"[0X*/\-—\s]*", re.I)
_ORGANISATION = re.compile(r"企业|组织|法人|户|单位|机关|公司|organi[sz]ation|legal|business|company|enterprise", re.I)
_PERSON = re.compile(r"自然人|个人|公民|natural|person|individual", re.I)
_PERSONS_NAME = re.compile(r"[\u3400-\u9fff]{2,4}|[\u3400-\u9fff]+(?:[·•][\u3400-\u9fff]+)+|[A-Za-z][A-Za-z .'\-]+")
_SHOPS_NAME = re.compile(
    r"(?:公司|中心|集团|[店厂部社行站场所院馆坊铺屋会校室局处队园庄楼吧]|ltd\.?|inc\.?|co\.?)$", re.I
)
_IDENTITY_PAPERS = re.compile(r"身份证|护照|军官证|士兵证|通行证|居留|居住证|户口|驾驶证|passport|id", re.I)


def _party(layout: FeedLayout, at: Mapping[str, str]) -> tuple[str | None, bool]:
    """Code of the party, and whether it is a natural person.

    It is one when its category (行政相对人类别) says so; without a category, when no organisation's code is given, an
    identity paper is, and the name could be a person's.
    """
    stated = _is_natural(at.get("party_kind", ""))
    code = None
    if written := at.get("party_code"):
        code = _code(layout, "party_code", written, stated is True)
    number = at.get("party_number", "")  # those of other lengths are older, and have no check digit
    if code is None and stated is not True and (len(number) in (15, 18) or _ROUNDED.fullmatch(number)):
        code = _code(layout, "party_number", number, False)
    if code is None:
        others = (*at.get("party_other", "").split(";"), at.get("party_mixed", ""))
        code = next(filter(None, map(_credit_code, others)), None)
    if stated is not None or code:
        return code, stated is True
    papers = "party_id" in at or "party_mixed" in at or bool(_IDENTITY_PAPERS.search(at.get("party_id_type", "")))
    name = at["party_name"]
    return None, papers and bool(_PERSONS_NAME.fullmatch(name)) and not _SHOPS_NAME.search(name)


@lru_cache(maxsize=1_024)
def _is_natural(category: str) -> bool | None:
    if re.search(r"自然人|natural", category, re.I):
        return True
    return False if _ORGANISATION.search(category) else bool(_PERSON.search(category)) or None


def _code(layout: FeedLayout, field: str, written: str, natural: bool) -> str | None:
    """The code in a cell; None when it says that there is none. One identity number in 31 passes as a credit code."""
    if _NO_CODE.fullmatch(written):  # 18 zeros have a right check digit
        return None
    personal = masking.is_identity_number(written) if written[8:17].isdigit() else False
    if codes.is_credit_code(written) and not (personal and (natural or written[0] != "9")):
        return written
    if personal or masking.has_identity_shape(written):
        if natural:
            return None
        raise Refused("code_personal", layout.title(field))
    found = codes.normalise(written) or (codes.repaired(written) if len(written) < 60 else None)
    if natural or (found and not masking.is_identity_number(found)):
        return None if found and masking.is_identity_number(found) else found
    raise Refused("code_rounded" if _ROUNDED.fullmatch(written) else "code_wrong", layout.title(field))


@lru_cache(maxsize=8_192)
def _credit_code(written: str) -> str | None:
    """A credit code where others may stand: an authority's, or in the place of a tax number, as since 2015."""
    code = None if _NO_CODE.fullmatch(written) else codes.normalise(written)
    return code if code and len(code) == 18 and not masking.is_identity_number(code) else None


# ---- days -----------------------------------------------------------------------------------------------------------

_NO_END = re.compile(
    r"(?:长期|永久)(?:有效)?|长久|无(?:固定)?期限|无限期|不限期?|long-?term|permanent|indefinite", re.I
)
_ANY_DAY = re.compile(r"(\d{4})(?:\s?[-/.年]\s?(\d\d?)\s?[-/.月]\s?(\d\d?)\s?日?(?:[T\s].*)?|(\d\d)(\d\d))", re.ASCII)
_SERIAL = re.compile(r"([2-7]\d{4}|2958465)(?:\.0+)?", re.ASCII)
_LAST_DAY = date(2099, 12, 31)
"""What 双公示 writes for 长期; later days mean the same."""
_A_DAY = timedelta(days=1)
_STARTED = date.today().isoformat()  # noqa: DTZ011 what lies before it needs no look at the clock
_TERM = re.compile(r"(?:自)?(.+?)(?:起)?\s*(?:至|到|~|～|—+|–|--|\s-\s)\s*(.+?)(?:止)?")


@lru_cache(maxsize=65_536)
def _until(cell: str) -> str:
    """The last day of a term as YYYY-MM-DD; empty when it has no end. Raises ValueError."""
    wanted = unicodedata.normalize("NFKC", cell).strip()
    if _NO_END.fullmatch(wanted):
        return ""
    if day := values.iso_date(wanted):
        return day
    if found := _ANY_DAY.fullmatch(wanted):
        last = date(int(found[1]), int(found[2] or found[4]), int(found[3] or found[5]))
    elif found := _SERIAL.fullmatch(wanted):
        last = date(1899, 12, 30) + timedelta(days=int(found[1]))
    else:
        raise ValueError("no day")
    if last.year < 2000:  # older than any day that `iso_date` understands
        raise ValueError("too long ago")
    return "" if last >= _LAST_DAY else last.isoformat()


def _past_day(layout: FeedLayout, field: str, cell: str) -> str:
    """YYYY-MM-DD of something that has happened."""
    day = values.iso_date(cell)
    if day is None:
        raise Refused("date_wrong", layout.title(field))
    if day > _STARTED and day > (date.today() + _A_DAY).isoformat():  # noqa: DTZ011 that day is for the zones
        raise Refused("date_ahead", layout.title(field))
    return day


def _occurred_on(layout: FeedLayout, at: Mapping[str, str]) -> str | None:
    if cell := at.get("occurred_on"):
        return _past_day(layout, "occurred_on", cell)
    if kinds.KINDS[layout.kind].adverse:
        raise Refused("date_missing", layout.title("occurred_on"))
    return None


def _read_term(layout: FeedLayout, at: Mapping[str, str], payload: dict[str, Any]) -> None:
    """`valid_from` and `valid_until`, from columns of their own or from 2025-01-01至2027-12-31 in one."""
    ends = {field: at[field] for field in ("valid_from", "valid_until") if field in at}
    named = dict.fromkeys(ends, "")
    if not ends and (term := at.get("term")):
        found = _TERM.fullmatch(term)
        ends = {"valid_from": found[1], "valid_until": found[2]} if found else {"valid_until": term}
        named = dict.fromkeys(ends, "term")
    for field, cell in ends.items():
        _read_end(layout, field, cell, payload, named[field])


def _read_end(layout: FeedLayout, field: str, cell: str, payload: dict[str, Any], column: str = "") -> None:
    try:
        payload[field] = _until(cell) or None
    except (ValueError, OverflowError):
        raise Refused("date_wrong", layout.title(column or field)) from None


def _read_removal(layout: FeedLayout, at: Mapping[str, str], payload: dict[str, Any]) -> None:
    if cell := at.get("removed_on"):
        payload["removed_on"] = _past_day(layout, "removed_on", cell)


def _check_order(layout: FeedLayout, payload: Mapping[str, Any], occurred_on: str | None) -> None:
    for first, last in ((occurred_on, "removed_on"), (payload.get("valid_from"), "valid_until")):
        if first and (end := payload.get(last)) and end < first:
            raise Refused("dates_crossed", layout.title(last))


# ---- what the kinds have of their own -------------------------------------------------------------------------------

_STATES = {"有效": "valid", "正常": "valid", "valid": "valid", "0": "valid", "无效": "invalid", "invalid": "invalid"}
_GONE = re.compile(r"撤销|注销|吊销|失效|作废|废止|过期|撤回")
_SEPARATORS = re.compile(r"[;；,，、|/\n]+")
_OTHER = re.compile(r"^其[他它](?:行政处罚)?(?:[-—－:：]+|(?=\()|$)")
_NUMBERED = ("警告", "罚款", "没收违法所得、没收非法财物", "责令停产停业", "暂扣或者吊销许可证", "行政拘留", "其他")
"""Before 2018 处罚类别 was a digit from 0 to 6."""
_MINOR = frozenset(["警告", "通报批评"])
_SERIOUS = re.compile(r"吊销|停产|停业|责令关闭|限制从业|限制开展生产经营|拘留")
_EITHER = re.compile(r"暂扣(?:或者?|、|/)吊销")
"""暂扣或吊销许可证 is one category: which of the two it was stands in the content."""
_GRAVITIES = {"轻微": "minor", "一般": "general", "严重": "serious"} | {name: name for name in kinds.GRAVITIES}
_YEAR = re.compile(r"((?:19|20)\d{2})(?:\s*年?度?)?", re.ASCII)


def _read_permit(layout: FeedLayout, at: Mapping[str, str], payload: dict[str, Any]) -> None:
    _read_term(layout, at, payload)
    state = at.get("state", "").lower()
    known = _STATES | ({"1": "invalid"} if layout.old else {"1": "valid", "2": "invalid"})
    if found := known.get(state) or ("invalid" if _GONE.search(state) else None):
        payload["state"] = found


def _read_penalty(layout: FeedLayout, at: Mapping[str, str], payload: dict[str, Any]) -> None:
    state = at.get("state", "")
    if "撤销" in state or (state == "1" and (layout.old or layout.title("state").upper().startswith("CF_ZT"))):
        raise Refused("annulled", layout.title("state"))
    if "act" not in payload and "facts" in payload:
        payload["act"] = payload["facts"]
    categories = _categories(at.get("categories", ""), layout.old)
    payload["categories"] = list(categories)
    for field in ("fine", "confiscated"):
        if cell := at.get(field):
            _read_sum(layout, field, cell, payload)
    if cell := at.get("valid_until"):
        _read_end(layout, "valid_until", cell, payload)
    payload["gravity"] = _gravity(layout, at, payload, categories)


@lru_cache(maxsize=16_384)
def _categories(cell: str, old: bool) -> tuple[str, ...]:
    if old:
        cell = re.sub(r"\b[0-6]\b", lambda found: _NUMBERED[int(found[0])], cell)
    return tuple(dict.fromkeys(part for one in _SEPARATORS.split(cell) if (part := masking.masked(one.strip()))))


def _read_sum(layout: FeedLayout, field: str, cell: str, payload: dict[str, Any]) -> None:
    """A sum in yuan, from 万元 unless its header or the cell itself says otherwise. Zero says that there is none."""
    in_yuan = field in layout.in_yuan
    found = values.money(cell, "元" if in_yuan else "万", "CNY") if len(cell) <= 60 else None
    if found is None or found.currency != "CNY":
        raise Refused("sum_wrong", layout.title(field))
    if not in_yuan and found.cents >= 10**7 and not found.cents % 10**6:
        written = found.cents // 10**6  # yuan for 万元 is 10,000 times too much: the document's own words tell
        content = re.sub(r"(?<=\d)[,，](?=\d{3})", "", payload.get("content", ""))
        if re.search(rf"(?<![\d.]){written}(?:\.0+)?元", content):
            raise Refused("sum_unit", layout.title(field))
    if found.cents:
        yuan, cents = divmod(found.cents, 100)
        payload[field] = f"{yuan}.{cents:02}" if cents else str(yuan)


def _gravity(layout: FeedLayout, at: Mapping[str, str], payload: Mapping[str, Any], categories: tuple[str, ...]) -> str:
    """How grave the breach of trust is, which decides how long it is shown.

    What the source states (失信严重程度) wins. Else the categories decide, after NDRC Order 36 (信用修复管理办法, in
    force from 2026-04-01): 警告 and 通报批评 alone are minor; 吊销, 责令停产停业, 责令关闭, 限制从业, 限制开展生产经营
    and 行政拘留 are serious; the rest is general. A huge fine (巨额罚款) is serious too, but each sector sets what is
    huge: that is not guessed from the sum.
    """
    if stated := at.get("gravity"):
        found = _GRAVITIES.get(stated.lower().removesuffix("失信").removesuffix("违法"))
        if not found:
            raise Refused("gravity_wrong", layout.title("gravity"))
        return found
    weight = _weight(categories)
    if weight == "minor":
        return "general" if "fine" in payload or "confiscated" in payload else weight
    return weight or ("serious" if "吊销" in _EITHER.sub("", at.get("content", "")) else "general")


@lru_cache(maxsize=16_384)
def _weight(categories: tuple[str, ...]) -> str | None:
    """The gravity of categories; None when they leave it to the content."""
    plain = {_OTHER.sub("", category).strip("() ") for category in categories} - {""}
    if plain and plain <= _MINOR:
        return "minor"
    named = ";".join(categories)
    certain = _EITHER.sub("", named)
    if _SERIOUS.search(certain):
        return "serious"
    return "general" if certain == named else None


def _read_judgment(layout: FeedLayout, at: Mapping[str, str], payload: dict[str, Any]) -> None:
    _read_removal(layout, at, payload)
    said = [payload["performance"]] if "performance" in payload else []
    parts = (("已履行部分", "performed"), ("未履行部分", "unperformed"))
    if said := [*said, *(f"{title}：{masking.masked(at[field])}" for title, field in parts if field in at)]:
        payload["performance"] = "；".join(said)


def _read_commendation(layout: FeedLayout, at: Mapping[str, str], payload: dict[str, Any]) -> None:
    _read_term(layout, at, payload)
    if year := at.get("year"):
        found = _YEAR.fullmatch(unicodedata.normalize("NFKC", year))
        if not found:
            raise Refused("year_wrong", layout.title("year"))
        payload["year"] = found[1]


_BRACKETS = str.maketrans("()[]{}【】〖〗「」『』<>《》", "〔〕" * 9)


def _normal(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).upper().translate(_BRACKETS).split()).strip("。.;:,、")


@lru_cache(maxsize=16_384)
def _item(*texts: str | None) -> str:
    """What a document decided, short: a long text by its beginning and a digest of the whole."""
    item = "/".join(_normal(text) for text in texts if text)
    return item if len(item) <= MAX_ITEM else f"{item[:40]}~{blake2b(item.encode(), digest_size=8).hexdigest()}"


_ITEMS: Mapping[str, tuple[str, ...]] = {
    "permit": ("certificate_number", "certificate_name"),
    "penalty": ("act", "categories"),
    "inspection": ("subject",),
    "abnormal_listing": ("ground",),
    "serious_violation": ("ground",),
    "commendation": ("title", "year"),
}
"""What tells apart several acts of one document, or of one day where there is no document."""


def _reference(layout: FeedLayout, payload: Mapping[str, Any], day: str | None) -> str:
    """See FeedRow. Of a listing nothing that its removal adds: the row that tells of it is about the same entry."""
    kind = kinds.KINDS[layout.kind]
    if kind.name == "judgment_debtor":
        return _normal(payload["case_number"])[:300]
    document = payload.get("document") or payload.get("certificate_number") or ""
    if not document and kind.name in ("permit", "penalty"):
        raise Refused("document_missing", layout.title("document"))
    if document and kind.listing:
        return _normal(document)[:300]
    said = [] if document or kind.listing else [payload.get("authority")]
    for field in _ITEMS[kind.name]:
        said += payload.get("categories", ()) if field == "categories" else (payload.get(field),)
    return f"{_normal(document or day or '')[: 298 - MAX_ITEM]}|{_item(*said)}"


class _Reader(NamedTuple):
    model: type[BaseModel]
    read: Callable[[FeedLayout, Mapping[str, str], dict[str, Any]], None]
    texts: tuple[str, ...]
    """Fields that are taken as they stand."""


_READ = ("authority_code", "reported_by_code", "valid_from", "valid_until", "state", "categories", "fine")
_NOT_TEXTS = {*_READ, "confiscated", "gravity", "removed_on", "year"}
_OWN = {
    "permit": _read_permit,
    "penalty": _read_penalty,
    "inspection": lambda layout, at, payload: None,
    "abnormal_listing": _read_removal,
    "serious_violation": _read_removal,
    "judgment_debtor": _read_judgment,
    "commendation": _read_commendation,
}
_READERS: Mapping[str, _Reader] = {
    kind.name: _Reader(
        kind.payload, _OWN[kind.name], tuple(field for field in kind.payload.model_fields if field not in _NOT_TEXTS)
    )
    for kind in kinds.FED
}


def _refusal(layout: FeedLayout, error: ValidationError) -> Refused:
    """What the payload's own rules say against a row."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    reason = {"string_too_long": "too_long", "missing": "text_missing"}.get(fault["type"], "sum_wrong")
    return Refused(reason, layout.title(str(fault["loc"][0])))
