"""An installed wheel works in any folder: styles, fonts, SQL, Dagster's files and the catalogues travel with it (m17)."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CHECK = """
import sys
import carousel_pipeline
from pathlib import Path
from carousel_pipeline.paths import resource
home = Path(carousel_pipeline.__file__).parent
assert str(home).startswith(sys.argv[1]), home
for name in ("assets_static", "sql", "dagster.yaml", "workspace.yaml"):
    assert resource(name).is_relative_to(home), name
from carousel_pipeline.rendering import load_styles, render_deck
from carousel_pipeline.rendering.command import read_deck
deck = read_deck(resource("assets_static") / "examples" / "deck.json")
slides = render_deck(deck, load_styles()["editorial"], "4:5", [None] * len(deck.slides))
assert len(slides) == 7
from carousel_pipeline.database import query
query("requests.load"), query("ledger.claim"), query("bot.meet")
from bot.texts import texts
assert texts("ru") is not texts("en")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.finding("m17")
def test_everything_is_found_from_an_installed_wheel_in_another_folder(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-P", "-c", CHECK, str(installed)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]


def test_the_wheel_holds_the_product_and_nothing_else(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir()}
    assert tops == {"bot", "carousel_pipeline", "carousel_pipeline-0.1.0.dist-info"}
    names = [path.relative_to(installed).as_posix() for path in installed.rglob("*")]
    assert not [name for name in names if name.endswith((".pyc", ".lock", ".env")) or "/tests/" in name]
    fonts = list((installed / "carousel_pipeline/assets_static/fonts").glob("*.ttf"))
    assert fonts
    assert all(list(path.parent.glob(f"{path.stem}*LICENSE*")) for path in fonts)
