"""Schedules: what happens by the clock, each with its job."""

from carousel_pipeline.schedules.cleanup import cleanup, daily_cleanup
from carousel_pipeline.schedules.payments import payments, payments_every_five_minutes

__all__ = ["cleanup", "daily_cleanup", "payments", "payments_every_five_minutes"]
