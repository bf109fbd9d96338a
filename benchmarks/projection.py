"""How long it takes to make the windows of many consultants, and to find that nothing has changed.

    python -m benchmarks.projection [--consultants 1000] [--days 90] [--runs 5]

Consultants live in twelve zones; they have weekly hours, some also recurring ones, a night shift, travel,
leave and public holidays. Each is projected as the beat job does it: a transaction each, locked first.

Prints medians of: making everything, making it again when nothing has changed (with the rows and bytes of
WAL that were written for it), and moving on by a day; against a baseline of the same run, which writes the
same rows ready-made, in as many transactions under the same locks. Exits with 1 when a rebuild that
changes nothing writes a row, when memory grows with the number of consultants (peak, by more than a
tenth), or when making everything takes more than 4 times the baseline.
"""

from __future__ import annotations

import argparse
import platform
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from benchmarks.databases import BenchmarkDatabase, benchmark_databases, milliseconds, say
from booking_tasks.availability.store import lock_consultant
from booking_tasks.context import Context, Policies
from booking_tasks.contracts import Hours
from booking_tasks.hours import service, store
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.models import AvailabilityProjection, AvailabilitySlot, Consultant

MOST_RATIO, MOST_GROWTH = 4.0, 1.1
#: So many consultants before the other database has its turn.
AT_A_TIME = 25
NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Tehran",
    "Pacific/Chatham",
    "America/St_Johns",
)
REGIONS = (None, "DE-BY", "US", "AT")
HALF_DAYS = [
    {"weekday": day, "start": start, "end": end}
    for day in range(1, 6)
    for start, end in (("09:00", "12:00"), ("13:00", "17:30"))
]


def declared(number: int) -> Hours:
    """Hours of one consultant: every kind in its turn."""
    hours: dict[str, Any] = {"weekly": HALF_DAYS}
    if number % 5 == 1:
        rule = "FREQ=MONTHLY;BYDAY=1SA,-1SA"
        exdates = ["2027-05-01T10:00"]
        hours["recurring"] = [
            {"start": "2025-01-04T10:00", "duration_minutes": 180, "rrule": rule, "exdates": exdates}
        ]
    if number % 5 == 2:
        hours["weekly"] = [{"weekday": day, "start": "22:00", "end": "06:00"} for day in (2, 4, 6)]
    if number % 5 == 3:
        stay = {"first_day": "2027-04-05", "last_day": "2027-04-16", "time_zone": "America/New_York"}
        hours |= {"travel": [stay], "overrides": [{"day": "2027-03-17"}, {"day": "2027-05-03"}]}
    if number % 5 == 4:
        hours["rule_sets"] = [{"valid_from": "2027-04-01", "weekly": HALF_DAYS[:6]}]
    return Hours.model_validate(hours)


def people(db: Session, who: Sequence[UUID]) -> None:
    """Consultants with hours and, every seventh, leave; nothing projected yet."""
    for number, one in enumerate(who):
        where, region = ZONES[number % len(ZONES)], REGIONS[number % len(REGIONS)]
        db.add(Consultant(consultant_user_id=one, time_zone=where, holiday_region=region))
        db.flush()
        store.replace_declared_hours(db, one, declared(number))
        if number % 7 == 0:
            start = datetime(2027, 3, 15) + timedelta(days=number % 30)  # noqa: DTZ001 - wall-clock
            end = start + timedelta(days=5)
            store.insert_leave(db, consultant_user_id=one, reason="bench", start_local=start, end_local=end)


def everyone(
    database: BenchmarkDatabase, who: Sequence[UUID], step: Callable[[Session, UUID], object]
) -> float:
    """Seconds for all of them, a transaction each."""

    def run() -> None:
        for one in who:
            with transaction(database.connection) as db:
                step(db, one)

    return milliseconds(run) / 1000


def emptied(database: BenchmarkDatabase) -> None:
    with transaction(database.connection) as db:
        db.execute(delete(AvailabilitySlot))
        db.execute(delete(AvailabilityProjection))
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE consultant_availability_slots")


def ready_made(database: BenchmarkDatabase) -> dict[UUID, list[dict[str, Any]]]:
    """The rows as they are there, by consultant."""
    columns = [
        one for one in AvailabilitySlot.__table__.columns if one.name not in {"created_at", "updated_at"}
    ]
    rows: dict[UUID, list[dict[str, Any]]] = {}
    with transaction(database.connection) as db:
        for row in db.execute(select(*columns)).mappings():
            rows.setdefault(row["consultant_user_id"], []).append(dict(row))
    return rows


def written(database: BenchmarkDatabase) -> tuple[int, int]:
    """Rows inserted, changed and deleted since the beginning, and the WAL's position in bytes."""
    with transaction(database.connection) as db:
        db.execute(text("SELECT pg_stat_force_next_flush()"))
    with transaction(database.connection) as db:
        rows = db.scalar(text("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"))
        place = db.scalar(text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))
        return int(rows or 0), int(place or 0)


def peak() -> float:
    """The most memory this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(
    projected: BenchmarkDatabase, plain: BenchmarkDatabase, who: Sequence[UUID], days: int, runs: int
) -> bool:
    """Print everything; whether all is as promised. Both databases take turns, some consultants each."""
    ctx = Context(NOW, "bench", "sweep", policies=Policies(horizon=timedelta(days=days)))
    for database in (projected, plain):
        with transaction(database.connection) as db:
            people(db, who)

    def project(db: Session, one: UUID) -> None:
        service.extend(db, ctx, one)

    def project_a_day_later(db: Session, one: UUID) -> None:
        service.extend(db, replace(ctx, now=NOW + timedelta(days=1)), one)

    def write_rows(db: Session, one: UUID) -> None:
        lock_consultant(db, one)
        db.execute(insert(AvailabilitySlot), rows[one])

    everyone(projected, who[: len(who) // 10], project)
    few = peak()
    everyone(projected, who, project)
    many, rows = peak(), ready_made(projected)
    seconds: dict[str, list[float]] = {"make": [], "plain": [], "again": [], "later": []}
    idle = [0, 0]
    for _ in range(runs):
        emptied(projected)
        emptied(plain)
        both = [(projected, project), (plain, write_rows)]
        took = [0.0, 0.0]
        for number, first in enumerate(range(0, len(who), AT_A_TIME)):
            for turn in (0, 1) if number % 2 else (1, 0):
                took[turn] += everyone(both[turn][0], who[first : first + AT_A_TIME], both[turn][1])
        before = written(projected)
        seconds["again"].append(everyone(projected, who, project))
        idle = [done + now - then for done, now, then in zip(idle, written(projected), before, strict=True)]
        seconds["later"].append(everyone(projected, who, project_a_day_later))
        seconds["make"].append(took[0])
        seconds["plain"].append(took[1])
    return _print(
        {name: median(found) for name, found in seconds.items()},
        sum(len(one) for one in rows.values()),
        (idle[0], idle[1] // len(who) // runs),
        (few, many),
    )


def _print(
    seconds: Mapping[str, float], rows: int, idle: tuple[int, int], memory: tuple[float, float]
) -> bool:
    ratio = seconds["make"] / seconds["plain"]
    for name, title in (("plain", "the rows ready-made (baseline)"), ("make", "making all")):
        took = seconds[name]
        say(f"  {title:<32}{took:7.2f} s{rows / took:9,.0f} rows/s   x {took / seconds['plain']:.2f}")
    say(
        f"  {'making all again, no change':<32}{seconds['again']:7.2f} s{idle[0]:9,} rows written,"
        f" {idle[1]} bytes of WAL each (locks and housekeeping)"
    )
    say(f"  {'a day later':<32}{seconds['later']:7.2f} s")
    say(f"  {'memory':<32}{memory[0]:6.0f} MB after a tenth, {memory[1]:.0f} MB after all, {rows:,} rows")
    return idle[0] == 0 and memory[1] / memory[0] <= MOST_GROWTH and ratio <= MOST_RATIO


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--consultants", type=int, default=1000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with benchmark_databases(0, 0) as [projected, plain]:
        with transaction(projected.connection) as db:
            server = db.scalar(text("SHOW server_version"))
        say(
            f"{platform.machine()}, Python {platform.python_version()}, PostgreSQL {server},"
            f" dateutil {version('python-dateutil')}, tzdata {tzdata_version()}"
        )
        say(f"{chosen.consultants:,} consultants x {chosen.days} days, medians of {chosen.runs} runs")
        who = [uuid7() for _ in range(chosen.consultants)]
        return 0 if measure(projected, plain, who, chosen.days, chosen.runs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
