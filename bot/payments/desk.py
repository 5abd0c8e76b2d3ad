"""What the handlers of the payment room work with."""

from dataclasses import dataclass

from carousel_pipeline.payments.books import Books
from carousel_pipeline.payments.yookassa import YooKassa


@dataclass(frozen=True, slots=True)
class Desk:
    """The books and what is switched on.

    Attributes:
        books: payments in the database.
        name: the bot's user name, for links to it.
        monthly: whether subscriptions are sold.
        yookassa: the ruble provider, when it is switched on.
        contact: where a person writes whom the bot cannot help.
    """

    books: Books
    name: str
    monthly: bool
    yookassa: YooKassa | None
    contact: str | None
