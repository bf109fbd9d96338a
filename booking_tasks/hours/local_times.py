"""Conversion of wall-clock times in a zone to instants. Pure.

A local time that occurs twice is its first occurrence (RFC 5545, section 3.3.5); one that does not occur is
the instant of the clock change. Starts are inclusive, ends exclusive.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from booking_tasks.kit.instants import Span

_SECOND = timedelta(seconds=1)
#: No zone changes its clocks twice within this time.
_BETWEEN_CHANGES = timedelta(days=1)


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a floating local time: its first occurrence, or the clock change that skips it."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(early, first, zone)


def last_instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a floating local time: its last occurrence, or the clock change that skips it."""
    last = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    is_skipped = last.astimezone(zone).replace(tzinfo=None) != local
    return instant_of(local, zone) if is_skipped else last


def spans_of(start: datetime, end: datetime, zone: ZoneInfo) -> list[Span]:
    """The spans of instants of the hours from `start` to `end` (floating local times), in order.

    Start and end are converted separately. The time between them is one span, unless clocks are set back in
    it and show times before `start` (or from `end` on) again: those are left out, so that no instant is
    offered whose wall clock is outside the declared hours. Hours within a skipped hour are empty.
    """
    joined: list[Span] = []
    for part in pieces_of(start, end, zone):
        if joined and joined[-1][1] == part[0]:
            joined[-1] = (joined[-1][0], part[1])
        else:
            joined.append(part)
    return joined


def pieces_of(start: datetime, end: datetime, zone: ZoneInfo) -> list[Span]:
    """The spans of `spans_of`, each of them cut where the zone's clocks change."""
    first, last = instant_of(start, zone), instant_of(end, zone)
    if first >= last:
        return []
    if last - first == end - start and last - first <= _BETWEEN_CHANGES:
        return [(first, last)]
    pieces = []
    for part_start, part_end in pairwise([first, *_changes(first, last, zone), last]):
        offset = _offset(part_start, zone)
        shown = (start - offset).replace(tzinfo=UTC), (end - offset).replace(tzinfo=UTC)
        inside = max(part_start, shown[0]), min(part_end, shown[1])
        if inside[0] < inside[1]:
            pieces.append(inside)
    return pieces


def _changes(first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The instants between the two at which the zone's offset changes."""
    at = first
    while at < last:
        ahead = min(at + _BETWEEN_CHANGES, last - _SECOND)
        if ahead > at and _offset(at, zone) != _offset(ahead, zone):
            yield _change_between(at, ahead, zone)
        at += _BETWEEN_CHANGES


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second with the offset that holds at `after`."""
    offset = _offset(after, zone)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    if offset is None:
        raise ValueError(f"{zone.key} has no offset")
    return offset
