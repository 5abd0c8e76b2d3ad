"""The one Definitions object. Importing it does no I/O: resources read their settings when a run or a sensor opens them."""

import dagster as dg

from carousel_pipeline import assets, jobs, schedules, sensors
from carousel_pipeline.resources import Artifacts, Database, JsonIOManager, Providers, Telegram

database_url = dg.EnvVar("DATABASE_URL")
artifacts_url = dg.EnvVar("ARTIFACTS_URL")

defs = dg.Definitions(
    # "Materialize" in the UI makes a job of its own: without this, one fresh interpreter a step.
    executor=dg.in_process_executor,
    assets=[
        assets.copy,
        assets.images,
        assets.rendered_slides,
        assets.delivery_receipt,
        assets.ledger_audit,
        assets.star_payments,
        assets.daily_usage,
        assets.usage_report,
    ],
    asset_checks=[assets.usage_checks],
    jobs=[
        jobs.outline,
        jobs.carousel,
        jobs.edit,
        schedules.audit,
        schedules.cleanup,
        schedules.payments,
        schedules.usage,
        schedules.report,
    ],
    schedules=[
        schedules.daily_cleanup,
        schedules.hourly_audit,
        schedules.payments_every_five_minutes,
        schedules.hourly_usage,
        schedules.final_usage,
        schedules.weekly_usage_report,
    ],
    sensors=[sensors.dispatch_requests, sensors.settle_holds, sensors.fast_refund, sensors.fast_refund_canceled],
    resources={
        "database": Database(url=database_url),
        "artifacts": Artifacts(url=artifacts_url),
        "json": JsonIOManager(url=artifacts_url),
        "providers": Providers(),
        "telegram": Telegram(),
    },
)
