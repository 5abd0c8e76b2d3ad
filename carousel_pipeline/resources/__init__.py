"""What assets and sensors work with: thin, typed, opened late, closed always."""

from carousel_pipeline.resources.artifacts import Artifacts
from carousel_pipeline.resources.database import Database
from carousel_pipeline.resources.json_io_manager import JsonIOManager
from carousel_pipeline.resources.providers import Providers
from carousel_pipeline.resources.telegram import Telegram

__all__ = ["Artifacts", "Database", "JsonIOManager", "Providers", "Telegram"]
