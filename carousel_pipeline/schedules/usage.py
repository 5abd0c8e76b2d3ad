"""When usage is rolled up. All times are UTC, as the days are: a day ends for everybody at the same moment.

What must stay true: a tick needs no tick before it. Every roll-up also builds whatever else has changed since it was built
(`carousel_pipeline/assets/daily_usage.py`), so after an outage the one tick that Dagster catches up makes good all that were
missed.
"""

from datetime import timedelta

import dagster as dg

usage = dg.define_asset_job(
    "usage",
    selection=dg.AssetSelection.assets("daily_usage"),
    executor_def=dg.in_process_executor,
    description="Rolls a day up, and every other day that changed since it was rolled up; then checks all of it.",
)

report = dg.define_asset_job(
    "usage_week",
    selection=dg.AssetSelection.assets("usage_report"),
    executor_def=dg.in_process_executor,
    description="Writes the report of a week.",
)


@dg.schedule(
    job=usage,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour: today so far, and whatever came late.",
)
def hourly_usage(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Roll up the day of the tick."""
    return dg.RunRequest(partition_key=context.scheduled_execution_time.strftime("%Y-%m-%d"))


@dg.schedule(
    job=usage,
    cron_schedule="22 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Shortly after midnight UTC: yesterday, whole.",
)
def final_usage(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Roll up the day before the tick, whether or not it looks changed."""
    yesterday = context.scheduled_execution_time - timedelta(days=1)
    return dg.RunRequest(partition_key=yesterday.strftime("%Y-%m-%d"))


@dg.schedule(
    job=report,
    cron_schedule="52 0 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Mondays, after the final roll-up of Sunday: the report of the week that ended.",
)
def weekly_usage_report(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Report the week before the tick."""
    monday = context.scheduled_execution_time - timedelta(days=context.scheduled_execution_time.weekday() + 7)
    return dg.RunRequest(partition_key=monday.strftime("%Y-%m-%d"))
