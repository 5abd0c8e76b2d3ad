"""A made-up past of the product: any number of requests with their money, steps, calls and sendings, from one seed.

For measuring at a size that nobody has yet. What must stay true: the ledger's own invariants hold to the credit
(`ledger.invariant_violation` stays empty), every request has ended, and the same seed, size and end give the same rows. Rows are
copied with triggers off, so the login must be a superuser: never use it on a database that anybody pays in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carousel_pipeline.database import connect, query
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.paths import resource
from carousel_pipeline.requests.price import CREDITS_PER_REPAINT, CREDITS_PER_SLIDE
from carousel_pipeline.usage.copying import copy_in
from carousel_pipeline.usage.history_tables import tables_of

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
_KINDS: Final = MappingProxyType({
    "carousel": 0.60, "again": 0.08, "text": 0.09, "picture": 0.07, "style": 0.06, "size": 0.03, "language": 0.03,
    "slides": 0.03, "undo": 0.01,
})  # fmt: skip
_LANGUAGES: Final = MappingProxyType(
    {"ru": 0.44, "en": 0.34, "es": 0.07, "de": 0.05, "ar": 0.03, "zh": 0.03, "hi": 0.02, "pt": 0.02}
)
_REASONS: Final = MappingProxyType({
    "images": 0.46, "cancelled": 0.18, "timeout": 0.14, "delivery_receipt": 0.12, "crash": 0.05, "rendered_slides": 0.03,
    "stopped": 0.02,
})  # fmt: skip
_SLIDES: Final = MappingProxyType({3: 0.04, 4: 0.05, 5: 0.14, 6: 0.17, 7: 0.36, 8: 0.12, 9: 0.05, 10: 0.07})
_PLAIN, _RICH, _A_PANORAMA = CREDITS_PER_SLIDE["panorama"], CREDITS_PER_SLIDE["each"], 7
_PACKS: Final = MappingProxyType({30: 0.5, 150: 0.35, 450: 0.15})
_DAYS_THEY_STAY: Final = MappingProxyType({3: 0.5, 30: 0.3, 220: 0.2})
_BY_HOUR: Final = (3, 2, 1, 1, 1, 2, 4, 7, 10, 11, 10, 9, 8, 8, 8, 8, 8, 9, 10, 11, 10, 8, 6, 4)
_REQUESTS_A_PERSON: Final = 18

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _People:
    joined: Ints
    stay: Floats
    weight: Floats
    language: NDArray[np.str_]
    pack: Ints
    in_rubles: NDArray[np.bool_]
    in_russian: NDArray[np.bool_]


def generate_history(
    url: str,
    *,
    requests: int = 1_000_000,
    days: int = 400,
    seed: int = 1,
    until: datetime | None = None,
    remembered: int | None = None,
) -> dict[str, int]:
    """Fill the database at `url` with a past of `days` that ends at `until` (now), and return the rows by table.

    Args:
        url: of an empty, migrated database.
        requests: how many.
        days: how far back.
        seed: the same gives the same rows.
        until: the end.
        remembered: how many of the newest requests still have their words, as the nightly cleanup leaves them; all by default.

    Raises:
        PermanentError: there are users already; a made-up past comes before any real one.
        psycopg.errors.InsufficientPrivilege: the login is no superuser.
    """
    with connect(url, None) as connection:
        found = connection.execute(query("history.is_empty")).fetchone()
        if found is None or not found["empty"]:
            raise PermanentError("the database has users already: a made-up past is loaded into an empty one only")
        rows = {}
        connection.execute(query("history.patience"))
        with connection.transaction():
            connection.execute(query("history.without_triggers"))
            for table, frame in imagine(requests, days, seed, until or datetime.now(UTC), remembered):
                copy_in(connection, table, frame)
                rows[table] = frame.height
            connection.execute(query("history.set_sequences"))
        connection.execute(query("history.vacuum"))
    return rows


def imagine(
    requests: int, days: int, seed: int, until: datetime, remembered: int | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield tables and their rows; pure."""
    rng = np.random.default_rng(seed)
    end = int(until.timestamp()) * SECOND
    people = _people(rng, max(2, requests // _REQUESTS_A_PERSON), days, end)
    newest = pl.col("opened").rank("ordinal", descending=True) <= (requests if remembered is None else remembered)
    story = _story(rng, requests, people, end).with_columns(forgotten=~newest)
    persons = pl.DataFrame(
        {"user_id": np.arange(1, len(people.joined) + 1), "joined": people.joined, "in_russian": people.in_russian}
    )
    yield from tables_of(rng, story, persons, end)


def _choose(rng: np.random.Generator, shares: Mapping[Any, float], size: int) -> NDArray[Any]:
    edges = np.cumsum(list(shares.values()))
    chosen: NDArray[Any] = np.array(list(shares))[
        np.searchsorted(edges / edges[-1], rng.random(size)).clip(0, len(edges) - 1)
    ]
    return chosen


def _around(rng: np.random.Generator, median_s: float | NDArray[np.floating[Any]], spread: float, size: int) -> Ints:
    """Log-normal durations, in microseconds."""
    return (np.exp(rng.normal(0, spread, size)) * median_s * SECOND).astype(np.int64)


def _uuids(rng: np.random.Generator, size: int) -> list[str]:
    raw = rng.bytes(16 * size).hex()
    parts = (raw[at : at + 32] for at in range(0, 32 * size, 32))
    return [f"{x[:8]}-{x[8:12]}-4{x[13:16]}-a{x[17:20]}-{x[20:]}" for x in parts]


def _people(rng: np.random.Generator, count: int, days: int, end: int) -> _People:
    """More join from month to month; most are gone within days, some stay for good."""
    when = np.where(rng.random(count) < 0.3, rng.random(count), np.sqrt(rng.random(count)))
    return _People(
        joined=end - days * DAY + (when * (days - 1) * DAY).astype(np.int64),
        stay=_choose(rng, _DAYS_THEY_STAY, count).astype(float) * DAY,
        weight=np.exp(rng.normal(0, 1.0, count)),
        language=_choose(rng, _LANGUAGES, count),
        pack=_choose(rng, _PACKS, count).astype(np.int64),
        in_rubles=rng.random(count) < 0.12,
        in_russian=rng.random(count) < 0.5,
    )


def _opened(rng: np.random.Generator, count: int, people: _People, end: int) -> tuple[Ints, Ints]:
    """Who asked and when, ordered by person and time: soon after joining, then less and less, mostly in waking hours."""
    likely = np.cumsum(people.weight * np.minimum(people.stay, end - people.joined) ** 0.5)
    user = np.searchsorted(likely / likely[-1], rng.random(count)).clip(0, len(likely) - 1)
    stay, window = people.stay[user], (end - people.joined[user]).astype(float)
    after = -stay * np.log1p(rng.random(count) * np.expm1(-window / stay))
    at = people.joined[user] + after.astype(np.int64)
    hours = np.cumsum(_BY_HOUR) / sum(_BY_HOUR)
    hour = np.searchsorted(hours, rng.random(count)).clip(0, 23)
    opened = at - at % DAY + hour * 3600 * SECOND + rng.integers(0, 3600 * SECOND, count)
    opened -= np.where(opened > end - 3600 * SECOND, DAY, 0)
    order = np.lexsort((opened, user))
    return user[order], opened[order]


def _story(rng: np.random.Generator, count: int, people: _People, end: int) -> pl.DataFrame:
    """One row a request, ordered by person and time, with everything that the tables need; times in microseconds."""
    user, opened = _opened(rng, count, people, end)
    kind = _choose(rng, _KINDS, count)
    kind[np.r_[True, user[1:] != user[:-1]]] = "carousel"
    fresh = kind == "carousel"
    parent = np.maximum.accumulate(np.where(fresh, np.arange(count), 0))
    slides = _choose(rng, _SLIDES, count).astype(np.int64)[parent]
    styles = sorted(path.stem for path in (resource("assets_static") / "styles").glob("*.json"))
    style = _choose(rng, {name: 1 / (rank + 1.5) for rank, name in enumerate(styles)}, count)
    style = np.where(kind == "style", style, style[parent])
    language = np.where(rng.random(count) < 0.9, people.language[user], _choose(rng, _LANGUAGES, count))
    language = np.where(kind == "language", language, language[parent])

    asks = np.isin(kind, ("carousel", "again"))
    writes = asks | (kind == "language")
    failed = writes & (rng.random(count) < 0.025)
    outlined = opened + np.where(writes, 2 * SECOND + _around(rng, 5.5, 0.45, count), 0)
    confirms = ~failed & (~asks | (rng.random(count) < 0.66))
    confirmed = outlined + np.where(asks, np.minimum(_around(rng, 48, 1.1, count), 1200 * SECOND), 0)
    rich = asks & (rng.random(count) < 0.2)
    price = np.where(asks, slides * np.where(rich, _RICH, _PLAIN), np.where(kind == "picture", CREDITS_PER_REPAINT, 0))
    painted = np.where(confirms & (price > 0), np.where(rich, slides, 1 + (asks & (slides > _A_PANORAMA))), 0)

    claimed = confirmed + SECOND // 20 + _around(rng, 0.55, 0.9, count)
    drawing, painting = _around(rng, 2.1, 0.25, count), _around(rng, 10.5 + 0.7 * slides, 0.3, count)
    rendered = claimed + np.where(painted > 0, painting, drawing)
    refunded = confirms & (rng.random(count) < np.where(painted > 0, 0.032, 0.006))
    reason = _choose(rng, _REASONS, count)
    kept = confirms & ~refunded
    doubt = kept & (rng.random(count) < 0.003)
    settled = rendered + _around(rng, 1.0 + 0.22 * slides, 0.35, count) + np.where(doubt, 600 * SECOND, 0)
    settled = np.where(refunded & (reason == "timeout"), confirmed + 1800 * SECOND, settled)
    second = refunded & (rng.random(count) < 0.06) & (settled < end - 2 * DAY)
    stand_in = kept & rich & (rng.random(count) < 0.025)
    ids = pl.Series("id", _uuids(rng, count))
    return pl.DataFrame(
        {
            "serial": np.arange(count), "user_id": user + 1, "pack": people.pack[user], "in_rubles": people.in_rubles[user],
            "kind": kind, "child": ~fresh, "slides": slides, "style": style, "language": language, "writes": writes,
            "price": price, "painted": painted, "failed": failed, "confirms": confirms, "kept": kept, "refunded": refunded,
            "reason": reason, "second": second, "stand_in": stand_in, "doubt": doubt,
            "discarded": ~failed & ~confirms & (rng.random(count) < 0.55),
            "recent": opened > end - 0.4 * (end - opened.min()),
            "opened": opened, "outlined": outlined, "confirmed": confirmed, "claimed": claimed, "rendered": rendered,
            "settled": settled, "lived": settled + 3600 * SECOND + rng.integers(0, 20 * 3600 * SECOND, count),
        }
    ).with_columns(
        id=ids, parent=ids[parent], delivered=pl.col("kept") | pl.col("second"),
        charged=pl.when("second").then("price").when("kept")
        .then(pl.col("price") - _RICH * pl.col("stand_in").cast(pl.Int64)).otherwise(0),
    )  # fmt: skip
