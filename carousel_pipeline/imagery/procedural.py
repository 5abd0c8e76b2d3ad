"""Backgrounds without a model: the no-key default, and the stand-in when a model refuses a picture.

Same brief, same bytes. All slides of a deck share seed, family and palette and are cut from one panorama. Text may stand on
them, so families keep their lightness near the style's background; `geometry` alone does not and wants a frame.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from carousel_pipeline.copywriting.interface import Usage
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.imagery import crisp, soft
from carousel_pipeline.imagery.colour import Floats, palette_of
from carousel_pipeline.imagery.interface import Picture, PictureBrief
from carousel_pipeline.imagery.normalise import encode
from carousel_pipeline.imagery.scene import Scene, develop, generator

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
    """A painter that needs neither key nor network."""

    name = "procedural"
    demo = True

    async def paint(self, brief: PictureBrief, reference: Picture | None) -> Picture:
        """Return the slide's background; `reference` adds nothing, the deck's seed already makes its pictures alike.

        Raises:
            PermanentError: the brief names a family that does not exist.
        """
        del reference
        started = time.perf_counter()
        data = await asyncio.to_thread(_paint, brief)
        return Picture(
            data=data,
            width=brief.width,
            height=brief.height,
            painter=self.name,
            stand_in=False,
            usage=Usage(model=self.name, duration_s=time.perf_counter() - started),
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
