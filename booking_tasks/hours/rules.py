"""Hours as people mean them: wall-clock in the consultant's zone, turned into instants.

Rules expand in floating local time; then each end becomes an instant of its own. A local time that
happens twice is its first occurrence (RFC 5545, section 3.3.5); one that does not happen is the
instant of the jump, so a window inside the gap is empty. Starts are inclusive, ends exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_ICAL_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True)
class HoursRule:
    """Hours on one weekday (1 Monday to 7 Sunday) or one date. An end not after the start is tomorrow's."""

    start: time
    end: time
    weekday: int | None = None
    day: date | None = None

    @property
    def recurrence_rule(self) -> str | None:
        """The rule as RFC 5545 writes it, for readers of the ledger."""
        return None if self.weekday is None else f"FREQ=WEEKLY;BYDAY={_ICAL_DAYS[self.weekday - 1]}"

    def on(self, day: date) -> bool:
        """Whether the rule speaks of this day."""
        return self.day == day if self.weekday is None else self.weekday == day.isoweekday()

    def local_span(self, day: date) -> tuple[datetime, datetime]:
        """Start and end on this day, in floating local time."""
        end_day = day if self.end > self.start else day + _DAY
        return datetime.combine(day, self.start), datetime.combine(end_day, self.end)


@dataclass(frozen=True, order=True)
class Window:
    """Declared working time between two instants."""

    start: datetime
    end: datetime
    recurrence_rule: str | None = None


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a floating local time: first occurrence; the jump itself if it does not happen."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _jump_between(early, first, zone)


def _jump_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second with the offset that holds at `after`."""
    offset = after.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)


def windows(rules: Iterable[HoursRule], zone: ZoneInfo, first: date, last: date) -> list[Window]:
    """Every window that starts on a local day from `first` to `last`, in order; overlapping ones are one."""
    ordered = list(rules)
    found = []
    for offset in range((last - first).days + 1):
        day = first + offset * _DAY
        for rule in ordered:
            if rule.on(day):
                start, end = (instant_of(local, zone) for local in rule.local_span(day))
                if start < end:
                    found.append(Window(start, end, rule.recurrence_rule))
    return _merged(sorted(found, key=lambda window: (window.start, window.end)))


def _merged(ordered: list[Window]) -> list[Window]:
    merged: list[Window] = []
    for window in ordered:
        if merged and window.start < merged[-1].end:
            last = merged.pop()
            rule = last.recurrence_rule if last.recurrence_rule == window.recurrence_rule else None
            window = Window(last.start, max(last.end, window.end), rule)  # noqa: PLW2901
        merged.append(window)
    return merged


def apart(wanted: Iterable[Window], others: Iterable[Window]) -> list[Window]:
    """The wanted windows without the time that others cover; one that is cut in the middle becomes two."""
    pieces = list(wanted)
    for other in others:
        pieces = [left for piece in pieces for left in _without(piece, other)]
    return pieces


def _without(window: Window, other: Window) -> list[Window]:
    if other.end <= window.start or window.end <= other.start:
        return [window]
    rest = (window.start, other.start), (other.end, window.end)
    return [Window(start, end, window.recurrence_rule) for start, end in rest if start < end]


def first_overlap(rules: Iterable[HoursRule]) -> tuple[HoursRule, HoursRule] | None:
    """Two weekly rules of one weekday, or two of one date, that overlap; None when there are none."""
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
