"""Money from outside: what is for sale, what providers say was paid, and the books it is entered in. Knows no Dagster.

What stays true: nothing here answers with a bare yes or no about a payment; a provider's report is parsed into a type that names
charge, sum, payer and order, and the database decides what it means (`sql/migrations/0007_payments.sql`).
"""

from carousel_pipeline.payments.packs import MONTHLY, PACKS, TERMS_VERSION, Pack
from carousel_pipeline.payments.stars import (
    StarsPaid,
    StarsReturned,
    SubscriptionChanged,
    Transaction,
    TransactionsError,
    read_transactions,
    read_update,
)

__all__ = [
    "MONTHLY",
    "PACKS",
    "TERMS_VERSION",
    "Pack",
    "StarsPaid",
    "StarsReturned",
    "SubscriptionChanged",
    "Transaction",
    "TransactionsError",
    "read_transactions",
    "read_update",
]
