"""When a reminder has no reason any more. Pure."""

from __future__ import annotations

from datetime import datetime

from booking_tasks.enums import SessionStatus


def reminder_skip_reason(
    status: str, start: datetime, revision: int, job_revision: int, now: datetime
) -> str | None:
    """Why a reminder must not go out any more, or None."""
    if status != SessionStatus.SCHEDULED:
        return f"the session is {status}"
    if revision != job_revision:
        return "superseded by a later revision"
    if start <= now:
        return "the session has begun"
    return None
