"""One entry of a calendar (VEVENT): what of it is understood, its version, and the time it takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from booking_tasks.calendars.content import ContentBlock, ContentProperty
from booking_tasks.calendars.rules import ReadOptions
from booking_tasks.calendars.times import (
    DAY,
    MALFORMED,
    Length,
    Moment,
    OwnersClock,
    Resolved,
    Zones,
    later,
    midnight,
    moment_of,
    parse_length,
    parse_moment,
    parse_period,
    resolved,
)

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_Args = ParamSpec("_Args")
_Value = TypeVar("_Value")
#: The versions of an entry are compared by SEQUENCE, then DTSTAMP, then LAST-MODIFIED.
Version = tuple[int, datetime, datetime]


@dataclass(frozen=True)
class Entry:
    """An entry as far as it is understood.

    `lengths` are its ends and lengths as written; the latest of them counts. `extra` are the starts that
    RDATE adds, with an end of their own or None. `is_missing_time`: a start, an end or a rule was not
    understood, so it may take more time than is known. Without a start it takes none.
    """

    uid: str
    version: Version
    start: Moment | None
    lengths: tuple[Moment | Length, ...] = ()
    recurrence_id: Moment | None = None
    this_and_future: bool = False
    rules: tuple[str, ...] = ()
    extra: tuple[tuple[Moment, Moment | Length | None], ...] = ()
    excluded: tuple[Moment, ...] = ()
    is_busy: bool = True
    is_flagged_all_day: bool = False
    is_guessed: bool = False
    is_missing_time: bool = False

    def with_time(self, start: Moment, length: Moment | Length | None) -> Entry:
        """The same entry at another start, with a length of its own if there is one."""
        return replace(self, start=start, lengths=self.lengths if length is None else (length,))

    def without_rules(self) -> Entry:
        """The same entry as one occurrence."""
        return replace(self, rules=(), extra=(), excluded=())


def entry_of(block: ContentBlock, zones: Zones, options: ReadOptions) -> Entry:
    """Read an entry. It never fails: what is not understood is noted."""
    notes = _Notes()
    start, period_end = _start(block, zones, notes)
    lengths = (() if period_end is None else (period_end,), _lengths(block, zones, notes))
    flagged = "TRUE" in (value.upper() for value in block.values("X-MICROSOFT-CDO-ALLDAYEVENT"))
    named = block.first("RECURRENCE-ID")
    moments = (*(one for one in (start, *lengths[1]) if isinstance(one, Moment)),)
    whole_day = flagged or (start is not None and start.whole_day)
    return Entry(
        uid=next(iter(block.values("UID")), ""),
        version=_version(block, zones),
        start=start,
        lengths=(*lengths[0], *lengths[1]),
        recurrence_id=None if named is None else notes.attempt(moment_of, named, zones),
        this_and_future=named is not None and named.params.get("RANGE", "").upper() == "THISANDFUTURE",
        rules=tuple(value for value in block.values("RRULE") if value),
        extra=tuple(_extra(block, zones, notes)),
        excluded=tuple(_excluded(block, zones, notes)),
        is_busy=_is_busy(block, options, whole_day=whole_day),
        is_flagged_all_day=flagged,
        is_guessed=any(one.is_guessed for one in moments),
        is_missing_time=notes.failed,
    )


class _Notes:
    """Notes whether anything was not understood."""

    def __init__(self) -> None:
        self.failed = False

    def attempt(
        self, read: Callable[_Args, _Value], *args: _Args.args, **named: _Args.kwargs
    ) -> _Value | None:
        try:
            return read(*args, **named)
        except MALFORMED:
            self.failed = True
            return None


def _start(block: ContentBlock, zones: Zones, notes: _Notes) -> tuple[Moment | None, Moment | Length | None]:
    """The start, and the end if the start is written as a period."""
    written = block.first("DTSTART")
    if written is None:
        notes.failed = True
        return None, None
    if "/" in written.value:
        period = notes.attempt(parse_period, written.value, written.params, zones)
        return (None, None) if period is None else period
    return notes.attempt(moment_of, written, zones), None


def _lengths(block: ContentBlock, zones: Zones, notes: _Notes) -> list[Moment | Length]:
    ends = [notes.attempt(moment_of, one, zones) for one in block.properties.get("DTEND", ())]
    lengths = [notes.attempt(parse_length, text) for text in block.values("DURATION")]
    return [one for one in (*ends, *lengths) if one is not None]


def _extra(block: ContentBlock, zones: Zones, notes: _Notes) -> list[tuple[Moment, Moment | Length | None]]:
    found: list[tuple[Moment, Moment | Length | None]] = []
    for text, params in _listed(block, "RDATE"):
        if "/" in text:
            period = notes.attempt(parse_period, text, params, zones)
            found += [] if period is None else [period]
        else:
            start = notes.attempt(parse_moment, text, params, zones)
            found += [] if start is None else [(start, None)]
    return found


def _excluded(block: ContentBlock, zones: Zones, notes: _Notes) -> list[Moment]:
    """The excluded starts. One that is not understood excludes nothing, which frees no time."""
    found = [notes.attempt(parse_moment, text, params, zones) for text, params in _listed(block, "EXDATE")]
    return [one for one in found if one is not None]


def _listed(block: ContentBlock, name: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (text, one.params)
        for one in block.properties.get(name, ())
        for text in one.value.split(",")
        if text.strip()
    ]


def _version(block: ContentBlock, zones: Zones) -> Version:
    """The version; a part that is missing or not understood is the oldest."""
    sequence = next(iter(block.values("SEQUENCE")), "")
    number = int(sequence) if sequence.isascii() and sequence.isdigit() and len(sequence) <= 18 else 0
    return number, _stamp(block.first("DTSTAMP"), zones), _stamp(block.first("LAST-MODIFIED"), zones)


def _stamp(written: ContentProperty | None, zones: Zones) -> datetime:
    if written is None:
        return _NEVER
    try:
        moment = moment_of(written, zones)
        return resolved(moment.local, moment.zone or UTC).first
    except MALFORMED:
        return _NEVER


# -- whether it blocks ----------------------------------------------------------------------------------


def _is_busy(block: ContentBlock, options: ReadOptions, *, whole_day: bool) -> bool:
    statuses = {value.upper() for value in block.values("STATUS")}
    shown = {value.upper() for value in block.values("X-MICROSOFT-CDO-BUSYSTATUS")}
    reply = owner_reply(block, options.addresses)
    if reply == "DECLINED" or (statuses and statuses <= {"CANCELLED", "CANCELED"}):
        return False
    transparency = {value.upper() for value in block.values("TRANSP")}
    if transparency == {"TRANSPARENT"} or shown == {"FREE"}:
        return whole_day and options.all_day_busy
    undecided = "TENTATIVE" in statuses | shown | {reply} or reply == "NEEDS-ACTION"
    return options.tentative_busy or not undecided


def owner_reply(block: ContentBlock, addresses: Iterable[str]) -> str:
    """The reply (PARTSTAT) of the calendar's owner; empty when the owner is not an attendee."""
    own = {f"mailto:{address}".casefold() for address in addresses}
    for attendee in block.properties.get("ATTENDEE", ()):
        named = {attendee.value.strip().casefold(), f"mailto:{attendee.params.get('EMAIL', '')}".casefold()}
        if named & own:
            return attendee.params.get("PARTSTAT", "NEEDS-ACTION").upper()
    return ""


# -- its time -----------------------------------------------------------------------------------------------


def spans(entry: Entry, local: datetime, clock: OwnersClock) -> list[tuple[datetime, datetime]]:
    """The time that the occurrence at `local` (in the zone of the start) takes, as instants.

    Where clocks change, it is all the time that the entry may mean: from the first instant of its start to
    the latest of its ends. A DTEND of a series keeps both the wall-clock time and the exact length, whichever
    ends later; hours of a DURATION are exact (RFC 5545 sections 3.3.6 and 3.8.5.3).
    """
    if entry.start is None:
        return []
    found = []
    if not entry.start.whole_day or any(
        isinstance(one, Moment) and not one.whole_day for one in entry.lengths
    ):
        found.append(_timed(entry, entry.start, local, clock))
    days = _whole_days(entry, entry.start)
    if days is not None:
        day = Moment(midnight(local), whole_day=True)
        found.append((clock.start(day, day.local).first, clock.end(day, later(day.local, days)).second))
    return [(min(span), max(span)) for span in found if span[0] != span[1]]


def ends_before_start(entry: Entry, clock: OwnersClock) -> bool:
    """Whether the end is written as a time before the start."""
    if entry.start is None or not entry.lengths:
        return False
    if entry.start.whole_day:
        return max(_local_ends(entry, entry.start)) < entry.start.local
    begun, end = _timed(entry, entry.start, entry.start.local, clock)
    return end < begun


def _whole_days(entry: Entry, start: Moment) -> timedelta | None:
    """The days of a whole-day entry, at least one; None for any other entry.

    Outlook flags such entries whose times are written as midnights, in whatever zone.
    """
    if not start.whole_day and not (entry.is_flagged_all_day and start.local == midnight(start.local)):
        return None
    longest = max((one - start.local for one in _local_ends(entry, start)), default=DAY)
    return max(DAY, -(-longest // DAY) * DAY)


def _local_ends(entry: Entry, start: Moment) -> list[datetime]:
    return [
        one.local if isinstance(one, Moment) else later(later(start.local, one.days * DAY), one.exact)
        for one in entry.lengths
    ]


def _timed(entry: Entry, start: Moment, local: datetime, clock: OwnersClock) -> tuple[datetime, datetime]:
    begun = clock.start(start, local)
    ends: list[datetime] = []
    for one in entry.lengths:
        if isinstance(one, Length):
            ends.append(_end_by_length(start, one, local, begun, clock))
        elif local == start.local:
            ends.append(_end_by_moment(start, one, begun, clock))
        else:
            ends += _ends_of_repetition(entry, one, local, begun, clock)
    return begun.first, max(ends, default=begun.first)


def _end_by_length(
    start: Moment, length: Length, local: datetime, begun: Resolved, clock: OwnersClock
) -> datetime:
    """The end by a DURATION: its days on the calendar, then its exact time."""
    after_days = clock.start(start, later(local, length.days * DAY)) if length.days else begun
    return later(after_days.second if after_days.is_skipped else after_days.first, length.exact)


def _end_by_moment(start: Moment, end: Moment, begun: Resolved, clock: OwnersClock) -> datetime:
    at = _end_in_zone(start, end)
    return _after(clock.end(at, at.local), begun, at.local - start.local)


def _ends_of_repetition(
    entry: Entry, end: Moment, local: datetime, begun: Resolved, clock: OwnersClock
) -> list[datetime]:
    """The ends of a repetition by a DTEND: on the wall clock, and after the exact length of the original."""
    start = entry.start
    assert start is not None  # noqa: S101 - the caller has it
    original = clock.start(start, start.local)
    exact = _end_by_moment(start, end, original, clock) - original.first
    at = _end_in_zone(start, end)
    if at.zone is not start.zone:
        there = (original.first + exact).astimezone(clock.zone_at(start, start.local))
        at = Moment(there.replace(tzinfo=None), start.zone)
    length = at.local - start.local
    wall_clock = _after(clock.end(at, later(local, length)), begun, length)
    return [wall_clock] if entry.is_flagged_all_day else [wall_clock, later(begun.first, exact)]


def _end_in_zone(start: Moment, end: Moment) -> Moment:
    """An end without a zone is in that of the start, and a date as the end of a timed entry is a midnight.

    That midnight begins the date, because ends are exclusive, or ends it if it is the start's own date.
    """
    if not end.whole_day:
        return end if end.zone is not None else replace(end, zone=start.zone)
    is_same_day = not start.whole_day and end.local == midnight(start.local)
    return Moment(later(end.local, DAY) if is_same_day else end.local, start.zone)


def _after(end: Resolved, begun: Resolved, length: timedelta) -> datetime:
    """The end: its first occurrence, or the next one if that is not after the start.

    An entry that lies wholly in a skipped hour is moved behind it, with its length on the wall clock.
    """
    if not end.is_skipped and end.first > begun.first:
        return end.first
    if end.second <= begun.first and begun.is_skipped and length > timedelta():
        return later(begun.second, length)
    return end.second


def latest_versions(entries: Sequence[Entry]) -> list[Entry]:
    """The entries of the highest version; entries of one version are different entries."""
    highest = max(entry.version for entry in entries)
    return [entry for entry in entries if entry.version == highest]
