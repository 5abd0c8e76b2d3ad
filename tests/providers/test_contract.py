"""What must work at any server that speaks the three protocols: ours, or one that was set from outside.

    ANTHROPIC_BASE_URL=… GEMINI_BASE_URL=… GEMINI_API_VERSION=v1beta TELEGRAM_API_URL=… pytest tests/providers/test_contract.py

`python -m tests.providers` serves our two model fakes as a process of their own, `python -m carousel_pipeline.local.telegram` our
Telegram. Nothing here scripts a server or looks into it; what needs a fault is tested elsewhere, at our fakes.
"""

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr

from carousel_pipeline.copywriting import Brief
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.delivery import Arrived, Page, send_album, telegram_bot
from carousel_pipeline.imagery import Picture, PictureBrief
from carousel_pipeline.imagery.gemini import GeminiPainter
from carousel_pipeline.imagery.painting import paint_deck
from carousel_pipeline.requests import Options, PictureMode
from carousel_pipeline.settings import Settings

from . import fake_claude, fake_gemini
from .conftest import Remembered, Served
from .fake_claude import FakeClaude
from .fake_gemini import FakeGemini

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

TOKEN = "4242:AAF3jQ9dTn0xZkLw2pVbR7sYcHuEoMi4GqA"
A_CHAT = 4242
SOURCES = {
    "en": "Sleep is not a luxury. Adults need 7 hours a night. Put the phone away. Keep the room dark. Start tonight.",
    "ru": "Сон не роскошь. Взрослым нужно 7 часов. Уберите телефон. Держите комнату тёмной. Начните сегодня.",
}


@pytest.fixture
def models(outside: Mapping[str, str], claude: Served[FakeClaude], gemini: Served[FakeGemini]) -> Settings:
    """The settings of a deployment with both models: ours, unless other servers were set."""
    return Settings.model_validate(
        {
            "anthropic_base_url": outside.get("ANTHROPIC_BASE_URL", claude.url),
            "anthropic_api_key": outside.get("ANTHROPIC_API_KEY", fake_claude.KEY),
            "gemini_base_url": outside.get("GEMINI_BASE_URL", gemini.url),
            "gemini_api_key": outside.get("GEMINI_API_KEY", fake_gemini.KEY),
            "gemini_api_version": outside.get("GEMINI_API_VERSION"),
        }
    )


@pytest.fixture(scope="module")
def telegram(outside: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if "TELEGRAM_API_URL" in outside:
        yield outside["TELEGRAM_API_URL"].rstrip("/")
        return
    home = str(tmp_path_factory.mktemp("telegram"))
    module = (sys.executable, "-m", "carousel_pipeline.local.telegram")
    command = [*module, "--port", "0", "--home", home, "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def a_chat(url: str) -> int:
    """Return a chat to write to: made by the server's control interface, or of our own choosing where it has none."""
    body = json.dumps({"first_name": "Ann", "language_code": "en"}).encode()
    request = urllib.request.Request(f"{url}/sim/users", data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            made = json.loads(answer.read())
    except (urllib.error.HTTPError, ValueError):
        return A_CHAT
    chat: int = made["chat_id"]
    started = urllib.request.Request(
        f"{url}/sim/chats/{chat}/messages", data=b'{"text": "/start"}', headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(started, timeout=20).close()
    return chat


@pytest.mark.parametrize("language", SOURCES)
async def test_claude_writes_the_deck_that_was_asked_for(models: Settings, log: Remembered, language: str) -> None:
    assert models.anthropic_api_key is not None
    writer = ClaudeWriter(models.anthropic_api_key, models.anthropic_model, models.anthropic_base_url)
    written = await writer.write(Brief(source=SOURCES[language], options=Options(slides=5)), log)
    assert len(written.deck.slides) == 5
    assert written.deck.language == language
    assert all(slide.heading for slide in written.deck.slides)
    assert written.usage.input_tokens > 0
    assert written.usage.output_tokens > 0
    assert log.outcomes[-1] in {"ok", "repaired"}


async def test_claude_translates_and_keeps_words_when_asked(models: Settings) -> None:
    assert models.anthropic_api_key is not None
    writer = ClaudeWriter(models.anthropic_api_key, models.anthropic_model, models.anthropic_base_url)
    translated = await writer.write(Brief(source=SOURCES["ru"], options=Options(slides=3, language="en")))
    assert translated.deck.language == "en"
    kept = await writer.write(Brief(source=SOURCES["en"], options=Options(slides=3, words="keep")))
    said = " ".join(f"{slide.heading} {slide.body}" for slide in kept.deck.slides).replace("*", "").replace("=", "")
    assert all(word in SOURCES["en"] for word in said.split() if word.isalpha())


def painter_of(models: Settings) -> GeminiPainter:
    assert models.gemini_api_key is not None
    return GeminiPainter(
        models.gemini_api_key, models.gemini_image_model, models.gemini_base_url, models.gemini_api_version
    )


def briefs(count: int, size: tuple[int, int]) -> list[PictureBrief]:
    return [
        PictureBrief(
            prompt=f"a quiet lake, morning {n}",
            art_direction="one soft series",
            palette=("#ffffff", "#2050c0"),
            seed="s",
            position=n,
            total=count,
            width=size[0],
            height=size[1],
        )
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("size", [(216, 270), (216, 216), (216, 384), (384, 216)])
async def test_gemini_paints_in_every_shape_we_offer(models: Settings, log: Remembered, size: tuple[int, int]) -> None:
    [made] = await paint_deck(briefs(1, size), painter_of(models), kept={}, keep=lambda *_: None, log=log)
    assert (made.stand_in, made.painter) == (False, models.gemini_image_model)
    with Image.open(io.BytesIO(made.data)) as picture:
        assert (picture.format, picture.size) == ("JPEG", size)
    assert made.usage.output_tokens > 0


@pytest.mark.parametrize("mode", ["each", "panorama"])
async def test_gemini_paints_a_deck_after_its_first_picture(models: Settings, mode: PictureMode) -> None:
    kept: dict[int, Picture] = {}

    def keep(arrived: Sequence[tuple[PictureBrief, Picture]]) -> None:
        kept.update({brief.position: picture for brief, picture in arrived})

    made = await paint_deck(briefs(3, (216, 270)), painter_of(models), kept={}, keep=keep, mode=mode)
    assert [kept[n].data for n in (1, 2, 3)] == [picture.data for picture in made]
    assert not any(picture.stand_in for picture in made)
    assert len({picture.data for picture in made}) == 3


async def test_telegram_takes_an_album_and_gives_back_what_was_sent(
    telegram: str, outside: Mapping[str, str], tmp_path: Path
) -> None:
    chat = a_chat(telegram)
    slides = []
    for number in range(3):
        out = io.BytesIO()
        Image.new("RGB", (540, 675), (40 * number, 80, 120)).save(out, "JPEG")
        slides.append(out.getvalue())
    bot = telegram_bot(SecretStr(outside.get("TELEGRAM_BOT_TOKEN", TOKEN)).get_secret_value(), telegram)
    async with bot:
        assert (await bot.get_me()).is_bot
        pages = [Page(read=lambda data=data: data) for data in slides]  # type: ignore[misc]  # bound as it stands now
        outcome = await send_album(bot, chat, pages, "A caption", may_send=lambda: True)
        assert isinstance(outcome, Arrived), outcome
        assert len(outcome.message_ids) == len(set(outcome.file_ids)) == 3
        file = await bot.get_file(outcome.file_ids[0])
        assert file.file_path is not None
        saved = tmp_path / "slide.jpg"
        await bot.download_file(file.file_path, saved)
        with Image.open(saved) as opened:
            assert opened.format == "JPEG"
        again = await send_album(
            bot,
            chat,
            [Page(read=slides.pop, file_id=file_id) for file_id in outcome.file_ids],
            "",
            may_send=lambda: True,
        )
        assert isinstance(again, Arrived)
