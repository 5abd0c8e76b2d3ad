"""A key decides which writer and painter a deployment gets; until one is called, no SDK is loaded."""

import subprocess
import sys

from carousel_pipeline.copywriting.choose import choose_writer
from carousel_pipeline.imagery.choose import choose_painter
from carousel_pipeline.settings import Settings


def test_without_keys_both_are_demos() -> None:
    writer, painter = choose_writer(Settings()), choose_painter(Settings())
    assert (writer.name, writer.demo) == ("offline", True)
    assert (painter.name, painter.demo) == ("procedural", True)


def test_with_keys_both_are_models_of_the_settings() -> None:
    settings = Settings.model_validate(
        {
            "anthropic_api_key": "sk-ant-0123456789abcdef",
            "gemini_api_key": "AIza0123456789abcdef",
            "anthropic_model": "claude-x",
        }
    )
    writer, painter = choose_writer(settings), choose_painter(settings)
    assert (writer.name, writer.demo) == ("claude-x", False)
    assert (painter.name, painter.demo) == (settings.gemini_image_model, False)


def test_choosing_loads_no_sdk() -> None:
    modules = "carousel_pipeline.copywriting.choose, carousel_pipeline.imagery.choose"
    check = f"import sys, {modules}; sys.exit(any(name in sys.modules for name in ('anthropic', 'google.genai')))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
