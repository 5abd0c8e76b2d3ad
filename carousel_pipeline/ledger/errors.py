"""From what Postgres refuses to what it means: SQLSTATE and constraint name become an error of the domain.

Messages carry the rule that was broken and never a row's values, which can hold a person's data; that is also why the
database's own error is not kept as the cause.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import psycopg

from carousel_pipeline.errors import PermanentError, TransientError


class LedgerError(PermanentError):
    """The ledger refused a call; nothing changed."""


class InsufficientCreditsError(LedgerError):
    """The user has fewer credits than the hold needs."""


class UserRestrictedError(LedgerError):
    """The user owes credits, or was restricted by an operator."""


class NoSuchRequestError(LedgerError):
    """No request has this id."""


class NoSuchUserError(LedgerError):
    """No user has this id."""


class NoSuchPaymentError(LedgerError):
    """This user never made that payment or order."""


class KeyReusedError(LedgerError):
    """A key that stands for one fact was used for another."""


class HoldConflictError(LedgerError):
    """A hold would have been opened or resolved a second time."""


class DeliveryConflictError(LedgerError):
    """A second live delivery of one request."""


class IllegalTransitionError(LedgerError):
    """The request is not in a state that allows this."""


class ActorRequiredError(LedgerError):
    """An operator's decision without a name or a reason."""


class OutOfRangeError(LedgerError):
    """An argument outside what the schema allows."""


class LedgerIntegrityError(LedgerError):
    """Somebody tried to get around the ledger, or its code has a bug: state and journal would disagree."""


class LedgerUnavailableError(TransientError):
    """The database is away or busy; the call may have happened and may be repeated as it is."""


_BY_STATE: Final = MappingProxyType(
    {
        "LD001": LedgerIntegrityError,
        "LD002": LedgerIntegrityError,
        "LD003": LedgerIntegrityError,
        "LD004": IllegalTransitionError,
        "LD005": LedgerIntegrityError,
        "LD006": KeyReusedError,
        "LD007": InsufficientCreditsError,
        "LD008": UserRestrictedError,
        "LD009": NoSuchRequestError,
        "LD010": ActorRequiredError,
        "LD011": OutOfRangeError,
        "LD012": NoSuchPaymentError,
    }
)
_BY_CONSTRAINT: Final = MappingProxyType(
    {
        "wallet_available_not_negative": InsufficientCreditsError,
        "wallet_held_not_negative": HoldConflictError,
        "wallet_debt_not_negative": LedgerIntegrityError,
        "transfer_hold_opens_once": HoldConflictError,
        "transfer_hold_resolves_once": HoldConflictError,
        "transfer_hold_remainder_once": HoldConflictError,
        "delivery_one_live": DeliveryConflictError,
        "ops_action_actor_length": ActorRequiredError,
        "ops_action_reason_length": ActorRequiredError,
    }
)
_BUSY: Final = (
    psycopg.OperationalError,
    psycopg.errors.QueryCanceled,
    psycopg.errors.TransactionRollback,
)


@contextmanager
def ledger_errors() -> Iterator[None]:
    """Turn what psycopg raises inside the block into an error of the domain.

    Raises:
        LedgerError: the call was refused; repeating it changes nothing.
        LedgerUnavailableError: repeat the same call.
    """
    try:
        yield
    except psycopg.Error as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from None


def translate(error: psycopg.Error) -> LedgerError | LedgerUnavailableError | None:
    """Return the domain's error for what psycopg raised, None when it is a bug in a call (a typing or naming error)."""
    diagnosis = error.diag
    if (known := _BY_STATE.get(error.sqlstate or "")) is not None:
        return known(diagnosis.message_primary or error.sqlstate)
    if (name := diagnosis.constraint_name) is not None:
        return _of_constraint(error, name)(f"the ledger refused it: {name}")
    if isinstance(error, _BUSY):
        return LedgerUnavailableError(f"the ledger is away or busy ({type(error).__name__})")
    return None


def _of_constraint(error: psycopg.Error, name: str) -> type[LedgerError]:
    if (known := _BY_CONSTRAINT.get(name)) is not None:
        return known
    if isinstance(error, psycopg.errors.UniqueViolation):
        return KeyReusedError
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return NoSuchUserError if name.endswith("_user_fk") else NoSuchRequestError
    return OutOfRangeError
