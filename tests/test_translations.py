"""Both languages are complete: every sentence that people may read has its Chinese, and none is kept for nothing."""

import importlib
import pkgutil
import re
from io import BytesIO
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import opendata
import partners
import reporting
from partners.faults import FAULTS
from portal import handbook, kit
from portal.app import create_app
from portal.kit import i18n

HOUSE = Path(__file__).parents[1]
_PLACEHOLDER = re.compile(r"%\((\w+)\)s|\{(\w+)\}|</?\w+")


def _sentence(message: str | tuple[str, ...]) -> str:
    """The key that `portal.kit.i18n` looks up: of a counted sentence its plural."""
    return message if isinstance(message, str) else message[1]


def _in_templates() -> set[str]:
    found = extract_from_dir(
        HOUSE / "templates",
        [("**.html", "jinja2"), ("**.txt", "jinja2")],
        {ending: {"trimmed": "true"} for ending in ("**.html", "**.txt")},
    )
    return {_sentence(message) for _, _, message, *_ in found}


def _in_python() -> set[str]:
    folders = ("opendata", "partners", "portal", "record", "reporting", "search")
    found = (row for folder in folders for row in extract_from_dir(HOUSE / folder, [("**.py", "python")]))
    return {_sentence(message) for _, _, message, *_ in found}


def _of_refusals() -> set[str]:
    for package in (kit, opendata, partners, reporting):  # also those that no area has taken up yet
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return {text for error in handbook.problems() for text in (error.title, error.remedy)}


def _of_the_api() -> set[str]:
    operations = handbook.operations(create_app().openapi(), handbook.Sample())
    texts = [text for each in operations for text in (each.summary, *(one.description for one in each.parameters))]
    return {text for text in texts if text}


def _of_faults() -> set[str]:
    return {sentence for fault in FAULTS.values() for sentence in fault}


def _wanted() -> set[str]:
    return _in_templates() | _in_python() | _of_refusals() | _of_the_api() | _of_faults()


def _chinese() -> dict[str, str]:
    catalog = read_po(BytesIO((i18n.LOCALE_DIR / "zh.po").read_bytes()), locale="zh")
    return {str(message.id): "" if message.fuzzy else str(message.string) for message in catalog if message.id}


def test_every_sentence_has_its_chinese() -> None:
    known = _chinese()
    assert sorted(text for text in _wanted() if not known.get(text)) == []


def test_no_chinese_sentence_is_left_over() -> None:
    assert sorted(set(_chinese()) - _wanted()) == []


def test_a_translation_fills_in_the_same_values_and_keeps_the_same_markup() -> None:
    different = [
        text
        for text, chinese in _chinese().items()
        if chinese and sorted(_PLACEHOLDER.findall(text)) != sorted(_PLACEHOLDER.findall(chinese))
    ]
    assert different == []
