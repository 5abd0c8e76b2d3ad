"""The store that ARTIFACTS_URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import regex

from carousel_pipeline.artifacts.store import ArtifactStore, LocalStore
from carousel_pipeline.errors import ConfigurationError

_BUCKET = regex.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def open_store(url: str) -> ArtifactStore:
    """Return the store at `file:///folder` or `s3://bucket/prefix`; opens no connection.

    Where it is S3, S3_ENDPOINT_URL, AWS_REGION and the access key come from the settings.

    Raises:
        ConfigurationError: the address is of no known kind.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        from carousel_pipeline.artifacts.s3 import S3Store  # noqa: PLC0415 - 20 MB that a local folder does not need
        from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - read late, never at import

        settings = get_settings()
        return S3Store(
            parts.netloc,
            unquote(parts.path).strip("/"),
            endpoint=settings.s3_endpoint_url,
            region=settings.aws_region,
            key_id=settings.aws_access_key_id,
            secret=settings.aws_secret_access_key,
        )
    raise ConfigurationError(
        f"ARTIFACTS_URL must be file:///some/folder or s3://bucket/prefix, not "
        f"{parts.scheme or 'an address without a scheme'}{'://' + parts.netloc if parts.scheme == 's3' else ''}"
    )
