"""Reading busy time from a calendar's bytes (RFC 5545). Pure.

A worker never runs this on content of others: `sandbox.py` runs it in a separate process, because a few
bytes of recurrence may need unbounded time and memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from icalendar import Calendar, Component

from booking_tasks.calendars.content import (
    MOST_ENTRIES,
    ContentBlock,
    ContentProperty,
    UnreadableError,
    blocks_of,
    calendar_lines,
)
from booking_tasks.calendars.entries import Entry, ends_before_start, entry_of, latest_versions
from booking_tasks.calendars.recurrence import Expansion, Series
from booking_tasks.calendars.rules import BusyInterval, BusyTime, ReadOptions, clipped, merged
from booking_tasks.calendars.times import (
    DAY,
    MALFORMED,
    Length,
    Moment,
    OwnersClock,
    Zones,
    later,
    parse_period,
)
from booking_tasks.hours.rules import Plan, TravelPeriod
from booking_tasks.kit.time_zones import zone

__all__ = ["MOST_ENTRIES", "MOST_OCCURRENCES", "UnreadableError", "as_list", "busy_time", "parse_calendars"]

#: The most occurrences within the time that is read.
MOST_OCCURRENCES = 20_000


def busy_time(content: bytes, options: ReadOptions, charset: str | None = None) -> BusyTime:
    """Read the busy time of a calendar. Raises UnreadableError.

    An entry blocks unless it is cancelled, transparent (or Outlook's "free"), or declined by the calendar's
    owner. Tentative entries, and entries that the owner has not answered, block if `tentative_busy` is set.
    Entries without an end take no time (RFC 5545 section 3.6.1). `charset` is the label of the bytes.
    """
    calendars = blocks_of(calendar_lines(content, charset), MOST_ENTRIES)
    zones = Zones(one for calendar in calendars for one in calendar.walk("VTIMEZONE"))
    reader = _BusyTimeReader(options, zones)
    reader.add_events([one for calendar in calendars for one in calendar.walk("VEVENT")])
    for calendar in calendars:
        for block in calendar.walk("VFREEBUSY"):
            reader.add_free_busy(block)
        reader.unreadable += sum(1 for _ in calendar.walk("VAVAILABILITY"))
    return reader.result()


def parse_calendars(content: bytes, most_blocks: int) -> list[Component]:
    """Parse the calendars of a text. Raises UnreadableError, also for more than `most_blocks` blocks.

    A block is anything between a BEGIN and its END: a calendar, an entry, an alarm, a part of a time zone.
    """
    lines = calendar_lines(content)
    if sum(line.lstrip().upper().startswith("BEGIN:") for line in lines) > most_blocks:
        raise UnreadableError(f"it has more than {most_blocks} entries")
    blocks_of(lines)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file is not ours to correct
            return list(Calendar.from_ical("\r\n".join(lines), multiple=True))
    except MALFORMED as error:
        raise UnreadableError(f"it is malformed ({type(error).__name__})") from None


class _BusyTimeReader:
    """Collects the busy time of a calendar's entries, and counts what is not plain about them."""

    def __init__(self, options: ReadOptions, zones: Zones) -> None:
        self._options = options
        self._zones = zones
        self._clock = OwnersClock(_plan(options))
        self._occurrences = 0
        self._intervals: list[BusyInterval] = []
        self._own_sessions: list[tuple[UUID, BusyInterval]] = []
        self.unreadable = 0
        self._guessed = self._superseded = self._ambiguous = 0

    def result(self) -> BusyTime:
        """What was read."""
        return BusyTime(
            tuple(merged(self._intervals)),
            tuple(self._own_sessions),
            unreadable=self.unreadable + self._guessed,
            missing_time=self.unreadable,
            superseded=self._superseded,
            ambiguous=self._ambiguous,
        )

    def add_events(self, blocks: Iterable[ContentBlock]) -> None:
        """Add all events: those of one UID are a series, or versions of one another."""
        found: dict[str | int, list[Entry]] = {}
        for number, block in enumerate(blocks):
            entry = entry_of(block, self._zones, self._options)
            if entry.start is None and entry.is_busy:  # an older version still counts
                self.unreadable += 1
            else:
                found.setdefault(entry.uid or number, []).append(entry)
        for entries in found.values():
            self._add_series(entries)

    def _add_series(self, entries: list[Entry]) -> None:
        masters = [one for one in entries if one.recurrence_id is None]
        single: dict[object, list[Entry]] = {}
        for one in entries:
            if one.recurrence_id is not None:
                single.setdefault(self._key(one.recurrence_id), []).append(one)
        series = Series(
            self._current(masters), [one for same in single.values() for one in self._current(same)]
        )
        expansion = Expansion(self._options.start, self._options.end, self._clock, self._zones)
        self._add(_session_id(entries[0].uid, self._options.uid_domain), expansion, series)
        for entry in (*series.masters, *series.single):
            self._count_entry(entry, is_broken=id(entry) in expansion.broken)

    def _add(self, own: UUID | None, expansion: Expansion, series: Series) -> None:
        for whole in expansion.intervals(series):
            interval = clipped(whole, self._options.start, self._options.end)
            if interval is None:
                continue
            self._count_occurrence()
            if own is None:
                self._intervals.append(interval)
            else:
                self._own_sessions.append((own, interval))

    def _current(self, entries: list[Entry]) -> list[Entry]:
        """The entries of the latest version, one each."""
        if not entries:
            return []
        latest = latest_versions(entries)
        self._superseded += len(entries) - len(latest)
        self._ambiguous += len(latest) if len(latest) > 1 else 0
        return list(dict.fromkeys(latest))

    def _key(self, recurrence_id: Moment) -> object:
        if recurrence_id.whole_day:
            return recurrence_id.local.date()
        return self._clock.start(recurrence_id, recurrence_id.local).first

    def _count_entry(self, entry: Entry, *, is_broken: bool) -> None:
        if not entry.is_busy:
            return
        if entry.is_missing_time or is_broken or self._ends_before_start(entry):
            self.unreadable += 1
        elif entry.is_guessed:
            self._guessed += 1

    def _ends_before_start(self, entry: Entry) -> bool:
        try:
            return ends_before_start(entry, self._clock)
        except MALFORMED:
            return True

    def add_free_busy(self, block: ContentBlock) -> None:
        """Add the periods of a VFREEBUSY; without FBTYPE they are busy (RFC 5545 section 3.2.9)."""
        is_read = True
        for written in block.properties.get("FREEBUSY", ()):
            if self._is_busy_type(written.params.get("FBTYPE", "BUSY").upper()):
                for text in written.value.split(","):
                    is_read = self._add_period(ContentProperty(text, written.params)) and is_read
        self.unreadable += not is_read

    def _add_period(self, written: ContentProperty) -> bool:
        """Add one period; return whether it was understood."""
        try:
            start, end = parse_period(written.value, written.params, self._zones)
            begun = self._clock.start(start, start.local).first
            if isinstance(end, Length):
                ended = later(later(begun, end.days * DAY), end.exact)
            else:
                ended = self._clock.end(end, end.local).second
        except MALFORMED:
            return False
        interval = clipped(
            BusyInterval(min(begun, ended), max(begun, ended)), self._options.start, self._options.end
        )
        if interval is not None:
            self._count_occurrence()
            self._intervals.append(interval)
        return begun <= ended

    def _is_busy_type(self, type_: str) -> bool:
        return type_ != "FREE" and (type_ != "BUSY-TENTATIVE" or self._options.tentative_busy)

    def _count_occurrence(self) -> None:
        self._occurrences += 1
        if self._occurrences > MOST_OCCURRENCES:
            raise UnreadableError(f"it has more than {MOST_OCCURRENCES} occurrences in the time that is read")


def _plan(options: ReadOptions) -> Plan:
    travel = tuple(TravelPeriod(first, last, zone(name)) for first, last, name in options.travel)
    return Plan(zone(options.zone), travel=travel)


def _session_id(uid: str, domain: str) -> UUID | None:
    """The id of the session of this service that an event is a copy of, or None."""
    name, _, host = uid.rpartition("@")
    if host.casefold() != domain.casefold():
        return None
    try:
        return UUID(name)
    except ValueError:
        return None


def as_list(value: Any) -> list[Any]:
    """The values of a property that may occur once, several times or not at all."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
