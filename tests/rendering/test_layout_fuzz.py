"""Whatever is typed: no exception, no glyph 0, nothing outside, on the outlines and on the pixels.

The short version of `python -m carousel_pipeline.rendering.fuzz --strings 10000`, which tries the same kinds of strings.
"""

from carousel_pipeline.rendering.fuzz import fuzz


def test_nothing_a_person_can_type_leaves_its_box(seed: int) -> None:
    found = fuzz(270, seed)
    assert not found.failures, found.failures[:3]
    assert found.slides == found.strings // 9 * 4
