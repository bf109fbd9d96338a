"""The only reader of time.

Business time is the database's, read once at the start of a task's transaction and passed down.
Under `BOOKING_CLOCK=stepped` (demo and simulations only) it is one stored instant that moves
forward in steps; a reader shares a lock on it, so a step waits for the tasks that run.

Leases and back-off never use this clock: they stand on the database's real time.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.settings import settings


class ClockError(BookingTasksError):
    """The stepped clock was asked for but never set, or was asked to go back."""


def now(db: Session) -> datetime:
    """The instant this transaction works with, in UTC."""
    if settings().clock == "database":
        current: datetime = db.execute(text("SELECT statement_timestamp()")).scalar_one()
        return current
    instant: datetime | None = db.execute(
        text("SELECT instant FROM stepped_clock FOR SHARE")
    ).scalar_one_or_none()
    if instant is None:
        raise ClockError("BOOKING_CLOCK=stepped, but no stepped clock was created in this database")
    return instant


def step(db: Session, to: datetime) -> None:
    """Set or advance the stepped clock. Raises ClockError when `to` lies before it."""
    moved = db.execute(
        text(
            "INSERT INTO stepped_clock (only_row, instant) VALUES (true, :to) "
            "ON CONFLICT (only_row) DO UPDATE SET instant = excluded.instant "
            "WHERE stepped_clock.instant <= excluded.instant RETURNING instant"
        ),
        {"to": to},
    ).scalar_one_or_none()
    if moved is None:
        raise ClockError(f"the stepped clock only moves forward; {to.isoformat()} lies in its past")
