"""The S3 store against a server over a socket: pages, faults in words, headers, links, hashes, forks."""

import hashlib
import hmac
import multiprocessing
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from moto.s3.models import s3_backends

from carousel_pipeline.artifacts import content_key, open_store
from carousel_pipeline.artifacts.s3 import S3Store, _client
from carousel_pipeline.artifacts.store import ArtifactCorruptError, ArtifactMissingError
from carousel_pipeline.errors import ConfigurationError, TransientError
from carousel_pipeline.settings import get_settings

MakeStore = Callable[..., S3Store]
KEY = "requests/r/copy.json"
BEYOND_A_PAGE = 1_003


def raw(endpoint: str) -> Any:
    """Somebody else's client for the same server."""
    return botocore.session.Session().create_client(
        "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id="other", aws_secret_access_key="other"
    )


def fill(bucket: str, keys: list[str]) -> None:
    """Put objects where the server keeps them: a thousand requests would take eight seconds."""
    backend = s3_backends["123456789012"]["aws"]
    for key in keys:
        backend.put_object(bucket, key, b"x")


def test_bytes_come_back_as_they_went_and_go_for_good(store: S3Store) -> None:
    data = bytes(range(256))
    key = content_key(data, "bin")
    assert not store.exists(key)
    store.put(key, data, content_type="application/octet-stream")
    store.put(key, data, content_type="application/octet-stream")
    assert store.exists(key)
    assert store.get(key) == data
    assert [item.key for item in store.listing("objects/")] == [key]
    store.delete(key)
    store.delete(key)
    with pytest.raises(ArtifactMissingError, match=key):
        store.get(key)


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a/../../b", "", "a//b", "a b", "a/.."])
def test_a_key_cannot_leave_the_prefix(store: S3Store, key: str) -> None:
    with pytest.raises(ValueError, match="not an artifact key"):
        store.put(key, b"x", content_type="text/plain")


@pytest.mark.finding("M13")
def test_a_listing_goes_on_after_the_first_thousand(store: S3Store, make_store: MakeStore) -> None:
    other = make_store(f"{store._bucket}-2")
    other.prepare()
    keys = [f"objects/{number:05}.txt" for number in range(BEYOND_A_PAGE)]
    fill(store._bucket, [f"pro duct/{key}" for key in keys])
    store.put("other/a.txt", b"x", content_type="text/plain")
    assert [item.key for item in store.listing("objects/")] == keys
    assert list(other.listing("objects/")) == []


@pytest.mark.finding("n11")
def test_a_browser_downloads_an_object_under_a_good_name(store: S3Store, s3_endpoint: str) -> None:
    store.put(KEY, b"{}", content_type="application/json")
    head = raw(s3_endpoint).head_object(Bucket=store._bucket, Key=f"pro duct/{KEY}")
    assert head["ContentType"] == "application/json"
    assert head["ContentDisposition"].startswith('attachment; filename="copy.json"')
    with urllib.request.urlopen(store.link(KEY, 'Пять "привычек".json')) as answer:
        assert answer.read() == b"{}"
        assert answer.headers["Content-Type"] == "application/json"
        name = answer.headers["Content-Disposition"]
    assert urllib.parse.unquote(name.partition("UTF-8''")[2]) == 'Пять "привычек".json'
    assert name.count('"') == 2


def test_a_link_is_signed_as_amazon_says(make_store: MakeStore) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYabcdefgh"
    link = urllib.parse.urlsplit(make_store(secret=secret, region="eu-central-1").link(KEY, "copy.json"))
    fields = urllib.parse.parse_qsl(link.query)
    signature = dict(fields)["X-Amz-Signature"]
    signed = sorted((name, value) for name, value in fields if name != "X-Amz-Signature")
    query = "&".join(
        f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(value, safe='')}" for name, value in signed
    )
    request = "\n".join(["GET", link.path, query, f"host:{link.netloc}", "", "host", "UNSIGNED-PAYLOAD"])
    date = dict(fields)["X-Amz-Date"]
    scope = f"{date[:8]}/eu-central-1/s3/aws4_request"
    assert dict(fields)["X-Amz-Credential"] == f"AKIATEST/{scope}"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    assert signature == key.hex()


def test_other_bytes_than_the_hash_promises_are_never_handed_out(store: S3Store, s3_endpoint: str) -> None:
    key = content_key(b"a slide", "jpg")
    store.put(key, b"a slide", content_type="image/jpeg")
    raw(s3_endpoint).put_object(Bucket=store._bucket, Key=f"pro duct/{key}", Body=b"a slid!")
    with pytest.raises(ArtifactCorruptError, match="is not what was stored"):
        store.get(key)


@pytest.mark.finding("m25")
def test_a_bucket_is_made_in_the_region_that_is_set(make_store: MakeStore, s3_endpoint: str) -> None:
    for bucket, region, place in (("in-frankfurt", "eu-central-1", "eu-central-1"), ("at-home", "us-east-1", None)):
        store = make_store(bucket, region=region)
        store.prepare()
        store.prepare()
        assert raw(s3_endpoint).get_bucket_location(Bucket=bucket)["LocationConstraint"] == place


@pytest.mark.finding("M12")
def test_each_fault_has_a_sentence_of_its_own(make_store: MakeStore, strict: Callable[..., Any]) -> None:
    right, reader = strict(), strict("ListBucket")
    store = make_store(key_id=right.key_id, secret=right.secret)
    store.prepare()
    store.put(KEY, b"{}", content_type="application/json")
    assert store.get(KEY) == b"{}"
    assert [item.key for item in store.listing("requests/")] == [KEY]
    store.delete(KEY)
    with pytest.raises(ArtifactMissingError):
        store.get(KEY)

    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY is not this key's secret"):
        make_store(key_id=right.key_id, secret="not it").check()
    with pytest.raises(ConfigurationError, match="does not know AWS_ACCESS_KEY_ID"):
        make_store(key_id="AKIANOBODY", secret="not it").check()
    with pytest.raises(ConfigurationError, match="refuses this key"):
        make_store(key_id=reader.key_id, secret=reader.secret).put(KEY, b"{}", content_type="application/json")
    missing = make_store("nobody-made-it", key_id=right.key_id, secret=right.secret)
    for use in (missing.check, lambda: missing.get(KEY), lambda: missing.put(KEY, b"", content_type="text/plain")):
        with pytest.raises(ConfigurationError, match="there is no bucket nobody-made-it"):
            use()


@pytest.mark.finding("M12", "m22")
def test_a_server_that_is_away_may_be_tried_again(make_store: MakeStore) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = make_store(endpoint=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(TransientError, match=r"cannot be reached.*S3_ENDPOINT_URL"):
            away.check()


@pytest.mark.finding("M12")
def test_nothing_to_sign_with_names_the_settings(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ConfigurationError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        make_store(region="eu-west-9", key_id=None, secret=None).check()


@pytest.mark.finding("M20", "m37")
def test_the_settings_make_the_store(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "S3_ENDPOINT_URL": s3_endpoint,
        "AWS_REGION": "eu-north-1",
        "AWS_ACCESS_KEY_ID": "AKIASETTINGS",
        "AWS_SECRET_ACCESS_KEY": "a+b/c=d e:f@g" * 3,
    }.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    store = open_store("s3://by-settings/pre%20fix/deep/")
    store.prepare()
    store.put(KEY, b"{}", content_type="application/json")
    listed = raw(s3_endpoint).list_objects_v2(Bucket="by-settings")["Contents"]
    assert [item["Key"] for item in listed] == [f"pre fix/deep/{KEY}"]
    assert "AKIASETTINGS" in store.link(KEY, "copy.json")


@pytest.mark.finding("M23")
def test_half_a_key_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAHALF")
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together"):
        get_settings()


@pytest.mark.finding("M14")
def test_a_fork_has_a_client_of_its_own(store: S3Store) -> None:
    store.put(KEY, b"{}", content_type="application/json")
    assert _client.cache_info().currsize
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        theirs.send((_client.cache_info().currsize, store.get(KEY)))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    assert ours.poll(30)
    assert ours.recv() == (0, b"{}")
    process.join()
