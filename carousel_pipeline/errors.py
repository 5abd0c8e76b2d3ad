"""The errors that decisions are made of. A room raises these; an adapter decides what a retry, a refund or a message is.

`PermanentError` must never be retried: the same input fails again. `TransientError` may be, after `retry_after_s` if the other
side named a time. Anything else is a bug and fails the run, which refunds the request.
"""


class CarouselError(Exception):
    """Base of every error this project raises on purpose."""


class PermanentError(CarouselError):
    """Trying again changes nothing."""


class TransientError(CarouselError):
    """Worth trying again.

    Attributes:
        retry_after_s: seconds the other side asked for, or None.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigurationError(PermanentError):
    """A setting is missing or wrong; the message names it and says what to do."""
