"""Which writer a deployment gets: its settings decide, nothing else."""

from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.copywriting.interface import Copywriter
from carousel_pipeline.copywriting.offline import OfflineWriter
from carousel_pipeline.settings import Settings


def choose_writer(settings: Settings) -> Copywriter:
    """Return Claude where a key is set, else the offline writer."""
    if settings.anthropic_api_key is None:
        return OfflineWriter()
    return ClaudeWriter(settings.anthropic_api_key, settings.anthropic_model, settings.anthropic_base_url)
