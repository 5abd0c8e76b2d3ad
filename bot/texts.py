"""Every word a user reads, from `locales/<language>/*.po`, compiled in memory when the bot starts.

A msgid is a key (`outline.price`), never a sentence, so a text can be bettered without touching code, and both languages are
complete or a test says which key is missing. Texts are Telegram HTML: a value put into one is escaped unless it is `Html`.

One file a feature, in every language under the same name: `bot.po` what every part says, `changes.po` an outline's and a
carousel's changes, `personal.po` a person's brand, history and styles. A new feature brings a file of its own; a key stands in
one file only.
"""

import gettext
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

from aiogram.utils.text_decorations import html_decoration
from babel import Locale
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES: Final = ("en", "ru")
DEFAULT_LOCALE: Final = "en"


class Html(str):
    """Text that is HTML already: it goes into another text as it is."""

    __slots__ = ()


class Texts:
    """The words of one language.

    Attributes:
        locale: `en` or `ru`.
    """

    def __init__(self, locale: str, catalogue: gettext.NullTranslations) -> None:
        self.locale = locale
        self._catalogue = catalogue
        self._babel = Locale.parse(locale)

    def __call__(self, key: str, **values: str | int) -> Html:
        """Return the text of `key` with `values` put in."""
        return _fill(self._catalogue.gettext(key), values)

    def count(self, key: str, number: int, **values: str | int) -> Html:
        """Return the text of `key` in the plural form of `number`, which is `{n}` in it."""
        return _fill(self._catalogue.ngettext(key, key, number), {"n": number, **values})

    def pick(self, prefix: str, choice: str) -> Html:
        """Return the text of `prefix.choice`, where `choice` is one of a fixed set."""
        return Html(self._catalogue.gettext(f"{prefix}.{choice}"))

    def language(self, code: str) -> str:
        """Return the name of a language in this language; an unknown code names itself."""
        return str(self._babel.languages.get(code, code))


def _fill(text: str, values: Mapping[str, str | int]) -> Html:
    return Html(text.format(**{name: _escape(value) for name, value in values.items()}) if values else text)


def _escape(value: str | int) -> str:
    return str(value) if isinstance(value, int | Html) else html_decoration.quote(value)


@cache
def texts(locale: str) -> Texts:
    """Return the words of `locale`, or of English when there is no such catalogue."""
    if locale not in LOCALES:
        return texts(DEFAULT_LOCALE)
    catalogue = Catalog(locale=locale)
    folder = files("bot") / "locales" / locale
    for file in sorted((item for item in folder.iterdir() if item.name.endswith(".po")), key=lambda item: item.name):
        with file.open("rb") as source:
            for message in read_po(source, locale=locale):
                if message.id:
                    catalogue[message.id if isinstance(message.id, str) else message.id[0]] = message
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Texts(locale, gettext.GNUTranslations(compiled))


def locale_of(language_code: str | None) -> str:
    """Return the language to speak with somebody whose Telegram says `language_code` (an IETF tag, or nothing)."""
    primary = (language_code or DEFAULT_LOCALE).partition("-")[0].lower()
    return primary if primary in LOCALES else DEFAULT_LOCALE
