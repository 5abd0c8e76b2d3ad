"""Rules of the room that a reader relies on."""

import builtins
import sys
from pathlib import Path
from uuid import UUID

import pytest
from aiogram import Router

from bot import handlers
from bot.callbacks import (
    Act,
    BrandAct,
    BrandPress,
    HistoryPage,
    LookStyle,
    MoveSlide,
    OwnStyle,
    Part,
    PickAccent,
    PickCount,
    PickLanguage,
    PickPart,
    PickPictures,
    PickSize,
    PickStructure,
    PickStyle,
    PickTone,
    PickTongue,
    PickWords,
    Press,
    SlideAct,
    SlidePress,
)
from bot.house.callbacks import DecidePerson, DecideRequest, Deed, ShowPerson, ShowRequest, StopTelling, Tell
from bot.keyboards import ACCENTS, COMMANDS, PICTURE_MODES, SIZES, STRUCTURES, TONES, WORDS
from bot.styles import Styles, load_languages, load_styles
from bot.texts import LOCALES
from carousel_pipeline.requests import Options

BOT = Path(__file__).parents[2] / "bot"


@pytest.mark.finding("n8")
def test_no_module_shadows_a_builtin() -> None:
    names = {path.stem for path in BOT.rglob("*.py")} - {"__init__", "__main__"}
    assert names & (set(dir(builtins)) | sys.stdlib_module_names) == set()


@pytest.mark.finding("n6")
def test_handlers_are_named_by_what_they_do() -> None:
    found = []

    def walk(router: Router) -> None:
        for observer in router.observers.values():
            found.extend(handler.callback for handler in observer.handlers)
        for child in router.sub_routers:
            walk(child)

    walk(handlers.setup())
    assert len(found) > 20
    for handler in found:
        assert handler.__doc__, handler
        assert not handler.__name__.startswith(("handle", "on_", "cmd", "process", "_")), handler.__name__
        assert "handler" not in handler.__name__, handler.__name__


@pytest.mark.finding("M7")
def test_every_button_fits_and_comes_back_as_it_went() -> None:
    request = UUID(int=2**128 - 1)
    longest = max(load_styles().named("en"), key=len)
    pressed = [
        *(Press(act=act, id=request, price=1000) for act in Act),
        *(PickSize(id=request, size=size.replace(":", "x")) for size in SIZES),
        *(kind(id=request, style=style) for kind in (PickStyle, LookStyle) for style in (longest, "s" * 29)),
        OwnStyle(style="s" * 29),
        PickCount(id=request, count=10),
        *(SlidePress(act=act, id=request, slide=10) for act in SlideAct),
        MoveSlide(id=request, slide=10, to=10),
        *(PickTone(id=request, tone=tone) for tone in TONES),
        *(PickStructure(id=request, structure=name) for name in STRUCTURES),
        *(PickWords(id=request, words=choice) for choice in WORDS),
        *(PickPictures(id=request, mode=mode) for mode in PICTURE_MODES),
        *(PickTongue(id=request, language=code) for code in load_languages().codes),
        *(PickPart(part=part) for part in Part),
        *(BrandPress(act=brand) for brand in BrandAct),
        *(PickAccent(colour=colour) for colour in ACCENTS),
        HistoryPage(after=request),
        *(PickLanguage(locale=locale) for locale in LOCALES),
        ShowPerson(tg=2**52),
        ShowRequest(id=request),
        *(DecidePerson(deed=deed, tg=2**52) for deed in Deed),
        *(DecideRequest(deed=deed, id=request) for deed in Deed),
        Tell(id=2**40, audience="all"),
        StopTelling(id=2**40),
    ]
    for data in pressed:
        packed = data.pack()
        assert len(packed.encode()) <= 64
        assert type(data).unpack(packed) == data


def test_styles_have_names_and_the_default_comes_first() -> None:
    styles = load_styles()
    for locale in LOCALES:
        named = styles.named(locale)
        assert next(iter(named)) == Options().style
        assert all(named.values())
    assert "no_such_style" not in styles
    assert Styles({}).name("gone", "en") == "gone"


def test_every_listed_command_is_answered() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in BOT.rglob("*.py"))
    assert all(f'Command("{command}"' in code for command in COMMANDS if command != "start")
    assert "CommandStart()" in code
