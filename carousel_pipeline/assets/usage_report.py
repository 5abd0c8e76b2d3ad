"""The report of one week: the same page that `carousel usage report --html` writes, kept in storage, its charts in the UI.

A partition is a week, Monday to Sunday in UTC, under the date of its Monday; making it again shows what is known by now.
"""

from datetime import date
from typing import Final

import dagster as dg

from carousel_pipeline.assets.daily_usage import FIRST_DAY
from carousel_pipeline.assets.preview import chart
from carousel_pipeline.resources import Artifacts, Database

usage_weeks = dg.WeeklyPartitionsDefinition(start_date=FIRST_DAY, day_offset=1, timezone="UTC")
_FOLDER: Final = "reports/usage"


@dg.asset(partitions_def=usage_weeks, kinds={"matplotlib", "html"}, group_name="usage", deps=["daily_usage"])
def usage_report(
    context: dg.AssetExecutionContext, database: Database, artifacts: Artifacts
) -> dg.MaterializeResult[None]:
    """Funnel, cost and margin, refunds, latency, queue wait, retention, styles and languages of the week."""
    from carousel_pipeline.usage.build import usage_session  # noqa: PLC0415 - polars: only a run pays for it
    from carousel_pipeline.usage.charts import CHARTS, card, png  # noqa: PLC0415 - the plotting library, as above
    from carousel_pipeline.usage.page import page  # noqa: PLC0415 - as above
    from carousel_pipeline.usage.summary import summarise, week_of  # noqa: PLC0415 - as above

    with usage_session(database.url) as session:
        summary = summarise(session, week_of(date.fromisoformat(context.partition_key)))
    key = f"{_FOLDER}/{context.partition_key}.html"
    artifacts.store().put(key, page(summary).encode(), content_type="text/html; charset=utf-8")
    pictures = {each.title: dg.MetadataValue.md(chart(png(card(each, summary)))) for each in CHARTS}
    return dg.MaterializeResult(
        metadata={
            "page": key,
            "delivered": summary.totals["delivered"],
            "margin USD": round(summary.margin_usd, 2),
            **pictures,
        }
    )
