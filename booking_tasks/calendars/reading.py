"""Reading busy time from a calendar's bytes (RFC 5545). Pure.

A worker never runs this on content of others: `sandbox.py` runs it in a separate process, because a few
bytes of recurrence may need unbounded time and memory, and because the library keeps the time zones that a
file declares.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from icalendar import Calendar, Component, Event, FreeBusy
from recurring_ical_events import of

from booking_tasks.calendars.rules import BusyInterval, BusyTime, ReadOptions, clipped, merged
from booking_tasks.hours.local_times import instant_of
from booking_tasks.kit.time_zones import zone

#: The most entries of one calendar, and the most occurrences of them within the time that is read.
MOST_ENTRIES, MOST_OCCURRENCES = 20_000, 20_000
#: An occurrence may begin or end on another day in another zone.
_MARGIN = timedelta(days=2)
_RECURRING = ("RRULE", "RDATE", "RECURRENCE-ID")
#: The errors that the libraries raise on a malformed entry; any other is an error in this code.
_BAD_ENTRY = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)


class UnreadableError(Exception):
    """The bytes are no calendar, or one beyond the limits. The message quotes nothing of it."""


def busy_time(content: bytes, options: ReadOptions) -> BusyTime:
    """Read the busy time of a calendar. Raises UnreadableError.

    An entry blocks unless it is cancelled, transparent (or Outlook's "free"), or declined by the calendar's
    owner. Tentative entries, and entries that the owner has not answered, block if `tentative_busy` is set.
    Entries without an end take no time (RFC 5545 section 3.6.1).
    """
    reader = _BusyTimeReader(options)
    for calendar in parse_calendars(content):
        for entries in _series(calendar):
            reader.add(calendar, entries)
        for entry in calendar.walk("VFREEBUSY"):
            reader.add_free_busy(entry)
    return BusyTime(tuple(merged(reader.intervals)), tuple(reader.own_sessions), reader.unreadable)


def parse_calendars(content: bytes, most_entries: int = MOST_ENTRIES) -> list[Component]:
    """Parse the calendars of a text. Raises UnreadableError, also for more than `most_entries` entries."""
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None
    if not text.upper().startswith("BEGIN:VCALENDAR"):
        raise UnreadableError("it does not begin with BEGIN:VCALENDAR")
    if not text.upper().endswith("END:VCALENDAR"):
        raise UnreadableError("it does not end with END:VCALENDAR: it is cut off")
    begun, ended = (len(re.findall(rf"^{word}:", text, re.MULTILINE | re.I)) for word in ("BEGIN", "END"))
    if begun != ended:
        raise UnreadableError("it has a BEGIN without its END")
    if begun > most_entries:
        raise UnreadableError(f"it has more than {most_entries} entries")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file is not ours to correct
            return list(Calendar.from_ical(text, multiple=True))
    except _BAD_ENTRY as error:
        raise UnreadableError(f"it is malformed ({type(error).__name__})") from None


def _series(calendar: Component) -> Iterable[list[Component]]:
    """The events grouped by UID: a series with its exceptions. An event without a UID is its own group."""
    found: dict[str, list[Component]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        found.setdefault(str(event.get("UID") or f"without {number}"), []).append(event)
    return found.values()


class _BusyTimeReader:
    """Collects the busy time of a calendar's entries."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._zone = zone(options.zone)
        self._occurrences = 0
        self.intervals: list[BusyInterval] = []
        self.own_sessions: list[tuple[UUID, BusyInterval]] = []
        self.unreadable = 0

    def add(self, calendar: Component, entries: list[Component]) -> None:
        """Add one event, or one series with its exceptions."""
        own = _session_id(entries[0], self._options.uid_domain)
        try:
            found = [one for one in self._intervals_of(calendar, entries) if one is not None]
        except _BAD_ENTRY:
            self.unreadable += 1
            return
        if own is None:
            self.intervals += found
        else:
            self.own_sessions += [(own, one) for one in found]

    def add_free_busy(self, entry: Component) -> None:
        """Add the periods of a VFREEBUSY; without FBTYPE they are busy (RFC 5545 section 3.2.9)."""
        assert isinstance(entry, FreeBusy)  # noqa: S101 - the library's own class for the name
        try:
            for period in as_list(entry.get("FREEBUSY")):
                self._count()
                if self._is_busy_type(str(period.params.get("FBTYPE", "BUSY")).upper()):
                    interval = self._interval(period.start, period.end)
                    self.intervals += [] if interval is None else [interval]
        except _BAD_ENTRY:
            self.unreadable += 1

    def _is_busy_type(self, type_: str) -> bool:
        return type_ != "FREE" and (type_ != "BUSY-TENTATIVE" or self._options.tentative_busy)

    def _intervals_of(self, calendar: Component, entries: list[Component]) -> Iterator[BusyInterval | None]:
        if any(_has_unknown_zone(entry) for entry in entries):
            raise ValueError("its time zone is unknown")
        single = not any(name in entry for entry in entries for name in _RECURRING)
        for one in [_latest(entries)] if single else self._occurrences_of(calendar, entries):
            self._count()
            assert isinstance(one, Event)  # noqa: S101 - the library's own class for the name
            start, end = one.start, one.end
            if start > end:
                raise ValueError("it ends before it begins")
            if self._blocks(one, whole_day=not isinstance(start, datetime)):
                yield self._interval(start, end)

    def _occurrences_of(self, calendar: Component, entries: list[Component]) -> Iterator[Component]:
        alone = Calendar()
        if "X-WR-TIMEZONE" in calendar:
            alone["X-WR-TIMEZONE"] = calendar["X-WR-TIMEZONE"]
        for entry in entries:
            alone.add_component(entry)
        start, end = self._options.start - _MARGIN, self._options.end + _MARGIN
        for series in of(alone).series:
            for occurrence in series.between(start, end):
                yield occurrence.as_component(keep_recurrence_attributes=False)

    def _count(self) -> None:
        self._occurrences += 1
        if self._occurrences > MOST_OCCURRENCES:
            raise UnreadableError(f"it has more than {MOST_OCCURRENCES} occurrences in the time that is read")

    def _blocks(self, entry: Event, *, whole_day: bool) -> bool:
        status = str(entry.get("STATUS", "")).upper()
        reply = _owner_reply(entry, self._options.addresses)
        shown = str(entry.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper()
        if status == "CANCELLED" or reply == "DECLINED":
            return False
        if str(entry.get("TRANSP", "")).upper() == "TRANSPARENT" or shown == "FREE":
            return whole_day and self._options.all_day_busy
        undecided = "TENTATIVE" in {status, reply, shown} or reply == "NEEDS-ACTION"
        return self._options.tentative_busy or not undecided

    def _interval(self, start: date, end: date) -> BusyInterval | None:
        whole = BusyInterval(self._instant(start), self._instant(end))
        return clipped(whole, self._options.start, self._options.end)

    def _instant(self, when: date) -> datetime:
        if not isinstance(when, datetime):
            return instant_of(datetime.combine(when, time.min), self._zone)
        return instant_of(when, self._zone) if when.tzinfo is None else when.astimezone(UTC)


def _has_unknown_zone(entry: Component) -> bool:
    """Whether a time names a zone that neither the file nor the time zone database defines."""
    named: list[Any] = [entry[name] for name in ("DTSTART", "DTEND") if name in entry]
    return any("TZID" in time.params and getattr(time.dt, "tzinfo", None) is None for time in named)


def _latest(entries: list[Component]) -> Component:
    """The version of an event with the highest SEQUENCE."""
    return max(entries, key=lambda entry: int(entry.get("SEQUENCE", 0)))


def _session_id(entry: Component, domain: str) -> UUID | None:
    """The id of the session of this service that an event is a copy of, or None."""
    name, _, host = str(entry.get("UID", "")).rpartition("@")
    if host.casefold() != domain.casefold():
        return None
    try:
        return UUID(name)
    except ValueError:
        return None


def _owner_reply(entry: Component, addresses: Iterable[str]) -> str:
    """The reply (PARTSTAT) of the calendar's owner; empty when the owner is not an attendee."""
    own = {f"mailto:{address}".casefold() for address in addresses}
    for attendee in as_list(entry.get("ATTENDEE")):
        named = {str(attendee).casefold(), f"mailto:{attendee.params.get('EMAIL', '')}".casefold()}
        if named & own:
            return str(attendee.params.get("PARTSTAT", "NEEDS-ACTION")).upper()
    return ""


def as_list(value: Any) -> list[Any]:
    """The values of a property that may occur once, several times or not at all."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
