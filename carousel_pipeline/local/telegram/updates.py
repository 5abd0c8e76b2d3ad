"""The queue of updates for the one bot, and the two ways it gets them.

An update stays until it is confirmed: by a larger offset, or by the webhook's 2xx. So it may be delivered again after a crash on
either side, as at Telegram; numbers never repeat, over restarts and resets too.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from carousel_pipeline.local.telegram.journal import Journal
from carousel_pipeline.local.telegram.refusals import conflict
from carousel_pipeline.local.telegram.wakeup import Signal

DEFAULT_EXCLUDED: Final = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_LIFETIME_S: Final = 24 * 3600
_CONFIRMED_KEPT: Final = 500
_TABLE: Final = "updates"
_WEBHOOK_ACTIVE: Final = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
_OTHER_POLLER: Final = "terminated by other getUpdates request; make sure that only one bot instance is running"


class Updates:
    """Pending updates and who takes them.

    Args:
        journal: where they wait.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._poller: asyncio.Future[None] | None = None
        self._again: deque[dict[str, Any]] = deque()
        self._confirmed: deque[dict[str, Any]] = deque(maxlen=_CONFIRMED_KEPT)
        self.changed = Signal()

    def add(self, kind: str, content: Any, chat_id: int) -> None:
        """Queue an update, unless the bot asked not to get its kind."""
        allowed = self._journal.table("webhook").get("allowed_updates")
        if (kind not in allowed) if allowed else (kind in DEFAULT_EXCLUDED):
            return
        # Starting at the clock keeps numbers growing even when somebody deletes the home of a bot that goes on running.
        update_id = int(self._journal.table("counters").get("update", int(time.time()))) + 1
        self._journal.put("counters", "update", update_id)
        row = {"update": {"update_id": update_id, kind: content}, "chat_id": chat_id, "at": time.time()}
        self._journal.put(_TABLE, str(update_id), row)
        self.changed.set_off()

    def pending(self) -> list[dict[str, Any]]:
        """Return the rows (update, chat_id, at) that wait, oldest first, without those that are more than a day old."""
        rows = self._journal.table(_TABLE)
        oldest_kept = time.time() - _LIFETIME_S
        while rows and (oldest := next(iter(rows.values())))["at"] < oldest_kept:
            self._journal.drop(_TABLE, str(oldest["update"]["update_id"]))
        return list(rows.values())

    def next_of(self, chat_id: int) -> dict[str, Any] | None:
        """Return the oldest update of a chat, or None."""
        rows = self._journal.table(_TABLE).values()
        return next((dict(row["update"]) for row in rows if row["chat_id"] == chat_id), None)

    def confirm(self, update_id: int) -> None:
        """Remove one delivered update."""
        row = self._journal.table(_TABLE).get(str(update_id))
        if row is not None:
            self._confirmed.append(row["update"])
            self._journal.drop(_TABLE, str(update_id))

    def drop_pending(self) -> None:
        """Remove all updates that wait."""
        for key in list(self._journal.table(_TABLE)):
            self._journal.drop(_TABLE, key)

    def forget(self) -> None:
        """Drop what was remembered for replays; after a reset."""
        self._again.clear()
        self._confirmed.clear()
        self.changed.set_off()

    def replay(self, last: int) -> int:
        """Deliver the last confirmed updates again under their old numbers, as Telegram may; return how many."""
        updates = list(self._confirmed)[-last:] if last > 0 else []
        self._again.extend(updates)
        self.changed.set_off()
        return len(updates)

    def take_again(self) -> list[dict[str, Any]]:
        """Return and clear the updates to be delivered again."""
        again = list(self._again)
        self._again.clear()
        return again

    def set_allowed(self, kinds: Sequence[str]) -> None:
        """Remember which kinds the bot wants; an empty list means the default."""
        if list(self._journal.table("webhook").get("allowed_updates", [])) != list(kinds):
            self._journal.put("webhook", "allowed_updates", list(kinds))

    async def poll(self, offset: int, limit: int, timeout_s: float, *, duplicate: bool) -> list[dict[str, Any]]:
        """Answer one getUpdates call, waiting up to `timeout_s` seconds for the first update.

        Args:
            offset: confirms all smaller numbers; negative counts from the end and forgets the rest.
            limit: at most so many updates.
            timeout_s: how long to wait.
            duplicate: deliver what this call returns once more in a later one, whatever its offset.

        Raises:
            RefusedError: a webhook is set, or another call came while this one waited.
        """
        if self._journal.table("webhook").get("url"):
            raise conflict(_WEBHOOK_ACTIVE)
        if self._poller is not None and not self._poller.done():
            self._poller.set_result(None)
            self.changed.set_off()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poller = mine
        try:
            self._confirm_before(offset)
            deadline = time.monotonic() + timeout_s
            while not (batch := self.take_again() + [row["update"] for row in self.pending()][:limit]):
                left = deadline - time.monotonic()
                if left <= 0:
                    return []
                await self.changed.wait(left)
                if mine.done():
                    raise conflict(_OTHER_POLLER)
                if self._journal.table("webhook").get("url"):
                    raise conflict("terminated by setWebhook request")
            if duplicate:
                self._again.extend(batch)
            return batch[:limit]
        finally:
            if not mine.done():
                mine.cancel()

    def _confirm_before(self, offset: int) -> None:
        rows = self.pending()
        first = offset
        if offset < 0:
            first = rows[offset]["update"]["update_id"] if len(rows) >= -offset else 0
        for row in rows:
            if row["update"]["update_id"] < first:
                self.confirm(row["update"]["update_id"])
