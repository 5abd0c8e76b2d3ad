"""What docker-compose.yml asks its services: `python -m carousel_pipeline.containers.health grpc PORT | http URL | bot | worker`.

Exit code 0 is healthy, 1 is not, with the reason on stderr. A question imports as little as it can: it is asked every few
seconds, on machines that are busy.
"""

import socket
import sys
import urllib.request
from collections.abc import Callable, Sequence

from carousel_pipeline.local.gate import speaks_grpc

_LIMIT_S = 5.0


def main(arguments: Sequence[str]) -> int:
    """Ask one question and return the exit code."""
    questions: dict[str, Callable[..., str]] = {"grpc": _grpc, "http": _http, "bot": _bot, "worker": _worker}
    question, *details = arguments
    problem = questions[question](*details)
    sys.stderr.write(problem and f"{problem}\n")
    return 1 if problem else 0


def _grpc(port: str) -> str:
    return "" if speaks_grpc(int(port)) else f"no gRPC server has loaded its code at port {port}"


def _http(url: str) -> str:
    try:
        urllib.request.urlopen(url, timeout=_LIMIT_S).close()  # noqa: S310 - an address of our own compose file
    except OSError as error:
        return f"{url}: {error}"
    return ""


def _bot() -> str:
    """Its event loop and its database work: the bot has no port to ask, but the server remembers its last query."""
    import psycopg  # noqa: PLC0415 - the other questions are asked without it

    from carousel_pipeline.database import connect, query  # noqa: PLC0415 - as above
    from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - as above

    url = get_settings().database_url
    if url is None:
        return "DATABASE_URL is not set"
    try:
        with connect(url.get_secret_value(), None) as connection:
            row = connection.execute(query("logins.works")).fetchone()
    except psycopg.Error as error:
        return f"the database does not answer: {type(error).__name__}"
    return "" if row is not None and row["works"] else "the bot has asked the database nothing for a minute"


def _worker() -> str:
    """It answers through the broker: a host name is its address."""
    from carousel_pipeline.run_workers.worker import answers  # noqa: PLC0415 - only workers have Celery to ask with
    from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - as above

    url = get_settings().carousel_broker_url
    if url is None:
        return "CAROUSEL_BROKER_URL is not set"
    host = socket.gethostname()
    try:
        return "" if answers(url.get_secret_value(), host) else f"the worker of {host} does not answer"
    except OSError as error:
        return f"the broker does not answer: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
