"""The command `carousel`. Arguments are parsed here; every command's work lives in its room and is imported when it is called."""

import getpass
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import click

from carousel_pipeline.errors import CarouselError
from carousel_pipeline.requests.options import Ratio

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout and nothing else.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="carousel-pipeline")
def carousel() -> None:
    """A Telegram bot that turns a text into an image carousel, made by Dagster, paid from a Postgres ledger."""


def main() -> None:
    """Run the command line; an error of ours is one clear line, never a traceback."""
    try:
        carousel()
    except CarouselError as error:
        click.echo(f"carousel: {error}", err=True)
        sys.exit(2)


@carousel.command()
def up() -> None:
    """Start everything on this machine; Ctrl-C stops all of it."""
    from carousel_pipeline.local.up import up as start

    sys.exit(start())


@carousel.command()
@click.argument("text", required=False)
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read the text here."
)
@click.option("--slides", type=click.IntRange(3, 10), help="How many slides; the text decides otherwise.")
@click.option("--style", help="A style's id, see assets_static/styles.")
@click.option("--lang", type=click.Choice(["ru", "en"]), default="en", show_default=True, help="Language of the chat.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("carousel-out"), show_default=True
)
@_JSON
def demo(
    text: str | None, file: Path | None, slides: int | None, style: str | None, lang: str, out: Path, *, as_json: bool
) -> None:
    """Write to the bot as a user would and wait for the album."""
    from carousel_pipeline.local.demo import demo as play

    sys.exit(play(text, file=file, slides=slides, style=style, lang=lang, out=out, as_json=as_json))


@carousel.command()
@click.argument("deck", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--style", default="editorial", show_default=True, help="A style's id, or the path of a style file.")
@click.option("--ratio", type=click.Choice(["4:5", "1:1", "9:16", "16:9"]), default="4:5", show_default=True)
@click.option(
    "--background", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A picture behind all."
)
@click.option("--handle", default="", help="Shown on the slides, for example @name.")
@click.option("--accent", help="Accent colour of a brand, #rrggbb.")
@click.option("--logo", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A brand's logo.")
@click.option("--watch", is_flag=True, help="Draw again whenever the deck or the style file changes; Ctrl-C ends it.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("carousel-out"), show_default=True
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jpeg", "png", "pdf"]),
    default="jpeg",
    show_default=True,
    help="png is lossless; pdf is one file.",
)
def render(
    deck: Path,
    style: str,
    ratio: Ratio,
    background: Path | None,
    handle: str,
    accent: str | None,
    logo: Path | None,
    out: Path,
    form: Literal["jpeg", "png", "pdf"],
    *,
    watch: bool,
) -> None:
    """Draw a deck from a JSON file: typography alone, for designers."""
    from carousel_pipeline.rendering.command import render as draw

    draw(
        deck,
        style,
        ratio,
        background,
        out,
        handle=handle,
        accent=accent,
        logo=logo,
        form=form,
        watch=watch,
        say=click.echo,
    )


@carousel.command()
@_JSON
def doctor(*, as_json: bool) -> None:
    """Check settings, database, providers, fonts and storage: each ok, or what to do."""
    from carousel_pipeline.doctor import doctor as examine

    sys.exit(examine(as_json=as_json))


@carousel.command()
def migrate() -> None:
    """Bring the database at DATABASE_URL to the newest schema."""
    from carousel_pipeline.database import migrate as apply
    from carousel_pipeline.errors import ConfigurationError
    from carousel_pipeline.settings import get_settings

    url = get_settings().database_url
    if url is None:
        raise ConfigurationError("DATABASE_URL is not set: name the database to migrate")
    applied = apply(url.get_secret_value())
    click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


@carousel.command()
@click.option("--dry-run", is_flag=True, help="Change nothing, say what would be forgotten.")
@click.option("--days", type=click.IntRange(1, 3650), help="Age of settled carousels; 30 otherwise.")
@_JSON
def cleanup(days: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Forget what is old: objects, words, Dagster's runs and keys. Every night does the same."""
    from carousel_pipeline.schedules.cleanup_command import cleanup as clean

    clean(days=days, dry_run=dry_run, as_json=as_json)


@carousel.command()
@click.argument("into", type=click.Path(file_okay=False, path_type=Path))
@_JSON
def backup(into: Path, *, as_json: bool) -> None:
    """Copy both databases and every stored object into a new folder of INTO."""
    from carousel_pipeline.backup.command import backup_command

    backup_command(into, as_json=as_json)


@carousel.command()
@click.argument("copy", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--drill", is_flag=True, help="Restore it into a PostgreSQL of its own, look, and throw that away.")
@_JSON
def restore(copy: Path, *, drill: bool, as_json: bool) -> None:
    """Bring a copy back into empty databases, and look whether the books agree and nothing is missing."""
    from carousel_pipeline.backup.command import restore_command

    sys.exit(restore_command(copy, only_drill=drill, as_json=as_json))


@carousel.group()
def bench() -> None:
    """Measure what the README claims: medians and ratios in one run."""


@bench.command("dispatch")
@click.option("--runs", type=click.IntRange(1, 200), default=10, show_default=True)
@_JSON
def bench_dispatch(runs: int, *, as_json: bool) -> None:
    """From submission to the first line of work: stock Dagster, this project, a direct call."""
    from carousel_pipeline.run_workers.bench import bench_dispatch as measure

    _report(measure(runs=runs), as_json=as_json)


@bench.command("render")
@_JSON
def bench_render(*, as_json: bool) -> None:
    """Milliseconds a slide, beside the floor of decoding and encoding alone."""
    from carousel_pipeline.rendering.bench import bench_render as measure

    _report(measure(), as_json=as_json)


@bench.command("ledger")
@_JSON
def bench_ledger(*, as_json: bool) -> None:
    """Transfers a second, beside two plain rows without any guard."""
    from carousel_pipeline.ledger.bench import bench_ledger as measure

    _report(measure(), as_json=as_json)


@bench.command("cluster")
@click.option("--runs", type=click.IntRange(1, 200), default=10, show_default=True)
@_JSON
def bench_cluster(runs: int, *, as_json: bool) -> None:
    """From submission to the first line of work, on two workers that share a Redis."""
    from carousel_pipeline.run_workers.cluster_bench import bench_cluster as measure

    _report(measure(runs=runs), as_json=as_json)


@bench.command("load")
@click.option(
    "--seconds", type=click.IntRange(1, 3600), default=300, show_default=True, help="of people without a pause"
)
@click.option(
    "--waiting", type=click.IntRange(1, 1000), default=200, show_default=True, help="people with slow pictures"
)
@_JSON
def bench_load(seconds: int, waiting: int, *, as_json: bool) -> None:
    """The whole product under people: latency, carousels a second, a rush, many who wait at once; takes a quarter of an hour."""
    from carousel_pipeline.run_workers.load_bench import bench_load as measure

    _report(measure(seconds, waiting), as_json=as_json)


@bench.command("start")
@click.option("--runs", type=click.IntRange(1, 50), default=3, show_default=True)
@_JSON
def bench_start(runs: int, *, as_json: bool) -> None:
    """Seconds until `carousel up` is ready, and what its parts hold in memory."""
    from carousel_pipeline.run_workers.start_bench import bench_start as measure

    _report(measure(runs), as_json=as_json)


@bench.command("usage")
@click.option("--requests", type=click.IntRange(1000, 10_000_000), default=1_000_000, show_default=True)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Keeps the past for the next time.")
@click.option("--prepare", is_flag=True, help="Makes the past in --folder and measures nothing.")
@_JSON
def bench_usage(requests: int, folder: Path | None, *, prepare: bool, as_json: bool) -> None:
    """Rolls a made-up past up, beside the same roll-up in plain SQL; a million requests take six minutes and 6 GB of disk."""
    from carousel_pipeline.usage.bench import bench_usage as measure

    if prepare and folder is None:
        raise click.UsageError("--prepare needs a --folder to keep the past in")
    _report(measure(requests, folder, prepare=prepare), as_json=as_json)


@bench.command("scale")
@click.option(
    "--history",
    type=click.IntRange(1000, 10_000_000),
    multiple=True,
    help="Past requests; may be given more than once.  [default: 1,000, 10,000, 100,000 and a million]",
)
@_JSON
def bench_scale(history: tuple[int, ...], *, as_json: bool) -> None:
    """Whether it slows down with age: the same work after shorter and longer pasts, beside a system that has hardly any."""
    from carousel_pipeline.run_workers.scale.bench import PASTS
    from carousel_pipeline.run_workers.scale.bench import bench_scale as measure

    _report(measure(history or PASTS), as_json=as_json)


def _report(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures))
        return
    from rich.console import Console

    Console().print_json(data=figures)


@carousel.group()
def ops() -> None:
    """See one request whole, and decide about its money: with a name, with a reason, kept for ever."""


_REQUEST = click.argument("request_id", type=click.UUID)
_ACTOR = click.option("--actor", default=getpass.getuser, show_default="login name", help="Who decides.")
_REASON = click.option("--reason", required=True, help="Why; others will read it.")


@ops.command("show")
@_REQUEST
@click.option("--text", is_flag=True, help="Also print what the user wrote and the slides' copy.")
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw where the time went in this SVG file."
)
@_JSON
def ops_show(request_id: UUID, *, text: bool, picture: Path | None, as_json: bool) -> None:
    """Tell a request whole: content, state, hold, transfers, history, decisions, Dagster's runs, where its time went."""
    from carousel_pipeline.ops import show

    show(request_id, text=text, picture=picture, as_json=as_json)


@ops.command("release")
@_REQUEST
@_ACTOR
@_REASON
@_JSON
def ops_release(request_id: UUID, actor: str, reason: str, *, as_json: bool) -> None:
    """Give the held credits back, even when a delivery is in doubt."""
    from carousel_pipeline.ops import release

    release(request_id, actor=actor, reason=reason, as_json=as_json)


@ops.command("reopen")
@_REQUEST
@click.option("--funding", type=click.Choice(["house", "user"]), required=True, help="Who pays this time.")
@_ACTOR
@_REASON
@_JSON
def ops_reopen(request_id: UUID, funding: Literal["house", "user"], actor: str, reason: str, *, as_json: bool) -> None:
    """Have a refunded request made once more."""
    from carousel_pipeline.ops import reopen

    reopen(request_id, funding, actor=actor, reason=reason, as_json=as_json)


@ops.command("grant")
@click.argument("tg_user_id", type=click.IntRange(min=1))
@click.argument("credits_", metavar="CREDITS", type=click.IntRange(1, 10_000))
@click.option("--key", help="A ticket's number: the same key is the same gift.")
@_ACTOR
@_REASON
@_JSON
def ops_grant(tg_user_id: int, credits_: int, key: str | None, actor: str, reason: str, *, as_json: bool) -> None:
    """Give credits to a person; the same command twice is one gift."""
    from carousel_pipeline.ops import grant

    grant(tg_user_id, credits_, key=key, actor=actor, reason=reason, as_json=as_json)


@ops.command("resolve")
@_REQUEST
@click.option("--got/--not-got", required=True, help="The album arrived and is charged, or it is sent again.")
@_ACTOR
@_REASON
@_JSON
def ops_resolve(request_id: UUID, actor: str, reason: str, *, got: bool, as_json: bool) -> None:
    """Answer for the user whether an album arrived."""
    from carousel_pipeline.ops import resolve

    resolve(request_id, got=got, actor=actor, reason=reason, as_json=as_json)


@ops.command("rules")
@_JSON
def ops_rules(*, as_json: bool) -> None:
    """See the figures that may be tuned: deadlines, gifts, caps."""
    from carousel_pipeline.ops import rules

    rules(as_json=as_json)


@ops.command("rule")
@click.argument("name")
@click.argument("value", type=click.IntRange(0, 1_000_000))
@_ACTOR
@_REASON
@_JSON
def ops_rule(name: str, value: int, actor: str, reason: str, *, as_json: bool) -> None:
    """Tune one of these figures for every process, at once."""
    from carousel_pipeline.ops import rule

    rule(name, value, actor=actor, reason=reason, as_json=as_json)


@ops.command("payments")
@_JSON
def ops_payments(*, as_json: bool) -> None:
    """See the payments that wait for a human."""
    from carousel_pipeline.ops import payments

    payments(as_json=as_json)


@ops.command("matched")
@click.argument("source", type=click.Choice(["stars", "rub"]))
@click.argument("charge")
@click.argument("direction", type=click.Choice(["in", "out"]))
@_ACTOR
@_REASON
@_JSON
def ops_matched(source: str, charge: str, direction: str, actor: str, reason: str, *, as_json: bool) -> None:
    """Close a payment that fits no order and was dealt with by hand."""
    from carousel_pipeline.ops import matched

    matched(source, charge, direction, actor=actor, reason=reason, as_json=as_json)


@ops.command("promo-code")
@click.argument("code")
@click.option("--credits", "credits_", type=click.IntRange(1, 1000), required=True, help="What one use gives.")
@click.option("--uses", type=click.IntRange(1, 1_000_000), required=True, help="How many people may use it.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long; default: until it is used up.")
@_ACTOR
@_REASON
@_JSON
def ops_promo_code(
    code: str, credits_: int, uses: int, days: int | None, actor: str, reason: str, *, as_json: bool
) -> None:
    """Make a promo code."""
    from carousel_pipeline.ops import promo_code

    promo_code(code, credits_=credits_, uses=uses, days=days, actor=actor, reason=reason, as_json=as_json)


@carousel.group()
def usage() -> None:
    """What the product did, for those who look at figures."""


_DAY = click.DateTime(formats=["%Y-%m-%d"])


@usage.command("report")
@click.option("--from", "first", type=_DAY, help="First UTC day; four weeks in all otherwise.")
@click.option("--to", "last", type=_DAY, help="Last UTC day; today otherwise.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write one self-contained page with charts; - is the standard output.",
)
@_JSON
def usage_report(first: datetime | None, last: datetime | None, html: Path | None, *, as_json: bool) -> None:
    """Funnel, cost and margin, refunds, latency by step, queue wait, retention, styles and languages."""
    from carousel_pipeline.usage.command import report

    report(first and first.date(), last and last.date(), html, as_json=as_json)


@ops.command("erase")
@click.argument("tg_user_id", type=click.IntRange(min=1))
@_ACTOR
@_REASON
@_JSON
def ops_erase(tg_user_id: int, actor: str, reason: str, *, as_json: bool) -> None:
    """Forget a person who asks for it: words, chats, files; the books stay, with nobody's name on them."""
    from carousel_pipeline.ops import erase

    erase(tg_user_id, actor=actor, reason=reason, as_json=as_json)


@carousel.command("bot")
def bot_process() -> None:
    """Run the Telegram bot alone."""
    from bot.__main__ import main as run

    run()


@carousel.command()
@click.option("--concurrency", type=click.IntRange(1, 64), default=8, show_default=True, help="Runs at once.")
def worker(concurrency: int) -> None:
    """Take runs from the broker at CAROUSEL_BROKER_URL: one of a cluster's hosts (needs the extra `cluster`)."""
    from carousel_pipeline.errors import ConfigurationError
    from carousel_pipeline.settings import get_settings

    url = get_settings().carousel_broker_url
    if url is None:
        raise ConfigurationError("CAROUSEL_BROKER_URL is not set: name the broker that the runs come from")
    try:
        from carousel_pipeline.run_workers.worker import serve
    except ModuleNotFoundError:
        raise ConfigurationError("a worker needs more packages: install carousel-pipeline[cluster]") from None
    serve(url.get_secret_value(), concurrency=concurrency)


@carousel.command("code-server")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=4000, show_default=True)
@click.option(
    "--finish", type=click.FloatRange(0), default=6.0, show_default=True, help="Seconds that runs get at the end."
)
def code_server(host: str, port: int, finish: float) -> None:
    """Run the Dagster code server whose runs start from a warm process."""
    from carousel_pipeline.run_workers.code_server import serve

    serve(host, port, finish_s=finish)
