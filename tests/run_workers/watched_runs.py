"""A code server whose run processes tell what they import, and which models pydantic builds in them.

Both cost every run anew; in the process that runs are forked from they cost once.
"""

import os
import sys
from multiprocessing import util
from pathlib import Path
from typing import Any

import pydantic
from pydantic._internal import _model_construction

from carousel_pipeline.run_workers import code_server

CANARY = "Canary"
FOLDER = "RUN_WORKERS_TEST_FOLDER"


def _watch(_: object) -> None:
    built: list[str] = []
    there = set(sys.modules)
    complete = _model_construction.complete_model_class

    def watched(cls: type[pydantic.BaseModel], *rest: Any, **options: Any) -> bool:
        built.append(cls.__name__)
        return complete(cls, *rest, **options)

    _model_construction.complete_model_class = watched
    pydantic.create_model(CANARY)  # shows that the watch is awake

    def tell() -> None:
        told = repr((built, sorted(set(sys.modules) - there)))
        (Path(os.environ[FOLDER]) / f"{os.getpid()}.watched").write_text(told, encoding="utf-8")

    util.Finalize(None, tell, exitpriority=0)


def serve(port: int) -> None:
    """Serve the product's definitions."""
    util.register_after_fork(_watch, _watch)  # called in run processes, not in the one that they are forked from
    code_server.serve("127.0.0.1", port)
