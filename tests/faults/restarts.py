"""PostgreSQL killed under load, again and again: what it acknowledged is there afterwards.

Eight clients pay in, reserve and release without a pause while the server is killed with `immediate` (SIGQUIT: no shutdown, no
checkpoint, recovery from the log). A client writes down what was acknowledged and nothing else.
"""

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

import psycopg

from carousel_pipeline.database import connect, ensure_database, migrate, query
from carousel_pipeline.ledger import LedgerUnavailableError, PipelineLedger
from carousel_pipeline.local.postgres import EmbeddedPostgres

_CLIENTS: Final = 8
_USERS: Final = 20
_CREDITS: Final = 5

_TOPUP: Final = b"select ledger.topup(%(tg)s, 'stars', %(charge)s, %(credits)s, now()) as fresh"
_RESERVE: Final = b"select request_id from ledger.reserve(%(tg)s, %(key)s, %(cost)s)"
_JOURNAL: Final = b"select idem_key, amount from ledger.transfer"
_PAID: Final = b"""
select u.tg_user_id as tg, w.available + w.held as credits from ledger.wallet w join ledger.app_user u on u.id = w.user_id
"""


@dataclass
class Log:
    """What one client was told, and what it tried without an answer."""

    acknowledged: list[str] = field(default_factory=list)
    unanswered: list[tuple[int, str]] = field(default_factory=list)


class Load:
    """Clients that go on until told to stop."""

    def __init__(self, server: EmbeddedPostgres, database: str, seed: int) -> None:
        self._server = server
        self._database = database
        self._stopped = threading.Event()
        self.logs = [Log() for _ in range(_CLIENTS)]
        self._threads = [
            threading.Thread(target=self._client, args=(number, seed + number)) for number in range(_CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - which user, not a secret
        turn = 0
        while not self._stopped.is_set():
            with contextlib.suppress(psycopg.OperationalError, LedgerUnavailableError):
                url = self._server.url(self._database)
                with (
                    connect(url, "led_pay") as pay,
                    connect(url, "led_bot") as bot,
                    connect(url, "led_pipeline") as work,
                ):
                    while not self._stopped.is_set():
                        turn += 1
                        self._work(f"{number}-{turn}", chance.randrange(_USERS) + 1, self.logs[number], pay, bot, work)
            self._stopped.wait(0.02)

    def _work(self, key: str, tg: int, log: Log, pay: Any, bot: Any, work: Any) -> None:
        log.unanswered.append((tg, key))
        pay.execute(_TOPUP, {"tg": tg, "charge": key, "credits": _CREDITS})
        log.unanswered.pop()
        log.acknowledged.append(f"topup:stars:{key}")
        request: UUID = bot.execute(_RESERVE, {"tg": tg, "key": key, "cost": _CREDITS}).fetchone()["request_id"]
        log.acknowledged.append(f"reserve:{request}:1")
        assert PipelineLedger(work).release(request, 0, "failed")
        log.acknowledged.append(f"release:{request}:1")


def kill_and_restart(times: int, seed: int, *, between_s: tuple[float, float] = (0.5, 2.0)) -> dict[str, Any]:
    """Kill a durable server `times` times under load and return what was found afterwards."""
    chance = random.Random(seed)  # noqa: S311 - when, not a secret
    with (
        tempfile.TemporaryDirectory(prefix="carousel-restarts-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder), durable=True) as server,
    ):
        ensure_database(server.url("restarts"))
        migrate(server.url("restarts"))
        with Load(server, "restarts", seed) as load:
            for _ in range(times):
                time.sleep(chance.uniform(*between_s))
                _kill(server)
                server.start()
            time.sleep(between_s[0])
        return {"restarts": times, "seed": seed, **_compare(server.url("restarts"), load.logs)}


def _kill(server: EmbeddedPostgres) -> None:
    process, postmaster = server._process, server._postmaster()
    assert process is not None
    assert postmaster is not None
    os.kill(postmaster, signal.SIGQUIT)
    process.wait(30)
    server._reap()


def _compare(url: str, logs: list[Log]) -> dict[str, Any]:
    acknowledged = [key for log in logs for key in log.acknowledged]
    with connect(url, None) as owner:
        journal = {row["idem_key"]: row["amount"] for row in owner.execute(_JOURNAL)}
        # Who got no answer asks again with the same key, and pays once.
        for tg, key in (pair for log in logs for pair in log.unanswered):
            owner.execute(_TOPUP, {"tg": tg, "charge": key, "credits": _CREDITS})
        paid = Counter[int]()
        for row in owner.execute(
            b"select u.tg_user_id as tg, t.amount from ledger.transfer t join ledger.app_user u on u.id = t.user_id"
            b" where t.kind = 'topup'"
        ):
            paid[row["tg"]] += row["amount"]
        wallets = {row["tg"]: row["credits"] for row in owner.execute(_PAID)}
        violations = owner.execute(query("ledger.violations")).fetchall()
    return {
        "acknowledged": len(acknowledged),
        "unanswered": sum(len(log.unanswered) for log in logs),
        "lost": len(set(acknowledged) - journal.keys()),
        "wallets_wrong": sum(paid[tg] != held for tg, held in wallets.items()),
        "violations": len(violations),
    }
