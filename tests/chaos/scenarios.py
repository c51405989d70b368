"""The faults. Each function breaks something while notifications come in."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import requests
from django.db import connection

from django_pagoefectivo.models import Payment, SignalDelivery
from tests.servers import PAID, Code, PagoEfectivo, Reply

from .cluster import PostgreSQL, Redis, wait_for
from .stage import Load, Stage, children_of, make_payments, second_attempts, threads_of
from .verdict import Verdict, judge

Scenario = Callable[[Stage, PostgreSQL, int], Verdict]
SCENARIOS: dict[str, Scenario] = {}
NEVER = "1900-01-01T00:00:00-05:00"


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__.replace("_", "-")] = play
    return play


def come_to_rest(patience: float = 60) -> None:
    """Wait until nothing is owed any more."""
    connection.close()
    wait_for(lambda: not SignalDelivery.objects.exclude(state="done").exists(), patience)


def kill_while(load: Load, parent: int, every: float) -> int:
    """SIGKILL children of ``parent`` one after the other until the load is over."""
    killed = 0
    while not load.is_over:
        time.sleep(random.uniform(0.5, 1.5) * every)
        for child in random.sample(children_of(parent), k=min(1, len(children_of(parent)))):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                killed += 1
    return killed


@scenario
def web_workers_killed(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """SIGKILL of gunicorn workers, receivers in the request."""
    payments = make_payments(count)
    web = stage.web(workers=3)
    load = Load(stage.url, payments)
    with load.running():
        killed = kill_while(load, web.pid, 0.15)
    stage.deliverer()
    come_to_rest()
    verdict = judge(stage, load, payments, notes_get_lost=True)
    verdict.notes.append(f"{killed} workers killed")
    verdict.require(killed > 0, "nothing was killed")
    return verdict


@scenario
def deliverers_killed(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """SIGKILL of ``pagoefectivo_deliver`` processes, two at work."""
    stage.configure(SIGNAL_DELIVERY="worker")
    payments = make_payments(count)
    stage.web()
    workers = [stage.deliverer(), stage.deliverer()]
    load = Load(stage.url, payments)
    killed = 0
    with load.running():
        while not load.is_over:
            killed += kill_once(workers[killed % 2].pid)
            time.sleep(random.uniform(0.1, 0.4))
    for _ in range(5):
        killed += kill_once(workers[killed % 2].pid)
        time.sleep(0.1)
    come_to_rest()
    verdict = judge(stage, load, payments, notes_get_lost=True)
    verdict.notes.append(f"{killed} deliverers killed")
    verdict.require(killed > 0, "nothing was killed")
    return verdict


def kill_once(parent: int) -> int:
    for child in children_of(parent):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            return 1
    return 0


@scenario
def every_commit_point(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """Death before and after each commit and each writing statement, in web and deliverer."""
    payments = [*make_payments(count - count // 3), *second_attempts(count // 3)]
    stage.web(workers=3, CHAOS_DIE="0.02")
    stage.deliverer(CHAOS_DIE="0.02")
    load = Load(stage.url, payments)
    with load.running():
        pass
    come_to_rest()
    verdict = judge(stage, load, payments, notes_get_lost=True)
    points = {(words[1], words[2]) for words in stage.lines() if words[0] == "died"}
    for point in (
        ("before", "COMMIT"),
        ("after", "COMMIT"),
        ("before", "WITH_payment"),
        ("after", "WITH_payment"),
        ("before", "UPDATE_payment"),
        ("after", "INSERT_webhookevent"),
        ("after", "INSERT_signaldelivery"),
        ("before", "UPDATE_signaldelivery"),
        ("after", "UPDATE_signaldelivery"),
    ):
        verdict.require(count < 500 or point in points, f"nothing died {' '.join(point)}")
    return verdict


@scenario
def database_restarted(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """PostgreSQL crashes and comes back, and is restarted in good order, under load."""
    stage.configure(SIGNAL_DELIVERY="worker")
    payments = make_payments(count)
    stage.web()
    stage.deliverer()
    load = Load(stage.url, payments)
    with load.running():
        for share, how in ((0.2, signal.SIGQUIT), (0.5, signal.SIGINT), (0.8, signal.SIGQUIT)):
            load.progress(share)
            server.down(how)
            time.sleep(1)
            server.up()
    come_to_rest()
    verdict = judge(stage, load, payments, notes_get_lost=True)
    verdict.require(load.answers["503"] > 0, "nobody noticed that the database was away")
    verdict.require(load.answers["500"] == 0, "a notification was answered 500")
    return verdict


@scenario
def connections_terminated(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """Every connection is ended by the server, again and again."""
    payments = make_payments(count)
    stage.web()
    stage.deliverer()
    load = Load(stage.url, payments)
    ended = 0
    with load.running():
        while not load.is_over:
            ((gone,),) = server.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = 'postgres' AND application_name <> 'chaos' "
                "AND backend_type = 'client backend'"
            )
            ended += gone
            time.sleep(0.3)
    come_to_rest()
    verdict = judge(stage, load, payments, notes_get_lost=True)
    verdict.notes.append(f"{ended} connections ended")
    verdict.require(ended > 0, "nothing was ended")
    verdict.require(load.answers["500"] == 0, "a notification was answered 500")
    return verdict


@scenario
def database_read_only(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """A fail-over to a replica: everything can be read, nothing written."""
    payments = make_payments(count)
    stage.web()
    stage.deliverer()
    load = Load(stage.url, payments)
    with load.running():
        for share in (0.2, 0.6):
            load.progress(share)
            _read_only(server, "on")
            before = load.answers["503"]
            wait_for(partial(_refusals_beyond, load, before + 5))
            page = _page(stage, payments[-1])
            _read_only(server, "off")
    come_to_rest()
    verdict = judge(stage, load, payments, notes_get_lost=True)
    verdict.require(load.answers["503"] > 0, "nobody noticed that nothing can be written")
    verdict.require(load.answers["500"] == 0, "a notification was answered 500")
    verdict.require(page == 200, f"the payment page answered {page}")
    return verdict


def _read_only(server: PostgreSQL, value: str) -> None:
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.execute("SELECT pg_reload_conf()")


def _refusals_beyond(load: Load, count: int) -> bool:
    return load.answers["503"] > count


def _page(stage: Stage, payment: Payment) -> int:
    address = stage.url.replace("webhook/", f"payment/{payment.token}/")
    return requests.get(address, timeout=30).status_code


@scenario
def database_full(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """The disk of the tables is full: nothing more can be inserted until there is room."""
    with server.small_disk() as disk:
        if disk is None:
            return _not_here("no file system can be mounted here")
        payments = make_payments(count)
        stage.web()
        stage.deliverer()
        load = Load(stage.url, payments)
        with load.running():
            load.progress(0.3)
            disk.fill()
            full = wait_for(lambda: load.answers["503"] > 5)
            page = _page(stage, payments[-1])
            disk.free()
        come_to_rest()
        verdict = judge(stage, load, payments, notes_get_lost=True)
    verdict.require(full, "nobody noticed that the disk is full")
    verdict.require(load.answers["500"] == 0, "a notification was answered 500")
    verdict.require(page == 200, f"the payment page answered {page}")
    return verdict


def _not_here(why: str) -> Verdict:
    return Verdict(notes=[f"not played: {why}"])


@scenario
def conflicting_transactions(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """Serializable transactions and another program that locks the same rows crosswise."""
    # The usual ones are a statement each, which has nothing to lose a race with.
    payments = second_attempts(count)
    # psycopg's number for SERIALIZABLE.
    stage.web(workers=4, CHAOS_OPTIONS='{"isolation_level": 4}')
    stage.deliverer(CHAOS_OPTIONS='{"isolation_level": 4}')
    before = _conflicts(server)
    load = Load(stage.url, payments)
    rivals = [stage.start("tests.chaos.rival") for _ in range(2)]
    wait_for(lambda: Payment.objects.filter(description__startswith="0.").count() > 2)
    with load.running():
        pass
    for rival in rivals:
        stage.end(rival)
    come_to_rest()
    verdict = judge(stage, load, payments)
    rolled_back, deadlocks = (b - a for a, b in zip(before, _conflicts(server), strict=True))
    verdict.notes.append(f"{rolled_back} transactions rolled back, {deadlocks} deadlocks")
    verdict.require(rolled_back > 0, "nothing was in anybody's way")
    verdict.require(load.answers["500"] == 0, "a notification was answered 500")
    return verdict


def _conflicts(server: PostgreSQL) -> tuple[int, int]:
    server.execute("SELECT pg_stat_force_next_flush()")
    ((rolled_back, deadlocks),) = server.execute(
        "SELECT xact_rollback, deadlocks FROM pg_stat_database WHERE datname = 'postgres'"
    )
    return rolled_back, deadlocks


@scenario
def redis_gone(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """Redis, which is cache and Celery broker here, dies under load and comes back empty."""
    redis = Redis()
    redis.up()
    try:
        stage.configure(SIGNAL_DELIVERY="celery")
        stage.environment |= {
            "CHAOS_CACHE": f"{redis.url}/0",
            "CHAOS_BROKER": f"{redis.url}/1",
            "CHAOS_HEAD_START": "2",
        }
        payments = make_payments(count)
        stage.web()
        stage.start(
            *("celery", "-A", "tests.chaos.app:queue", "worker", "--concurrency", "2"),
            *("--loglevel", "critical", "--without-gossip", "--without-mingle", "--beat"),
            *("--schedule", str(stage.log.with_name("beat"))),
        )
        load = Load(stage.url, payments)
        with load.running():
            for share in (0.2, 0.6):
                load.progress(share)
                redis.down()
                done = len(load.acknowledged)
                moved = wait_for(partial(_moves_beyond, load, done + 20))
                redis.up()
        come_to_rest(45)
        left = SignalDelivery.objects.exclude(state="done").count()
        if left:
            # Celery's consumers sometimes stay silent after Redis came back. That is what the
            # plain command is for.
            stage.deliverer()
            come_to_rest()
        verdict = judge(stage, load, payments)
        verdict.notes.append(f"{left} calls made by pagoefectivo_deliver for a silent worker")
    finally:
        redis.down()
    verdict.require(moved, "notifications were not taken in while Redis was away")
    verdict.require(set(load.answers) == {"200"}, f"answers: {dict(load.answers)}")
    verdict.notes.append(f"slowest answer {load.slowest:.1f} s")
    verdict.require(load.slowest < 10, "a notification waited for Redis")
    return verdict


def _moves_beyond(load: Load, count: int) -> bool:
    return load.is_over or len(load.acknowledged) > count


@scenario
def pagoefectivo_away(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """PagoEfectivo is slow, then gone, then answers rubbish, while every notification shall
    be confirmed by a query and the poller asks about everything."""
    seconds = 4 if count < 500 else 30
    with PagoEfectivo() as pagoefectivo:
        stage.environment["CHAOS_BASE_URL"] = pagoefectivo.url
        stage.environment["CHAOS_PAUSE"] = "2"
        stage.configure(
            SIGNAL_DELIVERY="worker", CONFIRM_WITH_STATUS_QUERY=True, EXCHANGE_LOG=False
        )
        redis = Redis()
        redis.up()
        stage.environment["CHAOS_CACHE"] = f"{redis.url}/0"
        payments = make_payments(count)
        for payment in payments:
            pagoefectivo.codes[str(payment.cip)] = Code(
                str(payment.cip), payment.transaction_code, payment.amount, "PEN", NEVER, PAID
            )
        web = stage.web()
        others = [stage.deliverer(), stage.supervised("pagoefectivo_poll", "--all")]
        load = Load(stage.url, payments)
        rubbish = [Reply(200, b"<html>", "text/html"), Reply(500, b"{}"), Reply(cut=True)]
        threads: list[int] = []
        pages: list[float] = []
        with load.running():
            for fault in ([Reply(delay=30)], [Reply(cut=True)], rubbish):
                ends = time.monotonic() + seconds
                while time.monotonic() < ends:
                    pagoefectivo.faults["search"].extend(fault * 5)
                    pagoefectivo.faults["authorize"].extend(fault * 5)
                    began = time.monotonic()
                    _page(stage, random.choice(payments))
                    pages.append(time.monotonic() - began)
                    threads.append(
                        sum(threads_of(p) for o in (web, *others) for p in children_of(o.pid))
                    )
                    time.sleep(0.2)
        calls = len(pagoefectivo.calls)
        pagoefectivo.faults.clear()
        come_to_rest(180)
        verdict = judge(stage, load, payments)
        redis.down()
    verdict.require(set(load.answers) == {"200"}, f"answers: {dict(load.answers)}")
    verdict.notes.append(
        f"{calls} calls in {3 * seconds} s of trouble; slowest webhook {load.slowest:.1f} s, "
        f"slowest page {max(pages):.1f} s, threads {min(threads)} to {max(threads)}"
    )
    verdict.require(max(pages) < 5, "the payment page waited for PagoEfectivo")
    verdict.require(load.slowest < 5, "the webhook waited for PagoEfectivo")
    verdict.require(max(threads) <= min(threads) + 6, "threads pile up")
    return verdict


@scenario
def clock_jumps(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """The clock jumps a day ahead, an hour back, and to where it belongs."""
    clock = stage.log.with_name("clock")
    clock.write_text("0")
    stage.environment["CHAOS_CLOCK"] = str(clock)
    stage.configure(SIGNAL_DELIVERY="worker")
    payments = make_payments(count)
    stage.web()
    stage.deliverer()
    other = stage.deliverer()
    load = Load(stage.url, payments)
    with load.running():
        for share, seconds in ((0.2, 86400), (0.4, -3600), (0.6, 7200), (0.8, 0)):
            load.progress(share)
            # Its claims are of another time, too.
            kill_once(other.pid)
            partial = clock.with_name("clock.new")
            partial.write_text(str(seconds))
            partial.replace(clock)
    come_to_rest()
    return judge(stage, load, payments, notes_get_lost=True)


@scenario
def two_of_each(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """Two pollers ask about what notifications come in for, and two deliverers tell."""
    with PagoEfectivo() as pagoefectivo:
        stage.environment["CHAOS_BASE_URL"] = pagoefectivo.url
        stage.configure(SIGNAL_DELIVERY="worker", EXCHANGE_LOG=False)
        payments = make_payments(count)
        for payment in payments:
            pagoefectivo.codes[str(payment.cip)] = Code(
                str(payment.cip), payment.transaction_code, payment.amount, "PEN", NEVER, PAID
            )
        stage.web()
        load = Load(stage.url, payments)
        for _ in range(2):
            stage.supervised("pagoefectivo_poll", "--all")
            stage.deliverer()
        wait_for(lambda: sum(words[0] == "started" for words in stage.lines()) >= 4)
        with load.running():
            pass
        come_to_rest()
        verdict = judge_both_ways(stage, load, payments)
        verdict.notes.append(f"{pagoefectivo.counts['search']} queries")
    return verdict


def judge_both_ways(stage: Stage, load: Load, payments: list[Payment]) -> Verdict:
    """The query was faster for some: their notification is kept, and changed nothing."""
    verdict = judge(stage, load, payments)
    polled = Payment.objects.filter(timeline__source="status_query").distinct().count()
    verdict.notes.append(f"{polled} paid by a poller first")
    verdict.require(polled > 0, "the pollers were too late to be in the way")
    return verdict


@scenario
def receiver_never_returns(stage: Stage, server: PostgreSQL, count: int) -> Verdict:
    """One receiver hangs for ever on some payments: others go on, and it is tried again."""
    stage.environment |= {"CHAOS_LEASE": "2", "CHAOS_HANGS": "mail"}
    stage.configure(SIGNAL_DELIVERY="worker")
    payments = make_payments(count)
    hanging = sum(payment.pk % 50 == 0 for payment in payments)
    stage.web()
    stage.deliverer()
    stage.deliverer()
    load = Load(stage.url, payments)
    with load.running():
        pass
    others = SignalDelivery.objects.exclude(state="done").exclude(attempts=0)
    went_on = wait_for(
        lambda: SignalDelivery.objects.exclude(state="done").count() == others.count() == hanging,
        60 + 10 * hanging,
    )
    stage.log.with_name("log.wake").touch()
    # Each has failed so often by now that its next try is a while away.
    come_to_rest(240)
    verdict = judge(stage, load, payments)
    verdict.notes.append(f"{hanging} calls hung")
    verdict.require(hanging > 0, "nothing hung")
    verdict.require(went_on, "the others were not told while some hung")
    return verdict
