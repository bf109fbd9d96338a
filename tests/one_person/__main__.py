"""Books at once, for people in both roles, for minutes.

    python -m tests.one_person --seconds 180
    python -m tests.one_person --operations 25 --runs 20

Ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import psycopg

from booking_tasks.kit import database
from booking_tasks.kit.settings import settings
from booking_tasks.ops.servers import Postgres
from tests.accounts import as_deployed, as_role, migrate_with_roles
from tests.one_person import concurrent_bookings, examination


def main() -> int:
    """Run as often as the arguments say; print each report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.one_person", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=0, help="how long each run takes")
    parser.add_argument("--operations", type=int, default=25, help="in each process, without --seconds")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; it grows by one")
    chosen = parser.parse_args()
    os.environ |= {"BOOKING_LOCK_TIMEOUT": "10m", "BOOKING_STATEMENT_TIMEOUT": "10m"}
    faults = 0
    with (
        tempfile.TemporaryDirectory(prefix="booking-tests-") as folder,
        Postgres(Path(folder) / "postgres", durable=False) as server,
    ):
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("CREATE DATABASE template_booking")
        migrate_with_roles(server.url("template_booking"))
        for seed in range(chosen.seed, chosen.seed + chosen.runs):
            faults += _run(server, seed, chosen)
    sys.stdout.write(f"{chosen.runs} runs, {faults} with a fault\n")
    return min(faults, 1)


def _run(server: Postgres, seed: int, chosen: argparse.Namespace) -> bool:
    """Run with one seed in a database of its own; return whether a promise was broken."""
    name = f"booking_{seed}"
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template_booking".encode())
        as_deployed(admin, name)
    url = as_role(server.url(name))
    os.environ["DATABASE_URL"] = url
    settings.cache_clear()
    database.engine.cache_clear()
    concurrent_bookings.prepare(url)
    operations = 0 if chosen.seconds else chosen.operations
    report = concurrent_bookings.run(
        url, seed, chosen.processes, operations=operations, seconds=chosen.seconds
    )
    database.engine().dispose()
    sys.stdout.write(f"seed {seed}: " + "\n".join(examination.lines(report)) + "\n")
    sys.stdout.flush()
    return bool(report.faults)


if __name__ == "__main__":
    sys.exit(main())
