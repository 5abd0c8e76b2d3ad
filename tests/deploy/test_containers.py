"""What the image's entry point, keys and questions do by themselves."""

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carousel_pipeline.containers import health
from carousel_pipeline.containers.databases import read_passwords
from carousel_pipeline.containers.entry import prepared
from carousel_pipeline.containers.keys import LOGINS, UI_USER, write_keys
from carousel_pipeline.errors import ConfigurationError

REAL_TOKEN = "8123456789:AAF3jQ9dTn0xZkLw2pVbR7sYcHuEoMi4GqA"


@pytest.fixture
def local(tmp_path: Path) -> dict[str, str]:
    """What compose sets for the bot and the code server."""
    write_keys(tmp_path)
    return {
        "LOCAL_TELEGRAM_URL": "http://local-telegram:8081",
        "LOCAL_TELEGRAM_TOKEN_FILE": str(tmp_path / "telegram" / "token"),
    }


def test_keys_are_random_once_and_the_same_ever_after(tmp_path: Path) -> None:
    write_keys(tmp_path / "one")
    files = {path: path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()}
    (tmp_path / "one" / "bot" / "pgpass").unlink()
    write_keys(tmp_path / "one")
    assert {path: path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()} == files
    write_keys(tmp_path / "two")
    assert (tmp_path / "two" / "bot" / "pgpass").read_bytes() != files[tmp_path / "one" / "bot" / "pgpass"]


@pytest.mark.finding("M23")
def test_each_owner_has_its_logins_alone_in_a_file_that_libpq_accepts(tmp_path: Path) -> None:
    write_keys(tmp_path)
    passwords = read_passwords(tmp_path / "admin" / "pgpass")
    assert len(set(passwords.values())) == len(passwords) == 5
    assert min(map(len, passwords.values())) >= 32
    for owner, logins in LOGINS.items():
        file = tmp_path / owner / "pgpass"
        assert read_passwords(file) == {login: passwords[login] for login in logins}
        assert file.stat().st_mode & 0o077 == 0
    assert (tmp_path / "admin" / "password").read_text() == passwords["postgres"]


def test_the_proxy_s_file_fits_the_password_that_the_operator_reads(tmp_path: Path) -> None:
    write_keys(tmp_path)
    password = (tmp_path / "ui" / "password").read_text().strip()
    user, _, hashed = (tmp_path / "ui" / "htpasswd").read_text().strip().partition(":{SSHA}")
    raw = base64.b64decode(hashed)
    assert user == UI_USER
    assert hashlib.sha1(password.encode() + raw[20:], usedforsecurity=False).digest() == raw[:20]
    assert (tmp_path / "ui" / "htpasswd").stat().st_mode & 0o004


def test_without_a_token_the_local_telegram_stands_in(local: dict[str, str]) -> None:
    environment = prepared(local | {"TELEGRAM_BOT_TOKEN": "", "TELEGRAM_API_URL": ""})
    assert environment["TELEGRAM_API_URL"] == local["LOCAL_TELEGRAM_URL"]
    assert environment["TELEGRAM_BOT_TOKEN"] == Path(local["LOCAL_TELEGRAM_TOKEN_FILE"]).read_text()


def test_without_a_bucket_the_storage_beside_is_used_with_its_own_key(tmp_path: Path) -> None:
    write_keys(tmp_path)
    given = {
        "ARTIFACTS_URL": "",
        "LOCAL_STORAGE_URL": "http://storage:7070",
        "LOCAL_STORAGE_KEY_FILE": str(tmp_path / "storage" / "secret"),
    }
    environment = prepared(given)
    assert environment["S3_ENDPOINT_URL"] == "http://storage:7070"
    assert environment["AWS_SECRET_ACCESS_KEY"] == (tmp_path / "storage" / "secret").read_text()
    assert environment["ARTIFACTS_URL"].startswith("s3://")
    assert prepared(given | {"ARTIFACTS_URL": "s3://another"}) == given | {"ARTIFACTS_URL": "s3://another"}


def test_a_real_bot_never_ends_up_at_the_local_telegram(local: dict[str, str]) -> None:
    given = local | {"TELEGRAM_BOT_TOKEN": REAL_TOKEN, "TELEGRAM_API_URL": ""}
    assert prepared(given) == given


def test_a_server_without_a_token_is_refused_by_name_before_the_program_starts(local: dict[str, str]) -> None:
    given = local | {"TELEGRAM_API_URL": "http://bot-api:8081"}
    with pytest.raises(ConfigurationError, match="TELEGRAM_BOT_TOKEN is not"):
        prepared(given)
    command = [sys.executable, "-m", "carousel_pipeline.containers.entry", "echo", "started"]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("carousel: TELEGRAM_API_URL is set")


def test_the_instance_is_ready_before_the_program_and_needs_no_bucket(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carousel_pipeline.containers.entry", "ls", "--", str(tmp_path / "home")]
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dagster.yaml", "workspace.yaml"]
    assert "BUCKET" not in (tmp_path / "home" / "dagster.yaml").read_text()


@pytest.mark.finding("M18")
def test_questions_to_nobody_say_what_is_missing(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["grpc", "1"]) == 1
    assert "port 1" in capsys.readouterr().err
    assert health.main(["http", "http://127.0.0.1:1/server_info"]) == 1
    assert "/server_info" in capsys.readouterr().err
    assert health.main(["bot"]) == 1
    assert "DATABASE_URL" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database_url)
        health_without_a_bot(capsys)


def health_without_a_bot(capsys: pytest.CaptureFixture[str]) -> None:
    from carousel_pipeline.settings import get_settings

    get_settings.cache_clear()
    assert health.main(["bot"]) == 1
    assert "for a minute" in capsys.readouterr().err
