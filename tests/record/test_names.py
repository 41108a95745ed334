"""Names fold the same wherever they come from, and come apart as the law puts them together."""

import pytest

from record import names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＡＢＢ（中國）有限公司", "ABB(中国)有限公司"),
        ("道成商务信息咨询〔上海〕有限公司", "道成商务信息咨询（上海） 有限公司"),
        ("上海「紅旗」服裝店", "上海“红旗”服装店"),
        ("乾鵬貿易", "乾鹏贸易"),
        ("彼得·羅斯", "彼得・罗斯"),
        ("A－B", "a—b"),
        ("二〇〇八", "二零零八"),
    ],
)
def test_two_spellings_of_one_name_fold_alike(one: str, other: str) -> None:
    assert names.fold(one) == names.fold(other)


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "😀公司", "e\u0301", "ﬁ", "½", "乾坤著名瞭望"])
def test_folding_twice_changes_nothing(text: str) -> None:
    assert names.fold(names.fold(text)) == names.fold(text)
    assert len(names.tidy(text)) == len(names.fold(text))


def test_a_character_folds_the_same_wherever_it_stands() -> None:
    assert names.fold("乾坤") == names.fold("乾") + names.fold("坤")
    assert names.fold("著名") == names.fold("著") + names.fold("名")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("上海鑫诺照明电器有限公司", ("上海", "鑫诺", "照明电器", "有限公司")),
        ("鑫诺照明电器（上海）有限公司", ("上海", "鑫诺", "照明电器", "有限公司")),
        ("浙江省杭州市西湖区鑫诺贸易有限公司", ("浙江省杭州市西湖区", "鑫诺", "贸易", "有限公司")),
        ("上海浦东鑫诺贸易公司", ("上海浦东", "鑫诺", "贸易", "公司")),
        ("上海金山贸易有限公司", ("上海", "金山", "贸易", "有限公司")),
        ("苏州新华贸易（集团）股份有限公司第一分公司", ("苏州", "新华", "贸易", "(集团)股份有限公司第一分公司")),
        ("上海白猫（集团）有限公司", ("上海", "白猫", "", "(集团)有限公司")),
        ("鑫诺", ("", "鑫诺", "", "")),
        ("", ("", "", "", "")),
    ],
)
def test_a_name_comes_apart_into_place_brand_trade_and_form(name: str, expected: tuple[str, ...]) -> None:
    parts = names.parts(name)
    assert (parts.place, parts.brand, parts.trade, parts.form) == expected
