"""A second, slow model of hours: minute by minute, without arithmetic on offsets.

It knows one thing of a zone: what its clock shows at an instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from booking_tasks.kit.time_zones import zone

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

#: Half an hour of daylight saving; a day that never was; a fasting month; quarter hours; midnight jumps.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Tehran",
    "Pacific/Chatham",
    "America/St_Johns",
)
_FIRST, _LAST = datetime(1985, 1, 1, tzinfo=UTC), datetime(2037, 12, 31, tzinfo=UTC)


def shown(instant: datetime, where: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return instant.astimezone(where).replace(tzinfo=None)


@lru_cache
def transitions(name: str) -> tuple[datetime, ...]:
    """Every minute at which the zone's clocks are set, between 1985 and 2037."""
    where, found, at = zone(name), [], _FIRST
    while at < _LAST:
        if shown(at + DAY, where) - shown(at, where) != DAY:
            low, high = 0, 24 * 60  # the change lies after minute `low`, not after `high`
            while high - low > 1:
                middle = (low + high) // 2
                moved = shown(at + middle * MINUTE, where) - shown(at, where) != middle * MINUTE
                low, high = (low, middle) if moved else (middle, high)
            found.append(at + high * MINUTE)
        at += DAY
    return tuple(found)


class Walls:
    """A zone's wall clock for some time before and after an instant, minute by minute."""

    def __init__(self, name: str, around: datetime, reach: timedelta) -> None:
        self.zone = zone(name)
        self.minutes = [around - reach + number * MINUTE for number in range(2 * (reach // MINUTE))]
        self.walls = [shown(one, self.zone) for one in self.minutes]

    def instant(self, local: datetime) -> int:
        """The place of the first minute at which the clock shows this time, or has jumped over it."""
        return next(place for place, wall in enumerate(self.walls) if wall >= local)

    def hours(self, start: datetime, end: datetime) -> set[datetime]:
        """The minutes of hours from one local time to another: between their instants, and shown so."""
        places = range(self.instant(start), self.instant(end))
        return {self.minutes[place] for place in places if start <= self.walls[place] < end}


def minutes_of(spans: Iterable[tuple[datetime, datetime]]) -> set[datetime]:
    """The minutes that spans of instants consist of."""
    found = set()
    for start, end in spans:
        at = start
        while at < end:
            found.add(at)
            at += MINUTE
    return found


# -- recurrence ----------------------------------------------------------------------------------------------

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def occurrences(start: datetime, parts: dict[str, str], last: date) -> Iterator[datetime]:
    """The starts of a rule up to a day, found by asking of each day whether the rule means it.

    For DAILY to YEARLY with INTERVAL, COUNT, WKST, BYDAY (with ordinals), BYMONTHDAY and BYMONTH.
    """
    day, left = start.date(), int(parts.get("COUNT", "1000000"))
    while day <= last and left:
        if _in_step(start.date(), day, parts) and _meant(start.date(), day, parts):
            left -= 1
            yield datetime.combine(day, start.time())
        day += DAY


def _in_step(first: date, day: date, parts: dict[str, str]) -> bool:
    """Whether the day, week, month or year is one that INTERVAL does not leave out."""
    weeks = [one - ((one.weekday() - _DAYS.index(parts.get("WKST", "MO"))) % 7) * DAY for one in (first, day)]
    passed = {
        "DAILY": (day - first).days,
        "WEEKLY": (weeks[1] - weeks[0]).days // 7,
        "MONTHLY": (day.year - first.year) * 12 + day.month - first.month,
        "YEARLY": day.year - first.year,
    }[parts["FREQ"]]
    return passed % int(parts.get("INTERVAL", "1")) == 0


def _meant(first: date, day: date, parts: dict[str, str]) -> bool:
    frequency, by = parts["FREQ"], {name for name in parts if name.startswith("BY")}
    if "BYMONTH" in by and str(day.month) not in parts["BYMONTH"].split(","):
        return False
    if "BYMONTHDAY" in by and not _is_month_day(day, parts["BYMONTHDAY"]):
        return False
    if "BYDAY" in by:
        return _is_week_day(day, parts["BYDAY"], monthly=frequency == "MONTHLY" or "BYMONTH" in by)
    if "BYMONTHDAY" in by or frequency == "DAILY":
        return True
    if frequency == "WEEKLY":
        return day.weekday() == first.weekday()
    return day.day == first.day and (frequency == "MONTHLY" or "BYMONTH" in by or day.month == first.month)


def _is_month_day(day: date, ordinals: str) -> bool:
    next_month = (day.replace(day=1) + 32 * DAY).replace(day=1)
    from_end = (day - next_month).days
    return any(int(one) in {day.day, from_end} for one in ordinals.split(","))


def _is_week_day(day: date, ordinals: str, *, monthly: bool) -> bool:
    """With an ordinal: the nth such weekday of the month, or of the year."""
    for ordinal_day in ordinals.split(","):
        ordinal, name = ordinal_day[:-2], ordinal_day[-2:]
        if _DAYS[day.weekday()] != name:
            continue
        if not ordinal:
            return True
        around = [day + 7 * number * DAY for number in range(-53, 54)]
        period = [
            near for near in around if near.year == day.year and (not monthly or near.month == day.month)
        ]
        number = int(ordinal)
        place = number - 1 if number > 0 else number
        if -len(period) <= place < len(period) and period[place] == day:
            return True
    return False
