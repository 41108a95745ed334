"""What every search engine has to keep, over a small register of made-up names.

An engine's tests subclass `EngineCases` and give it the fixture `engine`, an empty engine.
"""

import pytest

from record.codes import check_digit
from search import query
from search.documents import EntityDocument
from search.engine import MAX_HITS, Filters, NoIndex, SearchEngine

HUANGPU, PUDONG = "310101", "310115"


def code(number: int, head: str = "91310199") -> str:
    """A well-formed code that no real entity has; far from the next, or it would be its misspelling."""
    body = f"{head}MA{number * 7919:07d}"
    return body + check_digit(body)


LAMP, LAMP_BRANCH, NET, NET_ALIKE, CLEAN, LINHAI, ABB, STORE, RENAMED, GONE, GONE_TWIN, MUSIC = (
    code(number) for number in range(1, 13)
)

REGISTER = (
    EntityDocument(
        LAMP, "上海栎岚照明电器有限公司", (), "上海市黄浦区云杉南路824号3楼", HUANGPU, "C", "limited_company", "active"
    ),
    EntityDocument(LAMP_BRANCH, "上海栎岚照明电器有限公司第一分公司", (), "", PUDONG, "F", "branch", "active"),
    EntityDocument(
        NET, "上海东赢网络咨询有限公司", (), "", HUANGPU, "I", "limited_company", "active", ("abnormal_listing",)
    ),
    EntityDocument(NET_ALIKE, "上海东英网络科技有限公司", (), "", PUDONG, "I", "limited_company", "active"),
    EntityDocument(CLEAN, "道澄商务信息咨询（上海）有限公司", (), "", PUDONG, "L", "foreign_invested", "active"),
    EntityDocument(LINHAI, "临海市森茂园林绿化有限公司", (), "", "", "N", "limited_company", "active"),
    EntityDocument(ABB, "ＱＸＺ（中国）传动设备有限公司", (), "", PUDONG, "C", "foreign_invested", "active"),
    EntityDocument(STORE, "上海捷旺便利连锁第二七五分店", (), "", HUANGPU, "F", "branch", "active"),
    EntityDocument(
        RENAMED, "上海新砚文化传播有限公司", ("上海墨池图书有限公司",), "", HUANGPU, "R", "limited_company", "active"
    ),
    EntityDocument(GONE, "上海枫桦贸易有限公司", (), "", HUANGPU, "F", "limited_company", "deregistered"),
    EntityDocument(GONE_TWIN, "上海枫桦国际贸易有限公司", (), "", HUANGPU, "F", "limited_company", "active"),
    EntityDocument(MUSIC, "上海乾乐行音乐器材商行", (), "", HUANGPU, "F", "individual", "active"),
)

FOUND_FIRST = {
    "the whole name": ("上海栎岚照明电器有限公司", LAMP),
    "brand and trade": ("栎岚照明", LAMP),
    "a fragment from the middle": ("岚照明电", LAMP),
    "place, brand and 公司": ("上海栎岚照明公司", LAMP),
    "two words": ("栎岚 电器", LAMP),
    "words in any order": ("电器 栎岚 上海", LAMP),
    "something left out": ("栎岚电器", LAMP),
    "a character missing": ("上海栎照明电器有限公司", LAMP),
    "a character wrong": ("上海栎岚照月电器有限公司", LAMP),
    "a character too many": ("上海栎岚岚照明电器有限公司", LAMP),
    "characters swapped": ("上海栎岚照电明器有限公司", LAMP),
    "two characters wrong": ("上海栎岚照日电气有限公司", LAMP),
    "a wrong form": ("上海栎岚照明电器有限责任公司", LAMP),
    "the same sound": ("东瀛网络咨询", NET),
    "pinyin joined": ("lilanzhaoming", LAMP),
    "pinyin spaced": ("li lan zhao ming", LAMP),
    "pinyin with its last syllable begun": ("lilanzhaom", LAMP),
    "pinyin as another region says it": ("nilanzaoming", LAMP),
    "the whole name in pinyin": ("shanghaililanzhaomingdianqiyouxiangongsi", LAMP),
    "initials": ("shllzmdqyxgs", LAMP),
    "initials without the form": ("shllzmdq", LAMP),
    "characters and pinyin": ("上海 lilan 照明", LAMP),
    "characters and pinyin without a space": ("lilan照明", LAMP),
    "both readings of a character": ("qianyuehang", MUSIC),
    "the other reading": ("qianlexing", MUSIC),
    "traditional characters": ("櫟嵐照明電器", LAMP),
    "乾, which is no traditional 干": ("乾乐行", MUSIC),
    "other brackets": ("道澄商务信息咨询〔上海〕有限公司", CLEAN),
    "no brackets": ("道澄商务信息咨询上海有限公司", CLEAN),
    "the place in front": ("上海道澄商务信息咨询有限公司", CLEAN),
    "the place left out": ("道澄商务信息咨询有限公司", CLEAN),
    "half width": ("qxz传动", ABB),
    "full width": ("ＱＸＺ", ABB),
    "digits for numerals": ("捷旺275分店", STORE),
    "a former name": ("墨池图书", RENAMED),
    "an address": ("云杉南路824号", LAMP),
    "a whole address": ("上海市黄浦区云杉南路824号3楼", LAMP),
    "a district and a brand": ("浦东 道澄", CLEAN),
    "marks around and between": ("“上海栎岚”，照明！", LAMP),
    "the code": (LAMP, LAMP),
    "the code in small letters and pieces": (f"{LAMP[:6].lower()} {LAMP[6:10]}-{LAMP[10:].lower()}", LAMP),
    "the code with O for 0": (LAMP.replace("0", "O"), LAMP),
    "a code's beginning": (LAMP[:16], LAMP),
    "a code with one character wrong": (LAMP[:12] + ("1" if LAMP[12] != "1" else "2") + LAMP[13:], LAMP),
    "a code with two swapped": (LAMP[:9] + LAMP[10] + LAMP[9] + LAMP[11:], LAMP),
    "the organisation's part of a code": (LAMP[8:17], LAMP),
    "a text with the name in it": (
        "您好，我要投诉上海栎岚照明电器有限公司，这家公司上个月卖给我的灯全部是坏的，请尽快处理，谢谢",
        LAMP,
    ),
    "a text with the code in it": (f"统一社会信用代码：{LAMP}，请查询", LAMP),
}

HARMLESS = (
    "",
    "   ",
    "海",
    "a",
    "9",
    "()",
    "name:foo AND *",
    '"栎岚" OR (照明',
    "[* TO *]",
    "\\",
    "栎岚\x00照明",
    "\ud800栎岚",
    "栎岚😀",
    "a" * query.MAX_LENGTH,
    "岚" * query.MAX_LENGTH,
    "上海" * 100,
    "1" * 200,
    "zhuang" * 40,
    "'; DROP TABLE entity; --",
    "有限公司",
    "公司 公司",
    "(上海)",
    "ﷺ",
    "e\u0301\u0301\u0301",
)

REFUSED = {"😀🎉": query.NoLetters, "，。！": query.NoLetters, "岚" * (query.MAX_LENGTH + 1): query.TooLong}


class EngineCases:
    """Tests that every engine runs."""

    @pytest.fixture
    def filled(self, engine: SearchEngine) -> SearchEngine:
        assert engine.rebuild(iter(REGISTER)) == len(REGISTER)
        return engine

    @pytest.mark.parametrize(("typed", "expected"), FOUND_FIRST.values(), ids=FOUND_FIRST.keys())
    def test_what_people_type_finds_the_entity_first(self, filled: SearchEngine, typed: str, expected: str) -> None:
        assert [hit.code for hit in filled.search(typed, Filters(), limit=10).hits][:1] == [expected]

    @pytest.mark.parametrize("typed", HARMLESS)
    def test_anything_typed_has_an_answer(self, filled: SearchEngine, typed: str) -> None:
        try:
            page = filled.search(typed, Filters(), limit=10)
        except query.Refused:
            return
        assert len(page.hits) <= 10
        filled.suggest(typed, limit=5)
        filled.exact([typed])

    @pytest.mark.parametrize(("typed", "refusal"), REFUSED.items())
    def test_what_holds_no_letters_or_is_too_long_is_refused(
        self, filled: SearchEngine, typed: str, refusal: type[query.Refused]
    ) -> None:
        with pytest.raises(refusal):
            filled.search(typed, Filters(), limit=10)
        assert filled.suggest(typed, limit=5) == []

    @pytest.mark.parametrize(
        ("typed", "match"),
        [
            (LAMP, "code"),
            ("栎岚照明", "name"),
            ("墨池图书", "former_name"),
            ("lilanzhaoming", "pinyin"),
            ("shllzmdqyxgs", "initials"),
            ("云杉南路824号", "address"),
            ("上海栎岚照月电器有限公司", "similar"),
        ],
    )
    def test_a_hit_says_why_it_was_found(self, filled: SearchEngine, typed: str, match: str) -> None:
        assert filled.search(typed, Filters(), limit=10).hits[0].match == match

    def test_what_still_exists_comes_before_what_is_struck_off(self, filled: SearchEngine) -> None:
        assert [hit.code for hit in filled.search("枫桦", Filters(), limit=10).hits] == [GONE_TWIN, GONE]

    def test_a_name_that_is_typed_whole_is_first_though_it_is_struck_off(self, filled: SearchEngine) -> None:
        assert filled.search("上海枫桦贸易有限公司", Filters(), limit=10).hits[0].code == GONE

    def test_filters_hold_for_every_way_of_being_found(self, filled: SearchEngine) -> None:
        for typed in ("栎岚照明", "lilan", "上海栎岚照月电器有限公司", ""):
            page = filled.search(typed, Filters(district=PUDONG), limit=50)
            by_code = {document.code: document for document in REGISTER}
            assert all(by_code[hit.code].district == PUDONG for hit in page.hits)
            assert page.total == len(page.hits)

    def test_an_empty_query_lists_what_the_filters_let_through(self, filled: SearchEngine) -> None:
        page = filled.search("", Filters(listed="any"), limit=10)
        assert [hit.code for hit in page.hits] == [NET]
        assert filled.search("", Filters(), limit=3).total == len(REGISTER)

    def test_facets_count_all_hits_and_leave_their_own_filter_out(self, filled: SearchEngine) -> None:
        facets = filled.search("", Filters(district=HUANGPU, industry="F"), limit=1).facets
        assert facets["industry"] == {"C": 1, "F": 4, "I": 1, "R": 1}
        assert facets["district"] == {HUANGPU: 4, PUDONG: 1}
        assert facets["status"] == {"active": 3, "deregistered": 1}
        assert filled.search("东赢网络", Filters(), limit=5).facets["listed"] == {"abnormal_listing": 1, "any": 1}

    def test_pages_follow_each_other_without_gaps_or_repeats(self, filled: SearchEngine) -> None:
        whole = [hit.code for hit in filled.search("上海", Filters(), limit=50).hits]
        pages = [filled.search("上海", Filters(), limit=4, offset=offset) for offset in (0, 4, 8, 12)]
        assert [hit.code for page in pages for hit in page.hits] == whole
        assert [page.more for page in pages] == [True, True, len(whole) > 12, False]
        assert {page.total for page in pages} == {len(whole)}

    def test_nothing_is_shown_beyond_the_last_page(self, filled: SearchEngine) -> None:
        page = filled.search("上海", Filters(), limit=10, offset=MAX_HITS)
        assert (list(page.hits), page.more) == ([], False)

    @pytest.mark.parametrize(
        "typed", ["栎", "栎岚", "上海栎", "上海栎岚照", "lilanz", "llzm", "ll", "lilan", "shanghaililan"]
    )
    def test_it_is_suggested_while_somebody_types(self, filled: SearchEngine, typed: str) -> None:
        assert LAMP in filled.suggest(typed, limit=5)

    def test_exact_names_are_found_in_any_writing_and_no_others(self, filled: SearchEngine) -> None:
        asked = ["上海櫟嵐照明電器有限公司", "道澄商务信息咨询(上海)有限公司", "上海墨池图书有限公司", "上海栎岚", ""]
        found = filled.exact(asked)
        assert found == {asked[0]: [LAMP], asked[1]: [CLEAN], asked[2]: [RENAMED], asked[3]: [], "": []}

    def test_a_present_name_comes_before_a_former_one(self, filled: SearchEngine) -> None:
        heir = code(99)
        filled.write([EntityDocument(heir, "上海墨池图书有限公司", status="deregistered")])
        assert filled.exact(["上海墨池图书有限公司"]) == {"上海墨池图书有限公司": [heir, RENAMED]}

    def test_a_written_change_is_found_and_a_removed_entity_no_longer(self, filled: SearchEngine) -> None:
        filled.write([EntityDocument(LAMP, "上海橘灯节能有限公司", status="active")], removed=[NET])
        assert filled.search("橘灯节能", Filters(), limit=10).hits[0].code == LAMP
        assert LAMP not in [hit.code for hit in filled.search("栎岚照明", Filters(), limit=10).hits]
        assert NET not in [hit.code for hit in filled.search("东赢网络", Filters(), limit=10).hits]
        assert filled.count() == len(REGISTER) - 1

    def test_writing_the_same_twice_changes_nothing(self, filled: SearchEngine) -> None:
        filled.write([*REGISTER[:2], *REGISTER[:2]])
        assert filled.count() == len(REGISTER)

    def test_a_rebuild_forgets_what_it_was_not_given(self, filled: SearchEngine) -> None:
        filled.rebuild(iter(REGISTER[:1]))
        assert filled.count() == 1
        assert filled.search("东赢网络", Filters(), limit=10).total == 0

    def test_an_engine_without_an_index_says_so(self, engine: SearchEngine) -> None:
        assert engine.count() == 0
        with pytest.raises(NoIndex):
            engine.search("栎岚", Filters(), limit=10)
        with pytest.raises(NoIndex):
            engine.suggest("栎岚", limit=5)
        with pytest.raises(NoIndex):
            engine.exact(["栎岚"])

    def test_an_empty_engine_takes_its_first_entity(self, engine: SearchEngine) -> None:
        engine.write(REGISTER[:1])
        assert [hit.code for hit in engine.search("栎岚", Filters(), limit=10).hits] == [LAMP]
