"""From the facts of a span of days to their daily rows: frames in, frames out, no clock, no database.

What must stay true: a row depends on the facts alone and not on which days are computed together, so days may be built one by
one, all at once or again (a test builds the same history in every way and compares). Money and counts are integers all the way;
costs are millionths of a dollar until they are written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from types import MappingProxyType
from typing import Final

import polars as pl

from carousel_pipeline.usage.copying import Schema

DIMENSIONS: Final = ("day", "kind", "style", "language", "writer", "painter")
STEPS: Final = ("outline_s", "choice_s", "queue_s", "making_s", "sending_s", "total_s")
_USABLE: Final = ("ok", "repaired")
_OPENING: Final = ("reserve", "reopen", "second_life")
_CODE: Final = r"^[a-z0-9][a-z0-9_.:-]{0,63}$"
_HOUSE: Final = ("reopen", "second_life")

SOURCES: Final[Mapping[str, Schema]] = MappingProxyType({
    "requests": {
        "request": pl.Int32, "opened": pl.Int64, "outlined": pl.Int64, "confirmed": pl.Int64, "user_id": pl.Int64,
        "kind": pl.String, "style": pl.String, "language": pl.String, "slides": pl.Int64, "phase": pl.String,
        "failure": pl.String, "state": pl.String,
    },
    "events": {"request": pl.Int32, "id": pl.Int64, "dst": pl.String, "reason": pl.String, "at": pl.Int64},
    "deliveries": {"request": pl.Int32, "state": pl.String},
    "transfers": {
        "request": pl.Int32, "epoch": pl.Int64, "kind": pl.String, "debit_code": pl.String, "credit_code": pl.String,
        "user_id": pl.Int64, "amount": pl.Int64, "at": pl.Int64,
    },
    "attempts": {
        "request": pl.Int32, "id": pl.Int64, "step": pl.String, "provider": pl.String, "model": pl.String,
        "outcome": pl.String, "started": pl.Int64, "ended": pl.Int64, "tokens_in": pl.Int64, "tokens_out": pl.Int64,
        "images": pl.Int64, "cost": pl.Float64,
    },
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened, as the queries of the same names in `sql/queries/usage.sql` select it; columns as `SOURCES` says.

    Requests have numbers that hold within these frames; a transfer or attempt without one belongs to a request of another day.

    Attributes:
        requests: opened on the days.
        events: all steps of these requests.
        deliveries: all sendings of these requests.
        transfers: booked on the days, or of these requests whenever booked; each once.
        attempts: calls begun on the days, or for these requests whenever begun; each once.
    """

    requests: pl.DataFrame
    events: pl.DataFrame
    deliveries: pl.DataFrame
    transfers: pl.DataFrame
    attempts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Days:
    """The rows of the tables of schema `usage` that have these names, for the days asked for and no others."""

    daily: pl.DataFrame
    daily_failure: pl.DataFrame
    daily_seconds: pl.DataFrame
    daily_call: pl.DataFrame
    daily_money: pl.DataFrame
    daily_person: pl.DataFrame

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the frames by table."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def roll_up(facts: Facts, days: Sequence[date]) -> Days:
    """Return the daily rows of `days` (UTC)."""
    wanted = pl.Series(days, dtype=pl.Date).implode()
    attempts = facts.attempts.with_columns((pl.col("cost") * 1e6).round().cast(pl.Int64))
    cases = _cases(facts, attempts).filter(pl.col("day").is_in(wanted))
    return Days(
        daily=_daily(cases),
        daily_failure=_failures(cases),
        daily_seconds=_durations(cases),
        daily_call=_calls(attempts).filter(pl.col("day").is_in(wanted)),
        daily_money=_money(facts.transfers).filter(pl.col("day").is_in(wanted)),
        daily_person=_people(cases, facts.transfers, wanted),
    )


def _day(moment: str) -> pl.Expr:
    return pl.from_epoch(moment, time_unit="us").cast(pl.Date)


def _word(column: str) -> pl.Expr:
    """A code as it is, anything else as `other`: operators' words and providers' messages stay outside."""
    name = pl.col(column)
    return pl.when(name.str.contains(_CODE)).then(name).otherwise(pl.lit("other")).alias(column)


def _cases(facts: Facts, attempts: pl.DataFrame) -> pl.DataFrame:
    """One row a request: its dimensions, how it ended, and everything that is later summed up."""
    joined = facts.requests.with_columns(_word("style"), _word("language"), _word("failure"), day=_day("opened"))
    for of_request in (
        _models_and_costs(attempts),
        _steps(facts.events),
        _sends(facts.deliveries),
        _credits(facts.transfers),
    ):
        joined = joined.join(of_request, on="request", how="left", maintain_order="left")
    counts = (
        "calls", "calls_cost_unknown", "cost", "stand_ins", "sends", "sends_rejected",
        "held", "charged", "released", "held_house", "charged_house", "released_house",
    )  # fmt: skip
    is_confirmed = (pl.col("phase") == "confirmed").fill_null(value=False)
    state = pl.col("state")
    return joined.with_columns(
        pl.col(counts).fill_null(0),
        pl.col("writer", "painter").fill_null("none"),
        confirmed_now=is_confirmed,
        outcome=pl.when(is_confirmed & (state == "delivered")).then(pl.lit("delivered"))
        .when(is_confirmed & (state == "released")).then(pl.lit("refunded"))
        .when(pl.col("phase") == "failed").then(pl.lit("failed"))
        .when(pl.col("phase") == "discarded").then(pl.lit("discarded"))
        .otherwise(pl.lit("open")),
        in_doubt=(is_confirmed & (state == "delivery_unknown")).fill_null(value=False),
    )  # fmt: skip


def _models_and_costs(attempts: pl.DataFrame) -> pl.DataFrame:
    """Per request: the models whose work was used last (else those that were asked last), calls and their cost."""
    usable, picture = pl.col("outcome").is_in(_USABLE), pl.col("step") == "picture"
    ranked = attempts.filter(pl.col("request").is_not_null()).sort("request", usable, "started", "id")
    return ranked.group_by("request").agg(
        writer=pl.col("model").filter(~picture).last(),
        painter=pl.col("model").filter(picture & (pl.col("outcome") != "stand_in")).last(),
        calls=pl.len().cast(pl.Int64),
        calls_cost_unknown=pl.col("cost").is_null().sum().cast(pl.Int64),
        cost=pl.col("cost").sum(),
        stand_ins=(pl.col("outcome") == "stand_in").sum().cast(pl.Int64),
    )


def _steps(events: pl.DataFrame) -> pl.DataFrame:
    """Per request: when it was first taken, when the attempt that counted took and drew it, when and why it ended."""
    at, dst = pl.col("at"), pl.col("dst")
    ordered = events.sort("request", "id").with_columns(_word("reason"))
    ended = ordered.filter(dst.is_in(("delivered", "released"))).group_by("request", maintain_order=True).last()
    ended = ended.select("request", ended_at="at", end_id="id", reason="reason")
    return (
        ordered.join(ended, on="request", how="left", maintain_order="left")
        .filter(pl.col("end_id").is_null() | (pl.col("id") <= pl.col("end_id")))
        .group_by("request")
        .agg(
            first_taken=at.filter(dst == "running").min(),
            taken=at.filter(dst == "running").last(),
            drawn=at.filter(dst == "rendered").last(),
            ended=pl.col("ended_at").first(),
            reason=pl.col("reason").filter(dst == "released").last(),
        )
    )


def _sends(deliveries: pl.DataFrame) -> pl.DataFrame:
    return deliveries.group_by("request").agg(
        sends=pl.len().cast(pl.Int64), sends_rejected=(pl.col("state") == "rejected").sum().cast(pl.Int64)
    )


def _credits(transfers: pl.DataFrame) -> pl.DataFrame:
    """Per request: credits by what happened to them, the user's and the house's apart."""
    of_requests = transfers.filter(pl.col("request").is_not_null())
    openings = of_requests.filter(pl.col("kind").is_in(_OPENING)).select(
        "request", "epoch", house=pl.col("kind").is_in(_HOUSE)
    )
    amount, house = pl.col("amount"), pl.col("house")
    opened, captured = pl.col("credit_code") == "user_held", pl.col("credit_code") == "revenue"
    return (
        of_requests.join(openings, on=["request", "epoch"], how="left", maintain_order="left")
        .group_by("request")
        .agg(
            held=amount.filter(opened & ~house).sum(),
            held_house=amount.filter(opened & house).sum(),
            charged=amount.filter(captured & ~house).sum(),
            charged_house=amount.filter(captured & house).sum(),
            released=amount.filter(~opened & ~captured & ~house).sum(),
            released_house=amount.filter(~opened & ~captured & house).sum(),
        )
    )


def _usd(micros: pl.Expr) -> pl.Expr:
    """Millionths as dollars; a float holds them exactly enough to be written with six places."""
    return (micros / 1e6).round(6)


def _count(condition: pl.Expr) -> pl.Expr:
    return condition.sum().cast(pl.Int64)


def _daily(cases: pl.DataFrame) -> pl.DataFrame:
    outcome, cost = pl.col("outcome"), pl.col("cost")
    delivered = outcome == "delivered"
    charged = delivered & (pl.col("charged") > 0)
    house = delivered & (pl.col("charged") == 0) & (pl.col("charged_house") > 0)
    refunded = outcome == "refunded"
    return (
        cases.group_by(DIMENSIONS)
        .agg(
            requests=pl.len().cast(pl.Int64),
            outlined=_count(pl.col("outlined").is_not_null() | pl.col("confirmed_now")),
            confirmed=_count(pl.col("confirmed_now")),
            delivered=_count(delivered), refunded=_count(refunded), failed=_count(outcome == "failed"),
            discarded=_count(outcome == "discarded"), open=_count(outcome == "open"), in_doubt=_count(pl.col("in_doubt")),
            slides=pl.col("slides").filter(delivered).sum(),
            **{name: pl.col(name).sum() for name in (
                "stand_ins", "sends", "sends_rejected", "held", "charged", "released",
                "held_house", "charged_house", "released_house", "calls", "calls_cost_unknown",
            )},
            cost_usd=_usd(cost.sum()), cost_charged_usd=_usd(cost.filter(charged).sum()),
            cost_house_usd=_usd(cost.filter(house).sum()), cost_refunded_usd=_usd(cost.filter(refunded).sum()),
            cost_free_usd=_usd(cost.filter(~charged & ~house & ~refunded).sum()),
        )
        .sort(DIMENSIONS)
    )  # fmt: skip


def _failures(cases: pl.DataFrame) -> pl.DataFrame:
    failed = pl.col("outcome") == "failed"
    return (
        cases.filter(failed | (pl.col("outcome") == "refunded"))
        .with_columns(
            stage=pl.when(failed).then(pl.lit("outline")).otherwise(pl.lit("carousel")),
            reason=pl.when(failed).then(pl.col("failure")).otherwise(pl.col("reason")).fill_null("other"),
        )
        .group_by(*DIMENSIONS, "stage", "reason")
        .agg(requests=pl.len().cast(pl.Int64), credits=pl.col("released").sum())
        .sort(*DIMENSIONS, "stage", "reason")
    )


def _durations(cases: pl.DataFrame) -> pl.DataFrame:
    """Every duration, in ascending order, so that percentiles of any selection are exact."""

    def seconds(start: str, stop: str, *, only: pl.Expr | None = None) -> pl.Expr:
        took = ((pl.col(stop) - pl.col(start)) / 1e6).clip(0).cast(pl.Float32)
        return (took if only is None else took.filter(only)).drop_nulls().sort()

    arrived = pl.col("outcome") == "delivered"
    return (
        cases.group_by(DIMENSIONS)
        .agg(
            outline_s=seconds("opened", "outlined", only=pl.col("writer") != "none"),
            choice_s=seconds("outlined", "confirmed", only=pl.col("writer") != "none"),
            queue_s=seconds("confirmed", "first_taken"),
            making_s=seconds("taken", "drawn", only=arrived),
            sending_s=seconds("drawn", "ended", only=arrived),
            total_s=seconds("confirmed", "ended", only=arrived),
        )
        .filter(pl.any_horizontal(pl.col(step).list.len() > 0 for step in STEPS))
        .sort(DIMENSIONS)
    )


def _calls(attempts: pl.DataFrame) -> pl.DataFrame:
    key = ("day", "provider", "model", "step", "outcome")
    took = ((pl.col("ended") - pl.col("started")) / 1e6).clip(0).cast(pl.Float32)
    return (
        attempts.with_columns(day=_day("started"))
        .group_by(key)
        .agg(
            calls=pl.len().cast(pl.Int64), tokens_in=pl.col("tokens_in").sum(), tokens_out=pl.col("tokens_out").sum(),
            images=pl.col("images").sum(), cost_usd=_usd(pl.col("cost").sum()), cost_unknown=_count(pl.col("cost").is_null()),
            seconds=took.drop_nulls().sort(),
        )
        .sort(key)
    )  # fmt: skip


def _money(transfers: pl.DataFrame) -> pl.DataFrame:
    key = ("day", "kind", "debit_code", "credit_code")
    return (
        transfers.with_columns(day=_day("at"))
        .group_by(key)
        .agg(transfers=pl.len().cast(pl.Int64), credits=pl.col("amount").sum())
        .sort(key)
    )


def _people(cases: pl.DataFrame, transfers: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    sold = pl.col("debit_code").str.starts_with("sales_") & (pl.col("credit_code") == "user_available")
    asked = cases.select(
        "day", "user_id", requests=pl.lit(1, pl.Int64), confirmed=pl.col("confirmed_now").cast(pl.Int64),
        delivered=(pl.col("outcome") == "delivered").cast(pl.Int64), charged="charged", bought=pl.lit(0, pl.Int64),
    )  # fmt: skip
    none = pl.lit(0, pl.Int64)
    bought = (
        transfers.filter(sold).with_columns(day=_day("at")).filter(pl.col("day").is_in(wanted))
        .select("day", "user_id", requests=none, confirmed=none, delivered=none, charged=none, bought="amount")
    )  # fmt: skip
    return pl.concat([asked, bought]).group_by("day", "user_id").sum().sort("day", "user_id")
