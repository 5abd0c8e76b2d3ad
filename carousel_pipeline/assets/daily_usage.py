"""The daily facts of schema `usage`, one partition a UTC day; and the four checks of whether they are true.

What must stay true: a run also builds every other day whose facts changed since it was built, so late facts and missed ticks need
no run of their own, and any run repeats without effect. A day's partition may be materialised by hand at any time, a year of them
in one run.
"""

import warnings
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Final

import dagster as dg

from carousel_pipeline.assets.preview import chart
from carousel_pipeline.resources import Database

FIRST_DAY: Final = "2025-01-01"
usage_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)


def _without_beta_warning(policy: dg.BackfillPolicy) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """The decorator of the asset: Dagster calls `backfill_policy` beta and warns at every import of every process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            partitions_def=usage_days, backfill_policy=policy, kinds={"polars", "postgres"}, group_name="usage"
        )


@_without_beta_warning(dg.BackfillPolicy.single_run())
def daily_usage(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[None]:
    """Requests, money, calls, durations and people of the days, in the tables of schema `usage`."""
    from carousel_pipeline.usage.build import build, stale_days, usage_session  # noqa: PLC0415 - polars: only a run pays for it
    from carousel_pipeline.usage.charts import overview, png  # noqa: PLC0415 - the plotting library, as above
    from carousel_pipeline.usage.summary import last_weeks, summarise  # noqa: PLC0415 - as above

    asked = [date.fromisoformat(key) for key in context.partition_keys]
    with usage_session(database.url) as session:
        late = sorted(set(stale_days(session)) - set(asked))
        built = build(session, [*asked, *late])
        summary = summarise(session, last_weeks(asked[-1]))
    for day in late:
        if usage_days.has_partition_key(day.isoformat()):
            context.log_event(
                dg.AssetMaterialization("daily_usage", partition=day.isoformat(), metadata={"why": "late facts"})
            )
    # A picture for the last day only: a range would store it once for each of its days.
    context.add_asset_metadata(
        {"overview": dg.MetadataValue.md(chart(png(overview(summary))))}, partition_key=context.partition_keys[-1]
    )
    return dg.MaterializeResult(
        metadata={
            "days asked for": len(asked),
            "days with late facts": len(late),
            "requests": built.requests,
            "seconds": round(built.seconds, 3),
        }
    )


@dg.multi_asset_check(
    name="usage_checks",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec("totals", asset=daily_usage, description="Equal to the ledger to the credit."),
        dg.AssetCheckSpec("present", asset=daily_usage, description="Every day is there."),
        dg.AssetCheckSpec(
            "margin", asset=daily_usage, description="Nothing was sold at a loss that no refund or gift explains."
        ),
        dg.AssetCheckSpec("freshness", asset=daily_usage, description="Built within the last three hours."),
    ],
)
def usage_checks(context: dg.AssetCheckExecutionContext, database: Database) -> Iterator[dg.AssetCheckResult]:
    """What failed is listed, stands in `usage.check_result` and, with its age, in the view `usage.health`."""
    from carousel_pipeline.usage.build import usage_session  # noqa: PLC0415 - polars: only a run pays for it
    from carousel_pipeline.usage.checks import run_checks  # noqa: PLC0415 - as above

    with usage_session(database.url) as session:
        for verdict in run_checks(session):
            if dg.AssetCheckKey(dg.AssetKey("daily_usage"), verdict.name) not in context.selected_asset_check_keys:
                continue
            rows = [{key: str(value) for key, value in row.items()} for row in verdict.rows[:50]]
            yield dg.AssetCheckResult(
                check_name=verdict.name,
                passed=verdict.passed,
                description=verdict.detail,
                metadata={"rows": dg.MetadataValue.table([dg.TableRecord(row) for row in rows])} if rows else {},
            )
