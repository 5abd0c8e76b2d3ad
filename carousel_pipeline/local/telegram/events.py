"""What happened, numbered, for those who watch a chat: the page, the demo, the tests.

Numbers only grow, over restarts too, so a watcher can always ask for what came after the last one it saw. Old events are
forgotten; a watcher who slept too long is told to read the whole chat again.
"""

import heapq
import itertools
from collections import defaultdict, deque
from typing import Any, Final

from carousel_pipeline.local.telegram.journal import Journal
from carousel_pipeline.local.telegram.wakeup import Signal

EVERYWHERE: Final = 0  # the chat id of events that concern all chats
_KEPT: Final = 1_000  # per chat
_BLOCK: Final = 1_000  # numbers reserved at once, so that an event costs no journal line

Event = dict[str, Any]


class Events:
    """The last events of all chats.

    Args:
        journal: keeps the numbers growing over restarts.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._events: defaultdict[int, deque[Event]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._reserved = int(journal.table("counters").get("event", 0))
        self.last = self._reserved
        self._forgotten = self.last
        self._forgotten_of: dict[int, int] = {}
        self.changed = Signal()

    def publish(self, chat_id: int, kind: str, **details: Any) -> None:
        """Add an event of `kind` (message, edit, delete, callback_answer, chat_action, chat, bot)."""
        self.last += 1
        if self.last > self._reserved:
            self._reserved = self.last + _BLOCK
            self._journal.put("counters", "event", self._reserved)
        events = self._events[chat_id]
        if len(events) == _KEPT:
            self._forgotten_of[chat_id] = events[0]["n"]
        events.append({"n": self.last, "type": kind, "chat_id": chat_id, **details})
        self.changed.set_off()

    def since(self, chat_id: int, after: int) -> dict[str, Any]:
        """Return the events of a chat after number `after`.

        Returns:
            `events`, `next` (the number to ask with again) and `missed`: true when older events are gone and the chat has to be
            read whole.
        """
        newest_first = (
            itertools.takewhile(lambda event: event["n"] > after, reversed(self._events.get(name, ())))
            for name in (chat_id, EVERYWHERE)
        )
        found = list(heapq.merge(*newest_first, key=lambda event: -int(event["n"])))[::-1]
        forgotten = max(self._forgotten, self._forgotten_of.get(chat_id, 0))
        return {"events": found, "next": self.last, "missed": 0 < after < forgotten}

    def forget(self) -> None:
        """Drop all events; numbers go on."""
        self._events.clear()
        self._forgotten = self.last
        self.changed.set_off()
