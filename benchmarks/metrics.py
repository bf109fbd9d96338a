"""What a scrape of the exporter costs among ten million finished rows, against one among ten thousand.

    python -m benchmarks.metrics [--rows 10000000] [--baseline 10000]

Prints the typical time (lower quartile) of a scrape in both databases and the ratio. The rows are finished
jobs, answered messages and old events. Exits with 1 when the ratio is above 1.5.
"""

from __future__ import annotations

import argparse
from functools import partial

from sqlalchemy import text

from benchmarks.databases import (
    GROWING_ID,
    BenchmarkDatabase,
    benchmark_databases,
    fill,
    milliseconds,
    say,
    turns,
    typical,
    verdict,
)
from booking_tasks.kit.settings import settings
from booking_tasks.ops.metrics import reading

MOST = 1.5
ROUNDS = 40

FILLS = {
    "jobs": f"""
        INSERT INTO jobs (id, key, job_type, subject_id, due_at, state, attempts, finished_at, created_at)
        SELECT {GROWING_ID}, 'k' || lpad(n::text, 9, '0'), 'send_invite', gen_random_uuid(), at,
               'done', 1, at, at
          FROM generate_series(1, %(rows)s) n,
               LATERAL (SELECT now() - interval '90 days' * (1.01 - n::float8 / %(rows)s) AS at) aged
    """,
    "inbox": f"""
        INSERT INTO inbox (message_id, task, body_hash, entry_point, state, attempts, outcome, finished_at)
        SELECT {GROWING_ID}, 'submit_request', md5(n::text), 'booking', 'done', 1, '{{}}', now()
          FROM generate_series(1, %(rows)s) n
    """,
    "events": f"""
        INSERT INTO events (id, type, occurred_at, consultation_request_id, actor, entry_point)
        SELECT {GROWING_ID}, 'session.scheduled',
               now() - interval '1 day' - interval '700 days' * (1 - n::float8 / %(rows)s),
               gen_random_uuid(), 'jobs', 'sweep'
          FROM generate_series(1, %(rows)s) n
    """,
}


def scrape(database: BenchmarkDatabase) -> None:
    """Run every query of a scrape in one transaction."""
    with database.connection.begin():
        now = database.connection.execute(text("SELECT statement_timestamp()")).scalar_one()
        values = reading.parameters(settings(), now)
        for name in reading.QUERIES:
            database.connection.execute(reading.statement(name), values).all()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--baseline", type=int, default=10_000)
    chosen = parser.parse_args()
    with benchmark_databases(chosen.baseline, chosen.rows) as both:
        for database in both:
            for table, insert in FILLS.items():
                fill(database, table, insert)
        runs: list[list[float]] = [[], []]
        for number in turns(2, ROUNDS):
            runs[number].append(milliseconds(partial(scrape, both[number])))
        ratio = verdict("one scrape", *(typical(times) for times in runs))
    say(f"ratio {ratio:.2f} (at most {MOST:g})")
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
