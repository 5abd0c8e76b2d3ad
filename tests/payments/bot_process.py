"""The real bot in a process that may be killed; only its pace is not the product's.

python -m tests.payments.bot_process SECONDS     seconds between two reconciliations, as the last thing on the line
"""

import asyncio
import sys

from bot.app import Pace, build
from carousel_pipeline.settings import get_settings


async def _run(reconcile_s: float) -> None:
    async with build(get_settings(), Pace(reconcile_s=reconcile_s)) as app:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await app.run()


if __name__ == "__main__":
    asyncio.run(_run(float(sys.argv[1])))
