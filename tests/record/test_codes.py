"""Codes, divisions, industries and the registries' wordings."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc

from record import codes, districts, industries, wordings

REAL = "913101011324142057"
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@given(st.text(ALPHABET, min_size=17, max_size=17))
def test_the_check_digit_is_the_standard_librarys(body: str) -> None:
    body = body[:2] + "".join(str(ALPHABET.index(char) % 10) for char in body[2:8]) + body[8:]
    assert codes.check_digit(body) == uscc.calc_check_digit(body)


@given(st.text(max_size=40))
def test_any_text_is_a_code_or_none_and_never_an_error(text: str) -> None:
    code = codes.normalise(text)
    assert code is None or codes.is_valid(code)


@pytest.mark.parametrize(
    "written", [REAL, " 91310101 1324142057 ", "９１３１０１０１１３２４１４２０５７", "91-310101-132414205-7"]
)
def test_a_code_is_known_in_any_spacing_and_width(written: str) -> None:
    assert codes.normalise(written) == REAL


def test_lower_case_is_the_same_code() -> None:
    assert codes.normalise("91310000x072143273") == "91310000X072143273"


def test_every_single_wrong_character_is_noticed() -> None:
    for place in range(18):
        for char in ALPHABET:
            if char != REAL[place]:
                assert not codes.is_credit_code(REAL[:place] + char + REAL[place + 1 :])


def test_a_registration_number_has_its_own_check_digit() -> None:
    assert codes.is_valid("321084000032743")
    assert not codes.is_valid("321084000032744")


def test_o_and_i_are_read_as_digits_only_when_the_check_digit_then_fits() -> None:
    assert codes.repaired("9131O1O11324142O57") == REAL
    assert codes.repaired("9131O1O11324142O58") is None


def test_made_up_codes_are_valid_and_in_no_real_division() -> None:
    rng = random.Random(1)
    made = {codes.made_up(head, rng) for head in ("91", "92", "93") for _ in range(300)}
    assert len(made) == 900
    assert all(codes.is_credit_code(code) and code[2:8] == "310199" for code in made)
    assert codes.DEMO_DIVISION not in districts.DISTRICTS | districts.ABOLISHED


def test_labels_come_in_both_languages_and_none_stays_none() -> None:
    assert codes.label(codes.DISTRICTS, "310115", "zh") == "浦东新区"
    assert codes.label(codes.ENTITY_STATUSES, "revoked", "en") == "Licence revoked"
    assert codes.label(codes.LISTS, None, "zh") is None
    assert codes.label(codes.LISTS, "unheard_of", "zh") == "unheard_of"


def test_there_are_sixteen_districts_and_thirty_four_provinces() -> None:
    assert (len(codes.DISTRICTS), len(codes.PROVINCES)) == (16, 34)
    assert all(row.successor in codes.DISTRICTS for row in districts.ABOLISHED.values())


def test_there_are_twenty_sections_and_ninety_seven_divisions() -> None:
    assert "".join(codes.INDUSTRY_SECTIONS) == "ABCDEFGHIJKLMNOPQRST"
    assert list(codes.INDUSTRY_DIVISIONS) == [f"{number:02}" for number in range(1, 98)]
    assert industries.SECTION_OF["01"] == "A"
    assert industries.SECTION_OF["43"] == "C"
    assert industries.SECTION_OF["97"] == "T"


@pytest.mark.parametrize(
    ("written", "district"),
    [
        ("浦东", "310115"),
        ("浦东新区", "310115"),
        ("上海市黄浦区", "310101"),
        ("310104", "310104"),
        ("Xuhui", "310104"),
        ("卢湾", "310101"),
        ("闸北区", "310106"),
        ("南汇", "310115"),
        ("崇明县", "310151"),
        ("310230", "310151"),
        ("自贸区", None),
        ("上海", None),
        ("上海市", None),
        ("苏州", None),
        ("", None),
    ],
)
def test_a_district_is_known_by_its_names_of_today_and_yesterday(written: str, district: str | None) -> None:
    assert districts.of_name(written) == district


@pytest.mark.parametrize(
    ("address", "district"),
    [
        ("上海市黄浦区金陵东路505号5楼", "310101"),
        ("浦东新区惠南镇城西路200号", "310115"),
        ("上海嘉定环城路200号", "310114"),
        ("浦东南路500号", None),
        ("上海市闸北区柳营路305号", "310106"),
        ("上海市崇明县城桥镇秀山路1号", "310151"),
        ("朱家角镇西湖新村", "310118"),
        ("祝桥镇水闸南路260号", "310115"),
        ("中国（上海）自由贸易试验区富特西一路333号", "310115"),
        ("中国(上海)自由贸易试验区临港新片区环湖西二路888号", None),
        ("中国（上海）自由贸易试验区临港新片区奉贤区新四平公路468弄", "310120"),
        ("浙江省舟山市普陀区东港街道", None),
        ("舟山市普陀区东港街道", None),
        ("江苏路398号", None),
        ("北京东路666号", None),
        ("上海富盛经济开发区", None),
        ("", None),
    ],
)
def test_an_address_gives_its_district_only_where_it_says_so(address: str, district: str | None) -> None:
    assert districts.of_address(address) == district


@pytest.mark.parametrize(
    ("name", "industry"),
    [
        ("上海青禾照明电器有限公司", ("C", "38")),
        ("上海闻屿国际贸易有限公司", ("F", "51")),
        ("上海栩砚五金塑料厂", ("C", "29")),
        ("上海青禾餐饮管理有限公司第一分公司", ("H", "62")),
        ("上海远方物业管理有限公司", ("K", "70")),
        ("上海新昌实业有限公司", (None, None)),
    ],
)
def test_a_name_states_its_trade(name: str, industry: tuple[str | None, str | None]) -> None:
    assert industries.of_name(name) == industry


@pytest.mark.parametrize(
    ("written", "industry"),
    [
        ("F", ("F", None)),
        ("F51", ("F", "51")),
        ("5191", ("F", "51")),
        ("F5191", ("F", "51")),
        ("批发业", ("F", "51")),
        ("批发和零售业", ("F", None)),
        ("Wholesale trade", ("F", "51")),
        ("C51", (None, None)),
        ("98", (None, None)),
        ("其他", (None, None)),
    ],
)
def test_a_registered_industry_is_read_as_number_or_title(
    written: str, industry: tuple[str | None, str | None]
) -> None:
    assert industries.of_text(written) == industry


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("存续（在营、开业、在册）", "active"),
        ("在业", "active"),
        ("吊销，未注销", "revoked"),
        ("吊销", "revoked"),
        ("吊销，已注销", "deregistered"),
        ("已注销", "deregistered"),
        ("迁出", "moved_out"),
        ("歇业", "suspended"),
        ("某种状态", None),
    ],
)
def test_a_registrys_words_give_the_status(written: str, status: str | None) -> None:
    assert wordings.entity_status(written) == status


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("有限责任公司(自然人投资或控股)", "limited_company"),
        ("有限责任公司 港、澳、台", "foreign_invested"),
        ("集体分支机构（非法人）", "branch"),
        ("外国(地区)企业常驻代表机构", "representative_office"),
        ("有限合伙", "partnership"),
        ("股份合作制", "stock_cooperative"),
        ("个体", "individual"),
        ("说不清", None),
    ],
)
def test_a_registrys_words_give_the_type(written: str, kind: str | None) -> None:
    assert wordings.entity_type(written) == kind


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("上海青禾照明电器有限公司", REAL, "limited_company"),
        ("上海保险公司劳动服务有限公司", REAL, "limited_company"),
        ("上海长江企业发展合作公司福州路刻字店", REAL, "branch"),
        ("江苏宝联建设有限公司上海分公司", "321084000032743", "branch"),
        ("上海骏溪投资中心（有限合伙）", REAL, "partnership"),
        ("香港翰海有限公司上海代表处", REAL, "representative_office"),
        ("上海市青浦区朱家角镇五金店", "92310118MA1M01X1X7", "individual"),
        ("上海古鹤果蔬专业合作社", "93310115766902673U", "farmers_cooperative"),
        ("上海延长机械刀片厂", REAL, "other"),
    ],
)
def test_the_type_is_told_by_the_code_and_the_form_of_the_name(name: str, code: str, kind: str) -> None:
    assert wordings.type_of_name(name, code) == kind
