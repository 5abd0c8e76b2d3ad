"""What a person sees while the stack starts: moving lines on a terminal, one line per step where there is none.

A closed terminal must not stop the shutdown it causes: after the first failed write nothing is written any more.
"""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Screen:
    """Steps and notices of a long-running command.

    Args:
        console: where to; its `is_terminal` decides between moving and plain lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._gone = False

    @contextlib.contextmanager
    def steps(self) -> Iterator[None]:
        """Show the steps that begin inside the block together, where a terminal can."""
        if not self._console.is_terminal:
            yield
            return
        columns = SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=self._console) as self._progress:
            try:
                yield
            finally:
                self._progress.stop()
        self._progress = None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show `name` as going on until the block ends, then the time it took."""
        started = time.monotonic()
        progress = self._progress
        task = progress.add_task(name, total=1) if progress else None
        yield
        if progress is not None and task is not None:
            progress.update(task, completed=1)
        else:
            self.say(f"{name}: ready in {time.monotonic() - started:.1f} s")

    def say(self, text: str) -> None:
        """Print one notice."""
        if self._gone:
            return
        try:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        except OSError:
            self._gone = True
