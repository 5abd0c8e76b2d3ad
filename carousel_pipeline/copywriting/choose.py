"""Which writer a deployment gets: its settings decide, nothing else."""

from carousel_pipeline.copywriting.interface import Copywriter
from carousel_pipeline.copywriting.offline import OfflineWriter
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.settings import Settings


def choose_writer(settings: Settings) -> Copywriter:
    """Return the offline writer where no key is set.

    Raises:
        ConfigurationError: a key is set for a provider that this version cannot call.
    """
    if settings.anthropic_api_key is not None:
        raise ConfigurationError("ANTHROPIC_API_KEY is set, but this version writes offline only; unset it")
    return OfflineWriter()
