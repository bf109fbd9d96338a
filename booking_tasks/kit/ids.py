"""Ids: time-ordered UUIDs (version 7, RFC 9562 section 5.7), made here because PostgreSQL 15 cannot."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """Return a new id, greater than every id that this process made before.

    48 bits of Unix milliseconds, then 12 bits that count up within a millisecond (RFC 9562 section
    6.2, method 3: the sub-millisecond fraction), then 62 random bits.
    """
    global _last  # noqa: PLW0603 - the monotonic counter is the state of this function
    with _lock:
        fine = time.time_ns() * 4096 // 1_000_000
        _last = fine = max(fine, _last + 1)
    milliseconds, fraction = divmod(fine, 4096)
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | random)


def made_at(id_: UUID) -> datetime | None:
    """Return when an id was made, by the clock of its maker; None for an id of another version."""
    if id_.version != 7:
        return None
    milliseconds, fraction = id_.int >> 80, (id_.int >> 64) & 0xFFF
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        milliseconds=milliseconds, microseconds=fraction * 1000 / 4096
    )


def first_id_of(instant: datetime) -> UUID:
    """Return the lowest id that can have been made at an instant: ids made before are lower."""
    milliseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))
