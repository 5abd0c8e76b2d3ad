"""The Telegram front door. Imports neither dagster nor the pipeline's heavy rooms: its memory and start-up stay small."""

from carousel_pipeline import lean as _lean  # noqa: F401 (comes before every import of aiogram, see there)
