"""The real SDK against a server that answers as Google's does, and as it does on its bad days."""

import asyncio
import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from pydantic import SecretStr

from carousel_pipeline.errors import TransientError
from carousel_pipeline.imagery import Picture, PictureBrief
from carousel_pipeline.imagery.gemini import GeminiPainter
from carousel_pipeline.imagery.painting import PARALLEL, paint_deck
from carousel_pipeline.imagery.procedural import ProceduralPainter
from carousel_pipeline.requests import PictureMode

from .conftest import Remembered, Served
from .fake_gemini import (
    KEY,
    Answer,
    FakeGemini,
    answer,
    blocked,
    dropped,
    encoded,
    flat,
    good,
    part,
    picture,
    raw,
)

# The SDK's own warnings, about its session class and about reasons that it does not know yet.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is not a valid FinishReason:UserWarning"),
]

MODEL = "gemini-nano-banana-2.1"
SIZE = (216, 270)


def briefs(count: int, **changes: Any) -> list[PictureBrief]:
    fields = {"prompt": "a quiet lake", "palette": ("#ffffff", "#2050c0"), "seed": "s", "total": count}
    size = {"width": SIZE[0], "height": SIZE[1]}
    return [
        PictureBrief.model_validate(fields | size | {"position": n, "prompt": f"a quiet lake {n}"} | changes)
        for n in range(1, count + 1)
    ]


@dataclass
class Studio:
    """A painter at a fake, what was recorded and what was kept."""

    fake: FakeGemini
    url: str
    log: Remembered
    version: str | None = None
    kept: dict[int, Picture] = field(default_factory=dict)

    async def paint(
        self, *answers: Answer, count: int = 1, mode: PictureMode = "each", size: tuple[int, int] = SIZE, **more: Any
    ) -> list[Picture]:
        self.fake.script = list(answers)
        painter = GeminiPainter(SecretStr(KEY), MODEL, self.url, self.version)

        def keep(arrived: Sequence[tuple[PictureBrief, Picture]]) -> None:
            self.kept.update({brief.position: made for brief, made in arrived})

        return await paint_deck(
            briefs(count, width=size[0], height=size[1]),
            painter,
            kept=dict(self.kept),
            keep=keep,
            mode=mode,
            log=self.log,
            **more,
        )

    async def one(self, *answers: Answer) -> Picture:
        [made] = await self.paint(*answers)
        return made


@pytest.fixture
def studio(gemini: Served[FakeGemini], log: Remembered) -> Studio:
    return Studio(gemini.fake, gemini.url, log)


def size_of(made: Picture) -> tuple[int, int]:
    with Image.open(io.BytesIO(made.data)) as opened:
        return opened.size


async def test_a_picture_is_brought_to_the_slides_size_and_its_cost_known(studio: Studio) -> None:
    made = await studio.one()
    assert size_of(made) == SIZE
    assert (made.painter, made.stand_in) == (MODEL, False)
    # 1,120 tokens of picture at $30, 200 of thought at $7.50, 100 read at $1.50.
    assert made.usage.cost_usd == pytest.approx(0.0336 + 0.0015 + 0.00015)
    (asked,) = studio.fake.asked
    assert asked["generationConfig"]["imageConfig"] == {"aspectRatio": "4:5", "imageSize": "1K"}
    assert asked["generationConfig"]["responseModalities"] == ["IMAGE"]
    [ended] = studio.log.ended.values()
    assert (ended.outcome, ended.request_id, ended.health) == ("ok", "resp_1", "up")
    assert ended.usage is not None
    assert ended.usage.images == 1


@pytest.mark.parametrize(("version", "path"), [(None, "/v1/"), ("v1beta", "/v1beta/")])
async def test_the_api_version_is_a_setting(studio: Studio, version: str | None, path: str) -> None:
    studio.version = version
    await studio.one()
    assert studio.fake.paths[0].startswith(path)


async def test_the_decks_first_picture_is_the_others_reference_and_all_share_one_direction(studio: Studio) -> None:
    made = await studio.paint(count=3)
    for asked in studio.fake.asked[1:]:
        shown = asked["contents"][0]["parts"][0]["inlineData"]["data"]
        assert base64.urlsafe_b64decode(shown) == made[0].data or base64.b64decode(shown) == made[0].data
    assert len(studio.fake.asked[0]["contents"][0]["parts"]) == 1
    assert len({made[n].data for n in range(3)}) == 3


@pytest.mark.finding("M11")
async def test_thoughts_are_no_pictures_and_the_last_picture_counts(studio: Studio) -> None:
    first, last, thought = (picture("4:5", "1K", seed) for seed in "abc")
    made = await studio.one(answer(part(first), part(last), part(thought, thought=True)))
    alone = await Studio(studio.fake, studio.url, Remembered()).one(answer(part(last)))
    assert made.data == alone.data


NOTHING: Mapping[str, tuple[Answer, str, bool]] = {
    "prompt blocked": (blocked, "blocked prompt PROHIBITED_CONTENT", True),
    "safety": (answer(reason="IMAGE_SAFETY"), "blocked IMAGE_SAFETY", True),
    "prohibited": (answer(reason="IMAGE_PROHIBITED_CONTENT"), "blocked IMAGE_PROHIBITED_CONTENT", True),
    "recitation": (answer(reason="IMAGE_RECITATION"), "no_picture IMAGE_RECITATION", False),
    "no image": (answer(reason="NO_IMAGE"), "no_picture NO_IMAGE", False),
    "other": (answer(reason="IMAGE_OTHER"), "no_picture IMAGE_OTHER", False),
    "of tomorrow": (answer(reason="A_REASON_OF_TOMORROW"), "no_picture A_REASON_OF_TOMORROW", False),
    "words": (answer({"text": "I would rather describe it."}), "no_picture STOP", False),
    "thought": (answer(part(flat("#ff0000"), thought=True)), "no_picture STOP", False),
    "no picture's bytes": (
        answer(part(base64.b64encode(b"not a picture").decode())),
        "bad_picture undecodable",
        False,
    ),
    "empty": (raw(b"{}"), "no_picture no_candidates", False),
    "garbage": (raw(b'{"hello": "world"}'), "no_picture no_candidates", False),
    "blank": (answer(part(flat("#2050c0"))), "bad_picture blank", False),
    "shape": (answer(part(picture("16:9", "1K", "x"))), "bad_picture wrong_shape", False),
}


@pytest.mark.finding("M10", "M11", "m23")
@pytest.mark.parametrize("case", NOTHING)
async def test_no_picture_is_asked_for_once_more_then_stood_in_for(studio: Studio, case: str) -> None:
    nothing, code, softened = NOTHING[case]
    good = answer(part(picture("4:5", "1K", "good")))
    saved = await studio.one(nothing, good)
    assert not saved.stand_in
    assert studio.log.outcomes == ["refused", "ok"]
    assert studio.log.ended[1].error == code
    assert ("quiet lake" in studio.fake.prompts[1]) is not softened
    assert studio.fake.prompts[0] != studio.fake.prompts[1]

    studio.fake.asked.clear()
    studio.kept.clear()
    studio.log = Remembered()
    instead = await studio.one(nothing)
    assert (len(studio.fake.asked), instead.stand_in, instead.painter) == (2, True, "procedural")
    assert studio.log.outcomes == ["refused", "refused", "stand_in"]
    assert [call.provider for call in studio.log.begun] == ["gemini", "gemini", "offline"]
    assert size_of(instead) == SIZE


async def test_the_stand_in_is_the_procedural_picture(studio: Studio) -> None:
    instead = await studio.one(blocked)
    assert instead.data == (await ProceduralPainter().paint(briefs(1)[0], None)).data


async def test_what_a_blocked_answer_cost_is_known(studio: Studio) -> None:
    await studio.one(blocked)
    usage = studio.log.ended[1].usage
    assert usage is not None
    assert usage.cost_usd == pytest.approx(0.00015 + 50 * 7.5 / 1e6)


async def test_the_same_picture_twice_in_a_deck_is_painted_anew(studio: Studio) -> None:
    one, other = (answer(part(picture("4:5", "1K", seed))) for seed in "xy")
    made = await studio.paint(one, one, other, count=2)
    assert len(studio.fake.asked) == 3
    assert studio.log.ended[2].error == "bad_picture duplicate"
    assert not any(one.stand_in for one in made)


async def test_a_thicket_under_bare_text_is_painted_anew_and_no_matter_under_a_veil(studio: Studio) -> None:
    thicket = answer(
        part(encoded(Image.effect_noise((32, 40), 160).resize((512, 640), Image.Resampling.NEAREST).convert("RGB")))
    )
    good = answer(part(picture("4:5", "1K", "good")))
    await studio.paint(thicket, good, windows={1: [(0.1, 0.1, 0.9, 0.4)]})
    assert studio.log.ended[1].error == "bad_picture busy"
    studio.kept.clear()
    studio.log = Remembered()
    await studio.paint(thicket, good)
    assert studio.log.outcomes == ["ok"]


@pytest.mark.finding("m23")
async def test_what_was_bought_is_kept_though_a_neighbour_fails_and_is_not_bought_again(studio: Studio) -> None:
    good = [answer(part(picture("4:5", "1K", str(n)))) for n in range(3)]

    def third_fails(request: Any, body: Any) -> Any:
        return dropped(request, body) if "lake 3" in str(body["contents"]) else good[len(studio.kept)](request, body)

    with pytest.raises(TransientError):
        await studio.paint(third_fails, count=3)
    assert sorted(studio.kept) == [1, 2]
    asked = len(studio.fake.asked)
    made = await studio.paint(good[2], count=3)
    assert len(studio.fake.asked) == asked + 1
    assert not any(one.stand_in for one in made)


async def test_a_dropped_connection_is_not_sent_again_in_silence(studio: Studio) -> None:
    with pytest.raises(TransientError, match="no_answer"):
        await studio.one(dropped)
    assert len(studio.fake.asked) == 1
    assert studio.log.ended[1].usage is None


@pytest.mark.finding("m22")
async def test_a_server_that_is_slow_for_ever_is_given_up_by_the_clients_own_clock(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carousel_pipeline.imagery.gemini._TIMEOUT_MS", 200)

    async def hang(*_: object) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(TransientError, match="no_answer"):
        await studio.one(hang)  # type: ignore[arg-type]  # a coroutine is an answer too
    assert len(studio.fake.asked) == 1


@pytest.mark.parametrize(("count", "calls"), [(3, 1), (7, 1), (8, 2), (10, 2)])
async def test_one_or_two_panoramas_are_cut_across_the_deck(studio: Studio, count: int, calls: int) -> None:
    made = await studio.paint(count=count, mode="panorama")
    assert len(studio.fake.asked) == calls
    assert all(size_of(one) == SIZE for one in made)
    assert len({one.data for one in made}) == count
    assert {one.strip for one in made} == ({1} if calls == 1 else {1, count // 2 + 1})
    assert studio.fake.asked[0]["generationConfig"]["imageConfig"]["aspectRatio"] in {"21:9", "16:9"}
    assert sum(one.usage.images for one in made) == calls


@pytest.mark.parametrize(("count", "calls"), [(4, 2), (10, 4)])
async def test_all_slides_of_a_refused_panorama_have_stand_ins_that_join(
    studio: Studio, count: int, calls: int
) -> None:
    made = await studio.paint(blocked, count=count, mode="panorama")
    assert [one.stand_in for one in made] == [True] * count
    assert len(studio.fake.asked) == calls
    assert studio.log.outcomes.count("stand_in") == count
    painter = ProceduralPainter()
    assert [one.data for one in made] == [(await painter.paint(brief, None)).data for brief in briefs(count)]


def wide(width: int, height: int) -> Image.Image:
    """A picture in which every pixel tells where it is: red across, green down."""
    across = np.broadcast_to(np.linspace(0, 255, width), (height, width))
    down = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    return Image.fromarray(np.stack([across, down, np.full_like(across, 80)], axis=-1).astype(np.uint8))


def seen_of(made: Picture) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a slide's window lies in `wide`: (left, right) and (top, bottom) as the colours say, 0 to 255."""
    with Image.open(io.BytesIO(made.data)) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    columns, rows = pixels[..., 0].mean(axis=0), pixels[..., 1].mean(axis=1)
    return (round(columns[0]), round(columns[-1])), (round(rows[0]), round(rows[-1]))


@pytest.mark.parametrize(
    ("size", "count", "came", "step"),
    [
        ((216, 270), 7, (1584, 672), 28),  # a pan: each window is 87 wide and a third of it is new
        ((216, 270), 3, (1584, 672), 84),  # long enough for all: they join
        ((216, 216), 7, (1584, 672), 24),
        ((216, 384), 4, (1584, 672), 64),
        ((384, 216), 7, (768, 1376), 29),  # slides that lie pan down
    ],
)
async def test_every_slide_is_a_window_with_the_panoramas_full_height_and_the_windows_pan_evenly(
    studio: Studio, size: tuple[int, int], count: int, came: tuple[int, int], step: int
) -> None:
    made = await studio.paint(answer(part(encoded(wide(*came)))), count=count, size=size, mode="panorama")
    across, down = zip(*map(seen_of, made), strict=True)
    along, fixed = (down, across) if size[0] > size[1] else (across, down)
    assert all(low <= 8 and high >= 247 for low, high in fixed), "not the picture's full height"
    assert along[0][0] <= 8
    assert along[-1][1] >= 247
    steps = [later[0] - earlier[0] for earlier, later in pairwise(along)]
    assert all(abs(one - step) <= 4 for one in steps), steps


async def test_a_panorama_is_kept_as_a_whole_or_not_at_all(studio: Studio) -> None:
    arrivals: list[int] = []
    painter = GeminiPainter(SecretStr(KEY), MODEL, studio.url)

    def keep(arrived: Sequence[tuple[PictureBrief, Picture]]) -> None:
        arrivals.append(len(arrived))

    await paint_deck(briefs(9), painter, kept={}, keep=keep, mode="panorama")
    assert arrivals == [4, 5]
    arrivals.clear()
    await paint_deck(briefs(3), painter, kept={}, keep=keep)
    assert arrivals == [1, 1, 1]


async def test_the_procedural_painter_needs_no_panorama_its_slides_join_as_they_are() -> None:
    painter = ProceduralPainter()
    made = await paint_deck(briefs(3), painter, kept={}, keep=lambda _: None, mode="panorama")
    assert [one.data for one in made] == [(await painter.paint(brief, None)).data for brief in briefs(3)]
    assert {one.strip for one in made} == {None}


async def test_the_first_picture_is_alone_and_then_four_at_a_time(studio: Studio) -> None:
    now, most, full = 0, 0, asyncio.Event()

    async def counted(request: Any, body: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if len(studio.fake.asked) >= 1 + PARALLEL:
            full.set()
        if len(studio.fake.asked) > 1:
            await full.wait()
        now -= 1
        return good(request, body)

    await studio.paint(counted, count=7)  # type: ignore[arg-type]  # a coroutine is an answer too
    assert most == PARALLEL


@pytest.mark.finding("m27", "n10")
async def test_a_client_lives_for_one_picture_and_leaves_no_connection_open(studio: Studio) -> None:
    await studio.paint(count=2)
    port = int(studio.url.rpartition(":")[2])
    connections = psutil.Process().net_connections("tcp")
    ours = [one for one in connections if one.raddr and one.raddr.port == port and one.status == "ESTABLISHED"]
    assert ours == []
