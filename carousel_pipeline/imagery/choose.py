"""Which painter a deployment gets: its settings decide, nothing else."""

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.imagery.interface import Painter
from carousel_pipeline.imagery.procedural import ProceduralPainter
from carousel_pipeline.settings import Settings


def choose_painter(settings: Settings) -> Painter:
    """Return the procedural painter where no key is set.

    Raises:
        ConfigurationError: a key is set for a provider that this version cannot call.
    """
    if settings.gemini_api_key is not None:
        raise ConfigurationError("GEMINI_API_KEY is set, but this version paints procedurally only; unset it")
    return ProceduralPainter()
