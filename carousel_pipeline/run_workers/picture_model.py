"""A model of pictures on this machine: speaks what Gemini's SDK speaks, paints in no time, and answers after a fixed one.

Run as `python -m carousel_pipeline.run_workers.picture_model PORT SECONDS`. Every prompt gets a picture of its own, made once
for each of a few; bytes, shape and size are those of a real answer, so decoding and checking cost what they cost, and none is
refused: a picture of another shape than was asked for would be asked for again, and a stand-in measured.
"""

import asyncio
import base64
import functools
import hashlib
import io
import random
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web
from PIL import Image

# What the API gives at 1K.
_SIZES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "1:1": (1024, 1024),
        "3:4": (864, 1184),
        "4:5": (896, 1152),
        "9:16": (768, 1344),
        "16:9": (1344, 768),
        "21:9": (1536, 672),
    }
)
_MODELS: Final = "/{version}/models/{call}"
_LARGEST: Final = 20_000_000
_PAINTED: Final = 1120
# So many that the pictures of a deck are hardly ever alike, which the product would see, paint anew and stand in for.
_DIFFERENT: Final = 512


def application(seconds: float) -> web.Application:
    """Return the server's application; it answers `seconds` after it was asked."""

    async def generate(request: web.Request) -> web.Response:
        asked = await request.json()
        number = int(hashlib.sha256(repr(asked["contents"]).encode()).hexdigest(), 16) % _DIFFERENT
        picture = _picture(number, asked["generationConfig"]["imageConfig"]["aspectRatio"])
        await asyncio.sleep(seconds)
        return web.json_response(_answer(picture))

    app = web.Application(client_max_size=_LARGEST)
    app.router.add_post(_MODELS, generate)
    return app


@functools.cache
def _picture(number: int, ratio: str) -> str:
    """Return one of a few soft pictures as a Base64 JPEG, each unlike the others."""
    chance = random.Random(number)  # noqa: S311 - repeatable, not secret
    spots = Image.new("RGB", (5, 5))
    spots.putdata([tuple(chance.randrange(40, 216) for _ in "RGB") for _ in range(25)])
    out = io.BytesIO()
    spots.resize(_SIZES[ratio], Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return base64.b64encode(out.getvalue()).decode()


def _answer(picture: str) -> dict[str, Any]:
    part = {"inlineData": {"mimeType": "image/jpeg", "data": picture}}
    return {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 100,
            "candidatesTokenCount": _PAINTED,
            "totalTokenCount": 100 + _PAINTED,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": _PAINTED}],
        },
        "responseId": "local",
        "modelVersion": "local",
    }


if __name__ == "__main__":
    web.run_app(application(float(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), print=None)
