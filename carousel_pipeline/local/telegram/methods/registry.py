"""How a method is written: `@method("sendMessage")` on a coroutine that takes a Call and returns the JSON result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from carousel_pipeline.local.telegram.arguments import Arguments
from carousel_pipeline.local.telegram.faults import Fault
from carousel_pipeline.local.telegram.limits import Limits
from carousel_pipeline.local.telegram.stars import Stars
from carousel_pipeline.local.telegram.state import World


@dataclass
class Call:
    """One call of the bot.

    Attributes:
        world: the state it acts on.
        arguments: its parameters.
        limits: the pace it has to keep.
        stars: the money.
        fault: the fault that fires for this call, for the methods a fault reaches into.
        sent: messages it sent although it was refused in the end; logged like accepted ones.
    """

    world: World
    arguments: Arguments
    limits: Limits
    stars: Stars
    fault: Fault | None = None
    sent: list[dict[str, Any]] | None = None

    def target(self, messages: int = 1) -> int:
        """Return the id of the chat to write to, counted against the limits.

        Raises:
            RefusedError: unknown, blocked, or too fast.
        """
        chat_id = self.world.reachable(self.arguments.text("chat_id"))
        self.limits.spend(chat_id, messages)
        return chat_id


Method = Callable[[Call], Awaitable[Any]]
methods_by_name: Final[dict[str, tuple[str, Method]]] = {}


def method(name: str) -> Callable[[Method], Method]:
    """Register a coroutine as the Bot API method `name`."""

    def register(function: Method) -> Method:
        methods_by_name[name.lower()] = (name, function)
        return function

    return register
