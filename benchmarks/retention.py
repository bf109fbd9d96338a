"""How long a batch of the purge takes in a table of many rows, against the same batch in a small one.

    python -m benchmarks.retention [--rows 10000000] [--baseline 100000] [--parts jobs,inbox,...]

Prints, for each part, the typical time (lower quartile) of a batch of 1,000 rows and the ratio; also
for batches behind many others (the rows before them are deleted and not tidied away yet), without and
with a long transaction of somebody else's. Exits with 1 when a ratio is above 3.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import psycopg

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
from booking_tasks.context import Context
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.retention import service
from booking_tasks.retention.tasks import BATCH, retention_of

MOST = 3.0
#: Batches measured, and batches deleted unmeasured before those that lie behind.
MEASURED, BETWEEN = 8, 12

_SESSION = "00000000-0000-7000-8000-000000000001"
#: Part -> its table, and rows whose older half is past its age. Ages spread over twice the retention.
FILLS = {
    "jobs": (
        "jobs",
        f"""
        INSERT INTO jobs (id, key, job_type, subject_id, due_at, state, attempts, finished_at, created_at)
        SELECT {GROWING_ID}, 'k' || lpad(n::text, 9, '0'), 'send_invite', gen_random_uuid(), at,
               CASE WHEN n %% 1000 = 0 THEN 'dead' ELSE 'done' END, 1, at, at
          FROM generate_series(1, %(rows)s) n,
               LATERAL (SELECT now() - interval '180 days' * (1 - n::float8 / %(rows)s) AS at) aged
        """,
    ),
    "inbox": (
        "inbox",
        f"""
        INSERT INTO inbox (message_id, task, body_hash, entry_point, state, attempts, outcome, finished_at)
        SELECT {GROWING_ID}, 'submit_request', md5(n::text), 'booking', 'done', 1, '{{}}',
               now() - interval '60 days' * (1 - n::float8 / %(rows)s)
          FROM generate_series(1, %(rows)s) n
        """,
    ),
    "events": (
        "events",
        f"""
        INSERT INTO events (id, type, occurred_at, consultation_request_id, actor, entry_point)
        SELECT {GROWING_ID}, 'request.waiting',
               now() - interval '1460 days' * (1 - n::float8 / %(rows)s),
               gen_random_uuid(), 'jobs', 'sweep'
          FROM generate_series(1, %(rows)s) n
        """,
    ),
    "evidence": (
        "attendance_evidence",
        f"""
        INSERT INTO attendance_evidence
               (id, scheduled_session_id, evidence_type, observed_at, source, external_id, recorded_at)
        SELECT {GROWING_ID}, '{_SESSION}', 'room_opened', now(), 'platform', lpad(n::text, 9, '0'),
               now() - interval '360 days' * (1 - n::float8 / %(rows)s)
          FROM generate_series(1, %(rows)s) n
        """,
    ),
    "dead_letters": (
        "dead_letters",
        f"""
        INSERT INTO dead_letters (id, task, entry_point, reason, received_at)
        SELECT {GROWING_ID}, 'submit_request', 'booking', 'r',
               now() - interval '60 days' * (1 - n::float8 / %(rows)s)
          FROM generate_series(1, %(rows)s) n
        """,
    ),
}
_ONE_SESSION = f"""
    INSERT INTO consultation_service_types (id, name, default_duration_minutes)
    VALUES ('{_SESSION}', 'a', 60) ON CONFLICT DO NOTHING;
    INSERT INTO consultant_profiles (consultant_user_id) VALUES ('{_SESSION}') ON CONFLICT DO NOTHING;
    INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status)
    VALUES ('{_SESSION}', '{_SESSION}', '{_SESSION}', 'scheduled') ON CONFLICT DO NOTHING;
    INSERT INTO scheduled_sessions (id, consultation_request_id, requester_user_id, consultant_user_id,
        consultation_service_type_id, scheduled_start_time, scheduled_end_time, status)
    VALUES ('{_SESSION}', '{_SESSION}', '{_SESSION}', '{_SESSION}', '{_SESSION}',
        now() - interval '400 days', now() - interval '399 days', 'scheduled') ON CONFLICT DO NOTHING;
    UPDATE scheduled_sessions SET status = 'cancelled_by_user' WHERE status = 'scheduled'
"""


def batch(database: BenchmarkDatabase, part: str) -> float:
    """Milliseconds of one batch, its commit included."""
    ctx = Context(now=datetime.now(UTC), actor="bench", entry_point="sweep")
    done = 0

    def purge() -> None:
        nonlocal done
        with transaction(database.connection) as db:
            done = service.purge_batch(db, ctx, part, retention_of(settings()), BATCH)

    took = milliseconds(purge)
    if done != BATCH:
        raise RuntimeError(f"only {done} rows of {part} were there to be forgotten")
    return took


def in_turns(both: list[BenchmarkDatabase], part: str, batches: int) -> list[float]:
    """What a batch typically takes in each of them."""
    runs: list[list[float]] = [[] for _ in both]
    for number in turns(len(both), batches):
        runs[number].append(batch(both[number], part))
    return [typical(times) for times in runs]


def measure(both: list[BenchmarkDatabase], part: str) -> float:
    """Fill, delete, print; the worst ratio."""
    table, insert = FILLS[part]
    for database in both:
        with psycopg.connect(database.url) as connection:
            connection.execute(_ONE_SESSION.encode())
        fill(database, table, insert)
    in_turns(both, part, 1)  # warm
    ratios = [verdict(part, *in_turns(both, part, MEASURED))]
    in_turns(both, part, BETWEEN)
    ratios.append(verdict(f"{part}, behind {BETWEEN + MEASURED} batches", *in_turns(both, part, MEASURED)))
    with long_transactions(both):
        in_turns(both, part, BETWEEN)
        held = in_turns(both, part, MEASURED)
    ratios.append(verdict(f"{part}, behind {BETWEEN} that a transaction still sees", *held))
    for database in both:
        with psycopg.connect(database.url) as connection:
            connection.execute(f"TRUNCATE {table}".encode())
    return max(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--baseline", type=int, default=100_000)
    parser.add_argument("--parts", default="jobs,events", help=f"of {','.join(FILLS)}")
    chosen = parser.parse_args()
    with benchmark_databases(chosen.baseline, chosen.rows) as both:
        worst = max(measure(both, part) for part in chosen.parts.split(","))
    say(f"worst ratio {worst:.2f} (at most {MOST:g})")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
