"""The image's entry point: `python -m carousel_pipeline.containers.entry PROGRAM …` prepares what PROGRAM reads, then is it.

- DAGSTER_HOME is made anew at every start, as on one machine: with the shipped dagster.yaml, whose logs then need no bucket.
- Without a bot token, the one of the local Telegram is used; with one, nobody can end up at the local Telegram.
- Without ARTIFACTS_URL, the storage beside is used, with the key that was made for it.
"""

import os
import shutil
import sys
from pathlib import Path

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.dagster_home import write_local_instance
from carousel_pipeline.paths import resource

LOCAL_ARTIFACTS = "s3://carousel/artifacts"


def main() -> None:
    """Become PROGRAM; 2 when a setting is wrong, with the reason on stderr."""
    program, *arguments = sys.argv[1:]
    try:
        environment = prepared(dict(os.environ))
    except ConfigurationError as error:
        sys.stderr.write(f"carousel: {error}\n")
        sys.exit(2)
    # The same process goes on, so signals reach the program itself.
    os.execvpe(program, [program, *arguments], environment)  # noqa: S606 - no shell wanted; the image names the program


def prepared(environment: dict[str, str]) -> dict[str, str]:
    """Return the program's environment; writes DAGSTER_HOME where one is named.

    Raises:
        ConfigurationError: a Bot API server is named, but no token.
    """
    if home := environment.get("DAGSTER_HOME"):
        overlay = environment.get("CAROUSEL_DAGSTER_OVERLAY")
        if overlay and not Path(overlay).is_file():
            raise ConfigurationError(f"CAROUSEL_DAGSTER_OVERLAY: there is no file {overlay}")
        folder = write_local_instance(
            Path(home),
            cluster=bool(environment.get("CAROUSEL_BROKER_URL")),
            overlay=Path(overlay) if overlay else None,
        )
        shutil.copyfile(resource("workspace.yaml"), folder / "workspace.yaml")
    return environment | _local_telegram(environment) | _local_storage(environment)


def _local_telegram(environment: dict[str, str]) -> dict[str, str]:
    token_file = environment.get("LOCAL_TELEGRAM_TOKEN_FILE")
    if token_file is None or environment.get("TELEGRAM_BOT_TOKEN"):
        return {}
    if environment.get("TELEGRAM_API_URL"):
        raise ConfigurationError(
            "TELEGRAM_API_URL is set but TELEGRAM_BOT_TOKEN is not: set the token of your bot on that server, "
            "or remove TELEGRAM_API_URL to use the local Telegram"
        )
    return {
        "TELEGRAM_BOT_TOKEN": Path(token_file).read_text(encoding="ascii"),
        "TELEGRAM_API_URL": environment["LOCAL_TELEGRAM_URL"],
    }


def _local_storage(environment: dict[str, str]) -> dict[str, str]:
    key_file = environment.get("LOCAL_STORAGE_KEY_FILE")
    if key_file is None or environment.get("ARTIFACTS_URL"):
        return {}
    return {
        "ARTIFACTS_URL": LOCAL_ARTIFACTS,
        "S3_ENDPOINT_URL": environment["LOCAL_STORAGE_URL"],
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "carousel",
        "AWS_SECRET_ACCESS_KEY": Path(key_file).read_text(encoding="ascii"),
    }


if __name__ == "__main__":
    main()
