"""The rows of every table for the story that `history` makes up; what must stay true stands there."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Final, TypedDict, Unpack

import numpy as np
import polars as pl

from carousel_pipeline.requests.price import WELCOME_CREDITS

_S: Final = 1_000_000
_DAY: Final = 86_400 * _S
_PICTURE_USD: Final = 0.039
_TELEGRAM_IDS: Final = 7_000_000_000
_TEXT: Final = "A text that somebody once wrote about sleep, coffee and the light of telephones. "
_GONE: Final = "…"
_AVAILABLE: Final = "user_available"
_HELD: Final = "user_held"
_NO_TEXT: Final = pl.lit(None, pl.String)


def tables_of(
    rng: np.random.Generator, story: pl.DataFrame, persons: pl.DataFrame, end: int
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield tables and their rows one by one, for all of them together need gigabytes.

    Args:
        rng: of the whole past.
        story: one row a request, ordered by person and time.
        persons: `user_id`, `joined`, `in_russian`.
        end: where the past ends, in microseconds since 1970.
    """
    money = _transfers(rng, story, end)
    first = story.group_by("user_id").agg(first=pl.col("opened").min() - 60 * _S)
    known = persons.join(first, on="user_id", how="left", maintain_order="left").select(
        "user_id", "in_russian", since=pl.coalesce("first", "joined")
    )
    yield (
        "ledger.app_user",
        known.select(
            id="user_id", tg_user_id=pl.col("user_id") + _TELEGRAM_IDS, created_at="since", updated_at="since"
        ),
    )
    yield "ledger.wallet", _wallets(known, money)
    locale = pl.when("in_russian").then(pl.lit("ru")).otherwise(pl.lit("en"))
    yield "bot.person", known.select("user_id", locale=locale, created_at="since", updated_at="since")
    yield "ledger.transfer", money
    yield "ledger.reversal", _reversals(money)
    del money
    yield "carousel.request", _content(rng, story, end)
    yield "ledger.request", _holds(story)
    yield "ledger.request_event", _events(story)
    yield "ledger.second_life_log", _second_lives(story)
    yield "ledger.delivery", _deliveries(rng, story)
    yield "carousel.attempt", _attempts(rng, story)


def _second_lives(story: pl.DataFrame) -> pl.DataFrame:
    return story.filter("second").select(
        request_id="id", epoch=pl.lit(2), run_id=pl.format("again-{}", "serial"), credits="price", created_at="lived"
    )


def _wallets(known: pl.DataFrame, money: pl.DataFrame) -> pl.DataFrame:
    sums = money.group_by("user_id").agg(available=_balance(), version=pl.len())
    return known.join(sums, on="user_id", how="left", maintain_order="left").select(
        "user_id", pl.col("available", "version").fill_null(0), updated_at="since"
    )


def _balance() -> pl.Expr:
    amount = pl.col("amount")
    into, out = pl.col("credit_code") == _AVAILABLE, pl.col("debit_code") == _AVAILABLE
    return amount.filter(into).sum() - amount.filter(out).sum()


class _Of(TypedDict, total=False):
    request: str
    epoch: int
    remainder: bool


def _moved(
    frame: pl.DataFrame, kind: str, debit: pl.Expr | str, credit: pl.Expr | str, key: pl.Expr, amount: pl.Expr, at: pl.Expr,
    **of: Unpack[_Of],
) -> pl.DataFrame:  # fmt: skip
    """Return one transfer of a kind for each row of `frame`; accounts are codes or expressions."""
    debit, credit = (pl.lit(code) if isinstance(code, str) else code for code in (debit, credit))
    return frame.select(
        idem_key=key, kind=pl.lit(kind), debit_code=debit, credit_code=credit, user_id="user_id",
        request_id=pl.col(of["request"]) if "request" in of else _NO_TEXT, epoch=pl.lit(of.get("epoch"), pl.Int64),
        amount=amount.cast(pl.Int64), remainder=pl.lit(of.get("remainder", False)), event_at=at, created_at=at,
    )  # fmt: skip


def _transfers(rng: np.random.Generator, story: pl.DataFrame, end: int) -> pl.DataFrame:
    """The journal: a gift at the beginning, packs just before they are needed, holds and what became of them."""
    price, settled, lived = pl.col("price"), pl.col("settled"), pl.col("lived")
    first = story.group_by("user_id", maintain_order=True).agg(pl.col("opened").min())
    welcome = _moved(
        first,
        "promo",
        "promo",
        _AVAILABLE,
        pl.format("welcome:{}", "user_id"),
        pl.lit(WELCOME_CREDITS),
        pl.col("opened") - 50 * _S,
    )
    packs = ((price.cum_sum().over("user_id") - WELCOME_CREDITS).clip(0) / pl.col("pack")).ceil().cast(pl.Int64)
    paid = story.filter(pl.col("confirms") & (price > 0)).with_columns(
        source=pl.when("in_rubles").then(pl.lit("rub")).otherwise(pl.lit("stars")), packs=packs
    )
    more = (pl.col("packs") - pl.col("packs").shift(1, fill_value=0).over("user_id")) * pl.col("pack")
    bought = paid.with_columns(bought=more).filter(pl.col("bought") > 0)
    account = pl.format("sales_{}", "source")
    sold = _moved(
        bought, "topup", account, _AVAILABLE, pl.format("topup:{}:past{}", "source", "serial"), pl.col("bought"),
        pl.col("confirmed") - 20 * _S,
    )  # fmt: skip

    def key(kind: str, epoch: int) -> pl.Expr:
        return pl.format(f"{kind}:{{}}:{epoch}", "id")

    kept, gone, second = paid.filter("kept"), paid.filter("refunded"), paid.filter("second")
    partly = kept.filter(price > pl.col("charged"))
    of, rest, house = _Of(request="id", epoch=1), _Of(request="id", epoch=1, remainder=True), _Of(request="id", epoch=2)
    so_far = pl.concat(
        [
            welcome,
            sold,
            _moved(paid, "reserve", _AVAILABLE, _HELD, key("reserve", 1), price, pl.col("confirmed"), **of),
            _moved(kept, "capture", _HELD, "revenue", key("capture", 1), pl.col("charged"), settled, **of),
            _moved(partly, "release", _HELD, _AVAILABLE, key("release", 1), price - pl.col("charged"), settled, **rest),
            _moved(gone, "release", _HELD, _AVAILABLE, key("release", 1), price, settled, **of),
            _moved(second, "second_life", "goodwill", _HELD, key("second_life", 2), price, lived, **house),
            _moved(second, "capture", _HELD, "revenue", key("capture", 2), price, lived + 20 * _S, **house),
        ]
    )
    left = so_far.group_by("user_id").agg(left=_balance(), last=pl.col("created_at").max())
    newest = bought.group_by("user_id", maintain_order=True).last().join(left, on="user_id", maintain_order="left")
    whim = pl.Series(rng.random(newest.height) < 0.05)
    unused = newest.filter(whim & (pl.col("left") >= pl.col("bought")) & (pl.col("last") < end - _DAY))
    returned = _moved(
        unused, "buyer_refund", _AVAILABLE, account, pl.format("buyer_refund:{}:past{}", "source", "serial"), pl.col("bought"),
        pl.col("last") + 3600 * _S,
    )  # fmt: skip
    return pl.concat([so_far, returned]).sort("created_at", "idem_key").with_row_index("id", offset=1)


def _reversals(money: pl.DataFrame) -> pl.DataFrame:
    parts = pl.col("idem_key").str.split(":")
    return money.filter(pl.col("kind") == "buyer_refund").select(
        "kind", "user_id", "created_at", source=parts.list.get(1), charge=parts.list.get(2), credits="amount"
    )


def _content(rng: np.random.Generator, story: pl.DataFrame, end: int) -> pl.DataFrame:
    """What was written; of what is forgotten, a deck of as many slides without a word, as the cleanup leaves it."""
    languages, sizes = story["language"].unique(), story["slides"].unique()
    decks = {
        f"{language}{slides}{str(gone).lower()}": _deck(language, slides, gone=gone)
        for language, slides, gone in product(languages, sizes, (False, True))
    }
    deck = pl.concat_str("language", "slides", "forgotten").replace_strict(decks, return_dtype=pl.String)
    text = pl.Series([_TEXT * times for times in rng.integers(1, 6, story.height).tolist()])
    written, forgotten = ~pl.col("failed"), pl.col("forgotten")
    return story.select(
        "id", "user_id", "kind", chat_id=pl.col("user_id") + _TELEGRAM_IDS, parent_id=pl.when("child").then("parent"),
        client_key=pl.format("past:{}", "serial"), source=pl.when(forgotten).then(pl.lit(_GONE)).otherwise(text),
        options=pl.concat_str(pl.lit('{"ratio": "4:5", "style": "'), "style", pl.lit('"}')),
        phase=pl.when("failed").then(pl.lit("failed")).when("confirms").then(pl.lit("confirmed"))
        .when("discarded").then(pl.lit("discarded")).otherwise(pl.lit("outlined")),
        deck=pl.when(written).then(deck), price=pl.when(written).then("price"),
        failure=pl.when("failed").then(pl.when(pl.col("serial") % 5 == 0).then(pl.lit("timeout")).otherwise(pl.lit("failed"))),
        created_at="opened", outlined_at=pl.when(written).then("outlined"), confirmed_at=pl.when("confirms").then("confirmed"),
        updated_at=pl.when("confirms").then("confirmed").otherwise("outlined"),
        forgotten_at=pl.when(forgotten).then(pl.min_horizontal(pl.col("settled") + 30 * _DAY, pl.lit(end))),
    ).sort("created_at")  # fmt: skip


def _deck(language: str, slides: int, *, gone: bool) -> str:
    roles = ["cover", *["body"] * (slides - 2), "last"]
    words = {"heading": _GONE} if gone else {"heading": "A thought", "body": "Sleep is no luxury."}
    told = [{"role": role} | words for role in roles]
    return json.dumps({"language": language, "structure": "list", "slides": told})


def _holds(story: pl.DataFrame) -> pl.DataFrame:
    epoch = pl.when("second").then(2).otherwise(1)
    return (
        story.filter("confirms")
        .select(
            "id", "user_id", "charged", client_key=pl.format("confirm:{}", "id"), kind=pl.lit("carousel"), cost="price",
            state=pl.when("delivered").then(pl.lit("delivered")).otherwise(pl.lit("released")), epoch=epoch, fence=epoch,
            run_id=pl.format("past-{}", "serial"), deadline=pl.col("confirmed") + 1800 * _S, created_at="confirmed",
            updated_at=pl.when("second").then(pl.col("lived") + 20 * _S).otherwise("settled"),
        )
        .sort("created_at")
    )  # fmt: skip


def _events(story: pl.DataFrame) -> pl.DataFrame:
    done = story.filter("confirms")
    kept, gone, again, doubt = (done.filter(which) for which in ("kept", "refunded", "second", "doubt"))
    sure = kept.filter(~pl.col("doubt"))
    settled, lived = pl.col("settled"), pl.col("lived")

    def step(frame: pl.DataFrame, src: str | None, dst: str, at: pl.Expr, note: pl.Expr = _NO_TEXT) -> pl.DataFrame:
        return frame.select(
            request_id="id", src=pl.lit(src, pl.String), dst=pl.lit(dst), fence=pl.lit(1), note=note, created_at=at
        )

    parts = [
        step(done, None, "reserved", pl.col("confirmed")),
        step(done, "reserved", "running", pl.col("claimed"), pl.format("run past-{}", "serial")),
        step(kept, "running", "rendered", pl.col("rendered")),
        step(sure, "rendered", "delivered", settled),
        step(doubt, "rendered", "delivery_unknown", settled - 600 * _S),
        step(doubt, "delivery_unknown", "delivered", settled),
        step(gone, "running", "released", settled, pl.col("reason")),
        step(again, "released", "reserved", lived, pl.format("second life by run again-{}", "serial")),
        step(again, "reserved", "running", lived + _S, pl.format("run again-{}", "serial")),
        step(again, "running", "rendered", lived + 15 * _S),
        step(again, "rendered", "delivered", lived + 20 * _S),
    ]
    return pl.concat(parts).sort("created_at", "request_id", maintain_order=True).with_row_index("id", offset=1)


def _deliveries(rng: np.random.Generator, story: pl.DataFrame) -> pl.DataFrame:
    second, lived = pl.col("second"), pl.col("lived")
    arrived = story.filter("delivered").select(
        request_id="id", epoch=pl.when(second).then(2).otherwise(1), fence=pl.lit(1), state=pl.lit("sent"),
        message_ids=pl.concat_str(pl.lit("{"), "serial", pl.lit("}")), error=_NO_TEXT,
        created_at=pl.when(second).then(lived + 15 * _S).otherwise("rendered"),
        updated_at=pl.when(second).then(lived + 20 * _S).otherwise("settled"),
    )  # fmt: skip
    turned_away = story.filter(pl.col("confirms") & pl.Series(rng.random(story.height) < 0.004)).select(
        request_id="id", epoch=pl.lit(1), fence=pl.lit(1), state=pl.lit("rejected"), message_ids=_NO_TEXT,
        error=pl.lit("flood"), created_at="rendered", updated_at=pl.col("rendered") + _S // 2,
    )  # fmt: skip
    return pl.concat([turned_away, arrived]).sort("created_at", maintain_order=True).with_row_index("id", offset=1)


def _attempts(rng: np.random.Generator, story: pl.DataFrame) -> pl.DataFrame:
    def either(condition: pl.Expr | str | pl.Series, yes: str, no: str) -> pl.Expr:
        return pl.when(condition).then(pl.lit(yes)).otherwise(pl.lit(no))

    writing = story.filter("writes")
    size = writing.height
    tokens_in, tokens_out = (pl.Series(rng.integers(*bounds, size)) for bounds in ((1200, 4200), (700, 1900)))
    done = either(pl.Series(rng.random(size) < 0.04), "repaired", "ok")
    copies = writing.select(
        request_id="id", step=either(pl.col("kind") == "language", "translate", "copy"), slide=pl.lit(None, pl.Int64),
        provider=pl.lit("anthropic"), model=either("recent", "claude-haiku-5-5", "claude-haiku-5"),
        started_at=pl.col("opened") + _S, ended_at="outlined",
        outcome=pl.when("failed").then(pl.lit("retryable")).otherwise(done),
        tokens_in=tokens_in, tokens_out=tokens_out, images=pl.lit(None, pl.Int64),
        cost_usd=pl.when(~pl.col("failed")).then(((tokens_in + 5 * tokens_out) / 1e6).round(6)),
    )  # fmt: skip

    painting = story.filter(pl.col("painted") > 0)
    each = painting[np.repeat(np.arange(painting.height), painting["painted"].to_numpy())].with_columns(
        slide=pl.int_range(1, pl.len() + 1).over("id")
    )
    each = each.filter(~(pl.col("refunded") & (pl.col("reason") == "images") & (pl.col("slide") > 3)))
    took = pl.Series(((5 + 3.4 * np.exp(rng.normal(0, 0.4, each.height))) * _S).astype(np.int64))
    bad = pl.col("stand_in") & (pl.col("slide") == 1)
    pictures = each.select(
        request_id="id", step=pl.lit("picture"), slide="slide", provider=pl.lit("gemini"),
        model=either("recent", "gemini-nano-banana-2.1", "gemini-2.5-flash-image"),
        started_at="claimed", ended_at=pl.col("claimed") + took, outcome=either(bad, "refused", "ok"),
        tokens_in=pl.lit(400), tokens_out=pl.lit(1290), images=pl.when(bad).then(0).otherwise(1),
        cost_usd=pl.when(bad).then(0.0).otherwise(_PICTURE_USD),
    )  # fmt: skip
    later = pl.col("claimed") + 9 * _S
    stood_in = painting.filter("stand_in").select(
        request_id="id", step=pl.lit("picture"), slide=pl.lit(1), provider=pl.lit("offline"), model=pl.lit("procedural"),
        started_at=later, ended_at=later + _S // 5, outcome=pl.lit("stand_in"),
        tokens_in=pl.lit(0), tokens_out=pl.lit(0), images=pl.lit(1), cost_usd=pl.lit(0.0),
    )  # fmt: skip
    whole = pl.col("tokens_in", "tokens_out", "images", "slide").cast(pl.Int64)
    return (
        pl.concat(part.with_columns(whole) for part in (copies, pictures, stood_in))
        .sort("started_at", "request_id", "slide")
        .with_row_index("id", offset=1)
    )
