"""What the ledger's guards cost: its transfers a second beside double entry without any guard, on one server, in turns.

The baseline is the textbook's: one call inserts two rows and updates a balance, with no idempotency key, no trigger, no check
and nothing that stops a second charge. The ledger's transfer is `topup()`, called through the role that may call it. Server
and clients share the machine, and every commit is on disk before it is counted.
"""

import os
import platform
import random
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from operator import truediv
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from carousel_pipeline.database import Role, connect, ensure_database, migrate, query
from carousel_pipeline.local.postgres import EmbeddedPostgres

_USERS: Final = 1000
_ROUND_S: Final = 0.8
_ROUNDS: Final = 7
_RESERVES: Final = 500
_LOADS: Final = MappingProxyType({"1": (1, _USERS), "4": (4, _USERS), "8": (8, _USERS), "hot": (8, 1)})

Subject = Literal["topup", "baseline_transfer"]
_ROLES: Final[Mapping[Subject, Role | None]] = MappingProxyType({"topup": "led_pay", "baseline_transfer": None})


def bench_ledger() -> dict[str, Any]:
    """Measure on an embedded server of its own and return the figures of `carousel bench ledger --json`.

    `transfers_per_s` and `baseline_per_s` are medians of alternating rounds, by number of clients over 1,000 wallets (`hot`:
    eight clients on one wallet); `ratio_baseline` is the median of each round's own ratio, so that a neighbour's load, which
    comes and goes, falls on both; `reserve_ms` is the time of one `reserve()`, one client.
    """
    seed = secrets.randbits(32)
    rates: dict[Subject, dict[str, list[float]]] = {
        subject: {load: [] for load in _LOADS} for subject in ("topup", "baseline_transfer")
    }
    with (
        tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        url = server.url("bench")
        _prepare(url)
        for turn in range(_ROUNDS):
            for load, (clients, users) in _LOADS.items():
                for subject, measured in rates.items():
                    measured[load].append(_rate(url, subject, clients, users, seed + turn))
        reserve_ms = _reserve_ms(url)
        with connect(url, None) as owner:
            violations = len(owner.execute(query("ledger.violations")).fetchall())
    transfers, baseline = (
        {load: round(statistics.median(measured), 1) for load, measured in rates[subject].items()}
        for subject in ("topup", "baseline_transfer")
    )
    return {
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, server and clients together",
        "seed": seed,
        "runs": _ROUNDS,
        "transfers_per_s": transfers,
        "baseline_per_s": baseline,
        "ratio_baseline": {
            load: round(statistics.median(map(truediv, rates["topup"][load], rates["baseline_transfer"][load])), 3)
            for load in _LOADS
        },
        "reserve_ms": reserve_ms,
        "violations": violations,
    }


def _prepare(url: str) -> None:
    ensure_database(url)
    migrate(url)
    with connect(url, None) as owner:
        owner.execute(query("bench.baseline_schema"))
        for seeding in ("bench.baseline_seed", "bench.ledger_seed"):
            owner.execute(query(seeding), {"users": _USERS})


def _rate(url: str, subject: Subject, clients: int, users: int, seed: int) -> float:
    """Return the transfers a second that `clients` get through, each on a connection of its own."""
    barrier = threading.Barrier(clients)
    statement = query(f"bench.{subject}")

    def client(number: int) -> int:
        chance = random.Random(seed + number)  # noqa: S311 - which wallet, not a secret
        with closing(connect(url, _ROLES[subject])) as connection:
            barrier.wait()
            done, end = 0, time.perf_counter() + _ROUND_S
            while time.perf_counter() < end:
                charge = f"{seed}-{subject}-{clients}-{users}-{number}-{done}"
                connection.execute(statement, {"user": chance.randint(1, users), "charge": charge})
                done += 1
            return done

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(client, range(clients))) / _ROUND_S


def _reserve_ms(url: str) -> dict[str, float]:
    took = []
    with closing(connect(url, "led_bot")) as bot:
        for number in range(_RESERVES):
            start = time.perf_counter()
            bot.execute(query("bench.reserve"), {"user": number + 1, "key": f"bench-{number}"})
            took.append((time.perf_counter() - start) * 1000)
    cuts = statistics.quantiles(took, n=100)
    return {name: round(cuts[percent - 1], 2) for name, percent in (("p50", 50), ("p95", 95), ("p99", 99))}
