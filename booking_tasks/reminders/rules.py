"""When a reminder has no reason any more. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from booking_tasks.enums import SessionStatus


def reminder_skip_reason(status: str, start: datetime, now: datetime, *, is_superseded: bool) -> str | None:
    """Why a reminder must not go out any more, or None."""
    if status != SessionStatus.SCHEDULED:
        return f"the session is {status}"
    if is_superseded:
        return "superseded by a later revision"
    if start <= now:
        return "the session has begun"
    return None


def belongs_to(start: datetime, due: datetime, seconds_before: int) -> bool:
    """Whether a reminder that was due then is for a session that begins at `start`."""
    return abs(start - timedelta(seconds=seconds_before) - due) < timedelta(seconds=1)
