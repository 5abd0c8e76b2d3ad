"""A summary as one HTML file that needs nothing else: no script, no font, no address; dark or light as the reader's system is."""

import io
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

from fontTools import subset  # type: ignore[import-untyped]  # it has no annotations

from carousel_pipeline.paths import resource
from carousel_pipeline.usage.charts import CHARTS, COLOURS, Chart, svg
from carousel_pipeline.usage.summary import STEPS, Summary, share

_IDS: Final = re.compile(r'(?<=\bid=")|(?<=url\(#)|(?<=href="#)')
_STYLE: Final = Path(__file__).with_name("page.css")
_SIZE: Final = re.compile(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>')


def page(summary: Summary) -> str:
    """Return the whole document."""
    first, last = summary.span.first, summary.span.last
    period = f"{first:%d %B %Y}" if first == last else f"{first:%d %B %Y} to {last:%d %B %Y}"
    charts = "".join(_card(number, chart, summary) for number, chart in enumerate(CHARTS))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Usage, {period}</title><style>{_font()}{_STYLE.read_text(encoding="utf-8")}</style></head>
<body><main>
<header><div><h1>Usage</h1><p>{period}, UTC</p></div><ul class="checks">{_checks(summary)}</ul></header>
<section class="tiles">{"".join(_tile(value, label) for value, label in tiles(summary))}</section>
<section class="cards">{charts}</section>
{"".join(_table(title, columns, rows) for title, columns, rows in tables(summary))}
<footer>A request counts on the day it was opened, with all that became of it since. Percentiles are exact. A charged credit is
worth what usage.price says.</footer>
</main></body></html>
"""


def tiles(summary: Summary) -> list[tuple[str, str]]:
    """Return the figures that come first, as (value, label)."""
    sums = summary.totals
    per_carousel = share(summary.margin_usd, sums["delivered"])
    total = summary.latency.get("total")
    return [
        (f"{sums['asked']:,}", "new requests"),
        (f"{sums['delivered']:,}", "carousels delivered"),
        (_percent(share(sums["delivered"], sums["asked"])), "of new requests delivered"),
        (_percent(share(sums["refunded_all"], sums["confirmed_all"]), 1), "of confirmed refunded"),
        (_usd(summary.margin_usd), f"margin of {_usd(sums['revenue_usd'])} income"),
        ("–" if per_carousel is None else f"{100 * per_carousel:.1f}¢", "margin per carousel"),
        (
            "–" if total is None else f"{total.p50:.0f} s",
            "median from tap to album" if total is None else f"median to album, p95 {total.p95:.0f} s",
        ),
        (f"{sums['people']:,}", f"people, {sums['buyers']:,} bought credits"),
    ]


def tables(summary: Summary) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Return the exact figures, as (title, columns, rows)."""
    return [
        (
            "Latency, seconds",
            ("step", "n", "p50", "p90", "p95", "p99"),
            [
                (STEPS[step], f"{at.n:,}", *(f"{second:.2f}" for second in (at.p50, at.p90, at.p95, at.p99)))
                for step in STEPS
                if (at := summary.latency.get(step)) is not None
            ],
        ),
        (
            "Credits, by the day of booking",
            ("", "credits"),
            [(name.replace("_", " "), f"{count:,}") for name, count in summary.money.items()],
        ),
        (
            "Models",
            ("model", "step", "calls", "good", "cost USD", "cost unknown"),
            [
                (row["model"], row["step"], f"{row['calls']:,}", _percent(row["good"], 1), f"{row['cost_usd']:,.2f}",
                 f"{row['cost_unknown']:,}")
                for row in summary.models
            ],
        ),
        ("Styles", _MIX, _mix(summary.styles)),
        ("Languages", _MIX, _mix(summary.languages)),
    ]  # fmt: skip


_MIX: Final = ("", "requests", "delivered", "income USD", "cost USD", "margin USD")


@cache
def _font() -> str:
    """The font's letters that a report needs, as a rule: the page looks, and its charts fit, the same on every machine."""
    options = subset.Options(flavor="woff", layout_features=["kern", "tnum", "calt"], notdef_outline=True)
    with subset.load_font(resource("assets_static") / "fonts" / "Inter.ttf", options) as font:
        chosen = subset.Subsetter(options)
        chosen.populate(text="".join(map(chr, range(0x20, 0x7F))) + "·–¢…●▲")
        chosen.subset(font)
        data = io.BytesIO()
        subset.save_font(font, data, options)
    encoded = b64encode(data.getvalue()).decode()
    return f'@font-face {{ font-family: Inter; font-weight: 100 900; src: url("data:font/woff;base64,{encoded}"); }}\n'


def _mix(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (row["name"], f"{row['requests']:,}", f"{row['delivered']:,}", f"{row['revenue_usd']:,.2f}", f"{row['cost_usd']:,.2f}",
         f"{row['revenue_usd'] - row['cost_usd']:,.2f}")
        for row in rows
    ]  # fmt: skip


def _percent(part: float | None, places: int = 0) -> str:
    return "–" if part is None else f"{part:.{places}%}"


def _usd(amount: float) -> str:
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.0f}" if abs(amount) >= 100 else f"{sign}${abs(amount):,.2f}"


def _checks(summary: Summary) -> str:
    return "".join(
        f'<li class="{"passed" if row["passed"] else "failed"}" title="{escape(row["detail"])}">{escape(row["name"])}'
        + ("" if row["passed"] else f": {escape(row['detail'])}")
        + "</li>"
        for row in summary.health
    )


def _tile(value: str, label: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def _card(number: int, chart: Chart, summary: Summary) -> str:
    drawn = _IDS.sub(f"c{number}", svg(chart, summary))
    for name, colour in COLOURS.items():
        drawn = drawn.replace(colour, f"var(--{name})")
    label = f'role="img" aria-label="{escape(chart.title)}"'
    drawn = _SIZE.sub(lambda found: f"<svg {found[1]} {label}>", drawn, count=1)
    return f'<figure class="card"><h2>{escape(chart.title)}</h2><p>{escape(chart.says)}</p>{drawn}</figure>'


def _table(title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<details class="card"><summary>{escape(title)}</summary><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )
