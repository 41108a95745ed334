"""Chinese and English: which one a request is answered in, and the sentences of both.

Source sentences are English; `portal/locale/zh.po` holds their Chinese. `make lint` fails while one is missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Literal

from starlette.requests import HTTPConnection

Language = Literal["zh", "en"]

LANGUAGES: dict[Language, str] = {"zh": "中文", "en": "English"}
HTML_TAGS: dict[Language, str] = {"zh": "zh-CN", "en": "en"}
COOKIE = "lang"
LOCALE_DIR = Path(__file__).parents[1] / "locale"

_current: ContextVar[Language] = ContextVar("language", default="zh")


@lru_cache(maxsize=1)
def _chinese() -> dict[str, str]:
    from babel.messages.pofile import read_po

    catalog = read_po(BytesIO((LOCALE_DIR / "zh.po").read_bytes()), locale="zh")
    return {
        message.id: message.string
        for message in catalog
        if isinstance(message.id, str) and isinstance(message.string, str) and message.string and not message.fuzzy
    }


def current() -> Language:
    """The language of the request that is being answered; Chinese outside of one."""
    return _current.get()


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Answer in this language for as long as the block runs."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def gettext(message: str, /, **values: object) -> str:
    """The sentence in the current language, with `%(name)s` filled in from `values`."""
    translated = _chinese().get(message, message) if current() == "zh" else message
    return translated % values if values else translated


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """As `gettext`, choosing by number in English. Chinese has one form, filed under the plural sentence."""
    message = singular if number == 1 and current() == "en" else plural
    return gettext(message, **{"num": number, **values})


def choose(connection: HTTPConnection) -> Language:
    """What the visitor asked for: `?lang=`, else what they chose before, else what their browser prefers."""
    kept = connection.cookies.get(f"__Host-{COOKIE}") or connection.cookies.get(COOKIE)
    for wish in (connection.query_params.get("lang"), kept):
        if wish in LANGUAGES:
            return "en" if wish == "en" else "zh"
    for part in connection.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "zh"
