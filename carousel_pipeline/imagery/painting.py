"""All pictures of one deck: the first alone, the others beside one another in its look.

A picture that was paid for is never lost and never bought again: it is kept the moment it arrives, and a retry finds it. So one
slow or failing picture never throws away its neighbours. A picture that cannot be had is asked for once more in other words; then
a procedural one stands in, says so, and nobody pays for it.

In the cheap mode one wide picture, or two, is cut across the deck: neighbours overlap where it is not wide enough for all.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from carousel_pipeline.errors import CarouselError, PermanentError
from carousel_pipeline.imagery.checks import Fingerprint, Window, fault, fingerprint, reduced
from carousel_pipeline.imagery.interface import Judge, Painter, Picture, PictureBrief, Wish
from carousel_pipeline.imagery.normalise import cut
from carousel_pipeline.imagery.procedural import ProceduralPainter
from carousel_pipeline.providers import UNRECORDED, CallFailedError, CallLog, Failure, Usage, decide, error_of
from carousel_pipeline.requests import Deck, Options
from carousel_pipeline.requests.price import pictures_for

PARALLEL = 4
_WIDEST = 21 / 9
_WIDEST_PX = 4096
_STAND_IN = ProceduralPainter(stand_in=True)


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


def joined(briefs: Sequence[PictureBrief], options: Options) -> list[PictureBrief]:
    """Return the pictures to paint: the briefs themselves, or the panoramas that they are cut from."""
    if options.pictures == "each":
        return list(briefs)
    count = pictures_for(len(briefs), options)
    panoramas = []
    for number in range(count):
        part = briefs[len(briefs) * number // count : len(briefs) * (number + 1) // count]
        first = part[0]
        wide = min(round(first.height * _WIDEST), first.width * len(part), _WIDEST_PX)
        scenes = "; then ".join(dict.fromkeys(brief.prompt for brief in part))
        panoramas.append(
            first.model_copy(update={"prompt": scenes[:2000], "slides": len(part), "width": max(wide, first.width)})
        )
    return panoramas


async def paint_deck(
    briefs: Sequence[PictureBrief],
    painter: Painter,
    *,
    kept: Mapping[int, Picture],
    keep: Callable[[PictureBrief, Picture], None],
    options: Options | None = None,
    log: CallLog = UNRECORDED,
    windows: Mapping[int, Sequence[Window]] | None = None,
    parallel: int = PARALLEL,
) -> list[Picture]:
    """Return one picture a slide, in order.

    Args:
        briefs: one a slide.
        painter: who paints.
        kept: pictures that an earlier attempt left, by slide position; they are not painted again.
        keep: stores one slide's picture at once; called in order of arrival.
        options: whether every slide is painted or cut from a panorama; None for every slide.
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
        async with slots:
            picture = await _paint(brief, painter, reference, log, judge_of(brief))
        for slide, part in zip(briefs[brief.position - 1 :], _parts(brief, picture, briefs[0].width), strict=False):
            if slide.position not in pictures:
                pictures[slide.position] = part
                keep(slide, part)

    wanted = joined(briefs, options or Options())
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
) -> Picture:
    """Return a picture after at most two calls, or the stand-in."""
    wish: Wish = "as_briefed"
    for tries in (0, 1):
        try:
            return await painter.paint(brief, reference, log, wish=wish, judge=judge)
        except CallFailedError as error:
            failure = error.failure
            answered = failure.kind in {"blocked", "no_picture", "bad_picture"}
            verdict = decide(failure, tries if answered else log.tries)
            if verdict.act == "degrade":
                break
            if not (answered and verdict.act == "retry"):
                raise error_of(failure, verdict) from None
            wish = _other_words(failure)
    return await _STAND_IN.paint(brief, None, log)


def _other_words(failure: Failure) -> Wish:
    return "softer" if failure.kind == "blocked" else "clearer"


def _parts(brief: PictureBrief, picture: Picture, width: int) -> list[Picture]:
    """Return the slides' pictures that `picture` holds; what it cost stands on the first of them."""
    if brief.slides == 1:
        return [picture]
    room = brief.width - width
    lefts = [round(room * number / (brief.slides - 1)) for number in range(brief.slides)]
    nothing = Usage(model=picture.painter)
    return [
        replace(picture, data=data, width=width, usage=nothing if number else picture.usage, strip=brief.position)
        for number, data in enumerate(cut(picture.data, lefts, width))
    ]


def _gravest_first(failure: BaseException) -> int:
    if not isinstance(failure, CarouselError):
        return 0
    return 1 if isinstance(failure, PermanentError) else 2
