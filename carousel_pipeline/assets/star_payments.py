"""Every few minutes: is every payment that Telegram lists in the books? What is missing, the bot is asked to enter."""

import asyncio
from collections.abc import Iterator

import dagster as dg

from carousel_pipeline.resources import Database, Telegram

CHECK = "every_payment_is_booked"


@dg.asset(
    group_name="payments",
    kinds={"telegram", "postgres"},
    check_specs=[dg.AssetCheckSpec(CHECK, asset="star_payments")],
    description="Telegram's own list of Star transactions, compared with the ledger's payments.",
)
def star_payments(database: Database, telegram: Telegram) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Compare, and have the bot enter what is missing."""
    from carousel_pipeline.payments.audit import Audit, audit_stars  # noqa: PLC0415 - aiogram costs seconds; only a run pays
    from carousel_pipeline.payments.telegram import fetch_by  # noqa: PLC0415 - as above

    async def look() -> tuple[Audit, int]:
        async with telegram.client() as bot:
            with database.session() as books:
                audit = await audit_stars(fetch_by(bot), books, bot.id)
            return audit, (await bot.get_my_star_balance()).amount

    audit, balance = asyncio.run(look())
    problems: dict[str, int] = {
        "missing for ten minutes": audit.overdue,
        "without an order": audit.health.unmatched,
        "returns that Telegram does not take": audit.health.refunds_waiting,
        "reports nobody could read": audit.health.letters_dead,
    }
    found = {"transactions": audit.seen, "missing": audit.missing, "stars at Telegram": balance, **problems}
    yield dg.MaterializeResult(metadata=found)
    yield dg.AssetCheckResult(check_name=CHECK, passed=not any(problems.values()), metadata=problems)
