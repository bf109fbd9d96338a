"""A consultant's hours: which local times count on which day, and as which instants. Pure.

A window belongs to the local day on which it starts, also when it ends on the next day. The first of these
that applies decides a day: an override of that date; a public holiday (only hours declared for that date
count then); the weekly and recurring hours of the rule set in force, with the hours declared for that date.
docs/availability.md explains this in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from booking_tasks.hours.local_times import instant_of, last_instant_of, pieces_of
from booking_tasks.hours.recurrence import Recurrence
from booking_tasks.kit.instants import Span

_DAY = timedelta(days=1)
_ICAL_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: The longest window: hours that began so many days before a day may still reach into it.
LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class HoursRule:
    """Hours on a weekday (1 Monday to 7 Sunday) or a date; an end not after the start is on the next day."""

    start: time
    end: time
    weekday: int | None = None
    day: date | None = None

    @property
    def recurrence_rule(self) -> str | None:
        """The rule in the notation of RFC 5545, stored in the ledger for readers."""
        return None if self.weekday is None else f"FREQ=WEEKLY;BYDAY={_ICAL_DAYS[self.weekday - 1]}"

    def applies_on(self, day: date) -> bool:
        """Whether the rule applies on this day."""
        return self.day == day if self.weekday is None else self.weekday == day.isoweekday()

    def local_span(self, day: date) -> tuple[datetime, datetime]:
        """The start and end on this day, in floating local time."""
        end_day = day if self.end > self.start else day + _DAY
        return datetime.combine(day, self.start), datetime.combine(end_day, self.end)


@dataclass(frozen=True)
class RecurringRule:
    """Hours of one length (wall-clock) at every start of a recurrence."""

    recurrence: Recurrence
    length: timedelta


@dataclass(frozen=True)
class RulePeriod:
    """Rules for the local days from `valid_from` to `valid_until`, both included; None means unbounded."""

    weekly: tuple[HoursRule, ...] = ()
    recurring: tuple[RecurringRule, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None

    def is_in_force(self, day: date) -> bool:
        """Whether the day lies within the period."""
        return (self.valid_from or day) <= day <= (self.valid_until or day)


@dataclass(frozen=True)
class TravelPeriod:
    """A stay in another zone on the local days from `first` to `last`, both included."""

    first: date
    last: date
    zone: ZoneInfo


def local_day(instant: datetime, home: ZoneInfo, travel: Iterable[TravelPeriod]) -> date:
    """The day on which an instant is where somebody is then: on a trip in its zone, otherwise at home.

    The function local_day of the database says the same.
    """
    for one in travel:
        day = instant.astimezone(one.zone).date()
        if one.first <= day <= one.last:
            return day
    return instant.astimezone(home).date()


@dataclass(frozen=True)
class Leave:
    """An absence between two floating local times; it takes precedence over the hours."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Plan:
    """Everything that decides one consultant's windows; of the `sets` in force on a day the last counts."""

    zone: ZoneInfo
    sets: tuple[RulePeriod, ...] = ()
    single: tuple[HoursRule, ...] = ()
    overrides: Mapping[date, tuple[HoursRule, ...]] = field(default_factory=dict)
    travel: tuple[TravelPeriod, ...] = ()
    holidays: frozenset[date] = frozenset()
    leaves: tuple[Leave, ...] = ()

    def zone_on(self, day: date) -> ZoneInfo:
        """The zone of the day's wall clock."""
        return next((one.zone for one in self.travel if one.first <= day <= one.last), self.zone)

    def is_day_off(self, day: date) -> bool:
        """Whether the day is a public holiday without an override."""
        return day in self.holidays and day not in self.overrides


@dataclass(frozen=True, order=True)
class Window:
    """Declared working time between two instants.

    Starts are counted from `counted_from`, which is before the window begins; None: from its start.
    """

    start: datetime
    end: datetime
    recurrence_rule: str | None = None
    counted_from: datetime | None = None

    @property
    def origin(self) -> datetime:
        """The instant from which starts are counted."""
        return self.counted_from or self.start

    def part(self, start: datetime, end: datetime) -> Window:
        """A part of the window; its starts are counted as before."""
        counted_from = self.origin if start > self.origin else None
        return Window(start, end, self.recurrence_rule, counted_from)


def windows(plan: Plan, first: date, last: date) -> list[Window]:
    """Every window that starts on a local day from `first` to `last`, in order.

    They never overlap: one ends where clocks change and where the next declared hours begin, because starts
    are counted from there.
    """
    recurring = [_starts_by_day(rules, plan, first, last) for rules in plan.sets]
    found = []
    for number in range((last - first).days + 1):
        day = first + number * _DAY
        zone = plan.zone_on(day)
        for start, end, rule in _local_hours(plan, day, recurring):
            found += [Window(*span, rule) for span in pieces_of(start, end, zone)]
    return _cut_at_starts(found)


def _cut_at_starts(found: Iterable[Window]) -> list[Window]:
    """The same time in order, where each window ends at the start of the next one that it overlaps."""
    cut: list[Window] = []
    for window in sorted(found, key=lambda one: (one.start, one.end)):
        if cut and window.start < cut[-1].end:
            last = cut.pop()
            if last.start < window.start:
                cut.append(replace(last, end=window.start))
            cut.append(Window(window.start, max(last.end, window.end), _common_rule(last, window)))
        else:
            cut.append(window)
    return cut


def _common_rule(one: Window, other: Window) -> str | None:
    """The rule of both windows; None where they differ."""
    return one.recurrence_rule if one.recurrence_rule == other.recurrence_rule else None


_LocalHours = tuple[datetime, datetime, str | None]


def _starts_by_day(rules: RulePeriod, plan: Plan, first: date, last: date) -> dict[date, list[_LocalHours]]:
    by_day: dict[date, list[_LocalHours]] = {}
    for one in rules.recurring:
        for start in one.recurrence.starts(first, last, plan.zone):
            hours = start, start + one.length, one.recurrence.rrule
            by_day.setdefault(start.date(), []).append(hours)
    return by_day


def _local_hours(
    plan: Plan, day: date, recurring: Sequence[Mapping[date, list[_LocalHours]]]
) -> list[_LocalHours]:
    """The hours of a day: (start, end, rule) in floating local time."""
    if day in plan.overrides:
        return [(*one.local_span(day), None) for one in plan.overrides[day]]
    found = [(*one.local_span(day), one.recurrence_rule) for one in plan.single if one.applies_on(day)]
    if day in plan.holidays:
        return found
    in_force = [number for number, rules in enumerate(plan.sets) if rules.is_in_force(day)]
    if in_force:
        number = in_force[-1]
        weekly = plan.sets[number].weekly
        found += [(*one.local_span(day), one.recurrence_rule) for one in weekly if one.applies_on(day)]
        found += recurring[number].get(day, [])
    return found


def leave_spans(plan: Plan, since: datetime) -> list[Span]:
    """The instants of the leaves that end after `since`, in order; touching ones are joined.

    A leave whose end occurs twice lasts until the second time: nobody is offered before they are back.
    """
    found = []
    for one in plan.leaves:
        start = instant_of(one.start, plan.zone_on(one.start.date()))
        end = last_instant_of(one.end, plan.zone_on((one.end - timedelta.resolution).date()))
        if start < end and end > since:
            found.append(Window(start, end))
    return [(one.start, one.end) for one in merged(found)]


def merged(found: Iterable[Window]) -> list[Window]:
    """The same time in order, in as few windows as possible, whatever starts they offer.

    A window of several rules names none.
    """
    joined: list[Window] = []
    for window in sorted(found, key=lambda one: (one.start, one.end)):
        if joined and window.start <= joined[-1].end:
            last = joined.pop()
            end = max(last.end, window.end)
            joined.append(Window(last.start, end, _common_rule(last, window), last.counted_from))
        else:
            joined.append(window)
    return joined


def rejoined(found: Iterable[Window]) -> list[Window]:
    """The windows in order; those that touch and count their starts from the same instant are one again."""
    joined: list[Window] = []
    for window in sorted(found, key=lambda one: (one.start, one.end)):
        if joined and (joined[-1].end, joined[-1].origin) == (window.start, window.origin):
            last = joined.pop()
            joined.append(Window(last.start, window.end, _common_rule(last, window), last.counted_from))
        else:
            joined.append(window)
    return joined


def clipped(
    found: Iterable[Window], since: datetime | None = None, until: datetime | None = None
) -> list[Window]:
    """The parts of the windows from `since` on and before `until`."""
    spans = ((one, max(one.start, since or one.start), min(one.end, until or one.end)) for one in found)
    return [one.part(start, end) for one, start, end in spans if start < end]


def subtract(found: Iterable[Window], others: Iterable[Window]) -> list[Window]:
    """The windows without the time that others cover; a window cut in the middle becomes two."""
    left = list(found)
    for other in others:
        left = [part for window in left for part in _without(window, other)]
    return left


def _without(window: Window, other: Window) -> list[Window]:
    if other.end <= window.start or window.end <= other.start:
        return [window]
    rest = (window.start, other.start), (other.end, window.end)
    return [window.part(start, end) for start, end in rest if start < end]


def first_overlap(rules: Iterable[HoursRule]) -> tuple[HoursRule, HoursRule] | None:
    """Two overlapping rules of one weekday or of one date, or None."""
    grouped: dict[tuple[int | None, date | None], list[HoursRule]] = {}
    for rule in rules:
        grouped.setdefault((rule.weekday, rule.day), []).append(rule)
    any_day = date(2024, 1, 1)
    for group in grouped.values():
        ordered = sorted(group, key=lambda rule: rule.start)
        for one, other in pairwise(ordered):
            if other.local_span(any_day)[0] < one.local_span(any_day)[1]:
                return one, other
    return None
