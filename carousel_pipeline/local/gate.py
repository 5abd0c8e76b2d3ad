"""Import a program's modules at once, run it when a port answers: `python -m carousel_pipeline.local.gate PORT IMPORT PROGRAM …`.

The Dagster UI and daemon need seconds to import and cannot do anything before the code server listens. Started at once they
would ask it too early, and gRPC then waits longer and longer before it asks again; started afterwards they would import while
nothing else is left to do.
"""

import gc
import importlib
import runpy
import socket
import sys
import time

_LIMIT_S = 60.0
_POLL_S = 0.05


def main() -> None:
    """Import, wait, run. After a minute the program is run all the same: it has error messages of its own."""
    port, preload, program, *arguments = sys.argv[1:]
    # Of all that an import makes next to nothing is garbage, and collecting costs a fifth of its time.
    gc.disable()
    importlib.import_module(preload)
    gc.freeze()
    gc.enable()
    deadline = time.monotonic() + _LIMIT_S
    while not _listens(int(port)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    sys.argv = [program, *arguments]
    runpy.run_module(program, run_name="__main__")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
