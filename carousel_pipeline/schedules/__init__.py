"""Schedules: what happens by the clock, each with its job."""

from carousel_pipeline.schedules.cleanup import cleanup, daily_cleanup

__all__ = ["cleanup", "daily_cleanup"]
