"""What the measurements stand on: a PostgreSQL with a small and a large database, measured in turns.

Taking turns is what makes a ratio mean something on a machine that has other things to do as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy import Connection

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.servers import Postgres

#: SQL for a UUID that grows with `n`, as version 7 does: in its first 48 bits, a millisecond for each. (GiST
#: tells UUIDs apart by some 53 bits: ids that differ in the last ones only are all the same to it.)
GROWING_ID = "(lpad(to_hex(1700000000000 + n), 12, '0') || '70008000000000000000')::uuid"


@dataclass(frozen=True)
class BenchmarkDatabase:
    """One migrated database: its URL, how many rows it is to hold, and a connection as the service's."""

    url: str
    rows: int
    connection: Connection


@contextmanager
def benchmark_databases(*rows: int) -> Iterator[list[BenchmarkDatabase]]:
    """An embedded PostgreSQL with one database for each number of rows, empty yet."""
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="booking-bench-", ignore_cleanup_errors=True)
        )
        server = stack.enter_context(Postgres(Path(folder) / "postgres"))
        os.environ["DATABASE_URL"] = server.url()  # for the settings of this process
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
            connection.execute("SELECT pg_reload_conf()")
            for number in range(len(rows)):
                connection.execute(f"CREATE DATABASE ground_{number}".encode())
        made = []
        for number, count in enumerate(rows):
            url = server.url(f"ground_{number}")
            migrate(url)
            engine = create_booking_engine(load_settings({"database_url": url}))
            stack.callback(engine.dispose)
            made.append(BenchmarkDatabase(url, count, stack.enter_context(engine.connect())))
        yield made


def growing_ids(count: int) -> list[UUID]:
    """The first of them."""
    return [UUID(f"{1_700_000_000_000 + n:012x}70008000000000000000") for n in range(1, count + 1)]


def fill(database: BenchmarkDatabase, table: str, insert: str) -> None:
    """Run a bulk INSERT (`%(rows)s` is how many) while the table has no secondary indexes.

    Ids and keys should grow with the rows, as they do in life: random ones take minutes longer.
    """
    began = time.monotonic()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SET synchronous_commit = off")
        later = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = %s::regclass AND NOT indisunique",
            [table],
        ).fetchall()
        for name, _ in later:
            connection.execute(f"DROP INDEX {name}".encode())
        connection.execute(insert.encode(), {"rows": database.rows})
        for _, definition in later:
            connection.execute(definition.encode())
        connection.execute(f"VACUUM ANALYZE {table}".encode())
    say(f"  {database.rows:>10,} rows of {table} made in {timedelta(seconds=int(time.monotonic() - began))}")


def milliseconds(work: Callable[[], object]) -> float:
    """How long one run takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def typical(runs: Iterable[float]) -> float:
    """The lower quartile: what it takes when nothing else on the machine is in the way."""
    ordered = sorted(runs)
    return ordered[len(ordered) // 4]


def turns(of: int, rounds: int) -> Iterator[int]:
    """Whose turn it is, so that nobody is always the first: 0 1, 1 0, 0 1, ..."""
    for number in range(rounds):
        yield from range(of) if number % 2 == 0 else reversed(range(of))


@contextmanager
def long_transactions(these: Iterable[BenchmarkDatabase]) -> Iterator[None]:
    """Somebody's transactions that keep PostgreSQL from tidying anything away meanwhile."""
    with ExitStack() as stack:
        for database in these:
            connection = stack.enter_context(psycopg.connect(database.url))
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT count(*) FROM alembic_version")
        yield


def verdict(name: str, low: float, high: float) -> float:
    """Print one line; the ratio."""
    say(f"{name:<58}{low:9.1f} ms{high:9.1f} ms   x {high / low:.2f}")
    return high / low


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
