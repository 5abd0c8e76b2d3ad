"""ecs.yaml loads as Dagster's configuration, and the task that a run becomes is the one it describes."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster_aws.ecs import EcsRunLauncher

from carousel_pipeline.containers.entry import prepared
from carousel_pipeline.database import ensure_database
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.paths import resource

IMAGE = "registry.example/carousel-pipeline:0.1.0"
OVERLAY = Path(__file__).parents[2] / "carousel_pipeline" / "containers" / "ecs.yaml"


@pytest.fixture
def amazon(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Clients of a stand-in for Amazon; its cluster, network and bucket."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "a secret of no importance",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(
        Bucket="carousel-logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield boto3
    urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/moto-api/reset", method="POST")).close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Amazon is asked to run: the stand-in keeps task definitions, and fails at tasks whose memory is the whole task's."""
    found: dict[str, Any] = {}

    def run_task(_: EcsRunLauncher, **asked: Any) -> dict[str, str]:
        found.update(asked)
        return {"taskArn": "arn:task", "clusterArn": "arn:cluster"}

    monkeypatch.setattr(EcsRunLauncher, "_run_task", run_task)
    return found


@pytest.fixture
def instance(
    amazon: Any,  # noqa: ARG001 - Dagster's clients ask it, by its address
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.DagsterInstance]:
    ensure_database(postgres.url("ecs"))
    for name, value in {
        "DAGSTER_DATABASE_URL": postgres.url("ecs"),
        "CAROUSEL_LOGS_BUCKET": "carousel-logs",
        "ARTIFACTS_URL": "s3://carousel/artifacts",
        "AWS_REGION": "eu-central-1",
        "TELEGRAM_API_URL": "",
        "ANTHROPIC_MODEL": "a-model",
        "GEMINI_IMAGE_MODEL": "another",
    }.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "home"
    prepared({"DAGSTER_HOME": str(home), "CAROUSEL_DAGSTER_OVERLAY": str(OVERLAY)})
    with dg.DagsterInstance.from_config(str(home)) as loaded:
        yield loaded


def test_a_run_becomes_the_task_that_the_file_describes(
    instance: dg.DagsterInstance, amazon: Any, asked: dict[str, Any]
) -> None:
    repository = ReconstructableRepository.for_module(
        "carousel_pipeline.run_workers.bench_definitions", "defs", container_image=IMAGE
    )
    location = GrpcServerCodeLocationOrigin("code-server", 4000, location_name="carousel_pipeline")
    run = instance.create_run_for_job(
        repository.get_definition().get_job("in_process"),
        job_code_origin=repository.get_reconstructable_job("in_process").get_python_origin(),
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "in_process"),
        tags={"carousel/request": "a-request"},
    )
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))

    definition = amazon.client("ecs").describe_task_definition(taskDefinition=asked["taskDefinition"])["taskDefinition"]
    assert definition["family"].startswith("carousel")
    assert (definition["cpu"], definition["memory"]) == ("1024", "2048")
    assert definition["networkMode"] == "awsvpc"
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert definition["executionRoleArn"].endswith("/EXECUTION_ROLE")
    assert definition["taskRoleArn"].endswith("/TASK_ROLE")
    (container,) = definition["containerDefinitions"]
    assert container["image"] == IMAGE
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/carousel/runs"
    # The image's entry point makes DAGSTER_HOME, so a task must not replace it.
    assert "entryPoint" not in container or container["entryPoint"] == []
    environment = {item["name"]: item["value"] for item in container["environment"]}
    assert environment["DAGSTER_HOME"] == "/run/dagster"
    assert environment["ARTIFACTS_URL"] == "s3://carousel/artifacts"
    secrets = {item["name"] for item in container["secrets"]}
    assert secrets == {
        "DATABASE_URL", "DAGSTER_DATABASE_URL", "TELEGRAM_BOT_TOKEN", "ANTHROPIC_API_KEY", "GEMINI_API_KEY",
    }  # fmt: skip
    assert not secrets & set(environment), "a secret's value never stands in a task definition"
    (override,) = asked["overrides"]["containerOverrides"]
    assert override["name"] == "carousel"
    assert override["command"][:3] == ["dagster", "api", "execute_run"]
    assert {"key": "dagster/run_id", "value": run.run_id} in asked["tags"]
    assert {"key": "carousel/request", "value": "a-request"} in asked["tags"]
    assert (asked["cluster"], asked["launchType"]) == ("carousel", "FARGATE")
    assert asked["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
    assert instance.get_run_by_id(run.run_id).tags["ecs/task_arn"] == "arn:task"  # type: ignore[union-attr]  # it is there


def test_the_shipped_file_travels_with_the_package_and_a_missing_one_is_named(tmp_path: Path) -> None:
    assert OVERLAY.is_file()
    assert "max_concurrent_runs" in resource("dagster.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"there is no file /nowhere\.yaml"):
        prepared({"DAGSTER_HOME": str(tmp_path), "CAROUSEL_DAGSTER_OVERLAY": "/nowhere.yaml"})
