"""Facts by the second."""

from datetime import UTC, datetime, timedelta

from carousel_pipeline.timeline import Fact

ZERO = datetime(2026, 11, 28, 12, tzinfo=UTC)


def fact(name: str, began: float, ended: float | None = None, **more: object) -> Fact:
    """A fact that began and ended so many seconds after noon; one without an end is a moment."""
    end = began if ended is None else ended
    return Fact(name, ZERO + timedelta(seconds=began), ZERO + timedelta(seconds=end), **more)  # type: ignore[arg-type]


def unended(name: str, began: float, **more: object) -> Fact:
    return Fact(name, ZERO + timedelta(seconds=began), None, **more)  # type: ignore[arg-type]


OUTLINE = [
    fact("received", 0, 1),
    fact("dispatch_outline", 1, 1.25),
    fact("opened", 1),
    fact("run", 1.5, run_id="o"),
    fact("copy", 1.75, 4, run_id="o"),
    fact("write", 2, 3.75, run_id="o", detail="anthropic claude", outcome="ok"),
    fact("outlined", 4.25),
    fact("show_outline", 4.25, 4.5),
]
ORDERED = [fact("dispatch", 100, 100.25), fact("confirmed", 100), fact("state", 100, detail="reserved")]
MADE = [
    fact("run", 100.5, run_id="a"),
    fact("images", 101, 103, run_id="a"),
    fact("state", 101, run_id="a", detail="running"),
    fact("paint", 101.25, 102.75, run_id="a", slide=1, detail="gemini flash", outcome="ok"),
    fact("paint", 101.5, 103, run_id="a", slide=2, detail="gemini flash", outcome="stand_in"),
    fact("stored", 102.75, slide=1, detail="picture"),
    fact("stored", 103, slide=2, detail="picture"),
    fact("rendered_slides", 103.25, 104, run_id="a"),
    fact("slide", 103.25, 103.5, run_id="a", slide=1),
    fact("slide", 103.5, 103.75, run_id="a", slide=2),
    fact("stored", 103.75, slide=1, detail="slide"),
    fact("state", 104, detail="rendered"),
    fact("delivery_receipt", 104.25, 105, run_id="a"),
]
SENT = [
    fact("delivery", 104.25, 105, outcome="sent"),
    fact("sending", 104.25, 104.75, run_id="a"),
    fact("state", 105, detail="delivered"),
    fact("tell", 105, 105.25),
]
