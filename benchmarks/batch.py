"""What waits, assigned together: 5,000 requests, 500 consultants, 200,000 pairs, part by part.

    python -m benchmarks.batch [--requests 5000] [--consultants 500] [--apply 200] [--rounds 5]

Reads the batch from the database, solves it, and takes the first `--apply` requests in a transaction each.
Prints the milliseconds of each part; the solve as a ratio to scipy's matching alone on the ready matrix of
the same batch, in turns and in processor time (neither waits for anything); how far the plan is below the
bound; the greedy plan of the same batch beside it. Sessions last as long as the step, so that the starts of
a consultant do not overlap. A second batch lets sessions of an hour begin every half hour: what that costs is
printed as well, without a mark. Exits with 1 when the first solve takes more than 1.3 times the matching, or
is more than 1 % below the bound.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from sqlalchemy import text

from benchmarks.databases import (
    GROWING_ID,
    BenchmarkDatabase,
    benchmark_databases,
    milliseconds,
    say,
    turns,
    typical,
)
from booking_tasks.batch import matching
from booking_tasks.batch import rounds as matching_rounds
from booking_tasks.batch import service as batch
from booking_tasks.batch.plan import Batch, Objective, Solution, greedy_plan
from booking_tasks.batch.reading import BatchSnapshot
from booking_tasks.context import Context
from booking_tasks.kit.database import transaction

SOLVE_MOST, GAP_MOST = 1.3, 0.01
NOW = datetime(2027, 3, 1, 6, tzinfo=UTC)
_SERVICE_TYPE = "'00000000-0000-7000-8000-000000000001'"
#: Each consultant has two of a hundred skills, so each skill ten consultants; a request wants one of them,
#: within four hours of two days: forty pairs. Every third prefers one of those who have it.
_ROWS = (
    "INSERT INTO consultation_service_types (id, name, default_duration_minutes, slot_step_minutes)"
    " VALUES ({service_type}, 'one', 60, {step})",
    "INSERT INTO consultant_profiles (consultant_user_id, specializations)"
    " SELECT {id}, ARRAY['skill ' || n % ({consultants} / 5), 'skill ' || n * 37 / 5 % ({consultants} / 5)]"
    "   FROM generate_series(1, {consultants}) n",
    """
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, source)
    SELECT c.consultant_user_id, d, d + interval '8 hours', 'rules'
      FROM consultant_profiles c,
           generate_series('2027-03-02 08:00Z'::timestamptz, '2027-03-03 08:00Z', '1 day') d
    """,
    """
    INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status,
        required_specializations, preferred_consultant_user_id, preferred_start_time, preferred_end_time,
        requested_at, deadline_at)
    SELECT {id}, {id}, {service_type}, 'pending', ARRAY[skill],
           CASE WHEN n % 3 = 0 THEN (
               SELECT c.consultant_user_id FROM consultant_profiles c WHERE skill = ANY (c.specializations)
                ORDER BY hashtext(c.consultant_user_id::text || n) LIMIT 1
           ) END,
           begin, begin + interval '4 hours', '2027-03-01 00:00Z'::timestamptz + n * interval '1 second',
           '2027-03-09Z'
      FROM generate_series(1, {requests}) n
     CROSS JOIN LATERAL (
           SELECT '2027-03-02 08:00Z'::timestamptz + abs(hashtext('day' || n)) % 2 * interval '1 day'
                  + abs(hashtext('hour' || n)) % 5 * interval '1 hour',
                  'skill ' || abs(hashtext('skill' || n)) % ({consultants} / 5)
           ) AS request (begin, skill)
    """,
    "VACUUM ANALYZE",
)


def read(database: BenchmarkDatabase) -> BatchSnapshot:
    """The batch from the database, as the sweep reads it."""
    with transaction(database.connection) as db:
        return batch.read_batch(db, ctx())[0]


def ctx() -> Context:
    """The moment of everything here."""
    return Context(now=NOW, actor="bench", entry_point="sweep")


def solve(found: Batch) -> Solution:
    """As the sweep solves it, in half a minute at most."""
    return matching.solve(found, 30.0, time.perf_counter)


def applied(database: BenchmarkDatabase, snapshot: BatchSnapshot, solution: Solution, count: int) -> float:
    """Milliseconds for each of the first requests, in a transaction of its own."""
    with transaction(database.connection) as db:
        plan = batch.store_plan(db, ctx(), batch.BatchPlan(snapshot, solution, 0.0))
    began = time.perf_counter()
    for request_id in plan.request_ids_to_apply[:count]:
        with transaction(database.connection) as db:
            plan.apply(db, ctx(), request_id)
    return (time.perf_counter() - began) * 1000 / count


def processor_milliseconds(work: Callable[[], object]) -> float:
    """What a run costs, whatever else the machine does meanwhile."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def gap(found: Objective, bound: Objective) -> tuple[float, float]:
    """How much less than the bound is served, and scored."""
    return 1 - found.served / max(1, bound.served), 1 - found.score / max(1, bound.score)


def measured(database: BenchmarkDatabase, chosen: argparse.Namespace, step: int) -> tuple[float, float]:
    """One batch part by part; the solve's ratio and the larger of the gaps."""
    names = {"id": GROWING_ID, "service_type": _SERVICE_TYPE, "step": step} | vars(chosen)
    with psycopg.connect(database.url, autocommit=True) as connection:
        for statement in _ROWS:
            connection.execute(statement.format(**names).encode())
    began = time.perf_counter()
    snapshot = read(database)
    say(
        f"sessions of an hour every {step} minutes: {len(snapshot.requests):,} requests,"
        f" {chosen.consultants:,} consultants, {len(snapshot.batch.starts):,} starts,"
        f" {len(snapshot.batch.pair_scores):,} pairs"
    )
    say(f"  read from the database      {(time.perf_counter() - began) * 1000:9.0f} ms")
    ready = matching_rounds.cell_matrix(snapshot.batch)[0].matrix
    works = (lambda: min_weight_full_bipartite_matching(ready), lambda: solve(snapshot.batch))
    runs: list[list[float]] = [[], []]
    for number in turns(2, chosen.rounds):
        runs[number].append(processor_milliseconds(works[number]))
    matrix, whole = typical(runs[0]), typical(runs[1])
    solution = solve(snapshot.batch)
    say(f"  scipy's matching alone      {matrix:9.1f} ms")
    say(f"  solve                       {whole:9.1f} ms   x {whole / matrix:.2f}   by {solution.method}")
    say(f"  take one request            {applied(database, snapshot, solution, chosen.apply):9.1f} ms")
    simple = greedy_plan(snapshot.batch)
    say(f"  greedy plan                 {milliseconds(lambda: greedy_plan(snapshot.batch)):9.1f} ms")
    for name, plan in (("plan", solution.objective), ("greedy", Objective.of(snapshot.batch, simple))):
        served, score = gap(plan, solution.bound)
        say(
            f"  {name:<7} serves {plan.served:,} of at most {solution.bound.served:,} ({served:.2%} below),"
            f" scores {score:.2%} below the bound"
        )
    return whole / matrix, max(gap(solution.objective, solution.bound))


def main() -> int:
    """Measure; 0 when both marks are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--consultants", type=int, default=500)
    parser.add_argument("--apply", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with benchmark_databases(chosen.requests, chosen.requests) as (apart, overlapping):
        version = apart.connection.execute(text("SHOW server_version")).scalar_one()
        apart.connection.rollback()
        say(f"PostgreSQL {version}, lower quartile of {chosen.rounds} rounds in turns")
        ratio, open_gap = measured(apart, chosen, 60)
        measured(overlapping, chosen, 30)
    say(f"solve {ratio:.2f} times the matching (at most {SOLVE_MOST})")
    say(f"plan {open_gap:.2%} below the bound (at most {GAP_MOST:.0%})")
    return 0 if ratio <= SOLVE_MOST and open_gap <= GAP_MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
