"""Runs on a real Dagster: how they start, wait, fail and end. One stack for all; the order of the tests does not matter."""

import ast
import contextlib
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG

from carousel_pipeline.database import connect
from carousel_pipeline.errors import TransientError
from carousel_pipeline.run_workers.bench_stack import DagsterStack
from carousel_pipeline.run_workers.coordinator import _LOOKED_AT
from carousel_pipeline.tags import DISPATCH_TAG, USER_TAG

pytestmark = pytest.mark.xdist_group("dagster_stack")
PLACES = 5
Submit = Callable[..., str]


@pytest.fixture
def submit(dagster_stack: DagsterStack) -> Iterator[Submit]:
    submitted: list[str] = []

    def launch(job: str, user: str | None = None, *, dispatch: str | None = None, parent: str | None = None) -> str:
        key = str(uuid.uuid4())
        dagster_stack.add_partition("things", key)
        tags = {USER_TAG: user or key, DISPATCH_TAG: dispatch, PARENT_RUN_ID_TAG: parent, ROOT_RUN_ID_TAG: parent}
        run_id = dagster_stack.launch(job, key, {tag: value for tag, value in tags.items() if value})
        submitted.append(run_id)
        return run_id

    if dagster_stack.processes["code"].poll() is not None:
        dagster_stack.start_code_server()
        until(lambda: has_code_server(dagster_stack), limit_s=60)
    go(dagster_stack).unlink(missing_ok=True)
    yield launch
    go(dagster_stack).touch()
    for run_id in submitted:
        dagster_stack.wait(run_id)


def folder(stack: DagsterStack) -> Path:
    return stack.home.parent


def go(stack: DagsterStack) -> Path:
    return folder(stack) / "go"


def until(met: Callable[[], Any], limit_s: float = 90.0) -> Any:
    deadline = time.monotonic() + limit_s
    while not (result := met()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result


def process_of(stack: DagsterStack, run_id: str) -> psutil.Process:
    note = folder(stack) / f"{run_id}.pid"
    until(lambda: note.exists() and note.read_text())
    return psutil.Process(int(note.read_text()))


def events(stack: DagsterStack, run_id: str) -> list[str]:
    with connect(stack.environment["DAGSTER_DATABASE_URL"], None) as client:
        rows = client.execute(
            "select dagster_event_type as type from event_logs where run_id = %s order by id", (run_id,)
        )
        return [row["type"] for row in rows]


def statuses(stack: DagsterStack) -> dict[str, int]:
    with connect(stack.environment["DAGSTER_DATABASE_URL"], None) as client:
        return {row["status"]: row["n"] for row in client.execute("select status, count(*) as n from runs group by 1")}


def test_a_run_starts_at_once_in_a_warm_process(dagster_stack: DagsterStack, submit: Submit) -> None:
    runs = [submit("tell") for _ in range(3)]
    finished = [dagster_stack.wait(run_id) for run_id in runs]
    assert [run["status"] for run in finished] == ["SUCCESS"] * 3
    for run_id, run in zip(runs, finished, strict=True):
        assert "PIPELINE_ENQUEUED" not in events(dagster_stack, run_id)
        # A fresh interpreter needs several seconds; the figure itself is the benchmark's matter.
        assert run["stepStats"][0]["startTime"] - run["creationTime"] < 3


@pytest.mark.finding("M14")
def test_runs_share_nothing_that_lives(dagster_stack: DagsterStack, submit: Submit) -> None:
    runs = [submit("tell") for _ in range(2)]
    for run_id in runs:
        dagster_stack.wait(run_id)
    one, other = (ast.literal_eval((folder(dagster_stack) / run_id).read_text(encoding="utf-8")) for run_id in runs)
    assert one["parent"] == other["parent"] != dagster_stack.processes["code"].pid, "not forked from the same process"
    for kind in ("pid", "random", "numpy", "numpy_legacy"):
        assert one[kind] != other[kind]
    assert not set(one["sockets"]) & set(other["sockets"])
    assert set(one["threads"]) <= {
        "MainThread", "QueueFeederThread", "idle-connections", "parent-watch", "termination-handler",
    }  # fmt: skip
    fork_server = psutil.Process(one["parent"])
    assert fork_server.num_threads() == 1
    assert not fork_server.net_connections()


def test_everything_a_run_needs_is_preloaded(dagster_stack: DagsterStack, submit: Submit) -> None:
    run_id = submit("tell")
    dagster_stack.wait(run_id)
    state = ast.literal_eval((folder(dagster_stack) / run_id).read_text(encoding="utf-8"))
    late = {
        name for name in state["imported"] if name.split(".")[0] in ("dagster", "dagster_postgres", "carousel_pipeline")
    }
    assert not late, f"imported again and again, in each run: add to run_workers/preload.py {sorted(late)}"


def test_a_killed_run_process_fails_its_run(dagster_stack: DagsterStack, submit: Submit) -> None:
    run = dagster_stack.wait(submit("die"), limit_s=20)
    assert run["status"] == "FAILURE"


def test_a_canceled_run_ends_its_process(dagster_stack: DagsterStack, submit: Submit) -> None:
    run_id = submit("wait")
    process = process_of(dagster_stack, run_id)
    dagster_stack.terminate(run_id)
    assert dagster_stack.wait(run_id)["status"] == "CANCELED"
    until(lambda: not lives(process))


def test_simultaneous_submissions_never_exceed_the_limit(dagster_stack: DagsterStack, submit: Submit) -> None:
    most = 0

    def look() -> None:
        nonlocal most
        active = statuses(dagster_stack)
        most = max(most, active.get("STARTED", 0) + active.get("STARTING", 0))

    with ThreadPoolExecutor(30) as threads:
        launched = [threads.submit(submit, "wait") for _ in range(30)]
        until(lambda: look() or all(future.done() for future in launched))
    runs = [future.result() for future in launched]
    until(lambda: statuses(dagster_stack).get("STARTED") == PLACES)
    assert statuses(dagster_stack)["QUEUED"] == 30 - PLACES
    go(dagster_stack).touch()
    until(lambda: look() or "QUEUED" not in statuses(dagster_stack), limit_s=60)
    assert {dagster_stack.wait(run_id)["status"] for run_id in runs} == {"SUCCESS"}
    # The daemon marks a run as starting before the launcher counts again; such a run has no process.
    assert most <= PLACES + 1


def test_a_dispatch_gets_one_run_however_often_it_is_submitted(dagster_stack: DagsterStack, submit: Submit) -> None:
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(4) as threads:
        runs = [one.result() for one in [threads.submit(submit, "wait", dispatch=key) for _ in range(4)]]
    first = next(run_id for run_id in runs if dagster_stack.run(run_id)["status"] != "CANCELED")
    others = [run_id for run_id in runs if run_id != first]
    assert {dagster_stack.run(run_id)["status"] for run_id in others} == {"CANCELED"}
    assert all("PIPELINE_STARTING" not in events(dagster_stack, run_id) for run_id in others)
    go(dagster_stack).touch()
    assert dagster_stack.wait(first)["status"] == "SUCCESS"
    assert dagster_stack.run(submit("wait", dispatch=key))["status"] == "CANCELED"
    again = submit("wait", dispatch=key, parent=first)  # as the button of the Dagster UI does
    assert dagster_stack.wait(again)["status"] == "SUCCESS"


def test_one_users_rush_does_not_keep_another_waiting(dagster_stack: DagsterStack, submit: Submit) -> None:
    greedy = str(uuid.uuid4())
    rush = [submit("wait", greedy) for _ in range(5)]
    modest = submit("wait")
    dagster_stack.wait(modest, "STARTED")
    assert "PIPELINE_ENQUEUED" not in events(dagster_stack, modest)
    assert [dagster_stack.run(run_id)["status"] for run_id in rush[3:]] == ["QUEUED", "QUEUED"]


def test_a_queue_full_of_one_users_runs_is_passed(dagster_stack: DagsterStack, submit: Submit) -> None:
    """More than the coordinator looks at: then the queue itself has to let another user through."""
    greedy = str(uuid.uuid4())
    with ThreadPoolExecutor(8) as threads:
        rush = [run.result() for run in [threads.submit(submit, "wait", greedy) for _ in range(_LOOKED_AT + 10)]]
    modest = submit("wait")
    dagster_stack.wait(modest, "STARTED")
    now = [dagster_stack.run(run_id)["status"] for run_id in rush]
    assert (now.count("STARTED"), now.count("QUEUED")) == (3, len(rush) - 3)
    for run_id, status in zip(rush, now, strict=True):
        if status == "QUEUED":
            dagster_stack.terminate(run_id)


def test_a_run_survives_a_restart_of_postgres(
    dagster_stack: DagsterStack, submit: Submit, crash_postgres: Callable[[str], None]
) -> None:
    run_id = submit("wait")
    process_of(dagster_stack, run_id)
    crash_postgres(dagster_stack.environment["DAGSTER_DATABASE_URL"])
    go(dagster_stack).touch()
    assert dagster_stack.wait(run_id)["status"] == "SUCCESS"
    assert dagster_stack.wait(submit("tell"))["status"] == "SUCCESS"


def test_a_killed_fork_server_fails_its_runs_and_is_replaced(dagster_stack: DagsterStack, submit: Submit) -> None:
    run_id = submit("wait")
    process = process_of(dagster_stack, run_id)
    psutil.Process(process.ppid()).kill()
    assert dagster_stack.wait(run_id)["status"] == "FAILURE"
    assert not lives(process), "a run that is taken for dead must be dead"
    assert dagster_stack.wait(submit("tell"))["status"] == "SUCCESS"


def test_a_code_server_that_ends_leaves_nothing_behind(dagster_stack: DagsterStack, submit: Submit) -> None:
    stuck = submit("wait")
    process_of(dagster_stack, stuck)
    family = end_code_server(dagster_stack, signal.SIGTERM)
    until(lambda: "stopping; running runs" in dagster_stack.log("code"))
    late = submit("tell")
    assert dagster_stack.run(late)["status"] == "QUEUED"
    assert dagster_stack.wait(stuck)["status"] == "FAILURE", "a run that cannot finish in time is told"
    assert dagster_stack.processes["code"].wait(20) == 0
    until(lambda: not any(map(lives, family)), limit_s=5)

    dagster_stack.start_code_server()
    assert dagster_stack.wait(late)["status"] == "SUCCESS", "what came meanwhile has waited"

    go(dagster_stack).unlink(missing_ok=True)
    watched = submit("wait")
    process_of(dagster_stack, watched)
    family = end_code_server(dagster_stack, signal.SIGKILL)
    assert dagster_stack.wait(watched)["status"] == "FAILURE"
    until(lambda: not any(map(lives, family)))


def test_a_run_that_died_with_its_code_server_gives_its_place_back(dagster_stack: DagsterStack, submit: Submit) -> None:
    run_id = submit("wait")
    process = process_of(dagster_stack, run_id)
    until(lambda: dagster_stack.run(run_id)["status"] == "STARTED")
    process.suspend()  # as in a power cut, it has no time to say that it ends
    for relative in end_code_server(dagster_stack, signal.SIGKILL):
        with contextlib.suppress(psutil.NoSuchProcess):
            relative.kill()
    dagster_stack.processes["code"].wait(20)
    dagster_stack.start_code_server()
    assert dagster_stack.wait(run_id, limit_s=150)["status"] == "FAILURE"


def end_code_server(stack: DagsterStack, number: signal.Signals) -> list[psutil.Process]:
    """Send `number` to the code server; return its processes."""
    server = psutil.Process(stack.processes["code"].pid)
    family = server.children(recursive=True)
    server.send_signal(number)
    return family


def lives(process: psutil.Process) -> bool:
    """A zombie, which a container's first process may never collect, does not live."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def has_code_server(stack: DagsterStack) -> bool:
    try:
        stack.add_partition("things", "any")
        stack.launch("tell", "any")
    except TransientError:
        return False
    return True
