"""Pieces of time against a slower model, minute by minute; when to look again and what to believe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.calendars.rules import BusyInterval, clipped, is_stale, merged, retry_delay

BEGIN = datetime(2027, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def piece(minutes: tuple[int, int]) -> BusyInterval:
    return BusyInterval(BEGIN + minutes[0] * MINUTE, BEGIN + (minutes[0] + minutes[1]) * MINUTE)


pieces = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(piece)


def minutes_of(*intervals: BusyInterval) -> set[datetime]:
    """Every minute that the pieces cover."""
    found = set()
    for one in intervals:
        at = one.start
        while at < one.end:
            found.add(at)
            at += MINUTE
    return found


@settings(derandomize=True, deadline=None)
@given(st.lists(pieces, max_size=12))
def test_merging_keeps_every_minute_in_order_with_gaps_between(found: list[BusyInterval]) -> None:
    result = merged(found)

    assert minutes_of(*result) == minutes_of(*found)
    assert all(one.end < other.start for one, other in pairwise(result))
    assert merged(reversed(found)) == merged(result) == result


@settings(derandomize=True, deadline=None)
@given(pieces, pieces)
def test_what_two_pieces_share_is_what_is_clipped(one: BusyInterval, other: BusyInterval) -> None:
    shared = clipped(one, other.start, other.end)

    assert minutes_of(*([] if shared is None else [shared])) == minutes_of(one) & minutes_of(other)


@pytest.mark.parametrize(("failures", "minutes"), [(0, 15), (1, 30), (2, 60), (3, 60), (10_000, 60)])
def test_after_each_failure_it_waits_longer_up_to_an_hour(failures: int, minutes: int) -> None:
    assert retry_delay(failures, 15 * MINUTE, 60 * MINUTE) == minutes * MINUTE


def test_whoever_looks_more_seldom_than_that_waits_no_less_after_a_failure() -> None:
    assert retry_delay(3, 120 * MINUTE, 60 * MINUTE) == 120 * MINUTE


def test_a_copy_is_stale_when_it_is_older_than_the_limit() -> None:
    assert not is_stale(BEGIN, BEGIN + MINUTE, MINUTE)
    assert is_stale(BEGIN, BEGIN + MINUTE + timedelta(microseconds=1), MINUTE)
