"""How long it takes to find and lease 500 due jobs among many, against the same among few.

    python -m benchmarks.due_jobs [--rows 10000000] [--baseline 10000]

Each round makes 500 jobs due, looks which kinds have work (`due_job_types`), leases them and settles them.
Prints typical times (lower quartile) and ratios: in a quiet table; and while a long transaction of
somebody else's keeps the index entries of 100,000 jobs that were done meanwhile from being tidied away,
against the quiet small table. Exits with 1 when finding and leasing together take more than 1.5 times as
long among many as among few, or more than 5 times with those dead entries before them.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from benchmarks.databases import (
    GROWING_ID,
    BenchmarkDatabase,
    benchmark_databases,
    fill,
    long_transactions,
    milliseconds,
    say,
    turns,
    typical,
    verdict,
)
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import SendReminder
from booking_tasks.outbox.jobs import NewJob

QUIET_MOST, HELD_MOST = 1.5, 5.0
DUE, ROUNDS, DEAD = 500, 20, 100_000

#: A tenth is still to come, the rest is done.
_ROWS = f"""
    INSERT INTO jobs (id, key, job_type, subject_id, due_at, state, attempts, finished_at)
    SELECT {GROWING_ID}, 'k' || lpad(n::text, 9, '0'), 'send_reminder', gen_random_uuid(),
           now() + interval '1 day' * (CASE WHEN n %% 10 = 0 THEN 1 ELSE -1 END) * (1 + n %% 300),
           CASE WHEN n %% 10 = 0 THEN 'waiting' ELSE 'done' END, 1,
           CASE WHEN n %% 10 = 0 THEN NULL ELSE now() END
      FROM generate_series(1, %(rows)s) n
"""
_DONE_MEANWHILE = text(
    "INSERT INTO jobs (key, job_type, subject_id, due_at)"
    " SELECT 'dead' || n, 'send_reminder', gen_random_uuid(), now() - interval '1 hour'"
    f" FROM generate_series(1, {DEAD}) n"
)
_SETTLE_THEM = text("UPDATE jobs SET state = 'done', finished_at = now() WHERE key LIKE 'dead%'")
_SETTLE = text(
    "UPDATE jobs SET state = 'done', finished_at = now(), lease_token = NULL, lease_until = NULL"
    " WHERE state = 'leased'"
)


def one_round(database: BenchmarkDatabase) -> tuple[float, float]:
    """Milliseconds of looking for kinds, and of leasing all that is due, commits included."""
    now = datetime.now(UTC)
    with transaction(database.connection) as db:
        outbox_store.insert_jobs(
            db,
            [NewJob(SendReminder(uuid7(), 0, uuid7(), 3600), now - timedelta(seconds=1)) for _ in range(DUE)],
        )

    def query() -> None:
        with transaction(database.connection) as db:
            assert store.due_job_types(db, now) == {"send_reminder"}

    def lease() -> None:
        with transaction(database.connection) as db:
            leased.extend(store.lease(db, SendReminder, now, DUE, timedelta(minutes=5))[0])

    leased: list[LeasedJob[SendReminder]] = []
    looked, took = milliseconds(query), milliseconds(lease)
    assert len(leased) == DUE
    with transaction(database.connection) as db:
        db.execute(_SETTLE)
    return looked, took


def in_turns(both: list[BenchmarkDatabase], rounds: int) -> list[tuple[float, float]]:
    """What looking and leasing typically take in each of them."""
    runs: list[list[tuple[float, float]]] = [[] for _ in both]
    for number in turns(len(both), rounds):
        runs[number].append(one_round(both[number]))
    return [(typical(looked for looked, _ in times), typical(took for _, took in times)) for times in runs]


def leave_dead_entries(database: BenchmarkDatabase) -> None:
    """Jobs that are due and done, one by one, before those of the rounds."""
    for statement in (_DONE_MEANWHILE, _SETTLE_THEM):
        with transaction(database.connection) as db:
            db.execute(statement)


def compared(when: str, few: tuple[float, float], many: tuple[float, float]) -> float:
    """Print the parts; the ratio of both together."""
    verdict(f"  which kinds are due{when}", few[0], many[0])
    verdict(f"  lease {DUE}{when}", few[1], many[1])
    return verdict(f"find and lease {DUE}{when}", sum(few), sum(many))


def main() -> int:
    """Measure; 0 when both ratios keep their marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--baseline", type=int, default=10_000)
    chosen = parser.parse_args()
    with benchmark_databases(chosen.baseline, chosen.rows) as both:
        for database in both:
            fill(database, "jobs", _ROWS)
        in_turns(both, 3)  # warm
        quiet = in_turns(both, ROUNDS)
        with long_transactions(both):
            for database in both:
                leave_dead_entries(database)
            in_turns(both, 3)
            held = in_turns(both, ROUNDS)
    apart = compared("", *quiet)
    compared(", dead entries in both", *held)
    behind = compared(f", {DEAD:,} dead entries, against none", quiet[0], held[1])
    say(f"ratios {apart:.2f} (at most {QUIET_MOST:g}) and {behind:.2f} (at most {HELD_MOST:g})")
    return 0 if apart <= QUIET_MOST and behind <= HELD_MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
