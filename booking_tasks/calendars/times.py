"""Times, lengths and zones as calendars write them, and the instants that they stand for. Pure.

A time without a zone, and a whole day, is where the calendar's owner is on that day. What is written
unusually but can be understood is understood; everything else raises ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfoNotFoundError, available_timezones

from icalendar import Timezone
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from booking_tasks.calendars.content import ContentBlock, ContentProperty
from booking_tasks.hours.rules import Plan
from booking_tasks.kit.time_zones import zone

#: The errors that the libraries raise on malformed content; any other is an error in this code.
MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
DAY = timedelta(days=1)
#: Longer than any offset, and no zone changes its clocks twice within twice this time.
_AROUND = timedelta(hours=20)
_EARLIEST, _LATEST = datetime(2, 1, 1), datetime(9998, 12, 31)  # noqa: DTZ001 - wall-clock times
_TIME = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)? ?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_LENGTH = re.compile(
    r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII | re.IGNORECASE
)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d\d))?", re.ASCII | re.IGNORECASE)
_UTC_NAMES = frozenset({"utc", "gmt", "z", "zulu", "etc/utc", "coordinated universal time"})


@dataclass(frozen=True)
class Moment:
    """A wall-clock time, in a zone or without one. `is_guessed`: it names a zone that nobody knows."""

    local: datetime
    zone: tzinfo | None = None
    whole_day: bool = False
    is_guessed: bool = False


@dataclass(frozen=True)
class Length:
    """A length of `days` on the calendar and then an exact time (RFC 5545 section 3.3.6)."""

    days: int = 0
    exact: timedelta = timedelta()


@dataclass(frozen=True)
class Resolved:
    """The instants of a wall-clock time: one, or two where clocks change.

    A time that occurs twice is its first and its second occurrence. One that is skipped is the change of
    clocks, and the instant by the offset before it (RFC 5545 section 3.3.5).
    """

    first: datetime
    second: datetime
    is_skipped: bool = False


class Zones:
    """The zones that one file names: of the zone database, or described in the file itself."""

    def __init__(self, described: Iterable[ContentBlock]) -> None:
        self._described: dict[str, ContentBlock] = {}
        for one in described:
            self._described.setdefault(next(iter(one.values("TZID")), ""), one)
        self._found: dict[str, tzinfo | None] = {}

    def find(self, name: str) -> tzinfo | None:
        """The zone of this name, or None."""
        if name not in self._found:
            self._found[name] = _known_zone(name) or self._from_file(name)
        return self._found[name]

    def _from_file(self, name: str) -> tzinfo | None:
        block = self._described.get(name) or self._described.get(name.strip("/"))
        if block is None:
            return _by_offset(name)
        try:
            described = Timezone.from_ical("\r\n".join(block.lines) + "\r\n")
            found = described.to_tz(lookup_tzid=False) if isinstance(described, Timezone) else None
            if found is not None:
                found.utcoffset(_EARLIEST)
        except MALFORMED:
            return None
        return found


def _known_zone(name: str) -> tzinfo | None:
    """A zone by its IANA name, its Windows name, or an IANA name behind a maker's prefix."""
    cleaned = name.strip().strip("\"'/").strip()
    parts = cleaned.split("/")
    for candidate in ("/".join(parts[start:]) for start in range(len(parts))):
        if candidate.casefold() in _UTC_NAMES:
            return UTC
        found = _iana_zone(WINDOWS_TO_OLSON.get(candidate, candidate))
        if found is not None:
            return found
    return None


def _iana_zone(name: str) -> tzinfo | None:
    try:
        return zone(_iana_names().get(name.casefold(), name))
    except ZoneInfoNotFoundError:
        return None


@cache
def _iana_names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def _by_offset(name: str) -> tzinfo | None:
    match = _OFFSET.fullmatch(name.strip())
    if match is None:
        return None
    ahead = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return timezone(ahead if match[1] == "+" else -ahead) if ahead < DAY else None


# -- reading values ----------------------------------------------------------------------------------------


def moment_of(written: ContentProperty, zones: Zones) -> Moment:
    """The time of a property. UTC counts before a TZID."""
    return parse_moment(written.value, written.params, zones)


def parse_moment(text: str, params: dict[str, str], zones: Zones) -> Moment:
    """A date or a date with a time, with the parameters of its property."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("it is no time")
    day = datetime(int(match[1]), int(match[2]), int(match[3]))  # noqa: DTZ001 - a wall-clock time
    if match[4] is None or params.get("VALUE", "").upper() == "DATE":
        return Moment(_within(day), whole_day=True)
    local = _within(_at(day, int(match[4]), int(match[5]), int(match[6] or 0)))
    if match[7]:
        return Moment(local, UTC if match[7] in "Zz" else _by_offset(match[7]))
    name = params.get("TZID", "").strip()
    found = zones.find(name) if name else None
    return Moment(local, found, is_guessed=bool(name) and found is None)


def _at(day: datetime, hour: int, minute: int, second: int) -> datetime:
    """A time of a day: 24:00 is the next midnight, and a leap second is the second before it."""
    if (hour, minute, second) == (24, 0, 0):
        return day + DAY
    return day.replace(hour=hour, minute=minute, second=min(second, 59) if second <= 60 else second)


def _within(local: datetime) -> datetime:
    """The time, or the nearest that can still be moved between zones."""
    earliest, latest = (one.replace(tzinfo=local.tzinfo) for one in (_EARLIEST, _LATEST))
    return min(max(local, earliest), latest)


def parse_length(text: str) -> Length:
    """A DURATION; weeks and days are days on the calendar, the rest is exact."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None or not any(match.groups()[1:]):
        raise ValueError("it is no length")
    weeks, days, hours, minutes, seconds = (int(one or 0) for one in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    exact = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return Length(sign * (7 * weeks + days), sign * exact)


def parse_period(text: str, params: dict[str, str], zones: Zones) -> tuple[Moment, Moment | Length]:
    """A period: a start, and an end or a length (RFC 5545 section 3.3.9)."""
    start, _, end = text.partition("/")
    timed = {name: value for name, value in params.items() if name != "VALUE"}
    begun = parse_moment(start, timed, zones)
    if end.strip().lstrip("+-")[:1] in {"P", "p"}:
        return begun, parse_length(end)
    return begun, parse_moment(end, timed, zones)


# -- instants ------------------------------------------------------------------------------------------------


class OwnersClock:
    """The wall clock of a calendar's owner: where they are on each day."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def zone_at(self, moment: Moment, local: datetime) -> tzinfo:
        """The zone in which a wall-clock time of this moment's kind is read."""
        return moment.zone or self._plan.zone_on(local.date())

    def start(self, moment: Moment, local: datetime) -> Resolved:
        """The instants of a start at `local`."""
        return resolved(local, self.zone_at(moment, local))

    def end(self, moment: Moment, local: datetime) -> Resolved:
        """The instants of an end at `local`: midnight belongs to the day before it."""
        return resolved(local, self.zone_at(moment, local - timedelta.resolution))

    def local_day(self, moment: Moment) -> date:
        """The day that a time names for a series of whole days.

        That is the day on which it is midnight, as it is written or for the owner.
        """
        if moment.zone is None or moment.local == midnight(moment.local):
            return moment.local.date()
        return self.local(moment).date()

    def local(self, moment: Moment) -> datetime:
        """The owner's wall-clock time."""
        if moment.zone is None:
            return moment.local
        instant = resolved(moment.local, moment.zone).first
        there = instant.astimezone(self._plan.zone)
        return instant.astimezone(self._plan.zone_on(there.date())).replace(tzinfo=None)


def later(when: datetime, by: timedelta) -> datetime:
    """A time so much later, or the last one that can be moved between zones."""
    try:
        return _within(when + by)
    except OverflowError:
        return _LATEST.replace(tzinfo=when.tzinfo)


def midnight(local: datetime) -> datetime:
    """The beginning of the day."""
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def resolved(local: datetime, where: tzinfo) -> Resolved:
    """The instants (UTC) of a wall-clock time in a zone."""
    local = _within(local)
    as_utc = local.replace(tzinfo=UTC)
    if where is UTC:
        return Resolved(as_utc, as_utc)
    before, after = (_offset(as_utc + shift, where) for shift in (-_AROUND, _AROUND))
    by_before, by_after = as_utc - before, as_utc - after
    if before == after:
        return Resolved(by_before, by_before)
    valid = sorted({one for one in (by_before, by_after) if one + _offset(one, where) == as_utc})
    if valid:
        return Resolved(valid[0], valid[-1])
    return Resolved(_change(by_after, by_before, where), by_before, is_skipped=True)


def _offset(instant: datetime, where: tzinfo) -> timedelta:
    offset = instant.astimezone(where).utcoffset()
    if offset is None:
        raise ValueError("the zone has no offset")
    return offset


def _change(before: datetime, after: datetime, where: tzinfo) -> datetime:
    """The first whole second with the offset that holds at `after`."""
    low, high, offset = int(before.timestamp()) - 1, int(after.timestamp()), _offset(after, where)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), where) == offset:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)
