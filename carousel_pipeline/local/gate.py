"""Import a program's modules at once, run it when gRPC answers: `python -m carousel_pipeline.local.gate PORT IMPORT PROGRAM …`.

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

_LIMIT_S = 120.0
_POLL_S = 0.1
_GREETING_S = 0.5
_EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _EMPTY_SETTINGS  # RFC 9113, 3.4


def main() -> None:
    """Import, wait, run. After two minutes the program is run all the same: it has error messages of its own."""
    port, preload, program, *arguments = sys.argv[1:]
    # Of all that an import makes next to nothing is garbage, and collecting costs a fifth of its time.
    gc.disable()
    importlib.import_module(preload)
    gc.freeze()
    gc.enable()
    deadline = time.monotonic() + _LIMIT_S
    while not speaks_grpc(int(port)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    sys.argv = [program, *arguments]
    runpy.run_module(program, run_name="__main__")


def speaks_grpc(port: int) -> bool:
    """Return whether a gRPC server on `port` of 127.0.0.1 greets back.

    A code server that is still loading has its port open and says nothing: a connection alone proves too little.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_GREETING_S) as connection:
            connection.sendall(_GREETING)
            return len(connection.recv(len(_EMPTY_SETTINGS))) > 0
    except OSError:
        return False


if __name__ == "__main__":
    main()
