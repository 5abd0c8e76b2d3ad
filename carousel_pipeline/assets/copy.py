"""The copy of one request's slides.

The job `outline` makes it before anybody has paid; nothing here touches money. The text is checked again although the bot did:
a partition can be materialised by hand in the UI (M22). A style that does not exist is refused here, before anything costs.

A rerun finds the deck that was written and asks nobody: it was paid for, and the user may have confirmed it. A change that
needs no writer was opened with its deck, which is handed on as it is. A change of language is translated here once:
a rerun finds the deck in its language and asks nobody.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from carousel_pipeline.assets.policy import dagster_errors
from carousel_pipeline.copywriting import Allowance, Brief, Copywriter, Usage, Written
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.providers import CallLog, ContentRefusedError, ProviderBusyError, ProviderStoppedError
from carousel_pipeline.records import RequestRecord, RequestRecords
from carousel_pipeline.requests import Deck, SourceError, clean_source, price_of
from carousel_pipeline.resources import Database, Providers


@dg.asset(
    partitions_def=request_partitions,
    io_manager_key="json",
    kinds={"anthropic", "json"},
    group_name="carousel",
    check_specs=[dg.AssetCheckSpec("slide_count", asset="copy", description="As many slides as were asked for.")],
)
def copy(
    context: dg.AssetExecutionContext, database: Database, providers: Providers
) -> Iterator[dg.MaterializeResult[Deck]]:
    """Slides, caption, hashtags and alt texts, in the text's language."""
    with dagster_errors(context), database.trace.span("copy"):
        from carousel_pipeline.rendering import load_style  # noqa: PLC0415 - fonts and numpy: only a run pays for them

        session = database.calls()
        records = RequestRecords(session, database.trace)
        request = records.load(context.partition_key)
        load_style(request.options.style)
        writer = providers.writer()
        found = request.written or request.deck
        if found is None:
            with _told(records, request):
                written = _write(request, writer, providers.calls(context, session, request))
        elif (language := request.change.language) is not None and language != found.language:
            log = providers.calls(context, session, request, "translate")
            written = asyncio.run(writer.translate(found, language, log))
            records.translated(request.id, written.deck)
        else:
            written = Written(deck=found, usage=Usage(model="none"))
        deck = written.deck
    wanted = request.options.slides if request.written is None else len(deck.slides)
    yield dg.MaterializeResult(
        value=deck,
        metadata={
            "slides": len(deck.slides),
            "language": deck.language,
            "structure": deck.structure,
            "writer": written.usage.model,
            "demo": writer.demo,
            "tokens in": written.usage.input_tokens,
            "tokens out": written.usage.output_tokens,
            "cost USD": written.usage.cost_usd,
            "writing s": round(written.usage.duration_s, 3),
            "price credits": price_of(deck, request.options),
            "not in the source": dg.MetadataValue.json(
                {str(number): list(slide.unsourced) for number, slide in enumerate(deck.slides, 1) if slide.unsourced}
            ),
            "deck": dg.MetadataValue.md(
                "\n\n".join(
                    f"**{number}. {slide.heading}**\n\n{slide.body}" for number, slide in enumerate(deck.slides, 1)
                )
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="slide_count",
                passed=wanted is None or wanted == len(deck.slides),
                metadata={"wanted": wanted or "the text decides", "written": len(deck.slides)},
            )
        ],
    )
    if request.written is not None:
        return
    # After the value is stored: a process killed in between left an outline that people confirmed and no run could find.
    with dagster_errors(context):
        price = price_of(deck, request.options)
        RequestRecords(database.calls(), database.trace).outline_ready(request.id, deck, price)


@contextmanager
def _told(records: RequestRecords, request: RequestRecord) -> Iterator[None]:
    """Tell the user at once why no outline comes: other words are needed, or another hour; anything else the sensors report."""
    try:
        yield
    except ContentRefusedError:
        records.outline_failed(request.id, "refused")
        raise
    except (ProviderStoppedError, ProviderBusyError):
        records.outline_failed(request.id, "provider")
        raise


def _write(request: RequestRecord, writer: Copywriter, log: CallLog) -> Written:
    """Have the request's text written; a model is told what the look takes, and what of its copy would be cut."""
    from carousel_pipeline.copywriting.language import detect  # noqa: PLC0415 - as above
    from carousel_pipeline.rendering import budgets, load_style, must_shrink  # noqa: PLC0415 - as above

    source, options = _source(request), request.options
    if writer.demo:
        return asyncio.run(writer.write(Brief(source=source, options=options), log))
    style = load_style(options.style)
    look = budgets(style, options.ratio, options.language or detect(source))
    allowances = {role: Allowance(heading=room.heading, body=room.body) for role, room in look.items()}
    brief = Brief(source=source, options=options, allowances=allowances)
    return asyncio.run(writer.write(brief, log, lambda deck: must_shrink(deck, style, options.ratio)))


def _source(request: RequestRecord) -> str:
    try:
        return clean_source(request.source)
    except SourceError as error:
        raise PermanentError(str(error)) from None
