"""Run tags: how a run is found from a request. Internal ids only, never a Telegram id or a text."""

REQUEST_TAG = "carousel/request"
DISPATCH_TAG = "carousel/dispatch"
USER_TAG = "carousel/user"
SECOND_LIFE_TAG = "carousel/second-life"
HOUSE = "house"


def partition_tags(job: str, request_id: str) -> dict[str, str]:
    """Return Dagster's own tags of a job's run for one partition.

    By the second one the job's partitions page and "Re-execute from failure" in a backfill find the run.
    """
    return {"dagster/partition": request_id, "dagster/partition_set": f"{job}_partition_set"}


def run_tags(request_id: str, dispatch_key: str, user_id: int | None) -> dict[str, str]:
    """Return the tags of a run for one dispatch of a request."""
    tags = {REQUEST_TAG: request_id, DISPATCH_TAG: dispatch_key}
    return tags if user_id is None else {**tags, USER_TAG: str(user_id)}
