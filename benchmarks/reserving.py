"""Bookings a second with eight clients, against pgbench replaying the very statements one booking sends.

    python -m benchmarks.reserving [--consultants 10000] [--sessions 1000000] [--bookings 4000] [--rounds 3]
    python -m benchmarks.reserving --against CHECKOUT [--turns 15]

The use case is `book_series` with one start: request, session, slot, decision, event and jobs in one
transaction, from a parsed command to the commit. pgbench (PostgreSQL's own, on the PATH) sends the same SQL
with other ids, without any Python. Both book another consultant each time, then different starts of one
single consultant; in turns, round after round. Prints the medians of the rounds' ratios, and the 99th
percentile of all bookings of one consultant against those of many; exits with 1 when pgbench makes more
than twice the bookings, or when the percentile is above five times the other.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import event

from benchmarks.comparison import add_options, compare
from benchmarks.databases import BenchmarkDatabase, benchmark_databases, say
from booking_tasks.context import Context
from booking_tasks.contracts import BookSeries
from booking_tasks.kit.database import create_booking_engine, transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import load_settings
from booking_tasks.series.service import book_series

LEAST, P99_MOST, CLIENTS = 0.5, 5.0, 8
NOW = datetime(2027, 3, 1, 6, tzinfo=UTC)
SERVICE_TYPE = UUID("00000000-0000-7000-8000-000000000001")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
#: Twelve decimal digits that are hexadecimal ones as well: pgbench writes numbers only in decimal.
_FIRST = 100_000_000_000
_CONSULTANT = "00000000-0000-7000-8000-"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_BOOKINGS = re.compile(r"'\[\{.*\}\]'")
_BARE = re.compile(r"\b[0-9a-f]{32}\b")

_FILL = """
    SET session_replication_role = replica;  -- the rows are sound; checking a million is not measured
    INSERT INTO consultation_service_types (id, name, default_duration_minutes, horizon_days)
    VALUES ('{service_type}', 'one', 60, 730);
    INSERT INTO consultant_profiles (consultant_user_id)
    SELECT ('{prefix}' || ({first} + n))::uuid FROM generate_series(0, {consultants} - 1) n;
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, source)
    SELECT c.consultant_user_id, d, d + interval '24 hours', 'rules'
      FROM consultant_profiles c,
           generate_series('2027-03-02Z'::timestamptz, '2028-02-28Z', '1 day') d
     WHERE d < '2027-03-08Z' OR c.consultant_user_id = '{prefix}{first}';
    CREATE TEMP TABLE past AS
    SELECT gen_random_uuid() AS session, gen_random_uuid() AS request, gen_random_uuid() AS requester,
           ('{prefix}' || ({first} + n % {consultants}))::uuid AS consultant,
           '2027-02-28 12:00Z'::timestamptz - n / {consultants} * interval '2 hours' AS start
      FROM generate_series(0, {sessions} - 1) n;
    INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status,
                                       assigned_consultant_user_id, scheduled_session_id)
    SELECT request, requester, '{service_type}', 'scheduled', consultant, session FROM past;
    INSERT INTO scheduled_sessions (id, consultation_request_id, requester_user_id, consultant_user_id,
                                    consultation_service_type_id, scheduled_start_time, scheduled_end_time,
                                    status)
    SELECT session, request, requester, consultant, '{service_type}',
           start, start + interval '1 hour', 'scheduled'
      FROM past;
    INSERT INTO consultant_availability_slots (
        consultant_user_id, start_time, end_time, status, source, consultation_request_id,
        scheduled_session_id, requester_user_id, session_start_time, session_end_time)
    SELECT consultant, start, start + interval '1 hour', 'booked', 'session', request, session, requester,
           start, start + interval '1 hour'
      FROM past;
    -- What the trigger of the slot ledger would write.
    INSERT INTO occupied_times (reservation_id, role, person_id, span, session_id)
    SELECT f.id, p.role, p.who, tstzrange(f.start_time, f.end_time), f.scheduled_session_id
      FROM consultant_availability_slots f
     CROSS JOIN LATERAL (VALUES
         ('consultant', f.consultant_user_id), ('requester', f.requester_user_id)) p (role, who)
     WHERE f.status = 'booked';
    UPDATE scheduled_sessions SET status = 'in_progress';
    UPDATE scheduled_sessions SET status = 'completed';
    UPDATE consultation_requests SET status = 'completed';
"""


def consultant(number: int) -> UUID:
    """The id of one of them."""
    return UUID(f"{_CONSULTANT}{_FIRST + number}")


def command(who: UUID, start: datetime) -> BookSeries:
    """Book one start for somebody new."""
    return BookSeries(
        message_id=uuid7(),
        actor="bench",
        series_id=uuid7(),
        requester_user_id=uuid7(),
        service_type_id=SERVICE_TYPE,
        consultant_user_id=who,
        starts=(start,),
    )


def client(url: str, work: list[tuple[UUID, datetime]], begin: float) -> tuple[float, list[float]]:
    """Book all of it from an instant on; seconds of the whole, and milliseconds of each."""
    engine = create_booking_engine(load_settings({"database_url": url}))
    took = []
    with engine.connect() as connection:
        time.sleep(max(0.0, begin - time.time()))
        began = time.perf_counter()
        for who, start in work:
            since = time.perf_counter()
            with transaction(connection) as db:
                done = book_series(
                    db, Context(now=NOW, actor="bench", entry_point="booking"), command(who, start)
                )
            assert done.result == "done", done
            took.append((time.perf_counter() - since) * 1000)
        whole = time.perf_counter() - began
    engine.dispose()
    return whole, took


def clients(url: str, work: list[tuple[UUID, datetime]]) -> tuple[float, list[float]]:
    """Bookings a second of all clients together, and the milliseconds of each booking."""
    begin = time.time() + 5  # when all of them have started
    with ProcessPoolExecutor(CLIENTS, get_context("spawn")) as pool:
        runs = [pool.submit(client, url, work[number::CLIENTS], begin) for number in range(CLIENTS)]
        found = [one.result() for one in runs]
    return len(work) / max(whole for whole, _ in found), [one for _, took in found for one in took]


def p99(took: list[float]) -> float:
    """What 99 of 100 stay below."""
    return sorted(took)[len(took) * 99 // 100]


def statements(database: BenchmarkDatabase, who: UUID, start: datetime) -> str:
    """What one booking sends, as SQL with its values in it; the booking itself is undone."""
    sent: list[str] = []
    literal = psycopg.ClientCursor(psycopg.connect(database.url))

    def keep(_: object, __: object, statement: str, parameters: Any, ___: object, many: bool) -> None:
        for one in parameters if many else [parameters]:
            sent.append(literal.mogrify(statement, one or None))

    event.listen(database.connection, "before_cursor_execute", keep)
    with suppress(_Undone), transaction(database.connection) as db:
        done = book_series(db, Context(now=NOW, actor="bench", entry_point="booking"), command(who, start))
        assert done.result == "done", done
        raise _Undone
    event.remove(database.connection, "before_cursor_execute", keep)
    script = "BEGIN;\n" + "".join(" ".join(one.split()) + ";\n" for one in sent) + "COMMIT;\n"
    return _BARE.sub(lambda found: str(UUID(found[0])), script)


class _Undone(Exception):  # noqa: N818 - no error: the way out of a transaction that is not to commit
    """Raised to undo the booking whose statements are wanted."""


def with_other_ids(script: str) -> str:
    """The same statements, with ids of their own each time, as pgbench understands it."""
    fresh = dict.fromkeys(one for one in _UUID.findall(script) if not one.startswith(_CONSULTANT))
    head = [f"\\set n :from + :i * {CLIENTS} + :client_id", "\\set i :i + 1", f"\\set who {_FIRST} + :n"]
    for number, one in enumerate(fresh):
        head.append(f"\\set r{number} random({_FIRST}, {10 * _FIRST - 1})")
        script = script.replace(one, f"{one[:24]}:r{number}")
    return "\n".join(head) + "\n" + script


def of_many(database: BenchmarkDatabase, start: datetime) -> str:
    """A script that books consultant number `n`."""
    script = with_other_ids(statements(database, consultant(0), start))
    return script.replace(str(consultant(0)), f"{_CONSULTANT}:who")


def of_one(database: BenchmarkDatabase, first: datetime) -> str:
    """A script that books the n-th hour of the first consultant: its times are put in by the server."""
    script = with_other_ids(statements(database, consultant(0), first))
    [bookings] = _BOOKINGS.findall(script)
    moved = bookings
    for name, instant in (("starts", first), ("ends", first + HOUR)):
        start_field = f'"{name}": "{instant.isoformat()}"'
        assert start_field in bookings
        nth = f"""'"{name}": "' || '{instant.isoformat()}'::timestamptz + :n * interval '1 hour' || '"'"""
        moved = f"replace({moved}, '{start_field}', {nth})"
    return script.replace(bookings, moved)


def replayed(database: BenchmarkDatabase, script: str, bookings: int, number: int) -> float:
    """Transactions a second of pgbench with the same number of clients, from the given number on."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "booking.sql"
        file.write_text(script)
        options = f"-n -c {CLIENTS} -j 2 -t {bookings // CLIENTS} -D i=0 -D from={number} -f {file}".split()
        ran = subprocess.run(
            ["pgbench", *options, database.url], capture_output=True, text=True, check=False, env=os.environ
        )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = re.search(r"tps = ([\d.]+)", ran.stdout)
    assert found is not None, ran.stdout
    return float(found[1])


def booked(database: BenchmarkDatabase) -> int:
    """How many sessions are ahead: a replay that is refused is no booking."""
    with psycopg.connect(database.url) as connection:
        row = connection.execute("SELECT count(*) FROM scheduled_sessions WHERE status = 'scheduled'")
        return int((row.fetchone() or [0])[0])


@dataclass
class Side:
    """One way to load the database: what pgbench and we made of it, round after round."""

    name: str
    theirs: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return median(our / their for our, their in zip(self.ours, self.theirs, strict=True))

    def line(self) -> str:
        each = ", ".join(f"{our:.0f}/{their:.0f}" for our, their in zip(self.ours, self.theirs, strict=True))
        return (
            f"{self.name}: {median(self.ours):.0f} bookings a second, pgbench {median(self.theirs):.0f}:"
            f" ratio {self.ratio:.2f} (at least {LEAST}; rounds {each});"
            f" median {median(self.took):.1f} ms, p99 {p99(self.took):.1f} ms"
        )


def measured(database: BenchmarkDatabase, consultants: int, bookings: int, rounds: int) -> tuple[Side, Side]:
    """(many consultants, one consultant), in turns."""
    many, one = Side("many consultants"), Side("one consultant")
    few = bookings // 4 // CLIENTS * CLIENTS
    for number in range(rounds):
        start = NOW + 2 * DAY + 2 * number * HOUR
        work = [(consultant(1 + n % (consultants - 1)), start + HOUR) for n in range(bookings)]
        before = booked(database)
        many.theirs.append(replayed(database, of_many(database, start), bookings, 1))
        done, took = clients(database.url, work)
        many.ours.append(done)
        many.took += took
        first = NOW + 8 * DAY + 2 * number * few * HOUR
        one.theirs.append(replayed(database, of_one(database, first), few, 0))
        done, took = clients(database.url, [(consultant(0), first + (few + n) * HOUR) for n in range(few)])
        one.ours.append(done)
        one.took += took
        assert booked(database) - before == 2 * (bookings // CLIENTS * CLIENTS + few), "a replay was refused"
    return many, one


def main() -> int:
    """Measure; 0 when all marks are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--consultants", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--bookings", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    add_options(parser)
    chosen = parser.parse_args()
    if chosen.against is not None:
        return compare("reserving", chosen)
    with benchmark_databases(chosen.sessions) as [database]:
        names = {"service_type": SERVICE_TYPE, "prefix": _CONSULTANT, "first": _FIRST}
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(_FILL.format(**names, **vars(chosen)).encode())
            connection.execute("VACUUM ANALYZE")
            version = connection.info.server_version
        say(f"PostgreSQL {version // 10_000}, Python {platform.python_version()}, {os.cpu_count()} cores")
        say(f"{chosen.sessions:,} sessions of {chosen.consultants:,} consultants, {CLIENTS} clients")
        many, one = measured(
            database, chosen.consultants, chosen.bookings // CLIENTS * CLIENTS, chosen.rounds
        )
    say(many.line())
    say(one.line())
    apart = p99(one.took) / p99(many.took)
    say(f"p99 on one consultant is {apart:.2f} times that on many (at most {P99_MOST:g})")
    return 0 if min(many.ratio, one.ratio) >= LEAST and apart <= P99_MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
