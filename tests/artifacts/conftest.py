"""S3 over a socket: a store in a bucket of its own, and the same server when it checks every signature and policy."""

import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import botocore.session
import pytest
from pydantic import SecretStr

from carousel_pipeline.artifacts.s3 import S3Store

MakeStore = Callable[..., S3Store]
_EVERYTHING = ("ListBucket", "GetObject", "PutObject", "DeleteObject", "CreateBucket")


@pytest.fixture
def make_store(s3_endpoint: str) -> MakeStore:
    """A function that returns a store with a key, by default in a new bucket's name, below a prefix."""
    bucket = f"carousel-{secrets.token_hex(6)}"

    def make(
        bucket: str = bucket,
        *,
        endpoint: str = s3_endpoint,
        region: str | None = None,
        key_id: str | None = "AKIATEST",
        secret: str | None = "a secret of no importance",  # noqa: S107 - of a test's server
    ) -> S3Store:
        word = SecretStr(secret) if secret else None
        return S3Store(bucket, "pro duct", endpoint=endpoint, region=region, key_id=key_id, secret=word)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> S3Store:
    made = make_store()
    made.prepare()
    return made


@dataclass(frozen=True)
class Account:
    """What somebody was given to sign with."""

    key_id: str
    secret: str


@pytest.fixture
def strict(s3_endpoint: str) -> Iterator[Callable[..., Account]]:
    """A server that checks every signature and policy; the function makes accounts, by what they may do."""
    iam = botocore.session.Session().create_client(
        "iam", "us-east-1", endpoint_url=s3_endpoint, aws_access_key_id="root", aws_secret_access_key="root"
    )
    made: list[tuple[str, str]] = []

    def account(*allowed: str) -> Account:
        """Make an account before the server becomes strict."""
        name = f"user-{secrets.token_hex(4)}"
        iam.create_user(UserName=name)
        actions = [f"s3:{action}" for action in allowed or _EVERYTHING]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, key["AccessKeyId"]))
        return Account(key["AccessKeyId"], key["SecretAccessKey"])

    everything, only_list = account(), account("ListBucket")
    _unchecked_requests(s3_endpoint, "0")
    yield lambda *allowed: only_list if allowed else everything
    _unchecked_requests(s3_endpoint, "Infinity")
    iam.close()


def _unchecked_requests(endpoint: str, number: str) -> None:
    request = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", number.encode(), {"Content-Type": "text/plain"}, method="POST"
    )
    urllib.request.urlopen(request).close()
