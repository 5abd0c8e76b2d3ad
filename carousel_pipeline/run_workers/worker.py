"""`carousel worker`: a host's part of a cluster. Celery takes runs from the broker; each runs in a fork of a warm process.

As on one machine, a run process is a fork of a process that has imported everything and connected to nothing, and it makes
one run: nothing is left over from another person's (M14).
"""

import importlib
import os
from typing import Final

from celery import Celery  # type: ignore[import-untyped]  # ships no types
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.run_workers.run_process import DEFINITIONS, PRELOAD_DEFINITIONS

QUEUE: Final = "dagster"
_PRELOAD: Final = "carousel_pipeline.run_workers.preload"


def serve(broker_url: str, *, concurrency: int, definitions: str = DEFINITIONS, host: str = "%h") -> None:
    """Take runs until SIGTERM; what runs then is finished first.

    Args:
        broker_url: Redis, `redis://host:6379/0`.
        concurrency: runs at once.
        definitions: module with the `Definitions` object, imported before the first fork.
        host: the worker's name in the cluster; `%h` is this machine's.

    Raises:
        ConfigurationError: the process cannot be forked from.
    """
    os.environ[PRELOAD_DEFINITIONS] = definitions
    problem: str = importlib.import_module(_PRELOAD).problem
    if problem:
        raise ConfigurationError(problem)
    app = cluster_app(broker_url)
    app.worker_main(
        [
            "worker",
            f"--concurrency={concurrency}",
            f"--queues={QUEUE}",
            f"--hostname=runs@{host}",
            "--max-tasks-per-child=1",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ]
    )


def cluster_app(broker_url: str) -> Celery:
    """Return the Celery application that workers and questions to them share."""
    app: Celery = make_app(  # type: ignore[no-untyped-call]  # dagster-celery's
        {
            "broker": broker_url,
            "config_source": {
                # Another host may be idle: nobody takes more than it can begin.
                "worker_prefetch_multiplier": 1,
                "worker_disable_prefetch": True,
                "task_ignore_result": True,
                "broker_connection_retry_on_startup": True,
                "worker_hijack_root_logger": False,
            },
        }
    )
    create_execute_job_task(app)
    return app


def answers(broker_url: str, host: str) -> bool:
    """Whether the worker of a host answers."""
    return bool(cluster_app(broker_url).control.ping(destination=[f"runs@{host}"], timeout=3.0))
