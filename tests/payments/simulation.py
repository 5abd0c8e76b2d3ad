"""Thousands of payments on a bad day: reports lost, doubled, late and out of order, the bot killed again and again.

What is real: the bot as a process, the local Telegram as a process, PostgreSQL, all over sockets. What is scaled: the time
between two reconciliations, 300 s in the product, is shorter here; so for a lost report the figure of the product is the measured
one with the difference put back. The truth is the local Telegram's own list of charges, which the bot's database knows nothing
of.
"""

import asyncio
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from carousel_pipeline.database import async_pool, connect
from carousel_pipeline.payments import PACKS
from carousel_pipeline.payments.books import Books

TOKEN: Final = "123456789:AAtestTokenOfTheLocalTelegram0123456"
ROOT: Final = Path(__file__).parents[2]
PRODUCT_RECONCILE_S: Final = 300.0
LOST, DOUBLED, LATE = 0.10, 0.20, 0.20
_LATE_S: Final = 0.4
_PEOPLE: Final = 200
_PATIENCE_S: Final = 180.0


@dataclass
class Figures:
    """What happened.

    Attributes:
        paid: charges at Telegram.
        fates: what became of their reports.
        wrong: everything that must not be; empty when all is well.
        arrived_s: seconds from payment to credit where a report was made, the wait of late ones included.
        lost_s: the same where it was lost and reconciliation found it.
        checkout_s: seconds from a person's tap to the end of the payment, the bot's answer within.
        refused: attempts that came to nothing, by reason; the bot was down.
    """

    paid: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    arrived_s: list[float] = field(default_factory=list)
    lost_s: list[float] = field(default_factory=list)
    checkout_s: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def quantile(values: list[float], share: float) -> float:
    """Return the value that `share` of them do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class _Bot:
    """The bot's process, killed without a word and started again."""

    def __init__(self, environment: dict[str, str], reconcile_s: float, log: Path) -> None:
        self._environment = environment
        self._log = log
        self._command = (sys.executable, "-m", "tests.payments.bot_process", str(reconcile_s))
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=ROOT, env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        ready = await asyncio.wait_for(self._process.stdout.readline(), 120)
        assert ready == b"ready\n", self._log.read_text()[-2000:]

    async def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        self.kills += 1

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()


@asynccontextmanager
async def _telegram(home: Path) -> AsyncIterator[str]:
    command = (
        sys.executable,
        "-m",
        "carousel_pipeline.local.telegram",
        "--port",
        "0",
        "--home",
        str(home),
        "--token",
        TOKEN,
    )
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


class Simulation:
    """One bad day.

    Args:
        database_url: a migrated, empty database.
        payments: how many shall be paid.
        crashes: how often the bot is killed, evenly over the day.
        reconcile_s: seconds between two reconciliations.
        buyers: how many pay at the same time.
        seed: of who buys what.
    """

    def __init__(
        self, database_url: str, *, payments: int, crashes: int, reconcile_s: float, buyers: int, seed: int
    ) -> None:
        self._url = database_url
        self._payments = payments
        self._crashes = crashes
        self._reconcile_s = reconcile_s
        self._buyers = buyers
        self._chance = random.Random(seed)  # noqa: S311 - a replayable choice, no secret
        self._figures = Figures()
        self._numbers = itertools.count()

    async def run(self) -> Figures:
        """Live through it and return what happened."""
        async with AsyncExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="carousel-paying-")))
            telegram = await stack.enter_async_context(_telegram(home / "telegram"))
            http = await stack.enter_async_context(aiohttp.ClientSession(telegram))
            books = Books(await stack.enter_async_context(async_pool(self._url, "led_pay", max_size=4)))
            bot = _Bot(self._environment(telegram, home), self._reconcile_s, home / "bot.log")
            stack.push_async_callback(bot.stop)
            people, _ = await asyncio.gather(self._people(http, books), bot.start())
            await self._arm(http)
            killer = asyncio.create_task(self._kill_now_and_then(bot))
            await asyncio.gather(*(self._buy(http, books, people) for _ in range(self._buyers)))
            await killer
            await self._wait_until_booked(http)
            charges = await self._charges(http)
        self._compare(charges, people)
        return self._figures

    def _environment(self, telegram: str, home: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
        return kept | {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram,
            "DATABASE_URL": self._url,
            "DAGSTER_GRAPHQL_URL": "http://127.0.0.1:9/graphql",
            "ARTIFACTS_URL": f"file://{home / 'artifacts'}",
            "CAROUSEL_HOME": str(home),
        }

    async def _people(self, http: aiohttp.ClientSession, books: Books) -> list[int]:
        people = []
        for _ in range(min(_PEOPLE, self._payments)):
            async with http.post("/sim/users", json={"first_name": "Ann"}) as answer:
                people.append(int((await answer.json())["chat_id"]))
            await books.agree(people[-1])
        return people

    async def _arm(self, http: aiohttp.ClientSession) -> None:
        left = 1.0
        for kind, share in (("lose", LOST), ("duplicate", DOUBLED), ("late", LATE)):
            fault = {"method": "update:successful_payment", "kind": kind, "times": None, "share": share / left}
            async with http.post("/sim/faults", json={**fault, "delay_s": _LATE_S}) as answer:
                assert answer.status == 201, await answer.text()
            left -= share

    async def _buy(self, http: aiohttp.ClientSession, books: Books, people: list[int]) -> None:
        while (number := next(self._numbers)) < self._payments:
            payer, pack = people[number % len(people)], self._chance.choice(list(PACKS.values()))
            order = await books.open_star_order(payer, pack)
            body = {
                "title": "Credits", "description": "Credits", "payload": str(order), "currency": "XTR",
                "prices": [{"label": "Credits", "amount": pack.stars}],
            }  # fmt: skip
            async with http.post(f"/bot{TOKEN}/createInvoiceLink", json=body) as answer:
                link = (await answer.json())["result"]
            while True:
                began = time.monotonic()
                async with http.post(f"/sim/chats/{payer}/pay", json={"link": link}) as answer:
                    outcome = await answer.json()
                if outcome["status"] == "paid":
                    self._figures.checkout_s.append(time.monotonic() - began)
                    break
                self._figures.refused[outcome["status"]] += 1
            if self._chance.random() < 0.01:
                async with http.post("/sim/updates/replay", json={"last": 20}):
                    pass

    async def _kill_now_and_then(self, bot: _Bot) -> None:
        for crash in range(1, self._crashes + 1):
            mark = self._payments * crash // (self._crashes + 1)
            while len(self._figures.checkout_s) < mark:  # noqa: ASYNC110 - counts what others do
                await asyncio.sleep(0.02)
            await asyncio.sleep(self._chance.uniform(0, 0.2))
            await bot.kill()
            await bot.start()

    async def _charges(self, http: aiohttp.ClientSession) -> list[dict[str, Any]]:
        async with http.get("/sim/charges") as answer:
            return list((await answer.json())["charges"])

    async def _wait_until_booked(self, http: aiohttp.ClientSession) -> None:
        paid = len(await self._charges(http))
        until = time.monotonic() + _PATIENCE_S
        with connect(self._url, None) as connection:
            while time.monotonic() < until:
                row = connection.execute("select count(*) as booked from pay.purchase").fetchone()
                if row is not None and row["booked"] >= paid:
                    return
                await asyncio.sleep(0.1)

    def _compare(self, charges: list[dict[str, Any]], people: list[int]) -> None:
        figures = self._figures
        credits_of = {pack.stars: pack.credits for pack in PACKS.values()}
        with connect(self._url, None) as connection:
            booked = {
                row["charge"]: row
                for row in connection.execute(
                    "select charge, tg_user_id, credits, found_by, extract(epoch from credited_at)::float8 as at "
                    "from pay.purchase p join ledger.app_user u on u.id = p.user_id"
                )
            }
            transfers = Counter(
                row["idem_key"].removeprefix("topup:stars:")
                for row in connection.execute("select idem_key from ledger.transfer where kind = 'topup'")
            )
            wallets = {
                row["tg_user_id"]: row["available"]
                for row in connection.execute(
                    "select tg_user_id, available from ledger.wallet w join ledger.app_user u on u.id = w.user_id"
                )
            }
            broken = connection.execute("select rule, id, detail from ledger.invariant_violation").fetchall()
            unmatched = connection.execute("select charge, reason from pay.unmatched").fetchall()
        figures.paid = len(charges)
        figures.wrong += [f"invariant: {row}" for row in broken] + [f"unmatched: {row}" for row in unmatched]
        owed: Counter[int] = Counter()
        for charge in charges:
            fate = charge["update"]
            figures.fates[fate] += 1
            owed[charge["user_id"]] += credits_of[charge["amount"]]
            row = booked.pop(charge["id"], None)
            if row is None or transfers[charge["id"]] != 1:
                figures.wrong.append(f"{fate}: a payment has {transfers[charge['id']]} credits")
                continue
            if (row["tg_user_id"], row["credits"]) != (charge["user_id"], credits_of[charge["amount"]]):
                figures.wrong.append(f"{fate}: credited to somebody else, or another sum")
            (figures.lost_s if fate == "lose" else figures.arrived_s).append(row["at"] - charge["at"])
        figures.wrong += [f"credited without a payment: {len(booked)}"] if booked else []
        figures.wrong += [f"wallet of {tg}" for tg in people if wallets.get(tg, 0) != owed[tg]]
