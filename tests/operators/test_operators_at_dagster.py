"""What an operator does in the Dagster UI, and what it does to money and messages: `design`, "Operator's view", as assertions.

One real Dagster for all. Every action goes through the GraphQL API with the mutations of the UI; every effect is read where
it counts: in the ledger's journal and in what Telegram has accepted.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import psutil
import pytest

from .conftest import CAPTURE, PARALLEL, PRICE, RELEASE, RESERVE, SECOND_LIFE, Order, Shop, until
from .dagster_ui import SENSORS

pytestmark = [pytest.mark.xdist_group("operators"), pytest.mark.timeout(7200)]
HOUSE = {"carousel/second-life": "house"}
SINGLE = ("re-execute all", "from failure", "launch")
# In how many situations a button is pressed here: how often it is pressed altogether is shared out among them.
SITUATIONS = {"re-execute all": 9, "from failure": 4, "launch": 5, "backfill": 6, "materialize": 4}
Begun = Callable[[], list[str]]
Share = Callable[[int], int]


def shares(times: Share, ways: Iterable[str]) -> dict[str, int]:
    """How often to go each way in one situation."""
    return {how: times(next(SITUATIONS[button] for button in SITUATIONS if how.startswith(button))) for how in ways}


def shared(runs: dict[Order, str], sizes: Mapping[str, int]) -> dict[str, dict[Order, str]]:
    """The same orders for all ways, as many of them as each needs."""
    return {how: dict(islice(runs.items(), size)) for how, size in sizes.items()}


def begin(shop: Shop, how: str, runs: dict[Order, str]) -> Begun:
    """Do it for each order whose last run is given; the answer waits for the runs that come of it."""
    keys = [order.key for order in runs]
    tags = HOUSE if "for the house" in how else {}
    if how in SINGLE:
        acts: dict[str, Callable[[Order], str]] = {
            "re-execute all": lambda order: shop.ui.reexecute(runs[order], "ALL_STEPS"),
            "from failure": lambda order: shop.ui.reexecute(runs[order], "FROM_FAILURE"),
            "launch": lambda order: shop.ui.launch(order.key),
        }
        begun = list(shop.each(acts[how], runs).values())
        return lambda: begun
    if how.startswith("materialize"):
        backfill = shop.ui.backfill_assets(keys, tags)
    else:
        backfill = shop.ui.backfill(keys, tags, from_failure="from failure" in how, at_once=not shop.patient)
    return lambda: [run["id"] for run in until(lambda: shop.ui.backfill_runs(backfill, len(keys)), 60 + len(keys))]


def rerun(shop: Shop, ways: dict[str, dict[Order, str]]) -> dict[str, set[str]]:
    """Do everything side by side, then return the statuses of the runs that came of each way."""
    begun = {how: begin(shop, how, runs) for how, runs in ways.items()}
    started = {how: runs() for how, runs in begun.items()}
    statuses = shop.ended(run for runs in started.values() for run in runs)
    return {how: {statuses[run] for run in runs} for how, runs in started.items()}


@pytest.mark.finding("M16")
def test_before_settlement_a_rerun_goes_on_with_the_same_hold(shop: Shop, times: Share) -> None:
    with shop.sensors_stopped():
        ways = (*SINGLE, "backfill", "backfill from failure", *(["materialize"] if shop.patient else []))
        waiting = shop.failed(shares(times, ways))
        pictures = {order: shop.pictures(order) for runs in waiting.values() for order in runs}
        for how, statuses in rerun(shop, waiting).items():
            assert statuses == {"SUCCESS"}, how
            shop.settled(f"same hold, {how}", waiting[how], RESERVE, CAPTURE, albums=1)
        assert {order: shop.pictures(order) for order in pictures} == pictures, "a picture was bought twice"


@pytest.mark.finding("C1", "M16")
def test_after_a_refund_a_single_rerun_is_on_the_house_and_a_backfill_is_not(shop: Shop, times: Share) -> None:
    plain, house = ("backfill", "materialize"), ("backfill for the house", "materialize for the house")
    refunded = shop.failed(shares(times, (*SINGLE, *plain, *house)))
    everybody = [order for runs in refunded.values() for order in runs]
    shop.await_states(everybody, "released")
    shop.settled("failed and refunded", everybody, RESERVE, RELEASE, albums=0)
    for how, statuses in rerun(shop, refunded).items():
        if how in plain:
            assert statuses == {"FAILURE"}, how
            shop.settled(f"no second life, {how}", refunded[how], RESERVE, RELEASE, albums=0)
        else:
            assert statuses == {"SUCCESS"}, how
            shop.settled(f"second life, {how}", refunded[how], RESERVE, RELEASE, SECOND_LIFE, CAPTURE, albums=1)
    p95 = statistics.quantiles(latencies(shop, refunded), n=20, method="inclusive")[-1]
    shop.counts["p95 from failure to refund, ms"] = round(p95 * 1000)
    assert p95 <= 60


def latencies(shop: Shop, refunded: dict[str, dict[Order, str]]) -> list[float]:
    """Seconds from the end of each first, failed run to the refund."""
    runs = {run: order for group in refunded.values() for order, run in group.items()}
    ends = shop.ui.ends(list(runs))
    back = "select created_at from ledger.transfer where request_id = %s and kind = 'release' and epoch = 1"
    return [shop.value(back, order.id).timestamp() - ends[run] for run, order in runs.items()]


def test_second_lives_are_capped(shop: Shop, times: Share) -> None:
    failed = shop.failed({"capped": times(9)})["capped"]
    shop.await_states(failed, "released")
    used = shop.value("select count(*) from ledger.second_life_log")
    shop.sql("select ledger.ops_rule('second_lives_per_day', %s, 'tests', 'no more today')", used)
    assert rerun(shop, {"re-execute all": failed}) == {"re-execute all": {"FAILURE"}}
    shop.sql("select ledger.ops_rule('second_lives_per_day', 1000000, 'tests', 'many second lives')")
    shop.settled("capped", failed, RESERVE, RELEASE, albums=0)


@pytest.mark.finding("M16")
def test_what_was_delivered_is_neither_sent_nor_charged_again(shop: Shop, times: Share) -> None:
    orders = shop.confirmed(times(4))
    runs = shop.dispatch(orders)
    assert set(shop.ended(runs.values()).values()) == {"SUCCESS"}
    shop.settled("delivered", orders, RESERVE, CAPTURE, albums=1)
    names = ("re-execute all", "launch", "backfill for the house", *(["materialize"] if shop.patient else []))
    ways = shared(runs, shares(times, names))
    assert rerun(shop, ways) == {how: {"SUCCESS"} for how in ways}
    for how, again in ways.items():
        shop.settled(f"delivered, {how}", again, RESERVE, CAPTURE, albums=1)
    assert all(shop.ui.cannot_reexecute(run, "FROM_FAILURE") for run in runs.values())
    told = shop.command("ops", "show", orders[0].key, "--json")
    assert {run["id"] for run in told["runs"]} >= {runs[orders[0]]}
    assert {run["status"] for run in told["runs"]} == {"SUCCESS"}
    launched = []
    for turn in range(times(1)):
        shop.ui.wipe(["images", "rendered_slides", "delivery_receipt"])
        launched.append(shop.ui.launch(orders[turn % len(orders)].key))
        if turn % PARALLEL == PARALLEL - 1:  # the next wipe finds assets to wipe
            shop.ended(launched)
        shop.counts["wiped"] += 1
    assert set(shop.ended(launched).values()) == {"SUCCESS"}
    shop.settled("delivered, wiped and launched", orders, RESERVE, CAPTURE, albums=1)


@pytest.mark.finding("C2")
@pytest.mark.parametrize("forced", [False, True], ids=["safe", "forced"])
def test_a_terminated_run_is_refunded_and_its_rerun_is_on_the_house(shop: Shop, times: Share, *, forced: bool) -> None:
    orders = shop.confirmed(times(4), slow=True)
    runs = shop.dispatch(orders)

    def terminate(running: list[Order]) -> None:
        said = shop.ui.terminate([runs[order] for order in running], forced=forced)
        assert said == ["TerminateRunSuccess"] * len(running)

    shop.as_they_begin(orders, terminate)
    assert set(shop.ended(runs.values()).values()) == {"CANCELED"}
    shop.await_states(orders, "released")
    action = f"terminated {'by force' if forced else 'safely'}"
    shop.settled(action, orders, RESERVE, RELEASE, albums=0)
    shop.sql("delete from public.slow")
    assert rerun(shop, {"re-execute all": runs}) == {"re-execute all": {"SUCCESS"}}
    shop.settled(f"{action}, re-executed", orders, RESERVE, RELEASE, SECOND_LIFE, CAPTURE, albums=1)


def test_a_run_terminated_in_the_queue_is_refunded(shop: Shop, times: Share) -> None:
    busy = shop.confirmed(PARALLEL, slow=True)
    before = shop.dispatch(busy)
    until(lambda: all(shop.state(order) == "running" for order in busy), 60)
    orders = shop.confirmed(times(4))
    runs = shop.dispatch(orders)
    shop.ui.terminate(list(runs.values()), forced=False)
    shop.sql("delete from public.slow")
    statuses = shop.ended([*runs.values(), *before.values()])
    cancelled = [order for order in orders if statuses[runs[order]] == "CANCELED"]
    assert cancelled
    shop.await_states(cancelled, "released")
    shop.settled("terminated in the queue", cancelled, RESERVE, RELEASE, albums=0)
    shop.settled("undisturbed neighbours", busy, RESERVE, CAPTURE, albums=1)


def test_a_deleted_run_is_settled(shop: Shop, times: Share) -> None:
    with shop.sensors_stopped():
        failed = shop.failed({"deleted": times(2)})["deleted"]
        for run in failed.values():
            shop.ui.delete(run)
        running = shop.confirmed(times(2), slow=True)
        runs = shop.dispatch(running)

        def delete(begun: list[Order]) -> None:
            for order in begun:
                shop.ui.delete(runs[order])
                shop.let_go(order)

        shop.as_they_begin(running, delete)
    shop.await_states(failed, "released")
    shop.settled("failed run deleted", failed, RESERVE, RELEASE, albums=0)
    # Nobody stops a process whose record is deleted: it finishes, or the lease that it no longer prolongs ends.
    shop.await_states(running, "delivered", "released", limit_s=240)
    for order in running:
        delivered = shop.state(order) == "delivered"
        journal = (RESERVE, CAPTURE if delivered else RELEASE)
        shop.settled("running run deleted", [order], *journal, albums=int(delivered))


def test_sensors_that_are_stopped_and_started_settle_once(shop: Shop, times: Share) -> None:
    orders = shop.confirmed(times(4), hears=False)
    with ThreadPoolExecutor(1) as thread:
        dispatched = thread.submit(shop.dispatch, orders)
        for turn in range(times(1)):
            for on in (False, True):
                shop.ui.switch(SENSORS[turn % len(SENSORS)], on=on)
            shop.counts["sensors stopped and started"] += 1
        assert set(shop.ended(dispatched.result().values()).values()) == {"FAILURE"}
    assert [shop.ui.is_on(sensor) for sensor in SENSORS] == [True] * len(SENSORS)
    shop.await_states(orders, "released")
    shop.settled("failed while sensors were stopped and started", orders, RESERVE, RELEASE, albums=0)


@pytest.mark.finding("C3")
def test_in_doubt_a_rerun_waits_for_the_users_word(shop: Shop, times: Share) -> None:
    orders = shop.confirmed(times(4))
    shop.telegram.fault(method="sendMediaGroup", kind="drop", when="after", times=len(orders))
    runs = shop.dispatch(orders)
    assert set(shop.ended(runs.values()).values()) == {"FAILURE"}
    ways = shared(runs, shares(times, (*SINGLE, "backfill for the house")))
    assert rerun(shop, ways) == {how: {"SUCCESS"} for how in ways}
    for order in orders:
        assert (shop.state(order), shop.journal(order), shop.told(order)) == (
            "delivery_unknown", [RESERVE], ["ask_user"],
        )  # fmt: skip
        assert shop.wallet(order) == (10 - PRICE, PRICE)
    assert set(shop.albums(orders).values()) == {1}
    shop.counts.update({f"in doubt, {how}": len(again) for how, again in ways.items()})
    for order in orders:
        shop.sql("select ledger.user_resolve(%s, true)", order.id)


@pytest.mark.finding("C3")
def test_a_run_terminated_while_it_sends_is_in_doubt(shop: Shop, times: Share) -> None:
    orders = shop.confirmed(times(4))
    shop.telegram.fault(method="sendMediaGroup", kind="delay", delay_s=10, when="before", times=len(orders))
    runs = shop.dispatch(orders)
    sending = "select count(*) from ledger.delivery where request_id = %s and state = 'sending'"
    for order in orders:
        until(lambda order=order: shop.value(sending, order.id), 60 + 10 * len(orders))
        shop.ui.terminate([runs[order]], forced=False)
    assert set(shop.ended(runs.values()).values()) == {"CANCELED"}
    shop.await_states(orders, "delivery_unknown")
    assert rerun(shop, {"re-execute all": runs}) == {"re-execute all": {"SUCCESS"}}
    for order in orders:
        assert (shop.journal(order), shop.wallet(order), shop.told(order)) == (
            [RESERVE],
            (10 - PRICE, PRICE),
            ["ask_user"],
        )
    assert max(shop.albums(orders).values()) <= 1
    shop.counts["terminated while sending: asked"] += len(orders)
    for order in orders:
        shop.sql("select ledger.user_resolve(%s, true)", order.id)


def test_what_failed_before_any_work_is_refunded_and_can_be_remade(shop: Shop, times: Share) -> None:
    orders = shop.confirmed(times(4))
    for order in orders:
        shop.copy_of(order).rename(shop.copy_of(order).with_suffix(".away"))
    runs = shop.dispatch(orders)
    assert set(shop.ended(runs.values()).values()) == {"FAILURE"}
    shop.await_states(orders, "released")
    shop.settled("failed before any work", orders, RESERVE, RELEASE, albums=0)
    for order in orders:
        shop.copy_of(order).with_suffix(".away").rename(shop.copy_of(order))
    assert rerun(shop, {"from failure": runs}) == {"from failure": {"SUCCESS"}}
    shop.settled("failed before any work, remade", orders, RESERVE, RELEASE, SECOND_LIFE, CAPTURE, albums=1)


def test_with_the_sensors_stopped_the_bot_settles_and_everybody_is_told(shop: Shop, times: Share) -> None:
    with shop.sensors_stopped():
        failed = shop.failed({"swept": times(9)})["swept"]
        assert {shop.state(order) for order in failed} == {"rendered"}
        with shop.bot():
            shop.await_states(failed, "released")
            shop.settled("sensors stopped, swept", failed, RESERVE, RELEASE, albums=0)
            assert rerun(shop, {"re-execute all": failed}) == {"re-execute all": {"SUCCESS"}}
            shop.settled("swept, remade", failed, RESERVE, RELEASE, SECOND_LIFE, CAPTURE, albums=1)
            for order in failed:
                until(lambda order=order: "it is on us" in shop.said(order), 180, lambda order=order: shop.said(order))


@pytest.mark.finding("C1")
def test_with_all_of_dagster_gone_the_bot_refunds(shop: Shop, times: Share) -> None:
    """The last test: what it kills is not started again."""
    running, queued = shop.confirmed(times(4), slow=True), shop.confirmed(times(4))
    shop.dispatch(running)
    until(lambda: any(shop.state(order) == "running" for order in running), 60)
    runs = psutil.Process(shop.stack.processes["code"].pid).children(recursive=True)
    for process in shop.stack.processes.values():
        process.kill()
    assert psutil.wait_procs(runs, 30)[1] == []
    everybody = [*running, *queued]
    # The lease of a killed run lasts two minutes, the deadline of what never ran thirty: let them pass.
    shop.sql(
        "update ledger.request set lease_until = lease_until - interval '31 minutes', "
        "deadline = deadline - interval '31 minutes' where id = any (%s)",
        [order.id for order in everybody],
    )
    with shop.bot():
        shop.await_states(everybody, "released")
        shop.settled("Dagster gone, swept", everybody, RESERVE, RELEASE, albums=0)
        for order in everybody:
            until(
                lambda order=order: f"{PRICE} credits are back" in shop.said(order),
                30,
                lambda order=order: shop.said(order),
            )
