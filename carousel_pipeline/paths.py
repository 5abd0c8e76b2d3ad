"""Where the files live that are not Python: beside the package in a checkout, inside it in a wheel.

The predecessor assumed its own checkout and broke when installed (m17).
"""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def resource(name: str) -> Path:
    """Return the path of a shipped file or folder (`assets_static`, `sql`, `dagster.yaml`, `workspace.yaml`).

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for home in (_PACKAGE, _PACKAGE.parent):
        if (found := home / name).exists():
            return found
    raise FileNotFoundError(f"{name} is not part of this installation of carousel-pipeline; install it again")
