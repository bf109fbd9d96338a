"""Instants: the type of a span, and instants as text. Every instant stored in JSON goes through `to_iso`."""

from __future__ import annotations

from datetime import UTC, datetime

#: A start and an end, both with a time zone; the end is excluded.
Span = tuple[datetime, datetime]


def to_iso(instant: datetime) -> str:
    """Return an instant as ISO 8601 text in UTC, so that equal instants are equal texts.

    Raises ValueError for a datetime without a time zone: the process's own zone must not decide.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant has a time zone")
    return instant.astimezone(UTC).isoformat()
