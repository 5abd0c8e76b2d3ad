"""Charts of a summary, drawn by matplotlib: as PNG on paper for the Dagster UI, as SVG for a page that has its own colours.

A figure is drawn in a handful of named colours and nothing else, so that the page can put a variable in the place of each and be
dark or light. Nothing here touches matplotlib's global state: figures are made without pyplot, and settings hold in a context.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from carousel_pipeline.paths import resource
from carousel_pipeline.usage.summary import STEPS, Summary

COLOURS: Final = MappingProxyType({
    "ink": "#1b1f24", "muted": "#6a737d", "line": "#e4e7eb", "paper": "#ffffff",
    "first": "#4f6bed", "second": "#0f9d8a", "third": "#e8930c", "bad": "#d6455d",
})  # fmt: skip
_WIDTH_IN: Final = 4.25
_HEIGHT_IN: Final = 2.5
_ROW_IN: Final = 0.29
_MOST_BARS: Final = 8
_MOST_TICKS: Final = 5
_MONTHS_FROM: Final = 120
_DARK_FROM: Final = 0.62
_NO_DATA: Final = "nothing in these days"

Draw = Callable[[Axes, Summary], None]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: what it is called, what it says in one line, how it is drawn."""

    title: str
    says: str
    draw: Draw


def svg(chart: Chart, summary: Summary) -> str:
    """Return the chart as an SVG element without a background."""
    with _look():
        figure = Figure(figsize=(_WIDTH_IN, _height(chart.draw, summary)), layout="constrained")
        chart.draw(figure.add_subplot(), summary)
        text = io.StringIO()
        figure.savefig(
            text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    whole = text.getvalue()
    return whole[whole.index("<svg") :]


def card(chart: Chart, summary: Summary) -> Figure:
    """Return the chart with its title, on paper."""
    with _look():
        figure = Figure(
            figsize=(_WIDTH_IN, _height(chart.draw, summary) + 0.4), layout="constrained", facecolor=COLOURS["paper"]
        )
        _titled(figure.add_subplot(), chart, summary)
    return figure


def overview(summary: Summary) -> Figure:
    """Return the four charts that tell at a glance how things are."""
    with _look():
        space = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = Figure(figsize=(2 * _WIDTH_IN, 2 * _HEIGHT_IN + 0.5), layout=space, facecolor=COLOURS["paper"])
        for axes, chart in zip(figure.subplots(2, 2).flat, _AT_A_GLANCE, strict=True):
            _titled(axes, chart, summary)
    return figure


def _titled(axes: Axes, chart: Chart, summary: Summary) -> None:
    chart.draw(axes, summary)
    axes.set_title(chart.title, loc="left", fontsize=10.5, color=COLOURS["ink"], pad=10)


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG on paper, about 30 kB: Dagster keeps it in its event log."""
    drawn, small = io.BytesIO(), io.BytesIO()
    with _look():
        figure.savefig(drawn, format="png", dpi=100)
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue()


# ---------- charts ------------------------------------------------------------------------------------


def funnel(axes: Axes, summary: Summary) -> None:
    """Asked, outlined, confirmed, delivered: bars with counts and the share of the step before."""
    steps = ("asked", "outlined", "confirmed", "delivered")
    counts = [int(summary.totals[step]) for step in steps]
    notes = [f"{counts[0]:,}"]
    notes += [f"{now:,}  ·  {now / before:.0%}" if before else f"{now:,}" for before, now in pairwise(counts)]
    _bars(axes, steps, counts, notes, "first")


def requests(axes: Axes, summary: Summary) -> None:
    """New requests and delivered carousels a day."""
    days = [row["day"] for row in summary.by_day]
    _lines(axes, days, {"asked": ("first", [row["asked"] for row in summary.by_day]),
                        "delivered": ("second", [row["delivered"] for row in summary.by_day])}, fill=True)  # fmt: skip


def money(axes: Axes, summary: Summary) -> None:
    """Income and cost a day, USD."""
    days = [row["day"] for row in summary.by_day]
    _lines(axes, days, {"income": ("second", [row["revenue_usd"] for row in summary.by_day]),
                        "cost": ("bad", [row["cost_usd"] for row in summary.by_day])}, fill=True)  # fmt: skip


def per_carousel(axes: Axes, summary: Summary) -> None:
    """Cost and margin of a delivered carousel, day by day, in cents."""
    rows = [row for row in summary.by_day if row["delivered"]]
    cost = [100 * row["cost_usd"] / row["delivered"] for row in rows]
    gain = [100 * (row["revenue_usd"] - row["cost_usd"]) / row["delivered"] for row in rows]
    _lines(axes, [row["day"] for row in rows], {"cost": ("bad", cost), "margin": ("second", gain)}, fill=False)
    if rows:
        axes.axhline(0, color=COLOURS["muted"], linewidth=0.8, zorder=1)


def costs(axes: Axes, summary: Summary) -> None:
    """Where the money for the providers went."""
    names = {
        "charged": "sold carousels",
        "free": "free outlines and changes",
        "refunded": "refunded",
        "house": "on the house",
    }
    spent = {label: float(summary.totals[f"cost_{name}_usd"]) for name, label in names.items()}
    whole = sum(spent.values())
    notes = [f"${usd:,.0f}  ·  {usd / whole:.0%}" if whole else "$0" for usd in spent.values()]
    _bars(axes, list(spent), list(spent.values()), notes, "third")


def refunds(axes: Axes, summary: Summary) -> None:
    """Refunded requests by reason."""
    shown = summary.refunds[:_MOST_BARS]
    counts = [int(row["requests"]) for row in shown]
    notes = [f"{row['requests']:,}  ·  {row['credits']:,} cr" for row in shown]
    _bars(axes, [row["reason"].replace("_", " ") for row in shown], counts, notes, "bad")


def latency(axes: Axes, summary: Summary) -> None:
    """Median to 95th percentile of each step, with the 99th as a tick."""
    steps = [step for step in STEPS if step in summary.latency]
    if not steps:
        _nothing(axes)
        return
    longest = max(summary.latency[step].p99 for step in steps)
    for at, step in enumerate(steps):
        found = summary.latency[step]
        axes.plot(
            [found.p50, found.p95], [at, at], color=COLOURS["first"], linewidth=5, alpha=0.3, solid_capstyle="round"
        )
        axes.plot([found.p50], [at], "o", color=COLOURS["first"], markersize=6)
        axes.plot([found.p99], [at], "|", color=COLOURS["muted"], markersize=8)
        axes.text(longest * 1.06, at, f"{found.p50:.1f} · {found.p95:.1f} · {found.p99:.1f}", va="center", fontsize=8,
                  color=COLOURS["muted"])  # fmt: skip
    axes.set_yticks(range(len(steps)), [STEPS[step] for step in steps])
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_xlim(0, longest * 1.5)
    axes.text(longest * 1.06, -0.62, "p50 · p95 · p99, s", fontsize=7.5, color=COLOURS["muted"], va="bottom")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.spines["left"].set_visible(False)


def waits(axes: Axes, summary: Summary) -> None:
    """Confirmed to album, median and 95th percentile a day."""
    _percentile_lines(axes, summary, "total")


def queue(axes: Axes, summary: Summary) -> None:
    """Wait for a run, median and 95th percentile a day."""
    _percentile_lines(axes, summary, "queue")


def retention(axes: Axes, summary: Summary) -> None:
    """Share of each week's newcomers who came back, darker is more."""
    cohorts = sorted({row["cohort"] for row in summary.retention})
    if not cohorts:
        _nothing(axes)
        return
    for row in summary.retention:
        at, share = cohorts.index(row["cohort"]), float(row["share"])
        axes.barh(
            at, 0.94, left=row["week"] + 0.03, height=0.9, color=COLOURS["first"], alpha=0.06 + 0.8 * share, linewidth=0
        )
        axes.text(row["week"] + 0.5, at, f"{share:.0%}"[:-1], ha="center", va="center", fontsize=7.5,
                  color=COLOURS["paper" if share > _DARK_FROM else "ink"])  # fmt: skip
    axes.set_yticks(range(len(cohorts)), [f"{cohort:%d %b}" for cohort in cohorts])
    axes.set_ylim(len(cohorts) - 0.5, -0.5)
    axes.set_xlim(0, max(row["week"] for row in summary.retention) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("weeks since the first request", fontsize=8, color=COLOURS["muted"])
    for spine in axes.spines.values():
        spine.set_visible(False)


def styles(axes: Axes, summary: Summary) -> None:
    """New requests by style."""
    _mix(axes, summary.styles, "second")


def languages(axes: Axes, summary: Summary) -> None:
    """New requests by the slides' language."""
    _mix(axes, summary.languages, "first")


CHARTS: Final = (
    Chart("Funnel", "New requests on their way to an album; shares are of the step before.", funnel),
    Chart("Requests a day", "New requests, and how many became an album.", requests),
    Chart(
        "Income and cost a day",
        "USD by the day a request was opened: charged credits, and what the providers took.",
        money,
    ),
    Chart("Per delivered carousel", "US cents, all costs included: free outlines and refunds, too.", per_carousel),
    Chart("Where the cost goes", "What the providers took, by what became of the request.", costs),
    Chart("Refunds by reason", "Nothing arrived, all credits went back.", refunds),
    Chart("Latency by step", "Seconds of new carousels: dot is the median, band to p95, tick is p99.", latency),
    Chart("Confirmed to album", "What a person waits, seconds.", waits),
    Chart("Queue wait", "Confirmed to taken by a run, seconds.", queue),
    Chart("Retention", "Percent of each week's newcomers who came back.", retention),
    Chart("Styles", "New requests by style.", styles),
    Chart("Languages", "New requests by the slides' language.", languages),
)
_AT_A_GLANCE: Final = (CHARTS[1], CHARTS[2], CHARTS[7], CHARTS[5])


# ---------- what they are made of ------------------------------------------------------------------------


def _mix(axes: Axes, rows: Sequence[Any], colour: str) -> None:
    whole = sum(int(row["requests"]) for row in rows)
    shown = [(row["name"], int(row["requests"])) for row in rows[:_MOST_BARS]]
    if (rest := whole - sum(count for _, count in shown)) > 0:
        shown.append(("others", rest))
    _bars(axes, [name for name, _ in shown], [n for _, n in shown], [f"{n / whole:.0%}" for _, n in shown], colour)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], notes: Sequence[str], colour: str) -> None:
    if not any(values):
        _nothing(axes)
        return
    at = range(len(names))
    axes.barh(at, values, height=0.62, color=COLOURS[colour], alpha=0.85, linewidth=0)
    longest = max(values)
    for y, value, note in zip(at, values, notes, strict=True):
        axes.text(value + longest * 0.02, y, note, va="center", fontsize=8.5, color=COLOURS["ink"])
    axes.set_yticks(at, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, longest * 1.36)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _percentile_lines(axes: Axes, summary: Summary, step: str) -> None:
    found = summary.waits[step]
    _lines(axes, list(found), {"p95": ("third", [high for _, high in found.values()]),
                               "median": ("first", [low for low, _ in found.values()])}, fill=False)  # fmt: skip


def _lines(axes: Axes, days: Sequence[date], series: dict[str, tuple[str, Sequence[float]]], *, fill: bool) -> None:
    if not days:
        _nothing(axes)
        return
    when = [day.toordinal() for day in days]
    lone = "o" if len(days) == 1 else None
    for name, (colour, values) in series.items():
        axes.plot(when, values, color=COLOURS[colour], linewidth=1.6, marker=lone, label=name, solid_joinstyle="round")
        if fill:
            axes.fill_between(when, values, color=COLOURS[colour], alpha=0.12, linewidth=0)
    every = [value for _, values in series.values() for value in values]
    low, high = min(0.0, *every), max(*every, 1e-9)
    axes.set_ylim(low * 1.15, high * 1.22)
    axes.set_xlim(when[0] - 0.3, when[-1] + 0.3)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(_short))
    axes.grid(axis="y", color=COLOURS["line"], linewidth=0.7)
    axes.set_axisbelow(True)
    ticks = when[:: max(1, -(-len(when) // _MOST_TICKS))]
    axes.set_xticks(ticks, [_tick(date.fromordinal(tick), days) for tick in ticks])
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper left", ncols=len(series), frameon=False, fontsize=8.5, handlelength=1.1, borderaxespad=0,
                bbox_to_anchor=(0, 1.04), labelcolor=COLOURS["ink"], columnspacing=1.2)  # fmt: skip


def _tick(day: date, days: Sequence[date]) -> str:
    return f"{day:%b %Y}" if (days[-1] - days[0]).days > _MONTHS_FROM else f"{day.day} {day:%b}"


def _short(value: float, _position: int) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


def _nothing(axes: Axes) -> None:
    axes.text(
        0.5, 0.5, _NO_DATA, ha="center", va="center", transform=axes.transAxes, color=COLOURS["muted"], fontsize=9
    )
    axes.set_axis_off()


def _height(draw: Draw, summary: Summary) -> float:
    rows: dict[Draw, int] = {
        styles: len(summary.styles),
        languages: len(summary.languages),
        refunds: len(summary.refunds),
    }
    if draw not in rows:
        return _HEIGHT_IN
    return max(_HEIGHT_IN, 0.3 + _ROW_IN * min(rows[draw] + 1, _MOST_BARS + 1))


@contextmanager
def _look() -> Iterator[None]:
    with mpl.rc_context(
        {
            "font.family": _font(), "font.size": 9, "text.color": COLOURS["ink"], "axes.edgecolor": COLOURS["line"],
            "axes.labelcolor": COLOURS["muted"], "xtick.color": COLOURS["muted"], "ytick.color": COLOURS["muted"],
            "xtick.labelcolor": COLOURS["muted"], "ytick.labelcolor": COLOURS["ink"], "xtick.major.size": 0, "xtick.major.pad": 6,
            "ytick.major.size": 0, "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none",
            "svg.fonttype": "none", "svg.hashsalt": "usage", "axes.unicode_minus": True, "axes.formatter.useoffset": False,
        }
    ):  # fmt: skip
        yield


@cache
def _font() -> str:
    """The font that measures the texts; a page shows them in the nearest it has."""
    path = resource("assets_static") / "fonts" / "Inter.ttf"
    font_manager.fontManager.addfont(path)
    return font_manager.FontProperties(fname=path).get_name()
