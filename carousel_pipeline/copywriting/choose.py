"""Which writer a deployment gets: its settings decide, nothing else."""

from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.copywriting.interface import Copywriter
from carousel_pipeline.copywriting.offline import OfflineWriter
from carousel_pipeline.settings import Settings


def choose_writer(settings: Settings) -> Copywriter:
    """Return Claude where a key is set, with the other model behind it where one is named, else the offline writer."""
    key, url = settings.anthropic_api_key, settings.anthropic_base_url
    if key is None:
        return OfflineWriter()
    name = settings.anthropic_fallback_model
    other = ClaudeWriter(key, name, url) if name and name != settings.anthropic_model else None
    return ClaudeWriter(key, settings.anthropic_model, url, settings.anthropic_price, other)
