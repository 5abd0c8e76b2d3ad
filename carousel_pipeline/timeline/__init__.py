"""Where a request's time went, from what is known of it: pure, from facts to one story, a table and a picture."""

from carousel_pipeline.timeline.facts import Fact
from carousel_pipeline.timeline.picture import svg_of
from carousel_pipeline.timeline.story import Bar, Chapter, Mark, Row, Timeline, timeline
from carousel_pipeline.timeline.words import as_table, as_text, as_values

__all__ = [
    "Bar",
    "Chapter",
    "Fact",
    "Mark",
    "Row",
    "Timeline",
    "as_table",
    "as_text",
    "as_values",
    "svg_of",
    "timeline",
]
