"""A calendar's bytes as busy time (RFC 5545). Pure, yet never run in a worker on what others wrote:

`confined.py` runs it in a process of its own, because a few bytes of recurrence may ask for more
time and memory than there is, and because the library remembers time zones that a file declares.
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

from booking_tasks.calendars.rules import Busy, Piece, Reading, clipped, merged
from booking_tasks.hours.local_times import instant_of
from booking_tasks.kit.time_zones import zone

#: Entries in one calendar, and occurrences of them within the stretch that is read.
MOST_ENTRIES, MOST_OCCURRENCES = 20_000, 20_000
#: An occurrence may begin or end on another day in another zone.
_MARGIN = timedelta(days=2)
_RECURRING = ("RRULE", "RDATE", "RECURRENCE-ID")
#: What the libraries raise on an entry that breaks the rules; anything else is a fault of ours.
_BAD_ENTRY = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)


class UnreadableError(Exception):
    """These bytes are no calendar, or one beyond the limits. The message quotes nothing of it."""


def busy(content: bytes, reading: Reading) -> Busy:
    """The busy time of a calendar. Raises UnreadableError.

    An entry blocks unless it is cancelled, transparent (or Outlook's "free"), or declined by its
    owner. Tentative ones, and those their owner has not answered, follow `reading.tentative_busy`.
    Entries without an end take no time (RFC 5545 section 3.6.1).
    """
    found = _Found(reading)
    for calendar in calendars(content):
        for entries in _series(calendar):
            found.add(calendar, entries)
        for entry in calendar.walk("VFREEBUSY"):
            found.add_free_busy(entry)
    return Busy(tuple(merged(found.pieces)), tuple(found.ours), found.unreadable)


def calendars(content: bytes, most_entries: int = MOST_ENTRIES) -> list[Component]:
    """The calendars in a text, parsed. Raises UnreadableError, also when there are more entries than that."""
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None
    if not text.upper().startswith("BEGIN:VCALENDAR"):
        raise UnreadableError("it does not begin as a calendar does (BEGIN:VCALENDAR)")
    if not text.upper().endswith("END:VCALENDAR"):
        raise UnreadableError("it does not end as a calendar does (END:VCALENDAR): cut off")
    begun, ended = (len(re.findall(rf"^{word}:", text, re.MULTILINE | re.I)) for word in ("BEGIN", "END"))
    if begun != ended:
        raise UnreadableError("not everything that begins in it ends")
    if begun > most_entries:
        raise UnreadableError(f"it has more than {most_entries} entries")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a library thinks of somebody's file is no news
            return list(Calendar.from_ical(text, multiple=True))
    except _BAD_ENTRY as error:
        raise UnreadableError(f"it is malformed ({type(error).__name__})") from None


def _series(calendar: Component) -> Iterable[list[Component]]:
    """The events by UID: what repeats, with its exceptions. One without a UID stands alone."""
    found: dict[str, list[Component]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        found.setdefault(str(event.get("UID") or f"without {number}"), []).append(event)
    return found.values()


class _Found:
    """What has been read so far."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._zone = zone(reading.zone)
        self._occurrences = 0
        self.pieces: list[Piece] = []
        self.ours: list[tuple[UUID, Piece]] = []
        self.unreadable = 0

    def add(self, calendar: Component, entries: list[Component]) -> None:
        """One event, or one series with its exceptions."""
        own = _session_id(entries[0], self._reading.uid_domain)
        try:
            found = [piece for piece in self._pieces_of(calendar, entries) if piece is not None]
        except _BAD_ENTRY:
            self.unreadable += 1
            return
        if own is None:
            self.pieces += found
        else:
            self.ours += [(own, piece) for piece in found]

    def add_free_busy(self, entry: Component) -> None:
        """The periods of a VFREEBUSY; without FBTYPE they are busy (RFC 5545 section 3.2.9)."""
        assert isinstance(entry, FreeBusy)  # noqa: S101 - the library's own class for the name
        try:
            for period in listed(entry.get("FREEBUSY")):
                self._count()
                if self._counts(str(period.params.get("FBTYPE", "BUSY")).upper()):
                    piece = self._piece(period.start, period.end)
                    self.pieces += [] if piece is None else [piece]
        except _BAD_ENTRY:
            self.unreadable += 1

    def _counts(self, type_: str) -> bool:
        return type_ != "FREE" and (type_ != "BUSY-TENTATIVE" or self._reading.tentative_busy)

    def _pieces_of(self, calendar: Component, entries: list[Component]) -> Iterator[Piece | None]:
        if any(_zone_is_unknown(entry) for entry in entries):
            raise ValueError("nobody knows its time zone")
        single = not any(name in entry for entry in entries for name in _RECURRING)
        for one in [_latest(entries)] if single else self._occurrences_of(calendar, entries):
            self._count()
            assert isinstance(one, Event)  # noqa: S101 - the library's own class for the name
            start, end = one.start, one.end
            if start > end:
                raise ValueError("it ends before it begins")
            if self._blocks(one, whole_day=not isinstance(start, datetime)):
                yield self._piece(start, end)

    def _occurrences_of(self, calendar: Component, entries: list[Component]) -> Iterator[Component]:
        alone = Calendar()
        if "X-WR-TIMEZONE" in calendar:
            alone["X-WR-TIMEZONE"] = calendar["X-WR-TIMEZONE"]
        for entry in entries:
            alone.add_component(entry)
        start, end = self._reading.start - _MARGIN, self._reading.end + _MARGIN
        for series in of(alone).series:
            for occurrence in series.between(start, end):
                yield occurrence.as_component(keep_recurrence_attributes=False)

    def _count(self) -> None:
        self._occurrences += 1
        if self._occurrences > MOST_OCCURRENCES:
            raise UnreadableError(f"more than {MOST_OCCURRENCES} occurrences in the time that counts")

    def _blocks(self, entry: Event, *, whole_day: bool) -> bool:
        status = str(entry.get("STATUS", "")).upper()
        answer = _answer(entry, self._reading.addresses)
        shown = str(entry.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper()
        if status == "CANCELLED" or answer == "DECLINED":
            return False
        if str(entry.get("TRANSP", "")).upper() == "TRANSPARENT" or shown == "FREE":
            return whole_day and self._reading.all_day_busy
        open_ = "TENTATIVE" in {status, answer, shown} or answer == "NEEDS-ACTION"
        return self._reading.tentative_busy or not open_

    def _piece(self, start: date, end: date) -> Piece | None:
        whole = Piece(self._instant(start), self._instant(end))
        return clipped(whole, self._reading.start, self._reading.end)

    def _instant(self, when: date) -> datetime:
        if not isinstance(when, datetime):
            return instant_of(datetime.combine(when, time.min), self._zone)
        return instant_of(when, self._zone) if when.tzinfo is None else when.astimezone(UTC)


def _zone_is_unknown(entry: Component) -> bool:
    """Whether a time names a zone that neither the file nor anybody else describes."""
    named: list[Any] = [entry[name] for name in ("DTSTART", "DTEND") if name in entry]
    return any("TZID" in time.params and getattr(time.dt, "tzinfo", None) is None for time in named)


def _latest(entries: list[Component]) -> Component:
    """Of several versions of one event, that of the highest SEQUENCE."""
    return max(entries, key=lambda entry: int(entry.get("SEQUENCE", 0)))


def _session_id(entry: Component, domain: str) -> UUID | None:
    """The consultation of this service that an event is the copy of."""
    name, _, host = str(entry.get("UID", "")).rpartition("@")
    if host.casefold() != domain.casefold():
        return None
    try:
        return UUID(name)
    except ValueError:
        return None


def _answer(entry: Component, addresses: Iterable[str]) -> str:
    """What the calendar's owner answered (PARTSTAT); empty when they are not among the invited."""
    own = {f"mailto:{address}".casefold() for address in addresses}
    for attendee in listed(entry.get("ATTENDEE")):
        named = {str(attendee).casefold(), f"mailto:{attendee.params.get('EMAIL', '')}".casefold()}
        if named & own:
            return str(attendee.params.get("PARTSTAT", "NEEDS-ACTION")).upper()
    return ""


def listed(value: Any) -> list[Any]:
    """The values of a property that may stand once, several times or not at all."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
