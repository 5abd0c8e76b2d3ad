"""The local store: whole objects or none, and no way out of its folder."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from carousel_pipeline.artifacts import LocalStore, content_key, open_store
from carousel_pipeline.artifacts.store import ArtifactMissingError
from carousel_pipeline.errors import ConfigurationError

KILLED: Final = """
import os, pathlib, signal, sys
from carousel_pipeline.artifacts import LocalStore
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
LocalStore(pathlib.Path(sys.argv[1])).put("objects/aa/picture.jpg", b"half a picture", content_type="image/jpeg")
"""


def killed_in_the_middle_of_a_write(root: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False).returncode == -signal.SIGKILL


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


def test_what_a_killed_writer_leaves_is_no_object_and_is_named_once_it_is_old(
    store: LocalStore, tmp_path: Path
) -> None:
    killed_in_the_middle_of_a_write(tmp_path)
    assert list(store.listing("")) == []
    assert list(store.unfinished(datetime.now(UTC) - timedelta(hours=1))) == []
    [left] = store.unfinished(datetime.now(UTC) + timedelta(seconds=1))
    store.delete(left)
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
