"""Index use asserted by plan: every query is executed on a past of moderate size, and every statement that it comes to, those
inside functions and triggers too, shows the plan it ran by and the rows it read.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from carousel_pipeline.database import Row, query
from carousel_pipeline.paths import resource
from carousel_pipeline.run_workers.scale.queries import FILES, GROWING, asked_for, names, parameters, role_of
from carousel_pipeline.run_workers.scale.scene import Scene

# Whatever the present needs is far less than this; whatever grows with the past is more.
ROWS: Final = 400
NOT_WALKED: Final = MappingProxyType({
    "backup": "reads everything: that is what it is for",
    "bench": "of a benchmark",
    "demo": "of one command on one machine",
    "history": "makes the past up",
    "logins": "asks the catalogue",
    "migrations": "asks its own table of a dozen rows",
    "scale": "makes the past up",
    "usage": "the roll-up, measured by `carousel bench usage`",
    "usage_examples": "questions of analysts, over days",
    "usage_plain": "the yardstick of `carousel bench usage`",
    "usage_report": "of the roll-up's own tables, which grow by days",
})  # fmt: skip
_OF_A_PERSON: Final = frozenset({"tg", "user", "limit", "after", "locale", "blocked", "version"})

SETTINGS: Final = (
    "load 'auto_explain'",
    "set auto_explain.log_min_duration = 0",
    "set auto_explain.log_analyze = on",
    "set auto_explain.log_timing = off",
    "set auto_explain.log_nested_statements = on",
    "set auto_explain.log_format = json",
    "set auto_explain.log_level = notice",
)
Plan = dict[str, Any]


def _of_a_person(name: str) -> bool:
    return bool(asked_for(name) & {"tg", "user"}) and asked_for(name) <= _OF_A_PERSON


@pytest.fixture(scope="session")
def rows(aged_url: str, scene: Scene) -> Mapping[str, int]:
    """How many rows the tables have."""
    del scene
    with psycopg.connect(aged_url) as connection:
        found = connection.execute(
            "select relname, max(reltuples)::int from pg_class where relkind = 'r' "
            "and relnamespace::regnamespace::text !~ '^(pg_|information_schema)' group by relname"
        ).fetchall()
    return {str(name): int(many) for name, many in found}


def plans_of(
    connection: psycopg.Connection[Row], name: str, values: dict[str, Any], statement: bytes | None = None
) -> list[Plan]:
    """Execute a query as its role and return the plan of every statement it came to."""
    found: list[Plan] = []

    def listen(notice: psycopg.errors.Diagnostic) -> None:
        _, told, plan = (notice.message_primary or "").partition("plan:\n")
        if told:
            found.append(json.loads(plan)["Plan"])

    for setting in SETTINGS:
        connection.execute(setting.encode())
    connection.execute(sql.SQL("set role {}").format(sql.Identifier(role_of(name))))
    connection.add_notice_handler(listen)
    connection.execute(query(name) if statement is None else statement, values)
    connection.execute("set constraints all immediate")
    return found


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def faults(plans: Sequence[Plan], rows: Mapping[str, int]) -> list[str]:
    """Say where more than `ROWS` rows are read, or could be: a table that is read whole has as many as the past made."""
    return [fault for plan in plans for node in nodes(plan) for fault in _of_node(node, rows)]


def _of_node(node: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name")
    passed = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    read = sum(node.get(key, 0) for key in passed) * node.get("Actual Loops", 1)
    if kind == "Seq Scan" and rows.get(table or "", 0) > ROWS:
        yield f"reads all of {table}: {read:.0f} rows"
    elif table and read > ROWS:
        yield f"{kind} reads {read:.0f} rows of {table} by {node.get('Index Name') or 'a bitmap'}"
    elif kind == "Sort" and read > ROWS:
        yield f"sorts {read:.0f} rows"


@pytest.mark.parametrize("name", [name for name in names() if name not in GROWING])
def test_a_query_reads_no_more_than_the_present(
    aged: psycopg.Connection[Row], scene: Scene, rows: Mapping[str, int], name: str
) -> None:
    assert faults(plans_of(aged, name, parameters(name, scene)), rows) == []


@pytest.mark.parametrize("name", [name for name in names() if name not in GROWING and _of_a_person(name)])
def test_who_came_first_and_seldom_waits_no_longer(
    aged: psycopg.Connection[Row], scene: Scene, rows: Mapping[str, int], name: str
) -> None:
    """Read from its end, the past holds nothing of such a person: a plan that does so reads all of it."""
    [first] = aged.execute(
        "select u.id, u.tg_user_id from ledger.app_user u where (select count(*) from carousel.request r where r.user_id = u.id) "
        "between 1 and 3 order by u.id limit 1"
    ).fetchall()
    values = parameters(name, scene)
    values |= {key: first[of] for key, of in (("tg", "tg_user_id"), ("user", "id")) if key in values}
    assert faults(plans_of(aged, name, values), rows) == []


def test_every_file_of_queries_is_walked_or_has_a_reason_not_to_be() -> None:
    files = {path.stem for path in (resource("sql") / "queries").iterdir()}
    assert files == FILES.keys() | NOT_WALKED.keys()
    assert GROWING.keys() <= set(names())


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("select 1 from carousel.request where failure = 'timeout'", "reads all of request"),
        ("select id from ledger.transfer where id > 0 order by amount", "sorts"),
        ("select count(*) from carousel.attempt where cost_usd > 1000", "reads all of attempt"),
        ("do $$ begin perform 1 from ledger.request_event where note = 'x'; end $$", "reads all of request_event"),
    ],
)
def test_the_plans_of_slow_statements_are_seen(
    aged: psycopg.Connection[Row], rows: Mapping[str, int], statement: str, fault: str
) -> None:
    found = faults(plans_of(aged, "ledger.violations", {}, statement.encode()), rows)
    assert any(fault in one for one in found), found
