"""`carousel doctor` on real things: an empty and a migrated database, a folder that cannot be written, wrong settings."""

import json
from pathlib import Path

import pytest

from carousel_pipeline.doctor import doctor, examine


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAROUSEL_HOME", str(tmp_path / "home"))


def states() -> dict[str, str]:
    return {finding.name: finding.state for finding in examine()}


def words(name: str) -> str:
    return next(finding.words for finding in examine() if finding.name == name)


def test_a_fresh_machine_is_well_and_says_what_is_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert {finding["name"]: finding["state"] for finding in report["findings"]} == {
        "settings": "ok",
        "database": "ok",
        "fonts": "ok",
        "storage": "ok",
        "stack": "ok",
        "telegram": "demo",
        "writer": "demo",
        "painter": "demo",
    }


def test_for_people_each_thing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor() == 0
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_a_migrated_database_is_well(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert states()["database"] == "ok"


def test_an_empty_database_needs_migrations(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert "0001_ledger.sql" in words("database")
    assert "carousel migrate" in words("database")


def test_an_unreachable_database_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hush-hush@127.0.0.1:1/none")
    assert states()["database"] == "broken"
    assert "DATABASE_URL" in words("database")
    assert "hush" not in words("database")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARTIFACTS_URL", (tmp_path / "file" / "folder").as_uri())
    assert states()["storage"] == "broken"
    assert doctor() == 1


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "short")
    assert states() == {"settings": "broken"}
    assert "TELEGRAM_BOT_TOKEN" in words("settings")
