"""Both fake APIs, each on a port of its own, driven through the real SDKs; and a log that remembers what was recorded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pytest

from carousel_pipeline.providers import Call, CallFailedError, Ended, Failure
from carousel_pipeline.providers.calls import Step

from .fake_claude import FakeClaude
from .fake_gemini import FakeGemini
from .serving import served

Fake = TypeVar("Fake")


@dataclass
class Served(Generic[Fake]):
    """A fake and where it listens."""

    fake: Fake
    url: str


@dataclass
class Remembered:
    """A call log that keeps what it is told."""

    tries: int = 0
    step: Step = "copy"
    refuse: Failure | None = None
    begun: list[Call] = field(default_factory=list)
    ended: dict[int, Ended] = field(default_factory=dict)

    def begin(self, call: Call) -> int:
        if self.refuse is not None:
            raise CallFailedError(self.refuse)
        self.begun.append(call)
        return len(self.begun)

    def end(self, number: int, ended: Ended) -> None:
        assert number not in self.ended
        self.ended[number] = ended

    @property
    def outcomes(self) -> list[str]:
        return [self.ended[number].outcome for number in sorted(self.ended)]


@pytest.fixture
def log() -> Remembered:
    return Remembered()


@pytest.fixture
def claude() -> Iterator[Served[FakeClaude]]:
    fake = FakeClaude()
    with served(fake.app()) as url:
        yield Served(fake, url)


@pytest.fixture
def gemini() -> Iterator[Served[FakeGemini]]:
    fake = FakeGemini()
    with served(fake.app()) as url:
        yield Served(fake, url)
