"""Measures turns of one benchmark with the code of the checkout in PYTHONPATH (`benchmarks/comparison.py`).

Reads a line for each turn, and prints its throughputs (per second) as JSON. This is the only file that knows
names of an older checkout; everything else comes from the benchmarks of that checkout.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg

Turn = Callable[[int], dict[str, float]]
_ASSIGNED, _BOOKED, _PAGES = 25, 800, 25
_SESSIONS, _CONSULTANTS = 100_000, 2_000
_TICKS, _WARM = 30, 10


def first_of(*places: str) -> Any:
    """The first of these names (`module:name`) that the checkout has."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise LookupError(f"the checkout has none of {', '.join(places)}")


def databases(stack: ExitStack, rows: int) -> Any:
    """One new, migrated database."""
    made = first_of("benchmarks.databases:benchmark_databases", "benchmarks.ground:grounds")
    [database] = stack.enter_context(made(rows))
    return database


def per_second(count: int, work: Callable[[int], object]) -> float:
    """How often per second some work is done."""
    began = time.perf_counter()
    for number in range(count):
        work(number)
    return count / (time.perf_counter() - began)


def assigning(stack: ExitStack) -> Turn:
    """Single requests that a worker answers, one after the other: booked, and held for confirmation."""
    from benchmarks import assigning as benchmark
    from booking_tasks.client import BookingClient
    from booking_tasks.ops.servers import Valkey

    database = databases(stack, 20)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    broker = stack.enter_context(Valkey(folder / "valkey", durable=False))
    first = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    filling = benchmark._FILL.format(
        booked=benchmark.BOOKED, held=benchmark.HELD, consultants=20, first=first.isoformat()
    )
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(filling.encode())
    command = [
        "-m",
        "celery",
        "-A",
        "benchmarks.noop_worker",
        "worker",
        "-Q",
        "booking,sweep",
        "-c",
        "1",
        "-l",
        "WARNING",
    ]
    environment = os.environ | {"DATABASE_URL": database.url, "REDIS_URL": broker.url()}
    log = stack.enter_context((folder / "worker.log").open("w"))
    worker = subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log)
    stack.callback(worker.wait)
    stack.callback(worker.terminate)
    client = BookingClient(broker.url())
    benchmark.nothing(client)

    def turn(number: int) -> dict[str, float]:
        def submit(service_type: Any, status: str) -> Callable[[int], object]:
            return lambda n: benchmark.submit(client, service_type, first, number * _ASSIGNED + n, status)

        return {
            "booked at once": per_second(_ASSIGNED, submit(benchmark.BOOKED, "scheduled")),
            "held for confirmation": per_second(_ASSIGNED, submit(benchmark.HELD, "pending_confirmation")),
        }

    return turn


def reserving(stack: ExitStack) -> Turn:
    """Bookings of eight clients: of another consultant each time, and of one single consultant."""
    from benchmarks import reserving as benchmark

    database = databases(stack, _SESSIONS)
    service_type = first_of("benchmarks.reserving:SERVICE_TYPE", "benchmarks.reserving:KIND")
    names = {
        "kind": service_type,
        "service_type": service_type,
        "prefix": benchmark._CONSULTANT,
        "first": benchmark._FIRST,
    }
    filling = benchmark._FILL.format(**names, consultants=_CONSULTANTS, sessions=_SESSIONS)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(filling.encode())
        connection.execute("VACUUM ANALYZE")
    day, hour, few = timedelta(days=1), timedelta(hours=1), _BOOKED // 4
    pool = stack.enter_context(ProcessPoolExecutor(benchmark.CLIENTS, get_context("spawn")))

    def booked(work: list[tuple[Any, datetime]]) -> float:
        begin = time.time() + 0.5  # the clients are running: only connections are made until then
        parts = [work[number :: benchmark.CLIENTS] for number in range(benchmark.CLIENTS)]
        runs = [pool.submit(benchmark.client, database.url, part, begin) for part in parts]
        return len(work) / max(run.result()[0] for run in runs)

    def turn(number: int) -> dict[str, float]:
        start = benchmark.NOW + 2 * day + 2 * number * hour
        first = benchmark.NOW + 8 * day + number * few * hour
        many = [(benchmark.consultant(1 + n % (_CONSULTANTS - 1)), start) for n in range(_BOOKED)]
        one = [(benchmark.consultant(0), first + n * hour) for n in range(few)]
        return {"many consultants": booked(many), "one consultant": booked(one)}

    return turn


def search(stack: ExitStack) -> Turn:
    """First pages over 1,000 consultants, every start of 100 on 60 days, and what is free of both."""
    from sqlalchemy.orm import Session

    from benchmarks import search as benchmark
    from booking_tasks.availability.service import free_time

    database = databases(stack, 1000)
    ids = first_of("benchmarks.databases:growing_ids", "benchmarks.ground:growing_ids")
    service_type = first_of("benchmarks.search:SERVICE_TYPE", "benchmarks.search:KIND")
    context = first_of("booking_tasks.context:Context", "booking_tasks.occasion:Occasion")
    ctx = context(benchmark.NOW, "bench", "booking")
    database.connection.execution_options(isolation_level="AUTOCOMMIT")
    with psycopg.connect(database.url, autocommit=True) as connection:
        for statement in (*benchmark._ROWS, "VACUUM ANALYZE"):
            connection.execute(statement.encode())

    def free(consultants: Any, days: int, wanted: Any = None) -> Callable[[int], None]:
        def ask(_: int) -> None:
            with Session(database.connection) as db:
                free_time(db, ctx, benchmark.NOW, benchmark.NOW + timedelta(days=days), consultants, wanted)

        return ask

    def turn(_: int) -> dict[str, float]:
        return {
            "first page": per_second(_PAGES, lambda _: benchmark.page(database.connection)),
            "every start": per_second(2, free(ids(100), 60, service_type)),
            "free time of 100": per_second(2, free(ids(100), 60)),
            "free time of 1000": per_second(1, free(ids(1000), 30)),
        }

    return turn


def cost_of_ticks(stack: ExitStack) -> Callable[[int], dict[str, tuple[float, float]]]:
    """Measure ticks of every sweep without work: milliseconds of processor time, of worker and database."""
    database = databases(stack, 1)
    os.environ |= {"DATABASE_URL": database.url, "REDIS_URL": "redis://127.0.0.1:1"}  # nothing is sent
    first_of("booking_tasks.kit.settings:settings").cache_clear()  # the migration has read them
    prefix = first_of("booking_tasks.contracts:TASK_PREFIX")
    app, engine = first_of("booking_tasks.celery:app"), first_of("booking_tasks.kit.database:engine")
    app.loader.import_default_modules()
    sweeps = {name: app.tasks[prefix + name] for name in app.conf.beat_schedule}
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO schedule_runs (schedule, due_day) SELECT name, d::date"
            " FROM unnest(ARRAY['extend_availability', 'reconcile_meetings', 'purge']) name,"
            " generate_series(now() - interval '1 day', now() + interval '2 days', '1 day') d"
        )
    watching = stack.enter_context(psycopg.connect(database.url, autocommit=True))

    def spent_by_server() -> int:
        pids = watching.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'booking_tasks'")
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for (pid,) in pids)

    def cost(tick: Callable[[], object], count: int) -> tuple[float, float]:
        engine().dispose()  # its connections then live until the count is reached
        for _ in range(_WARM):
            tick()
        there, here = spent_by_server(), time.process_time_ns()
        for _ in range(count):
            tick()
        spent = time.process_time_ns() - here, spent_by_server() - there
        return spent[0] / count / 1e6, spent[1] / count / 1e6

    return lambda count: {name: cost(tick, count) for name, tick in sweeps.items()}


def idle_sweeps(stack: ExitStack) -> Turn:
    """Ticks without work of each sweep, for each second of processor time."""
    measure = cost_of_ticks(stack)
    return lambda _: {name: 1000 / sum(spent) for name, spent in measure(_TICKS).items()}


def main() -> None:
    """Prepare the benchmark that is named, then measure a turn for each line of the input."""
    benchmarks = {
        "assigning": assigning,
        "idle_sweeps": idle_sweeps,
        "reserving": reserving,
        "search": search,
    }
    with ExitStack() as stack:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what the benchmark prints is not an answer
        turn = benchmarks[sys.argv[1]](stack)
        for number, _ in enumerate(sys.stdin):
            answers.write(json.dumps(turn(number)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
