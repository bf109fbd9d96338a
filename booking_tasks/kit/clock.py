"""The clock of business time; no other module reads it.

Business time is the database's time, read once at the start of a transaction and passed down. With
`BOOKING_CLOCK=stepped` (demo, simulation and tests only) it is one stored instant that moves forward in
steps. A reader holds a shared lock on its row, so that a step waits for the tasks that run.

Leases and retries never use this clock: they use the database's real time.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.settings import settings

_DATABASE_CLOCK = "WITH clock AS (SELECT statement_timestamp() AS instant)"
_STEPPED_CLOCK = "WITH clock AS (SELECT instant FROM stepped_clock)"


class ClockError(BookingTasksError):
    """The stepped clock was never set, or a step would move it backwards."""


def now(db: Session) -> datetime:
    """Return the instant of this transaction's business time, in UTC."""
    if settings().clock == "database":
        current: datetime = db.execute(text("SELECT statement_timestamp()")).scalar_one()
        return current
    instant: datetime | None = db.execute(
        text("SELECT instant FROM stepped_clock FOR SHARE")
    ).scalar_one_or_none()
    if instant is None:
        raise ClockError("BOOKING_CLOCK=stepped, but no stepped clock was created in this database")
    return instant


def with_clock(statement: str) -> str:
    """Return a statement that looks for work, with the relation `clock` and its one column `instant`.

    It locks nothing: an instant that is being stepped is seen at the next look.
    """
    source = _DATABASE_CLOCK if settings().clock == "database" else _STEPPED_CLOCK
    return f"{source}\n{statement}"


def step(db: Session, to: datetime) -> None:
    """Set or advance the stepped clock. Raises ClockError when `to` is earlier than its instant."""
    moved = db.execute(
        text(
            "INSERT INTO stepped_clock (only_row, instant) VALUES (true, :to) "
            "ON CONFLICT (only_row) DO UPDATE SET instant = excluded.instant "
            "WHERE stepped_clock.instant <= excluded.instant RETURNING instant"
        ),
        {"to": to},
    ).scalar_one_or_none()
    if moved is None:
        raise ClockError(f"the stepped clock only moves forward; {to.isoformat()} is in its past")
