"""Recurring starts in floating local time, expanded by dateutil. Pure.

The contract checks what a rule may contain. A rule begins at DTSTART, and its INTERVAL and COUNT are counted
from there; DTSTART itself is an occurrence only if it matches the rule (RFC 5545, section 3.8.5.3, leaves
that undefined).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import gcd
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule as expansion
from dateutil.rrule import rrulestr

from booking_tasks.contracts.recurrence import parts_of, until_of
from booking_tasks.hours.local_times import instant_of

_DAY = timedelta(days=1)
#: A rule without an occurrence within so many years of its start is refused.
PROBED_YEARS = 10
_LAST_YEAR = 9999


@dataclass(frozen=True)
class Recurrence:
    """Starts by a rule from `start` on, or at `start` without a rule; with `rdates`, without `exdates`."""

    start: datetime
    rrule: str | None = None
    rdates: tuple[datetime, ...] = ()
    exdates: frozenset[datetime] = field(default_factory=frozenset)

    def starts(self, first: date, last: date, zone: ZoneInfo) -> list[datetime]:
        """The starts (floating) on the local days from `first` to `last`, in order, each once.

        UNTIL is inclusive and compared as an instant. COUNT also counts the starts that EXDATE removes.
        EXDATE takes precedence over RDATE.
        """
        low, high = datetime.combine(first, time()), datetime.combine(last + _DAY, time())
        by_rule = self._by_rule(low, high, zone) if self.rrule else [self.start]
        inside = {one for one in (*by_rule, *self.rdates) if low <= one < high}
        return sorted(inside - self.exdates)

    def _by_rule(self, low: datetime, high: datetime, zone: ZoneInfo) -> list[datetime]:
        if self.rrule is None or self.start >= high:
            return []
        rule, until = _rule(self.rrule, _later_start(self.rrule, self.start, low)), until_of(self.rrule)
        found = rule.between(low, high, inc=True)
        if until is None:
            return found
        latest = until[0].replace(tzinfo=UTC) if until[1] else instant_of(until[0], zone)
        return [one for one in found if instant_of(one, zone) <= latest]


def _later_start(rrule: str, start: datetime, low: datetime) -> datetime:
    """A later start with the same occurrences from `low` on, so that old rules cost no more than new ones.

    It skips whole steps of the rule, in days or in years. A rule with COUNT keeps its start.
    """
    parts = parts_of(rrule)
    interval, frequency = int(parts.get("INTERVAL", "1")), parts["FREQ"]
    if "COUNT" in parts or (start.month, start.day) == (2, 29):
        return start
    if frequency in {"DAILY", "WEEKLY"}:
        days = interval * (7 if frequency == "WEEKLY" else 1)
        return start + timedelta(days=max(0, ((low - start).days - 7) // days * days))
    years = interval if frequency == "YEARLY" else interval // gcd(interval, 12)
    return start.replace(year=start.year + max(0, (low.year - start.year - 1) // years * years))


@lru_cache(maxsize=4096)
def _rule(rrule: str, start: datetime) -> expansion:
    parts = parts_of(rrule)
    parts.pop("UNTIL", None)
    if "BYDAY" in parts:
        parts["BYDAY"] = with_ordinals(parts)
    rule = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    if not isinstance(rule, expansion):
        raise TypeError(f"{rrule} is not a single rule")
    return rule


def with_ordinals(parts: dict[str, str]) -> str:
    """BYDAY with an ordinal for every day or for none: dateutil misreads a list that mixes both."""
    days = parts["BYDAY"].split(",")
    plain = [day for day in days if len(day) == len("MO")]
    if not plain or len(plain) == len(days):
        return parts["BYDAY"]
    most = 5 if parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts else 53
    every = [f"{number}{day}" for day in plain for number in range(1, most + 1)]
    return ",".join([*every, *(day for day in days if day not in plain)])


def has_occurrence(rrule: str, start: datetime) -> bool:
    """Whether the rule has an occurrence within ten years of its start; `start` lies before 2081.

    For a rule without a next date, dateutil searches until the end of the calendar. So the rule is moved
    close to that end, to years with the same weekdays and leap days.
    """
    moved = start.replace(year=_year_like(start.year))
    last = moved.replace(year=moved.year + PROBED_YEARS, day=min(moved.day, 28))
    found = next(iter(_rule.__wrapped__(rrule, moved)), None)
    return found is not None and found <= last


@lru_cache
def _year_like(year: int) -> int:
    """The latest year that begins PROBED_YEARS years with the same weekdays and leap days."""
    shape = _shape(year)
    return next(one for one in range(_LAST_YEAR - PROBED_YEARS, 0, -1) if _shape(one) == shape)


def _shape(year: int) -> list[tuple[int, int]]:
    return [
        (date(one, 1, 1).weekday(), date(one, 12, 31).timetuple().tm_yday)
        for one in range(year, year + PROBED_YEARS + 1)
    ]
