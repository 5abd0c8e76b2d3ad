"""Hand a request to Dagster over GraphQL, at most once per dispatch.

What stays true: a dispatch row names one run. Whoever tries again looks for a run tagged with the row's key first, so an answer
that was lost on the way does not start a second run; `PromptRunCoordinator` cancels one that is submitted all the same, and the
ledger's fencing is the net below. Anything Dagster does not answer properly is `DagsterUnavailableError`: the row is tried again,
and the sensor `dispatch_requests` tries too.
"""

from typing import Any, Final

import aiohttp

from bot.errors import DagsterUnavailableError
from carousel_pipeline.tags import DISPATCH_TAG, partition_tags, run_tags

LOCATION: Final = "carousel_pipeline"
REPOSITORY: Final = "__repository__"
PARTITIONS: Final = "requests"
JOBS: Final = frozenset({"outline", "carousel", "edit"})

# One that was made and never submitted, because the webserver was killed in between, will never run.
FIND_RUN: Final = """
query FindRun($tags: [ExecutionTag!]!) {
  runsOrError(
    filter: {tags: $tags, statuses: [QUEUED, STARTING, STARTED, SUCCESS, FAILURE, CANCELING, CANCELED]}, limit: 1
  ) {
    __typename
    ... on Runs { results { runId } }
  }
}
"""
ADD_PARTITION: Final = """
mutation AddPartition($repository: RepositorySelector!, $partitions: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $partitions, partitionKey: $key) { __typename }
}
"""
LAUNCH_RUN: Final = """
mutation LaunchRun($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
  }
}
"""


class DagsterClient:
    """The three operations the bot needs.

    Args:
        session: an open HTTP session; its owner closes it.
        url: address of the GraphQL endpoint, `http://host:port/graphql`.
        timeout_s: for each call.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout_s: float = 10.0) -> None:
        self._session = session
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def dispatch(
        self, request_id: str, job: str, dispatch_key: str, user_id: int | None, *, again: bool = False
    ) -> str:
        """Make sure that a run of `job` exists for this dispatch and return its id.

        Args:
            request_id: the partition.
            job: what to run.
            dispatch_key: of the dispatch row.
            user_id: internal user id, for fair queueing.
            again: whether it was tried before, so that there may be a run.

        Raises:
            DagsterUnavailableError: there may be no run; try again.
        """
        if again:
            found = await self._call(FIND_RUN, {"tags": [{"key": DISPATCH_TAG, "value": dispatch_key}]}, "runsOrError")
            if results := found.get("results"):
                return str(results[0]["runId"])
        repository = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}
        added = await self._call(
            ADD_PARTITION,
            {"repository": repository, "partitions": PARTITIONS, "key": request_id},
            "addDynamicPartition",
        )
        if added["__typename"] not in {"AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"}:
            raise DagsterUnavailableError(f"addDynamicPartition: {added['__typename']}")
        tags = {**partition_tags(job, request_id), **run_tags(request_id, dispatch_key, user_id)}
        params = {
            "selector": {**repository, "jobName": job},
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        launched = await self._call(LAUNCH_RUN, {"params": params}, "launchRun")
        if launched["__typename"] != "LaunchRunSuccess":
            raise DagsterUnavailableError(f"launchRun: {launched['__typename']}")
        return str(launched["run"]["runId"])

    async def _call(self, query: str, variables: dict[str, Any], field: str) -> dict[str, Any]:
        try:
            async with self._session.post(
                self._url, json={"query": query, "variables": variables}, timeout=self._timeout
            ) as response:
                answer = await response.json(content_type=None)
            result: dict[str, Any] = answer["data"][field]
            result["__typename"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise DagsterUnavailableError(f"Dagster did not answer {field}: {type(error).__name__}") from None
        return result
