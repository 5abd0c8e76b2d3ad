"""What a start imports: nothing that only a run needs, and not more every month. Counted, not timed."""

import subprocess
import sys
from typing import Final

BUDGET: Final = 1_080
# Each takes tenths of a second; the warm process has what a run needs, see run_workers/preload.py.
ONLY_A_RUN: Final = (
    *("PIL", "aiogram", "aiohttp", "anthropic", "boto3", "botocore", "celery", "dagster_aws", "dagster_celery"),
    *("dagster_graphql", "dagster_webserver", "google.auth", "google.genai", "grpc", "matplotlib", "numpy", "polars"),
    *("psycopg2", "requests", "rich", "sqlalchemy", "uharfbuzz"),
)  # fmt: skip


def imported(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_definitions_import_little() -> None:
    found = imported("carousel_pipeline.definitions")
    assert [name for name in ONLY_A_RUN if name in found] == []
    assert len(found) <= BUDGET, "something new is imported at every start: look with python -X importtime"


def test_every_module_that_must_stay_away_is_one_that_a_run_or_a_test_can_import() -> None:
    """A name with a typing error would never be found."""
    code = "import importlib.util, sys; print(*(n for n in sys.argv[1:] if importlib.util.find_spec(n) is None))"
    done = subprocess.run([sys.executable, "-c", code, *ONLY_A_RUN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
