"""How long it takes to forget and to export a person among many rows, and the longest statement of it.

    python -m benchmarks.forgetting [--rows 10000000] [--baseline 10000]

The rows are old events and answered messages, none of which names the person. Prints the seconds in both
databases and, for the large one, the longest statement. Exits with 1 when that is above a third of the time
limit of a statement: then a larger table would end the command.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from benchmarks.databases import GROWING_ID, BenchmarkDatabase, benchmark_databases, fill, say
from booking_tasks.context import Context
from booking_tasks.contracts import ExportUser, ForgetUser
from booking_tasks.forgetting.export import export_user
from booking_tasks.forgetting.service import forget_user
from booking_tasks.kit.settings import settings

MOST = 1 / 3

FILLS = {
    "inbox": f"""
        INSERT INTO inbox (message_id, task, body_hash, entry_point, state, attempts, outcome, finished_at)
        SELECT {GROWING_ID}, 'submit_request', md5(n::text), 'booking', 'done', 1,
               jsonb_build_object('result', 'done', 'request_id', gen_random_uuid(), 'status', 'scheduled'),
               now()
          FROM generate_series(1, %(rows)s) n
    """,
    "events": f"""
        INSERT INTO events (id, type, occurred_at, consultation_request_id, actor, entry_point, before, after)
        SELECT {GROWING_ID}, 'session.scheduled', now() - interval '1 day', gen_random_uuid(), 'jobs',
               'sweep', jsonb_build_object('request_status', 'pending'),
               jsonb_build_object('status', 'scheduled', 'revision', 0, 'start', now(), 'end', now())
          FROM generate_series(1, %(rows)s) n
    """,
}


_PERSON = text("INSERT INTO directory_users (user_id, name, email) VALUES (:user, 'X', 'x@example.org')")


def measured(database: BenchmarkDatabase, work: Callable[[Session, Context], object]) -> tuple[float, float]:
    """Run it in a transaction of one snapshot; the seconds of all of it, and of its longest statement."""
    began: list[float] = []
    longest = 0.0

    def before(*_: Any) -> None:
        began.append(time.perf_counter())

    def after(*_: Any) -> None:
        nonlocal longest
        longest = max(longest, time.perf_counter() - began.pop())

    connection = database.connection
    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)
    first = time.perf_counter()
    with connection.begin():
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        now = connection.execute(text("SELECT statement_timestamp()")).scalar_one()
        with Session(connection) as db:
            work(db, Context(now, "benchmark", "admin", None, settings().policies))
            db.flush()
    seconds = time.perf_counter() - first
    event.remove(connection, "before_cursor_execute", before)
    event.remove(connection, "after_cursor_execute", after)
    return seconds, longest


def export(user: UUID) -> Callable[[Session, Context], object]:
    return lambda db, ctx: export_user(db, ctx, ExportUser(user_id=user))


def forget(user: UUID) -> Callable[[Session, Context], object]:
    return lambda db, ctx: forget_user(db, ctx, ForgetUser(message_id=uuid4(), actor="x", user_id=user))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--baseline", type=int, default=10_000)
    chosen = parser.parse_args()
    worst = 0.0
    with benchmark_databases(chosen.baseline, chosen.rows) as both:
        user, limit = uuid4(), settings().statement_timeout.total_seconds()
        for database in both:
            for table, insert in FILLS.items():
                fill(database, table, insert)
            with database.connection.begin():
                database.connection.execute(_PERSON, {"user": user})
        for name, work in (("export", export(user)), ("forget", forget(user))):
            (few, _), (many, longest) = (measured(database, work) for database in both)
            worst = max(worst, longest)
            say(f"{name:<10}{few:8.2f} s{many:8.2f} s   longest statement {longest:.2f} s of {limit:g}")
    say(f"longest statement {worst / limit:.2f} of the limit (at most {MOST:.2f})")
    return 0 if worst <= limit * MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
