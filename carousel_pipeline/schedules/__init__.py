"""Schedules: what happens by the clock, each with its job."""

from carousel_pipeline.schedules.audit import audit, hourly_audit
from carousel_pipeline.schedules.cleanup import cleanup, daily_cleanup
from carousel_pipeline.schedules.payments import payments, payments_every_five_minutes
from carousel_pipeline.schedules.usage import final_usage, hourly_usage, report, usage, weekly_usage_report

__all__ = [
    "audit",
    "cleanup",
    "daily_cleanup",
    "final_usage",
    "hourly_audit",
    "hourly_usage",
    "payments",
    "payments_every_five_minutes",
    "report",
    "usage",
    "weekly_usage_report",
]
