"""Import aiogram without building its thousand pydantic models.

aiogram 3 rebuilds every type of the Bot API when it is imported: 2-4 s and 100 MB on a small machine, for a bot that uses
thirty of them and a delivery that uses ten. Here the rebuild is put off until a type is first used, through pydantic's public
`model_rebuild`. What stays true: a type behaves exactly as with the stock import, and where aiogram was imported before, or
stops rebuilding at import, this changes nothing.

So whoever imports aiogram imports this module first; a package does it for its modules.
"""

import sys
from collections.abc import Iterable
from typing import Any, Literal, Optional, Union

from pydantic import BaseModel


def _put_off_rebuilds() -> None:
    if "aiogram" in sys.modules:
        return
    stock = BaseModel.__dict__["model_rebuild"]

    def later(_cls: type[BaseModel], /, **_: Any) -> None:
        return None

    # Only while aiogram is being imported; every other model in the process keeps pydantic's own method.
    BaseModel.model_rebuild = classmethod(later)  # type: ignore[method-assign,assignment]  # put back below
    try:
        import aiogram  # noqa: PLC0415 (the point is to import it here, under the patch)
        from aiogram import types  # noqa: PLC0415 - imported under the postponed rebuild
        from aiogram.client.default import Default  # noqa: PLC0415 - as above
        from aiogram.methods.base import Response, TelegramMethod  # noqa: PLC0415 - as above
    finally:
        BaseModel.model_rebuild = stock  # type: ignore[method-assign]  # as it was

    names = {name: getattr(types, name) for name in types.__all__}
    names |= {"List": list, "Optional": Optional, "Union": Union, "Literal": Literal, "Default": Default}

    def rebuild(
        cls: type[BaseModel],
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Any = None,
    ) -> bool | None:
        result: bool | None = stock.__func__(
            cls, force=force, raise_errors=raise_errors, _types_namespace=_types_namespace or names
        )
        return result

    for base in (aiogram.types.TelegramObject, TelegramMethod, Response):
        base.model_rebuild = classmethod(rebuild)  # type: ignore[method-assign,assignment]  # the point of it


def build(models: Iterable[type[BaseModel]]) -> None:
    """Build `models` now, so that neither the first update nor every forked run pays for them."""
    for model in models:
        model.model_rebuild()


_put_off_rebuilds()
