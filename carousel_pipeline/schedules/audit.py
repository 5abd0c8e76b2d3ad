"""The hourly audit of the ledger."""

import dagster as dg

audit = dg.define_asset_job(
    "audit",
    selection=dg.AssetSelection.assets("ledger_audit"),
    executor_def=dg.in_process_executor,
    description="Looks at every invariant of the ledger.",
)

hourly_audit = dg.ScheduleDefinition(
    name="hourly_audit",
    job=audit,
    cron_schedule="41 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Not at the full hour, when everything else wakes up.",
)
