"""Personal numbers inside free text, hidden before anything is stored: mobile numbers, identity numbers, accounts.

What may be published of a penalty leaves out identity numbers, means of contact and bank accounts of people, and bank
accounts of entities (公示 rules for administrative penalties; SAMR Order 45 of 2021). PIPL (个人信息保护法) art. 6 lets
no more be handled than the purpose needs, and art. 28 counts such numbers among sensitive information.

Numbers of documents, credit codes, sums and dates look alike. What stands around a number decides where its own digits
do not; where both leave it open, an identity number is hidden and a document's number stays.
"""

import re
from datetime import date

from record import codes

# Full-width digits and signs, one character for one.
_HALF = str.maketrans("０１２３４５６７８９Ｘｘ＊－　", "0123456789Xx*- ")
# Two filters before the real search, for most texts hold no such number. One is ten signs or more, so that two signs of
# it stand side by side among every fifth.
_SAMPLE = re.compile(r"[0-9０-９*＊ \-－　]{2}")
_LONG_NUMBER = re.compile(r"[0-9０-９*＊ \-－　]{9}")
_NUMBER = re.compile(r"\d[ \-－　]?(?:[\d*＊][ \-－　]?){6}[\dXxＸｘ*＊]")
_NUMBER = re.compile(
    r"(?<!\d)(?:"
    r"(?P<mobile>(?:(?:\+|00)?86[ \-]?)?1[3-9]\d(?P<gap>[ \-]?)\d{4}(?P=gap)\d{4})"
    r"|(?P<partly>\d{6,14}\*{2,12}[\dXx]{1,4})"
    r"|(?P<spaced>\d{6} (?:19|20)\d{6} \d{3}[\dXx])"
    r"|(?P<grouped>\d{4}(?:[ \-]\d{4}){2,6}(?:[ \-]?\d{1,3})?)"
    r"|(?P<run>\d{17}[Xx]|\d{10,30})"
    r")(?!\d)",
    re.ASCII,
)
_IDENTITY = re.compile(r"[1-9]\d{5}((?:18|19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dXx]", re.ASCII)
_IDENTITY_IN_NUMBER = re.compile(r"(?<!\d)[1-8]\d{16}[\dXx](?!\d)", re.ASCII)
_SEVENTEEN_DIGITS = re.compile(r"[0-9０-９]{17}")
_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

_AFTER_IDENTITY_WORD = re.compile(
    r"(?:身份证|证件号|公民身份|身份号|驾驶证)[^\d，。；,;]{0,8}$|\bID(?: ?card)?[^\w]{0,3}$", re.I
)
_AFTER_ACCOUNT_WORD = re.compile(r"(?:账号|帐号|账户|帐户|卡号|银行卡|account|card)[^\d，。；,;]{0,20}$", re.I)
_AFTER_PHONE_WORD = re.compile(r"(?:tel|phone|mobile|mob|cell|wechat|wx|vx|qq|ph|[tm])[.: ]*$", re.I)
_AFTER_NUMBER_WORD = re.compile(
    r"(?:编号|单号|批号|货号|文号|案号|证号|证书号|许可号|批准号|流水号|条码|条形码|代码|注册号|序列号|字号|[第字〕\]№])[^\w，。；]{0,2}$"
)
_IS_SUM = re.compile(r"\.\d|,\d{3}|\s*(?:元|万|亿|美元|欧元|港元|日元|%|％|千克|公斤|克|吨|升|件|平方)")
_IS_NUMBERED = re.compile(r"号(?!码)")
_GROWN_UP = 14
"""Years of age from which anybody can be punished (行政处罚法 art. 30): a later day is a document's, not a birth."""


def masked(text: str) -> str:
    """`text` with 138****1234 for a mobile number, six digits of an identity number, the last four of an account.

    >>> masked("联系人手机13812341234，身份证号110101199003074514")
    '联系人手机138****1234，身份证号110101************'
    """
    if not may_hold_numbers(text):
        return text
    plain = text.translate(_HALF)
    parts: list[str] = []
    done = 0
    for found in _NUMBER.finditer(plain):
        hidden = _hidden(plain, found)
        if hidden:
            parts += text[done : found.start()], hidden
            done = found.end()
    return "".join([*parts, text[done:]]) if done else text


def may_hold_numbers(text: str) -> bool:
    """Whether `masked` needs to look at `text` at all: quick, and never wrong when it denies."""
    return _SAMPLE.search(text[::5]) is not None and _LONG_NUMBER.search(text) is not None


def masked_number(text: str) -> str:
    """A document's number as it is, unless it contains the identity number of somebody who is of age."""
    if len(text) < 18 or not _SEVENTEEN_DIGITS.search(text):
        return text
    plain = text.translate(_HALF)
    parts: list[str] = []
    done = 0
    for found in _IDENTITY_IN_NUMBER.finditer(plain):
        if is_identity_number(found[0]) and _is_birth_of_somebody_punishable(found[0]):
            parts += text[done : found.start()], _starred(found[0], 6, 0)
            done = found.end()
    return "".join([*parts, text[done:]]) if done else text


def is_identity_number(text: str) -> bool:
    """Whether `text` is an identity number (公民身份号码, GB 11643): a birth date, and its check digit is right.

    >>> is_identity_number("110101199003074514")
    True
    """
    return has_identity_shape(text) and _check_digit(text[:17]) == text[17].upper()


def has_identity_shape(text: str) -> bool:
    """Whether `text` has the length of an identity number and a birth date where one has it."""
    found = _IDENTITY.fullmatch(text)
    if not found:
        return False
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return False
    return True


def _check_digit(body: str) -> str:
    total = sum(weight * int(digit) for weight, digit in zip(_IDENTITY_WEIGHTS, body, strict=True))
    return "10X98765432"[total % 11]


def _is_birth_of_somebody_punishable(identity: str) -> bool:
    return int(identity[6:10]) <= date.today().year - _GROWN_UP  # noqa: DTZ011 a few hours do not matter


def _hidden(plain: str, found: re.Match[str]) -> str | None:
    """What stands in the place of a number; None when it may stay."""
    written = found[0]
    before, after = plain[max(0, found.start() - 28) : found.start()], plain[found.end() : found.end() + 4]
    if found["mobile"]:
        return _starred(written, len(_digits(written)) - 8, 4) if _is_mobile(before, after) else None
    if found["partly"]:
        return _starred(written, 6, 0) if len(written) in (15, 18) else None
    digits = _digits(written)
    if _is_of_a_person(digits, before, after):
        return _starred(written, 6, 0)
    return _starred(written, 0, 4) if _is_account(digits, before, after) else None


def _is_mobile(before: str, after: str) -> bool:
    if _IS_SUM.match(after) or _AFTER_NUMBER_WORD.search(before):
        return False
    last = before[-1:]
    if last.isascii() and last.isalpha():
        return bool(_AFTER_PHONE_WORD.search(before))
    return not (last in ("-", ".") and before[-2:-1].isdigit())


def _is_of_a_person(digits: str, before: str, after: str) -> bool:
    named = bool(_AFTER_IDENTITY_WORD.search(before))
    if len(digits) != 18 or not has_identity_shape(digits):
        return named and 15 <= len(digits) <= 19
    if digits[0] == "9" and codes.is_credit_code(digits):  # registered by market regulation: 91, 92, 93
        return False
    if named or is_identity_number(digits):
        return True
    return not (
        codes.is_credit_code(digits)
        or _IS_NUMBERED.match(after)
        or _AFTER_NUMBER_WORD.search(before)
        or (before[-1:].isascii() and before[-1:].isalpha())
        or not _is_birth_of_somebody_punishable(digits)
    )


def _is_account(digits: str, before: str, after: str) -> bool:
    if _IS_SUM.match(after) or codes.is_valid(digits):
        return False
    if _AFTER_ACCOUNT_WORD.search(before):
        return True
    if not (16 <= len(digits) <= 19) or _IS_NUMBERED.match(after) or _AFTER_NUMBER_WORD.search(before):
        return False
    return (digits.startswith("62") or (len(digits) == 16 and digits[0] in "345")) and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    if not digits.isdigit():
        return False
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def _digits(written: str) -> str:
    return "".join(char for char in written if char.isalnum())


def _starred(written: str, first: int, last: int) -> str:
    """`written` with stars for what is neither among its first nor its last digits; its gaps stay."""
    places = [place for place, char in enumerate(written) if char.isalnum() or char == "*"]
    gone = frozenset(places[first : len(places) - last])
    return "".join("*" if place in gone else char for place, char in enumerate(written))
