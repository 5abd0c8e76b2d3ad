"""What the outbox's topics about money mean: people to tell, Stars to give back, books to compare.

Every function may be called twice for one row.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError

from bot.models import OutboxItem
from bot.outbox import Work
from bot.payments import views
from bot.store import Store
from bot.texts import Html, Texts, texts
from carousel_pipeline.payments import StarsReturned
from carousel_pipeline.payments.books import Books, Receipt

_DONE_BEFORE = "CHARGE_ALREADY_REFUNDED"


class PaymentNotices:
    """The payment room's part of the outbox.

    Args:
        bot: Telegram.
        books: what there is to tell.
        store: where it is noted that somebody blocked the bot.
        look: makes the reconciler look at once.
    """

    def __init__(self, bot: Bot, books: Books, store: Store, look: Callable[[], None]) -> None:
        self._bot = bot
        self._books = books
        self._store = store
        self._look = look

    @property
    def works(self) -> Mapping[str, Work]:
        """What to do for each topic."""
        return MappingProxyType(
            {
                "payment_credited": self._telling(views.credited),
                "payment_reversed": self._telling(views.reversed_),
                "refund_done": self._telling(views.refunded),
                "refund_stars": self._refund,
                "referral": self._reward,
                "reconcile": self._reconcile,
            }
        )

    def _telling(self, words: Callable[[Texts, Receipt], Html]) -> Callable[[OutboxItem], Awaitable[None]]:
        async def work(item: OutboxItem) -> None:
            receipt = await self._books.receipt(item.payload["source"], item.payload["charge"])
            if receipt is not None and receipt.tg_user_id is not None:
                await self._say(receipt.tg_user_id, receipt.user_id, words(texts(receipt.locale or ""), receipt))

        return work

    async def _say(self, chat: int, user: int, text: Html) -> None:
        try:
            await self._bot.send_message(chat, text)
        except TelegramForbiddenError:
            await self._store.set_blocked(user, blocked=True)

    async def _refund(self, item: OutboxItem) -> None:
        charge = item.payload["charge"]
        receipt = await self._books.receipt("stars", charge)
        if receipt is None or receipt.tg_user_id is None or receipt.refund != "pending":
            return
        try:
            await self._bot.refund_star_payment(receipt.tg_user_id, charge)
        except TelegramBadRequest as error:
            # An earlier call got through although its answer did not.
            if _DONE_BEFORE not in error.message:
                raise
        await self._books.stars_returned(StarsReturned(receipt.tg_user_id, charge, receipt.price))

    async def _reward(self, item: OutboxItem) -> None:
        reward = await self._books.reward(item.payload["user_id"])
        if reward.verdict == "rewarded" and reward.tg_user_id is not None and reward.user_id is not None:
            await self._say(reward.tg_user_id, reward.user_id, views.rewarded(texts(reward.locale or ""), reward))

    async def _reconcile(self, _item: OutboxItem) -> None:
        self._look()
