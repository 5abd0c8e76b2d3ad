"""All pictures of one deck: the first alone, the others beside one another in its look.

A picture that was paid for is never lost and never bought again: it is kept the moment it arrives, and a retry finds it. So one
slow or failing picture never throws away its neighbours.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from carousel_pipeline.errors import CarouselError, PermanentError
from carousel_pipeline.imagery.interface import Painter, Picture, PictureBrief
from carousel_pipeline.requests import Deck

PARALLEL = 4


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


async def paint_deck(
    briefs: Sequence[PictureBrief],
    painter: Painter,
    *,
    kept: Mapping[int, Picture],
    keep: Callable[[PictureBrief, Picture], None],
    parallel: int = PARALLEL,
) -> list[Picture]:
    """Return one picture a brief, in order.

    Args:
        briefs: what to paint.
        painter: who paints.
        kept: pictures that an earlier attempt left, by position; they are not painted again.
        keep: stores one picture at once; called in order of arrival.
        parallel: how many pictures are asked for at the same time.

    Raises:
        PermanentError: a picture cannot be had; the others were kept.
        TransientError: a picture failed for now; the others were kept.
    """
    pictures: dict[int, Picture] = dict(kept)
    slots = asyncio.Semaphore(parallel)

    async def paint(brief: PictureBrief, reference: Picture | None) -> None:
        async with slots:
            picture = await painter.paint(brief, reference)
        keep(brief, picture)
        pictures[brief.position] = picture

    missing = [brief for brief in briefs if brief.position not in pictures]
    if missing and missing[0].position == 1:
        await paint(missing.pop(0), None)
    results = await asyncio.gather(*(paint(brief, pictures[1]) for brief in missing), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        raise min(failures, key=_gravest_first)
    return [pictures[brief.position] for brief in briefs]


def _gravest_first(failure: BaseException) -> int:
    if not isinstance(failure, CarouselError):
        return 0
    return 1 if isinstance(failure, PermanentError) else 2
