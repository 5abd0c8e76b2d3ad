"""The look at Telegram's list of payments, every five minutes."""

import dagster as dg

payments = dg.define_asset_job(
    "payments",
    selection=dg.AssetSelection.assets("star_payments"),
    executor_def=dg.in_process_executor,
    description="Compares what Telegram says was paid with the books.",
)

payments_every_five_minutes = dg.ScheduleDefinition(
    name="payments_every_five_minutes",
    job=payments,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The bot does the same by its own clock; either is enough to find what was lost.",
)
