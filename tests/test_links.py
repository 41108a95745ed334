"""A signed link says what the portal wrote, for one purpose and for a limited time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from portal.kit import links
from tests.conftest import use_settings

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, data_dir=tmp_path / "var", keys_dir=tmp_path / "keys")


def test_a_link_gives_back_what_was_put_in() -> None:
    token = links.make("alert.confirm", {"alert": 7})
    assert links.read("alert.confirm", token, DAY) == {"alert": 7}
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()


def test_a_link_for_one_purpose_is_worth_nothing_for_another() -> None:
    with pytest.raises(links.LinkRefused):
        links.read("alert.end", links.make("alert.confirm", 7), DAY)


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "", lambda t: "é", lambda t: t * 99])
def test_a_changed_or_cut_link_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(links.LinkRefused):
        links.read("alert.confirm", change(links.make("alert.confirm", 7)), DAY)


def test_a_link_that_is_too_old_says_so() -> None:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        token = links.make("alert.confirm", 7)
    with time_machine.travel(start + DAY, tick=False):
        assert links.read("alert.confirm", token, DAY) == 7
    with (
        time_machine.travel(start + DAY + timedelta(seconds=1), tick=False),
        pytest.raises(links.LinkExpired) as refusal,
    ):
        links.read("alert.confirm", token, DAY)
    assert refusal.value.status == 410


def test_another_portal_does_not_believe_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = links.make("alert.confirm", 7)
    use_settings(monkeypatch, keys_dir=tmp_path / "other")
    with pytest.raises(links.LinkRefused):
        links.read("alert.confirm", token, DAY)
