"""Backgrounds without a model: the no-key default, and the stand-in when a model refuses a picture.

Same brief, same bytes. All slides of a deck share seed, family and palette and are cut from one panorama. Text may stand on
them, so families keep their lightness near the style's background; `geometry` alone does not and wants a frame.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.imagery import crisp, soft
from carousel_pipeline.imagery.colour import Floats, palette_of
from carousel_pipeline.imagery.interface import Judge, Picture, PictureBrief, Wish, accept
from carousel_pipeline.imagery.normalise import encode
from carousel_pipeline.imagery.scene import Scene, develop, generator
from carousel_pipeline.providers import UNRECORDED, Call, CallLog, Usage, recorded

FAMILIES: Mapping[str, Callable[[Scene], Floats]] = MappingProxyType(
    {
        "bokeh": soft.bokeh,
        "contours": crisp.contours,
        "dots": crisp.dots,
        "geometry": crisp.geometry,
        "mesh": soft.mesh,
        "paper": crisp.paper,
        "rays": soft.rays,
        "silk": soft.silk,
        "terrain": crisp.terrain,
        "waves": crisp.waves,
    }
)


class ProceduralPainter:
    """A painter that needs neither key nor network.

    Args:
        stand_in: whether its pictures take the place of a model's.
    """

    name = "procedural"
    demo = True

    def __init__(self, *, stand_in: bool = False) -> None:
        self._stand_in = stand_in

    async def paint(
        self,
        brief: PictureBrief,
        reference: Picture | None,
        log: CallLog = UNRECORDED,
        *,
        wish: Wish = "as_briefed",
        judge: Judge = accept,
    ) -> Picture:
        """Return the slide's background; the deck's seed makes its pictures alike, so neither reference nor wish adds anything.

        Raises:
            PermanentError: the brief names a family that does not exist.
        """
        del reference, wish, judge
        started = time.perf_counter()
        with recorded(log, Call("picture", "offline", self.name, brief.position)) as record:
            data = await asyncio.to_thread(_paint, brief)
            record.outcome = "stand_in" if self._stand_in else "ok"
            record.usage = Usage(model=self.name, images=1)
        return Picture(
            data=data,
            width=brief.width,
            height=brief.height,
            painter=self.name,
            stand_in=self._stand_in,
            usage=Usage(model=self.name, images=1, duration_s=time.perf_counter() - started),
        )


def _paint(brief: PictureBrief) -> bytes:
    family = brief.family or _chosen_family(brief.seed)
    if family not in FAMILIES:
        raise PermanentError(f"there is no background family {family!r}; a style may name one of {', '.join(FAMILIES)}")
    scene = Scene(
        width=brief.width,
        height=brief.height,
        index=brief.position - 1,
        total=max(brief.total, brief.position),
        seed="\x1f".join((brief.seed, family, *brief.palette)),
        palette=palette_of(brief.palette),
    )
    return encode(develop(FAMILIES[family](scene)))


def _chosen_family(seed: str) -> str:
    # Nobody knows here where the text will stand, so only families that can bear it are chosen.
    calm = [family for family in FAMILIES if family != "geometry"]
    return calm[int(generator(seed, "family").integers(len(calm)))]
