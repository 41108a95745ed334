"""Personal numbers inside free text."""

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record import codes, masking

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def identity(division: str, born: date, serial: int) -> str:
    body = f"{division}{born:%Y%m%d}{serial:03}"
    return body + "10X98765432"[sum(map(lambda weight, digit: weight * int(digit), WEIGHTS, body)) % 11]


identities = st.builds(
    identity,
    st.sampled_from(["110101", "310199", "310120", "320506", "440305", "513433", "650102"]),
    st.dates(date(1930, 1, 1), date(2008, 12, 31)),
    st.integers(0, 999),
)
mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
words = st.text(st.sampled_from("当事人张某，。；联系电话身份证在上海市（徐汇）：经营 \n"), max_size=30)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("手机13812341234", "手机138****1234"),
        ("联系人张某 138-1234-1234，", "联系人张某 138-****-1234，"),
        ("致电 138 1234 1234。", "致电 138 **** 1234。"),
        ("+86 13812341234", "+86 138****1234"),
        ("8613812341234", "86138****1234"),
        ("电话：１３８１２３４１２３４", "电话：138****1234"),
        ("Tel13812341234", "Tel138****1234"),
        ("13812341234、13912341234", "138****1234、139****1234"),
        ("13812341234号机主", "138****1234号机主"),
        ("张某（身份证号110101199003074514）", "张某（身份证号110101************）"),
        ("110101199003074514", "110101************"),
        ("110101 19900307 4514", "110101 ******** ****"),
        ("身份证：１１０１０１１９９００３０７４５１４", "身份证：110101************"),
        ("11010119900307451X", "110101************"),
        ("身份证号11010119900307451", "身份证号110101***********"),
        ("身份证号码：110101900307451", "身份证号码：110101*********"),
        ("身份证 110101********4514", "身份证 110101************"),
        ("1101011990****4514", "110101************"),
        ("账号：1001234509876543210", "账号：***************3210"),
        ("开户行工商银行徐汇支行，账号1001 2345 0987 6543 210", "开户行工商银行徐汇支行，账号**** **** **** ***3 210"),
        ("汇入6222021001112223332", "汇入6222021001112223332"),  # its check digit is wrong: no card
        ("汇入6222021001112223331", "汇入***************3331"),
    ],
)
def test_numbers_of_people_are_hidden_but_for_what_lets_them_be_recognised(text: str, hidden: str) -> None:
    assert masking.masked(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "沪市监浦处〔2026〕152026000123号",
        "沪市监浦处〔2026〕13812341234号",
        "文号：13812341234",
        "订单编号13812341234",
        "310115202603050012号",
        "检查任务310115202603050012",
        "罚款13812341234元，没收13812341234.50元",
        "2026-03-05 10:20:30，20260305至20270305",
        "生产日期20260305，批号D13812341234",
        "许可证编号JY13101150123456，SC10631011500123",
        "注册号310115000123453",
        "统一社会信用代码913101011324142057",
        "统一社会信用代码91310101MA1FL0EN8Y",
        "（2025）沪0115执12345号",
        "021-12345678",
        "账户于20260305被冻结",
        "货值12,345,678.00元",
        "",
    ],
)
def test_numbers_of_documents_codes_sums_and_days_stay(text: str) -> None:
    assert masking.masked(text) == text


def test_no_credit_code_is_taken_for_an_identity_number() -> None:
    rng = random.Random(4)
    for _ in range(2_000):
        organisation = f"{rng.randrange(1930, 2010)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"[2:]
        body = f"91310120{organisation}{rng.randrange(1000):03}"
        code = body + codes.check_digit(body)
        assert masking.masked(f"当事人（{code}）") == f"当事人（{code}）"


@given(words, identities, words)
def test_no_identity_number_survives_wherever_it_stands(before: str, number: str, after: str) -> None:
    hidden = masking.masked(before + number + after)
    assert number[6:] not in hidden
    assert hidden == f"{before}{number[:6]}{'*' * 12}{after}"


@given(words, mobiles, words)
def test_no_mobile_number_survives_wherever_it_stands(before: str, number: str, after: str) -> None:
    assert masking.masked(before + number + after) == f"{before}{number[:3]}****{number[-4:]}{after}"


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[0-9X* \-０-９]{8,40}", fullmatch=True)))
def test_masking_again_changes_nothing_and_no_length_changes(text: str) -> None:
    once = masking.masked(text)
    assert masking.masked(once) == once
    assert len(once) == len(text)


@given(identities)
def test_a_documents_number_keeps_its_digits_unless_they_are_somebodys(number: str) -> None:
    assert masking.masked_number(number) == number[:6] + "*" * 12
    assert masking.masked_number(f"沪监罚{number}号") == f"沪监罚{number[:6]}{'*' * 12}号"
    mistyped = number[:17] + ("0" if number[17] != "0" else "1")
    assert masking.masked_number(mistyped) == mistyped
    assert masking.masked_number("310115202603050012") == "310115202603050012"
    assert masking.masked_number("〔2026〕1") == "〔2026〕1"


def test_an_identity_number_has_a_day_of_birth_and_a_check_digit() -> None:
    assert masking.is_identity_number("110101199003074514")
    assert masking.is_identity_number(identity("310199", date(2000, 2, 29), 17))
    assert not masking.is_identity_number("110101199003074515")
    assert not masking.has_identity_shape("110101199902304514")
    assert not masking.has_identity_shape("1101011999")
