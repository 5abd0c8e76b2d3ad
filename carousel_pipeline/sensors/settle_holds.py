"""The refund guarantee inside Dagster: looks at every open hold, again and again, and depends on no event.

A run-failure sensor cannot carry it: its cursor moves on when its body raises, it never hears of cancelled or never-launched
runs, and it starts from "now" when first switched on. Outside Dagster the bot's sweeper does the same by the clock alone.
"""

from datetime import timedelta

import dagster as dg

from carousel_pipeline.database import query
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.resources import Database
from carousel_pipeline.sensors.settlement import settle

GRACE = timedelta(seconds=5)
OUTLINE_PATIENCE = timedelta(minutes=5)


@dg.sensor(
    target=None,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refunds or closes every open hold whose run has ended. Keep it running: it is the guarantee.",
)
def settle_holds(context: dg.SensorEvaluationContext, database: Database) -> dg.SkipReason:
    """Settle open holds and give up outlines that nobody finishes."""
    with database.session() as session:
        ledger = PipelineLedger(session)
        done = settle(ledger.open_holds(GRACE), ledger, context.instance)
        session.execute(query("requests.fail_stale_outlines"), {"age": OUTLINE_PATIENCE})
    for request_id, what in done.items():
        context.log.info("%s: %s", request_id, what)
    return dg.SkipReason(f"settled {len(done)} holds")
