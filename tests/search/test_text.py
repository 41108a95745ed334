"""The pure parts of search: forms of names, pinyin, queries, and what is marked in a hit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.codes import check_digit
from search import pinyin, query, text


def anything(one: str, other: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("typed", "cut"),
    [
        ("xinnuo", (["xin", "nuo"], "")),
        ("xinnuozh", (["xin", "nuo"], "zh")),
        ("xi'an", (["xi", "an"], "")),
        ("xian", (["xian"], "")),
        ("275", (["er", "qi", "wu"], "")),
    ],
)
def test_joined_pinyin_is_cut_into_syllables(typed: str, cut: tuple[list[str], str]) -> None:
    assert pinyin.cuts(typed, anything)[0] == cut


def test_what_no_name_says_is_not_how_pinyin_is_cut() -> None:
    assert pinyin.cuts("xian", lambda one, other: True)[0] == (["xian"], "")
    assert (["xi", "an"], "") in pinyin.cuts("xian", anything)
    assert (["xi", "an"], "") not in pinyin.cuts("xian", lambda one, other: False)


def test_a_long_string_is_cut_without_end_in_no_time() -> None:
    assert pinyin.cuts("xianan" * 80, lambda one, other: False) == []
    assert len(pinyin.cuts("xianan" * 80, anything)) <= 4


def test_a_character_is_read_in_all_its_readings() -> None:
    assert pinyin.initials("乐行") == ["lx", "yh", "lh", "yx"]
    assert len(pinyin.spoken("乐行")) == 4
    assert pinyin.spoken("照明") == [pinyin.sound("zhao") + pinyin.sound("ming")]


def test_numerals_sound_like_digits() -> None:
    assert pinyin.spoken("275") == pinyin.spoken("二七五")


@pytest.mark.parametrize(("one", "other"), [("lin", "nin"), ("zhang", "zan"), ("xing", "xin"), ("hu", "fu")])
def test_syllables_that_regions_confuse_are_alike(one: str, other: str) -> None:
    assert other in pinyin.alike(one)
    assert pinyin.alike(one)[0] == one


def test_a_names_form_is_no_part_of_what_is_indexed() -> None:
    forms = text.forms("上海栎岚照明有限公司第一分公司")
    assert forms.characters == ["上海栎岚照明第一分公司"]
    assert "栎岚照" in forms.start


def test_a_name_in_brackets_is_indexed_with_and_without_them() -> None:
    joined = " ".join(text.forms("道澄咨询（上海）有限公司").characters)
    assert "咨询上海" in joined
    assert "道澄咨询" in joined


@pytest.mark.parametrize(
    ("address", "below"),
    [
        ("上海市黄浦区河南南路824号3楼", "河南南路824号"),
        ("浦东新区浦东大道10号", "浦东大道10号"),
        ("河南南路824号", "河南南路824号"),
        ("杭州市西湖区文三路5号", "文三路5号"),
        ("", ""),
    ],
)
def test_an_address_is_indexed_from_the_street_to_the_house(address: str, below: str) -> None:
    assert text.place_of_business(address) == below


@pytest.mark.parametrize(
    ("name", "typed", "marked"),
    [
        ("上海鑫诺照明", "鑫諾", "鑫诺"),
        ("上海鑫诺照明", "xinnuozh", "鑫诺照"),
        ("上海鑫诺照明", "xin nuo", "鑫诺"),
        ("上海鑫诺照明", "xnzm", "鑫诺照明"),
        ("上海东赢网络（中国）有限公司", "东瀛网络", "东赢网络"),
        ("ＡＢＢ（中国）", "abb", "ＡＢＢ"),
        ("重庆银行", "yinhang", "银行"),
        ("上海鑫诺照明", "诺", "诺"),
        ("上海鑫诺照明", "鑫诺 照明", "鑫诺照明"),
        ("上海鑫诺照明", "别的", ""),
    ],
)
def test_what_answers_the_query_is_marked(name: str, typed: str, marked: str) -> None:
    pieces = text.highlight(name, typed)
    assert "".join(piece for piece, _ in pieces) == name
    assert "".join(piece for piece, is_marked in pieces if is_marked) == marked


@given(st.text(max_size=40), st.text(max_size=40))
def test_marking_never_loses_a_character(name: str, typed: str) -> None:
    assert "".join(piece for piece, _ in text.highlight(name, typed)) == name


@given(st.text(max_size=60))
def test_any_name_has_forms_without_white_space(name: str) -> None:
    forms = text.forms(name)
    assert not any(char.isspace() for values in forms[1:] for value in values for char in value)


@given(st.text(max_size=query.MAX_LENGTH))
def test_any_text_is_read_or_refused(typed: str) -> None:
    try:
        read = query.read(typed)
    except query.Refused:
        return
    assert all(word.simple for word in read.words)


def test_a_code_is_read_from_any_writing() -> None:
    body = "91310199MA1234567"
    code = body + check_digit(body)
    assert query.read(f" {code[:4].lower()} {code[4:]} ").code == code
    assert query.read(f"代码：{code}。").code == code
    assert query.read(code.replace("0", "O").replace("1", "I")).code == code
    assert query.read("鑫诺照明").code == ""
    assert query.read("abb").code == ""


def test_neighbours_of_a_code_are_valid_and_hold_every_single_error() -> None:
    body = "91310199MA1234567"
    right = body + check_digit(body)
    for at in range(18):
        wrong = right[:at] + ("2" if right[at] != "2" else "3") + right[at + 1 :]
        assert right in query.code_neighbours(wrong)
        assert right in query.code_neighbours(right[:at] + right[at + 1 :])
        assert right in query.code_neighbours(right[:at] + "7" + right[at:])
    assert len(query.code_neighbours(right[:3] + "2" + right[4:])) < 25
