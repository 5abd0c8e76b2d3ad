"""Payments at length: `python -m tests.payments --payments 10000` and `python -m tests.payments --forged 10000`.

Prints one JSON object; exit 0 only if nothing was lost, doubled, forged or refused, and the goals in time were met.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from carousel_pipeline.database import connect, ensure_database, migrate
from carousel_pipeline.local.postgres import EmbeddedPostgres

from .forgery import doors, forge, ruble_call, telegram_call
from .simulation import PRODUCT_RECONCILE_S, Simulation, quantile

ARRIVED_WITHIN_S = 3.0
LOST_WITHIN_S = 600.0


def _times(values: list[float]) -> dict[str, float]:
    return {name: round(quantile(values, share), 3) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


async def _simulate(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    figures = await Simulation(
        url,
        payments=arguments.payments,
        crashes=arguments.crashes,
        reconcile_s=arguments.reconcile,
        buyers=arguments.buyers,
        seed=arguments.seed,
    ).run()
    late = quantile(figures.lost_s, 1.0) + PRODUCT_RECONCILE_S - arguments.reconcile
    arrived = _times(figures.arrived_s)
    return {
        "payments": figures.paid,
        "reports": dict(figures.fates),
        "crashes": arguments.crashes,
        "attempts_while_down": dict(figures.refused),
        "seconds": round(time.monotonic() - began, 1),
        "checkout_s": _times(figures.checkout_s),
        "credited_s": {"report_arrived": arrived, "report_lost": _times(figures.lost_s)},
        "reconcile_every_s": arguments.reconcile,
        "report_lost_in_the_product_at_most_s": round(late, 1),
        "wrong": figures.wrong[:20],
        "well": not figures.wrong and arrived["p99"] <= ARRIVED_WITHIN_S and late <= LOST_WITHIN_S,
    }


async def _forge(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    async with doors(url) as at, aiohttp.ClientSession() as http:
        telegram = await forge(http, at.telegram, telegram_call, arguments.forged, arguments.seed)
        rubles = await forge(http, at.rubles, ruble_call, arguments.forged, arguments.seed)
    with connect(url, None) as connection:
        rows = connection.execute("select source, count(*) as kept from ledger.inbox group by source").fetchall()
    kept = {row["source"]: row["kept"] for row in rows}
    well = all(set(answers) == {"forged 403", "genuine 200"} for answers in (telegram, rubles))
    well &= kept == {"tg_update": telegram["genuine 200"], "yk_webhook": rubles["genuine 200"]}
    return {"telegram": dict(telegram), "yookassa": dict(rubles), "kept": kept, "well": well}


def main() -> int:
    """Run what was asked for; 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.payments", description=__doc__)
    parser.add_argument("--payments", type=int, help="how many payments to simulate")
    parser.add_argument("--forged", type=int, help="how many forged calls to make at each webhook")
    parser.add_argument("--crashes", type=int, default=12, help="how often the bot is killed meanwhile")
    parser.add_argument(
        "--reconcile", type=float, default=5.0, help="seconds between two reconciliations; 300 in the product"
    )
    parser.add_argument("--buyers", type=int, default=8, help="how many pay at the same time")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--database", help="a migrated, empty database; one of its own otherwise")
    arguments = parser.parse_args()
    if not arguments.payments and not arguments.forged:
        parser.error("ask for --payments or --forged")
    work = _simulate if arguments.payments else _forge
    if arguments.database:
        figures = asyncio.run(work(arguments.database, arguments))
    else:
        with (
            tempfile.TemporaryDirectory(prefix="carousel-pg-", ignore_cleanup_errors=True) as folder,
            EmbeddedPostgres(Path(folder), durable=True) as server,
        ):
            url = server.url("payments")
            ensure_database(url)
            migrate(url)
            figures = asyncio.run(work(url, arguments))
    sys.stdout.write(json.dumps({"seed": arguments.seed, **figures}, indent=1) + "\n")
    return 0 if figures["well"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
