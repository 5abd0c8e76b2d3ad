"""Which painter a deployment gets: its settings decide, nothing else."""

from carousel_pipeline.imagery.gemini import GeminiPainter
from carousel_pipeline.imagery.interface import Painter
from carousel_pipeline.imagery.procedural import ProceduralPainter
from carousel_pipeline.settings import Settings


def choose_painter(settings: Settings) -> Painter:
    """Return Gemini where a key is set, else the procedural painter."""
    if settings.gemini_api_key is None:
        return ProceduralPainter()
    return GeminiPainter(
        settings.gemini_api_key,
        settings.gemini_image_model,
        settings.gemini_base_url,
        settings.gemini_api_version,
        settings.gemini_price,
    )
