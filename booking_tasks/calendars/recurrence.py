"""The occurrences of entries and of series (RFC 5545 section 3.8.5), expanded by dateutil. Pure.

Starts are wall-clock times in the zone of the first start; `times.py` makes instants of them. Only what is
understood takes an occurrence out: an EXDATE, the end of a rule, an entry that replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from dateutil.rrule import rrule, rrulestr

from booking_tasks.calendars.entries import Entry, spans
from booking_tasks.calendars.rules import BusyInterval
from booking_tasks.calendars.times import (
    DAY,
    MALFORMED,
    Moment,
    OwnersClock,
    Zones,
    later,
    midnight,
    parse_moment,
    resolved,
)
from booking_tasks.hours.recurrence import with_ordinals

#: An occurrence may begin or end on another day in another zone.
_MARGIN = 2 * DAY
#: The greatest number in each list of a rule; dateutil takes a greater one as never.
_MOST = {"BYMONTH": 12, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
#: Parts that say nothing new (RFC 7529: the Gregorian calendar, and leaving out dates that do not exist).
_WITHOUT_EFFECT = {"RSCALE": "GREGORIAN", "SKIP": "OMIT"}


@dataclass(frozen=True)
class Series:
    """The entries of one UID: its masters, and those for one occurrence.

    With several masters (all of one version) nobody knows whose occurrence an entry replaces: so it takes
    its own time and takes nothing out of any.
    """

    masters: Sequence[Entry] = ()
    single: Sequence[Entry] = ()


@dataclass
class Expansion:
    """Expands series between two instants. `broken` are the entries (by `id`) of which a part failed."""

    start: datetime
    end: datetime
    clock: OwnersClock
    zones: Zones
    broken: set[int] = field(default_factory=set)

    def intervals(self, series: Series) -> Iterator[BusyInterval]:
        """The busy time of all occurrences around the two instants."""
        for master in series.masters:
            yield from self._of_master(master, series)
        for entry in series.single:
            if entry.is_busy:
                for one, local in self._starts(entry, timedelta()):
                    yield from self._spans(entry, one, local)

    def _of_master(self, master: Entry, series: Series) -> Iterator[BusyInterval]:
        if master.start is None:
            return
        replacing = _Replacements(master.start, series.single, self.clock)
        is_sole = len(series.masters) == 1
        for one, local in self._starts(master, replacing.reach(self.clock)):
            if is_sole and replacing.is_replaced(local):
                continue
            governing = replacing.governing(local)
            if one.is_busy and not (is_sole and governing):
                yield from self._spans(master, one, local)
            for entry, shift in governing:
                if entry.is_busy:
                    yield from self._spans(entry, entry, local + shift)

    def _spans(self, origin: Entry, entry: Entry, local: datetime) -> Iterator[BusyInterval]:
        try:
            yield from (BusyInterval(*span) for span in spans(entry, local, self.clock))
        except MALFORMED:
            self.broken.add(id(origin))

    def _starts(self, entry: Entry, reach: timedelta) -> Iterator[tuple[Entry, datetime]]:
        """The starts of an entry, each once, with the entry that has their length."""
        start = entry.start
        if start is None:
            return
        excluded = _Exclusions(start, entry.excluded, self.clock)
        seen: set[datetime] = set()
        for moment, length in entry.extra:
            local = local_start(moment, start, self.clock)
            if length is not None and not excluded.has(local):
                yield entry.with_time(moment, length), moment.local
                seen.add(local)
        window = self._window(entry, start, reach)
        for local in self._plain_starts(entry, start, window):
            if local not in seen and not excluded.has(local):
                seen.add(local)
                yield entry, local

    def _plain_starts(
        self, entry: Entry, start: Moment, window: tuple[datetime, datetime]
    ) -> Iterator[datetime]:
        rules = [rule for text in entry.rules if (rule := self._rule(entry, text, start)) is not None]
        if (
            not entry.rules
            or len(rules) < len(entry.rules)
            or any(rule.is_alive(start.local) for rule in rules)
        ):
            yield start.local
        yield from (
            local_start(moment, start, self.clock) for moment, length in entry.extra if length is None
        )
        for rule in rules:
            try:
                yield from rule.between(*window)
            except MALFORMED:
                self.broken.add(id(entry))

    def _rule(self, entry: Entry, text: str, start: Moment) -> _Rule | None:
        try:
            return _rule(text, start, self.clock, self.zones)
        except MALFORMED:
            self.broken.add(id(entry))
            return None

    def _window(self, entry: Entry, start: Moment, reach: timedelta) -> tuple[datetime, datetime]:
        longest = max((end - begun for begun, end in spans(entry, start.local, self.clock)), default=DAY)
        before = later(self.start.replace(tzinfo=None), -(longest + reach + _MARGIN))
        return before, later(self.end.replace(tzinfo=None), reach + _MARGIN)


def local_start(moment: Moment, start: Moment, clock: OwnersClock) -> datetime:
    """A time as the wall-clock start of an occurrence of the series that begins at `start`."""
    if start.whole_day:
        return datetime.combine(clock.local_day(moment), datetime.min.time())
    if moment.whole_day:
        return moment.local + (start.local - midnight(start.local))
    if moment.zone is None or moment.zone is start.zone:
        return moment.local
    if start.zone is None:
        return clock.local(moment)
    return resolved(moment.local, moment.zone).first.astimezone(start.zone).replace(tzinfo=None)


class _Exclusions:
    """The starts that EXDATE takes out. A date takes out the occurrences of its day."""

    def __init__(self, start: Moment, excluded: Iterable[Moment], clock: OwnersClock) -> None:
        self._days = {one.local.date() for one in excluded if one.whole_day}
        self._starts = {local_start(one, start, clock) for one in excluded if not one.whole_day}

    def has(self, local: datetime) -> bool:
        return local in self._starts or local.date() in self._days


class _Replacements:
    """The entries for one occurrence of a master, and those that also change all later ones."""

    def __init__(self, start: Moment, single: Iterable[Entry], clock: OwnersClock) -> None:
        named = [(one, one.recurrence_id) for one in single if one.recurrence_id is not None]
        self._excluded = _Exclusions(start, [moment for _, moment in named], clock)
        self._later: list[tuple[datetime, Entry, timedelta]] = []
        for one, moment in named:
            if one.this_and_future and one.start is not None:
                key, begun = (local_start(when, start, clock) for when in (moment, one.start))
                moved = one.without_rules().with_time(
                    Moment(begun, start.zone, whole_day=one.start.whole_day), None
                )
                self._later.append((key, moved, begun - key))

    def is_replaced(self, local: datetime) -> bool:
        return self._excluded.has(local)

    def governing(self, local: datetime) -> list[tuple[Entry, timedelta]]:
        """The entries whose change holds at this start: those for the latest occurrence before it."""
        latest = max((key for key, _, _ in self._later if key < local), default=None)
        return [(entry, shift) for key, entry, shift in self._later if key == latest]

    def reach(self, clock: OwnersClock) -> timedelta:
        """How far the changes may move or lengthen an occurrence."""
        found = [timedelta()]
        for _, entry, shift in self._later:
            moment = entry.start
            ends = [] if moment is None else spans(entry, moment.local, clock)
            found += [abs(shift) + (end - begun) for begun, end in ends]
        return max(found)


@dataclass(frozen=True)
class _Rule:
    """An RRULE without its end, and whether a start lies within that end."""

    rule: rrule
    is_alive: Callable[[datetime], bool]
    last: datetime

    def between(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """The starts from `first` to `last`, one after the other, because there may be millions."""
        last = min(last, self.last)
        for local in self.rule:
            if local > last:
                return
            if local >= first and self.is_alive(local):
                yield local


def _rule(text: str, start: Moment, clock: OwnersClock, zones: Zones) -> _Rule:
    parts = dict(part.split("=", 1) for part in text.upper().replace(" ", "").split(";") if part)
    parts = {name: value for name, value in parts.items() if not name.startswith("X-")}
    for name, value in _WITHOUT_EFFECT.items():
        if parts.get(name) == value:
            del parts[name]
    until = parts.pop("UNTIL", None)
    if int(parts.get("COUNT", 1)) < 1:  # some programs write -1 for "without end"
        del parts["COUNT"]
    if int(parts.get("INTERVAL", 1)) < 1:
        raise ValueError("its INTERVAL is not positive")
    for name, most in _MOST.items():
        if any(not 1 <= abs(int(one)) <= most for one in parts.get(name, "1").split(",")):
            raise ValueError(f"its {name} does not exist")
    if "BYDAY" in parts:
        parts["BYDAY"] = with_ordinals(parts)
    found = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start.local)
    if not isinstance(found, rrule):
        raise TypeError("it is not a single rule")
    if until is None:
        return _Rule(found, lambda _: True, datetime.max)  # noqa: DTZ901 - a wall-clock time
    limit = parse_moment(until, {}, zones)
    return _Rule(found, _within(limit, start, clock), later(limit.local, _MARGIN))


def _within(until: Moment, start: Moment, clock: OwnersClock) -> Callable[[datetime], bool]:
    """Whether a start is not after UNTIL, which is inclusive; a date includes its whole day."""
    if start.whole_day or until.whole_day:
        last: date = max(until.local.date(), clock.local_day(until))
        return lambda local: local.date() <= last
    if until.zone is None:
        return lambda local: local <= until.local
    latest = resolved(until.local, until.zone).first
    return lambda local: clock.start(start, local).first <= latest
