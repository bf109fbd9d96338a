"""Bookings a second with eight clients, against pgbench replaying the very statements one booking sends.

    python -m benchmarks.reserving [--consultants 10000] [--sessions 1000000] [--bookings 4000]

The use case is `book_series` with one start: request, session, slot, decision, event and jobs in one
transaction, each booking of another consultant. pgbench (PostgreSQL's own, on the PATH) sends the same
SQL with other ids, without any Python. Then the same number of clients book different starts of one
single consultant. Prints both ratios; exits with 1 when fewer than half of pgbench's bookings are made, or
when the 99th percentile on one consultant is above five times that on many.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import event

from benchmarks.ground import Ground, grounds, say
from booking_tasks.contracts import BookSeries
from booking_tasks.database import create_booking_engine, transaction
from booking_tasks.identity import uuid7
from booking_tasks.occasion import Occasion
from booking_tasks.series.service import book_series
from booking_tasks.settings import load_settings

LEAST, P99_MOST, CLIENTS = 0.5, 5.0, 8
NOW = datetime(2027, 3, 1, 6, tzinfo=UTC)
KIND = UUID("00000000-0000-7000-8000-000000000001")
DAY = timedelta(days=1)
#: Twelve decimal digits that are hexadecimal ones as well: pgbench writes numbers only in decimal.
_FIRST = 100_000_000_000
_CONSULTANT = "00000000-0000-7000-8000-"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_BARE = re.compile(r"\b[0-9a-f]{32}\b")

_FILL = """
    SET session_replication_role = replica;  -- the rows are sound; checking a million is not measured
    INSERT INTO consultation_service_types (id, name, default_duration_minutes) VALUES ('{kind}', 'one', 60);
    INSERT INTO consultant_profiles (consultant_user_id)
    SELECT ('{prefix}' || ({first} + n))::uuid FROM generate_series(0, {consultants} - 1) n;
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, source)
    SELECT c.consultant_user_id, d, d + interval '24 hours', 'rules'
      FROM consultant_profiles c,
           generate_series('2027-03-02Z'::timestamptz, '2027-05-15Z', '1 day') d
     WHERE d < '2027-03-08Z' OR c.consultant_user_id = '{prefix}{first}';
    CREATE TEMP TABLE past AS
    SELECT gen_random_uuid() AS session, gen_random_uuid() AS request, gen_random_uuid() AS requester,
           ('{prefix}' || ({first} + n % {consultants}))::uuid AS consultant,
           '2027-02-28 12:00Z'::timestamptz - n / {consultants} * interval '2 hours' AS start
      FROM generate_series(0, {sessions} - 1) n;
    INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status,
                                       assigned_consultant_user_id, scheduled_session_id)
    SELECT request, requester, '{kind}', 'completed', consultant, session FROM past;
    INSERT INTO scheduled_sessions (id, consultation_request_id, requester_user_id, consultant_user_id,
                                    consultation_service_type_id, scheduled_start_time, scheduled_end_time,
                                    status)
    SELECT session, request, requester, consultant, '{kind}', start, start + interval '1 hour', 'completed'
      FROM past;
    INSERT INTO consultant_availability_slots (
        consultant_user_id, start_time, end_time, status, source, consultation_request_id,
        scheduled_session_id, requester_user_id, session_start_time, session_end_time)
    SELECT consultant, start, start + interval '1 hour', 'booked', 'session', request, session, requester,
           start, start + interval '1 hour'
      FROM past;
"""


def consultant(number: int) -> UUID:
    """The id of one of them."""
    return UUID(f"{_CONSULTANT}{_FIRST + number}")


def command(who: UUID, start: datetime) -> BookSeries:
    """Book one start for somebody new."""
    return BookSeries(
        message_id=uuid7(), actor="bench", series_id=uuid7(), requester_user_id=uuid7(),
        service_type_id=KIND, consultant_user_id=who, starts=(start,),
    )  # fmt: skip


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
                done = book_series(db, Occasion(now=NOW, actor="bench", door="booking"), command(who, start))
            assert done.result == "done", done
            took.append((time.perf_counter() - since) * 1000)
        whole = time.perf_counter() - began
    engine.dispose()
    return whole, took


def clients(url: str, work: list[tuple[UUID, datetime]]) -> tuple[float, float]:
    """Bookings a second of all clients together, and the 99th percentile of one in milliseconds."""
    begin = time.time() + 5  # when all of them have started
    with ProcessPoolExecutor(CLIENTS, get_context("spawn")) as pool:
        runs = [pool.submit(client, url, work[number::CLIENTS], begin) for number in range(CLIENTS)]
        found = [one.result() for one in runs]
    every = sorted(one for _, took in found for one in took)
    return len(work) / max(whole for whole, _ in found), every[len(every) * 99 // 100]


def statements(ground: Ground) -> str:
    """What one booking sends, as a pgbench script that books another consultant each time."""
    sent: list[str] = []
    literal = psycopg.ClientCursor(psycopg.connect(ground.url))

    def keep(_: object, __: object, statement: str, parameters: Any, ___: object, many: bool) -> None:
        for one in parameters if many else [parameters]:
            sent.append(literal.mogrify(statement, one or None))

    asked = command(consultant(0), NOW + 3 * DAY)
    event.listen(ground.connection, "before_cursor_execute", keep)
    with transaction(ground.connection) as db:
        done = book_series(db, Occasion(now=NOW, actor="bench", door="booking"), asked)
    event.remove(ground.connection, "before_cursor_execute", keep)
    assert done.result == "done", done
    script = "BEGIN;\n" + "".join(" ".join(one.split()) + ";\n" for one in sent) + "COMMIT;\n"
    script = _BARE.sub(lambda found: str(UUID(found[0])), script)
    fresh = dict.fromkeys(one for one in _UUID.findall(script) if not one.startswith(_CONSULTANT))
    head = ["\\set i :i + 1", f"\\set who {_FIRST} + :i * {CLIENTS} + :client_id"]
    for number, one in enumerate(fresh):
        head.append(f"\\set r{number} random({_FIRST}, {10 * _FIRST - 1})")
        script = script.replace(one, f"{one[:24]}:r{number}")
    script = script.replace(str(consultant(0)), f"{_CONSULTANT}:who")
    return "\n".join(head) + "\n" + script


def replayed(ground: Ground, bookings: int) -> float:
    """Transactions a second of pgbench with the same number of clients."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "booking.sql"
        script.write_text(statements(ground))
        options = f"-n -c {CLIENTS} -j 2 -t {bookings // CLIENTS} -D i=0 -f {script}".split()
        ran = subprocess.run(
            ["pgbench", *options, ground.url], capture_output=True, text=True, check=False, env=os.environ
        )
    assert ran.returncode == 0, ran.stderr[-2000:]
    failed = re.search(r"number of failed transactions: (\d+)", ran.stdout)
    assert failed is None or failed[1] == "0", ran.stdout
    found = re.search(r"tps = ([\d.]+)", ran.stdout)
    assert found is not None, ran.stdout
    return float(found[1])


def main() -> int:
    """Measure; 0 when both marks are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--consultants", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--bookings", type=int, default=4_000)
    chosen = parser.parse_args()
    with grounds(chosen.sessions) as [ground]:
        names = {"kind": KIND, "prefix": _CONSULTANT, "first": _FIRST}
        with psycopg.connect(ground.url, autocommit=True) as connection:
            connection.execute(_FILL.format(**names, **vars(chosen)).encode())
            connection.execute("VACUUM ANALYZE")
            version = connection.info.server_version
        say(f"PostgreSQL {version // 10_000}")
        say(f"{chosen.sessions:,} sessions of {chosen.consultants:,} consultants, {CLIENTS} clients")
        replay = replayed(ground, chosen.bookings)
        work = [(consultant(1 + n % (chosen.consultants - 1)), NOW + 2 * DAY) for n in range(chosen.bookings)]
        ours, p99 = clients(ground.url, work)
        one = [(consultant(0), NOW + 8 * DAY + n * timedelta(hours=1)) for n in range(1_000)]
        alone, contended = clients(ground.url, one)
    say(f"{ours:.0f} bookings a second, pgbench {replay:.0f}: ratio {ours / replay:.2f} (at least {LEAST})")
    say(f"on one consultant {alone:.0f} a second; p99 {contended:.1f} ms, on many {p99:.1f} ms:"
        f" {contended / p99:.2f} times (at most {P99_MOST:g})")  # fmt: skip
    return 0 if ours / replay >= LEAST and contended / p99 <= P99_MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
