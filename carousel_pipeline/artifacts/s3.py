"""Objects in S3 or anything that speaks its protocol.

Botocore is the client, which boto3 only wraps: the bot reads objects too, and its memory is small. What stays true:

- plain PUT, GET, HEAD, LIST and DELETE under SigV4, without checksum trailers: stricter and smaller servers refuse the rest;
- nothing depends on conditional writes, which most servers ignore: keys are content hashes, and Postgres decides who is first;
- a bucket that is missing, a key that may not, a wrong secret, a wrong region and a server that is away are five different
  sentences (M12); the predecessor had one;
- one client per process, made after the fork, closed at its end (M14, M21).
"""

import atexit
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from pydantic import SecretStr

from carousel_pipeline.artifacts.store import LINK_VALID_S, ArtifactMissingError, StoredObject, checked_key, verified
from carousel_pipeline.errors import CarouselError, ConfigurationError, PermanentError, TransientError

DEFAULT_REGION: Final = "us-east-1"
_CONNECT_S: Final = 5
_READ_S: Final = 30
_TRIES: Final = 4
_CONNECTIONS: Final = 16
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_WRONG_REGION: Final = frozenset(
    {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
# Some servers say the second of one's own bucket; whose it is shows when it is used.
_MADE_ALREADY: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class S3Store:
    """Objects below a prefix of one bucket.

    Args:
        bucket: its name.
        prefix: of every key, without slashes at its ends; empty for none.
        endpoint: address of another server than Amazon's.
        region: the bucket's; None for what the machine is set up with, else `us-east-1`.
        key_id: of an access key; None for what the machine offers: its role, profile or environment.
        secret: of the access key.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        key_id: str | None = None,
        secret: SecretStr | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        self._access = (endpoint, region, key_id, secret)

    @property
    def _client(self) -> Any:
        return _client(*self._access)

    @property
    def _where(self) -> str:
        return f"the bucket {self._bucket} at {self._endpoint or 'Amazon S3'}"

    def prepare(self) -> None:
        """Make the bucket, in the region, if there is none."""
        with self._our_errors():
            try:
                self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
            except ClientError as error:
                if _code(error) != "NoSuchBucket":
                    raise
                self._create()
                self.check()

    def _create(self) -> None:
        region = self._client.meta.region_name
        # The one region that must not be named is the default one (m25).
        place = {} if region == DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self._client.create_bucket(Bucket=self._bucket, **place)
        except ClientError as error:
            if _code(error) not in _MADE_ALREADY:
                raise

    def check(self) -> None:
        """Ask for one key below the prefix."""
        with self._our_errors():
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store `data` whole or not at all."""
        name = key.rpartition("/")[2]
        with self._our_errors():
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(key),
                Body=data,
                ContentType=content_type,
                ContentDisposition=_disposition(name),
            )

    def get(self, key: str) -> bytes:
        """Return the object's bytes, or raise `ArtifactMissingError` or `ArtifactCorruptError`."""
        with self._our_errors(key):
            with self._client.get_object(Bucket=self._bucket, Key=self._key(key))["Body"] as body:
                data: bytes = body.read()
            return verified(key, data)

    def exists(self, key: str) -> bool:
        """Whether an object is stored under `key`."""
        with self._our_errors():
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._key(key))
            except ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        with self._our_errors():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key))

    def listing(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key starts with `prefix`, page after page (M13)."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._our_errors():
            for page in pages:
                for item in page.get("Contents", ()):
                    yield StoredObject(item["Key"].removeprefix(self._prefix), item["LastModified"])

    def unfinished(self, before: datetime) -> Iterator[str]:  # noqa: ARG002 - an upload is stored whole or not at all
        """Yield nothing: no writer leaves half an object here."""
        return iter(())

    def link(self, key: str, file_name: str) -> str:
        """Return a signed address that downloads the object as `file_name`."""
        with self._our_errors():
            link: str = self._client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": self._key(key),
                    "ResponseContentDisposition": _disposition(file_name),
                },
                ExpiresIn=LINK_VALID_S,
            )
        return link

    def _key(self, key: str) -> str:
        return self._prefix + checked_key(key)

    @contextmanager
    def _our_errors(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._refusal(error, key) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise ConfigurationError(
                f"nothing to sign with for {self._where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or give this machine a role"
            ) from None
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise TransientError(
                f"{self._where} cannot be reached ({type(error).__name__}): check S3_ENDPOINT_URL and the network"
            ) from None
        except HTTPClientError as error:
            raise TransientError(f"{self._where} broke off ({type(error).__name__})") from None
        except BotoCoreError as error:
            raise PermanentError(f"{self._where}: {error}") from None

    def _refusal(self, error: ClientError, key: str) -> CarouselError:
        code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            return ConfigurationError(
                f"ARTIFACTS_URL: there is no {self._where.removeprefix('the ')}; make it, or name another"
            )
        if key and code in _MISSING:
            return ArtifactMissingError(f"no stored object {key}")
        if code == "InvalidAccessKeyId":
            return ConfigurationError(f"{self._where} does not know AWS_ACCESS_KEY_ID")
        if code == "SignatureDoesNotMatch":
            return ConfigurationError(
                f"{self._where} refuses the signature: AWS_SECRET_ACCESS_KEY is not this key's secret"
            )
        if code == "RequestTimeTooSkewed":
            return ConfigurationError(f"{self._where} refuses the time: set this machine's clock")
        if code in _WRONG_REGION:
            return ConfigurationError(f"{self._where} is in another region than AWS_REGION says")
        if status in {401, 403}:
            return ConfigurationError(
                f"{self._where} refuses this key ({code}): it needs to list the bucket and to get, put and delete its objects"
            )
        if status == 429 or status >= 500:
            return TransientError(f"{self._where} is busy or broken ({code})")
        return PermanentError(f"{self._where} refuses the request: {code}")


def warm() -> None:
    """Read what every fork would read anew to make its client; connects to nothing."""
    _session().create_client(
        "s3",
        DEFAULT_REGION,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",  # noqa: S106 - signs nothing
    ).close()


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@functools.cache
def _client(endpoint: str | None, region: str | None, key_id: str | None, secret: SecretStr | None) -> Any:
    session = _session()
    client = session.create_client(
        "s3",
        region_name=region or session.get_config_variable("region") or DEFAULT_REGION,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            # A server of one's own rarely has a name per bucket.
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "max_attempts": _TRIES},
            max_pool_connections=_CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    atexit.register(client.close)
    return client


os.register_at_fork(after_in_child=_client.cache_clear)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _disposition(name: str) -> str:
    """As RFC 6266 has it: a plain name for old browsers, the true one for the rest."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
