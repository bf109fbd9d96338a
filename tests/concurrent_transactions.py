"""Two transactions at once, in the order that a test wants."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.kit.database import transaction


def waits_for_a_lock() -> bool:
    with transaction() as db:
        found = text(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database())"
        )
        return bool(db.execute(found).scalar_one())


def overtaken(first: Callable[[Session], Any], second: Callable[[Session], Any]) -> Any:
    """What the second says that looked before the first had committed, and took after that."""

    def run() -> Any:
        with transaction() as db:
            return second(db)

    with ThreadPoolExecutor(1) as pool:
        with transaction() as db:
            first(db)
            db.flush()
            later: Future[Any] = pool.submit(run)
            while not waits_for_a_lock():
                assert not later.done(), "nobody waited for the other"
        return later.result(30)
