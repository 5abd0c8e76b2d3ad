"""Delivery of updates to the bot's webhook: in order per chat, in parallel between chats, until it answers 2xx."""

import asyncio
import json
import logging
import time
from typing import Any, Final

import aiohttp

from carousel_pipeline.local.telegram.state import World

_log = logging.getLogger(__name__)
_ANSWER_WITHIN: Final = aiohttp.ClientTimeout(total=60)
_BACKOFF_S: Final = (0.2, 0.5, 1, 2, 5, 10, 30)
_IDLE_S: Final = 30
SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- a header's name


class WebhookSender:
    """Delivers pending updates while a webhook is set.

    Args:
        world: whose updates.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lanes: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with aiohttp.ClientSession(timeout=_ANSWER_WITHIN) as session:
            try:
                while True:
                    self._fill_lanes(session)
                    await self._world.updates.changed.wait(_IDLE_S)
            finally:
                for lane in self._lanes.values():
                    lane.cancel()
                await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    def _fill_lanes(self, session: aiohttp.ClientSession) -> None:
        hook = self._world.journal.table("webhook")
        if not hook.get("url"):
            return
        for row in self._world.updates.pending():
            chat_id = row["chat_id"]
            if chat_id not in self._lanes and len(self._lanes) < hook.get("max_connections", 40):
                self._lanes[chat_id] = asyncio.create_task(self._lane(session, chat_id))
        again = self._world.updates.take_again()
        if again:
            # Out of order on purpose: a replay is what a bot must survive.
            self._lanes[-again[0]["update_id"]] = asyncio.create_task(self._replays(session, again))

    async def _replays(self, session: aiohttp.ClientSession, updates: list[dict[str, Any]]) -> None:
        try:
            for update in updates:
                await self._post(session, update)
        finally:
            self._lanes.pop(-updates[0]["update_id"], None)

    async def _lane(self, session: aiohttp.ClientSession, chat_id: int) -> None:
        failures = 0
        try:
            while True:
                update = self._world.updates.next_of(chat_id)
                if update is None or not self._world.journal.table("webhook").get("url"):
                    return
                if await self._post(session, update):
                    self._world.updates.confirm(update["update_id"])
                    failures = 0
                else:
                    await self._world.updates.changed.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                    failures += 1
        finally:
            del self._lanes[chat_id]
            self._world.updates.changed.set_off()

    async def _post(self, session: aiohttp.ClientSession, update: dict[str, Any]) -> bool:
        hook = self._world.journal.table("webhook")
        headers = {"Content-Type": "application/json"}
        if hook.get("secret_token"):
            headers[SECRET_HEADER] = hook["secret_token"]
        problem = ""
        try:
            async with session.post(hook["url"], data=json.dumps(update).encode(), headers=headers) as answer:
                await answer.read()
                if not answer.ok:
                    problem = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except TimeoutError:
            problem = "Read timeout expired"
        except aiohttp.ClientError as error:
            problem = f"Connection failed: {type(error).__name__}"
        if problem:
            _log.warning("webhook: %s", problem)
            self._world.journal.put("webhook", "last_error", {"date": int(time.time()), "message": problem})
        return not problem
