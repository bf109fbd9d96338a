"""Busy time as plain values; when a calendar is read again, and when its copy is stale. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

#: The source of a block in the slot ledger, followed by the feed's id: busy time, an outage, and entries of
#: which a time was not understood.
CALENDAR_SOURCE, OUTAGE_SOURCE, UNREADABLE_SOURCE = "calendar:", "calendar-outage:", "calendar-unreadable:"
#: The version of the way of reading: a copy that was read in another way is read again.
_READING = 2


@dataclass(frozen=True, order=True)
class BusyInterval:
    """Busy time between two instants (UTC), the end excluded."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class ReadOptions:
    """How a calendar is read: from which instant to which, in which zone, by which rules.

    Times without a zone and whole days are read where the owner is on that day: in `zone`, or in that of the
    `travel` (first day, last day, zone) that the day belongs to. `addresses` are the mail addresses under
    which the calendar's owner is invited. `all_day_busy` takes whole days as busy even when they are marked
    free.
    """

    start: datetime
    end: datetime
    zone: str
    uid_domain: str
    addresses: tuple[str, ...] = field(default=(), repr=False)
    tentative_busy: bool = True
    all_day_busy: bool = False
    travel: tuple[tuple[date, date, str], ...] = ()

    @property
    def options_digest(self) -> str:
        """A digest of the options that change the result, without `start` and `end`."""
        choices = (self.zone, self.uid_domain, self.addresses, self.tentative_busy, self.all_day_busy)
        return hashlib.sha256(repr((_READING, *choices, self.travel)).encode()).hexdigest()


@dataclass(frozen=True)
class BusyTime:
    """The busy time of a calendar: `intervals` in order and disjoint, and sessions of this service.

    The caller decides which of the sessions block. `unreadable` counts the entries that were not fully
    understood; of these, `missing_time` may take more time than was read. `superseded` counts older versions
    of entries, which take no time, and `ambiguous` the entries of one UID and one version, which all do.
    """

    intervals: tuple[BusyInterval, ...] = ()
    own_sessions: tuple[tuple[UUID, BusyInterval], ...] = ()
    unreadable: int = 0
    missing_time: int = 0
    superseded: int = 0
    ambiguous: int = 0


def merged(intervals: Iterable[BusyInterval]) -> list[BusyInterval]:
    """The same time in order, in as few intervals as possible: those that touch or overlap become one."""
    found: list[BusyInterval] = []
    for interval in sorted(intervals):
        if found and interval.start <= found[-1].end:
            found[-1] = BusyInterval(found[-1].start, max(found[-1].end, interval.end))
        else:
            found.append(interval)
    return found


def clipped(interval: BusyInterval, start: datetime, end: datetime) -> BusyInterval | None:
    """The part of an interval between two instants, or None."""
    part = BusyInterval(max(interval.start, start), min(interval.end, end))
    return part if part.start < part.end else None


def retry_delay(failures: int, interval: timedelta, longest: timedelta) -> timedelta:
    """The delay until the next refresh: the interval, doubled with every failure in a row."""
    return max(interval, min(longest, interval * (1 << min(failures, 10))))


def is_stale(good_since: datetime, now: datetime, limit: timedelta) -> bool:
    """Whether the last good copy (or, without one, the feed itself) is older than the limit."""
    return now - good_since > limit
