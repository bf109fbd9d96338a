"""The starts of a series: a wall-clock time that repeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from booking_tasks.contracts import Weekly
from booking_tasks.hours.local_times import instant_of
from booking_tasks.kit.time_zones import zone as zone_named


def starts_of(starts: Sequence[datetime], weekly: Weekly | None) -> list[datetime]:
    """Return every start in UTC, in order. A weekly start keeps its wall-clock time over clock changes."""
    if weekly is None:
        return sorted(start.astimezone(UTC) for start in starts)
    zone = zone_named(weekly.time_zone)
    local = starts[0].astimezone(zone).replace(tzinfo=None)
    apart = timedelta(weeks=weekly.every_weeks)
    return [
        starts[0].astimezone(UTC),
        *(instant_of(local + number * apart, zone) for number in range(1, weekly.times)),
    ]
