"""A single request, from the message to its answer, against a task that does nothing on the same worker.

    python -m benchmarks.assigning [--consultants 20] [--rounds 100] [--against CHECKOUT [--turns 15]]

A real worker (one process) on a real broker and database; the caller sends one message, waits for its answer,
and then the other: in turns, so that whatever else the machine does falls on both. The answer comes after the
commit, so the booking (or the hold, where consultants confirm) is there by then. Prints the medians and
their ratios; exits with 1 when a booking or a hold takes more than four round trips of nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import psycopg

from benchmarks.comparison import add_options, compare
from benchmarks.databases import benchmark_databases, say
from booking_tasks.client import BookingClient
from booking_tasks.contracts import TASK_PREFIX, SubmitRequest
from booking_tasks.kit.ids import uuid7
from booking_tasks.ops.servers import Valkey
from booking_tasks.ops.service_processes import ServiceProcesses

MOST = 4.0
WARM = 15
BOOKED, HELD = UUID(int=1), UUID(int=2)

_FILL = """
    INSERT INTO consultation_service_types (id, name, default_duration_minutes, requires_confirmation)
    VALUES ('{booked}', 'booked', 30, false), ('{held}', 'held', 30, true);
    INSERT INTO consultant_profiles (consultant_user_id, specializations)
    SELECT gen_random_uuid(), '{{algebra}}' FROM generate_series(1, {consultants});
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, source)
    SELECT c.consultant_user_id, d, d + interval '24 hours', 'rules'
      FROM consultant_profiles c,
           generate_series('{first}'::timestamptz, '{first}'::timestamptz + interval '60 days', '1 day') d;
    ANALYZE;
"""


def main() -> int:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--consultants", type=int, default=20)
    options.add_argument("--rounds", type=int, default=100)
    add_options(options)
    chosen = options.parse_args()
    if chosen.against is not None:
        return compare("assigning", chosen)
    with ExitStack() as stack:
        [database] = stack.enter_context(benchmark_databases(chosen.consultants))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        valkey = stack.enter_context(Valkey(folder / "valkey", durable=False))
        first = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        with psycopg.connect(database.url, autocommit=True) as connection:
            filling = _FILL.format(
                booked=BOOKED, held=HELD, consultants=chosen.consultants, first=first.isoformat()
            )
            connection.execute(filling.encode())
        running = ServiceProcesses(
            folder / "worker", {"DATABASE_URL": database.url, "REDIS_URL": valkey.url()}
        )
        stack.callback(running.stop)
        running.plain("worker", "worker", "-Q", "booking,sweep", "-c", "1", app="benchmarks.noop_worker")
        running.wait_ready()
        return judged(BookingClient(valkey.url()), first, chosen.rounds)


def judged(client: BookingClient, first: datetime, rounds: int) -> int:
    """The medians in milliseconds and their ratios; 1 when one is above the limit."""
    scenarios: dict[str, Callable[[int], None]] = {
        "nothing": lambda _: nothing(client),
        "booking": lambda number: submit(client, BOOKED, first, number, "scheduled"),
        "hold": lambda number: submit(client, HELD, first, number, "pending_confirmation"),
    }
    took: dict[str, list[float]] = {name: [] for name in scenarios}
    for number in range(WARM + rounds):
        for name, ask in scenarios.items():
            since = time.perf_counter()
            ask(number)
            if number >= WARM:
                took[name].append((time.perf_counter() - since) * 1000)
    found = {name: median(times) for name, times in took.items()}
    say(f"nothing: {found['nothing']:.2f} ms")
    ratios = {name: found[name] / found["nothing"] for name in ("booking", "hold")}
    for name, ratio in ratios.items():
        say(f"{name}: {found[name]:.2f} ms, {ratio:.2f} round trips of nothing (at most {MOST:g})")
    return 0 if max(ratios.values()) <= MOST else 1


def nothing(client: BookingClient) -> None:
    """One round trip of a task that does nothing."""
    sent = client._app.send_task(TASK_PREFIX + "do_nothing", kwargs={}, queue="sweep", ignore_result=False)
    assert sent.get(timeout=30) == 0


def submit(client: BookingClient, service_type_id: UUID, first: datetime, number: int, status: str) -> None:
    """One request for some eight hours of its own, answered."""
    since = first + timedelta(hours=8 * (number % 170))
    command = SubmitRequest(
        message_id=uuid7(),
        actor="bench",
        request_id=uuid7(),
        requester_user_id=uuid7(),
        service_type_id=service_type_id,
        preferred_start=since,
        preferred_end=since + timedelta(hours=8),
        required_specializations=("algebra",),
    )
    outcome = client.send(command, wait=True).outcome(timeout=30)
    assert outcome.status == status, outcome


if __name__ == "__main__":
    sys.exit(main())
