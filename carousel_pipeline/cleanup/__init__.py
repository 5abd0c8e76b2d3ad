"""Forgetting: what is old enough, decided purely; and how it goes, so that a death at any moment leaves nothing wrong."""

from carousel_pipeline.cleanup.policy import Ages
from carousel_pipeline.cleanup.work import Report, Runs, clean_up

__all__ = ["Ages", "Report", "Runs", "clean_up"]
