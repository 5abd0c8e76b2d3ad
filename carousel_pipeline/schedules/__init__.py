"""Schedules: what happens by the clock, each with its job."""

from carousel_pipeline.schedules.audit import audit, hourly_audit
from carousel_pipeline.schedules.cleanup import cleanup, daily_cleanup
from carousel_pipeline.schedules.payments import payments, payments_every_five_minutes

__all__ = ["audit", "cleanup", "daily_cleanup", "hourly_audit", "payments", "payments_every_five_minutes"]
