"""The project's definitions for a code server whose runs remember what they would paint and draw, see tests/remembered.py."""

from carousel_pipeline.definitions import defs
from carousel_pipeline.resources import Providers

from ..remembered import Remembering, remember  # noqa: TID252 - tests are no package

__all__ = ["defs"]

remember()
Providers.painter = lambda _self: Remembering()  # type: ignore[method-assign]  # what this module is for
