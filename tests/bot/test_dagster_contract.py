"""The bot's GraphQL against the schema of the Dagster that is installed, so that an upgrade cannot break it silently."""

import subprocess
import sys

_CHECK = """
from dagster_graphql.schema import create_schema
from graphql import parse, validate
from bot.dagster_client import ADD_PARTITION, FIND_RUN, LAUNCH_RUN
schema = create_schema().graphql_schema
errors = [str(error) for text in (ADD_PARTITION, FIND_RUN, LAUNCH_RUN) for error in validate(schema, parse(text))]
def members(name):
    return {kind.name for kind in schema.type_map[name].types}
assert {"AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"} <= members("AddDynamicPartitionResult")
assert "LaunchRunSuccess" in members("LaunchRunResult")
assert "Runs" in members("RunsOrError")
assert {"selector", "runConfigData", "executionMetadata"} <= set(schema.type_map["ExecutionParams"].fields)
assert {"jobName", "repositoryName", "repositoryLocationName"} <= set(schema.type_map["JobOrPipelineSelector"].fields)
print(errors)
"""


def test_dagster_understands_the_bot() -> None:
    done = subprocess.run([sys.executable, "-c", _CHECK], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
