"""What finding free time costs: 1,000 consultants with weekly hours and 200 busy pieces each.

    python -m benchmarks.search [--rounds 15] [--against CHECKOUT [--turns 15]]

All free pieces of 100 consultants x 60 days and of 1,000 x 30 days, as instants in Python
(`availability.service.free_time`), against the same query in psql. Every start (30-minute step) of the
100 x 60 (the same function, with a service type) against fetching ready-made rows of that number; for
comparison, the ready-made rows are fetched as compactly as the starts are, too. The first page of 50
starts over any of the 1,000 (`search_slots`), in milliseconds, with the statements that it sends for ten
and for a thousand consultants. Exits with 1 when one of them is above its mark.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import UUID

from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from benchmarks.comparison import add_options, compare
from benchmarks.databases import (
    GROWING_ID,
    BenchmarkDatabase,
    benchmark_databases,
    growing_ids,
    milliseconds,
    say,
    turns,
    typical,
    verdict,
)
from booking_tasks.availability.service import free_time
from booking_tasks.context import Context
from booking_tasks.contracts import SearchSlots
from booking_tasks.kit.bulk import IN_BULK
from booking_tasks.kit.database import transaction
from booking_tasks.ops.servers import system_postgres_binaries
from booking_tasks.search.service import search_slots

PIECES_MOST, STARTS_MOST, PAGE_MOST = 1.5, 2.0, 10.0
NOW = datetime(2027, 3, 1, 6, tzinfo=UTC)
SERVICE_TYPE = UUID("00000000-0000-7000-8000-000000000001")
_ROWS = (
    "INSERT INTO consultation_service_types (id, name, default_duration_minutes)"
    f" VALUES ('{SERVICE_TYPE}', 'one', 30)",
    "INSERT INTO consultant_profiles (consultant_user_id)"
    f" SELECT {GROWING_ID} FROM generate_series(1, 1000) n",
    # ten hours a day on 90 days
    """
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, source)
    SELECT c.consultant_user_id, d, d + interval '10 hours', 'rules'
      FROM consultant_profiles c,
           generate_series('2027-03-01 08:00Z'::timestamptz, '2027-05-29 08:00Z', '1 day') d
    """,
    # 200 pieces of 15 minutes: three on most days, not at the same time for everyone
    """
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, status, source)
    SELECT c.consultant_user_id, b, b + interval '15 minutes', 'unavailable', 'calendar'
      FROM consultant_profiles c
     CROSS JOIN generate_series(0, 199) n
     CROSS JOIN LATERAL (
           SELECT '2027-03-01 08:00Z'::timestamptz + n / 3 * interval '1 day'
                  + (n % 3 * 12 + abs(hashtext(c.consultant_user_id::text || n)) % 12) * interval '15 minutes'
           ) AS piece (b)
    """,
)


def people(count: int) -> str:
    """SQL for the ids of the first consultants."""
    ids = ",".join(map(str, growing_ids(count)))
    return f"CAST('{{{ids}}}' AS uuid[])"


def in_psql(url: str, query: str) -> float:
    """Milliseconds of a query as psql itself times it, its rows thrown away."""
    binaries = system_postgres_binaries()
    command = "psql" if binaries is None else str(binaries / "psql")
    script = f"\\o /dev/null\n\\timing on\n{query};\n{query};\n"
    ran = subprocess.run([command, "-X", "-d", url], input=script, capture_output=True, text=True, check=True)
    times = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("Time:")]
    return float(times[-1])


def compared(rounds: int, *works: Callable[[], float]) -> list[float]:
    """What each typically takes, measured in turns."""
    runs: list[list[float]] = [[] for _ in works]
    for number in turns(len(works), rounds):
        runs[number].append(works[number]())
    return [typical(one) for one in runs]


def pieces(database: BenchmarkDatabase, rounds: int, count: int, until: datetime) -> float:
    """The ratio of all free pieces, fetched as the service fetches them, to the query in psql."""
    whose = growing_ids(count)

    def fetched() -> int:
        with Session(database.connection) as db:
            found = free_time(db, Context(now=NOW, actor="bench", entry_point="booking"), NOW, until, whose)
        return sum(map(len, found.values()))

    query = f"SELECT * FROM free_time_v2({people(count)}, '{NOW}', '{until}', '{NOW}')"
    [(number,)] = database.connection.execute(text(f"SELECT count(*) FROM ({query}) AS it")).all()
    assert fetched() == number
    ours, theirs = compared(rounds, lambda: milliseconds(fetched), lambda: in_psql(database.url, query))
    return verdict(f"{number:,} free pieces of {count:,} until {until:%d %B}", theirs, ours)


def starts(database: BenchmarkDatabase, rounds: int) -> float:
    """The ratio of every start of 100 consultants x 60 days to rows that are ready."""
    whose, until = growing_ids(100), NOW + timedelta(days=60)

    def every_start() -> int:
        with Session(database.connection) as db:
            found = free_time(
                db, Context(now=NOW, actor="bench", entry_point="booking"), NOW, until, whose, SERVICE_TYPE
            )
        return sum(map(len, found.values()))

    database.connection.execute(
        text(
            "CREATE TEMP TABLE ready AS SELECT * FROM"
            f" free_starts_v3({people(100)}, '{SERVICE_TYPE}', '{NOW}', '{until}', '{NOW}') ORDER BY 2, 1"
        )
    )
    rows = text("SELECT consultant_user_id, start_time, end_time FROM ready")
    compact = text(
        "SELECT consultant_user_id, array_agg(start_time ORDER BY start_time),"
        " array_agg(end_time ORDER BY start_time) FROM ready GROUP BY consultant_user_id"
    ).execution_options(**IN_BULK)

    def as_rows() -> object:
        return [(row[0], row[1], row[2]) for row in database.connection.execute(rows)]

    def as_arrays() -> object:
        return {row[0]: (row[1], row[2]) for row in database.connection.execute(compact)}

    number = database.connection.execute(text("SELECT count(*) FROM ready")).scalar_one()
    assert every_start() == number
    ours, theirs, least = compared(
        rounds, *(lambda work=work: milliseconds(work) for work in (every_start, as_rows, as_arrays))
    )
    verdict(f"  for comparison: {number:,} ready-made, as arrays", least, ours)
    return verdict(f"every start of 100 x 60 days ({number:,})", theirs, ours)


def page(connection: Connection) -> list[str]:
    """Search a first page over all; the statements that were sent."""
    sent: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *a: sent.append(a[2]))
    with transaction(connection) as db:
        query = SearchSlots(service_type_id=SERVICE_TYPE, start=NOW)
        found = search_slots(db, Context(now=NOW, actor="bench", entry_point="booking"), query)
    assert len(found.starts) == 50
    return sent


def main() -> int:
    """Measure; 0 when every line keeps its mark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    add_options(parser)
    chosen = parser.parse_args()
    if chosen.against is not None:
        return compare("search", chosen)
    rounds = chosen.rounds
    with benchmark_databases(1000) as [database]:
        database.connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("SET statement_timeout = 0", *_ROWS, "VACUUM ANALYZE"):
            database.connection.execute(text(statement))
        version = database.connection.execute(text("SHOW server_version")).scalar_one()
        say(f"PostgreSQL {version}, lower quartile of {rounds} runs in turns: baseline, ours, ratio")
        kept = [
            pieces(database, rounds, *size) <= PIECES_MOST
            for size in ((100, NOW + timedelta(days=60)), (1000, NOW + timedelta(days=30)))
        ]
        kept.append(starts(database, rounds) <= STARTS_MOST)
        runs = [milliseconds(lambda: page(database.connection)) for _ in range(rounds * 4)]
        took = typical(runs)
        say(
            f"first page of 50 over any of 1,000: {took:.1f} ms, median {median(runs):.1f}"
            f" (at most {PAGE_MOST:g})"
        )
        many = len(page(database.connection))
        database.connection.execute(
            text(
                "UPDATE consultant_profiles SET is_available_for_booking = consultant_user_id = ANY ("
                f"{people(10)})"
            )
        )
        few = len(page(database.connection))
        say(f"statements of a search: {few} over 10 consultants, {many} over 1,000")
        kept += [took <= PAGE_MOST, few == many]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
