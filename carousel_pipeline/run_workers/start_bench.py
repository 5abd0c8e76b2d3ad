"""`carousel bench start`: how long `carousel up` takes until every part answers, and what its parts hold in memory then.

No setting of whoever measures comes in. Memory is PSS, the fair share: a page that a forked process has in common with its parent
is counted once, so the sum over a part's processes is what the machine gives for it. RSS would count it again in each.
"""

import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from carousel_pipeline.errors import TransientError
from carousel_pipeline.local.stack import Running, find_running
from carousel_pipeline.run_workers.bench import percentiles
from carousel_pipeline.settings import Settings

_DEFINITIONS: Final = "carousel_pipeline.definitions"
_READY_S: Final = 180.0
_STOP_S: Final = 60.0
_POLL_S: Final = 0.05
# The code server has prepared its warm process a moment after it answers.
_SETTLED_S: Final = 10.0


def bench_start(runs: int = 3) -> dict[str, Any]:
    """Measure in a folder of its own, and clean up.

    Args:
        runs: how many starts of each kind.

    Returns:
        `first_up_s`, with a new database, and `up_s`, with the one there is, until every part has answered; `import_s` and
        `modules` of the definitions; `memory_mb` by part of the stack.
    """
    imports = [_import() for _ in range(runs)]
    with tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True) as folder:
        first = []
        for number in range(runs):
            with _up(Path(folder) / str(number)) as (_, seconds):
                first.append(seconds)
        again = []
        for _ in range(runs):
            with _up(Path(folder) / "0") as (running, seconds):
                again.append(seconds)
                time.sleep(_SETTLED_S)
                memory = {part: megabytes(pid) for part, pid in running.processes.items()}
    return {
        "first_up_s": percentiles(first),
        "up_s": percentiles(again),
        "import_s": percentiles(seconds for seconds, _ in imports),
        "modules": imports[0][1],
        "memory_mb": memory,
        "machine": f"{os.cpu_count()} x {platform.machine()}, Python {platform.python_version()}",
        "load_before": round(os.getloadavg()[2], 2),
        "seed": None,
        "runs": runs,
    }


def _import() -> tuple[float, int]:
    code = f"import time; t = time.perf_counter(); import {_DEFINITIONS}, sys; print(time.perf_counter() - t, len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - as it says
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)


@contextlib.contextmanager
def _up(home: Path) -> Iterator[tuple[Running, float]]:
    """Start the stack on `home` as a person does, and yield it with the seconds that took."""
    command = [sys.executable, "-c", "from carousel_pipeline.cli import main; main()", "up"]
    environment = os.environ | dict.fromkeys(map(str.upper, Settings.model_fields), "") | {"CAROUSEL_HOME": str(home)}
    begun = time.perf_counter()
    with (
        home.with_suffix(".log").open("ab") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, cwd=home.parent, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            while (running := find_running(home)) is None or not running.ready:
                if process.poll() is not None or time.perf_counter() - begun > _READY_S:
                    said = home.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
                    raise TransientError(f"carousel up did not start; it said:\n{said[-2000:]}")
                time.sleep(_POLL_S)
            yield running, time.perf_counter() - begun
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_STOP_S)


def megabytes(pid: int) -> int:
    """Return the PSS of a process and all that come from it."""
    parent = psutil.Process(pid)
    shares = 0
    for process in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            shares += process.memory_full_info().pss
    return round(shares / 2**20)
