"""Instants are stored as UTC text, whatever zone they came in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from booking_tasks.kit.instants import to_iso


def test_equal_instants_in_two_zones_are_equal_texts() -> None:
    here = datetime(2027, 3, 3, 10, tzinfo=timezone(timedelta(hours=1)))
    assert to_iso(here) == to_iso(here.astimezone(UTC)) == "2027-03-03T09:00:00+00:00"


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_iso(datetime(2027, 3, 3, 10))
