"""The queries of one scrape, in one read-only transaction with a time-out of its own.

Each reads open work through a partial index, or the last hour through an index of instants, so a scrape costs
the same however many finished rows there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Interval, TextClause, bindparam, text
from sqlalchemy.orm import Session

from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import Settings
from booking_tasks.outbox.job_args import JobType
from booking_tasks.sql import query

#: Every query of a scrape, in `queries/`.
QUERIES = (
    "jobs",
    "put_off",
    "undecided",
    "leases",
    "messages",
    "sweeps",
    "daily_runs",
    "requests",
    "holds",
    "assignments",
    "events",
    "sessions",
    "calendars",
)
#: The daily work whose last run is exported.
DAILY_RUNS = ("extend_availability", "purge", "reconcile_meetings")
#: Dead letters and parked messages are counted up to this number.
MOST_COUNTED = 10_000

_INTERVALS = {"link_alert", "stale_after"}
_LIMIT = text("SET LOCAL statement_timeout = '1s'")


@dataclass(frozen=True)
class Reading:
    """The rows of each query, by its name, and the business time at which they were read."""

    now: datetime
    rows: Mapping[str, Sequence[Mapping[str, Any]]]


def read(config: Settings) -> Reading:
    """Read everything. Raises the database's error when one query fails or takes more than a second."""
    with transaction() as db:
        db.execute(text("SET TRANSACTION READ ONLY"))
        db.execute(_LIMIT)
        now = _now(db, config)
        values = parameters(config, now)
        rows = {
            name: [dict(row) for row in db.execute(statement(name), values).mappings()] for name in QUERIES
        }
    return Reading(now, rows)


def _now(db: Session, config: Settings) -> datetime:
    """Business time, without the lock of `kit.clock`, which a read-only transaction may not take."""
    stepped = text("SELECT instant FROM stepped_clock")
    found: datetime | None = None
    if config.clock == "stepped":
        found = db.execute(stepped).scalar_one_or_none()
    if found is None:
        found = db.execute(text("SELECT statement_timestamp()")).scalar_one()
    return found


def statement(name: str) -> TextClause:
    """One query with the types of its parameters."""
    found = query(__package__, name)
    intervals = [bindparam(one, type_=Interval) for one in _INTERVALS if f":{one}" in found.text]
    return found.bindparams(*intervals)


def parameters(config: Settings, now: datetime) -> dict[str, Any]:
    """The values of all parameters; each query uses some of them."""
    return {
        "now": now,
        "job_types": list(JobType),
        "schedules": list(DAILY_RUNS),
        "most": MOST_COUNTED,
        "link_alert": config.link_alert,
        "stale_after": config.calendar_stale_after,
    }
