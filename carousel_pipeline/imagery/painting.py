"""All pictures of one deck: the first alone, the others beside one another in its look.

A picture that was paid for is never lost and never bought again: it is kept the moment it arrives, and a retry finds it. So one
slow or failing picture never throws away its neighbours. A picture that cannot be had is asked for once more in other words; then
a procedural one stands in, says so, and nobody pays for it.

A panorama is one wide picture, or two, that the deck's slides are cut from. A model gives a million pixels, seven slides want ten
million: so every slide is a window as tall as the picture, and the windows pan along it. They join exactly where the picture is
long enough for all, and overlap where it is not: a slide then shows a part of its neighbour again, and is not blurred to avoid
that. Slides that lie pan down a tall picture. All slides of a panorama are kept at once, so none is left over from another one.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from carousel_pipeline import turns
from carousel_pipeline.errors import CarouselError, PermanentError
from carousel_pipeline.imagery.checks import Fingerprint, Window, fault, fingerprint, reduced
from carousel_pipeline.imagery.interface import Judge, Painter, Picture, PictureBrief, Wish
from carousel_pipeline.imagery.normalise import cut
from carousel_pipeline.imagery.procedural import ProceduralPainter
from carousel_pipeline.providers import UNRECORDED, CallFailedError, CallLog, Failure, Usage, decide, error_of
from carousel_pipeline.requests import Deck, PictureMode

PARALLEL = 4
_SLIDES_PER_PANORAMA = 7
# The longest shapes that every Gemini model paints.
_WIDEST = 21 / 9
_TALLEST = 16 / 9
_STAND_IN = ProceduralPainter(stand_in=True)

Keep = Callable[[Sequence[tuple[PictureBrief, Picture]]], None]


def picture_briefs(
    deck: Deck, *, palette: tuple[str, ...], family: str | None, seed: str, size: tuple[int, int]
) -> list[PictureBrief]:
    """Return one brief a slide; `size` is (width, height) in pixels."""
    return [
        PictureBrief(
            prompt=slide.picture or slide.heading,
            art_direction=deck.art_direction,
            palette=palette,
            family=family,
            seed=seed,
            position=position,
            total=len(deck.slides),
            width=size[0],
            height=size[1],
        )
        for position, slide in enumerate(deck.slides, 1)
    ]


def joined(briefs: Sequence[PictureBrief], mode: PictureMode) -> list[PictureBrief]:
    """Return the pictures to paint: the briefs themselves, or the panoramas that they are cut from."""
    if mode == "each":
        return list(briefs)
    count = -(-len(briefs) // _SLIDES_PER_PANORAMA)
    panoramas = []
    for number in range(count):
        part = briefs[len(briefs) * number // count : len(briefs) * (number + 1) // count]
        first = part[0]
        scenes = "; then ".join(dict.fromkeys(brief.prompt for brief in part))
        size = _long(first.width, first.height, len(part))
        panoramas.append(first.model_copy(update={"prompt": scenes[:2000], "slides": len(part)} | size))
    return panoramas


def _long(width: int, height: int, slides: int) -> dict[str, int]:
    if width > height:
        return {"width": width, "height": min(height * slides, round(width * _TALLEST))}
    return {"width": min(width * slides, round(height * _WIDEST)), "height": height}


async def paint_deck(
    briefs: Sequence[PictureBrief],
    painter: Painter,
    *,
    kept: Mapping[int, Picture],
    keep: Keep,
    mode: PictureMode = "each",
    log: CallLog = UNRECORDED,
    windows: Mapping[int, Sequence[Window]] | None = None,
    parallel: int = PARALLEL,
) -> list[Picture]:
    """Return one picture a slide, in order.

    Args:
        briefs: one a slide.
        painter: who paints.
        kept: pictures that an earlier attempt left, by slide position; they are not painted again.
        keep: stores what has just arrived: one slide's picture, or those of all slides of a panorama.
        mode: whether every slide is painted or cut from a panorama.
        log: where calls are recorded, and how often the schedule has tried before.
        windows: by slide position, where text stands on the bare picture.
        parallel: how many pictures are asked for at the same time.

    Raises:
        PermanentError: a picture cannot be had; the others were kept.
        TransientError: a picture failed for now; the others were kept.
    """
    pictures: dict[int, Picture] = dict(kept)
    seen: dict[int, Fingerprint] = {
        position: fingerprint(reduced(picture.data)) for position, picture in kept.items() if not painter.demo
    }
    slots = asyncio.Semaphore(parallel)

    def judge_of(brief: PictureBrief) -> Judge:
        def judge(data: bytes, size: tuple[int, int]) -> str | None:
            others = [mark for position, mark in seen.items() if position != brief.position]
            here = (windows or {}).get(brief.position, ()) if brief.slides == 1 else ()
            found = fault(data, size, (brief.width, brief.height), others, here)
            if found is None:  # two pictures may be on their way at once: what was accepted counts from now on
                seen[brief.position] = fingerprint(reduced(data))
            return found

        return judge

    async def paint(brief: PictureBrief, reference: Picture | None) -> None:
        slides = briefs[brief.position - 1 : brief.position - 1 + brief.slides]
        async with slots:
            picture = await _paint(brief, painter, reference, log, judge_of(brief))
            async with turns.async_working():
                if picture is not None:
                    parts = _parts(brief, picture, slides[0])
                else:
                    parts = [await _STAND_IN.paint(slide, None, log) for slide in slides]
                arrived = list(zip(slides, parts, strict=True))
                pictures.update({slide.position: part for slide, part in arrived})
                keep(arrived)

    # A panorama saves calls of a model; without one every slide is painted as it is, and joins its neighbours all the same.
    wanted = joined(briefs, "each" if painter.demo else mode)
    missing = [b for b in wanted if any(p not in pictures for p in range(b.position, b.position + b.slides))]
    if missing and missing[0].position == 1:
        await paint(missing.pop(0), None)
    results = await asyncio.gather(*(paint(brief, pictures.get(1)) for brief in missing), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        raise min(failures, key=_gravest_first)
    return [pictures[position] for position in sorted(pictures)]


async def _paint(
    brief: PictureBrief, painter: Painter, reference: Picture | None, log: CallLog, judge: Judge
) -> Picture | None:
    """Return a picture after at most two calls; None when one has to stand in for it."""
    wish: Wish = "as_briefed"
    for tries in (0, 1):
        try:
            return await painter.paint(brief, reference, log, wish=wish, judge=judge)
        except CallFailedError as error:
            failure = error.failure
            answered = failure.kind in {"blocked", "no_picture", "bad_picture"}
            verdict = decide(failure, tries if answered else log.tries)
            if verdict.act == "degrade":
                return None
            if not (answered and verdict.act == "retry"):
                raise error_of(failure, verdict) from None
            wish = _other_words(failure)
    return None


def _other_words(failure: Failure) -> Wish:
    return "softer" if failure.kind == "blocked" else "clearer"


def _parts(brief: PictureBrief, picture: Picture, slide: PictureBrief) -> list[Picture]:
    """Return the slides' pictures that `picture` holds; what it cost stands on the first of them."""
    if brief.slides == 1:
        return [picture]
    way = [number / (brief.slides - 1) for number in range(brief.slides)]
    across, down = brief.width - slide.width, brief.height - slide.height
    corners = [(round(across * part), round(down * part)) for part in way]
    own = replace(picture, width=slide.width, height=slide.height, strip=brief.position)
    nothing = Usage(model=picture.painter)
    return [
        replace(own, data=data, usage=nothing if number else picture.usage)
        for number, data in enumerate(cut(picture.data, corners, (slide.width, slide.height)))
    ]


def _gravest_first(failure: BaseException) -> int:
    if not isinstance(failure, CarouselError):
        return 0
    return 1 if isinstance(failure, PermanentError) else 2
