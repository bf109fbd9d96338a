"""Asking a consultant: until when, and when nobody is left to ask. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta


def answer_until(now: datetime, minutes: int | None, default: timedelta, start: datetime) -> datetime:
    """Until when a question waits: as its kind of consultation or the house says, never past the start."""
    return min(now + (default if minutes is None else timedelta(minutes=minutes)), start)
