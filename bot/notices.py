"""What the outbox's topics mean for a chat, and the dispatch of a request to Dagster.

Every function may be called twice for one row. A message that would be sent twice is recorded and edited instead.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from aiogram.exceptions import TelegramForbiddenError

from bot import views
from bot.dagster_client import JOBS, DagsterClient
from bot.library import Library
from bot.metrics import Metrics
from bot.models import Card, OutboxItem
from bot.outbox import Work
from bot.stage import Stage
from bot.store import Store
from bot.styles import Styles
from bot.texts import texts
from carousel_pipeline.errors import PermanentError

Payload = dict[str, Any]


class Notices:
    """Tells people what became of their requests."""

    def __init__(
        self, store: Store, library: Library, stage: Stage, styles: Styles, metrics: Metrics, *, demo: bool
    ) -> None:
        self._store = store
        self._library = library
        self._stage = stage
        self._styles = styles
        self._metrics = metrics
        self._demo = demo

    @property
    def works(self) -> Mapping[str, Work]:
        """What to do for each topic."""
        return MappingProxyType(
            {
                "outline_ready": self._telling(self._outline_ready),
                "outline_failed": self._telling(self._outline_failed),
                "delivered": self._telling(self._delivered),
                "notify_refund": self._telling(self._refunded),
                "ask_user": self._telling(self._ask),
            }
        )

    async def show_outline(self, card: Card) -> None:
        """Show an outline with everything that can be done with it."""
        t = texts(card.locale or "")
        style = self._styles.name(card.options.style, t.locale)
        await self._stage.show(card, "outline", views.outline(t, card, style, demo=self._demo))

    async def show_outline_last(self, card: Card) -> None:
        """Show an outline as the chat's last message."""
        t = texts(card.locale or "")
        style = self._styles.name(card.options.style, t.locale)
        await self._stage.put_last(card, "outline", views.outline(t, card, style, demo=self._demo))

    async def control(self, card: Card) -> views.Screen:
        """Return the control message of a delivered carousel."""
        undo = await self._library.undo_target(card.id) is not None
        return views.delivered(texts(card.locale or ""), card, undo=undo)

    async def offer_kept(self, user: int) -> None:
        """Tell somebody who is back what was finished meanwhile."""
        for request in await self._library.kept(user):
            if card := await self._store.card(request):
                await self._stage.put_last(card, "control", views.kept(texts(card.locale or ""), card))

    async def show_settled(self, card: Card) -> None:
        """Take the buttons of a confirmed outline away and say what became of it; a deleted one stays deleted."""
        t = texts(card.locale or "")
        style = self._styles.name(card.options.style, t.locale)
        if card.outline_message is not None:
            await self._stage.edit(card.chat_id, card.outline_message, views.settled_outline(t, card, style))

    async def show_failed(self, card: Card) -> None:
        """Say that an outline did not work out."""
        await self._stage.show(card, "outline", views.failed_outline(texts(card.locale or ""), card))

    async def show_discarded(self, card: Card) -> None:
        """Leave a line where an outline was."""
        await self._stage.show(card, "outline", views.Screen(texts(card.locale or "")("outline.discarded")))

    async def show_again(self, card: Card) -> None:
        """Put back what the message of an outline said."""
        await (self.show_failed(card) if card.phase == "failed" else self.show_outline(card))

    async def _outline_ready(self, card: Card, _payload: Payload) -> None:
        if card.phase == "outlined":
            await self.show_outline(card)
            self._metrics.outline_seconds.observe(_since(card.created_at))

    async def _outline_failed(self, card: Card, _payload: Payload) -> None:
        if card.phase == "failed":
            await self.show_failed(card)

    async def _delivered(self, card: Card, _payload: Payload) -> None:
        await self._stage.remove(card, "progress")
        await self._stage.put_last(card, "control", await self.control(card))
        await self.show_settled(card)
        await self._fold(card)
        if card.confirmed_at is not None:
            self._metrics.delivery_seconds.observe(_since(card.confirmed_at))

    async def _fold(self, card: Card) -> None:
        """Let the version before take less room: its buttons still work, behind one."""
        before = await self._store.card(card.parent_id) if card.change.base and card.parent_id else None
        if before is not None and before.made and before.control_message is not None:
            screen = views.folded(texts(card.locale or ""), before)
            await self._stage.edit(before.chat_id, before.control_message, screen)

    async def _refunded(self, card: Card, payload: Payload) -> None:
        reason, back = str(payload.get("reason") or ""), int(payload.get("credits") or 0)
        await self._stage.remove(card, "progress")
        await self._stage.put_last(card, "control", views.refunded(texts(card.locale or ""), card, reason, back))
        await self.show_settled(card)

    async def _ask(self, card: Card, _payload: Payload) -> None:
        if card.money == "delivery_unknown":
            await self._stage.remove(card, "progress")
            await self._stage.put_last(card, "control", views.ask_arrival(texts(card.locale or ""), card))

    def _telling(self, tell: Callable[[Card, Payload], Awaitable[None]]) -> Work:
        async def work(item: OutboxItem) -> None:
            card = await self._store.card(UUID(item.payload["request_id"]))
            if card is None:
                return
            try:
                await tell(card, item.payload)
            except TelegramForbiddenError:
                # Nobody is there to be told, which is no error: the request goes its way.
                await self._store.set_blocked(card.user_id, blocked=True)

        return work


def _since(moment: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())


class Dispatch:
    """Starts the runs that confirmed requests and wanted outlines wait for."""

    def __init__(self, store: Store, dagster: DagsterClient) -> None:
        self._store = store
        self._dagster = dagster

    async def run(self, item: OutboxItem) -> None:
        """Start the run of one dispatch row.

        Raises:
            DagsterUnavailableError: try again later.
            PermanentError: the row names no job of ours.
        """
        job = str(item.payload.get("job") or "carousel")
        if job not in JOBS:
            raise PermanentError(f"outbox row {item.id} names the unknown job {job!r}")
        request = UUID(item.payload["request_id"])
        card = await self._store.card(request)
        user_id = card.user_id if card else None
        await self._dagster.dispatch(str(request), job, item.dedupe_key, user_id, again=item.attempts > 1)
