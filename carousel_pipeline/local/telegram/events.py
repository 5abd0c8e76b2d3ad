"""What happened, numbered, for those who watch a chat: the page, the demo, the tests.

Numbers only grow, over restarts too, so a watcher can always ask for what came after the last one it saw. Old events are
forgotten; a watcher who slept too long is told to read the whole chat again.
"""

from collections import deque
from typing import Any, Final

from carousel_pipeline.local.telegram.journal import Journal
from carousel_pipeline.local.telegram.wakeup import Signal

EVERYWHERE: Final = 0  # the chat id of events that concern all chats
_KEPT: Final = 5_000
_BLOCK: Final = 1_000  # numbers reserved at once, so that an event costs no journal line


class Events:
    """The last events of all chats.

    Args:
        journal: keeps the numbers growing over restarts.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._reserved = int(journal.table("counters").get("event", 0))
        self.last = self._reserved
        self._oldest_known = self.last
        self.changed = Signal()

    def publish(self, chat_id: int, kind: str, **details: Any) -> None:
        """Add an event of `kind` (message, edit, delete, callback_answer, chat_action, chat, bot)."""
        self.last += 1
        if self.last > self._reserved:
            self._reserved = self.last + _BLOCK
            self._journal.put("counters", "event", self._reserved)
        if len(self._events) == _KEPT:
            self._oldest_known = self._events[0]["n"]
        self._events.append({"n": self.last, "type": kind, "chat_id": chat_id, **details})
        self.changed.set_off()

    def since(self, chat_id: int, after: int) -> dict[str, Any]:
        """Return the events of a chat after number `after`.

        Returns:
            `events`, `next` (the number to ask with again) and `missed`: true when older events are gone and the chat has to be
            read whole.
        """
        found = [event for event in self._events if event["n"] > after and event["chat_id"] in {chat_id, EVERYWHERE}]
        return {"events": found, "next": self.last, "missed": 0 < after < self._oldest_known}

    def forget(self) -> None:
        """Drop all events; numbers go on."""
        self._events.clear()
        self._oldest_known = self.last
        self.changed.set_off()
