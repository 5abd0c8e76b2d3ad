"""The local store: whole objects or none, and no way out of its folder."""

from pathlib import Path

import pytest

from carousel_pipeline.artifacts import LocalStore, content_key, open_store
from carousel_pipeline.artifacts.store import ArtifactMissingError
from carousel_pipeline.errors import ConfigurationError


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_bytes_come_back_as_they_went(store: LocalStore) -> None:
    data = bytes(range(256))
    key = content_key(data, "bin")
    store.put(key, data, content_type="application/octet-stream")
    store.put(key, data, content_type="application/octet-stream")
    assert store.get(key) == data
    assert [item.key for item in store.listing("objects/")] == [key]
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


def test_a_missing_object_is_a_typed_error(store: LocalStore) -> None:
    with pytest.raises(ArtifactMissingError, match=r"requests/none/copy\.json"):
        store.get("requests/none/copy.json")


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a/../../b", "", "a//b", "a b", "a/.."])
def test_a_key_cannot_leave_the_folder(store: LocalStore, key: str) -> None:
    with pytest.raises(ValueError, match="not an artifact key"):
        store.put(key, b"x", content_type="text/plain")


def test_a_failed_write_leaves_no_half_object(store: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        store.put("requests/r/copy.json", "text, not bytes", content_type="application/json")  # type: ignore[arg-type]  # the fault
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.finding("m37")
def test_an_address_with_special_characters_is_decoded(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/with%20space")
    store.put("a.txt", b"x", content_type="text/plain")
    assert (tmp_path / "with space" / "a.txt").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["/plain/path", "ftp://host/x", "file://"])
def test_an_unknown_address_names_the_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ARTIFACTS_URL"):
        open_store(url)
