"""Imported once by the fork server: all that a run needs is in memory before the run is asked for.

`problem` is empty, or says why runs must not be forked from this process.
"""

import gc
import importlib
import os
import threading

from dagster import Definitions

from carousel_pipeline.memory import keep_freed
from carousel_pipeline.run_workers.run_process import DEFINITIONS, MODULES, PRELOAD_DEFINITIONS
from carousel_pipeline.settings import get_settings

ROOMS = (
    "carousel_pipeline.assets.drawing",
    "carousel_pipeline.assets.preview",
    "carousel_pipeline.copywriting.choose",
    "carousel_pipeline.delivery",
    "carousel_pipeline.imagery.checks",
    "carousel_pipeline.imagery.choose",
    "carousel_pipeline.imagery.painting",
    "carousel_pipeline.rendering",
    "carousel_pipeline.settings",
    "numpy.random",
)
# Data that each run would read anew: functions without arguments that keep what they have read.
WARMED = (
    "carousel_pipeline.copywriting.language:languages",
    "carousel_pipeline.delivery:warm",
    "carousel_pipeline.imagery.scene:warm",
    "carousel_pipeline.rendering.style:load_styles",
    "carousel_pipeline.run_workers.storage:warm",
    "PIL.Image:preinit",
)
# Where a key is set: the SDKs take seconds to import.
WRITER = "carousel_pipeline.copywriting.claude:warm"
PAINTER = "carousel_pipeline.imagery.gemini:warm"


def _load(definitions: str) -> None:
    for name in MODULES:
        importlib.import_module(name)
    if definitions == DEFINITIONS:
        for name in ROOMS:
            importlib.import_module(name)
        settings = get_settings()
        models = ((settings.anthropic_api_key, WRITER), (settings.gemini_api_key, PAINTER))
        for target in (*WARMED, *(model for key, model in models if key is not None)):
            name, function = target.split(":")
            getattr(importlib.import_module(name), function)()
        if os.environ.get("ARTIFACTS_URL", "").startswith("s3:"):
            importlib.import_module("carousel_pipeline.artifacts.s3").warm()
    module = importlib.import_module(definitions)
    for value in vars(module).values():
        if isinstance(value, Definitions):
            # Dagster keeps what it has built with the definitions, so a fork finds its job ready.
            for job in value.get_repository_def().get_all_jobs():
                job.get_job_snapshot_id()


def _shared_by_a_fork() -> str:
    others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    return f"an import has started threads, which a fork would lose: {', '.join(others)}" if others else ""


_load(os.environ[PRELOAD_DEFINITIONS])
problem = _shared_by_a_fork()
keep_freed()  # a fork inherits it
gc.collect()
gc.freeze()  # the collector would otherwise touch every object and so copy every page in each run
