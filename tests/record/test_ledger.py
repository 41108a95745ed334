"""The ledger: numbered without a gap, the same fact once, provable, and what is changed behind its back is found."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from portal.kit import db
from record import ledger, merkle, publication, verification
from record.canonical import NotCanonical, canonical
from record.codes import made_up
from record.ledger import Fact
from record.models import LedgerEntry, LedgerNode

CODE = made_up("91", random.Random(7))


def fact(number: int, code: str | None = CODE, **more: Any) -> Fact:
    said = {"party_name": "上海青禾照明电器有限公司", "subject": f"检查事项{number}", "result": "未发现问题"}
    return Fact("inspection", "demo", f"沪市监检〔2026〕{number}号", said | more, code, "2026-03-05")


def append(*facts: Fact) -> ledger.Appended:
    with db.writing() as session:
        return ledger.append(session, list(map(ledger.seal, facts)))


def entries() -> list[LedgerEntry]:
    with db.reading() as session:
        return list(session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq)))


# ---- facts ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_facts_are_numbered_from_zero_and_the_same_fact_is_written_once() -> None:
    first = append(fact(1), fact(2))
    assert (first.added, first.seqs, first.touched) == (2, [0, 1], [CODE])
    again = append(fact(2), fact(1), fact(3))
    assert (again.added, again.unchanged, again.seqs) == (1, 2, [2])
    assert [entry.seq for entry in entries()] == [0, 1, 2]


@pytest.mark.usefixtures("database")
def test_a_fact_that_says_something_else_supersedes_what_it_said_before() -> None:
    append(fact(1))
    changed = append(fact(1, result="责令改正"))
    assert (changed.added, changed.changed) == (0, 1)
    old, new = entries()
    assert (old.superseded_by, new.supersedes, new.superseded_by) == (1, 0, None)
    with db.reading() as session:
        assert [one.seq for one in publication.of_entity(session, CODE, "inspection")] == [1]


@pytest.mark.usefixtures("database")
def test_a_fact_that_comes_three_times_in_one_piece_ends_as_the_last_says() -> None:
    outcome = append(fact(1), fact(1, result="责令改正"), fact(1, result="移送"))
    assert (outcome.added, outcome.changed) == (1, 2)
    assert [entry.superseded_by for entry in entries()] == [1, 2, None]
    assert append(fact(1, result="移送")).unchanged == 1
    assert verification.verify().holds


@pytest.mark.usefixtures("embedded")
def test_a_transaction_takes_no_more_than_a_thousand() -> None:
    with pytest.raises(ValueError, match="1000"):
        append(*(fact(number) for number in range(1_001)))
    assert entries() == []


@pytest.mark.usefixtures("embedded")
def test_fractions_and_huge_numbers_have_no_place_in_a_payload() -> None:
    for value in (1.5, 2**60, object(), {1: 2}, "\ud800"):
        with pytest.raises((NotCanonical, UnicodeEncodeError)):
            ledger.seal(fact(1, remark=value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=0xD7FF)), inner),
        max_leaves=20,
    )
)
def test_canonical_json_is_what_rfc_8785_writes(value: Any) -> None:
    import rfc8785

    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    assert canonical(value) == expected


@pytest.mark.usefixtures("database")
def test_a_leaf_is_the_canonical_json_of_number_identifier_kind_time_and_digest() -> None:
    append(fact(1))
    (entry,) = entries()
    said = {
        "seq": 0, "id": entry.id, "kind": "inspection", "digest": entry.digest.hex(),
        "recorded_at": ledger.instant(entry.recorded_at),
    }  # fmt: skip
    assert entry.leaf_hash == merkle.leaf_hash(canonical(said))
    assert entry.digest == ledger.digest(entry.salt or b"", fact(1))


# ---- proofs ---------------------------------------------------------------------------------------------------------


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else merkle.EMPTY
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    import hashlib

    return hashlib.sha256(b"\x01" + plain_root(leaves[:middle]) + plain_root(leaves[middle:])).digest()


@pytest.mark.usefixtures("database")
def test_heads_and_proofs_hold_at_every_size_and_nothing_else_does() -> None:
    for start in range(0, 1_300, 650):
        append(*(fact(number) for number in range(start, start + 650)))
    leaves = [entry.leaf_hash for entry in entries()]
    sizes = [1, 2, 3, 7, 255, 256, 257, 512, 700, 1_299, 1_300]
    with db.reading() as session:
        roots = {size: ledger.head(session, size).root for size in sizes}
        assert roots == {size: plain_root(leaves[:size]) for size in sizes}
        assert ledger.head(session).size == 1_300
        rng = random.Random(1)
        for size in sizes:
            for seq in {0, size - 1, rng.randrange(size)}:
                path = ledger.inclusion(session, seq, size)
                assert merkle.includes(leaves[seq], seq, size, path, roots[size])
                assert not merkle.includes(leaves[seq], seq, size, path, merkle.EMPTY)
                assert not merkle.includes(merkle.EMPTY, seq, size, path, roots[size])
            for earlier in (one for one in sizes if one <= size):
                path = ledger.consistency(session, earlier, size)
                assert merkle.extends(earlier, roots[earlier], size, roots[size], path)
                assert earlier == size or not merkle.extends(earlier, merkle.EMPTY, size, roots[size], path)
    report = verification.verify()
    assert (report.holds, report.entries, report.root) == (True, 1_300, roots[1_300].hex())


def spoil(**values: Any) -> None:
    with db.writing() as session:
        session.execute(update(LedgerEntry).where(LedgerEntry.seq == 300).values(**values))


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("act", "seq", "problem"),
    [
        (lambda: spoil(payload={"party_name": "别人"}), 300, "digest"),
        (lambda: spoil(occurred_on=date(2020, 1, 1)), 300, "digest"),
        (lambda: spoil(entity_code=made_up("91", random.Random(8))), 300, "digest"),
        (lambda: spoil(visibility="internal"), 300, "digest"),
        (lambda: spoil(digest=b"x" * 32, payload=None), 300, "leaf"),
        (lambda: spoil(id=ledger.new_id()), 300, "leaf"),
        (lambda: spoil(leaf_hash=b"x" * 32), 300, "leaf"),
    ],
)
def test_the_first_entry_that_does_not_hold_is_named(act: Any, seq: int, problem: str) -> None:
    append(*(fact(number) for number in range(700)))
    assert verification.verify().holds
    act()
    report = verification.verify()
    assert (report.holds, report.broken_at, report.problem) == (False, seq, problem)


@pytest.mark.usefixtures("database")
def test_a_missing_entry_a_missing_node_and_a_wrong_size_are_found() -> None:
    append(*(fact(number) for number in range(700)))
    with db.writing() as session:
        session.execute(delete(LedgerNode).where(LedgerNode.number == 1))
    assert verification.verify().problem == "tree"
    with db.writing() as session:
        session.execute(delete(LedgerEntry).where(LedgerEntry.seq == 699))
    with db.writing() as session:
        session.execute(delete(LedgerEntry).where(LedgerEntry.seq == 10))
    report = verification.verify()
    assert (report.broken_at, report.problem) == (10, "gap")


# ---- what is shown --------------------------------------------------------------------------------------------------


def penalty(number: int, gravity: str, occurred_on: date, code: str | None = CODE) -> Fact:
    said = {"party_name": "上海青禾照明电器有限公司", "act": "虚假宣传", "content": "罚款", "gravity": gravity}
    named = Fact("penalty", "demo", f"沪市监罚〔2026〕{number}号", said, code, occurred_on.isoformat())
    return publication.with_term(named)


@pytest.mark.usefixtures("database")
def test_entries_are_shown_within_the_laws_terms_and_closed_windows_end_in_a_withdrawal() -> None:
    today = publication.today()
    append(
        penalty(1, "minor", today - timedelta(days=10)),
        penalty(2, "general", today - timedelta(days=10)),
        penalty(3, "general", publication.months_after(today, -12)),
        penalty(4, "general", publication.months_after(today, -12) + timedelta(days=1)),
        penalty(5, "serious", publication.months_after(today, -35)),
        penalty(6, "serious", publication.months_after(today, -36)),
        penalty(7, "general", today, code=None),
    )
    with db.reading() as session:
        shown = publication.of_entity(session, CODE, "penalty")
    assert {one.seq for one in shown} >= {1, 4}
    assert {one.seq for one in shown} <= {1, 3, 4}, "minor ones, old ones and those of nobody known are not shown"
    with db.writing() as session:
        closed = publication.close_windows(session)
    assert closed == 7 - len(shown) - 2
    withdrawn = [entry for entry in entries() if entry.kind == "withdrawal"]
    assert len(withdrawn) == closed
    with db.writing() as session:
        assert publication.close_windows(session) == 0
    assert verification.verify().holds


def test_terms_are_months_of_the_calendar_from_the_documents_day() -> None:
    assert publication.months_after(date(2026, 1, 31), 1) == date(2026, 2, 28)
    shown = publication.term("penalty", date(2026, 5, 31), {"gravity": "general"}, date(2026, 6, 1))
    assert (shown.repair_from, shown.shown_until) == (date(2026, 8, 31), date(2027, 5, 30))
    before = publication.term("penalty", date(2025, 5, 31), {"gravity": "general"}, date(2025, 6, 1))
    assert (before.repair_from, before.shown_until) == (date(2025, 8, 31), date(2028, 5, 30))
    assert before.rule
    assert "58" in before.rule.source


@pytest.mark.usefixtures("database")
def test_a_withdrawn_entry_is_shown_no_longer_and_withdrawn_once() -> None:
    append(penalty(1, "general", publication.today()))
    for expected in (1, 0):
        with db.writing() as session:
            assert publication.withdraw(session, [0], "repaired") == expected
    with db.reading() as session:
        assert publication.of_entity(session, CODE, "penalty") == []
        assert publication.counts(session, CODE) == {}
