"""`carousel ops`: one request told whole, and what an operator decides about money.

A decision has an actor and a reason, is made by one call of the SQL API as role `led_ops`, and is kept for ever. A decision
that would change nothing is refused in words: an operator who reads "done" must be able to rely on it.
"""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from carousel_pipeline.database import Row, connect, query
from carousel_pipeline.errors import ConfigurationError, PermanentError
from carousel_pipeline.ledger.errors import (
    IllegalTransitionError,
    NoSuchPaymentError,
    NoSuchRequestError,
    NoSuchUserError,
    ledger_errors,
)
from carousel_pipeline.ledger.operators import Decision, Dossier, Funding, OperatorLedger
from carousel_pipeline.local.stack import find_running
from carousel_pipeline.records.timeline import facts_of
from carousel_pipeline.settings import Settings, get_settings
from carousel_pipeline.tags import REQUEST_TAG
from carousel_pipeline.timeline import as_text, as_values, svg_of, timeline

_LEAST_REASON: Final = 5
_LEAST_ACTOR: Final = 2
_DAGSTER_S: Final = 5.0
_OPEN: Final = frozenset({"reserved", "running", "rendered", "delivery_unknown"})
_FUNDED: Final = MappingProxyType({"reserve": "user", "reopen": "house", "second_life": "house"})
_GIFTS: Final = uuid.UUID("0d7c4a1e-6f0b-4b7e-9d2e-2c8f5b1a7e90")
_RUNS: Final = """
query Runs($own: RunsFilter!, $partition: RunsFilter!) {
  own: runsOrError(filter: $own, limit: 100) { ...Found }
  partition: runsOrError(filter: $partition, limit: 100) { ...Found }
}
fragment Found on RunsOrError { ... on Runs { results { runId jobName status creationTime tags { key value } } } }
"""


class DecisionError(PermanentError):
    """A decision lacks a name or a reason."""


def show(request_id: UUID, *, text: bool = False, picture: Path | None = None, as_json: bool = False) -> None:
    """Print everything that is known about a request; what people wrote only with `text`.

    Args:
        request_id: which.
        text: also what people wrote.
        picture: an SVG file to draw the request's timeline in.
        as_json: print one JSON object.

    Raises:
        ConfigurationError: there is no database to ask.
        NoSuchRequestError: no request has this id.
    """
    with _ledger() as (connection, ledger):
        story = _story(connection, ledger, request_id, text=text)
    story["runs"] = _runs(get_settings(), request_id)
    time = story.pop("timeline")
    if picture is not None:
        picture.write_text(svg_of(time), encoding="utf-8")
    if as_json:
        _print_json({**story, "timeline": as_values(time)})
    else:
        _print_story(story)
        _console().print(f"\n{as_text(time)}")


def release(request_id: UUID, *, actor: str, reason: str, as_json: bool = False) -> None:
    """Give the hold of an open request back, even one in doubt.

    Raises:
        IllegalTransitionError: it is settled already.
        DecisionError: the actor or the reason is too short.
        NoSuchRequestError: no confirmed request has this id.
    """
    decision = _decision(actor, reason)
    with _ledger() as (_, ledger):
        state = ledger.show(request_id).request["state"]
        if state not in _OPEN or not ledger.release(request_id, decision):
            raise IllegalTransitionError(f"the request is {state}: nothing is held, so nothing can be given back")
        _done(ledger, request_id, as_json=as_json)


def reopen(request_id: UUID, funding: Funding, *, actor: str, reason: str, as_json: bool = False) -> None:
    """Hold a refunded request's price once more and have it made again.

    Raises:
        IllegalTransitionError: it is not refunded.
        InsufficientCreditsError: the user is to pay and cannot.
        DecisionError: the actor or the reason is too short.
        NoSuchRequestError: no confirmed request has this id.
    """
    decision = _decision(actor, reason)
    with _ledger() as (_, ledger):
        state = ledger.show(request_id).request["state"]
        if state != "released":
            raise IllegalTransitionError(f"the request is {state}: only a refunded (released) one can be reopened")
        ledger.reopen(request_id, funding, decision)
        _done(ledger, request_id, as_json=as_json)


def resolve(request_id: UUID, *, got: bool, actor: str, reason: str, as_json: bool = False) -> None:
    """Answer for the user whether an album in doubt arrived: charge it, or send it again.

    Raises:
        IllegalTransitionError: nothing is in doubt.
        DecisionError: the actor or the reason is too short.
        NoSuchRequestError: no confirmed request has this id.
    """
    decision = _decision(actor, reason)
    with _ledger() as (_, ledger):
        state = ledger.show(request_id).request["state"]
        if state != "delivery_unknown":
            raise IllegalTransitionError(
                f"the request is {state}: only one in doubt (delivery_unknown) can be resolved"
            )
        ledger.resolve(request_id, decision, got=got)
        _done(ledger, request_id, as_json=as_json)


def grant(tg_user_id: int, credits_: int, *, key: str | None, actor: str, reason: str, as_json: bool = False) -> None:
    """Give credits to somebody who has written to the bot.

    Args:
        tg_user_id: Telegram's id of the person.
        credits_: how many.
        key: makes a repeated command one gift; None: the same person, credits, actor and reason are the same gift.
        actor: who gives.
        reason: why.
        as_json: print one JSON object.

    Raises:
        NoSuchUserError: nobody with this id has written to the bot.
        DecisionError: the actor or the reason is too short.
    """
    decision = _decision(actor, reason)
    gift = key or str(uuid.uuid5(_GIFTS, json.dumps([tg_user_id, credits_, decision.actor, decision.reason])))
    with _ledger() as (connection, ledger):
        if not _rows(connection, "ops.knows", tg=tg_user_id)[0]["known"]:
            raise NoSuchUserError(f"nobody with the Telegram id {tg_user_id} has written to the bot")
        granted = ledger.grant(tg_user_id, credits_, f"ops:{gift}", decision)
    outcome = {"tg_user_id": tg_user_id, "credits": credits_, "granted": granted, "key": gift}
    if as_json:
        _print_json(outcome)
    elif granted:
        _console().print(f"{credits_} credits given to {tg_user_id}")
    else:
        _console().print(
            "nothing given: this very gift was given before; for another one say another --reason or --key"
        )


def rules(*, as_json: bool = False) -> None:
    """Print the figures that an operator may tune: deadlines, gifts, caps.

    Raises:
        ConfigurationError: there is no database to ask.
    """
    with _ledger() as (_, ledger):
        found = ledger.rules()
    if as_json:
        _print_json({row["name"]: row["value"] for row in found})
    else:
        _print_rows(_console(), "rules", found)


def rule(name: str, value: int, *, actor: str, reason: str, as_json: bool = False) -> None:
    """Set one of these figures; it holds from the ledger's next call on, for every process.

    Raises:
        OutOfRangeError: there is no such figure.
        DecisionError: the actor or the reason is too short.
    """
    decision = _decision(actor, reason)
    with _ledger() as (_, ledger):
        before = ledger.tune(name, value, decision)
    if as_json:
        _print_json({"name": name, "before": before, "value": value})
    else:
        _console().print(f"{name}: {value} instead of {before}")


def payments(*, as_json: bool = False) -> None:
    """Print what waits for a human: payments that fit no order, refunds that Telegram does not take, unreadable reports.

    Raises:
        ConfigurationError: there is no database to ask.
    """
    with _ledger() as (connection, _):
        [health] = _rows(connection, "payments.health")
        unmatched = _rows(connection, "payments.unmatched")
    if as_json:
        _print_json({**health, "payments": unmatched})
        return
    console = _console()
    console.print(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in health.items()))
    _print_rows(console, "without an order", unmatched)


def matched(source: str, charge: str, direction: str, *, actor: str, reason: str, as_json: bool = False) -> None:
    """Close a payment that fits no order: it was dealt with by hand.

    Raises:
        NoSuchPaymentError: there is none under this name.
        DecisionError: the actor or the reason is too short.
    """
    decision = _decision(actor, reason)
    what = {"source": source, "charge": charge, "direction": direction}
    with _ledger() as (connection, _):
        if not any(what.items() <= row.items() for row in _rows(connection, "payments.unmatched")):
            raise NoSuchPaymentError("no open payment has this name: `carousel ops payments` lists them")
        _rows(connection, "payments.ops_matched", **what, actor=decision.actor, reason=decision.reason)
    if as_json:
        _print_json({**what, "closed": True})
    else:
        _console().print("closed")


def promo_code(
    code: str, *, credits_: int, uses: int, days: int | None, actor: str, reason: str, as_json: bool = False
) -> None:
    """Make a promo code.

    Args:
        code: 3 to 32 letters, digits, _ and -; capitals do not matter.
        credits_: what one use gives.
        uses: how many people may use it, once each.
        days: how long; None: until it is used up.
        actor: who decides.
        reason: why.
        as_json: print one JSON object.

    Raises:
        DecisionError: there is such a code, or the actor or the reason is too short.
        OutOfRangeError: the code has other characters.
    """
    decision = _decision(actor, reason)
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    what = {"code": code, "credits": credits_, "uses": uses, "expires": expires}
    with _ledger() as (connection, _), ledger_errors():
        [row] = _rows(connection, "payments.ops_promo_code", **what, actor=decision.actor, reason=decision.reason)
    if not row["made"]:
        raise DecisionError(f"there is a code {code.upper()} already; codes are never used twice")
    if as_json:
        _print_json(what)
    else:
        _console().print(f"{code.upper()}: {credits_} credits, {uses} uses")


def erase(tg_user_id: int, *, actor: str, reason: str, as_json: bool = False) -> None:
    """Forget a person who asks for it: words, chats, files; the books stay, with nobody's name on them.

    Raises:
        NoSuchUserError: nobody with this id has written to the bot.
        IllegalTransitionError: something is open; settle it first.
        DecisionError: the actor or the reason is too short.
    """
    decision = _decision(actor, reason)
    with _ledger() as (connection, _), ledger_errors():
        [row] = _rows(connection, "house.erase", tg=tg_user_id, actor=decision.actor, reason=decision.reason)
    if not row["erased"]:
        raise NoSuchUserError(f"nobody with the Telegram id {tg_user_id} has written to the bot")
    if as_json:
        _print_json({"erased": True})
    else:
        _console().print("Forgotten. Stored files go with the next cleanup.")


def _decision(actor: str, reason: str) -> Decision:
    decision = Decision(actor.strip(), reason.strip())
    if len(decision.actor) < _LEAST_ACTOR:
        raise DecisionError(f"--actor is too short: name yourself in at least {_LEAST_ACTOR} characters")
    if len(decision.reason) < _LEAST_REASON:
        raise DecisionError(
            f"--reason is too short: say why in at least {_LEAST_REASON} characters; it is kept for ever"
        )
    return decision


@contextmanager
def _ledger() -> Iterator[tuple[psycopg.Connection[Row], OperatorLedger]]:
    """Connect to the database of the settings, else to the running stack's."""
    settings = get_settings()
    running = None if settings.database_url else find_running(settings.carousel_home.expanduser().resolve())
    url = settings.database_url.get_secret_value() if settings.database_url else running and running.database_url
    if not url:
        raise ConfigurationError("no database to ask: set DATABASE_URL, or start `carousel up`")
    try:
        connection = connect(url, "led_ops")
    except psycopg.OperationalError as error:
        raise ConfigurationError(f"the database does not answer: {str(error).strip()}") from None
    with connection:
        yield connection, OperatorLedger(connection)


def _rows(connection: psycopg.Connection[Row], name: str, **parameters: object) -> list[Row]:
    return connection.execute(query(name), parameters).fetchall()


def _story(
    connection: psycopg.Connection[Row], ledger: OperatorLedger, request_id: UUID, *, text: bool
) -> dict[str, Any]:
    content = next(iter(_rows(connection, "ops.content", id=request_id)), None)
    try:
        dossier = ledger.show(request_id)
    except NoSuchRequestError:
        if content is None:
            raise NoSuchRequestError(f"no request has the id {request_id}") from None
        dossier = None
    if content is not None and text:
        content |= _rows(connection, "ops.words", id=request_id)[0]
    return {
        "id": request_id,
        "state": dossier.request["state"] if dossier else content and content["phase"],
        "content": content,
        "hold": _hold(dossier) if dossier else None,
        "request": dossier.request if dossier else None,
        "transfers": dossier.transfers if dossier else [],
        "second_lives": _rows(connection, "ops.second_lives", id=request_id),
        "deliveries": dossier.deliveries if dossier else [],
        "album": _rows(connection, "ops.album", id=request_id),
        "events": dossier.events if dossier else [],
        "operator_actions": dossier.actions if dossier else [],
        "timeline": timeline(facts_of(connection, [request_id]).get(request_id, [])),
    }


def _hold(dossier: Dossier) -> dict[str, Any]:
    """What is held now, and who pays for it."""
    request = dossier.request
    opened = [row["kind"] for row in dossier.transfers if row["epoch"] == request["epoch"] and row["kind"] in _FUNDED]
    return {
        "held": request["cost"] if request["state"] in _OPEN else 0,
        "epoch": request["epoch"],
        "paid_by": _FUNDED[opened[-1]] if opened else None,
        "lease_until": request["lease_until"],
        "deadline": request["deadline"],
    }


def _runs(settings: Settings, request_id: UUID) -> list[Row] | None:
    """Return Dagster's runs of a request, oldest first; None where no Dagster answers."""
    running = None if settings.dagster_graphql_url else find_running(settings.carousel_home.expanduser().resolve())
    url = settings.dagster_graphql_url or (
        running and running.dagster_ui and f"{running.dagster_ui.rstrip('/')}/graphql"
    )
    if not url:
        return None
    tagged = {
        name: {"tags": [{"key": tag, "value": str(request_id)}]}
        for name, tag in (("own", REQUEST_TAG), ("partition", "dagster/partition"))
    }
    body = json.dumps({"query": _RUNS, "variables": tagged}).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own Dagster
    try:
        with urllib.request.urlopen(asked, timeout=_DAGSTER_S) as answer:  # noqa: S310 - as above
            data = json.load(answer)["data"]
        found = {run["runId"]: run for name in tagged for run in data[name]["results"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [
        {
            "id": run["runId"],
            "job": run["jobName"],
            "status": run["status"],
            "backfill": next((tag["value"] for tag in run["tags"] if tag["key"] == "dagster/backfill"), None),
        }
        for run in sorted(found.values(), key=lambda run: run["creationTime"])
    ]


def _done(ledger: OperatorLedger, request_id: UUID, *, as_json: bool) -> None:
    """Print what a request has become."""
    now = ledger.show(request_id)
    outcome = {"id": request_id, "state": now.request["state"], **_hold(now), "action": now.actions[-1]["id"]}
    if as_json:
        _print_json(outcome)
    else:
        _console().print(f"{request_id} is {outcome['state']}, {outcome['held']} credits held")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)


def _print_json(value: Mapping[str, Any]) -> None:
    _console().out(json.dumps(value, default=str, ensure_ascii=False), highlight=False)


def _print_story(story: dict[str, Any]) -> None:
    console = _console()
    console.print(f"request {story['id']}: {story['state']}")
    for name in ("content", "hold", "request"):
        _print_rows(console, name, [{"what": key, "value": value} for key, value in (story[name] or {}).items()])
    for name in ("transfers", "second_lives", "deliveries", "album", "events", "operator_actions"):
        _print_rows(console, name, story[name])
    if story["runs"] is None:
        known = {row["note"].removeprefix("run ") for row in story["events"] if (row["note"] or "").startswith("run ")}
        console.print(f"Dagster does not answer; runs that worked on it: {', '.join(sorted(known)) or 'none'}")
    else:
        _print_rows(console, "runs", story["runs"])


def _print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    table = Table(title=title.replace("_", " "), title_justify="left", box=None, show_header="value" not in rows[0])
    columns = [column for column in rows[0] if any(row[column] not in (None, "", {}) for row in rows)]
    for column in columns:
        table.add_column(column, no_wrap=isinstance(rows[0][column], datetime))
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)
